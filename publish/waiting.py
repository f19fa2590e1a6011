"""What a plan holds and a push cannot send now: records that wait for a person or for their next try, and all that
needs them.

It leaves the plan's tables, so that it counts neither for the change limit nor as something to send: else a few hundred
records that wait would stop, or start, every push until somebody has looked after them.
"""

from collections.abc import Iterable, Mapping, Set

import duckdb

from publish.parts import Field, Key, Link, Part, decoded

NOBODY: Mapping[str, Set[str]] = {}
NOTHING: Mapping[Key, frozenset[str]] = {}


def leave_out(
    connection: duckdb.DuckDBPyConnection,
    parts: Iterable[Part],
    blocked: Mapping[str, Set[str]] = NOBODY,
    held: Mapping[Key, frozenset[str]] = NOTHING,
) -> None:
    """Take out of `plan_<entity>`, part by part in the order they are sent in: creates that are `blocked` (origin ids
    by entity), what would hang on, refer to or link a card that is neither there nor to be created, and updates of
    nothing but references to such cards or fields that are `held` back."""
    parts = list(parts)
    for part in parts:
        table = f"plan_{part.entity}"
        if connection.execute(f"from {table} limit 1").fetchone() is None:
            continue  # most plans hold nothing of most parts, and to ask costs a hundredth of looking for it
        if blocked.get(part.entity):
            connection.execute(
                f"delete from {table} where action = 'create' and origin_id in (select unnest(?))",
                [sorted(blocked[part.entity])],
            )
        if isinstance(part, Link):
            _leave_out_links(connection, part)
            continue
        for condition in _needs(part, parts):
            connection.execute(f"delete from {table} where action = 'create' and not ({condition})")
        _leave_out_references(connection, part)
        _leave_out_held(connection, part, held)


def _to_be_there(entity: str) -> str:
    """SQL of the keys of cards, or details, that the portal holds, but for those that somebody deleted there, or that
    this plan creates."""
    return f"""select origin_id from portal_held where entity = '{entity}'
               union all select origin_id from plan_{entity} where action = 'create'"""


def _needs(part: Part, parts: Iterable[Part]) -> Iterable[str]:
    """SQL conditions under which a create can be sent."""
    if part.owner:
        yield f"origin_id in ({_to_be_there(part.owner)})"
    for field in part.references:
        if field.is_required:
            yield f"coalesce({_told(field)}, '') in ({_to_be_there(field.refers_to)})"
    for link in parts:
        if isinstance(link, Link) and link.holder.entity == part.entity:
            others = _to_be_there(link.other.entity)
            yield f"origin_id in (select {link.holder.key} from {link.mart} where {link.other.key} in ({others}))"


def _told(field: Field) -> str:
    return f"json_extract_string(wanted, '$.{field.name}')"


def _leave_out_links(connection: duckdb.DuckDBPyConnection, link: Link) -> None:
    """A link is added between cards that are to be there, and taken away between cards that are."""
    ends = ((1, link.holder.entity), (2, link.other.entity))
    for place, entity in ends:
        there = f"select origin_id from portal_ledger where entity = '{entity}'"
        for action, cards in (("create", _to_be_there(entity)), ("remove", there)):
            connection.execute(
                f"""delete from plan_{link.entity}
                    where action = '{action}' and split_part(origin_id, '/', {place}) not in ({cards})"""
            )


def _leave_out_references(connection: duckdb.DuckDBPyConnection, part: Part) -> None:
    """What was dealt with lacks the references that could not be told, so that all else has to be equal."""

    if not part.references:
        return
    untold = {
        field.name: f"""coalesce({_told(field)} not in ({_to_be_there(field.refers_to)}
            union all select origin_id from portal_deletions where entity = '{field.refers_to}'), false)"""
        for field in part.references
    }
    # The ledger's text goes through the same function, which writes numbers in a form of its own.
    told = "json_merge_patch(wanted, '{}')"
    for name in untold:
        told = f"""if(is_untold."{name}", json_merge_patch({told}, '{{"{name}": null}}'), {told})"""
    flags = ", ".join(f'"{name}" := {condition}' for name, condition in untold.items())
    connection.execute(
        f"""with looked_at as (
                select origin_id, wanted, previous, struct_pack({flags}) as is_untold
                from plan_{part.entity} where action = 'update'
            ),
            waiting as (
                select origin_id from looked_at
                where ({" or ".join(f'is_untold."{name}"' for name in untold)})
                    and {told}::varchar = json_merge_patch(previous, '{{}}')::varchar
            )
            delete from plan_{part.entity} where action = 'update' and origin_id in (from waiting)"""
    )


def _leave_out_held(connection: duckdb.DuckDBPyConnection, part: Part, held: Mapping[Key, frozenset[str]]) -> None:
    fields = {key.origin_id: names for key, names in held.items() if key.entity == part.entity}
    if not fields:
        return
    rows = connection.execute(
        f"""select origin_id, wanted, previous from plan_{part.entity}
            where action = 'update' and origin_id in (select unnest(?))""",
        [list(fields)],
    ).fetchall()
    nothing_else = [
        origin_id
        for origin_id, wanted, previous in rows
        if {name: value for name, value in decoded(wanted).items() if name not in fields[origin_id]}
        == decoded(previous)
    ]
    connection.execute(
        f"delete from plan_{part.entity} where action = 'update' and origin_id in (select unnest(?::varchar[]))",
        [nothing_else],
    )
