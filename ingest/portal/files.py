"""Files of records by their content: which have to be read, and the reading; of each, name, size and sha256 are landed.

A file is read where the other portal's record of the same key has no file of its id: what a restore brought along is
there with its ids, and the gigabytes of it are left alone. What the cloud has more is kept, to be sent; of the box's,
only the digest is wanted. Pages `files/*`, `disk/file/disk-file-get`, `universal/object-fields` (`urlMachine`).
"""

import asyncio
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from ingest.bitrix24.answers import map_of, rows_of
from ingest.bitrix24.download import Content, Unreadable
from ingest.bitrix24.pacing import PAGE
from ingest.bitrix24.reading import Read, ReadingClient, ReadMethod
from ingest.portal.entities import ACTIVITIES, CARDS, COMMENTS, Entity
from ingest.warehouse.connection import transaction
from ingest.warehouse.journal import utc_now

AT_ONCE = 4  # downloads
_ROOM = 2 * 1024**3  # bytes of the disk that stay free
_NAMES = {"leads": "lead", "deals": "deal", "contacts": "contact", "companies": "company", "activities": "activity"}
_OTHERS = {"cloud": "box", "box": "cloud"}
NO_ROOM = "no room for it on the disk"
NO_RIGHT = "the webhook has no right `disk`, which files of comments need"


class Wanted(NamedTuple):
    """A file whose content is wanted: the kind of record, its key, the field, the id of the file."""

    entity: str
    source_key: str
    field: str
    file_id: str


@dataclass(frozen=True, slots=True)
class Found:
    """What became of one: its content, or why it could not be read."""

    wanted: Wanted
    content: Content | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Store:
    """Where contents are kept, each under its sha256, and how large one may be."""

    folder: Path
    most_bytes: int

    def path(self, sha256: str) -> Path:
        return self.folder / sha256


# Which ----------------------------------------------------------------------------------------------------------------


def wanted_files(connection: duckdb.DuckDBPyConnection, source: str, portal: str, store: Store) -> list[Wanted]:
    """Files of the newest snapshot of a portal that have to be read and are not yet."""
    other = _OTHERS[source]
    names = {row[0] for row in connection.execute(
        "select table_name from duckdb_tables() where schema_name = 'raw'"
    ).fetchall()}  # fmt: skip
    lists = [entity for entity in (*CARDS, ACTIVITIES, COMMENTS) if f"{source}__{entity.name}" in names]
    if not lists:
        return []
    has_other = connection.execute(
        "select 1 from ops.snapshots where source = ? and completed_at is not null limit 1", [other]
    ).fetchone()
    if not has_other:  # nothing to compare with so far
        return []
    connection.execute("create or replace temp table shown_files (side varchar, entity varchar, source_key varchar, "
                       "field varchar, file_id varchar, created_at timestamptz, is_ours boolean)")  # fmt: skip
    for side in (source, other):
        for entity in lists:
            if f"{side}__{entity.name}" in names:
                connection.execute(f"insert into shown_files {_shown(side, entity)}")
    connection.execute(_MARK_OURS.format(box=_BOX))
    connection.execute(_NO_LONGER_SHOWN, {"portal": portal, "side": source})
    # Of the box, what the cloud has not is nobody's but the box's: there is nothing to compare it with.
    known = "file.is_ours or (file.entity, file.source_key) in (select (entity, source_key) from in_cloud)"
    rows = connection.execute(
        f"""with in_cloud as (select * from shown_files where side = 'cloud'),
            as_restored as (
                select entity, source_key, file_id from in_cloud
                semi join (select * from shown_files where side = 'box' and not is_ours) as restored
                    using (entity, source_key, file_id, created_at)
            )
            select distinct on (file.entity, file.file_id) file.entity, file.source_key, file.field, file.file_id,
                known.sha256
            from shown_files as file
            left join transfer.files as known
                on known.portal = ? and known.entity = file.entity and known.file_id = file.file_id
            where file.side = '{source}' and (file.side = 'cloud' or {known})
                and (file.is_ours or (file.entity, file.source_key, file.file_id) not in (
                    select (entity, source_key, file_id) from as_restored))
            order by file.entity, file.file_id, file.source_key""",
        [portal],
    ).fetchall()
    awaited = _awaited(connection, portal) if source == "cloud" else set()
    # A comment that gets one more file is told with all of them, or the others go.
    lacking = {row[1] for row in rows if row[0] == "comment" and (row[4] is None or row[4] in awaited)}

    def is_awaited(row: tuple[str, ...]) -> bool:
        of_a_comment = source == "cloud" and row[0] == "comment" and row[1] in lacking
        return (row[4] in awaited or of_a_comment) and not store.path(row[4]).exists()

    return [Wanted(*row[:4]) for row in rows if row[4] is None or is_awaited(row)]


