"""A topic lands message by message, each exactly once, whatever dies when. Against a real broker."""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from confluent_kafka import Producer
from kafka import KafkaProducer, TopicPartition
from kafka.admin import NewPartitions, NewTopic

from ingest import raw
from ingest.json_file import JSONFile, land_json_file
from ingest.kafka import land_topic
from ingest.kafka_topic import Topic
from ingest.raw import DeadLetter
from ingest.sources import JSONSource, KafkaLogin, KafkaSource
from ingest.status import status_tables
from ingest.warehouse import gaps, journal
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.journal import Step
from tests.failures_page import as_on_the_page
from tests.ingest.conftest import Ingest
from tests.servers import Kafka


def event(uid: object, **more: object) -> bytes:
    return json.dumps({"event": "company.upserted", "company": {"uid": uid} | more}).encode()


def topic_at(brokers: str, topic: str, **login: str) -> Topic:
    source = KafkaSource("shop_b", _env_file=None, kafka=brokers, kafka_topic=topic)
    return Topic(source, KafkaLogin(_env_file=None, **login))


class Shop:
    """A topic, a producer to it, and the warehouse it lands in."""

    def __init__(self, kafka: Kafka, topic: str, warehouse: duckdb.DuckDBPyConnection, step: Step) -> None:
        self.kafka, self.topic, self.warehouse, self.step = kafka, topic, warehouse, step
        self.producer: KafkaProducer = kafka.producer()

    def send(self, value: bytes | None, key: str | None = "b-1", partition: int = 0, at: int | None = None) -> None:
        encoded = key.encode() if key is not None else None
        self.producer.send(self.topic, value, encoded, partition=partition, timestamp_ms=at).get(10)

    def open(self) -> Topic:
        return topic_at(self.kafka.bootstrap, self.topic)

    def ingest(self, topic: Topic | None = None) -> int:
        """Land what there is; return the number of messages read."""
        read = self.step.rows_in
        consumer = topic or self.open()
        try:
            land_topic(self.warehouse, consumer, self.step)
        finally:
            if topic is None:
                consumer.close()
        return self.step.rows_in - read

    def positions(self) -> list[str]:
        rows = self.warehouse.execute("select source_position from raw.shop_b__events order by rowid").fetchall()
        return [position.removeprefix(self.topic) for (position,) in rows]

    def offset(self, partition: int = 0) -> str | None:
        return journal.watermark(self.warehouse, f"shop_b:{self.topic}/{partition}")

    def letters(self) -> list[tuple[str, str]]:
        """Place and reason of each dead letter."""
        rows = self.warehouse.execute("select source_position, reason from raw.dead_letters order by rowid").fetchall()
        return [(position.removeprefix(self.topic), reason) for position, reason in rows]

    def gaps(self) -> list[tuple]:
        rows = self.warehouse.execute(
            "select source, place, first_offset, last_offset, reason from ops.gaps"
        ).fetchall()
        return [(source, place.removeprefix(self.topic), *rest) for source, place, *rest in rows]


@pytest.fixture
def shop(kafka: Kafka, warehouse: duckdb.DuckDBPyConnection, step: Step) -> Iterator[Shop]:
    with kafka.topic() as topic:
        shop = Shop(kafka, topic, warehouse, step)
        yield shop
        shop.producer.close()


def test_the_envelope_holds_value_key_time_and_offset(shop):
    value = b'{"event": "company.upserted", "company": {"uid": "b-1", "total": 15320.50, "inn": 7707083893}}'
    shop.send(value, "b-1", partition=2, at=1_790_000_000_123)
    shop.ingest()
    row = shop.warehouse.execute("select * exclude ingested_at from raw.shop_b__events").fetchone()
    at = datetime(2026, 9, 21, 14, 13, 20, 123_000)
    assert row == (value.decode(), "b-1", at, f"{shop.topic}/2/0", "run-1")
    assert shop.offset(2) == "1"


def test_every_partition_is_read_to_its_end_and_then_only_what_is_new(shop):
    for number in range(30):
        shop.send(event(f"b-{number}"), partition=number % 3)
    assert shop.ingest() == 30
    assert shop.ingest() == 0
    shop.send(event("b-30"), partition=1)
    assert shop.ingest() == 1
    assert sorted(shop.positions()) == sorted([f"/{p}/{o}" for p in range(3) for o in range(10)] + ["/1/10"])


