"""A topic between landing steps: whether there is anything to land, and what becomes of brokers that are down."""

import time
from collections.abc import Iterator
from contextlib import closing

import duckdb
import pytest

from ingest.followed_topic import FollowedTopic
from ingest.kafka import land_topic
from ingest.landing import Landing
from ingest.settings import read_settings
from ingest.sources import KafkaLogin, KafkaSource
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.journal import Step
from tests.ingest.test_kafka import event
from tests.servers import Kafka


@pytest.fixture
def work(warehouse: duckdb.DuckDBPyConnection, step: Step, monkeypatch, tmp_path) -> Landing:
    monkeypatch.chdir(tmp_path)
    return Landing(read_settings(), warehouse, step)


def has_news(topic: FollowedTopic, seconds: float = 20) -> bool:
    """Whether it has within a time: it connects beside whoever asks."""
    until = time.monotonic() + seconds
    while not topic.has_news():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def land(topic: FollowedTopic, work: Landing) -> int:
    before = work.step.rows_out
    with topic.opened(work, topic.source) as opened:
        land_topic(work.connection, opened, work.step)
    return work.step.rows_out - before


@pytest.fixture
def topic_name(kafka: Kafka) -> Iterator[str]:
    with kafka.topic() as name:
        yield name


def test_there_is_news_when_messages_have_come_and_none_once_they_have_landed(kafka, topic_name, work):
    source = KafkaSource("shop_b", kafka=kafka.bootstrap, kafka_topic=topic_name)
    producer = kafka.producer()
    with closing(producer), closing(FollowedTopic(source, KafkaLogin())) as topic:
        assert not has_news(topic, 2)
        for number in range(3):
            producer.send(topic_name, event(f"b-{number}"), b"k").get(10)
            assert has_news(topic)
            assert (topic.messages, topic.waiting_since is not None) == (1, True)
            assert land(topic, work) == 1
            assert (topic.has_news(), topic.messages, topic.waiting_since) == (False, 0, None)


def test_brokers_that_are_down_keep_nobody_waiting_and_are_told_of_by_the_next_step(work, monkeypatch):
    monkeypatch.setattr("ingest.kafka_topic.BOOTSTRAP_S", 2.0)
    source = KafkaSource("shop_b", kafka="127.0.0.1:1", kafka_topic="topic")
    with closing(FollowedTopic(source, KafkaLogin())) as topic:
        began = time.monotonic()
        assert not topic.has_news()
        assert time.monotonic() - began < 1
        assert has_news(topic, 60)
        for _ in range(2):  # the second time it connects anew, and waits for what comes of it
            with pytest.raises(OperatorError, match="does not answer"):
                land(topic, work)
            assert topic.messages is None
