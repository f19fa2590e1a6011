"""A consumer of one topic: who the topic is, its messages from given offsets to its present end.

How one logs in is in kafka_login, how batches are decoded in kafka_records; here is what goes between the latter and
the client, kafka-python.
"""

import base64
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from uuid import UUID

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    LogTruncationError,
    NoError,
    OffsetOutOfRangeError,
    UnsupportedCodecError,
    for_code,
)
from kafka.net.compat import KafkaNetClient
from kafka.net.selector import NetworkSelector

from ingest.kafka_login import REFUSALS, Connections, client_options
from ingest.kafka_records import Message, PartitionRecords
from ingest.sources import KafkaLogin, KafkaSource
from ingest.warehouse.errors import OperatorError

POLL_MESSAGES = 5_000
POLL_S = 0.1
BATCH_BYTES = 4 << 20
PARTITION_BYTES = 2 << 20  # of each partition in an answer
FETCH_BYTES = 8 << 20  # of an answer
BOOTSTRAP_S = 10.0
RECONNECT_S = 10.0  # no partition moved for so long: perhaps the connection is dead, which shows only much later
STALL_S = 60.0  # nor for so long: the broker is gone, or holds back what it announced


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
    damaged: list[tuple[int, int, str]]  # partition, offset, why: they are passed over
    next_offsets: dict[int, int]
    gaps: list[Gap]


def id_of(described: dict[str, Any]) -> str | None:
    """The id of a topic that brokers describe; None where there is none."""
    topic_id = UUID(described.get("topic_id") or "0" * 32)
    return base64.b64encode(topic_id.bytes).decode().rstrip("=") if topic_id.int else None