def test_a_tombstone_lands_as_null_with_its_key(shop):
    shop.send(None, "b-7")
    shop.ingest()
    assert shop.warehouse.execute("select payload, source_key from raw.shop_b__events").fetchall() == [(None, "b-7")]


def test_what_is_no_event_is_quarantined_with_place_and_reason_and_the_rest_lands(shop):
    bad = {
        b"\xff\xfe{}": "not UTF-8",
        b"": "not JSON",
        b"{oops": "not JSON",
        b'{"company": {"uid": "b-1"}} x': "not JSON",
        b'{"company": {"uid": "b-1", "n": NaN}}': "not JSON",
        b'{"company": {"uid": "b-1", "title": "\\ud83d"}}': "not JSON",
        b"[1]": "not an object",
        b"null": "not an object",
        b'"text"': "not an object",
        b"{}": "carries no company uid",
        b'{"company": []}': "carries no company uid",
        b'{"company": {"uid": ""}}': "carries no company uid",
        b'{"company": {"uid": null}}': "carries no company uid",
        b'{"x": ' + b"[" * 100_000: "not JSON",
    }
    for value in bad:
        shop.send(value)
    shop.send(None, key="")
    shop.send(event("b-1"))
    assert shop.ingest() == len(bad) + 2
    letters = shop.warehouse.execute(
        """select source_position, reason, payload from raw.dead_letters
           order by split_part(source_position, '/', 3)::int"""
    ).fetchall()
    assert [(reason, payload) for _, reason, payload in letters[:-1]] == [(r, v) for v, r in bad.items()]
    assert letters[-1] == (f"{shop.topic}/0/{len(bad)}", "a tombstone without a key", None)
    assert shop.positions() == [f"/0/{len(bad) + 1}"]
    assert shop.ingest() == 0


def test_aborted_messages_do_not_land_and_markers_do_not_hang(shop):
    producer = shop.kafka.producer(transactional_id=f"{shop.topic}-t")
    try:
        producer.init_transactions()
        for uid, end in ("b-1", producer.commit_transaction), ("b-2", producer.abort_transaction):
            producer.begin_transaction()
            producer.send(shop.topic, event(uid), uid.encode(), partition=0).get(10)
            end()
    finally:
        producer.close()
    started = time.monotonic()
    assert shop.ingest() == 1
    assert shop.positions() == ["/0/0"]
    assert shop.offset() == "4"  # two messages and two markers
    assert shop.ingest() == 0
    assert time.monotonic() - started < 30  # not a promise of speed: the stall detector did not end this


def test_messages_that_retention_removed_fail_the_step_once_and_stay_in_the_status(shop):
    for number in range(5):
        shop.send(event(f"b-{number}"))
    assert shop.ingest() == 5
    for number in range(5, 9):
        shop.send(event(f"b-{number}"))
    admin = shop.kafka.admin()
    admin.delete_records({TopicPartition(shop.topic, 0): 7})
    admin.close()
    with pytest.raises(OperatorError) as caught:
        shop.ingest()
    assert f"{shop.topic}/0: offsets 5 to 6 are gone, retention passed them" in caught.value.problem
    assert "ingest json" in caught.value.hint
    assert shop.positions()[-2:] == ["/0/7", "/0/8"] and shop.ingest() == 0
    assert shop.gaps() == [("shop_b", "/0", 5, 6, "retention passed them")]
    (table,) = [
        one for one in status_tables(shop.warehouse, timedelta(30), 30) if one.title.startswith("Messages lost")
    ]
    assert table.rows[0][1:4] == (f"{shop.topic}/0", 5, 6)


def test_a_file_that_was_made_after_a_gap_repairs_it(shop, tmp_path):
    gaps.keep(shop.warehouse, "shop_b", "t/0", 5, 6, "retention passed them", run_id="run-0")
    source = JSONSource("shop_b", _env_file=None, array="companies.item")
    for name, age, exported_at in (
        ("old.json", 3600, "no time"),
        ("a copy of an old one.json", -1, "2026-10-01T03:00:00+03:00"),
        ("new.json", -1, "2096-10-01T03:00:00+03:00"),
    ):
        assert shop.warehouse.execute("select repaired_at from ops.gaps").fetchall() == [(None,)]
        path = tmp_path / name
        path.write_text(json.dumps({"exported_at": exported_at, "companies": [{}]}))
        os.utime(path, (time.time() - age,) * 2)
        land_json_file(shop.warehouse, JSONFile(path, name, source), shop.step)
    assert shop.warehouse.execute("select repaired_at is null from ops.gaps").fetchall() == [(False,)]


