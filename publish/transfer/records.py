"""What is to be done: rows of `marts.transfer_records` that the ledger has not dealt with, page by page, and what their
references are in the box.

A row is dealt with when the ledger has its digest from after the box was read last: a later reading that still wants
the same has found that it is not so.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import duckdb

from ingest.warehouse.errors import OperatorError
from ingest.warehouse.journal import utc_now
from publish.held import WAITS, Held
from publish.parts import Key, decoded
from publish.settings import MOVED
from publish.transfer.kinds import (
    ACTIVITY,
    ACTIVITY_COMMENT,
    AFTERWARDS,
    BINDING,
    BINDINGS,
    COMMENT,
    LATER_FILE,
    MART,
    NAMES,
    SETTINGS,
)
from publish.transfer.ledger import digest_of

MISSING = "MISSING_REFERENCE"
PAGE = 1000
_IS_OR_COMES = """(
    exists (from portal_ledger as line where line.entity = asked.entity and line.origin_id = asked.source_id
        and line.bitrix_id is not null)
    or exists (from transfer_work as work where work.entity = asked.entity and work.source_id = asked.source_id
        and work.action = 'create'))"""  # what the move has made, or makes in this push
_RESTS = f"({WAITS} and letter.error <> '{MISSING}' and letter.wanted ->> '$.digest' = asked.digest)"
_READ = """(
    select coalesce(max(started_at), '-infinity') from ops.snapshots
    where source = 'box' and completed_at is not null)"""  # when the box was read last
_COMPARED = (*SETTINGS, "comments")  # a create of these is dealt with by its digest, as a change is


class Record(NamedTuple):
    """A row to send. `digest` is of all that it says."""

    entity: str
    source_id: str
    action: str
    target_id: int | None
    fields: dict[str, Any]
    position: int
    digest: str

    @property
    def key(self) -> Key:
        return Key(self.entity, self.source_id)

    @property
    def wanted(self) -> str:
        """What the ledger keeps of it."""
        return digest_of(self.digest)


class Reference(NamedTuple):
    """Another record that a value points to."""

    entity: str
    source_id: str


@dataclass(frozen=True, slots=True)
class Work:
    """What there is to do for one box; `entities` alone, and deletions only where `deletes`."""

    ledger: Held
    entities: Sequence[str]
    deletes: bool

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        return self.ledger.connection

    def plan(self) -> None:
        """Find out what is to be done. Raises OperatorError where the mart is not there."""
        actions = ["create", "update", *(["delete"] if self.deletes else [])]
        compared = ", ".join(f"'{entity}'" for entity in _COMPARED)
        try:
            self.connection.execute(
                f"""create or replace temp table transfer_work as
                    with rows_of_mart as (
                        select
                            entity, source_id, action, target_id, position, fields::varchar as fields,
                            second_pass::varchar as second_pass, md5(action || coalesce(fields::varchar, '')) as digest
                        from {MART}
                        where action in (select unnest($actions)) and entity in (select unnest($entities))
                            -- no method sets these to nothing
                            and not (action = 'delete' and entity in ('product_rows', 'comments'))
                    ),
                    dealt_with as (
                        select line.entity, line.origin_id as source_id, line.wanted ->> '$.digest' as digest
                        from portal_ledger as line
                        where line.synced_at >= {_READ} and line.wanted ->> '$.anew' is null
                    )
                    select asked.* exclude (second_pass) from rows_of_mart as asked
                    left join portal_ledger as held
                        on held.entity = asked.entity and held.origin_id = asked.source_id
                    left join portal_dead_letters as letter
                        on letter.entity = asked.entity and letter.origin_id = asked.source_id
                    where not (held.entity is not null
                            and asked.action = 'create' and asked.entity not in ({compared}))
                        and (asked.entity, asked.source_id, asked.digest) not in (
                            select (entity, source_id, digest) from dealt_with where digest is not null)
                        and not coalesce({_RESTS}, false)""",
                {"actions": actions, "entities": list(self.entities), "now": utc_now()},
            )
            self.connection.execute(
                f"""create or replace temp table transfer_second_pass as
                    with cards as (
                        select
                            entity, source_id, 'update' as action, target_id, second_pass::varchar as fields, position,
                            md5(second_pass::varchar) as digest
                        from {MART}
                        where action in ('create', 'update') and entity in (select unnest($entities))
                            and coalesce(second_pass::varchar, '{{}}') not in ('{{}}', 'null')
                    ),
                    emails as ( -- completed, and coming in, once they are there: made so, they would be sent
                        select
                            entity, source_id, 'update' as action, target_id, fields::varchar as fields, position,
                            md5('completed') as digest
                        from {MART}
                        where action = 'create' and entity = '{ACTIVITY.entity}' and $with_emails
                            and fields ->> '$.TYPE_ID' = '4'
                            and (fields ->> '$.COMPLETED' = 'Y' or coalesce(fields ->> '$.DIRECTION', '2') <> '2')
                    ),
                    dealt_with as (
                        select origin_id, wanted ->> '$.digest' as digest from portal_ledger
                        where entity = '{AFTERWARDS}' and wanted ->> '$.digest' is not null and synced_at >= {_READ}
                    )
                    select asked.* from (from cards union all from emails) as asked
                    left join portal_dead_letters as letter
                        on letter.entity = '{AFTERWARDS}' and letter.origin_id = asked.entity || '/' || asked.source_id
                    where (asked.entity || '/' || source_id, digest) not in (select (origin_id, digest) from dealt_with)
                        and (target_id is not null or {_IS_OR_COMES})
                        and not coalesce({_RESTS}, false)""",
                {
                    "entities": list(self.entities),
                    "with_emails": ACTIVITY.entity in self.entities,
                    "now": utc_now(),
                },
            )
            self.connection.execute(
                f"""create or replace temp table transfer_bindings as
                    with asked as (
                        select
                            '{BINDING}' as entity, source_id || ':' || binding_key as source_id, 'create' as action,
                            null::bigint as target_id, position, md5(fields::varchar) as digest,
                            json_merge_patch(
                                fields, json_object('activityId', json_object('ref', ['{ACTIVITY.entity}', source_id]))
                            )::varchar as fields
                        from {BINDINGS} as lacking
                        -- one that became a comment is bound to nothing
                        where $with_activities and source_id not in (
                            select origin_id from portal_ledger where entity = '{ACTIVITY_COMMENT}')
                    )
                    from asked where (source_id, digest) not in (
                        select (origin_id, wanted ->> '$.digest') from portal_ledger
                        where entity = '{BINDING}' and wanted ->> '$.digest' is not null and synced_at >= {_READ})""",
                {"with_activities": ACTIVITY.entity in self.entities},
            )
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            missing = str(error).splitlines()[0].partition(": ")[2]
            raise OperatorError(
                f"there is nothing to move: {missing}", hint="run the models of the move first"
            ) from None

    def is_any(self) -> bool:
        """Whether the mart wants anything of the box, done or not."""
        sql = f"select 1 from {MART} where action <> 'none' and entity in (select unnest(?)) limit 1"
        return self.connection.execute(sql, [list(self.entities)]).fetchone() is not None

    def count(self, *actions: str) -> int:
        """How much there is to do, of these actions or of all; the second pass counts as an update."""
        sql = "select count(*) from transfer_work where action in (select unnest(?))"
        chosen = actions or ("create", "update", "delete")
        number = int((self.connection.execute(sql, [list(chosen)]).fetchone() or (0,))[0])
        if "update" in chosen:
            for table in ("transfer_second_pass", "transfer_bindings"):
                number += int((self.connection.execute(f"select count(*) from {table}").fetchone() or (0,))[0])
        return number

    def counts(self) -> dict[str, int]:
        """How much there is to do by entity, in the order of sending."""
        rows = dict(self.connection.execute("select entity, count(*) from transfer_work group by 1").fetchall())
        return {entity: rows[entity] for entity in MOVED if entity in rows}

    def pages(self, entity: str, action: str, size: int = PAGE) -> Iterator[list[Record]]:
        """Rows of a kind, in the order of sending."""
        return self._pages("transfer_work", "entity = ? and action = ?", [entity, action], size)

    def bindings(self, size: int = PAGE) -> Iterator[list[Record]]:
        """What activities that are there are bound to, a row each."""
        return self._pages("transfer_bindings", "true", [], size)

    def second_pass(self, size: int = PAGE) -> Iterator[list[Record]]:
        return self._pages("transfer_second_pass", "true", [], size)

    def _pages(self, table: str, where: str, values: Sequence[str], size: int) -> Iterator[list[Record]]:
        above: tuple[int, str, str] = (-1, "", "")
        while True:
            rows = self.connection.execute(
                f"""select entity, source_id, action, target_id, fields, coalesce(position, 0), digest from {table}
                    where {where} and (coalesce(position, 0), entity, source_id) > (?, ?, ?)
                    order by coalesce(position, 0), entity, source_id limit {size}""",
                [*values, *above],
            ).fetchall()
            if not rows:
                return
            page = [
                Record(entity, source_id, action, target_id, decoded(fields), position, digest)
                for entity, source_id, action, target_id, fields, position, digest in rows
            ]
            above = (page[-1].position, page[-1].entity, page[-1].source_id)
            yield page


def drop_letters(ledger: Held) -> None:
    """Let dead letters leave of which nothing is wanted any more, such as of a record that was deleted in the cloud."""
    ledger.connection.execute(
        f"""delete from transfer.dead_letters as letter
            where {ledger.ours} and (letter.entity, letter.origin_id) not in (
                select (entity, source_id) from {MART} where action <> 'none'
                union all
                select ('{COMMENT.entity}', unnest((fields -> '$.parts')::json[]) ->> '$.ID') from {MART}
                where entity = 'comments' and action <> 'none'
                union all
                select ('{AFTERWARDS}', entity || '/' || source_id) from {MART} where action in ('create', 'update')
                union all
                select ('{BINDING}', source_id || ':' || binding_key) from {BINDINGS})"""
    )


# References -----------------------------------------------------------------------------------------------------------


def references_in(value: Any) -> Iterator[Reference]:
    """What a value points to, also deep within."""
    if isinstance(value, Mapping):
        if "ref" in value:
            yield Reference(*map(str, value["ref"]))
        else:
            for inner in value.values():
                yield from references_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references_in(inner)


def replaced(value: Any, ids: Mapping[Reference, int]) -> Any:
    """A value with the box's ids in the place of its references, all of which must be in `ids`; a `prefix` goes before
    one, as in `CO_15`."""
    if isinstance(value, Mapping):
        if "ref" in value:
            target_id = ids[Reference(*map(str, value["ref"]))]
            return f"{value['prefix']}{target_id}" if "prefix" in value else target_id
        return {name: replaced(inner, ids) for name, inner in value.items()}
    return [replaced(inner, ids) for inner in value] if isinstance(value, list) else value


def ids_of(ledger: Held, references: Iterable[Reference]) -> dict[Reference, int]:
    """Ids in the box of those records that are there: made by the move, or known by the models."""
    asked = sorted(set(references))
    rows = ledger.connection.execute(
        f"""with asked as (select unnest(?) as entity, unnest(?) as source_id)
            select asked.entity, asked.source_id, coalesce(line.bitrix_id, known.target_id)
            from asked
            left join portal_ledger as line on line.entity = asked.entity and line.origin_id = asked.source_id
            left join {MART} as known on known.entity = asked.entity and known.source_id = asked.source_id
            where coalesce(line.bitrix_id, known.target_id) is not null""",
        [[one.entity for one in asked], [one.source_id for one in asked]],
    ).fetchall()
    return {Reference(entity, source_id): target for entity, source_id, target in rows}


def known_targets(ledger: Held, entity: str, ids: Iterable[int]) -> set[int]:
    """Those of some ids of the box that stand for a record already, whichever portal that came from."""
    rows = ledger.connection.execute(
        f"""select unnest(?::bigint[]) as target_id intersect (
                select bitrix_id from transfer.ledger where portal = ? and entity in (select unnest(?))
                union all select target_id from {MART} where entity = ?)""",
        [
            list(ids),
            ledger.portal,
            [entity, ACTIVITY_COMMENT, NAMES, LATER_FILE] if entity == COMMENT.entity else [entity],
            entity,
        ],
    ).fetchall()
    return {target for (target,) in rows}
