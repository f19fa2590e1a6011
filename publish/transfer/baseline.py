"""The box right after the restore: is it what the cloud was, has nobody worked in it, and the mark that it gets."""

import duckdb

from ingest.bitrix24.client import Client
from ingest.warehouse.errors import OperatorError
from publish import portals
from publish.bitrix24 import identity, reference, signing
from publish.bitrix24.mark import read_mark
from publish.settings import Settings
from publish.transfer import boxes
from publish.transfer.kinds import cards
from publish.transfer.ledger import TransferLedger

_NO_BACKUP = "where there is no backup, NO_BACKUP=yes has everything that the box lacks made there"
_SHOWN = 5


def check(connection: duckdb.DuckDBPyConnection, portal: str) -> str:
    """What the models found out of the box that was labelled a baseline, as a line, when it may be one.

    Raises OperatorError with exit status 3 when it may not.
    """
    by_kind = connection.execute(
        "select entity, expected_count, proven_count from intermediate.int_transfer__restore_proof order by 1"
    ).fetchall()
    expected, proven = sum(row[1] for row in by_kind), sum(row[2] for row in by_kind)
    if not proven:
        raise OperatorError(
            f"not one card of {portal} is the cloud's by id and time of creation: it was not restored from its backup",
            hint=f"restore the backup; {_NO_BACKUP}",
            exit_status=3,
        )
    if proven < 0.999 * expected or not all(row[2] for row in by_kind):
        told = ", ".join(f"{entity} {number:,} of {of:,}" for entity, of, number in by_kind)
        raise OperatorError(
            f"of the cards that the backup has to have, {portal} has with their ids {told}: the restore gave out "
            "others, or is not whole",
            hint=f"restore it again; {_NO_BACKUP}",
            exit_status=3,
        )
    work = connection.execute(
        """select entity, source_id, what, strftime(done_at, '%Y-%m-%d %H:%M')
           from intermediate.int_transfer__worked_in order by done_at desc, 1, 2"""
    ).fetchall()
    if work:
        told = ", ".join(f"{entity} {key} {what} {at} UTC" for entity, key, what, at in work[:_SHOWN])
        more = f" and {len(work) - _SHOWN:,} more" if len(work) > _SHOWN else ""
        raise OperatorError(
            f"somebody has worked in {portal} since the restore: {told}{more}",
            hint="restore the backup again, and make the baseline before anybody works there",
            exit_status=3,
        )
    return f"{proven:,} of {expected:,} cards of the backup are in {portal} with their ids and times"


def own_cards(connection: duckdb.DuckDBPyConnection, portal: str) -> int:
    """Cards that a box has, which was read last."""
    ((number,),) = connection.execute(
        """select count(*) from ops.snapshot_keys
           where source = 'box' and to_snapshot is null and entity in ('leads', 'deals', 'contacts', 'companies')
               and from_snapshot <= (
                   select max(snapshot_id) from ops.snapshots
                   where source = 'box' and portal = ? and completed_at is not null)""",
        [portal],
    ).fetchall()
    return int(number)


async def mark_of(client: Client) -> str | None:
    """The mark that a box carries; None where it carries none."""
    _, mark = await read_mark(client, cards(""))
    return mark.portal if mark else None


async def put_mark(ledger: TransferLedger, client: Client, settings: Settings) -> None:
    """Give the box a mark, and the custom fields that go with it. One without a mark at an address of before is another
    box: what we know of that one is put aside.

    Raises OperatorError with exit status 3 when another warehouse moves into it, or it takes no mark.
    """
    parts = cards(ledger.cloud)
    was_here = ledger.published() or boxes.box_of(ledger.connection, ledger.portal)
    if was_here and await mark_of(client) is None:
        portals.put_aside(ledger.connection, ledger.portal)
    await reference.prepare(client, ledger, parts, settings)
    box = await identity.recognise(ledger, client, parts, settings.machine)
    signed = await signing.sign(box, ledger, client, parts)
    if signed.mark is None:
        raise OperatorError(
            f"{ledger.portal} does not let us mark it, so it could not be told from another box",
            hint="let the webhook's user be an administrator",
            exit_status=3,
        )
    ledger.marked(signed.mark.portal)
    await signing.sign_off(signed, ledger, client, parts)
