"""`python -m tests.chaos.events --events 1000000`: a topic as bad as they come, by the newest version of each company.

One event in ten is there twice, one in ten comes after the one that followed it, one in a hundred is broken; each codec
of the field has a quarter of them. All that is an event lands once a place, what is none is a dead letter, and each
company is staged as its newest version says.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from tests.installation import Installation
from tests.servers import kafka_server

CODECS = ("gzip", "lz4", "snappy", "zstd")
VERSIONS = 9  # of each company, that come in as many waves
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Sent:
    """How many events and broken messages there are; companies that have any version."""

    events: int
    broken: int
    companies: int


@dataclass(frozen=True)
class Outcome:
    """What landing took, and what was wrong."""

    sent: Sent
    seconds: float
    peak_mb: float
    differences: list[str]


def _event(company: int, version: int) -> bytes:
    at = (BEGAN + timedelta(minutes=version, seconds=company % 60)).isoformat()
    told = {"uid": f"b-{company:07}", "title": f"ООО Клён {version}", "inn": "7707083893", "changed_at": at}
    return msgspec.json.encode({"event": "company.upserted", "occurred_at": at, "company": told})


def messages(count: int, dice: random.Random) -> Iterator[tuple[int, bytes, bool]]:
    """About so many: company, value, whether it is an event."""
    companies = max(1, count // 10)
    late: list[int] = []
    for version in range(VERSIONS):
        was_late, late = late, []
        for company in range(companies):
            chance = dice.random()
            if chance < 0.1 and version + 1 < VERSIONS:
                late.append(company)
            else:
                yield company, _event(company, version), True
            if dice.random() < 0.11:
                yield company, _event(company, dice.randint(0, version - 1) if version else 0), True
            if dice.random() < 0.011:
                yield company, b'{"event": "company.upserted", "company": {"uid": "b-', False
        for company in was_late:
            yield company, _event(company, version - 1), True


def run(folder: Path, count: int, seed: int) -> Outcome:
    """Send, land, build, compare."""
    dice = random.Random(seed)
    with ExitStack() as stack:
        kafka = stack.enter_context(kafka_server())
        topic = stack.enter_context(kafka.topic())
        producers = [
            stack.enter_context(closing(kafka.producer(linger_ms=50, batch_size=1 << 18, compression_type=codec)))
            for codec in CODECS
        ]
        events = broken = 0
        for number, (company, value, is_event) in enumerate(messages(count, dice)):
            codec = company % len(CODECS)  # the events of a company keep their order
            producers[codec].send(topic, value, f"b-{company:07}".encode(), partition=company % 3)
            events, broken = events + is_event, broken + (not is_event)
            if number % 100_000 == 0:
                producers[codec].flush()
        for producer in producers:
            producer.flush()
        svod = Installation(folder, {"SVOD_SHOP_B_KAFKA": kafka.bootstrap, "SVOD_SHOP_B_KAFKA_TOPIC": topic})
        svod.settings["SVOD_SINCE"] = "2025-01-01"
        landed = svod.tool("ingest", "kafka")
    built = svod.tool("python", "dbt_project/passes.py")
    differences = [ended.output for ended in (landed, built) if ended.status]
    checks = {
        "events, places": (
            "select count(*), count(distinct source_position) from raw.shop_b__events",
            (events, events),
        ),
        "dead letters": ("select count(*), count(distinct source_position) from raw.dead_letters", (broken, broken)),
        "companies, staged as their newest": (
            f"""select count(*), count_if(company_name_raw = 'ООО Клён {VERSIONS - 1}')
                from staging.stg_shop_b__companies""",
            (count // 10, count // 10),
        ),
    }
    for what, (sql, wanted) in checks.items() if not differences else ():
        if (there := svod.query(sql)) != [wanted]:
            differences.append(f"{what}: {there}, {wanted} wanted")
    return Outcome(Sent(events, broken, count // 10), landed.seconds, landed.peak_mb, differences)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        outcome = run(Path(folder), chosen.events, chosen.seed)
    sent = outcome.sent
    number = sent.events + sent.broken
    print(
        f"events: {sent.events:,} of {sent.companies:,} companies and {sent.broken:,} broken, landed in "
        f"{outcome.seconds:.1f} s, {number / outcome.seconds:,.0f} a second, {outcome.peak_mb:.0f} MB; "
        f"{time.monotonic() - began:.0f} s in all"
    )
    for difference in outcome.differences:
        print(f"events: {difference}")
    sys.exit(1 if outcome.differences else 0)


if __name__ == "__main__":
    main()
