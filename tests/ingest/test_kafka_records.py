"""A batch of records is taken apart whatever is in it."""

from hypothesis import given
from hypothesis import strategies as st
from kafka.record.util import encode_varint

from ingest.kafka_records import Message, decoded


def varints(*numbers: int) -> bytes:
    written = bytearray()
    for number in numbers:
        encode_varint(number, written.append)
    return bytes(written)


def field(data: bytes | None) -> bytes:
    return varints(-1) if data is None else varints(len(data)) + data


def record(offset_delta: int, key: bytes | None, value: bytes | None, headers: bytes = varints(0)) -> bytes:
    body = b"\0" + varints(offset_delta * 10, offset_delta) + field(key) + field(value) + headers
    return varints(len(body)) + body


def read(records: bytes, count: int) -> list[Message]:
    return list(decoded(records, count, 3, 100, lambda delta: 1_000 + delta))


def test_keys_values_times_and_offsets_with_holes_come_out():
    records = record(0, b"k", b"v") + record(2, None, None) + record(7, b"", b"x" * 70_000)
    assert read(records, 3) == [
        Message(3, 100, 1_000, b"k", b"v"),
        Message(3, 102, 1_020, None, None),
        Message(3, 107, 1_070, b"", b"x" * 70_000),
    ]


def test_headers_of_any_bytes_are_passed_over():
    headers = varints(1) + field(b"\xff\xfe") + field(b"\xff")
    assert [one.value for one in read(record(0, b"k", b"a", headers) + record(1, b"k", b"b"), 2)] == [b"a", b"b"]


def test_a_record_that_contradicts_itself_hides_no_other():
    broken = b"\0" + varints(10, 1) + varints(500) + b"k"  # a key longer than the record
    first, bad, last = read(record(0, b"k", b"a") + varints(len(broken)) + broken + record(2, b"k", b"c"), 3)
    assert (first.value, last.value, last.offset) == (b"a", b"c", 102)
    assert bad.offset == 101 and bad.value is None and "a record that is none" in bad.damage


def test_records_that_end_too_early_are_told_of_once():
    first, bad = read(record(0, b"k", b"a") + varints(1000) + b"xx", 5)
    assert first.value == b"a" and bad.offset == 101 and "a length that cannot be" in bad.damage


@given(st.binary(max_size=200), st.integers(0, 20))
def test_any_bytes_give_rising_offsets_and_an_end(records, count):
    offsets = [message.offset for message in read(records, count)]
    assert offsets == sorted(set(offsets)) and len(offsets) <= count
