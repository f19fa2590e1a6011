"""The box right after the restore: is it what the cloud was, has nobody worked in it, and the mark that it gets."""

import duckdb

from ingest.bitrix24.answers import rows_of
from ingest.bitrix24.client import Client, Command
from ingest.bitrix24.reading import Read, ReadingClient, ReadMethod
from ingest.warehouse.errors import OperatorError
from publish import portals
from publish.bitrix24 import identity, reference, signing
from publish.bitrix24.mark import Mark, read_mark
from publish.settings import Settings
from publish.transfer import boxes
from publish.transfer.kinds import MARK, cards
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


def check_without_backup(connection: duckdb.DuckDBPyConnection, settings: Settings, *, again: bool) -> str:
    """How many cards a box has of its own that nothing was restored into, as a line.

    Raises OperatorError with exit status 3 where it has more than the cloud, and nobody says once more that it is so:
    it is hardly the one of the two to move to.
    """
    own, theirs = (_cards_of(connection, source) for source in ("box", "cloud"))
    portal = settings.box()[1]
    if own > theirs and not again:
        raise OperatorError(
            f"{portal} has {own:,} cards, and {settings.cloud}, which is to be left, {theirs:,}: are the two webhooks "
            "swapped?",
            hint="if it is right so, ARGS=--again",
            exit_status=3,
        )
    return f"{portal} has {own:,} cards of its own; they stay as they are"


def _cards_of(connection: duckdb.DuckDBPyConnection, source: str) -> int:
    ((number,),) = connection.execute(
        """select count(*) from ops.snapshot_keys
           where source = ? and to_snapshot is null and entity in ('leads', 'deals', 'contacts', 'companies')""",
        [source],
    ).fetchall()
    return int(number)


def check_there_is_one(connection: duckdb.DuckDBPyConnection, portal: str, mark: str | None, cloud: str) -> None:
    """Return when the box that answers, with this mark, has a baseline of this cloud.

    Raises OperatorError with exit status 3.
    """
    box = boxes.box_of(connection, portal)
    hint = "make transfer-baseline, right after the restore; NO_BACKUP=yes where there is no backup"
    if box is None or box.baseline_at is None:
        raise OperatorError(f"{portal} has no baseline", hint=hint, exit_status=3)
    if box.mark != mark:
        raise OperatorError(f"{portal} is another box than the one of the baseline", hint=hint, exit_status=3)
    boxes.check_source(connection, portal, cloud)
    labelled = connection.execute(
        """select max(snapshot_id) from ops.snapshots
           where source = 'box' and portal = ? and label = ? and completed_at is not null""",
        [portal, boxes.BASELINE],
    ).fetchone()
    if labelled and labelled[0] != box.baseline_snapshot:
        raise OperatorError(f"the last baseline of {portal} broke off", hint=f"{hint} (ARGS=--again)", exit_status=3)


async def mark_of(client: Client) -> str | None:
    """The mark that a box carries; None where it carries none."""
    _, mark = await read_mark(client, cards(""))
    return mark.portal if mark else None


async def mark_told_by(client: ReadingClient) -> str | None:
    """The same, by the client that cannot write."""
    (answer,) = await client.read([Read(ReadMethod.COMPANY_FIELDS, {"filter": {"FIELD_NAME": MARK}})])
    for row in rows_of(ReadMethod.COMPANY_FIELDS.value, answer.result):
        mark = Mark.of(row.get("XML_ID")) if row.get("FIELD_NAME") == MARK else None
        if mark:
            return mark.portal
    return None


async def take_mark_off(client: Client) -> None:
    """Take away the custom fields that `put_mark` made in a portal that had none before, and the mark with them."""
    methods = [card.user_fields for card in cards("").cards]
    listed = await client.read([Command(f"{method}.list", {"filter": {"FIELD_NAME": MARK}}) for method in methods])
    commands = [
        Command(f"{method}.delete", {"id": row["ID"]})
        for method, answer in zip(methods, listed, strict=True)
        for row in rows_of(f"{method}.list", answer)
        if row.get("FIELD_NAME") == MARK
    ]
    await client.send(commands)


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
