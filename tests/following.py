"""`publish follow` as a process of its own, between a topic, a registry's file and a sandbox portal."""

import csv
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random

import duckdb

from publish.sandbox import Limits, RunningSandbox
from tests.installation import ROOT, Installation
from tests.sample_data.identifiers import Identifiers
from tests.servers import Kafka

PATIENCE_S = 120


def inns(count: int, seed: int = 1) -> list[str]:
    """Numbers of companies whose control digits are right."""
    identifiers = Identifiers(Random(seed))
    return [identifiers.inn(legal=True) for _ in range(count)]


def upserted(number: int, inn: str, email: str) -> bytes:
    """An event of a company with one person, whose e-mail is what changes."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    person = {"uid": f"p-{number:07}", "fio": "Иванова Мария Петровна", "emails": [email], "changed_at": at}
    company = {"uid": f"b-{number:07}", "title": f"ООО Клён {number}", "inn": inn, "persons": [person]}
    company |= {"created_at": at, "changed_at": at}
    return json.dumps({"event": "company.upserted", "occurred_at": at, "company": company}).encode()


def deleted(number: int) -> bytes:
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    return json.dumps({"event": "company.deleted", "occurred_at": at, "company": {"uid": f"b-{number:07}"}}).encode()


class Following:
    """An installation whose `publish follow` is started, stopped and killed."""

    def __init__(self, svod: Installation, kafka: Kafka, topic: str, sandbox: RunningSandbox, known: list[str]) -> None:
        self.svod, self.sandbox, self.inns = svod, sandbox, known
        self.log = svod.folder / "follow.log"
        svod.folder.mkdir(parents=True, exist_ok=True)
        self.log.touch()
        self._topic, self._producer = topic, kafka.producer(linger_ms=0)
        self.wanted: dict[int, str] = {}  # by company, the e-mail of its person
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        """Begin to follow."""
        program = [str(Path(sys.executable).parent / "publish"), "follow"]
        with self.log.open("a") as log:
            self._process = subprocess.Popen(program, cwd=ROOT, env=self.svod.environment, stdout=log, stderr=log)

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self, seconds: float = PATIENCE_S) -> int:
        """What a service manager does; the exit status."""
        self._process.terminate()
        return self._process.wait(seconds)

    def kill(self) -> None:
        """End it at once, wherever it is."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        if self._process and self._process.poll() is None:
            self.kill()
        self._producer.close()

    def send(self, numbers: Iterable[int], say: str) -> None:
        """Events of companies whose people's e-mails say something."""
        for number in numbers:
            self.wanted[number] = f"{say}-{number}@klyon.example"
            event = upserted(number, self.inns[number], self.wanted[number])
            self._producer.send(self._topic, key=f"b-{number:07}".encode(), value=event)
        self._producer.flush(30)

    def send_raw(self, uid: str, event: bytes, at: float) -> None:
        """One event of a company, with its time in seconds since 1970."""
        self._producer.send(self._topic, key=uid.encode(), value=event, timestamp_ms=round(at * 1000))

    def delete(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            del self.wanted[number]
            self._producer.send(self._topic, key=f"b-{number:07}".encode(), value=deleted(number))
        self._producer.flush(30)

    def emails(self) -> list[str]:
        """Those of all contacts in the portal."""
        cards = self.sandbox.portal.items("contact")
        return sorted(value["value"] for card in cards for value in card["fm"] if value["typeId"] == "EMAIL")

    def is_right(self) -> bool:
        """Whether the portal has each person with the last e-mail that was sent, and each company, once."""
        return not self.differences()

    def differences(self) -> list[str]:
        """What is not right in the portal, for a person."""
        emails, wanted = self.emails(), sorted(self.wanted.values())
        held = sorted(one["RQ_INN"] for one in self.sandbox.portal.requisites())
        companies = sorted(self.inns[number] for number in self.wanted)
        told = [] if emails == wanted else [f"e-mails {emails}, not {wanted}"]
        return told + ([] if held == companies else [f"companies {held}, not {companies}"])

    def said(self, text: str) -> bool:
        return text in self.log.read_text()

    def wait_until(
        self, what: str, is_so: Callable[[], bool], *, process: BaseProcess | None = None, seconds: float = PATIENCE_S
    ) -> None:
        """Raises AssertionError, with the end of the log, when it does not come to be, or the process has ended: the
        one that was started here, or another that follows."""
        until = time.monotonic() + seconds
        while not is_so():
            tail = self.log.read_text()[-3000:]
            is_alive = process.is_alive() if process else self._process.poll() is None
            assert is_alive, f"it has ended: {tail}"
            assert time.monotonic() < until, f"it never was that {what}: {tail}"
            time.sleep(0.1)

    def look(self, sql: str) -> list[tuple]:
        """Rows of a query; while it is busy, of the copy for readers."""
        for _ in range(50):
            for path in (self.svod.warehouse, Path(f"{self.svod.warehouse}.snapshot")):
                try:
                    with duckdb.connect(str(path), read_only=True) as connection:
                        return connection.execute(sql).fetchall()
                except duckdb.Error:
                    time.sleep(0.1)
        raise AssertionError("nobody can look into the warehouse")


@contextmanager
def following(folder: Path, kafka: Kafka, companies: int, **settings: str) -> Iterator[Following]:
    """A topic, a registry's file that knows twice as many companies, a portal; nobody follows yet. Half of the
    companies are for other sources than the topic."""
    folder.mkdir(parents=True, exist_ok=True)
    known = inns(2 * companies)
    registry = folder / "registry.csv"
    with registry.open("w", newline="") as file:
        csv.writer(file).writerows([("inn", "status", "full_name"), *((inn, "ACTIVE", f"ООО {inn}") for inn in known)])
    with (
        kafka.topic(retention_ms="-1") as topic,
        RunningSandbox(folder / "portal.sqlite", limits=Limits.none()) as sandbox,
    ):
        svod = Installation(
            folder / "svod",
            {
                "SVOD_SHOP_B_KAFKA": kafka.bootstrap,
                "SVOD_SHOP_B_KAFKA_TOPIC": topic,
                "SVOD_REGISTRY_FILE": str(registry),
                "SVOD_BITRIX24_WEBHOOK": sandbox.webhook,
                "SVOD_BITRIX24_RATE": "0",
                "SVOD_SINCE": "2025-01-01",
                **settings,
            },
        )
        ours = Following(svod, kafka, topic, sandbox, known)
        try:
            yield ours
        finally:
            ours.close()
