"""Mart minus ledger: what to add, to update, to take away, which cards to merge; as temporary tables, one a part.

Set-based and within DuckDB, so that a plan of a million parts needs neither time nor Python's memory: parts whose
wanted JSON text equals the one last dealt with are nobody's business; the rest are read page by page. What somebody
deleted in the portal is nobody's business either, nor what would hang on it or could not be without it; nor is what a
dead letter waits for, and what needs that (publish/waiting.py).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import duckdb

from ingest.warehouse.errors import OperatorError
from ingest.warehouse.journal import utc_now
from publish import waiting
from publish.again import with_owners
from publish.held import WAITS, Held
from publish.parts import PRIMARY, Departed, Field, Key, Link, Part, canonical, decoded
from publish.words import Words

Action = Literal["create", "update", "remove", "merge"]
NOBODY_CHOSEN: Mapping[str, str] = {}
SHOWN_FIRST: tuple[Action, ...] = ("update", "remove", "merge", "create")
MERGE = "merge"  # the field under which a pair of cards is listed that the portal could not merge


class Change(NamedTuple):
    """A part that differs. `wanted`, `sent` and `previous` are JSON texts: by the mart, as last sent, as last dealt
    with; the last two and `bitrix_id` are None for a part that the portal does not hold."""

    entity: str
    origin_id: str
    wanted: str
    sent: str | None
    previous: str | None
    bitrix_id: int | None

    @property
    def key(self) -> Key:
        return Key(self.entity, self.origin_id)


class Example(NamedTuple):
    """A change for people: name of a field -> (old, new)."""

    entity: str
    origin_id: str
    action: Action
    fields: dict[str, tuple[Any, Any]]


def compute(
    ledger: Held, parts: Iterable[Part], *, merges: bool = False, owners: Mapping[str, str] = NOBODY_CHOSEN
) -> None:
    """Fill `plan_<entity>` for each part: origin_id, action, wanted, sent, previous, bitrix_id; with `merges` also the
    cards of records that were merged into others, which the portal is to merge too. `owners` are those of the settings,
    by entity.field: what was left to managers and is the source's since is not dealt with yet.

    Raises OperatorError when a mart, or a column of one, is not there.
    """
    parts = list(parts)
    try:
        for part in parts:
            ledger.connection.execute(
                f"""create or replace temp table plan_{part.entity} as
                    with differences as ({_differences(ledger, part, parts, owners)}),
                    waiting as (
                        select origin_id, wanted::varchar as wanted from portal_dead_letters
                        where entity = '{part.entity}' and {WAITS}
                    )
                    from differences anti join waiting using (origin_id, wanted)""",
                {"now": utc_now()},
            )
            if merges and part.departed:
                ledger.connection.execute(f"insert into plan_{part.entity} {_merges(part, part.departed)}")
            for field in part.fields:
                if field.choices and field.choices.mart:
                    ledger.connection.execute(f"from {field.choices.mart} limit 0")
        waiting.leave_out(ledger.connection, parts)
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        missing = str(error).splitlines()[0].partition(": ")[2]
        raise OperatorError(
            f"there is nothing to publish: {missing}", hint="run the models first, `make full`"
        ) from None


def no_longer_wanted(ledger: Held, parts: Iterable[Part], owners: Mapping[str, str] = NOBODY_CHOSEN) -> Iterator[Key]:
    """Dead letters that stand for nothing any more: their record left the mart, or the portal has it by now, or the
    part is none of ours. Call it after `compute`, with the same owners."""
    parts = list(parts)
    refused: dict[str, list[str]] = defaultdict(list)
    for entity, origin_id in ledger.connection.execute(
        "select entity, origin_id from portal_dead_letters order by 1, 2"
    ).fetchall():
        refused[entity].append(origin_id)
    differences = {part.entity: _differences(ledger, part, parts, owners) for part in parts}
    for entity, origin_ids in refused.items():
        wanted: set[str] = set()
        if entity in differences:
            rows = ledger.connection.execute(
                f"""with differences as ({differences[entity]}), refused as (select unnest(?) as origin_id)
                    select origin_id from differences semi join refused using (origin_id)""",
                [origin_ids],
            ).fetchall()
            wanted = {origin_id for (origin_id,) in rows}
        yield from (Key(entity, origin_id) for origin_id in origin_ids if origin_id not in wanted)


def _differences(ledger: Held, part: Part, parts: Sequence[Part], owners: Mapping[str, str] = NOBODY_CHOSEN) -> str:
    return _changed_links(part) if isinstance(part, Link) else _changed(ledger, part, parts, owners)


def _changed(ledger: Held, part: Part, parts: Sequence[Part], owners: Mapping[str, str]) -> str:
    removed = ""
    words = ledger.words
    if part.remove and part.where != "true":  # its owner is there and has it no more; of one that left, all stays
        removed = f"""
            union all
            select origin_id, 'remove' as action, '{{}}' as wanted, sent::varchar, wanted::varchar, bitrix_id
            from portal_ledger where entity = '{part.entity}'
                and origin_id not in (select {part.key} from {part.mart} where {part.where})
                and origin_id in (select {part.key} from {part.mart})"""
    chain = "', '".join(with_owners(part, parts))
    needed = " union all ".join(
        f"""select wanted.origin_id from wanted
            inner join portal_deletions as gone on gone.entity = '{field.refers_to}'
                and gone.origin_id = json_extract_string(wanted.wanted, '$.{field.name}')"""
        for field in part.references
        if field.is_required
    )
    return f"""
        with published as ({_published(part, owners)}),
        wanted as (
            select {part.key} as origin_id, {words.wanted(part)} as wanted
            from {part.mart} where {part.where}{_departed(part, words)}
        ),
        deleted as (select origin_id from portal_deletions where entity in ('{chain}')),
        without_what_it_needs as ({needed or "select null::varchar as origin_id where false"}),
        differing as (
            select wanted.origin_id, if(published.origin_id is null, 'create', 'update') as action, wanted.wanted,
                published.sent::varchar as sent, published.wanted::varchar as previous, published.bitrix_id
            from wanted
            left join published on published.origin_id = wanted.origin_id
            where (published.origin_id is null and wanted.origin_id not in (from without_what_it_needs))
                or (published.origin_id is not null and published.wanted::varchar is distinct from wanted.wanted)
        ),
        remembered as ({_remembered(part, parts, words)}),
        changed as (
            select * from remembered where action = 'create' or previous is distinct from wanted{removed}
        )
        select changed.* from changed anti join deleted on deleted.origin_id = changed.origin_id"""


def _published(part: Part, owners: Mapping[str, str]) -> str:
    """Lines of the ledger; without the fields that were left to managers, where these are the source's by now. Of the
    first of a set that is theirs no setting makes it ours."""
    published = f"select * from portal_ledger where entity = '{part.entity}'"
    taken = [f.name for f in part.fields if owners.get(f"{part.entity}.{f.name}") == "source" and not f.first_of]
    if not taken:
        return published
    return f"""
            with taken as (
                select origin_id, json_group_object(field, null)::varchar as untold from portal_conflicts
                where entity = '{part.entity}' and field in ('{"', '".join(taken)}') group by 1
            )
            select lines.* exclude (untold)
                replace (if(untold is null, wanted, json_merge_patch(wanted, untold::json)) as wanted)
            from (select * from ({published}) left join taken using (origin_id)) as lines"""


def _departed(part: Part, words: Words) -> str:
    """More of what is wanted: a record that left keeps its card; only its state is told, and NULL means that even that
    stays as it is, but for its word."""
    if not part.departed:
        return ""
    departed = part.departed
    choice = f"'{departed.choice_field}', left_as" if departed.choice_field else ""
    return f"""
            union all
            select origin_id, json_merge_patch(
                json_merge_patch(wanted, json_object('{departed.state_field}', word)),
                if(left_as is null, '{{}}', json_object({choice})))::varchar
            from (
                select origin_id, wanted, told, left_as, {words.state(part, departed, "state_now")} as word
                from (
                    select published.origin_id, published.wanted, departed.state as left_as,
                        json_extract_string(published.wanted, '$.{departed.state_field}') as told,
                        coalesce(departed.state, {words.known_state(part, departed, "told")}) as state_now
                    from portal_ledger as published
                    left join {departed.mart} as departed on departed.{part.key} = published.origin_id
                    where published.entity = '{part.entity}'
                        and published.origin_id not in (select {part.key} from {part.mart})
                )
            )
            where word is not null and told is distinct from word"""


def _merges(part: Part, departed: Departed) -> str:
    """Cards whose survivor's card is there as well, but for pairs that the portal could not merge before."""
    return f"""
        select merged.origin_id, 'merge', '{{}}', null, null, merged.bitrix_id
        from {departed.mart} as departed
        inner join portal_held as merged on merged.entity = '{part.entity}' and merged.origin_id = departed.{part.key}
        inner join portal_held as survivor
            on survivor.entity = '{part.entity}' and survivor.origin_id = departed.merged_into
        where departed.state = 'merged' and not exists (
            select 1 from portal_conflicts as conflict
            where conflict.entity = '{part.entity}' and conflict.origin_id = merged.origin_id
                and conflict.field = '{MERGE}')"""


