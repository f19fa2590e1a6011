"""`python -m tests.chaos.events --events 1000000`: a topic as bad as they come, and what befalls it while it is read.

One event in ten is there twice, one in ten comes after the one that followed it, one in a hundred is broken; each codec
of the field has a quarter of them. While they are read, the broker is killed and started again, the logs of some
partitions are cleaned, and the topic is made anew. All that is an event lands once a place, what is none is a dead
letter, what was cleaned or deleted before it was read is told as a gap, and each company is staged as its newest
version says.
"""

import argparse
import random
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa
from kafka import TopicPartition
from kafka.admin import NewTopic

from tests.installation import Ended, Installation
from tests.servers import Kafka, kafka_server

CODECS = ("gzip", "lz4", "snappy", "zstd")
PARTITIONS = 12  # the messages of each are of one codec, so that one producer keeps their order
VERSIONS = 9  # of each company, that come in as many waves
BROKEN = VERSIONS  # in place of a version
KINDS = VERSIONS + 1
NOTE_BYTES = 300  # that no codec packs: else a part of the topic is one answer, and nobody reads when all is gone
EVENT_BYTES = 850  # of the warehouse, about, for each that has landed
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Outcome:
    """What was sent, what landing took, run by run, how many messages were gone before, and what was wrong."""

    companies: int
    events: int = 0
    broken: int = 0
    cleaned: int = 0
    deleted: int = 0
    runs: list[Ended] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return sum(run.seconds for run in self.runs)


def _value(company: int, version: int, note: str) -> bytes:
    if version == BROKEN:
        return b'{"event": "company.upserted", "company": {"uid": "b-'
    at = (BEGAN + timedelta(minutes=version, seconds=company % 60)).isoformat()
    told = {
        "uid": f"b-{company:07}",
        "title": f"ООО Клён {version}",
        "inn": "7707083893",
        "changed_at": at,
        "note": note,
    }
    return msgspec.json.encode({"event": "company.upserted", "occurred_at": at, "company": told})


def messages(companies: int, dice: random.Random) -> Iterator[tuple[int, int]]:
    """About ten for each company: its number and a version, or BROKEN."""
    late: list[int] = []
    for version in range(VERSIONS):
        was_late, late = late, []
        for company in range(companies):
            if dice.random() < 0.1 and version + 1 < VERSIONS:
                late.append(company)
            else:
                yield company, version
            if dice.random() < 0.11:
                yield company, dice.randint(0, version - 1) if version else 0
            if dice.random() < 0.011:
                yield company, BROKEN
        for company in was_late:
            yield company, version - 1


