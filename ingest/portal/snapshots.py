"""Snapshots of a source that is read whole: which records there were, each in which version.

A snapshot is complete or it is nothing. While it is read, its rows wait in ops.snapshot_rows; at its end one
transaction appends what changed to the raw tables and brings ops.snapshot_keys up to date, and only then a record that
the snapshot lacks is gone. A broken snapshot is gone on with, or forgotten.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

import duckdb
import msgspec
import pyarrow as pa

from ingest import raw
from ingest.portal.entities import Entity, OfOwners, Owner
from ingest.portal.records import Record
from ingest.warehouse import parts_of_people
from ingest.warehouse.connection import transaction
from ingest.warehouse.forgotten import Memory
from ingest.warehouse.journal import utc_now

GO_ON_WITHIN = timedelta(hours=24)  # an older broken snapshot is begun anew
_ROWS = pa.schema(
    [
        ("source_key", pa.string()),
        ("changed_at", pa.timestamp("us")),
        ("active_at", pa.timestamp("us")),
        ("digest", pa.string()),
        ("payload", pa.string()),
    ]
)
_STAGED = "(from ops.snapshot_rows where source = $source and entity = $entity)"


class Progress(NamedTuple):
    """How far an entity has been read: `position` is the reading's own."""

    position: dict[str, Any]
    is_done: bool


class Figures(NamedTuple):
    """What a complete snapshot made of an entity."""

    read: int
    landed: int
    gone: int