def _remembered(part: Part, parts: Sequence[Part], words: Words) -> str:
    """What differs, with what a record keeps from before: worked out for those rows alone, for there are few.

    It is put into the text as the warehouse writes it, so that equal fields stay equal texts; a name with its quotes
    and colon is in no value, for quotes are escaped there.
    """
    wanted, joins = "wanted", ""
    for field in part.fields:
        before = f"json_extract_string(previous, '$.{field.name}')"
        if field.is_kept:
            before = f"coalesce({before}, json_extract_string(sent, '$.{field.name}'))"
            card = next((other for other in parts if other.entity == field.refers_to), None)
            if card and card.departed:
                joins += f"""
            left join {card.departed.mart} as of_{card.entity}
                on of_{card.entity}.state = 'merged' and of_{card.entity}.{card.key} = {before}"""
                before = f"coalesce(of_{card.entity}.merged_into, {before})"
            kept = f"""'"{field.name}":' || coalesce(to_json({before})::varchar, 'null')"""
            wanted = f"""replace({wanted}, '"{field.name}":null', {kept})"""
        elif field.once_left:
            is_back = f"{before} is not null and json_extract_string(wanted, '$.{field.name}') is null"
            word = words.state(part, part.departed, field.column) if part.departed else field.column
            told = f"""',"{field.name}":' || to_json({word})::varchar || '}}'"""
            wanted = f"if({is_back}, left({wanted}, -1) || {told}, {wanted})"
    return f"select differing.* replace ({wanted} as wanted) from differing{joins}"


