"""Dates that an import refused, as statements for the box's own MySQL: reviewed by a person, and run by hand.

A card is named by its id and by our mark on it, so that a file that comes to another box changes nothing there. The
tables are those of the CRM module: one of cards, one of their custom fields.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from ingest.warehouse import private
from publish.parts import decoded
from publish.transfer.kinds import MARK, UNDATED
from publish.transfer.ledger import TransferLedger

_COLUMNS = {"createdTime": "DATE_CREATE", "updatedTime": "DATE_MODIFY", "movedTime": "MOVED_TIME"}
_PLAIN = re.compile(r"[A-Za-z0-9._:-]*")


def write(ledger: TransferLedger, file: Path, zone: timezone) -> int:
    """Write the statements for all cards made without their dates; how many. `zone` is the box's own, in which its
    database keeps times. Without any, a file of before goes."""
    statements = list(_statements(ledger, zone))
    if not statements:
        file.unlink(missing_ok=True)
        return 0
    offset = datetime.now(zone).strftime("%z")
    head = [
        f"-- Dates of {len(statements)} cards that the import refused, for {ledger.portal}. Times are of UTC{offset}.",
        "-- Look through it, back the database up, then: mysql --default-character-set=utf8mb4 DATABASE < dates.sql",
        "start transaction;",
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    private.keep_new_files_private()
    half = file.with_suffix(".sql.part")
    half.write_text("\n".join([*head, *statements, "commit;", ""]), encoding="utf-8")
    half.replace(file)
    return len(statements)


def _statements(ledger: TransferLedger, zone: timezone) -> Iterator[str]:
    rows = ledger.connection.execute(
        "select origin_id, bitrix_id, sent::varchar from portal_ledger where entity = ? order by 2, 1", [UNDATED]
    ).fetchall()
    for key, card_id, sent in rows:
        entity, _, source_id = key.partition("/")
        table = f"b_crm_{entity}"
        values = {_COLUMNS[name]: _moment(text, zone) for name, text in decoded(sent).items()}
        changes = ", ".join(f"{column} = {quoted(value)}" for column, value in values.items())
        mark = quoted(f"{ledger.cloud}:{source_id}")
        yield (
            f"update {table} set {changes} where ID = {int(card_id)} and exists ("
            f"select 1 from b_uts_crm_{entity} where VALUE_ID = {int(card_id)} and {MARK} = {mark});"
        )


def _moment(text: str, zone: timezone) -> str:
    return datetime.fromisoformat(text).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def quoted(text: str) -> str:
    """A text as MySQL reads it whatever its mode is: with anything but plain characters in it, by its bytes."""
    is_plain = _PLAIN.fullmatch(text.replace(" ", ""))
    return f"'{text}'" if is_plain else f"convert(0x{text.encode().hex()} using utf8mb4)"