class Snapshot:
    """The snapshot of a source that is under way."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        source: str,
        portal: str,
        label: str,
        *,
        anew: bool = False,
        reads_all: bool = False,
    ) -> None:
        """Go on with the one that broke off, if it is of this portal and label and not old; else, or `anew`, begin
        another. One that `reads_all` has the parts of all owners, not of changed ones alone, as the first of a portal
        has: that goes on with no other."""
        self.connection, self.source, self.reads_all = connection, source, reads_all
        newest = connection.execute(
            """select snapshot_id, portal = $2 and label = $3 and completed_at is null and started_at > $4
                   and coalesce(reads_all, false) >= $5
               from ops.snapshots where source = $1 order by snapshot_id desc limit 1""",
            [source, portal, label, utc_now() - GO_ON_WITHIN, reads_all],
        ).fetchone()
        ((self._of_others,),) = connection.execute(
            """select coalesce(max(snapshot_id), 0) from ops.snapshots
               where source = ? and portal <> ? and completed_at is not null""",
            [source, portal],
        ).fetchall()
        self.is_resumed = bool(newest and newest[1]) and not anew
        self.snapshot_id = int(newest[0]) + (not self.is_resumed) if newest else 1
        if not self.is_resumed:
            with transaction(connection):
                self._forget_rows()
                connection.execute("delete from ops.snapshots where source = ? and completed_at is null", [source])
                connection.execute(
                    """insert into ops.snapshots (source, snapshot_id, portal, label, started_at, reads_all)
                       values (?, ?, ?, ?, ?, ?)""",
                    [source, self.snapshot_id, portal, label, utc_now(), reads_all],
                )

    @property
    def _present(self) -> str:
        """Versions that the last complete snapshot of this portal had; another portal's say nothing of it."""
        return f"""(from ops.snapshot_keys where source = $source and entity = $entity and to_snapshot is null
            and from_snapshot > {self._of_others})"""

    def _forget_rows(self) -> None:
        for table in ("snapshot_rows", "snapshot_reads"):
            self.connection.execute(f"delete from ops.{table} where source = ?", [self.source])

    def give_up(self) -> None:
        """The snapshot cannot become complete: the next one begins anew."""
        with transaction(self.connection):
            self._forget_rows()
            sql = "delete from ops.snapshots where source = ? and snapshot_id = ?"
            self.connection.execute(sql, [self.source, self.snapshot_id])

    def progress(self, entity: Entity) -> Progress:
        """How far the entity has been read."""
        sql = "select position, is_done from ops.snapshot_reads where source = ? and entity = ?"
        row = self.connection.execute(sql, [self.source, entity.name]).fetchone()
        return Progress(msgspec.json.decode(row[0]), row[1]) if row else Progress({}, False)

    def save(
        self, entity: Entity, records: Sequence[Record], position: Mapping[str, Any], *, is_done: bool = False
    ) -> None:
        """Keep what was read and how far that is, together; a payload only where it is not what was landed last."""
        with transaction(self.connection):
            if records:
                columns = zip(zip(*records, strict=True), _ROWS, strict=True)
                with raw.visible(
                    self.connection, "batch", pa.table([pa.array(values, kind.type) for values, kind in columns], _ROWS)
                ):
                    self.connection.execute(
                        f"""insert into ops.snapshot_rows
                            select $source, $entity, batch.source_key, batch.changed_at, batch.active_at, batch.digest,
                                case when present.digest is distinct from batch.digest then batch.payload end
                            from batch left join {self._present} as present using (source_key)""",
                        self._of(entity),
                    )
            self.connection.execute(
                "insert or replace into ops.snapshot_reads values (?, ?, ?, ?)",
                [self.source, entity.name, msgspec.json.encode(position).decode(), is_done],
            )

    def _of(self, entity: Entity | str) -> dict[str, Any]:
        return {"source": self.source, "entity": entity if isinstance(entity, str) else entity.name}

    def count(self, entity: Entity) -> int:
        """How many records of an entity have been read."""
        ((number,),) = self.connection.execute(
            f"select count(distinct source_key) from {_STAGED}", self._of(entity)
        ).fetchall()
        return int(number)

    def owners(self, entity: Entity, how: OfOwners, owner: Owner, since: date | None) -> list[int]:
        """Ids of the owners whose parts are to be read, in order: all, or those that are new or have changed."""
        condition = "true"
        values = self._of(owner.entity) | {"code": owner.code, "parts": entity.name}
        if how.by_change and not self.reads_all:
            values |= {
                "since": since,
                "of_others": self._of_others,
                "changed": self._changed_by_the_move(entity, owner),
            }
            condition = """(payload is not null or staged.source_key in (select unnest($changed::varchar[]))
                or not exists (
                    from ops.snapshot_keys as present where present.source = $source and present.entity = $parts
                        and present.to_snapshot is null and present.from_snapshot > $of_others
                        and present.source_key = $code || ':' || staged.source_key
                )) and ($since is null or active_at >= $since::timestamp)"""
        else:
            values = self._of(owner.entity)
        sql = f"select distinct source_key::bigint from {_STAGED} as staged where {condition} order by 1"
        return [number for (number,) in self.connection.execute(sql, values).fetchall()]

    def _changed_by_the_move(self, entity: Entity, owner: Owner) -> list[str]:
        """Owners in the box one of whose comments the move has changed since it was read last: whether that changes
        anything of a card is not documented."""
        if self.source != "box" or entity.name != "comments":
            return []
        changed = self.connection.execute(
            """select bitrix_id::varchar from transfer.ledger
               where entity = 'comment' and bitrix_id is not null and synced_at >= (
                   select max(started_at) from ops.snapshots where source = 'box' and completed_at is not null)"""
        ).fetchall()
        if not changed:
            return []
        rows = self.connection.execute(
            f"""with lines as (
                    select source_key, unnest((payload -> '$.parts')::json[]) ->> '$.ID' as comment_id
                    from raw.{self.source}__{entity.name} where starts_with(source_key, $code || ':')
                )
                select distinct split_part(source_key, ':', 2) from lines
                where comment_id in (select unnest($changed))""",
            {"code": owner.code, "changed": [number for (number,) in changed]},
        ).fetchall()
        return [key for (key,) in rows]

    def keys(self, entity: Entity) -> list[str]:
        """Keys of the records that have been read."""
        sql = f"select distinct source_key from {_STAGED} order by 1"
        return [key for (key,) in self.connection.execute(sql, self._of(entity)).fetchall()]

    def keys_before(self, entity: Entity) -> list[str]:
        """Keys of the records that the last complete snapshot had."""
        sql = f"select source_key from {self._present} order by 1"
        return [key for (key,) in self.connection.execute(sql, self._of(entity)).fetchall()]

    def emptied(self, entity: Entity, field: str, at_least: int) -> list[str]:
        """Values of a field that so many records at least had in the last complete snapshot, not one of which is there
        any more, whatever it says now."""
        if not self.keys_before(entity):
            return []
        rows = self.connection.execute(
            f"""select landed.payload ->> '$.{field}' as held
                from {self._present} as present
                inner join raw.{self.source}__{entity.name} as landed on landed.source_key = present.source_key
                    and try_cast(landed.source_position as bigint) = present.from_snapshot
                left join (select distinct source_key from {_STAGED}) as staged
                    on staged.source_key = present.source_key
                group by held having count(*) >= $at_least and count(staged.source_key) = 0 order by held""",
            self._of(entity) | {"at_least": at_least},
        ).fetchall()
        return [value for (value,) in rows if value is not None]

    def complete(self, entities: Iterable[Entity], run_id: str) -> dict[str, Figures]:
        """Everything has been read: land what changed, close what is gone. Figures by entity."""
        figures: dict[str, Figures] = {}
        with transaction(self.connection):
            for entity in entities:
                figures[entity.name] = self._complete(entity, run_id)
            self._keep_away(list(figures))
            self._forget_rows()
            self.connection.execute(
                "update ops.snapshots set completed_at = ?, detail = ? where source = ? and snapshot_id = ?",
                [utc_now(), msgspec.json.encode(figures).decode(), self.source, self.snapshot_id],
            )
        return figures

    def _complete(self, entity: Entity, run_id: str) -> Figures:
        execute, of = self.connection.execute, self._of(entity)
        table = raw.raw_table(self.connection, f"{self.source}__{entity.name}", entity.description)
        # A request that was read again after a break is there twice: the later one counts.
        execute(
            """delete from ops.snapshot_rows where source = $source and entity = $entity and rowid not in (
                    select max(rowid) from ops.snapshot_rows where source = $source and entity = $entity
                    group by source_key)""",
            of,
        )
        ((landed,),) = execute(
            f"""insert into {table}
                select payload::json, source_key, changed_at, $snapshot, $run, $now::timestamp from {_STAGED}
                where payload is not null""",
            of | {"snapshot": str(self.snapshot_id), "run": run_id, "now": utc_now()},
        ).fetchall()
        execute(
            """update ops.snapshot_keys set to_snapshot = $snapshot where source = $source and entity = $entity
                and to_snapshot is null and from_snapshot <= $of_others""",
            of | {"snapshot": self.snapshot_id, "of_others": self._of_others},
        )
        ((closed,),) = execute(
            f"""update ops.snapshot_keys set to_snapshot = $snapshot
                where source = $source and entity = $entity and to_snapshot is null and {self._is_past(entity)}""",
            of | {"snapshot": self.snapshot_id},
        ).fetchall()
        execute(
            f"""insert into ops.snapshot_keys
                select $source, $entity, source_key, digest, $snapshot, null
                from {_STAGED} anti join {self._present} as present using (source_key)""",
            of | {"snapshot": self.snapshot_id},
        )
        ((changed,),) = execute(
            f"""select count(*) from ops.snapshot_keys as past semi join {self._present} as present using (source_key)
                where source = $source and entity = $entity and past.to_snapshot = $snapshot
                    and past.from_snapshot > $of_others""",
            of | {"snapshot": self.snapshot_id, "of_others": self._of_others},
        ).fetchall()
        return Figures(self.count(entity), int(landed), int(closed) - int(changed))

    def _keep_away(self, names: Sequence[str]) -> None:
        """People who were forgotten do not come back, nor does what hangs on them."""
        memory = Memory.of(self.connection)
        if memory is None:
            return
        for name in names:
            table = f"{self.source}__{name}"
            memory.scrub(f'raw."{table}"', table, f"source_position = '{self.snapshot_id}'")
        parts_of_people.erase(self.connection)

    def _is_past(self, entity: Entity) -> str:
        """The condition of a version that holds no longer: its record is another now, or is not there."""
        same = f"(source_key, digest) in (select (source_key, digest) from {_STAGED})"
        if not (isinstance(entity.how, OfOwners) and entity.how.by_change):
            return f"not {same}"
        # Of owners that were not read again, the parts are as they were, unless the owner is gone.
        gone = " or ".join(
            f"""(source_key like '{owner.code}:%' and source_key not in (
                    select '{owner.code}:' || source_key from ops.snapshot_rows
                    where source = $source and entity = '{owner.entity}'))"""
            for owner in entity.how.owners
        )
        return f"((source_key in (select source_key from {_STAGED}) and not {same}) or {gone})"