def _changed_links(link: Link) -> str:
    """A link goes only where it is known to be wrong: both ends are still published, or one was merged into another
    card. The people of a company that stopped trading stay with it. So goes one that may be there, for nobody saw the
    answer to it. An update makes a link the holder's primary one."""
    holder, other = link.holder, link.other
    merged = " union all ".join(
        f"select {card.key} as origin_id from {card.departed.mart} where state = 'merged'"
        for card in (other, holder)
        if card.departed
    )
    return f"""
        with published as (
            select origin_id, split_part(origin_id, '/', 1) as {holder.key},
                split_part(origin_id, '/', 2) as {other.key}
            from portal_ledger where entity = '{link.entity}'
        ),
        perhaps_there as (
            select origin_id, split_part(origin_id, '/', 1) as {holder.key},
                split_part(origin_id, '/', 2) as {other.key}
            from portal_updates_under_way where entity = '{link.entity}'
        ),
        moved as (
            select split_part(origin_id, '/', 1) as {holder.key}
            from portal_ledger where entity = '{link.entity}' and wanted::varchar = '{PRIMARY}'
                and origin_id not in (select {link.key} from {link.mart} where {link.first})
        ),
        merged as ({merged or "select null::varchar as origin_id where false"}),
        present as (
            select {other.key} as origin_id from {other.mart} union all select {holder.key} from {holder.mart}
        ),
        changed as (
            select {link.key} as origin_id, 'create' as action from {link.mart}
            anti join published using ({holder.key}, {other.key})
            anti join (select origin_id as {holder.key} from portal_deletions where entity = '{holder.entity}')
                using ({holder.key})
            anti join (select origin_id as {other.key} from portal_deletions where entity = '{other.entity}')
                using ({other.key})
            union all
            select origin_id, 'remove' from (from published union from perhaps_there)
            anti join {link.mart} as link using ({holder.key}, {other.key})
            where ({holder.key} in (from present) and {other.key} in (from present))
                or {holder.key} in (from merged) or {other.key} in (from merged)
            union all
            select {link.key}, 'update' from {link.mart}
            where {link.first} and {holder.key} in (from moved)
                and {link.key} in (select origin_id from published)
        )
        select origin_id, action, '{{}}' as wanted, '{{}}' as sent, '{{}}' as previous, null::bigint as bitrix_id
        from changed"""


def count(connection: duckdb.DuckDBPyConnection, entity: str, action: Action | None = None) -> int:
    """How many parts of a kind differ, in all or by action."""
    row = connection.execute(
        f"select count(*) from plan_{entity} where coalesce(action = ?, true)", [action]
    ).fetchone()
    return int(row[0]) if row else 0


def page(connection: duckdb.DuckDBPyConnection, entity: str, action: Action, above: str, limit: int) -> list[Change]:
    """The next changes of a kind in key order."""
    rows = connection.execute(
        f"""select origin_id, wanted, sent, previous, bitrix_id from plan_{entity}
            where action = ? and origin_id > ? order by origin_id limit ?""",
        [action, above, limit],
    ).fetchall()
    return [Change(entity, *row) for row in rows]


def examples(connection: duckdb.DuckDBPyConnection, parts: Iterable[Part], limit: int) -> Iterator[Example]:
    """The first `limit` changes of each part: of all parts the updates first, which a person has to look at, then what
    is taken away, merged and created."""
    changes = []
    for part in parts:
        rows = connection.execute(
            f"""select origin_id, action, previous, wanted from plan_{part.entity}
                order by list_position({list(SHOWN_FIRST)}, action), origin_id limit ?""",
            [limit],
        ).fetchall()
        for origin_id, action, previous, wanted in rows:
            fields = changed_fields(part.fields, decoded(previous), decoded(wanted))
            changes.append(Example(part.entity, origin_id, action, fields))
    yield from sorted(changes, key=lambda example: SHOWN_FIRST.index(example.action))


def changed_fields(
    fields: Iterable[Field], previous: Mapping[str, Any], wanted: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """Fields whose wanted value differs, as people are told them -> (old, new)."""
    changed = {}
    for field in fields:
        old, new = previous.get(field.name), wanted.get(field.name)
        if field.is_multiple:
            old, new = sorted(old or []), sorted(new or [])
            is_same = old == new
        else:
            is_same = bool(canonical(field.kind, old) == canonical(field.kind, new))
        if not is_same:
            changed[field.told_as] = (old, new)
    return changed
