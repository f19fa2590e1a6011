"""The first job goes on in the box: what the cloud holds of ours is, through the map of ids, what the box holds.

The lines of the cloud in schema sync stay; the box gets lines of its own, under its own mark. A part that is not in
the box (deleted, refused, or of a kind that is not moved) stays away, as one that somebody deleted does: the first job
would make it a second time. When a later run has moved it, its line gets its id.
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
    before = _count(connection, "ledger", box)
    copy_ledger(connection, cloud, box)
    await _mark(connection, client, settings, box)
    copied = _count(connection, "ledger", box) - before
    told = []
    if copied:
        told.append(f"what {cloud} holds of the first job is known of {box} now: {copied:,} parts")
        told.append(f"let SVOD_BITRIX24_WEBHOOK be that of {box} from now on")
    if away := _count(connection, "ledger", box, "bitrix_id is null"):
        told.append(f"{away:,} parts of the first job are not in {box}, and stay away: deleted, or not moved so far")
    return told


def copy_ledger(connection: duckdb.DuckDBPyConnection, cloud: str, box: str) -> None:
    """Let the box have what the cloud has in schema sync, under the ids of the box; what it has stays, but what was
    not there before gets its id."""
    connection.execute(_IDS)
    connection.execute(
        "create or replace temp table held_before as select entity, origin_id from sync.ledger where portal = ?", [box]
    )
    with transaction(connection):
        for entity, id_of in _entities():
            _fill(connection, cloud, box, entity, id_of)
            _copy(connection, cloud, box, entity, id_of)
        _copy_beside(connection, cloud, box)


def _entities() -> Iterator[tuple[str, str]]:
    """Kinds of parts of the first job, and the kind whose id the ledger keeps for each."""
    for part in PARTS:
        if isinstance(part, CardLink):
            yield part.entity, part.holder.entity
        elif isinstance(part, Detail) and not part.has_own_id:
            yield part.entity, part.owner
        else:
            yield part.entity, part.entity


def _fill(connection: duckdb.DuckDBPyConnection, cloud: str, box: str, entity: str, id_of: str) -> None:
    """Lines of what was not there when they were copied, and has been moved since."""
    values = {"cloud": cloud, "box": box, "entity": entity, "id_of": id_of}
    connection.execute(
        """create or replace temp table moved_since as
           select line.origin_id, known.box_id
           from sync.ledger as line
           inner join sync.ledger as was on was.portal = $cloud and was.entity = line.entity
               and was.origin_id = line.origin_id
           inner join ids_of_the_move as known on known.entity = $id_of and known.cloud_id = was.bitrix_id
           where line.portal = $box and line.entity = $entity and line.bitrix_id is null""",
        values,
    )
    connection.execute(
        """update sync.ledger set bitrix_id = moved_since.box_id from moved_since
           where portal = $box and entity = $entity and ledger.origin_id = moved_since.origin_id""",
        {"box": box, "entity": entity},
    )
    connection.execute(
        """delete from sync.deletions where portal = $box and entity = $entity and bitrix_id is null
               and origin_id in (select origin_id from moved_since)""",
        {"box": box, "entity": entity},
    )


def _copy(connection: duckdb.DuckDBPyConnection, cloud: str, box: str, entity: str, id_of: str) -> None:
    """Lines of a kind; those that have no counterpart count as deleted."""
    values = {"cloud": cloud, "box": box, "entity": entity, "id_of": id_of, "now": utc_now()}
    connection.execute(
        """insert into sync.ledger
           select line.* replace ($box as portal, known.box_id as bitrix_id, null as known_in, null as synced_in)
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
    """What is known of records beside the ledger: the ids of cards in it are those of the box. Of what the box had a
    line of before, the first job knows better by now."""
    by_entity = ", ".join(f"('{entity}', '{id_of}')" for entity, id_of in _entities())
    ids = f"(select * from (values {by_entity}) as kinds (entity, id_of))"
    connection.execute(
        """insert into sync.dead_letters
           select * replace ($box as portal) from sync.dead_letters anti join held_before using (entity, origin_id)
           where portal = $cloud on conflict do nothing""",
        {"box": box, "cloud": cloud},
    )
    for table in ("conflicts", "deletions"):
        connection.execute(
            f"""insert into sync.{table}
                select line.* replace ($box as portal, known.box_id as bitrix_id)
                from sync.{table} as line
                anti join held_before using (entity, origin_id)
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


def _count(connection: duckdb.DuckDBPyConnection, table: str, portal: str, condition: str = "true") -> int:
    sql = f"select count(*) from sync.{table} where portal = ? and {condition}"
    ((number,),) = connection.execute(sql, [portal]).fetchall()
    return int(number)
