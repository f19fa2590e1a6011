"""`python -m tests.chaos.sources --kills 100`: each ingester, killed at random moments while it lands what is new.

Whenever it has come to its end, the next versions of all records come. After each kill no watermark may be ahead of the
rows; at each end every version of every record is there once.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.warehouse.connection import open_warehouse
from tests.bench.registry import write_verdicts
from tests.chaos.follow import uneven
from tests.following import upserted
from tests.killing import Killer, computed
from tests.sample_data.registers import LegalEntity, register_file
from tests.sample_data.registry_double import RunningRegistry
from tests.servers import kafka_server, mariadb_server

QUEUE = "intermediate.int_companies__registry_queue"


@dataclass
class Outcome:
    """Kills that hit, times that the records came again, and what was wrong at any time."""

    kills: int = 0
    versions: int = 0
    differences: list[str] = field(default_factory=list)


class Source(ABC):
    """A source with as many new versions of records each time it changes, and what reads it."""

    arguments: tuple[str, ...]
    records = 20_000
    table = "raw.shop_b__companies"
    version = "source_position"  # SQL that tells the versions of records apart

    def __init__(self, folder: Path) -> None:
        self.folder, self.warehouse, self.changes = folder, folder / "svod.duckdb", 0
        self.settings: dict[str, str] = {}

    @abstractmethod
    def change(self) -> None:
        """Bring the next versions, the first ones the first time."""

    def ahead(self) -> list[str]:
        """Watermarks that are not where the landed rows are."""
        return []

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(open_warehouse(self.warehouse)) as connection:
            schema, _, name = self.table.partition(".")
            is_there = "from duckdb_tables() where schema_name = ? and table_name = ?"
            return connection.execute(sql).fetchall() if connection.execute(is_there, [schema, name]).fetchone() else []

    def differences(self) -> list[str]:
        """What is not there, or there twice, when a run has ended."""
        rows = self.query(f"select count(*), count(distinct {self.version}) from {self.table}")
        wanted = self.changes * self.records
        return [] if rows == [(wanted, wanted)] else [f"rows and versions {rows}, {wanted:,} of each wanted"]


class Tables(Source):
    arguments, table = ("mysql",), "raw.shop_a__clients"
    version = "(source_key, payload ->> '$.version')"

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        super().__init__(folder)
        server = stack.enter_context(mariadb_server())
        database = stack.enter_context(server.database())
        self._shop = stack.enter_context(server.connect(database))
        self.settings = {"SVOD_SHOP_A_URL": server.url(database), "SVOD_SHOP_A_TABLES": "clients:whole"}

    def change(self) -> None:
        self._do("create table if not exists clients (id int primary key, version int, updated_at datetime)")
        self._do(
            f"""replace into clients
                select seq, {self.changes},
                    '2024-01-01' + interval {self.changes} day + interval (seq * 7919) % 80000 second
                from seq_1_to_{self.records}"""
        )
        self.changes += 1

    def ahead(self) -> list[str]:
        marks = self.query("select position from ops.watermarks where source = 'shop_a.clients'")
        if not marks:
            return []
        ((mark,),) = marks
        ((below,),) = self._do(f"select count(*) from clients where updated_at < '{mark}'")
        ((landed,),) = self.query(
            f"select count(*) from {self.table} where (payload ->> '$.version')::int = {self.changes - 1}"
        )
        return [] if landed >= below else [f"watermark {mark}, below it {below:,} rows, {landed:,} of them landed"]

    def _do(self, sql: str) -> list[tuple[Any, ...]]:
        with self._shop.cursor() as cursor:
            cursor.execute(sql)
            rows = list(cursor.fetchall())
        self._shop.commit()
        return rows


class Files(Source):
    arguments = ("json",)

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        super().__init__(folder)
        self.settings = {"SVOD_SHOP_B_FILES": str(folder / "history-*.json")}

    def change(self) -> None:
        companies = ({"uid": f"b-{number}", "title": "х" * 500} for number in range(self.records))
        text = json.dumps({"companies": [company | {"version": self.changes} for company in companies]})
        (self.folder / f"history-{self.changes:03}.json").write_text(text)
        self.changes += 1

    def ahead(self) -> list[str]:
        rows = self.query(
            f"""select name, objects, rows_landed from (
                    select source[8:] as name, (position::json ->> '$.objects')::int as objects from ops.watermarks
                ) full join (
                    select split_part(source_position, '@', 1) as name, count(*) as rows_landed from {self.table}
                    group by 1
                ) using (name) where objects is distinct from rows_landed"""
        )
        return [f"file, objects by its watermark, rows {row}" for row in rows]


class Messages(Source):
    arguments, table = ("kafka",), "raw.shop_b__events"

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        super().__init__(folder)
        kafka = stack.enter_context(kafka_server())
        self._topic = stack.enter_context(kafka.topic())
        self._producer = stack.enter_context(closing(kafka.producer(linger_ms=20, batch_size=1 << 17)))
        self.settings = {"SVOD_SHOP_B_KAFKA": kafka.bootstrap, "SVOD_SHOP_B_KAFKA_TOPIC": self._topic}

    def change(self) -> None:
        for number in range(self.records):
            event = upserted(number, "7707083893", f"{self.changes}@example.ru")
            self._producer.send(self._topic, event, f"b-{number}".encode(), partition=number % 3)
        self._producer.flush()
        self.changes += 1

    def ahead(self) -> list[str]:
        return [f"partition, rows, positions, offset {row}" for row in uneven(self.warehouse)]


class Registry(Source):
    """INNs of which the registry has not been asked yet are what is new; each change adds some to the queue."""

    arguments, table, records, version = ("registry",), "raw.registry__companies", 1_000, "source_key"

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        super().__init__(folder)
        write_verdicts(folder, [f"{number:010}" for number in range(400 * self.records)])
        double = stack.enter_context(RunningRegistry(folder, rate=1e6, token="x"))
        self.settings = {"SVOD_REGISTRY_URL": double.url, "SVOD_REGISTRY_TOKEN": "x", "SVOD_REGISTRY_RATE": "2000"}

    def change(self) -> None:
        self.changes += 1
        self._fill_queue()

    def _fill_queue(self) -> None:
        with closing(open_warehouse(self.warehouse)) as connection:
            connection.execute(
                f"""create schema if not exists intermediate; create or replace table {QUEUE} as
                    select format('{{:010}}', range) as inn, range as place, 'others' as reason, 1 as ttl_factor
                    from range({self.changes * self.records})"""
            )


class RegistryDump(Registry):
    """The tax service's files, one more with each change."""

    records = 5_000

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        Source.__init__(self, folder)
        self.settings = {}

    def change(self) -> None:
        first = self.changes * self.records
        super().change()
        path = self.folder / f"EGRUL-{self.changes}.zip"
        numbers = range(first, first + self.records)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            companies = (LegalEntity(f"{number:010}", ogrn=f"{number:013}") for number in numbers)
            archive.writestr(f"VO_{self.changes}.XML", register_file(companies))
        self.arguments = ("registry", "--dump", str(path))


