"""What leaves the ledger with a part, so that it is made again with it: what hangs on it, its links, who refers to it.

A push does so with the deleted parts that `publish retry` asked for, and a plan shows what will come of it.
"""

from collections.abc import Iterable, Iterator

from publish.held import Held
from publish.parts import Field, Link, Part


def with_owners(part: Part, parts: Iterable[Part]) -> list[str]:
    """A part's entity, that of what it hangs on, and so on up to the card."""
    by_entity = {other.entity: other for other in parts}
    chain = [part.entity]
    while owner := by_entity[chain[-1]].owner:
        chain.append(owner)
    return chain


def belongs_to(part: Part, parts: Iterable[Part], keys: str) -> str:
    """SQL that is true of lines of the ledger that are parts of this kind with these keys (SQL of a column of them), or
    belong to one."""
    parts = list(parts)
    hanging = "', '".join(other.entity for other in parts if part.entity in with_owners(other, parts))
    conditions = [f"(entity in ('{hanging}') and origin_id in ({keys}))"]
    for link in parts:
        if isinstance(link, Link):
            conditions += [
                f"(entity = '{link.entity}' and split_part(origin_id, '/', {place}) in ({keys}))"
                for place, end in enumerate((link.holder, link.other), start=1)
                if end.entity == part.entity
            ]
    return f"({' or '.join(conditions)})"


def referring_to(part: Part, parts: Iterable[Part]) -> Iterator[tuple[str, Field]]:
    """Kinds of parts, and their fields that name a part of this kind: they are told of it anew."""
    return ((other.entity, field) for other in parts for field in other.references if field.refers_to == part.entity)


def untold(field: Field) -> str:
    """A JSON text that takes a field out of what it patches."""
    return f"""'{{"{field.name}": null}}'"""


def foresee(ledger: Held, parts: Iterable[Part]) -> int:
    """Let `portal_ledger` and `portal_deletions` be what the next push will plan with: without the parts that
    `publish retry` asked for. How many those are. Nothing is written; whether somebody has put one back is not known.
    """
    parts, connection = list(parts), ledger.connection
    connection.execute(
        """create or replace temp table wanted_again as
           select entity, origin_id from portal_deletions where is_wanted_again"""
    )
    ((number,),) = connection.execute("select count(*) from wanted_again").fetchall()
    if not number:
        return 0
    gone, texts = [], {"sent": "sent", "wanted": "wanted"}
    for part in parts:
        keys = f"select origin_id from wanted_again where entity = '{part.entity}'"
        gone.append(belongs_to(part, parts, keys))
        for entity, field in referring_to(part, parts):
            refers = f"entity = '{entity}' and json_extract_string(line.wanted, '$.{field.name}') in ({keys})"
            texts = {
                name: f"if({refers}, json_merge_patch({text}, {untold(field)}), {text})" for name, text in texts.items()
            }
    name = ledger.portal.replace("'", "''")
    connection.execute(
        f"""create or replace temp view portal_ledger as
            select line.* exclude (portal) replace ({texts["sent"]} as sent, {texts["wanted"]} as wanted)
            from {ledger.schema}.ledger as line where portal = '{name}' and not ({" or ".join(gone)})"""
    )
    connection.execute(
        f"""create or replace temp view portal_deletions as
            select * exclude (portal) from {ledger.schema}.deletions where portal = '{name}' and not is_wanted_again"""
    )
    return int(number)
