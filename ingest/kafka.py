"""One topic: from the stored offsets to the end offsets seen at the start.

Offsets live in ops.watermarks and move in the transaction that lands the messages, so the broker is never told of them.
"""

from collections.abc import Callable
from typing import NamedTuple

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from ingest import raw
from ingest.kafka_records import NO_TIMESTAMP
from ingest.kafka_topic import Fetched, Gap, Topic
from ingest.raw import DeadLetter
from ingest.warehouse import gaps, journal
from ingest.warehouse.connection import transaction
from ingest.warehouse.errors import OperatorError

OLDEST_MS, NEWEST_MS = -62_135_596_800_000, 253_402_300_799_999  # the years 1 to 9999
MESSAGES = pa.schema(
    [("payload", pa.binary()), ("source_key", pa.string()), ("at_ms", pa.int64()), ("source_position", pa.string())]
)
AS_RECORDS = "select payload::json, source_key, make_timestamp(at_ms * 1000) as source_at, source_position from batch"


class Company(msgspec.Struct):
    """The part of an event that must be there."""

    uid: str | int | None = None


class Event(msgspec.Struct):
    """An event as far as landing looks into it; whatever else it carries is passed over and kept."""

    company: Company | None = None


event_decoder = msgspec.json.Decoder(Event)


class Batch(NamedTuple):
    """Messages to land, those refused, and what else came with them."""

    messages: pa.Table  # MESSAGES, payload as text
    dead_letters: list[DeadLetter]
    next_offsets: dict[int, int]
    gaps: list[Gap]


def why_refused(value: bytes | None, key: bytes | None, at_ms: int | None) -> str | None:
    """Why a message cannot be landed; None when it can. A null value is a tombstone: it needs a key, not a uid."""
    if at_ms is not None and not OLDEST_MS <= at_ms <= NEWEST_MS:
        return "a timestamp out of range"
    if value is None:
        return None if key else "a tombstone without a key"
    try:
        value.decode()
        event = event_decoder.decode(value)
    except UnicodeDecodeError:
        return "not UTF-8"
    except msgspec.ValidationError as error:
        return "carries no company uid" if "$." in str(error) else "not an object"
    except (msgspec.DecodeError, RecursionError):
        return "not JSON"
    return None if event.company and event.company.uid not in (None, "") else "carries no company uid"


def judged(topic: Topic, fetched: Fetched) -> Batch:
    """Tell the messages that can be landed from those that cannot."""
    letters = [
        DeadLetter(topic.place, f"{topic.name}/{number}/{offset}", "a damaged batch of messages", why.encode())
        for number, offset, why in fetched.damaged
    ]
    rows: list[tuple[bytes | None, str | None, int | None, str]] = []
    for message in fetched.messages:
        value, key = message.value, message.key
        place = f"{topic.name}/{message.partition}/{message.offset}"
        at = None if message.at_ms == NO_TIMESTAMP else message.at_ms
        if reason := why_refused(value, key, at):
            letters.append(DeadLetter(topic.place, place, reason, value))
        else:
            rows.append((value, None if key is None else key.decode("utf-8", "backslashreplace"), at, place))
    columns = zip(*rows, strict=True) if rows else [[]] * len(MESSAGES)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, MESSAGES, strict=True)]
    arrays[0] = arrays[0].view(pa.string())  # looked through above
    return Batch(pa.table(arrays, MESSAGES.names), letters, fetched.next_offsets, fetched.gaps)


def next_offsets_of(connection: duckdb.DuckDBPyConnection, place: str) -> dict[int, int]:
    """By partition, the offset up to which the topic at `place` has landed."""
    kept = connection.execute(
        "select source, position from ops.watermarks where starts_with(source, ?)", [f"{place}/"]
    ).fetchall()
    return {int(source.rpartition("/")[2]): int(position) for source, position in kept}


def land_topic(
    connection: duckdb.DuckDBPyConnection,
    topic: Topic,
    step: journal.Step,
    *,
    on_progress: Callable[[int], None] = lambda messages: None,
) -> None:
    """Append the topic's new messages to raw.<source>__events and refused ones to raw.dead_letters, each exactly once.

    Messages and the offsets they bring the topic to go in one transaction a batch, with the gaps that were found.
    Raises OperatorError that names these when all that is there has landed.
    """
    raw_name = raw.raw_table(
        connection,
        f"{topic.source.name}__events",
        f"Messages of topic {topic.name}, one row each; payload null = tombstone.",
    )
    next_offsets = next_offsets_of(connection, topic.place)
    topic_id, known_id = topic.topic_id, journal.watermark(connection, topic.place)
    is_made_anew = bool(topic_id and known_id and topic_id != known_id)
    missing: list[str] = []
    for batch in raw.read_ahead(
        judged(topic, fetched) for fetched in topic.batches(next_offsets, topic_id, is_made_anew=is_made_anew)
    ):
        messages, letters = batch.messages, batch.dead_letters
        if bad := raw.positions_of_bad_json(connection, messages):
            is_bad = pa.array([place in bad for place in messages["source_position"].to_pylist()])
            letters += [
                DeadLetter(topic.place, row["source_position"], "not JSON", row["payload"].encode())
                for row in messages.filter(is_bad).to_pylist()
            ]
            messages = messages.filter(pc.invert(is_bad))
        with transaction(connection):
            step.rows_out += raw.append_selected(connection, raw_name, messages, AS_RECORDS, step.run_id)
            raw.append_dead_letters(connection, letters, step.run_id)
            marks = {f"{topic.place}/{number}": str(offset) for number, offset in batch.next_offsets.items()}
            if topic_id and topic_id != known_id:
                marks[topic.place] = known_id = topic_id
            journal.set_watermarks(connection, marks, step.run_id)
            for gap in batch.gaps:
                missing.append(f"{topic.name}/{gap.partition}: {gap}")
                gaps.keep(connection, topic.source.name, f"{topic.name}/{gap.partition}", *gap[1:], run_id=step.run_id)
        step.rows_in += len(messages) + len(letters)
        on_progress(len(messages) + len(letters))
    if missing:
        raise OperatorError(
            f"messages of {topic.place} are lost: {'; '.join(missing)}",
            hint="have the shop export its companies to a file now and land it with `ingest json`: it makes up for it",
        )