class Topic:
    """A topic that is sent to, cleaned and made anew; what each topic of its name was sent, in the order of offsets."""

    def __init__(self, kafka: Kafka, name: str, dice: random.Random, note_bytes: int) -> None:
        self.name, self._kafka, self._dice, self._note_bytes = name, kafka, dice, note_bytes
        self.sent: list[list[array[int]]] = []
        self.cleaned: dict[int, int] = {}  # by partition of the first of these topics, the first offset that was kept
        self._begin()

    def _begin(self) -> None:
        self.sent.append([array("q") for _ in range(PARTITIONS)])

    def send(self, messages: Iterable[tuple[int, int]]) -> None:
        """Send messages, each to the end of its company's partition."""
        with ExitStack() as stack:
            producers = [
                stack.enter_context(
                    closing(self._kafka.producer(linger_ms=50, batch_size=1 << 18, compression_type=codec))
                )
                for codec in CODECS
            ]
            for number, (company, version) in enumerate(messages):
                partition = company % PARTITIONS
                producer = producers[partition % len(CODECS)]
                value = _value(company, version, self._dice.randbytes(self._note_bytes).hex())
                producer.send(self.name, value, f"b-{company:07}".encode(), partition=partition)
                self.sent[-1][partition].append(company * KINDS + version)
                if number % 100_000 == 0:
                    producer.flush()
            for producer in producers:
                producer.flush()

    def clean(self) -> None:
        """Delete nine tenths of what is in one partition of each codec."""
        self.cleaned = {number: len(self.sent[0][number]) * 9 // 10 for number in range(len(CODECS))}
        with closing(self._kafka.admin()) as admin:
            admin.delete_records({TopicPartition(self.name, number): offset for number, offset in self.cleaned.items()})

    def make_anew(self) -> None:
        """Delete the topic and make another of its name."""
        with closing(self._kafka.admin()) as admin:
            admin.delete_topics([self.name])
            while self.name in admin.list_topics():
                time.sleep(0.05)
            admin.create_topics([NewTopic(self.name, num_partitions=PARTITIONS, replication_factor=1)])
        self._begin()

    def table(self) -> pa.Table:
        """All that was sent: which topic of the name, partition, place in it, company and version as one number, and
        whether it was cleaned."""
        columns: dict[str, list[object]] = {"topic": [], "partition": [], "place": [], "code": [], "was_cleaned": []}
        for topic, partitions in enumerate(self.sent):
            for number, codes in enumerate(partitions):
                first_kept = self.cleaned.get(number, 0) if topic == 0 else 0
                columns["topic"] += [topic] * len(codes)
                columns["partition"] += [number] * len(codes)
                columns["place"] += range(len(codes))
                columns["code"] += codes
                columns["was_cleaned"] += [True] * first_kept + [False] * (len(codes) - first_kept)
        return pa.table(columns)


def land(svod: Installation, outcome: Outcome, *mishaps: tuple[float, Callable[[], None]]) -> None:
    """Land what there is until a run has nothing to tell; in the first run each mishap comes when so many more events
    have landed."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(svod.tool, "ingest", "kafka")
        for events, befall in mishaps:
            until = _size(svod) + events * EVENT_BYTES
            while not running.done() and _size(svod) < until:
                time.sleep(0.01)
            if running.done():
                outcome.differences.append(f"{befall.__name__}: nobody read any more: {running.result().output}")
            befall()
        outcome.runs.append(running.result())
    while outcome.runs[-1].status and len(outcome.runs) < 20:
        outcome.runs.append(svod.tool("ingest", "kafka"))


def _size(svod: Installation) -> int:
    """Bytes of the warehouse and of its log."""
    paths = (svod.warehouse, svod.warehouse.with_name(f"{svod.warehouse.name}.wal"))
    return sum(path.stat().st_size for path in paths if path.exists())


GONE = """
create temp table gone as
select distinct topic, partition, sent.place, last_offset is null as is_deleted, was_cleaned
from sent
join ops.gaps on split_part(gaps.place, '/', 2)::int = partition and sent.place >= first_offset
    and sent.place <= coalesce(last_offset, sent.place)
where topic = 0
"""
PLACE = """
split_part(source_position, '/', 2)::bigint as partition, split_part(source_position, '/', 3)::bigint as place
"""
LEFT = "select * from sent anti join gone using (topic, partition, place)"
WANTED = f"select partition, place, code from ({LEFT}) where code % {KINDS} < {BROKEN}"
LANDED = f"""
select {PLACE}, {KINDS} * (payload ->> '$.company.uid')[3:]::bigint
    + split_part(payload ->> '$.company.title', ' ', 3)::bigint as code
from raw.shop_b__events
"""
REFUSALS_WANTED = f"select distinct partition, place from ({LEFT}) where code % {KINDS} = {BROKEN}"
REFUSALS = f"select {PLACE} from raw.dead_letters"  # of the same bytes at the same place one is kept
STALE = f"""
select source_company_id, company_name_raw from staging.stg_shop_b__companies
where company_name_raw <> 'ООО Клён {VERSIONS - 1}'
"""
NEVER_RIGHT = {
    "not landed": f"({WANTED}) except all ({LANDED})",
    "landed twice, or though nobody sent it": f"({LANDED}) except all ({WANTED})",
    "no dead letter": f"({REFUSALS_WANTED}) except all ({REFUSALS})",
    "a dead letter too many": f"({REFUSALS}) except all ({REFUSALS_WANTED})",
    "told as cleaned, which it was not": "from gone where not is_deleted and not was_cleaned",
    "staged as something else than its newest": STALE,
}


def compare(svod: Installation, topic: Topic, outcome: Outcome) -> None:
    """Tell what is not in the warehouse as it was sent, and how much was gone before it was read."""
    with duckdb.connect(str(svod.warehouse), read_only=True) as connection:
        connection.execute("set enable_progress_bar = false")
        connection.register("sent", topic.table())
        connection.execute(GONE)
        ((outcome.cleaned, outcome.deleted),) = connection.execute(
            "select count(*) filter (not is_deleted), count(*) filter (is_deleted) from gone"
        ).fetchall()
        ((outcome.events, outcome.broken),) = connection.execute(
            f"select count(*) filter (code % {KINDS} < {BROKEN}), count(*) filter (code % {KINDS} = {BROKEN}) from sent"
        ).fetchall()
        for what, rows in NEVER_RIGHT.items():
            ((count,),) = connection.execute(f"select count(*) from ({rows})").fetchall()
            if count:
                outcome.differences.append(f"{what}: {count:,}, as {connection.execute(f'{rows} limit 3').fetchall()}")
        ((staged,),) = connection.execute("select count(*) from staging.stg_shop_b__companies").fetchall()
        if staged != outcome.companies:
            outcome.differences.append(f"{staged:,} companies staged, {outcome.companies:,} sent")


def run(folder: Path, count: int, seed: int, *, is_calm: bool = False) -> Outcome:
    """Send, land, build, compare; nothing befalls broker and topic if `is_calm`."""
    outcome = Outcome(max(1, count // 10))
    dice = random.Random(seed)
    sent = messages(outcome.companies, dice)
    with kafka_server() as kafka, kafka.topic(PARTITIONS, retention_ms="-1") as name:
        topic = Topic(kafka, name, dice, 0 if is_calm else NOTE_BYTES)
        svod = Installation(folder, {"SVOD_SHOP_B_KAFKA": kafka.bootstrap, "SVOD_SHOP_B_KAFKA_TOPIC": name})
        svod.settings["SVOD_SINCE"] = "2025-01-01"
        if not is_calm:
            part = count // 3
            topic.send(islice(sent, part))
            land(svod, outcome, (part / 10, topic.clean), (part / 10, kafka.restart))
            topic.send(islice(sent, part))

            def make_anew() -> None:
                topic.make_anew()
                topic.send(islice(sent, part))

            land(svod, outcome, (part / 10, make_anew))
        topic.send(sent)
        land(svod, outcome)
    built = svod.tool("python", "dbt_project/passes.py")
    failed = [ended.output for ended in (outcome.runs[-1], built) if ended.status]
    outcome.differences += failed
    if not failed:
        compare(svod, topic, outcome)
        if not (is_calm or (outcome.cleaned and outcome.deleted)):
            outcome.differences.append("all was read before it was cleaned or deleted: take more events")
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--calm", action="store_true", help="nothing befalls broker and topic")
    chosen = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        outcome = run(Path(folder), chosen.events, chosen.seed, is_calm=chosen.calm)
    landed = outcome.events + outcome.broken - outcome.cleaned - outcome.deleted
    gone = f"{outcome.cleaned:,} cleaned and {outcome.deleted:,} deleted with their topic before they were read"
    print(
        f"events: {outcome.events:,} of {outcome.companies:,} companies and {outcome.broken:,} broken; {gone}; "
        f"the others landed in {outcome.seconds:.1f} s and {len(outcome.runs)} runs, "
        f"{landed / outcome.seconds:,.0f} a second, {max(run.peak_mb for run in outcome.runs):.0f} MB; "
        f"{time.monotonic() - began:.0f} s in all"
    )
    for difference in outcome.differences:
        print(f"events: {difference}")
    sys.exit(1 if outcome.differences else 0)


if __name__ == "__main__":
    main()
