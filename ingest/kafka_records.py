"""Records of fetched batches: each batch checked and decoded once, nothing that cannot be read stands in the way.

kafka-python's own reader raises at a header whose name is no UTF-8 and at a wrong checksum, and never gets behind them.
This one passes over headers, for nobody reads them, and over what is damaged, which it tells of.
The format: https://kafka.apache.org/documentation/#messageformat
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from kafka.consumer.fetcher import Fetcher
from kafka.errors import UnsupportedCodecError
from kafka.record.util import decode_varint

NO_TIMESTAMP = -1
CURRENT_MAGIC = 2  # of batches since Kafka 0.11


class Message(NamedTuple):
    """A record, or what is in place of records that cannot be read."""

    partition: int
    offset: int
    at_ms: int | None  # NO_TIMESTAMP or None: it has none
    key: bytes | None
    value: bytes | None
    damage: str | None = None  # why nothing is known of it, nor of what is behind it in its batch


def decoded(
    records: bytes, count: int, partition: int, base_offset: int, at_ms: Callable[[int], int]
) -> Iterator[Message]:
    """Take apart the records of a batch: `count` of them, decompressed; `at_ms` makes a time of a record's delta.

    A record that contradicts itself is told of in its place; the next one begins where its length says.
    """
    position, offset = 0, base_offset
    for _ in range(count):
        try:
            length, start = decode_varint(records, position)
            end = start + length
            if length <= 0 or end > len(records):
                raise ValueError("a length that cannot be")
        except (ValueError, IndexError) as error:
            yield Message(partition, offset, None, None, None, f"records that are no records: {error}")
            return
        position = end
        try:
            delta_ms, at = decode_varint(records, start + 1)  # behind attributes, which mean nothing yet
            offset_delta, at = decode_varint(records, at)
            key_length, at = decode_varint(records, at)
            key_end = at + max(key_length, 0)
            value_length, value_at = decode_varint(records, key_end)
            value_end = value_at + max(value_length, 0)
            if value_end > end or base_offset + offset_delta < offset:
                raise ValueError("lengths or an offset that cannot be")
        except (ValueError, IndexError) as error:
            yield Message(partition, offset, None, None, None, f"a record that is none: {error}")
            offset += 1
            continue
        offset = base_offset + offset_delta
        yield Message(
            partition,
            offset,
            at_ms(delta_ms),
            records[at:key_end] if key_length >= 0 else None,
            records[value_at:value_end] if value_length >= 0 else None,
        )
        offset += 1


class PartitionRecords(Fetcher.PartitionRecords):  # type: ignore[misc]  # the client has no types
    """What a fetch brought of a partition, as the client's fetcher asks for it: an iterator over its messages."""

    next_fetch_offset: int
    bytes_read: int

    def _unpack_records(self, tp: Any, records: Any, *_: Any) -> Iterator[Message]:
        """Yield the messages; `next_fetch_offset` is where to read on after each. Raises UnsupportedCodecError."""
        batch = records.next_batch()
        while batch is not None:
            following = records.next_batch()
            first = max(batch.base_offset, self.next_fetch_offset)
            self.bytes_read += batch.size_in_bytes
            if following is not None and following.magic == CURRENT_MAGIC:
                behind = following.base_offset
            else:
                behind = batch.next_offset if batch.magic == CURRENT_MAGIC else 0
            try:
                if not batch.validate_crc():
                    raise ValueError("wrong checksum")
                is_read = batch.magic != CURRENT_MAGIC or self._is_for_readers(batch)
                messages = self._messages(batch, tp.partition) if is_read else iter(())
            except UnsupportedCodecError:
                raise
            except Exception as error:  # every codec has errors of its own
                self.next_fetch_offset = max(behind, first + 1)
                damage = f"offsets {first} to {self.next_fetch_offset - 1}: {type(error).__name__}: {error}"
                yield Message(tp.partition, first, None, None, None, damage)
            else:
                for message in messages:
                    self.next_fetch_offset = message.offset + 1
                    yield message
                self.next_fetch_offset = max(behind, self.next_fetch_offset)
            batch = following
        self.drain()

    def _is_for_readers(self, batch: Any) -> bool:
        """Whether a batch holds messages that were committed; the same bookkeeping as the client's own."""
        self.leader_epoch = batch.leader_epoch
        is_aborted = False
        if batch.has_producer_id():
            self._consume_aborted_transactions_up_to(batch.last_offset)
            if self._contains_abort_marker(batch):
                self.aborted_producer_ids.discard(batch.producer_id)
            else:
                is_aborted = self._is_batch_aborted(batch)
        return not (batch.is_control_batch or is_aborted)

    def _messages(self, batch: Any, partition: int) -> Iterator[Message]:
        if batch.magic != CURRENT_MAGIC:
            return iter(
                [Message(partition, record.offset, record.timestamp, record.key, record.value) for record in batch]
            )
        iter(batch)  # decompresses
        records = bytes(memoryview(batch._buffer)[batch._pos :])
        first_ms, last_ms = batch.first_timestamp, batch.max_timestamp
        at_ms = (lambda _: last_ms) if batch.timestamp_type else (lambda delta: first_ms + delta)
        return decoded(records, batch.records_count, partition, batch.base_offset, at_ms)
