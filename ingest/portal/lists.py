"""How lists of a portal are read to their end: by windows of ids, page by page, or the parts of owners.

Page `settings/performance/huge-data`: `start=-1` leaves the count out, a page has 50 rows, ids go up. Every reading
yields what it read and how far it is, so that a broken one goes on from there.
"""

from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple

from ingest.bitrix24.answers import number_of, odd, rows_of
from ingest.bitrix24.pacing import BATCH, PAGE
from ingest.bitrix24.reading import Answer, Read, ReadingClient
from ingest.portal.entities import Entity, OfOwners, Owner, Whole, Windows
from ingest.portal.records import Record, record_of, record_of_owner

_ROOM = 0.7  # sparse windows are so full on average: most of them are one page


class Span(NamedTuple):
    """Where the ids of a list began and ended when its reading began, and how many rows it then had."""

    first: int
    last: int
    total: int


class Batch(NamedTuple):
    """What one or a few requests read, and up to where everything is read now."""

    records: list[Record]
    read_to: int


async def span_of(client: ReadingClient, entity: Entity, how: Windows) -> Span:
    """The span of a list: one request that counts. All zeros when it is empty."""
    last, first = await client.read([_end(entity, how, "DESC", 0), _end(entity, how, "ASC", -1)])
    ends = [_rows(entity, how, answer) for answer in (first, last)]
    if not all(ends):
        return Span(0, 0, 0)
    low, high = (number_of(entity.method, rows[0], how.column) for rows in ends)
    return Span(low, high, _total(entity, last))


def _end(entity: Entity, how: Windows, direction: str, start: int) -> Read:
    order = {how.column: direction}
    return Read(entity.method, {**_kind(entity), "filter": dict(entity.where), "order": order, "start": start})


async def count(client: ReadingClient, entity: Entity, criteria: Mapping[str, Any]) -> int:
    """How many rows there are now that meet some criteria."""
    params = {**_kind(entity), "filter": {**entity.where, **criteria}, "start": 0}
    (answer,) = await client.read([Read(entity.method, params)])
    return _total(entity, answer)


def _kind(entity: Entity) -> Mapping[str, Any]:
    """What a list must be told, and of a row only what its key is. Original names of custom fields and a selection do
    not go together: with both, the id is not there."""
    kind = {name: value for name, value in entity.params.items() if name == "entityTypeId"}
    return kind | {"select": [*dict.fromkeys((*entity.key, *entity.where))]}


def _rows(entity: Entity, how: Windows | Whole, answer: Answer) -> list[dict[str, Any]]:
    result = answer.result
    if how.within and isinstance(result, Mapping) and how.within in result:
        result = result[how.within]
    return rows_of(entity.method, result)


def _total(entity: Entity, answer: Answer) -> int:
    if answer.total is None:
        raise odd(entity.method, "no total")
    return answer.total


