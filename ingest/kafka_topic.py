"""A consumer of one topic: logging in, who the topic is, its messages from given offsets to its present end.

librdkafka decodes and checks whole batches of any codec in C. Its settings: its CONFIGURATION.md.
"""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from ingest.sources import KafkaLogin, KafkaSource
from ingest.warehouse.errors import OperatorError

POLL_MESSAGES = 5_000
POLL_S = 0.1
BATCH_BYTES = 4 << 20
BUFFER_KB = 8 << 10  # fetched ahead
BOOTSTRAP_S = 10.0
TOPIC_ID_S = 5.0
STALL_S = 60.0  # no partition moved for so long: the broker is gone, or holds back what it announced
NO_TOPIC_ID = "A" * 22  # 16 zero bytes: brokers before 2.8 give no ids
REFUSALS = {
    KafkaError._AUTHENTICATION,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}
DAMAGED = {KafkaError._BAD_MSG, KafkaError._BAD_COMPRESSION}  # a batch whose checksum is wrong, and the like


class Gap(NamedTuple):
    """Messages of a partition that can no longer be read."""

    partition: int
    first_offset: int
    last_offset: int | None  # None: nobody knows
    reason: str

    def __str__(self) -> str:
        last = "the end" if self.last_offset is None else self.last_offset
        return f"offsets {self.first_offset} to {last} are gone, {self.reason}"


class Fetched(NamedTuple):
    """Messages in the order of each partition's offsets, and the next offset of every partition that was read on."""

    messages: list[Message]
    damaged: list[tuple[int, int, str]]  # partition, offset, why: the client passes over the batch
    next_offsets: dict[int, int]
    gaps: list[Gap]


def client_options(login: KafkaLogin) -> dict[str, Any]:
    """How to log in, in the client's words. Raises OperatorError when a file is missing."""
    options: dict[str, Any] = {"security.protocol": login.security_protocol}
    if login.has_password:
        options |= {
            "sasl.mechanism": login.sasl_mechanism,
            "sasl.username": login.user or "",
            "sasl.password": login.password.get_secret_value() if login.password else "",
        }
    files = {
        "ssl.ca.location": ("CA_FILE", login.ca_file),
        "ssl.certificate.location": ("CERTIFICATE_FILE", login.certificate_file),
        "ssl.key.location": ("KEY_FILE", login.key_file),
    }
    for option, (variable, path) in files.items():
        if path and not path.is_file():
            raise OperatorError(f"there is no file {path}", hint=f"check SVOD_KAFKA_{variable}")
        if path:
            options[option] = str(path)
    if login.key_password:
        options["ssl.key.password"] = login.key_password.get_secret_value()
    if login.api_version:
        options["broker.version.fallback"] = login.api_version
    return options