SOURCES: dict[str, Callable[[Path, ExitStack], Source]] = {
    "mysql": Tables,
    "json": Files,
    "kafka": Messages,
    "registry": Registry,
    "registry-dump": RegistryDump,
}


@contextmanager
def made(name: str, folder: Path) -> Iterator[Source]:
    """A source with its first versions."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        source = SOURCES[name](folder, stack)
        source.change()
        yield source


def run(name: str, folder: Path, kills: int, seed: int) -> Outcome:
    """Kill one ingester so many times, then let it end. Raises AssertionError where it ends by itself with an error."""
    dice, outcome = random.Random(seed), Outcome()
    with made(name, folder) as source:
        environment = {
            "SVOD_ENV_FILE": os.devnull, "SVOD_SINCE": "2020-01-01", "SVOD_WAREHOUSE": str(source.warehouse),
        } | source.settings  # fmt: skip
        killer, life = Killer(environment, folder / "log.txt", dice), 1.0

        def to_its_end() -> float:
            process = killer.start("ingest", *source.arguments)
            seconds = 0.0
            while process.is_alive():
                now = computed(process.pid)
                seconds = now if now != float("inf") else seconds
                time.sleep(0.01)
            process.join()
            assert process.exitcode == 0, f"it ended with {process.exitcode}, see {folder / 'log.txt'}"
            outcome.differences += source.differences()
            return seconds

        life = to_its_end()
        source.change()
        while outcome.kills < kills:
            process = killer.start("ingest", *source.arguments)
            if killer.kill(process, dice.uniform(0.0, life)):
                outcome.kills += 1
                outcome.differences += [f"after kill {outcome.kills}: {told}" for told in source.ahead()]
                continue
            assert process.exitcode == 0, f"it ended with {process.exitcode}, see {folder / 'log.txt'}"
            outcome.differences += source.differences()
            source.change()
        to_its_end()
        outcome.versions = source.changes
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="of each ingester")
    parser.add_argument("--only", choices=SOURCES)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    chosen = parser.parse_args()
    is_right = True
    for name in [chosen.only] if chosen.only else SOURCES:
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            outcome = run(name, Path(folder), chosen.kills, chosen.seed)
        print(
            f"{name}: seed {chosen.seed}, {outcome.kills} kills, {outcome.versions} times all records, "
            f"{len(outcome.differences)} differences, {time.monotonic() - started:.0f} s",
            flush=True,
        )
        for difference in outcome.differences[:10]:
            print(f"{name}: {difference}")
        is_right &= not outcome.differences
    sys.exit(0 if is_right else 1)


if __name__ == "__main__":
    main()
