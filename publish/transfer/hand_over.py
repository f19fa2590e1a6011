"""The first job goes on in the box: what the cloud holds of ours is, through the map of ids, what the box holds.

The lines of the cloud in schema sync stay; the box gets lines of its own, under its own mark. A line whose card is not
in the box (it was deleted in the cloud, and here) is one that somebody deleted: it stays away until `publish retry`.
"""

from collections.abc import Iterator

import duckdb

from ingest.bitrix24.client import Client
from ingest.warehouse.connection import transaction
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.journal import utc_now
from publish import portals
from publish.bitrix24.kinds import CardLink, Detail
from publish.bitrix24.mark import Mark, read_mark, write_mark
from publish.bitrix24.parts import PARTS
from publish.settings import Settings

_IDS = """
create or replace temp table ids_of_the_move as
select entity, source_id::bigint as cloud_id, target_id as box_id
from marts.transfer_outcomes
where target_id is not null and try_cast(source_id as bigint) is not null
"""


async def hand_over(connection: duckdb.DuckDBPyConnection, client: Client, settings: Settings) -> list[str]:
    """Copy the ledger of the cloud to the box and mark the box for the first job. Done again, it adds what is new.

    Raises OperatorError where creates of the first job in the cloud have not been answered for.
    """
    cloud, (_, box) = settings.cloud, settings.box()
    if not _count(connection, "ledger", cloud):
        return []
    if _count(connection, "intents", cloud):
        raise OperatorError(
            f"creates of the first job in {cloud} have not been answered for",
            hint="run `publish push` once more with SVOD_BITRIX24_WEBHOOK of the cloud, then this again",
        )
    connection.execute(_IDS)
    before = _count(connection, "ledger", box)
    with transaction(connection):
        for entity, id_of in _entities():
            _copy(connection, cloud, box, entity, id_of)
        _copy_beside(connection, cloud, box)
    await _mark(connection, client, settings, box)
    copied, lost = _count(connection, "ledger", box) - before, _count(connection, "deletions", box)
    if not copied:
        return []
    told = f"what {cloud} holds of the first job is known of {box} now: {copied:,} parts"
    if lost:
        told += f", {lost:,} of them are not there and stay away until `publish retry`"
    return [told, f"let SVOD_BITRIX24_WEBHOOK be that of {box} from now on"]


def _entities() -> Iterator[tuple[str, str]]:
    """Kinds of parts of the first job, and the kind whose id the ledger keeps for each."""
    for part in PARTS:
        if isinstance(part, CardLink):
            yield part.entity, part.holder.entity
        elif isinstance(part, Detail) and not part.has_own_id:
            yield part.entity, part.owner
        else:
            yield part.entity, part.entity


def _copy(connection: duckdb.DuckDBPyConnection, cloud: str, box: str, entity: str, id_of: str) -> None:
    """Lines of a kind; those that have no counterpart are deleted ones."""
    values = {"cloud": cloud, "box": box, "entity": entity, "id_of": id_of, "now": utc_now()}
    connection.execute(
        """insert into sync.ledger
           select $box, line.entity, origin_id, known.box_id, sent, wanted, is_adopted, synced_at
           from sync.ledger as line
           left join ids_of_the_move as known on known.entity = $id_of and known.cloud_id = line.bitrix_id
           where line.portal = $cloud and line.entity = $entity
           on conflict do nothing""",
        {name: values[name] for name in ("cloud", "box", "entity", "id_of")},
    )
    connection.execute(
        """insert into sync.deletions
           select portal, entity, origin_id, null, $now, false from sync.ledger
           where portal = $box and entity = $entity and bitrix_id is null
           on conflict do nothing""",
        {name: values[name] for name in ("box", "entity", "now")},
    )


def _copy_beside(connection: duckdb.DuckDBPyConnection, cloud: str, box: str) -> None:
    """What is known of records beside the ledger: the ids of cards in it are those of the box."""
    by_entity = ", ".join(f"('{entity}', '{id_of}')" for entity, id_of in _entities())
    ids = f"(select * from (values {by_entity}) as kinds (entity, id_of))"
    connection.execute(
        """insert into sync.dead_letters select * replace ($box as portal) from sync.dead_letters
           where portal = $cloud on conflict do nothing""",
        {"box": box, "cloud": cloud},
    )
    for table in ("conflicts", "deletions"):
        connection.execute(
            f"""insert into sync.{table}
                select line.* replace ($box as portal, known.box_id as bitrix_id)
                from sync.{table} as line
                inner join {ids} as kinds using (entity)
                left join ids_of_the_move as known
                    on known.entity = kinds.id_of and known.cloud_id = line.bitrix_id
                where line.portal = $cloud on conflict do nothing""",
            {"box": box, "cloud": cloud},
        )


async def _mark(connection: duckdb.DuckDBPyConnection, client: Client, settings: Settings, box: str) -> None:
    """Have the box carry our mark where the first job looks for it too, with the number that its row has: a restored
    one carries the mark of the cloud there."""
    row = portals.portal_row(connection, box)
    if row is None or row.mark is None:
        return
    carrier, there = await read_mark(client, PARTS)
    if carrier is None or carrier.id is None or (there is not None and there.portal == row.mark):
        return
    writer = portals.writer_of(connection, settings.machine)
    mark = Mark(row.mark, writer.fingerprint, row.counter, utc_now().replace(microsecond=0), writer.machine)
    if not await write_mark(client, carrier, mark):
        raise OperatorError(f"{box} does not let us mark it", hint="let the webhook's user be an administrator")
    portals.set_filled(connection, box)


def _count(connection: duckdb.DuckDBPyConnection, table: str, portal: str) -> int:
    ((number,),) = connection.execute(f"select count(*) from sync.{table} where portal = ?", [portal]).fetchall()
    return int(number)
