"""`ingest backup` killed at random moments, over a slow line that breaks: no byte is fetched twice.

What counts as fetched is what is on the disk when the process is gone: the next run has to ask for the byte after it.
"""

import contextlib
import os
import random
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from ingest.warehouse.connection import open_warehouse
from tests.killing import Killer

from . import archive
from .storage import RunningStorage

STREAMS = 3
ON_THE_WAY = 4_000  # bytes of a stream that the storage sent and a kill kept from the disk: two of its chunks


@dataclass
class Outcome:
    """Kills that hit a living process, those with a part half there, bytes that were sent, differences."""

    kills: int = 0
    in_the_middle: int = 0
    backups: int = 0
    total: int = 0
    sent: int = 0
    differences: list[str] = field(default_factory=list)


def run(kills: int, *, seed: int, folder: Path, rate: float = 80_000) -> Outcome:
    """As many backups, one after another, as it takes to use up the kills. Each is compared when it is through."""
    dice, outcome = random.Random(seed), Outcome()
    while outcome.kills < kills:
        outcome.backups += 1
        place = folder / f"backup-{outcome.backups}"
        place.mkdir()
        parts = archive.backup(6, seed=dice.randrange(1000))
        with RunningStorage(parts, rate=rate) as storage:
            _one_backup(storage, place, kills, dice, outcome)
    if outcome.sent > outcome.total + outcome.kills * STREAMS * ON_THE_WAY:
        outcome.differences.append(f"{outcome.sent} bytes were sent of {outcome.total}")
    return outcome


def _one_backup(storage: RunningStorage, place: Path, kills: int, dice: random.Random, outcome: Outcome) -> None:
    environment = {
        "SVOD_ENV_FILE": os.devnull,
        "SVOD_WAREHOUSE": str(place / "svod.duckdb"),
        "SVOD_TRANSFER_BACKUP_LINKS": str(storage.write_links(place / "links.txt")),
        "SVOD_TRANSFER_PARTS": str(place / "parts"),
        "SVOD_TRANSFER_BACKUP_STREAMS": str(STREAMS),
    }
    killer, there = Killer(environment, place / "log", dice), dict.fromkeys(storage.objects, 0)
    while True:
        asked = len(storage.requests)
        process = killer.start("ingest", "backup")
        if outcome.kills < kills:
            for name in storage.objects:
                if dice.random() < 0.1:
                    storage.fail_next(name, dice.randrange(1, 20_000))
            _wait(process, storage, asked, dice.uniform(0, 0.5))
        else:
            process.join(120)
        was_alive = killer.kill(process, 0)
        outcome.kills += was_alive
        _compare_requests(storage, asked, there, outcome)
        there = {name: _size_of(place / "parts", name) for name in storage.objects}
        outcome.in_the_middle += was_alive and any(0 < there[name] < len(storage.objects[name]) for name in there)
        if not was_alive:
            break
    if process.exitcode != 0:
        outcome.differences.append(f"the backup ended with {process.exitcode}, see {killer.log}")
    for name, data in storage.objects.items():
        if (place / "parts" / name).read_bytes() != data:
            outcome.differences.append(f"{name} is not what the storage has")
    with contextlib.closing(open_warehouse(place / "svod.duckdb")) as connection:
        whole = connection.execute("select count(*) from transfer.parts where proof = 'crc, size, order'").fetchone()
        if whole != (len(storage.objects),):
            outcome.differences.append(f"the ledger has {whole[0]} parts as proven")
    outcome.total += storage.total
    outcome.sent += sum(storage.sent.values())


def _wait(process: object, storage: RunningStorage, asked: int, seconds: float) -> None:
    """So long from the first request on; the start of a process is no moment to kill it at, most of the time."""
    until = time.monotonic() + 2 * seconds
    while len(storage.requests) == asked and time.monotonic() < until and process.is_alive():
        time.sleep(0.002)
    process.join(seconds)


def _size_of(folder: Path, name: str) -> int:
    path = next((path for path in (folder / name, folder / f"{name}.part") if path.exists()), None)
    return path.stat().st_size if path else 0


def _compare_requests(storage: RunningStorage, asked: int, there: dict[str, int], outcome: Outcome) -> None:
    """The first request of a run for a part has to begin where the part ended; later ones after it."""
    begins: dict[str, list[int]] = defaultdict(list)
    for got in storage.requests[asked:]:
        begins[got.name].append(got.begin)
    for name, places in begins.items():
        if there[name] == len(storage.objects[name]):
            outcome.differences.append(f"{name} was there and asked for again")
        elif places[0] != there[name] or places != sorted(places):
            outcome.differences.append(f"{name} was asked for from {places}, and {there[name]} bytes were there")