class Topic:
    """A consumer of one topic; it may be read again and again."""

    def __init__(self, source: KafkaSource, login: KafkaLogin) -> None:
        """Connect. Raises OperatorError when no broker answers, the login is refused or the topic does not exist."""
        self.source, self.login = source, login
        self.name, self.brokers = source.kafka_topic, ",".join(source.brokers)
        self.place = f"{source.name}:{self.name}"  # what its watermarks and dead letters go by
        self._clients: list[KafkaNetClient] = []
        try:
            self._options = client_options(login) | {
                "bootstrap_servers": source.brokers,
                "client_id": "svod-ingest",
                "bootstrap_timeout_ms": int(BOOTSTRAP_S * 1000),
                "kafka_client": self._client,
            }
        except OSError as error:  # SSLError is one
            raise OperatorError(
                f"Kafka {self.brokers}: there is no logging in with these settings ({type(error).__name__})",
                hint="check SVOD_KAFKA_CA_FILE, SVOD_KAFKA_CERTIFICATE_FILE, SVOD_KAFKA_KEY_FILE and its password",
            ) from None
        try:
            self._admin = KafkaAdminClient(**self._options, request_timeout_ms=int(BOOTSTRAP_S * 1000))
            self.partitions = self._partitions()
            self._consumer = self._connected()
        except (KafkaError, OSError, ValueError) as error:
            self.close()
            raise self._error(error) from None
        except OperatorError:
            self.close()
            raise

    def _connected(self) -> KafkaConsumer:
        """A consumer that the brokers have answered. Raises KafkaError, OSError."""
        consumer = KafkaConsumer(
            **self._options,
            group_id=None,  # partitions are assigned by hand, nothing is committed
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            allow_auto_create_topics=False,
            max_partition_fetch_bytes=PARTITION_BYTES,
            fetch_max_bytes=FETCH_BYTES,
            metrics_enabled=False,
        )
        consumer.bootstrap(int(BOOTSTRAP_S * 1000))
        consumer._fetcher.PartitionRecords = PartitionRecords
        return consumer

    def _reconnect(self) -> None:
        """Go on with another consumer; while no broker answers, with the one there is, which tries again by itself."""
        useless = self._clients[-1]
        try:
            self._consumer = self._connected()
        except KafkaTimeoutError:
            useless = self._clients[-1]
        self._clients.remove(useless)
        useless.close()

    def _client(self, **options: Any) -> KafkaNetClient:
        """What goes to the network; kept, for its thread and sockets outlive a consumer that could not be made."""
        network = NetworkSelector(**options)
        self._clients.append(KafkaNetClient(network, Connections(network, **options)))
        return self._clients[-1]

    def close(self) -> None:
        """Leave the brokers."""
        for client in self._clients:
            client.close()

    @property
    def topic_id(self) -> str | None:
        """The id that the topic got when it was made; None where brokers give none, as before version 2.8 (KIP-516)."""
        try:
            return id_of(self._described())
        except KafkaError:
            return None

    def _described(self, patience_s: float = BOOTSTRAP_S) -> dict[str, Any]:
        """What brokers know of the topic now. Raises KafkaError."""
        deadline = time.monotonic() + patience_s
        while True:
            try:
                (topic,) = self._admin.describe_topics([self.name])
                return dict(topic)
            except REFUSALS:
                raise
            except KafkaError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_S)

    def _partitions(self) -> list[int]:
        """The partitions there are now. Raises KafkaError, and OperatorError when there is no such topic."""
        topic = self._described()
        error = for_code(topic["error_code"])
        if issubclass(error, REFUSALS):
            raise error()
        if error is not NoError or not topic["partitions"]:
            raise OperatorError(
                f"Kafka {self.brokers} has no topic {self.name}",
                hint=f"check {self.source.variable('kafka_topic')} and the account's rights",
            )
        return sorted(partition["partition_index"] for partition in topic["partitions"])

    def _error(self, error: Exception) -> OperatorError:
        if isinstance(error, UnsupportedCodecError):
            return OperatorError(
                f"topic {self.name} has messages that this machine cannot unpack ({error})",
                hint="install the packages of requirements.txt: make setup",
            )
        hint = f"is the broker up, and are {self.source.variable('kafka')} and SVOD_KAFKA_SECURITY_PROTOCOL right?"
        if self.login.has_password:  # some brokers close the connection on a wrong one, which looks like silence
            hint += " Check SVOD_KAFKA_USER, SVOD_KAFKA_PASSWORD, SVOD_KAFKA_SASL_MECHANISM and the account's rights"
        if "SSL" in self.login.security_protocol:
            hint += " Check SVOD_KAFKA_CA_FILE, SVOD_KAFKA_CERTIFICATE_FILE and SVOD_KAFKA_KEY_FILE"
        what = "refuses the login" if isinstance(error, REFUSALS) else "does not answer"
        return OperatorError(f"Kafka {self.brokers} {what} ({type(error).__name__})", hint=hint)

    def _partition(self, number: int) -> TopicPartition:
        return TopicPartition(self.name, number)

    def _offsets(self, ask: Callable[..., dict[TopicPartition, int]], numbers: list[int]) -> dict[int, int]:
        """Offsets of partitions; `ask` is the consumer's beginning_offsets or end_offsets."""
        offsets = ask([self._partition(number) for number in numbers], timeout_ms=int(BOOTSTRAP_S * 1000))
        return {partition.partition: offset for partition, offset in offsets.items()}

    def waiting(self, next_offsets: dict[int, int]) -> int:
        """How many messages there are from these offsets on, for all that the brokers say; some are markers. An offset
        beyond the end is one that waits to be noticed. Raises OperatorError."""
        try:
            ends = self._offsets(self._consumer.end_offsets, self.partitions)
        except KafkaError as error:
            raise self._error(error) from None
        ahead = (end - next_offsets.get(number, 0) for number, end in ends.items())
        return sum(number if number >= 0 else 1 for number in ahead)

    def batches(
        self, next_offsets: dict[int, int], topic_id: str | None = None, *, is_made_anew: bool = False
    ) -> Iterator[Fetched]:
        """Yield messages from `next_offsets` (log start where there is none) up to the end offsets of this moment.

        An offset that retention has passed, that lies beyond the log or is of a topic that `is_made_anew` is a gap, and
        reading goes on from the log start. Offsets may have holes: compaction, aborted and marker records. Raises
        OperatorError, and yields nothing of another topic, when the topic no longer has the id `topic_id`.
        """
        another = OperatorError(
            f"topic {self.name} was deleted, made anew or cut short while it was read",
            hint="what was landed stays; the next run reads it from its start and tells what is lost",
        )
        try:
            for batch in self._batches(next_offsets, is_made_anew):
                if topic_id and id_of(self._described(STALL_S)) != topic_id:  # an id never comes again
                    raise another
                yield batch
        except LogTruncationError:
            raise another from None
        except (KafkaError, struct.error) as error:  # the latter: a batch too short to have a head
            raise self._error(error) from None

    def _batches(self, next_offsets: dict[int, int], is_made_anew: bool) -> Iterator[Fetched]:
        self.partitions = self._partitions()
        firsts = self._offsets(self._consumer.beginning_offsets, self.partitions)
        ends = self._offsets(self._consumer.end_offsets, self.partitions)  # of what is committed
        reached, gaps = {}, []
        for number in self.partitions:
            reached[number] = next_offsets.get(number, firsts[number])
            if is_made_anew or reached[number] > ends[number]:
                gaps.append(Gap(number, reached[number], None, "the topic was made anew"))
                reached[number] = firsts[number]
            elif reached[number] < firsts[number]:
                gaps.append(Gap(number, reached[number], firsts[number] - 1, "retention passed them"))
                reached[number] = firsts[number]
        yield Fetched([], [], dict(reached), gaps)
        self._seek(reached, ends)
        moved_at, size, has_reconnected = time.monotonic(), 64, False
        while self._unfinished(reached, ends):
            before = dict(reached)
            batch = Fetched([], [], {}, [])
            bytes_read = 0
            while bytes_read < BATCH_BYTES and len(batch.messages) < POLL_MESSAGES:
                polled = self._poll(size, batch, reached, ends)
                bytes_read += polled
                if not polled or not self._unfinished(reached, ends):
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
            elif time.monotonic() - moved_at > RECONNECT_S and not has_reconnected:
                has_reconnected = True
                self._reconnect()
                self._seek(reached, ends)

    def _seek(self, reached: dict[int, int], ends: dict[int, int]) -> None:
        """Let the client read on where the unfinished partitions are."""
        for number in self._unfinished(reached, ends):
            self._consumer.seek(self._partition(number), reached[number])

    def _unfinished(self, reached: dict[int, int], ends: dict[int, int]) -> list[int]:
        """The partitions with something to read; no others are assigned to the client.

        They are not paused instead: the client keeps what it has got of a paused partition, asks for no more of it, and
        once it may go on comes back to what it kept only when it has no records of another partition, be they used up.
        """
        unfinished = [number for number in self.partitions if reached[number] < ends[number]]
        if unfinished:
            self._consumer.assign([self._partition(number) for number in unfinished])
        return unfinished

    def _poll(self, size: int, batch: Fetched, reached: dict[int, int], ends: dict[int, int]) -> int:
        """Put at most `size` messages where they belong; return the bytes that came."""
        try:
            polled = self._consumer.poll(int(POLL_S * 1000), size)
        except OffsetOutOfRangeError as error:
            for partition in error.args[0]:
                self._start_over(partition.partition, batch, reached, ends)
            return 0
        bytes_read = 0
        for partition, messages in polled.items():
            end = ends[partition.partition]
            for message in messages:
                bytes_read += 1 + len(message.value or b"")
                if message.offset >= end:
                    break
                if message.damage:
                    batch.damaged.append((message.partition, message.offset, message.damage))
                else:
                    batch.messages.append(message)
        for partition in self._consumer.assignment():  # also those that brought markers and aborted messages only
            number, position = partition.partition, self._consumer.position(partition, int(BOOTSTRAP_S * 1000))
            reached[number] = max(reached[number], min(position, ends[number]))
        return bytes_read

    def _start_over(self, number: int, batch: Fetched, reached: dict[int, int], ends: dict[int, int]) -> None:
        """Go on at the beginning of a log that no longer has what comes next."""
        first = self._offsets(self._consumer.beginning_offsets, [number])[number]
        if first > reached[number]:
            batch.gaps.append(Gap(number, reached[number], first - 1, "retention passed them"))
        else:
            batch.gaps.append(Gap(number, reached[number], None, "the topic was made anew"))
            ends[number] = self._offsets(self._consumer.end_offsets, [number])[number]
        reached[number] = first
        self._consumer.seek(self._partition(number), first)