async def by_windows(
    client: ReadingClient, entity: Entity, how: Windows, span: Span, read_to: int
) -> AsyncIterator[Batch]:
    """Rows by windows of ids, fifty windows a request: 2,500 ids where ids are dense, as many more where they are not.

    A window that holds more than a page is read on above the last id of the page.
    """
    room = int(PAGE * _ROOM)
    width = max(PAGE if how.is_unique else room, (span.last - span.first + 1) * room // max(span.total, 1))
    start = max(read_to, span.first - 1)
    todo = deque((low, min(low + width, span.last)) for low in range(start, span.last, width))
    while todo:
        turn = [todo.popleft() for _ in range(min(BATCH, len(todo)))]
        answers = await client.read([Read(entity.method, _window(entity, how, *window)) for window in turn])
        records, rest = [], []
        for (low, high), answer in zip(turn, answers, strict=True):
            rows = _rows_within(entity, how, answer, low, high)
            if len(rows) == PAGE:
                rows, low = _whole_ids(entity, how, rows)
                if low < high:
                    rest.append((low, high))
            records += [record_of(entity, row, client.without_secret) for row in rows]
        todo.extendleft(reversed(rest))
        yield Batch(records, todo[0][0] if todo else span.last)


def _window(entity: Entity, how: Windows, low: int, high: int) -> Mapping[str, Any]:
    criteria = {**entity.where, f">{how.column}": low, f"<={how.column}": high}
    return {**entity.params, "filter": criteria, "order": {how.column: "ASC"}, "start": -1}


def _rows_within(entity: Entity, how: Windows, answer: Answer, low: int, high: int) -> list[dict[str, Any]]:
    """The rows of a window. Raises OddAnswer for one outside: a list that passes over a filter answers anything."""
    rows = _rows(entity, how, answer)
    if not all(low < number_of(entity.method, row, how.column) <= high for row in rows):
        raise odd(entity.method, f"rows outside the window of {how.column} that was asked for")
    return rows


def _whole_ids(entity: Entity, how: Windows, rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    """Of a full page the rows whose number cannot have more rows on the next page, and the last of these numbers."""
    last = number_of(entity.method, rows[-1], how.column)
    if how.is_unique:
        return rows, last
    whole = [row for row in rows if number_of(entity.method, row, how.column) < last]
    if not whole:
        raise odd(entity.method, f"{PAGE} rows with one {how.column}")
    return whole, number_of(entity.method, whole[-1], how.column)


async def whole(client: ReadingClient, entity: Entity, how: Whole) -> list[Record] | None:
    """All rows of a small list; None when it is optional and refused."""
    records: dict[str, Record] = {}
    for method in (entity.method, *how.methods):
        start: int | None = 0
        already = len(records)
        while start is not None:
            (answer,) = await client.read([Read(method, {**entity.params, "start": start})], may_refuse=entity.optional)
            if answer.error is not None:
                return None
            before = len(records)
            for row in _rows(entity, how, answer):
                record = record_of(entity, row, client.without_secret)
                records[record.key] = record
            start = answer.next if len(records) > before else None
        if answer.total is not None and len(records) - already < answer.total:
            raise odd(method, f"{answer.total} rows in all, and {len(records) - already} on its pages")
    return list(records.values())


class Refusal(NamedTuple):
    """An owner whose parts were refused: one that is gone by now, or that the webhook's user may not read."""

    owner: int
    answer: Answer


async def parts_of(
    client: ReadingClient, entity: Entity, how: OfOwners, owner: Owner, ids: Sequence[int], refused: list[Refusal]
) -> AsyncIterator[Batch]:
    """The parts of owners, in order of their ids; whoever is refused goes to `refused`."""
    todo = deque(list(ids[at : at + how.many]) for at in range(0, len(ids), how.many))
    while todo:
        turn = [todo.popleft() for _ in range(min(BATCH, len(todo)))]
        parts = await _parts_of_chunks(client, entity, owner, turn, refused)
        records = [
            record_of_owner(owner.code, owner_id, parts[owner_id], client.without_secret) for owner_id in sorted(parts)
        ]
        if how.many > 1:
            records = [record for record in records if record.payload is not None]
        yield Batch(records, turn[-1][-1])


async def _parts_of_chunks(
    client: ReadingClient, entity: Entity, owner: Owner, chunks: list[list[int]], refused: list[Refusal]
) -> dict[int, list[Any]]:
    """Parts by owner, their lists read to the end."""
    parts_by_owner: dict[int, list[Any]] = {owner_id: [] for chunk in chunks for owner_id in chunk}
    todo: list[tuple[list[int], int]] = [(chunk, 0) for chunk in chunks]
    while todo:
        reads = [Read(entity.method, _criteria(entity, owner, chunk, after)) for chunk, after in todo]
        again: list[tuple[list[int], int]] = []
        for (chunk, _), answer in zip(todo, await client.read(reads, may_refuse=True), strict=True):
            if answer.error is not None:
                if len(chunk) == 1:
                    refused.append(Refusal(chunk[0], answer))
                    parts_by_owner.pop(chunk[0], None)
                else:  # one of them is to blame
                    again += [([owner_id], 0) for owner_id in chunk]
                continue
            rows, after = _parts(entity, answer)
            for row in rows:
                owner_id = number_of(entity.method, row, "ownerId") if len(chunk) > 1 else chunk[0]
                if owner_id not in parts_by_owner:
                    raise odd(entity.method, "rows of an owner that was not asked for")
                parts_by_owner[owner_id].append(row)
            if after is not None:
                again.append((chunk, after))
        todo = again
    return parts_by_owner


def _criteria(entity: Entity, owner: Owner, ids: list[int], after: int) -> Mapping[str, Any]:
    match entity.name:
        case "product_rows":
            criteria = {"=ownerType": owner.code, "=ownerId": ids} | ({">id": after} if after else {})
            return {"filter": criteria, "order": {"id": "ASC"}}
        case "comments":
            criteria = {"ENTITY_TYPE": owner.code, "ENTITY_ID": ids[0]}
            return {"filter": criteria, "order": {"ID": "ASC"}, "start": after}
    return {"activityId": ids[0]}


def _parts(entity: Entity, answer: Answer) -> tuple[list[dict[str, Any]], int | None]:
    """The rows of an answer, and after which id or from which place on there are more."""
    if entity.name != "product_rows":
        return rows_of(entity.method, answer.result), answer.next
    listed = answer.result.get("productRows") if isinstance(answer.result, Mapping) else None
    rows = rows_of(entity.method, listed)
    return rows, number_of(entity.method, rows[-1], "id") if len(rows) == PAGE else None