def test_retention_that_overtakes_reading_is_a_gap(shop, monkeypatch):
    monkeypatch.setattr("ingest.kafka_topic.POLL_MESSAGES", 10)
    monkeypatch.setattr("ingest.kafka_topic.PARTITION_BYTES", 1)  # one batch an answer
    for number in range(300):
        shop.send(event(f"b-{number}", filler="x" * 5000))
    topic = shop.open()
    reading = topic.batches({})
    first = [next(reading), next(reading)]
    admin = shop.kafka.admin()
    admin.delete_records({TopicPartition(shop.topic, 0): 290})
    admin.close()
    batches = [*first, *reading]
    topic.close()
    (gap,) = [gap for batch in batches for gap in batch.gaps]
    read = [message.offset for batch in batches for message in batch.messages]
    assert gap.last_offset == 289 and read == [*range(gap.first_offset), *range(290, 300)]


def made_anew(shop: Shop) -> None:
    admin = shop.kafka.admin()
    admin.delete_topics([shop.topic])
    while shop.topic in admin.list_topics():
        time.sleep(0.05)
    admin.create_topics([NewTopic(shop.topic, num_partitions=3, replication_factor=1)])
    admin.close()


def test_a_topic_made_anew_is_known_by_its_id_and_read_from_its_start(shop):
    for number in range(5):
        shop.send(event(f"b-{number}"))
    shop.ingest()
    made_anew(shop)
    for number in range(8):  # more than were read: offsets alone do not tell
        shop.send(event(f"c-{number}"))
    with pytest.raises(OperatorError, match="offsets 5 to the end are gone, the topic was made anew"):
        shop.ingest()
    assert shop.positions() == [f"/0/{n}" for n in [*range(5), *range(8)]]
    assert shop.ingest() == 0


def test_a_topic_made_anew_while_it_is_read_ends_the_run_and_the_next_one_reads_it_once(shop, monkeypatch):
    monkeypatch.setattr("ingest.kafka_topic.POLL_MESSAGES", 10)
    monkeypatch.setattr("ingest.kafka_topic.PARTITION_BYTES", 1)  # one batch an answer
    for number in range(100):
        shop.send(event(f"b-{number}"))

    def befall(messages: int, befallen: list[int] = []) -> None:  # noqa: B006
        if messages and not befallen:
            befallen.append(messages)
            made_anew(shop)
            for number in range(200):  # more than were read: the offset is one of the new topic, too
                shop.send(event(f"c-{number}"))

    topic = shop.open()
    with pytest.raises(OperatorError) as told:
        land_topic(shop.warehouse, topic, shop.step, on_progress=befall)
    assert as_on_the_page("topic … was deleted, made anew or cut short while it was read", told.value.problem)
    topic.close()
    with pytest.raises(OperatorError, match="the topic was made anew"):
        shop.ingest()
    rows = shop.warehouse.execute(
        "select payload ->> '$.company.uid' from raw.shop_b__events order by rowid"
    ).fetchall()
    landed = [uid for (uid,) in rows]
    gap = next(first for _, place, first, *_ in shop.gaps() if place == "/0")
    assert 0 < gap < 100 and landed == [*(f"b-{n}" for n in range(gap)), *(f"c-{n}" for n in range(200))]


def test_an_offset_beyond_the_end_is_of_another_topic_too(shop):
    shop.send(event("b-1"))
    journal.set_watermark(shop.warehouse, f"shop_b:{shop.topic}/0", "1000", "run-0")
    with pytest.raises(OperatorError, match="offsets 1000 to the end are gone, the topic was made anew"):
        shop.ingest()
    assert shop.positions() == ["/0/0"]


def test_the_same_dead_letter_at_the_same_place_of_a_topic_made_anew_is_kept(warehouse):
    for payload in (b"x", b"y", b"y", None, None):
        raw.append_dead_letters(warehouse, [DeadLetter("t", "t/0/0", "not JSON", payload)], "run-1")
    assert warehouse.execute("select payload from raw.dead_letters").fetchall() == [(b"x",), (b"y",), (None,)]


