"""A topic lands message by message, each exactly once, whatever dies when. Against a real broker."""

import json
import time
from collections.abc import Iterator
from datetime import datetime

import duckdb
import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.net.sasl.plain import SaslMechanismPlain
from kafka.net.sasl.scram import ScramClient

from ingest.kafka import Topic, client_options, land_topic
from ingest.sources import KafkaLogin, KafkaSource
from ingest.warehouse import journal
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.journal import Step
from tests.ingest.conftest import Ingest
from tests.servers import Kafka


def event(uid: object, **more: object) -> bytes:
    return json.dumps({"event": "company.upserted", "company": {"uid": uid} | more}).encode()


def topic_at(brokers: str, topic: str) -> Topic:
    return Topic(KafkaSource("shop_b", _env_file=None, kafka=brokers, kafka_topic=topic), KafkaLogin(_env_file=None))


class Shop:
    """A topic, a producer to it, and the warehouse it lands in."""

    def __init__(self, kafka: Kafka, topic: str, warehouse: duckdb.DuckDBPyConnection, step: Step) -> None:
        self.kafka, self.topic, self.warehouse, self.step = kafka, topic, warehouse, step
        self.producer: KafkaProducer = kafka.producer()
        self.warnings: list[str] = []

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
            land_topic(self.warehouse, consumer, self.step, warn=self.warnings.append)
        finally:
            if topic is None:
                consumer.close()
        return self.step.rows_in - read

    def positions(self) -> list[str]:
        rows = self.warehouse.execute("select source_position from raw.shop_b__events order by rowid").fetchall()
        return [position.removeprefix(self.topic) for (position,) in rows]

    def offset(self, partition: int = 0) -> str | None:
        return journal.watermark(self.warehouse, f"{self.topic}/{partition}")


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


def test_messages_that_retention_removed_are_reported_and_reading_goes_on(shop):
    for number in range(5):
        shop.send(event(f"b-{number}"))
    with_offsets = shop.ingest()
    for number in range(5, 9):
        shop.send(event(f"b-{number}"))
    admin = shop.kafka.admin()
    admin.delete_records({TopicPartition(shop.topic, 0): 7})
    admin.close()
    assert (with_offsets, shop.ingest()) == (5, 2)
    assert shop.warnings == [f"{shop.topic}/0: offsets 5 to 6 are gone, retention passed them"]
    assert shop.positions()[-2:] == ["/0/7", "/0/8"]


def test_a_topic_made_anew_is_reported_and_read_from_its_start(shop):
    shop.send(event("b-1"))
    journal.set_watermark(shop.warehouse, f"{shop.topic}/0", "1000", "run-0")
    assert shop.ingest() == 1
    assert shop.warnings == [f"{shop.topic}/0: offset 1000 is beyond the end 1, the topic was made anew"]


def test_an_open_consumer_goes_on_where_it_was(shop):
    topic = shop.open()
    try:
        for number in range(3):
            shop.send(event(f"b-{number}"))
            assert shop.ingest(topic) == 1
    finally:
        topic.close()


def test_a_failed_append_moves_no_offset(shop, monkeypatch):
    shop.send(event("b-1"))

    def broken(*_: object) -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr("ingest.warehouse.journal.set_watermark", broken)
    with pytest.raises(RuntimeError, match="disk full"):
        shop.ingest()
    monkeypatch.undo()
    assert (shop.offset(), shop.positions()) == (None, [])
    assert shop.ingest() == 1


def test_a_missing_topic_and_a_silent_broker_are_one_line_with_a_hint(kafka, monkeypatch):
    monkeypatch.setattr("ingest.kafka.BOOTSTRAP_MS", 1000)
    for broker, topic, problem in (
        (kafka.bootstrap, "no-such", "has no topic no-such"),
        ("127.0.0.1:1", "t", "not answer"),
    ):
        with pytest.raises(OperatorError, match=problem) as caught:
            topic_at(broker, topic)
        assert caught.value.hint and "\n" not in caught.value.problem


def test_a_killed_run_goes_on_and_lands_every_message_once(ingest: Ingest, kafka: Kafka):
    with kafka.topic() as topic:
        producer = kafka.producer(linger_ms=20, batch_size=1 << 17)
        for number in range(30_000):
            producer.send(topic, event(f"b-{number}", filler="х" * 100), f"b-{number}".encode(), partition=number % 3)
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


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_user_and_a_password_of_whatever_characters_are_sent_as_the_protocol_has_them(mechanism):
    login = KafkaLogin(
        _env_file=None, security_protocol="SASL_SSL", sasl_mechanism=mechanism, user="shop=b,свод", password="п@р%, =/"
    )
    options = client_options(login)
    client = ScramClient(options["sasl_plain_username"], options["sasl_plain_password"], options["sasl_mechanism"])
    assert client.first_message().decode().startswith("n,,n=shop=3Db=2Cсвод,r=")
    plain = client_options(login.model_copy(update={"sasl_mechanism": "PLAIN"}))
    sent = SaslMechanismPlain(**plain).auth_bytes()
    assert sent.decode().split("\0")[1:] == ["shop=b,свод", "п@р%, =/"]
