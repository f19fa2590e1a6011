"""Links between cards: those that travel with a new card, and those added and removed one by one.

A set of links replaced as a whole would drop what managers linked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

from publish.bitrix24.kinds import CardLink
from publish.bitrix24.pacing import BATCH, PAGE
from publish.bitrix24.run import Attempt, Lines, Run, settle, until_executed
from publish.ledger import Entry
from publish.parts import Key

_PAGE = BATCH * PAGE


class Companion(NamedTuple):
    """A card that a new card will be linked to."""

    origin_id: str
    bitrix_id: int


def companions(run: Run, link: CardLink, holders: Sequence[str]) -> Mapping[str, list[Companion]]:
    """The cards of the portal that new holders are to be linked to, by holder, the first one first."""
    holder, other = link.holder.key, link.other.key
    rows = run.connection.execute(
        f"""select link.{holder}, link.{other}, published.bitrix_id
            from {link.mart} as link
            inner join portal_held as published
                on published.entity = '{link.other.entity}' and published.origin_id = link.{other}
            where link.{holder} in (select unnest(?)) order by 1, link.{link.first} desc, 2""",
        [list(holders)],
    ).fetchall()
    companions_of: dict[str, list[Companion]] = {}
    for origin_id, other_id, bitrix_id in rows:
        companions_of.setdefault(origin_id, []).append(Companion(other_id, bitrix_id))
    return companions_of


@dataclass(frozen=True, slots=True)
class LinkChange:
    """A link to add or remove between two cards of the portal."""

    key: Key
    holder_id: int
    other_id: int
    wanted: str = "{}"


async def change_links(run: Run, link: CardLink) -> None:
    """Remove links, then add links."""
    for action in ("remove", "create"):
        above = ""
        while changes := _page(run, link, action, above):
            above = changes[-1].key.origin_id
            for at in range(0, len(changes), BATCH):
                await until_executed(run, changes[at : at + BATCH], partial(_send, run, link, action))


def _page(run: Run, link: CardLink, action: str, above: str) -> list[LinkChange]:
    """Links to change whose both ends the portal holds."""
    travelled = f"and plan.origin_id not in (select origin_id from portal_ledger where entity = '{link.entity}')"
    rows = run.connection.execute(
        f"""select plan.origin_id, holder.bitrix_id, other.bitrix_id
            from plan_{link.entity} as plan
            inner join portal_ledger as holder on holder.entity = '{link.holder.entity}'
                and holder.origin_id = split_part(plan.origin_id, '/', 1)
            inner join portal_ledger as other on other.entity = '{link.other.entity}'
                and other.origin_id = split_part(plan.origin_id, '/', 2)
            where plan.action = ? and plan.origin_id > ? {travelled if action == "create" else ""}
            order by 1 limit {_PAGE}""",
        [action, above],
    ).fetchall()
    return [LinkChange(Key(link.entity, origin_id), holder, other) for origin_id, holder, other in rows]


async def _send(
    run: Run, link: CardLink, action: Literal["remove", "create"], todo: Sequence[LinkChange]
) -> list[LinkChange]:
    """Send one page; what has to be sent again."""
    to_send = link.to_add if action == "create" else link.to_remove
    outcomes = await run.client.send([to_send(change.holder_id, change.other_id) for change in todo])
    attempt = _added if action == "create" else _removed
    unknown = settle(run, zip(map(attempt, todo), outcomes, strict=True), "updated")
    return [change for change in todo if change.key in unknown]


def _added(change: LinkChange) -> Attempt:
    entry = Entry(*change.key, change.holder_id)  # also where the answer is `false`: it was there already
    return Attempt(change.key, change.wanted, lambda _: Lines([entry]))


def _removed(change: LinkChange) -> Attempt:
    def gone(_: object) -> Lines:
        return Lines(gone=[change.key])  # refused: one of the cards is gone, and the link with it

    return Attempt(change.key, change.wanted, gone, gone)
