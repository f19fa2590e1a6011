"""One topic: from the stored offsets to the end offsets seen at the start.

Offsets live in ops.watermarks and move in the transaction that lands the messages, so the broker is never told of them:
partitions are assigned by hand and there is no consumer group.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from time import monotonic
from typing import Any, NamedTuple

import duckdb
import msgspec
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaError

from ingest import raw
from ingest.raw import DeadLetter, RawRecord
from ingest.sources import KafkaLogin, KafkaSource
from ingest.warehouse import journal
from ingest.warehouse.connection import transaction
from ingest.warehouse.errors import OperatorError

POLL_RECORDS = 5_000
POLL_MS = 500
BOOTSTRAP_MS = 10_000
STALL_SECONDS = 60  # no partition moved for so long: the broker is gone, or holds back what it announced


class Company(msgspec.Struct):
    """The part of an event that must be there."""

    uid: str | int | None = None


class Event(msgspec.Struct):
    """An event as far as landing looks into it; whatever else it carries is passed over and kept."""

    company: Company | None = None


event_decoder = msgspec.json.Decoder(Event)


class Batch(NamedTuple):
    """Messages, and the next offset of every partition that was read on."""

    records: list[RawRecord]
    dead_letters: list[DeadLetter]
    next_offsets: dict[int, int]


def why_refused(message: ConsumerRecord) -> str | None:
    """Why a message cannot be landed; None when it can. A null value is a tombstone: it needs a key, not a uid."""
    if message.value is None:
        return None if message.key else "a tombstone without a key"
    try:
        message.value.decode("utf-8")
        event = event_decoder.decode(message.value)
    except UnicodeDecodeError:
        return "not UTF-8"
    except msgspec.ValidationError as error:
        return "carries no company uid" if "$." in str(error) else "not an object"
    except (msgspec.DecodeError, RecursionError):
        return "not JSON"
    return None if event.company and event.company.uid not in (None, "") else "carries no company uid"


def client_options(login: KafkaLogin) -> dict[str, Any]:
    """How to log in, in the client's words. Raises OperatorError when the CA file is missing."""
    options: dict[str, Any] = {"security_protocol": login.security_protocol}
    if login.has_password:
        options["sasl_mechanism"] = login.sasl_mechanism
        user = login.user or ""
        if login.sasl_mechanism != "PLAIN":  # RFC 5802, section 5.1: these two separate what is sent with it
            user = user.replace("=", "=3D").replace(",", "=2C")
        options["sasl_plain_username"] = user
        options["sasl_plain_password"] = login.password.get_secret_value() if login.password else ""
    if login.ca_file:
        if not login.ca_file.is_file():
            raise OperatorError(f"there is no file {login.ca_file}", hint="check SVOD_KAFKA_CA_FILE")
        options["ssl_cafile"] = str(login.ca_file)
    if login.api_version:
        options["api_version"] = tuple(int(number) for number in login.api_version.split("."))
    return options