@pytest.mark.parametrize("codec", ["none", "gzip", "lz4", "snappy", "zstd"])
def test_every_codec_is_read(shop, codec):
    producer = Producer({"bootstrap.servers": shop.kafka.bootstrap, "compression.type": codec, "linger.ms": 50})
    for number in range(50):
        producer.produce(shop.topic, event(f"b-{number}", filler="x" * 1000), b"k", partition=0)
    producer.flush()
    assert shop.ingest() == 50


def test_a_batch_with_a_wrong_checksum_is_a_dead_letter_and_what_is_behind_it_lands(shop):
    shop.send(event("b-0"))
    producer = Producer({"bootstrap.servers": shop.kafka.bootstrap, "compression.type": "zstd", "linger.ms": 200})
    for number in range(1, 21):
        producer.produce(shop.topic, event(f"b-{number}", filler="x" * 100), b"k", partition=0)
    producer.flush()
    shop.send(event("b-21"))
    admin = shop.kafka.admin()
    (broker,) = admin.describe_log_dirs([shop.topic])
    admin.close()
    log = Path(broker["log_dirs"][0]["log_dir"], f"{shop.topic}-0", f"{0:020}.log")
    if not log.exists():
        pytest.skip("the broker is elsewhere")
    at = log.read_bytes().index(b"\x28\xb5\x2f\xfd") + 20  # into what zstd wrote
    with log.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0xFF]))
    assert shop.ingest() == 3
    assert shop.letters() == [("/0/1", "a damaged batch of messages")]
    (payload,) = shop.warehouse.execute("select payload from raw.dead_letters").fetchone()
    assert payload == b"offsets 1 to 20: ValueError: wrong checksum"
    assert shop.positions() == ["/0/0", "/0/21"] and shop.offset() == "22" and shop.ingest() == 0


class BadName(str):
    """A header's name whose bytes are no UTF-8."""

    def encode(self, *_: object) -> bytes:
        return b"\xff\xfe"


@pytest.fixture
def shop_of_any_time(kafka: Kafka, warehouse: duckdb.DuckDBPyConnection, step: Step) -> Iterator[Shop]:
    with kafka.topic(message_timestamp_after_max_ms=str(2**63 - 1), retention_ms="-1") as topic:
        shop = Shop(kafka, topic, warehouse, step)
        yield shop
        shop.producer.close()


def test_a_time_out_of_range_is_a_dead_letter_and_headers_that_are_no_text_are_nothing(shop_of_any_time):
    shop = shop_of_any_time
    shop.send(event("b-0"), at=2**62)
    shop.producer.send(shop.topic, event("b-1"), b"k", partition=0, headers=[(BadName("x"), b"\xff")]).get(10)
    shop.send(event("b-2"), at=0)
    shop.send(event("b-3"), at=253_402_300_800_000)
    assert shop.ingest() == 4
    assert shop.letters() == [("/0/0", "a timestamp out of range"), ("/0/3", "a timestamp out of range")]
    assert shop.positions() == ["/0/1", "/0/2"] and shop.offset() == "4" and shop.ingest() == 0


def test_bytes_that_are_no_text_are_found_wherever_they_are(shop):
    shop.send(b'{"company": {"uid": "b-1", "title": "\xff"}}')
    shop.send(event("b-2"))
    assert shop.ingest() == 2
    assert shop.letters() == [("/0/0", "not UTF-8")] and shop.positions() == ["/0/1"]


def test_messages_of_five_megabytes_land(kafka, warehouse, step):
    with kafka.topic(max_message_bytes="8000000") as topic:
        shop = Shop(kafka, topic, warehouse, step)
        producer = Producer({"bootstrap.servers": kafka.bootstrap, "message.max.bytes": 8_000_000})
        for number in range(4):
            producer.produce(topic, event(f"b-{number}", filler="x" * 5_000_000), b"k", partition=number % 2)
        producer.flush()
        assert shop.ingest() == 4
        shop.producer.close()


def test_a_partition_that_was_added_is_read(shop):
    shop.send(event("b-1"))
    shop.ingest()
    admin = shop.kafka.admin()
    admin.create_partitions({shop.topic: NewPartitions(total_count=5)})
    admin.close()
    shop.producer.close()
    shop.producer = shop.kafka.producer()
    shop.send(event("b-2"), partition=4)
    assert shop.ingest() == 1 and shop.offset(4) == "1"


def test_an_open_consumer_goes_on_where_it_was(shop):
    topic = shop.open()
    try:
        for number in range(3):
            shop.send(event(f"b-{number}"))
            assert shop.ingest(topic) == 1
    finally:
        topic.close()