def _awaited(connection: duckdb.DuckDBPyConnection, cloud: str) -> set[str]:
    """Digests of contents that the box of now has less often than the cloud."""
    rows = connection.execute(
        f"""select sha256 from transfer.files where portal in (?, {_BOX}) and sha256 is not null
            group by 1 having count(*) filter (portal = ?) > count(*) filter (portal <> ?)""",
        [cloud, cloud, cloud],
    ).fetchall()
    return {sha256 for (sha256,) in rows}


# The box that was read last; what was read of another one in its place says nothing of it.
_BOX = "(select arg_max(portal, snapshot_id) from ops.snapshots where source = 'box' and completed_at is not null)"
_OF_ANOTHER_BOX = """delete from transfer.files as file where portal = ? and read_at < (
    select greatest(max(known.first_seen_at), max(box.baseline_at)) from sync.portals as known
    left join transfer.boxes as box on box.portal = known.portal and box.mark = known.mark
    where known.portal = file.portal)"""
# Of comments: of cards and activities, what was there tells what an earlier pass has sent.
_NO_LONGER_SHOWN = """delete from transfer.files as file where portal = $portal and entity = 'comment' and not exists (
    from shown_files as shown where shown.side = $side and shown.entity = file.entity
        and shown.source_key = file.source_key and shown.file_id = file.file_id)"""
# What the move has made in the box: cards carry a mark, other records are in the map of this box.
_MARK_OURS = """update shown_files set is_ours = true where side = 'box' and (entity, source_key) in (
    select (if(entity = 'activity', entity, 'comment'), target_id::varchar) from transfer.id_map
    where entity in ('activity', 'activity_comment', 'activity_file', 'comment')
        and target in (select portal || '#' || mark from sync.portals where portal = {box}))"""


def _shown(side: str, entity: Entity) -> str:
    """Files that the records of a list show in the newest complete snapshot, as SQL: side, entity, key, field, id."""
    newest = f"""(select max(snapshot_id) from ops.snapshots where source = '{side}' and completed_at is not null)"""
    rows = f"""select landed.source_key, landed.payload from raw."{side}__{entity.name}" as landed
        inner join ops.snapshot_keys as known on known.source = '{side}' and known.entity = '{entity.name}'
            and known.source_key = landed.source_key
            and known.from_snapshot = try_cast(landed.source_position as bigint)
            and known.from_snapshot <= {newest} and coalesce(known.to_snapshot > {newest}, true)"""
    if entity is COMMENTS:
        return f"""with lines as (
                select unnest((payload -> '$.parts')::json[]) as line from ({rows})
                where contains(payload::varchar, '"urlDownload"')
            )
            select '{side}', 'comment', line ->> '$.ID', 'FILES', unnest(json_keys(line, '$.FILES')),
                try_cast(line ->> '$.CREATED' as timestamptz), false
            from lines
            where json_type(line, '$.FILES') = 'OBJECT'"""
    if entity is ACTIVITIES:
        return f"""select '{side}', 'activity', source_key, 'FILES',
                unnest((payload -> '$.FILES')::json[]) ->> '$.id',
                try_cast(payload ->> '$.CREATED' as timestamptz), false
            from ({rows}) where json_type(payload, '$.FILES') = 'ARRAY'"""
    return f"""with cells as (
            select source_key, unnest(json_keys(payload)) as field, unnest(json_extract(payload, '$.*')) as value,
                try_cast(payload ->> '$.createdTime' as timestamptz) as created_at,
                '{side}' = 'box' and coalesce(payload ->> '$.UF_CRM_SVOD_SOURCE', '') <> '' as is_ours
            from ({rows}) where contains(payload::varchar, '"urlMachine"')
        ),
        files as (
            select source_key, field, created_at, is_ours,
                unnest(if(json_type(value) = 'ARRAY', value::json[], [value])) as file
            from cells where contains(value::varchar, '"urlMachine"')
        )
        select '{side}', '{_NAMES[entity.name]}', source_key, field, file ->> '$.id', created_at, is_ours from files"""


