"""Filters, sorting and paging of list methods, as SQL for tables and in memory for the small dictionaries.

Pages `universal/crm-item-list`, `companies/crm-company-list`, `settings/performance/huge-data`. A page is always 50
rows; `start=-1` leaves the count out: `total` is 0 and there is no `next`.
"""

import operator
import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from publish.sandbox import php, values
from publish.sandbox.methods import Call, Page
from publish.sandbox.store import Store

PAGE = 50
_KEY = re.compile(r"(!=%|!%=|!@|!%|!=|>=|<=|=%|%=|!|>|<|=|@|%)?(.*)$", re.S)
_NEGATED = {"!": "=", "!=": "=", "!@": "@", "!%": "%", "!=%": "=%", "!%=": "=%"}
_COMPARISONS = {">": ">", ">=": ">=", "<": "<", "<=": "<="}


@dataclass(frozen=True, slots=True)
class Column:
    """Where a filter field is read: an SQL expression, its kind, and what wraps a test on it (a sub-select)."""

    sql: str
    kind: str
    within: str = "{test}"


Resolve = Callable[[str], Column | None]


class NotAllowed(Exception):
    """A strict listing does not know the field."""


def split_key(key: str) -> tuple[str, str]:
    """Operation and field name of a filter key; no prefix means equality."""
    match = _KEY.match(key)
    assert match, "the pattern takes any text"
    prefix, name = match.groups()
    return prefix or "=", name


def start_of(call: Call) -> int:
    """The `start` parameter: -1 for "do not count", else the first row of a page."""
    start = php.integer(call.get("start"))
    return -1 if start < 0 else start - start % PAGE


def condition(criteria: Any, resolve: Resolve, *, strict: bool) -> tuple[str, list[Any]]:
    """SQL and values of a filter. An unknown field raises NotAllowed when strict and is passed over when not;
    a value that its field cannot take raises `values.Invalid` when strict."""
    parts, bound = [], []
    logic = "and"
    for key, wanted in php.pairs(criteria or {}):
        if key.lower() == "logic" and strict:
            logic = "or" if str(wanted).upper() == "OR" else "and"
            continue
        if strict and key.isdecimal() and php.is_array(wanted):
            sql, inner = condition(wanted, resolve, strict=strict)
            parts.append(f"({sql})")
            bound += inner
            continue
        prefix, name = split_key(key)
        column = resolve(name)
        if column is None:
            if strict:
                raise NotAllowed(name)
            continue
        sql, inner = _term(column, prefix, wanted, strict=strict)
        parts.append(sql)
        bound += inner
    return f" {logic} ".join(parts) or "1", bound


def _term(column: Column, prefix: str, wanted: Any, *, strict: bool) -> tuple[str, list[Any]]:
    operation = _NEGATED.get(prefix, prefix)
    test, bound = _test(column, operation, wanted, strict=strict)
    test = column.within.format(test=test)
    # A missing value is not the wanted one, so it passes a negated test.
    return (f"coalesce(not ({test}), 1)", bound) if prefix in _NEGATED else (test, bound)


def _test(column: Column, operation: str, wanted: Any, *, strict: bool) -> tuple[str, list[Any]]:
    if operation in ("%", "=%", "%="):
        text = str(wanted).casefold()
        if operation == "%":
            text = "%" + re.sub(r"([\\%_])", r"\\\1", text) + "%"
        return f"folded(coalesce({column.sql}, '')) like ? escape '\\'", [text]
    keep = values.keep if strict else values.keep_loosely
    if column.kind == "boolean":
        # A yes-no custom field is filtered by 1 and 0. `Y` is no number, so it reads as 0 and finds the opposite.
        keep = _kept_flag
    if php.is_array(wanted) or operation == "@":
        items = [item for _, item in php.pairs(wanted)] if php.is_array(wanted) else [wanted]
        kept = [keep(column.kind, item) for item in items]
        marks = ", ".join("?" * len(kept))
        or_missing = f" or {column.sql} is null" if None in kept else ""
        return f"({column.sql} in ({marks}){or_missing})", kept
    kept = keep(column.kind, wanted)
    if operation in _COMPARISONS:
        return f"{column.sql} {operation} ?", [kept]
    if kept is None or (kept == 0 and column.kind.startswith("crm_")):
        return f"({column.sql} is null or {column.sql} in ('', 0))", []
    return f"{column.sql} = ?", [kept]


