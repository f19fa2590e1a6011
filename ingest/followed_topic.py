"""A topic that stays connected between landing steps, and says whether there is anything to land."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime

from ingest.kafka import next_offsets_of
from ingest.kafka_topic import Topic
from ingest.landing import Landing
from ingest.sources import KafkaLogin, KafkaSource
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.journal import utc_now


class FollowedTopic:
    """Connects beside whatever else goes on, for brokers that are down let one wait for seconds."""

    def __init__(self, source: KafkaSource, login: KafkaLogin) -> None:
        self.source, self._login = source, login
        self.messages: int | None = None  # that wait to be landed; None: nobody knows
        self.waiting_since: datetime | None = None
        self._next_offsets: dict[int, int] = {}
        self._threads = ThreadPoolExecutor(1, thread_name_prefix=f"{source.name}-connects")
        self._connecting: Future[Topic] | None = None
        self._topic: Topic | None = None
        self._problem: OperatorError | None = None

    def has_news(self) -> bool:
        """Whether a landing step has something to do: messages, or a problem to write down. Does not wait long."""
        if self._problem:
            return True
        if self._topic is None:
            self._connect()
            return self._problem is not None
        try:
            self.messages = self._topic.waiting(self._next_offsets)
        except OperatorError as error:
            self._lost(error)
            return True
        if self.messages and self.waiting_since is None:
            self.waiting_since = utc_now()
        return self.messages > 0

    def _connect(self, *, is_waiting: bool = False) -> None:
        """Begin to, or see what came of it; `is_waiting` until something did."""
        connecting = self._connecting = self._connecting or self._threads.submit(Topic, self.source, self._login)
        if is_waiting or connecting.done():
            self._connecting = None
            try:
                self._topic = connecting.result()
            except OperatorError as error:
                self._lost(error)

    def _lost(self, error: OperatorError) -> None:
        self.close()
        self._problem = error

    def close(self) -> None:
        """Leave the brokers; the next look connects anew."""
        self.messages = None
        if self._topic is not None:
            self._topic.close()
            self._topic = None

    @contextmanager
    def opened(self, work: Landing, _source: KafkaSource) -> Iterator[Topic]:
        """The topic for a landing step. Raises OperatorError where it is lost; what the step raises closes it."""
        if self._topic is None and self._problem is None:
            self._connect(is_waiting=True)
        topic, problem, self._problem = self._topic, self._problem, None
        if topic is None:
            raise problem or OperatorError(f"{self.source.name} is not connected")
        try:
            yield topic
        except BaseException:
            self.close()
            raise
        self._next_offsets = next_offsets_of(work.connection, topic.place)
        self.messages, self.waiting_since = 0, None