def test_an_open_consumer_gets_all_of_a_topic_that_grows_while_it_is_read(shop, monkeypatch):
    monkeypatch.setattr("ingest.kafka_topic.STALL_S", 2.0)
    reached = {number: 0 for number in range(3)}

    def grow(messages: int) -> None:
        for number in range(messages * len(reached)):
            shop.producer.send(shop.topic, event(f"b-{number}"), b"b-1", partition=number % len(reached))
        shop.producer.flush(10)

    with closing(shop.open()) as topic:
        for _ in range(4):
            grow(1)
            batches = topic.batches(reached)
            next(batches)  # by then it knows the ends
            grow(100)  # more than it polls for at first
            for batch in batches:
                reached |= batch.next_offsets
            assert topic.waiting(reached) == len(reached) * 100


@pytest.mark.parametrize("is_reached", [True, False])
def test_a_silent_connection_is_made_anew_or_where_no_broker_answers_waited_for(shop, monkeypatch, is_reached):
    monkeypatch.setattr("ingest.kafka_topic.RECONNECT_S", 0.2)
    shop.send(event("b-1"))
    with closing(shop.open()) as topic:
        poll, silences = topic._consumer.poll, iter([0.1] * 10)

        def poll_in_vain(*args: int) -> dict:
            for seconds in silences:
                time.sleep(seconds)
                return {}
            return poll(*args)

        monkeypatch.setattr(topic._consumer, "poll", poll_in_vain)
        if not is_reached:
            topic._options |= {"bootstrap_servers": "127.0.0.1:1", "bootstrap_timeout_ms": 300}
        assert shop.ingest(topic) == 1
        assert any(silences) == is_reached
        shop.send(event("b-2"))
        assert shop.ingest(topic) == 1


def test_a_failed_append_moves_no_offset(shop, monkeypatch):
    shop.send(event("b-1"))

    def broken(*_: object) -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr("ingest.warehouse.journal.set_watermarks", broken)
    with pytest.raises(RuntimeError, match="disk full"):
        shop.ingest()
    monkeypatch.undo()
    assert (shop.offset(), shop.positions()) == (None, [])
    assert shop.ingest() == 1


@pytest.mark.parametrize("login", [{}, {"api_version": "2.0"}])
def test_a_missing_topic_and_a_silent_broker_are_one_line_with_a_hint(kafka, monkeypatch, login):
    monkeypatch.setattr("ingest.kafka_topic.BOOTSTRAP_S", 1.0)
    with socket.socket() as deaf:  # takes connections and says nothing
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        for broker, topic, problem in (
            (kafka.bootstrap, "no-such", "has no topic no-such"),
            ("127.0.0.1:1", "t", "not answer"),
            (f"127.0.0.1:{deaf.getsockname()[1]}", "t", "not answer"),
        ):
            started = time.monotonic()
            with pytest.raises(OperatorError, match=problem) as caught:
                topic_at(broker, topic, **login)
            assert caught.value.hint and "\n" not in caught.value.problem
            assert time.monotonic() - started < 15


def test_a_pinned_version_of_the_protocol_reads(shop):
    shop.send(event("b-1"))
    topic = topic_at(shop.kafka.bootstrap, shop.topic, api_version="2.0")
    try:
        assert shop.ingest(topic) == 1
    finally:
        topic.close()


def test_a_killed_run_goes_on_and_lands_every_message_once(ingest: Ingest, kafka: Kafka):
    with kafka.topic() as topic:
        producer = kafka.producer(linger_ms=20, batch_size=1 << 17)
        for number in range(30_000):
            producer.send(topic, event(f"b-{number}", filler="х" * 200), f"b-{number}".encode(), partition=number % 3)
        producer.flush()
        producer.close()
        ingest.set(shop_b_kafka=kafka.bootstrap, shop_b_kafka_topic=topic)
        for _ in range(2):
            assert ingest.run_killed("kafka", committed=6_000_000)
            assert 0 < ingest.query("select count(*) from raw.shop_b__events")[0][0] < 30_000
        finished = ingest.run("kafka")
        assert finished.returncode == 0, finished.stderr
    assert ingest.query(
        "select count(*), count(distinct source_position), count(distinct source_key) from raw.shop_b__events"
    ) == [(30_000, 30_000, 30_000)]