def _kept_flag(kind: str, value: Any) -> str:
    return "Y" if php.integer(value) else "N"


class Found(NamedTuple):
    """One page of a table: its rows, their total (0 when it is not counted), the start of the next page."""

    rows: list[sqlite3.Row]
    total: int
    next: int | None


def select(
    store: Store,
    table: str,
    where: str,
    bound: list[Any],
    order: list[tuple[str, str]],
    start: int,
    *,
    visible: str = "1",
    counts_hidden: bool = False,
) -> Found:
    """One page of the rows that are wanted and `visible`; `counts_hidden`: the total counts the others as well."""
    by = ", ".join([f"{sql} {direction}" for sql, direction in order] + ([] if order else ["ID asc"]))
    wanted = f"({where}) and {visible}"
    page = f"select * from {table} where {wanted} order by {by} limit {PAGE} offset {max(start, 0)}"
    rows = store.rows(page, *bound)
    if start < 0:
        return Found(rows, 0, None)
    counted = where if counts_hidden else wanted
    total = store.value(f"select count(*) from {table} where {counted}", *bound)
    return Found(rows, total, start + PAGE if start + PAGE < total else None)


def ordering(call_order: Any, resolve: Resolve) -> list[tuple[str, str]]:
    """SQL and direction of each known field of an `order` object; unknown ones and odd directions are passed over."""
    order = []
    for name, direction in php.pairs(call_order or {}):
        column = resolve(name)
        if column is not None and column.within == "{test}":
            order.append((column.sql, "desc" if str(direction).upper() == "DESC" else "asc"))
    return order


def _number(value: Any) -> Any:
    return int(value) if str(value).lstrip("-").isdecimal() else None


def _matches(held: Any, operation: str, wanted: Any) -> bool:
    if operation in ("%", "=%", "%="):
        return str(wanted).strip("%").casefold() in str(held or "").casefold()
    if php.is_array(wanted):
        return any(_matches(held, "=", item) for _, item in php.pairs(wanted))
    if operation in _COMPARISONS:
        compare = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}[operation]
        left, right = _number(held), _number(wanted)
        return bool(compare(left, right) if left is not None and right is not None else compare(str(held), str(wanted)))
    return str("" if held is None else held) == str("" if wanted is None else wanted)


def select_documents(call: Call, kind: str, fixed: dict[str, Any] | None = None) -> Page:
    """Documents of one kind that a classic list call wants, each with its `ID` as text."""
    found = [{"ID": str(key)} | body for key, body in call.store.documents(kind).items()]
    found = select_rows(call, [item for item in found if (fixed or {}).items() <= item.items()])
    for name, direction in reversed(call.mapping("order").items()):
        found.sort(
            key=lambda item: (_number(item.get(name, "")) or 0, str(item.get(name, ""))),
            reverse=str(direction).upper() == "DESC",
        )
    start = start_of(call)
    rows = found[max(start, 0) : max(start, 0) + PAGE]
    chosen = {name for _, name in php.pairs(call.get("select") or [])}
    if chosen and not chosen & {"*"}:
        rows = [{key: value for key, value in item.items() if key in chosen | {"ID"}} for item in rows]
    if start < 0:
        return Page(rows, 0)
    return Page(rows, len(found), start + PAGE if start + PAGE < len(found) else None)


def select_rows(call: Call, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of some rows that the filter of a classic list call lets through; what it does not know, it passes over."""
    for key, wanted in call.mapping("filter").items():
        prefix, name = split_key(key)
        operation, negated = _NEGATED.get(prefix, prefix), prefix in _NEGATED
        known = [item for item in found if name in item]
        if known or name == "ID":
            found = [item for item in found if _matches(item.get(name), operation, wanted) != negated]
    return found
