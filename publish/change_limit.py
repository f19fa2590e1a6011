"""The change limit: a plan that changes too much of what a portal holds waits for a person, who is told what it does.

Everything that would be written counts, cards and what hangs on them, links and deals: by kind and in all. More than
the share of what is published, and more than the floor, stops. Creates of what waited for the registry are left out
(publish/awaited.py). A first filling has nothing to be compared with: that of the first portal goes through; that of
another portal, or of a source added later, is said to look like one, and is confirmed once.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ingest.warehouse import journal
from ingest.warehouse.errors import OperatorError
from publish import changes
from publish.awaited import awaited_creates
from publish.changes import PartChanges
from publish.held import Held
from publish.parts import Part

_CONFIRMED_HOURS = 48  # a confirmed plan that a break left unsent may go on for so long, if it has not grown


@dataclass(frozen=True, slots=True)
class Limit:
    """Share of the published parts that may change at once, and how many always may."""

    share: float
    floor: int

    def is_exceeded(self, changed: int, published: int) -> bool:
        return changed > max(self.floor, self.share * published)


class ChangeLimitReached(OperatorError):
    """The plan changes more than the limit lets through; `details` say what it changes."""

    exit_status = 3


def check(ledger: Held, parts: Iterable[Part], limit: Limit, *, let_through: bool = False) -> None:
    """Return when the plan may be sent. Call it after `plan.compute`, and `sent` when all of it has been sent.

    `let_through` confirms it; what a break leaves of a confirmed plan needs no second confirmation.
    Raises ChangeLimitReached.
    """
    parts = list(parts)
    reason = reason_to_stop(ledger, parts, limit)
    if not reason:
        return
    counts = {kind.entity: kind.total for kind in changes.counted(ledger, parts)}
    if let_through:
        ledger.connection.execute(
            "insert or replace into sync.confirmed_plans values (?, ?, ?)",
            [ledger.portal, json.dumps(counts), journal.utc_now()],
        )
    elif not _is_confirmed(ledger, counts):
        raise ChangeLimitReached(
            reason,
            hint="if it is meant, `publish push --let-through` lets it through; `publish plan --show 20` shows more",
            details=list(changes.lines(changes.summary(ledger, parts))),
        )


def sent(ledger: Held) -> None:
    """The plan has been sent to its end: a confirmation holds no longer."""
    ledger.connection.execute("delete from sync.confirmed_plans where portal = ?", [ledger.portal])


def _is_confirmed(ledger: Held, counts: dict[str, int]) -> bool:
    row = ledger.connection.execute(
        f"""select part_counts from sync.confirmed_plans
            where portal = $portal and abs(epoch($now::timestamp - confirmed_at)) < 3600 * {_CONFIRMED_HOURS}""",
        {"portal": ledger.portal, "now": journal.utc_now()},
    ).fetchone()
    confirmed = json.loads(row[0]) if row else {}
    return all(number <= confirmed.get(entity, 0) for entity, number in counts.items())


def reason_to_stop(ledger: Held, parts: Sequence[Part], limit: Limit) -> str:
    """Why the plan exceeds the limit, as one line; '' when it does not."""
    kinds = changes.counted(ledger, parts)
    changed, published = sum(kind.total for kind in kinds), sum(kind.published for kind in kinds)
    awaited = {kind.entity: min(kind.create, awaited_creates(ledger.connection, kind.published)) for kind in kinds}
    above = [kind for kind in kinds if limit.is_exceeded(kind.total - awaited[kind.entity], kind.published)]
    if not above and not limit.is_exceeded(changed - sum(awaited.values()), published):
        return ""
    filling = _portal_filling(ledger)
    if filling == "going on":
        return ""
    counts = ", ".join(f"{kind.entity} {kind.total:,} of {kind.published:,}" for kind in above or kinds if kind.total)
    said = f"the plan would write {changed:,} parts, {published:,} are published ({counts})"
    if filling:
        return f"{said}; {filling}"
    new_source = _source_filling(ledger, parts, kinds, limit)
    return f"{said}; {new_source or f'SVOD_FUSE_SHARE={limit.share:g} lets less through'}"


def _portal_filling(ledger: Held) -> str:
    """What a first filling of the portal means: 'going on' where nothing is to be asked, a line where it is to be
    confirmed, '' where the portal has been filled.

    Cards that were only adopted do not make a portal filled.
    """
    is_filled, is_begun, others = _fillings(ledger)
    if is_filled:
        return ""
    if is_begun or not others:
        return "going on"
    return f"it looks like the first filling of {ledger.portal}; this warehouse has filled {', '.join(others)} before"


def _fillings(ledger: Held) -> tuple[bool, bool, list[str]]:
    """Whether a push has ever filled this portal, whether one has begun to, and the other portals that hold parts of
    ours."""
    holders = ledger.connection.execute(
        "select portal, bool_or(not is_adopted) from sync.ledger where portal != '' group by 1 order by 1"
    ).fetchall()
    begun = {portal for portal, is_begun in holders if is_begun}
    others = sorted(begun - {ledger.portal})
    filled = ledger.connection.execute(
        """select 1 from sync.portals where portal = $portal and filled_at is not null
           -- a warehouse of before portals were kept: it had one, and journalled its pushes: not one that sent nothing
           union all select 1 from ops.steps
           where step = $push and status = 'done' and rows_out > 0 and $is_only_one limit 1""",
        {"portal": ledger.portal, "push": journal.PUBLISH_PUSH, "is_only_one": begun == {ledger.portal}},
    ).fetchone()
    return filled is not None, ledger.portal in begun, others


def _source_filling(ledger: Held, parts: Sequence[Part], kinds: Sequence[PartChanges], limit: Limit) -> str:
    """A line where it is a source added later that makes the plan so large: without the cards that come from sources
    the portal has nothing of, no kind that tells its sources would exceed the limit. '' otherwise."""
    new_sources = _new_sources(ledger, parts)
    if not new_sources:
        return ""
    by_entity = {part.entity: part for part in parts}
    said = []
    for kind in kinds:
        part = by_entity[kind.entity]
        if not kind.create or part.owner or not changes.has_sources(ledger.connection, part):
            continue
        row = ledger.connection.execute(
            f"""select count(*) from plan_{part.entity} as plan
                inner join {part.mart} as mart on mart.{part.key} = plan.origin_id
                where plan.action = 'create' and list_has_all(?, string_split(mart.sources, ', '))""",
            [new_sources],
        ).fetchone()
        from_new = int(row[0]) if row else 0
        if limit.is_exceeded(kind.total - from_new, kind.published):
            return ""
        if from_new:
            said.append(f"{from_new:,} of {kind.create:,} new {kind.entity} cards")
    if not said:
        return ""
    return f"it looks like the first filling from {', '.join(new_sources)}: {' and '.join(said)} come from there alone"


def _new_sources(ledger: Held, parts: Sequence[Part]) -> list[str]:
    """Sources in the marts that no card of the portal has ever been told of, where there are cards that tell; none
    where one was told a name that is nobody's now, for it may have been any source's."""
    known: set[str] = set()
    present: set[str] = set()
    for part in parts:
        if part.owner or not changes.has_sources(ledger.connection, part):
            continue
        present |= _names(ledger, f"select distinct sources as named from {part.mart}")
        for field in part.fields:
            if field.column == "sources":
                column = f"json_extract_string(wanted, '$.{field.name}')"
                where = f"entity = '{part.entity}'"
                known |= _names(ledger, f"select distinct {column} as named from portal_ledger where {where}")
    known = ledger.words.sources_of(known)
    return sorted(present - known) if known and known <= present else []


def _names(ledger: Held, texts: str) -> set[str]:
    """The names in texts like `shop_a, shop_b`."""
    rows = ledger.connection.execute(f"select distinct unnest(string_split(named, ', ')) from ({texts})").fetchall()
    return {name for (name,) in rows if name}
