"""Mart minus ledger: what to add, what to update, which links to take away; as temporary tables, one a part.

Set-based and within DuckDB, so that a plan of a million parts needs neither time nor Python's memory: parts whose
wanted JSON text equals the one last dealt with are nobody's business; the rest are read page by page.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb

from ingest.warehouse.errors import OperatorError
from publish import mapping
from publish.mapping import PARTS, Part, canonical, decoded
from publish.pacing import FIRST_GUESS, LONGEST_REQUEST, OTHER_GUESS, WINDOW
from publish.portal import BATCH, PAGE

IMPORT = 20  # elements of `crm.item.batchImport`, page `universal/import/crm-item-batch-import`
_DEPARTED = {
    "company": ("marts.departed_companies", "company_id"),
    "contact": ("marts.departed_contacts", "contact_id"),
}
_COLUMNS = "origin_id, action, wanted, sent, previous, bitrix_id"


def compute(connection: duckdb.DuckDBPyConnection) -> None:
    """Fill `plan_<entity>` for each part: origin_id, action (create, update, remove), wanted, sent, previous,
    bitrix_id.

    Raises OperatorError when the marts are not there.
    """
    try:
        for part in PARTS.values():
            if part is not mapping.LINK:
                connection.execute(_changed(part))
        connection.execute(_CHANGED_LINKS)
    except duckdb.CatalogException as error:
        missing = str(error).splitlines()[0].removeprefix("Catalog Error: ")
        raise OperatorError(
            f"there is nothing to publish: {missing}", hint="run the models first, `make full`"
        ) from None


def _changed(part: Part) -> str:
    departed = ""
    if part.entity in _DEPARTED:
        table, key = _DEPARTED[part.entity]
        # A record that left keeps its card; only its state is told, and NULL means that even that stays.
        departed = f"""
            union all
            select held.origin_id,
                json_merge_patch(held.wanted, json_object('{mapping.STATE}', gone.state))::varchar
            from held inner join {table} as gone on gone.{key} = held.origin_id
            where gone.state is not null
                and json_extract_string(held.wanted, '$.{mapping.STATE}') is distinct from gone.state
                and held.origin_id not in (select {key} from {part.mart})"""
    return f"""
        create or replace temp table plan_{part.entity} as
        with held as (select * from sync.ledger where entity = '{part.entity}'),
        wanted as (
            select {part.origin} as origin_id, {part.wanted} as wanted from {part.mart} where {part.where}{departed}
        ),
        waiting as (
            select origin_id, wanted::varchar as wanted from sync.dead_letters
            where entity = '{part.entity}' and next_at > current_timestamp::timestamp
        )
        select wanted.origin_id, if(held.origin_id is null, 'create', 'update') as action, wanted.wanted,
            held.sent::varchar as sent, held.wanted::varchar as previous, held.bitrix_id
        from wanted
        left join held on held.origin_id = wanted.origin_id
        anti join waiting on waiting.origin_id = wanted.origin_id and waiting.wanted = wanted.wanted
        where held.origin_id is null or held.wanted::varchar is distinct from wanted.wanted"""


# A link goes only where it is known to be wrong: both ends are still published, or one was merged into another card.
# The people of a company that stopped trading stay with it.
_CHANGED_LINKS = f"""
    create or replace temp table plan_company_contact as
    with held as (
        select origin_id, split_part(origin_id, '/', 1) as contact_id, split_part(origin_id, '/', 2) as company_id
        from sync.ledger where entity = 'company_contact'
    ),
    merged as (
        select company_id as origin_id from marts.departed_companies where state = 'merged'
        union all select contact_id from marts.departed_contacts where state = 'merged'
    ),
    current as (
        select company_id as origin_id from marts.crm_companies union all select contact_id from marts.crm_contacts
    ),
    waiting as (
        select origin_id from sync.dead_letters
        where entity = 'company_contact' and next_at > current_timestamp::timestamp
    ),
    changed as (
        select {mapping.LINK.origin} as origin_id, 'create' as action from {mapping.LINK.mart}
        anti join held using (contact_id, company_id)
        union all
        select origin_id, 'remove' from held
        anti join {mapping.LINK.mart} as link using (contact_id, company_id)
        where (contact_id in (from current) and company_id in (from current))
            or contact_id in (from merged) or company_id in (from merged)
    )
    select origin_id, action, '{{}}' as wanted, '{{}}' as sent, '{{}}' as previous, null::bigint as bitrix_id
    from changed anti join waiting using (origin_id)"""


@dataclass(frozen=True)
class Plan:
    """A plan in figures. `requests_least` is what no publisher could go below: commands by the fifty."""

    counts: Mapping[str, Mapping[str, int]]
    published: Mapping[str, int]
    set_aside: int
    commands: Mapping[str, int] = field(default_factory=dict)
    elements: Mapping[str, int] = field(default_factory=dict)
    requests: int = 0
    requests_least: int = 0
    seconds: float = 0.0

    @property
    def is_empty(self) -> bool:
        return not any(sum(actions.values()) for actions in self.counts.values())

    def changed(self, entity: str) -> int:
        return sum(self.counts.get(entity, {}).values())


def summary(connection: duckdb.DuckDBPyConnection, rate: float, burst: int, operating: float) -> Plan:
    """Figures of the plan that `compute` made: counts, requests, and how long they take under both limits."""
    counts = {
        entity: dict(
            connection.execute(f"select action, count(*) from plan_{entity} group by all order by 1").fetchall()
        )
        for entity in PARTS
    }
    published = dict(connection.execute("select entity, count(*) from sync.ledger group by all").fetchall())
    set_aside = connection.execute("select count(*) from sync.dead_letters").fetchone()[0]
    # Links of a contact that is itself new travel with it.
    late_links = connection.execute(
        """select count(*) from plan_company_contact where action = 'remove' or split_part(origin_id, '/', 1) not in (
               select origin_id from plan_contact where action = 'create')"""
    ).fetchone()[0]
    return _costed(Plan(counts, published, set_aside), late_links, rate, burst, operating)


def _costed(plan: Plan, links: int, rate: float, burst: int, operating: float) -> Plan:
    """Add requests and duration: imports by twenty, all by fifty commands or what a request has time for."""

    def count(entity: str, action: str) -> int:
        return plan.counts.get(entity, {}).get(action, 0)

    cards = [part.entity for part in mapping.CARDS]
    imports = [math.ceil(count(entity, "create") / IMPORT) for entity in cards]
    writes = {
        "crm.requisite.add": count("requisite", "create"),
        "crm.requisite.bankdetail.add": count("bank_detail", "create"),
        "crm.address.add": count("address", "create"),
        "crm.item.update": sum(count(entity, "update") for entity in cards),
        "crm.requisite.update": count("requisite", "update"),
        "crm.requisite.bankdetail.update": count("bank_detail", "update"),
        "crm.address.update": count("address", "update"),
        "crm.contact.company.*": links,
    }
    details = writes["crm.requisite.bankdetail.add"] + writes["crm.address.add"]
    updates = [count(entity, "update") for entity in PARTS]
    reads = [math.ceil(one / PAGE) for one in updates]
    elements = {"crm.item.batchImport": sum(count(entity, "create") for entity in cards), **writes}
    commands = {"crm.item.batchImport": sum(imports), **writes, "crm.*.list": sum(reads)}
    by_time = max(1, int(LONGEST_REQUEST / (IMPORT * FIRST_GUESS["crm.item.batchImport"])))
    per_import = min(BATCH, by_time)
    requests = sum(math.ceil(one / per_import) for one in imports)
    requests += math.ceil(writes["crm.requisite.add"] / BATCH) + math.ceil(details / BATCH)
    requests += sum(math.ceil(one / BATCH) for one in updates) + math.ceil(links / BATCH)
    requests += sum(math.ceil(one / BATCH) for one in reads)
    fixed = 0 if plan.is_empty else 1
    least = math.ceil(sum(commands.values()) / BATCH) + fixed
    seconds = max(0.0, (requests + fixed - burst) / rate) if rate else 0.0
    if operating:
        for method, number in elements.items():
            work = number * FIRST_GUESS.get(method, OTHER_GUESS)
            seconds = max(seconds, (math.ceil(work / operating) - 1) * WINDOW)
    commands, elements = ({name: number for name, number in found.items() if number} for found in (commands, elements))
    return Plan(plan.counts, plan.published, plan.set_aside, commands, elements, requests + fixed, least, seconds)


def examples(connection: duckdb.DuckDBPyConnection, limit: int) -> Iterator[dict[str, Any]]:
    """The first `limit` changes of each part: {entity, origin_id, action, fields: {name: (old, new)}}."""
    for part in PARTS.values():
        rows = connection.execute(
            f"select {_COLUMNS} from plan_{part.entity} order by action, origin_id limit ?", [limit]
        ).fetchall()
        for origin_id, action, wanted, _, previous, _ in rows:
            yield {
                "entity": part.entity,
                "origin_id": origin_id,
                "action": action,
                "fields": changed_fields(part, decoded(previous), decoded(wanted)),
            }


def changed_fields(part: Part, previous: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Fields whose wanted value differs: name -> (old, new)."""
    found = {}
    for item in part.fields:
        old, new = previous.get(item.name), wanted.get(item.name)
        if item.kind == "multifield":
            old, new = sorted(old or []), sorted(new or [])
            if old != new:
                found[item.name] = (old, new)
        elif canonical(item.kind, old) != canonical(item.kind, new):
            found[item.name] = (old, new)
    return found


def page(
    connection: duckdb.DuckDBPyConnection, entity: str, action: str, above: str, limit: int
) -> list[tuple[str, str, str | None, str | None, int | None]]:
    """The next changes of a kind in key order: (origin_id, wanted, sent, previous, bitrix_id)."""
    return connection.execute(
        f"""select origin_id, wanted, sent, previous, bitrix_id from plan_{entity}
            where action = ? and origin_id > ? order by origin_id limit ?""",
        [action, above, limit],
    ).fetchall()