# Reading --------------------------------------------------------------------------------------------------------------


async def read_files(
    connection: duckdb.DuckDBPyConnection,
    client: ReadingClient,
    source: str,
    portal: str,
    store: Store,
    run_id: str,
) -> tuple[int, int]:
    """Read what is wanted of a portal's files and land the digests; how many were read, and how many could not be.

    Raises OperatorError only where the portal stays away.
    """
    if not store.most_bytes:
        return 0, 0
    store.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if source == "box":
        connection.execute(_OF_ANOTHER_BOX, [portal])
    read = unread = 0
    wanted = wanted_files(connection, source, portal, store)
    for at in range(0, len(wanted), PAGE):
        found = await _read(client, wanted[at : at + PAGE], store, keep=source == "cloud")
        _land(connection, portal, found, run_id)
        read += sum(one.content is not None for one in found)
        unread += sum(one.content is None for one in found)
    return read, unread


async def _read(client: ReadingClient, page: Sequence[Wanted], store: Store, *, keep: bool) -> list[Found]:
    addresses = await _addresses(client, page)
    gate = asyncio.Semaphore(AT_ONCE)

    async def read(wanted: Wanted) -> Found:
        told = addresses.get(wanted, Found(wanted, problem="the portal does not show it any more"))
        if isinstance(told, Found):
            return told
        if keep and shutil.disk_usage(store.folder).free < _ROOM + store.most_bytes * AT_ONCE:
            return Found(wanted, problem=NO_ROOM)
        async with gate:
            try:
                return Found(wanted, await client.download(told, store.folder, store.most_bytes, keep=keep))
            except Unreadable as error:
                return Found(wanted, problem=str(error))

    return list(await asyncio.gather(*map(read, page)))


async def _addresses(client: ReadingClient, page: Sequence[Wanted]) -> dict[Wanted, str | Found]:
    """Addresses of now: they are signed anew in every answer, and none is landed."""
    kinds = {_NAMES[card.name]: card for card in (*CARDS, ACTIVITIES)}
    told: dict[Wanted, str | Found] = {}
    for name, entity in kinds.items():
        if files := [wanted for wanted in page if wanted.entity == name]:
            told |= await _of_records(client, entity, files)
    if files := [wanted for wanted in page if wanted.entity == "comment"]:
        reads = [Read(ReadMethod.DISK_FILE, {"id": wanted.file_id}) for wanted in files]
        for wanted, answer in zip(files, await client.read(reads, may_refuse=True), strict=True):
            address = map_of(answer.result).get("DOWNLOAD_URL")
            if isinstance(address, str) and address:
                told[wanted] = address
            elif answer.error is not None and "scope" in answer.error.code.lower():
                told[wanted] = Found(wanted, problem=NO_RIGHT)
            else:
                code = answer.error.code or answer.error.description if answer.error else "no address"
                told[wanted] = Found(wanted, problem=f"disk.file.get: {code}")
    return told


async def _of_records(client: ReadingClient, entity: Entity, files: Sequence[Wanted]) -> dict[Wanted, str | Found]:
    column = entity.key[0]
    keys = sorted({wanted.source_key for wanted in files})
    params = {**entity.params, "filter": {f"@{column}": keys}, "order": {column: "ASC"}, "start": -1}
    (answer,) = await client.read([Read(entity.method, params)])
    rows = {str(row.get(column)): row for row in rows_of(entity.method, answer.result)}
    told: dict[Wanted, str | Found] = {}
    for wanted in files:
        for shown in _files_in(rows.get(wanted.source_key, {}).get(wanted.field)):
            address = shown.get("urlMachine") or shown.get("url")
            if str(shown.get("id")) == wanted.file_id and isinstance(address, str) and address:
                told[wanted] = address
    return told


def _files_in(value: Any) -> Iterator[Mapping[str, Any]]:
    for file in value if isinstance(value, list) else [value]:
        if isinstance(file, dict):
            yield file


# Landing --------------------------------------------------------------------------------------------------------------


def _land(connection: duckdb.DuckDBPyConnection, portal: str, files: Sequence[Found], run_id: str) -> None:
    now = utc_now()
    rows = [
        (
            portal, *file.wanted,
            file.content.name if file.content else None, file.content.bytes if file.content else None,
            file.content.sha256 if file.content else None, file.problem or None, run_id, now,
        )
        for file in files
    ]  # fmt: skip
    with transaction(connection):
        connection.executemany("insert or replace into transfer.files values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
