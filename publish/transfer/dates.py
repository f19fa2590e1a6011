"""The history of cards that no method can write, as statements for the box's own MySQL, for a person to review and run:
what an import refused while it was sent, and what the comparison of the portals found not to be the cloud's.

A card is named by its id and by what only it has, so that a file that comes to another box changes nothing there: one
that the move made by our mark on it, a restored one by its time of creation. The tables are those of the CRM module:
one of cards, one of their custom fields.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timezone
from pathlib import Path
from typing import NamedTuple

import duckdb

from ingest.warehouse import private
from publish.parts import decoded
from publish.transfer.kinds import MARK, UNDATED
from publish.transfer.ledger import TransferLedger

_COLUMNS = {
    "createdTime": "DATE_CREATE", "updatedTime": "DATE_MODIFY", "movedTime": "MOVED_TIME",
    "createdBy": "CREATED_BY_ID", "updatedBy": "MODIFY_BY_ID", "movedBy": "MOVED_BY_ID",
}  # fmt: skip
_PLAIN = re.compile(r"[A-Za-z0-9._:-]*")


class _Card(NamedTuple):
    """A card of the box and what its history should be; `created_at` of a restored one, None where it has our mark."""

    entity: str
    source_id: str
    card_id: int
    created_at: datetime | None
    wanted: Mapping[str, datetime | int]


def write(ledger: TransferLedger, file: Path, zone: timezone | None) -> int:
    """Write the statements for all cards without their history; how many. `zone` is that of the box's clock,
    told to compare; None where it has not told it. Without any card, a file of before goes."""
    statements = [_statement(ledger.cloud, card) for card in _cards(ledger)]
    if not statements:
        file.unlink(missing_ok=True)
        return 0
    clock = f"its clock is at UTC{datetime.now(zone):%z} now" if zone else "its clock was not asked"
    head = [
        f"-- The history of {len(statements)} cards that no method can write, for {ledger.portal}.",
        "-- from_unixtime() answers in the session's zone, with that zone's own history: it has to be the portal's",
        f"-- (date.timezone of its PHP; {clock}). Look through it, back the database up, then:",
        "-- mysql --default-character-set=utf8mb4 DATABASE < dates.sql",
        "select @@session.time_zone as zone_of_the_session, now() as its_time;",
        "start transaction;",
        "set @changed = 0;",
    ]
    tail = [f"select @changed as cards_changed, {len(statements)} as cards_listed;", "commit;", ""]
    file.parent.mkdir(parents=True, exist_ok=True)
    private.keep_new_files_private()
    half = file.with_suffix(".sql.part")
    half.write_text("\n".join([*head, *statements, *tail]), encoding="utf-8")
    half.replace(file)
    return len(statements)


def _cards(ledger: TransferLedger) -> Iterator[_Card]:
    """What the last comparison found, then what was refused since the box was read for it."""
    compared = _compared(ledger.connection)
    yield from compared or ()
    known = {(card.entity, card.source_id) for card in compared or ()}
    rows = ledger.connection.execute(
        """select origin_id, bitrix_id, sent::varchar from portal_ledger
           where entity = $1 and ($2 or synced_at >= (
               select coalesce(max(started_at), '-infinity') from ops.snapshots
               where source = 'box' and completed_at is not null))
           order by 2, 1""",
        [UNDATED, compared is None],
    ).fetchall()
    for key, card_id, sent in rows:
        entity, _, source_id = key.partition("/")
        if (entity, source_id) not in known:
            wanted = {name: datetime.fromisoformat(text) for name, text in decoded(sent).items()}
            yield _Card(entity, source_id, card_id, None, wanted)


def _compared(connection: duckdb.DuckDBPyConnection) -> list[_Card] | None:
    """What `marts.transfer_dates` says; None when there is no such table."""
    try:
        rows = connection.execute(
            """select entity, source_id, target_id, case when not is_made_by_us then cloud_created_at end,
                   created_at, updated_at, moved_at, created_by, updated_by, moved_by
               from marts.transfer_dates where target_id is not null order by entity, target_id"""
        ).fetchall()
    except duckdb.CatalogException:
        return None
    return [
        _Card(
            entity,
            source_id,
            target_id,
            created_at.replace(tzinfo=UTC) if created_at else None,
            {
                name: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
                for name, value in zip(_COLUMNS, values, strict=True)
                if value is not None
            },
        )
        for entity, source_id, target_id, created_at, *values in rows
    ]


def _statement(cloud: str, card: _Card) -> str:
    changes = ", ".join(f"{_COLUMNS[name]} = {_value(value)}" for name, value in card.wanted.items())
    table = f"b_crm_{card.entity}"
    if card.created_at:
        proof = f"DATE_CREATE = {_value(card.created_at)}"
    else:
        mark = quoted(f"{cloud}:{card.source_id}")
        proof = f"exists (select 1 from b_uts_crm_{card.entity} where VALUE_ID = {card.card_id} and {MARK} = {mark})"
    return f"update {table} set {changes} where ID = {card.card_id} and {proof}; set @changed = @changed + row_count();"


def _value(value: datetime | int) -> str:
    return f"from_unixtime({int(value.timestamp())})" if isinstance(value, datetime) else str(int(value))


def quoted(text: str) -> str:
    """A text as MySQL reads it whatever its mode is: with anything but plain characters in it, by its bytes."""
    is_plain = _PLAIN.fullmatch(text.replace(" ", ""))
    return f"'{text}'" if is_plain else f"convert(0x{text.encode().hex()} using utf8mb4)"
