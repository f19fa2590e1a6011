"""What a plan changes, so that a person can judge it in half a minute: parts by kind and action, fields by how often
they change, and the values that come and go most.

In one pass over the plan's JSON texts within DuckDB. A value is shown when at least `PATTERN` records share the same
old and the same new one: that is a pattern, not a company. Values of people are never shown.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import duckdb

from publish.held import Held
from publish.parts import Field, Part

PATTERN = 20
_MOST_SHOWN = 3  # pairs of values a field
_LONGEST_VALUE = 40


@dataclass(frozen=True, slots=True)
class Pattern:
    """A value that becomes another in many records; None where there is none."""

    old: str | None
    new: str | None
    records: int

    def __str__(self) -> str:
        return f"{_brief(self.old)} -> {_brief(self.new)} {self.records:,}"


@dataclass(frozen=True, slots=True)
class FieldChanges:
    """In how many records a field changes, and the most frequent patterns."""

    records: int
    patterns: tuple[Pattern, ...] = ()


@dataclass(frozen=True, slots=True)
class PartChanges:
    """How many parts of a kind are published and how many would be created, updated, removed, merged; what becomes of
    the fields of the updated ones; from which sources the created ones come, where the mart tells."""

    entity: str
    published: int
    create: int = 0
    update: int = 0
    remove: int = 0
    fields: Mapping[str, FieldChanges] = field(default_factory=dict)
    created_from: Mapping[str, int] = field(default_factory=dict)
    merge: int = 0

    @property
    def total(self) -> int:
        return self.create + self.update + self.remove + self.merge


def counted(ledger: Held, parts: Iterable[Part]) -> list[PartChanges]:
    """How much the plan changes, by kind, without a look at fields."""
    published = ledger.published()
    counts = []
    for part in parts:
        sql = f"select action, count(*) from plan_{part.entity} group by action"
        actions: dict[str, int] = dict(ledger.connection.execute(sql).fetchall())
        create, update, remove, merge = (actions.get(action, 0) for action in ("create", "update", "remove", "merge"))
        counts.append(PartChanges(part.entity, published.get(part.entity, 0), create, update, remove, merge=merge))
    return counts


def summary(ledger: Held, parts: Iterable[Part]) -> list[PartChanges]:
    """What the plan changes, by kind in the order of the parts; kinds that do not change are left out."""
    by_entity = {part.entity: part for part in parts}
    return [
        replace(
            kind,
            fields=_fields(ledger.connection, by_entity[kind.entity]) if kind.update else {},
            created_from=_sources(ledger.connection, by_entity[kind.entity]) if kind.create else {},
        )
        for kind in counted(ledger, by_entity.values())
        if kind.total
    ]


def lines(changes: Iterable[PartChanges]) -> Iterator[str]:
    """The summary as plain lines: one a kind, one a field."""
    for kind in changes:
        actions = {"create": kind.create, "update": kind.update, "remove": kind.remove, "merge": kind.merge}
        counts = ", ".join(f"{name} {number:,}" for name, number in actions.items() if number)
        yield f"{kind.entity}, {kind.published:,} published: {counts}"
        if kind.created_from:
            yield "    created from " + ", ".join(f"{name} {number:,}" for name, number in kind.created_from.items())
        for name, changed in kind.fields.items():
            yield f"    {name} {changed.records:,}" + "".join(f"; {pattern}" for pattern in changed.patterns)


def _brief(value: str | None) -> str:
    if not value:
        return "(empty)"
    return value if len(value) <= _LONGEST_VALUE else value[: _LONGEST_VALUE - 1] + "…"


def _fields(connection: duckdb.DuckDBPyConnection, part: Part) -> dict[str, FieldChanges]:
    """Field, as people are told it -> how often it changes among the updates, the most frequent first."""
    fields = [item for item in part.fields if not item.once]
    if not fields:
        return {}
    names = [item.told_as for item in fields]
    shown = [item.told_as for item in fields if is_shown(part, item)]
    paths = [f'$."{item.name}"' for item in fields]
    old, new = (
        ", ".join(_comparable(item, f"{texts}[{place}]") for place, item in enumerate(fields, start=1))
        for texts in ("old", "new")
    )
    rows = connection.execute(
        f"""with texts as (
                select json_extract_string(previous, $paths) as old, json_extract_string(wanted, $paths) as new
                from plan_{part.entity} where action = 'update'
            ),
            compared as (select [{old}] as old, [{new}] as new from texts),
            by_field as (select unnest($names) as field, unnest(old) as old, unnest(new) as new from compared),
            pairs as materialized (
                select field, old, new, count(*) as records from by_field where old is distinct from new group by all
            ),
            patterns as (
                select * from pairs where records >= $pattern and field in (select unnest($shown::varchar[]))
                qualify row_number() over (partition by field order by records desc, old, new) <= $most
            ),
            changed as (select field, sum(records)::bigint as records from pairs group by field)
            select changed.field, changed.records, patterns.old, patterns.new, patterns.records
            from changed left join patterns using (field)
            order by changed.records desc, changed.field, patterns.records desc, patterns.old, patterns.new""",
        {"paths": paths, "names": names, "shown": shown, "pattern": PATTERN, "most": _MOST_SHOWN},
    ).fetchall()
    changes: dict[str, FieldChanges] = {}
    for name, records, old, new, times in rows:
        before = changes.get(name, FieldChanges(records))
        pattern = () if times is None else (Pattern(old, new, times),)
        changes[name] = FieldChanges(records, (*before.patterns, *pattern))
    return changes


def is_shown(part: Part, item: Field) -> bool:
    """Whether values of a field may be shown: not those of people, but for the fields that we add to their cards."""
    return not item.is_multiple and not item.is_personal and (not part.is_about_people or bool(item.custom_type))


def _comparable(item: Field, text: str) -> str:
    """SQL of one form for equal values: 1000.50 and 1000.5, the same phones in another order."""
    if item.is_multiple:
        return f"list_sort({text}::json::varchar[])::varchar"
    if item.kind == "number":
        return f"if(contains({text}, '.'), rtrim(rtrim({text}, '0'), '.'), {text})"
    return text


def _sources(connection: duckdb.DuckDBPyConnection, part: Part) -> dict[str, int]:
    """Sources of the cards to create, where the mart has a column `sources`: how many, the most frequent first."""
    if part.owner or not has_sources(connection, part):
        return {}
    rows = connection.execute(
        f"""select mart.sources, count(*) from plan_{part.entity} as plan
            inner join {part.mart} as mart on mart.{part.key} = plan.origin_id
            where plan.action = 'create' group by 1 order by 2 desc, 1 limit {_MOST_SHOWN}"""
    ).fetchall()
    return dict(rows)


def has_sources(connection: duckdb.DuckDBPyConnection, part: Part) -> bool:
    """Whether the mart of a part tells which sources its records come from, as `shop_a, shop_b`."""
    sql = "select 1 from duckdb_columns() where schema_name || '.' || table_name = ? and column_name = 'sources'"
    return bool(connection.execute(sql, [part.mart]).fetchall())