class Topic:
    """A consumer of one topic; it may be read again and again."""

    def __init__(self, source: KafkaSource, login: KafkaLogin) -> None:
        """Connect. Raises OperatorError when no broker answers, the login is refused or the topic does not exist."""
        self.source, self.login = source, login
        self.name, self.brokers = source.kafka_topic, ",".join(source.brokers)
        self.place = f"{source.name}:{self.name}"  # what its watermarks and dead letters go by
        self._errors: list[KafkaError] = []
        options = client_options(login) | {
            "bootstrap.servers": self.brokers,
            "client.id": "svod-ingest",
            "log_level": 0,
            "socket.connection.setup.timeout.ms": int(BOOTSTRAP_S * 1000),
            "error_cb": self._errors.append,
        }
        try:
            self._admin = AdminClient(options)
            self._consumer = Consumer(
                options
                | {
                    "group.id": "svod-ingest",  # a name only: partitions are assigned by hand, nothing is committed
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "auto.offset.reset": "error",
                    "enable.partition.eof": True,
                    "isolation.level": "read_committed",
                    "allow.auto.create.topics": False,
                    "check.crcs": True,
                    "queued.max.messages.kbytes": BUFFER_KB,
                    "fetch.message.max.bytes": 2 << 20,
                }
            )
        except KafkaException as error:
            raise OperatorError(
                f"Kafka {self.brokers}: there is no logging in with these settings ({error.args[0].name()})",
                hint="check SVOD_KAFKA_CA_FILE, SVOD_KAFKA_CERTIFICATE_FILE, SVOD_KAFKA_KEY_FILE and its password",
            ) from None
        try:
            self.partitions = self._partitions()
        except OperatorError:
            self.close()
            raise

    def close(self) -> None:
        """Leave the brokers."""
        self._consumer.close()

    @property
    def topic_id(self) -> str | None:
        """The id that the topic got when it was made; None where brokers give none, as before version 2.8 (KIP-516)."""
        if self.login.api_version and tuple(map(int, self.login.api_version.split("."))) < (2, 8):
            return None
        try:
            described = self._admin.describe_topics(TopicCollection([self.name]), request_timeout=TOPIC_ID_S)
            topic_id = str(described[self.name].result(TOPIC_ID_S).topic_id)
        except (KafkaException, TimeoutError):
            return None
        return None if topic_id == NO_TOPIC_ID else topic_id

    def _partitions(self) -> list[int]:
        """The partitions there are now."""
        deadline = time.monotonic() + BOOTSTRAP_S
        while True:
            try:
                topic = self._consumer.list_topics(self.name, timeout=min(2, BOOTSTRAP_S)).topics[self.name]
                break
            except KafkaException as error:
                self._consumer.poll(0)  # serves `error_cb`
                last = next((told for told in self._errors if told.code() in REFUSALS), None)
                if last or time.monotonic() > deadline:
                    raise self._error(last or (self._errors or [error.args[0]])[-1]) from None
        if topic.error and topic.error.code() in REFUSALS:
            raise self._error(topic.error)
        if topic.error or not topic.partitions:
            raise OperatorError(
                f"Kafka {self.brokers} has no topic {self.name}",
                hint=f"check {self.source.variable('kafka_topic')} and the account's rights",
            )
        return sorted(topic.partitions)

    def _error(self, error: KafkaError) -> OperatorError:
        is_refused = error.code() in REFUSALS
        hint = f"is the broker up, and are {self.source.variable('kafka')} and SVOD_KAFKA_SECURITY_PROTOCOL right?"
        if self.login.has_password:  # some brokers close the connection on a wrong one, which looks like silence
            hint += " Check SVOD_KAFKA_USER, SVOD_KAFKA_PASSWORD, SVOD_KAFKA_SASL_MECHANISM and the account's rights"
        if "SSL" in self.login.security_protocol:
            hint += " Check SVOD_KAFKA_CA_FILE, SVOD_KAFKA_CERTIFICATE_FILE and SVOD_KAFKA_KEY_FILE"
        what = "refuses the login" if is_refused else "does not answer"
        return OperatorError(f"Kafka {self.brokers} {what} ({error.name()})", hint=hint)

    def _partition(self, number: int, offset: int = OFFSET_INVALID) -> TopicPartition:
        return TopicPartition(self.name, number, offset)

    def _bounds(self, number: int) -> tuple[int, int]:
        """The first offset there is, and the one that the next committed message will get."""
        first, end = self._consumer.get_watermark_offsets(self._partition(number), timeout=BOOTSTRAP_S)
        return first, end

    def batches(self, next_offsets: dict[int, int], *, is_made_anew: bool = False) -> Iterator[Fetched]:
        """Yield messages from `next_offsets` (log start where there is none) up to the end offsets of this moment.

        An offset that retention has passed, that lies beyond the log or is of a topic that `is_made_anew` is a gap, and
        reading goes on from the log start. Offsets may have holes: compaction, aborted and marker records.
        """
        try:
            yield from self._batches(next_offsets, is_made_anew)
        except KafkaException as error:
            raise self._error(error.args[0]) from None

    def _batches(self, next_offsets: dict[int, int], is_made_anew: bool) -> Iterator[Fetched]:
        self.partitions = self._partitions()
        reached, ends, gaps = {}, {}, []
        for number in self.partitions:
            first, ends[number] = self._bounds(number)
            reached[number] = next_offsets.get(number, first)
            if is_made_anew or reached[number] > ends[number]:
                gaps.append(Gap(number, reached[number], None, "the topic was made anew"))
                reached[number] = first
            elif reached[number] < first:
                gaps.append(Gap(number, reached[number], first - 1, "retention passed them"))
                reached[number] = first
        yield Fetched([], [], dict(reached), gaps)
        unfinished = {number for number in self.partitions if reached[number] < ends[number]}
        self._assign(reached, unfinished)
        moved_at, size = time.monotonic(), 64
        while unfinished:
            before = dict(reached)
            batch = Fetched([], [], {}, [])
            bytes_read = 0
            while bytes_read < BATCH_BYTES and len(batch.messages) < POLL_MESSAGES:
                polled = self._consumer.consume(size, timeout=POLL_S)
                for message in polled:
                    self._take(message, batch, reached, ends, unfinished)
                    bytes_read += len(message)
                if not polled or not unfinished:
                    break
                size = max(1, min(POLL_MESSAGES, len(batch.messages) * BATCH_BYTES // (4 * bytes_read + 1)))
            moved = {number: offset for number, offset in reached.items() if offset != before[number]}
            if moved or batch.gaps:
                moved_at = time.monotonic()
                yield batch._replace(next_offsets=moved)
            elif time.monotonic() - moved_at > STALL_S:
                raise OperatorError(
                    f"Kafka {self.brokers} sent nothing of {self.name} for {STALL_S:.0f} seconds",
                    hint="is the leader of every partition up? what was landed stays, run again",
                )

    def _assign(self, reached: dict[int, int], unfinished: set[int]) -> None:
        """Fetch these partitions from where they have been read to."""
        partitions = [self._partition(number, reached[number]) for number in unfinished]
        self._consumer.assign(partitions)
        self._consumer.resume(partitions)  # one that was read to its end once is still paused

    def _take(
        self, message: Message, batch: Fetched, reached: dict[int, int], ends: dict[int, int], unfinished: set[int]
    ) -> None:
        """Put what the client brings where it belongs. Raises KafkaException for what cannot be passed over."""
        number, offset, error = message.partition(), message.offset(), message.error()
        if number is None or offset is None or number not in unfinished or (error is None and offset < reached[number]):
            return
        if error is None:
            if offset < ends[number]:
                batch.messages.append(message)
            reached[number] = min(offset + 1, ends[number])
        elif error.code() == KafkaError._PARTITION_EOF:  # aborted and marker records at the end are no messages
            reached[number] = max(reached[number], min(offset, ends[number]))
            ends[number] = reached[number]
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            first, _ = self._bounds(number)
            batch.gaps.append(Gap(number, reached[number], first - 1, "retention passed them"))
            reached[number] = first
            self._assign(reached, unfinished)
        elif error.code() in DAMAGED:
            batch.damaged.append((number, offset, error.str()))
        else:
            raise KafkaException(error)
        if reached[number] >= ends[number]:
            unfinished.discard(number)
            self._consumer.pause([self._partition(number)])
