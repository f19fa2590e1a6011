"""The appends every ingester shares."""

import threading
from datetime import datetime

import pytest

from ingest import raw
from ingest.raw import DeadLetter, RawRecord
from ingest.warehouse.connection import transaction


def test_records_land_with_their_envelope_and_run(warehouse):
    table = raw.raw_table(warehouse, "shop_c__things", "It's a table.")
    at = datetime(2026, 1, 2, 3, 4, 5, 678_901)
    records = [RawRecord('{"a":1.10}', "1", at, "x@1"), RawRecord(None, None, None, "x@2")]
    assert raw.append(warehouse, table, records, "run-1") == 2
    assert warehouse.execute(
        "select * exclude ingested_at from raw.shop_c__things order by source_position"
    ).fetchall() == [
        ('{"a":1.10}', "1", at, "x@1", "run-1"),
        (None, None, None, "x@2", "run-1"),
    ]
    assert warehouse.execute("select comment from duckdb_tables() where table_name = 'shop_c__things'").fetchall() == [
        ("It's a table.",)
    ]
    assert raw.append(warehouse, table, [], "run-1") == 0


def test_rows_and_position_are_kept_together_or_not_at_all(warehouse):
    table = raw.raw_table(warehouse, "t", "")
    with pytest.raises(KeyError), transaction(warehouse):
        raw.append(warehouse, table, [RawRecord("{}", None, None, "x")], "run-1")
        raise KeyError
    assert warehouse.execute("select count(*) from raw.t").fetchone() == (0,)
    with transaction(warehouse):
        raw.append(warehouse, table, [RawRecord("{}", None, None, "x")], "run-1")
    assert warehouse.execute("select count(*) from raw.t").fetchone() == (1,)


def test_a_dead_letter_is_kept_once_for_a_place_and_a_reason(warehouse):
    letter = DeadLetter("topic", "topic/0/1", "not JSON", b"\xff\x00")
    for _ in range(2):
        raw.append_dead_letters(warehouse, [letter, letter._replace(source_position="topic/0/2")], "run-1")
    raw.append_dead_letters(warehouse, [letter._replace(reason="not an object")], "run-2")
    rows = warehouse.execute("select source_position, reason, payload from raw.dead_letters order by all").fetchall()
    assert rows == [
        ("topic/0/1", "not JSON", b"\xff\x00"),
        ("topic/0/1", "not an object", b"\xff\x00"),
        ("topic/0/2", "not JSON", b"\xff\x00"),
    ]


def test_reading_ahead_keeps_order_and_errors_and_leaves_no_thread():
    def numbers():
        yield from range(5)
        raise ValueError("the source broke")

    seen = []
    with pytest.raises(ValueError, match="the source broke"):
        for number in raw.read_ahead(numbers()):
            seen.append(number)
    assert seen == [0, 1, 2, 3, 4]
    for _ in raw.read_ahead(range(100)):
        break
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")]