class Topic:
    """A consumer of one topic; it may be read again and again."""

    def __init__(self, source: KafkaSource, login: KafkaLogin) -> None:
        """Connect. Raises OperatorError when no broker answers, the login is refused or the topic does not exist."""
        self.source, self.login = source, login
        self.name, self.brokers = source.kafka_topic, ",".join(source.brokers)
        options = client_options(login)
        try:
            self.consumer = KafkaConsumer(
                bootstrap_servers=source.brokers,
                client_id="svod-ingest",
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="earliest",  # where retention passes us by in the middle of a read
                isolation_level="read_committed",
                allow_auto_create_topics=False,
                max_poll_records=POLL_RECORDS,
                max_partition_fetch_bytes=4 << 20,
                bootstrap_timeout_ms=BOOTSTRAP_MS,
                **options,
            )
        except (KafkaError, OSError, ValueError) as error:
            # The client's own thread outlives a failed start and keeps its error, and with it every frame up to the
            # command's and the warehouse's connection, beyond the interpreter's end.
            error.__traceback__ = None
            raise self._error(error) from None
        try:
            self.partitions = sorted(self.consumer.partitions_for_topic(self.name) or ())
        except KafkaError as error:
            self.close()
            raise self._error(error) from None
        if not self.partitions:
            self.close()
            raise OperatorError(
                f"Kafka {self.brokers} has no topic {self.name}",
                hint=f"check {source.variable('kafka_topic')} and the account's rights",
            )

    def _error(self, error: Exception) -> OperatorError:
        is_refused = "Sasl" in type(error).__name__ or "Authorization" in type(error).__name__
        hint = f"is the broker up, and are {self.source.variable('kafka')} and SVOD_KAFKA_SECURITY_PROTOCOL right?"
        if self.login.has_password:  # some brokers close the connection on a wrong one, which looks like silence
            hint += " Check SVOD_KAFKA_USER, SVOD_KAFKA_PASSWORD, SVOD_KAFKA_SASL_MECHANISM and the account's rights"
        what = "refuses the login" if is_refused else "does not answer"
        return OperatorError(f"Kafka {self.brokers} {what} ({type(error).__name__})", hint=hint)

    def close(self) -> None:
        """Leave the brokers."""
        self.consumer.close(autocommit=False)

    def partition(self, number: int) -> TopicPartition:
        """The topic's partition of that number."""
        return TopicPartition(self.name, number)

    def end_offsets(self) -> dict[int, int]:
        """Per partition, the offset the next committed message will get."""
        ends = self.consumer.end_offsets([self.partition(number) for number in self.partitions])
        return {partition.partition: offset for partition, offset in ends.items()}

    def batches(self, next_offsets: dict[int, int], warn: Callable[[str], None]) -> Iterator[Batch]:
        """Yield messages from `next_offsets` (log start where there is none) up to the end offsets of this moment.

        An offset that retention has passed, or that lies beyond the log (a topic made anew), is reported by `warn` and
        reading goes on from the log start. Offsets may have gaps: compaction, aborted and marker records.
        """
        try:
            self.partitions = sorted(self.consumer.partitions_for_topic(self.name) or self.partitions)
            assigned = [self.partition(number) for number in self.partitions]
            self.consumer.assign(assigned)
            starts = {p.partition: offset for p, offset in self.consumer.beginning_offsets(assigned).items()}
            ends = self.end_offsets()
            reached = {}
            for number in self.partitions:
                stored = next_offsets.get(number, starts[number])
                place = f"{self.name}/{number}"
                if stored < starts[number]:
                    warn(f"{place}: offsets {stored} to {starts[number] - 1} are gone, retention passed them")
                elif stored > ends[number]:
                    warn(f"{place}: offset {stored} is beyond the end {ends[number]}, the topic was made anew")
                reached[number] = stored if starts[number] <= stored <= ends[number] else starts[number]
                self.consumer.seek(self.partition(number), reached[number])
            moved_at = monotonic()
            while any(reached[number] < ends[number] for number in reached):
                self.consumer.pause(*(self.partition(number) for number in reached if reached[number] >= ends[number]))
                polled = self.consumer.poll(timeout_ms=POLL_MS)
                next_reached = {
                    number: min(self.consumer.position(self.partition(number)), ends[number]) for number in reached
                }
                if next_reached != reached:
                    moved_at = monotonic()
                    messages = [m for group in polled.values() for m in group if m.offset < ends[m.partition]]
                    yield self._batch(
                        messages,
                        {number: offset for number, offset in next_reached.items() if offset != reached[number]},
                    )
                    reached = next_reached
                elif monotonic() - moved_at > STALL_SECONDS:
                    raise OperatorError(
                        f"Kafka {self.brokers} sent nothing of {self.name} for {STALL_SECONDS} seconds",
                        hint="is the leader of every partition up? what was landed stays, run again",
                    )
        except KafkaError as error:
            raise self._error(error) from None

    def _batch(self, messages: list[ConsumerRecord], next_offsets: dict[int, int]) -> Batch:
        batch = Batch([], [], next_offsets)
        for message in messages:
            place = f"{message.topic}/{message.partition}/{message.offset}"
            reason = why_refused(message)
            if reason:
                batch.dead_letters.append(DeadLetter(message.topic, place, reason, message.value))
                continue
            key = message.key.decode("utf-8", "backslashreplace") if message.key is not None else None
            at = datetime.fromtimestamp(message.timestamp / 1000, UTC).replace(tzinfo=None)
            batch.records.append(RawRecord(message.value, key, at, place))
        return batch


def land_topic(
    connection: duckdb.DuckDBPyConnection,
    topic: Topic,
    step: journal.Step,
    *,
    warn: Callable[[str], None],
    on_progress: Callable[[int], None] = lambda messages: None,
) -> None:
    """Append the topic's new messages to raw.<source>__events and refused ones to raw.dead_letters, each exactly once.

    Messages and the offsets they bring the topic to go in one transaction a batch.
    """
    raw_name = raw.raw_table(
        connection,
        f"{topic.source.name}__events",
        f"Messages of topic {topic.name}, one row each; payload null = tombstone.",
    )
    kept = connection.execute(
        "select source, position from ops.watermarks where starts_with(source, ?)", [f"{topic.name}/"]
    ).fetchall()
    next_offsets = {int(source.rpartition("/")[2]): int(position) for source, position in kept}
    for batch in raw.read_ahead(topic.batches(next_offsets, warn)):
        records, letters = batch.records, batch.dead_letters
        if bad := raw.positions_of_bad_json(connection, records):
            letters += [
                DeadLetter(topic.name, record.source_position, "not JSON", record.payload)
                for record in records
                if record.source_position in bad
            ]
            records = [record for record in records if record.source_position not in bad]
        with transaction(connection):
            step.rows_out += raw.append(connection, raw_name, records, step.run_id)
            raw.append_dead_letters(connection, letters, step.run_id)
            for number, offset in batch.next_offsets.items():
                journal.set_watermark(connection, f"{topic.name}/{number}", str(offset), step.run_id)
        step.rows_in += len(records) + len(letters)
        on_progress(len(records) + len(letters))
