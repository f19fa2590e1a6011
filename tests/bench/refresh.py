"""How long a refresh takes after changes of three sizes, in a process that stays: from landed rows to marts with their
tests passed."""

import json
import re
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import duckdb

from ingest.warehouse import journal
from ingest.warehouse.connection import open_warehouse
from publish.models import building, compiled
from tests.installation import ROOT, Installation

LANDED = "insert into raw.{} select unnest(?), unnest(?), unnest(?), unnest(?), 'bench', ?"


@dataclass(frozen=True)
class Refreshed:
    """Medians over all rounds: seconds by the clock and of the processor; peak resident megabytes of them all."""

    what: str
    seconds: float
    processor_seconds: float
    slowest_processor_seconds: float
    peak_mb: float


def measure(svod: Installation, rounds: int, tell: Callable[[str], None]) -> Iterator[Refreshed]:
    """Refresh what has been built, so many times after each kind of change; then build all, three times at most."""
    project = compiled.project(ROOT / "dbt_project", svod.environment)
    with closing(open_warehouse(svod.warehouse)) as connection:
        shops = _Shops(connection, Random(1))
        kinds: dict[str, tuple[Callable[[], None], bool]] = {
            "1 changed phone": (lambda: shops.change_contacts(1), False),
            "100 changed documents": (lambda: shops.change_documents(100), False),
            "1 % of all contacts changed": (lambda: shops.change_contacts(shops.contacts // 100), False),
            "all built, and compared with what it replaces": (lambda: None, True),
        }
        for what, (land, is_anew) in kinds.items():
            walls, processors = [], []
            _forget_peak()
            for number in range(rounds if not is_anew else min(rounds, 3)):
                land()
                wall, processor = time.monotonic(), _processor_seconds()
                for step in (journal.DBT_BEFORE_REGISTRY, journal.DBT_AFTER_REGISTRY):
                    building.build(
                        connection, project, step, is_anew=is_anew, tell=tell if not number else _say_nothing
                    )
                walls.append(time.monotonic() - wall)
                processors.append(_processor_seconds() - processor)
            medians = statistics.median(walls), statistics.median(processors)
            yield Refreshed(what, *medians, max(processors), _peak_mb())


class _Shops:
    """What both shops hold, changed as their own systems would."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, rng: Random) -> None:
        self._connection, self._rng, self._number = connection, rng, 0
        self._contacts = self._newest("shop_a__client_contacts", "source_key")
        self._documents = self._newest("shop_b__companies", "payload ->> '$.uid'")
        counted = connection.execute("select count(*) from intermediate.int_contacts__validated").fetchone()
        self.contacts: int = counted[0] if counted else 0  # of both shops

    def _newest(self, table: str, key: str) -> list[tuple[str, str]]:
        return self._connection.execute(
            f"""select {key} as key, arg_max(payload, ingested_at)::varchar from raw.{table}
                where payload is not null and key is not null group by 1 order by 1"""
        ).fetchall()

    def change_contacts(self, count: int) -> None:
        """Other phones, of shop A's."""
        rows = []
        for key, payload in self._rng.sample(self._contacts, count):
            changed = json.loads(payload) | {"phone": self._phone(), "updated_at": f"{self._later():%Y-%m-%d %H:%M:%S}"}
            rows.append((changed, key, f"client_contacts/id={key}"))
        self._land("shop_a__client_contacts", rows)

    def change_documents(self, count: int) -> None:
        """Another phone of the first person of a company of shop B's, or another title where nobody is."""
        rows = []
        for key, payload in self._rng.sample(self._documents, count):
            document = json.loads(payload)
            if document.get("persons"):
                document["persons"][0] |= {"phones": [self._phone()]}
            else:
                document["title"] = f"{document.get('title')} {self._number}"
            occurred_at = f"{self._later():%Y-%m-%dT%H:%M:%S}+03:00"
            event = {"event": "company.upserted", "occurred_at": occurred_at, "company": document}
            rows.append((event, key, f"bench/0/{self._number}"))
        self._land("shop_b__events", rows)

    def _land(self, table: str, rows: list[tuple[dict[str, Any], str, str]]) -> None:
        payloads, keys, positions = zip(*rows, strict=True)
        texts = [json.dumps(payload, ensure_ascii=False) for payload in payloads]
        at = journal.utc_now()
        self._connection.execute(LANDED.format(table), [texts, list(keys), [at] * len(rows), list(positions), at])

    def _phone(self) -> str:
        return f"+79{self._rng.randrange(10**9):09}"

    def _later(self) -> datetime:
        """Each change is later than all before it."""
        self._number += 1
        return datetime(2027, 1, 1) + timedelta(seconds=self._number)


def _say_nothing(_: str) -> None:
    return None


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0
