"""What people know a part by: the names of its cards, and where a browser finds them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import duckdb

from publish.again import with_owners
from publish.bitrix24.kinds import Catalogue
from publish.held import Held
from publish.parts import Key, Link, Part, decoded
from publish.plan import Example

_NAMES = ("title", "lastName", "name", "secondName")  # of cards, in the order in which they are read out


def labels(held: Held, parts: Catalogue, examples: Iterable[Example]) -> list[str]:
    """Of each change, the names of the cards that it is about, with their addresses where the portal has them. The plan
    has to be there (`plan.compute`)."""
    by_entity = {part.entity: part for part in parts}
    cards = [_cards_of(example, by_entity, parts) for example in examples]
    wanted: dict[str, set[str]] = defaultdict(set)
    for key in (key for keys in cards for key in keys):
        wanted[key.entity].add(key.origin_id)
    names: dict[Key, str] = {}
    addresses: dict[Key, str] = {}
    portal = _address(held)
    for entity, origin_ids in wanted.items():
        for origin_id, told in _told(held.connection, entity, sorted(origin_ids)).items():
            names[Key(entity, origin_id)] = told
        if portal:
            for origin_id, number in held.ids(entity, sorted(origin_ids)).items():
                addresses[Key(entity, origin_id)] = f"{portal}/crm/{entity}/details/{number}/"
    ends = ([" ".join(filter(None, (names.get(key), addresses.get(key)))) for key in keys] for keys in cards)
    return [" / ".join(filter(None, named)) for named in ends]


def _cards_of(example: Example, by_entity: Mapping[str, Part], parts: Catalogue) -> list[Key]:
    part = by_entity[example.entity]
    if isinstance(part, Link):
        ends = example.origin_id.split("/")
        return [Key(end.entity, key) for end, key in zip((part.holder, part.other), ends, strict=True)]
    return [Key(with_owners(part, parts)[-1], example.origin_id)]


def _told(connection: duckdb.DuckDBPyConnection, entity: str, origin_ids: list[str]) -> dict[str, str]:
    """The names of cards: as they are to be, else as they were sent."""
    rows = connection.execute(
        f"""select origin_id, wanted::varchar from portal_ledger
            where entity = ? and origin_id in (select unnest($2))
            union all
            select origin_id, wanted from plan_{entity} where action = 'create' and origin_id in (select unnest($2))""",
        [entity, origin_ids],
    ).fetchall()
    told = {}
    for origin_id, wanted in rows:
        fields = decoded(wanted)
        told[origin_id] = " ".join(str(fields[name]) for name in _NAMES if fields.get(name))
    return told


def _address(held: Held) -> str:
    """The portal's address as it answered at last, '' where it has not."""
    row = held.connection.execute("select url from sync.portals where portal = ?", [held.portal]).fetchone()
    return str(row[0]).rstrip("/") if row else ""
