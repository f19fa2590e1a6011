"""Table transfer.journal: what people do for a move, beside what programs do; and the list of what they have to do
(`checklist.csv`, in Russian and English). A step of the list is ticked by its entry in the journal."""

import csv
from datetime import datetime
from importlib.resources import files
from typing import Literal, NamedTuple

import duckdb

from ingest.warehouse.journal import utc_now

Language = Literal["en", "ru"]
STANDSTILL = "standstill"  # the phase in which nobody sells
_FILE = files("ingest.warehouse") / "checklist.csv"


class Item(NamedTuple):
    """A step of the list: when it is done (before, standstill, after), by whom, and what it is."""

    step: str
    phase: str
    who: str
    text: str


class Work(NamedTuple):
    """What somebody did, in UTC."""

    step: str
    started_at: datetime
    finished_at: datetime
    note: str

    @property
    def seconds(self) -> float:
        return (self.finished_at - self.started_at).total_seconds()


def items(language: Language = "en") -> list[Item]:
    """The list, in its order."""
    rows = csv.DictReader(_FILE.read_text(encoding="utf-8").splitlines())
    return [Item(row["step"], row["phase"], row[f"who_{language}"], row[f"text_{language}"]) for row in rows]


def add(connection: duckdb.DuckDBPyConnection, work: Work) -> None:
    """Write down what somebody did."""
    connection.execute("insert into transfer.journal values (?, ?, ?, ?, ?)", [*work, utc_now()])


def all_work(connection: duckdb.DuckDBPyConnection) -> list[Work]:
    """What people did, in the order of time."""
    rows = connection.execute(
        "select step, started_at, finished_at, note from transfer.journal order by started_at, written_at"
    ).fetchall()
    return [Work(*row) for row in rows]


def last_work(connection: duckdb.DuckDBPyConnection) -> dict[str, Work]:
    """By step, what was written down last of it."""
    rows = connection.execute(
        "select step, started_at, finished_at, note from transfer.journal order by written_at, started_at"
    ).fetchall()
    return {step: Work(step, *rest) for step, *rest in rows}


def take_back(connection: duckdb.DuckDBPyConnection, step: str) -> bool:
    """Whether there was an entry of a step; the one written last is there no more."""
    ((number,),) = connection.execute(
        """delete from transfer.journal where step = $1 and written_at = (
               select max(written_at) from transfer.journal where step = $1)""",
        [step],
    ).fetchall()
    return bool(number)
