"""Is what the ledger holds still there, and still ours? Asked in bulk of a portal that its mark does not vouch for.

A portal put back from an older copy gives the numbers of cards that are gone to other people's cards; so does another
portal. A line is kept where the portal shows our key on that card; a card whose key is on another number by now has
moved there. What is missing was deleted by somebody and stays deleted, or it never reached this copy and is created
again. The time of the copy's mark tells the two apart: nothing of ours was made between that and the copy, so what the
ledger has known for longer was in it, and nothing else. (Of a push that was under way then, a part may have been: it is
made again, also where somebody has deleted it since.)

Where no mark says that the portal was put back, signs do (room `signs`). Without a sign, what is missing was deleted;
with one, numbers tell, which
only grow (they are the database's): below the highest card that is there and ours the portal is the one that we wrote
to, what is missing there was deleted, and a card that we adopted is the same one whatever key it carries.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from ingest.bitrix24.answers import number_of, whole
from ingest.bitrix24.client import Client, list_by
from ingest.bitrix24.pacing import BATCH, PAGE
from publish.bitrix24.kinds import Card, CardLink, Catalogue, Detail
from publish.bitrix24.signs import shows_gaps, shows_older
from publish.bitrix24.unlisted import unreadable
from publish.entries import Entry
from publish.held import EVER, KNOWN_SINCE, SYNCED_SINCE, Moment
from publish.ledger import Ledger

# An adopted card without a key of ours, another system's or none, is `unkeyed`: its number alone proves nothing.
# `denied`: no list shows it, and its `get` says that it is there: the webhook's user may not read it.
# `moved`: it is there, under another number.
State = Literal["ours", "absent", "foreign", "unkeyed", "denied", "moved"]
_PAGE = BATCH * PAGE


class Line(NamedTuple):
    """A line of the ledger to look for: its ids, the portal's id of what it hangs on or is linked to, whether it is a
    card that was there before us, and, of one that a merge may have emptied of its key, when it was created."""

    origin_id: str
    bitrix_id: int
    owner_id: int | None
    is_adopted: bool = False
    created_time: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many cards were looked for and are ours; whether the portal was put back from an older copy; `lost` lines of
    all kinds are in the temporary table `lost`."""

    cards: int
    ours: int
    lost: int
    is_put_back: bool

    @property
    def is_foreign(self) -> bool:
        return self.cards > 0 and self.ours == 0


async def verify(
    ledger: Ledger,
    client: Client,
    parts: Catalogue,
    *,
    surely_until: Moment | None = None,
    is_put_back: bool = False,
    also_links: bool = False,
) -> Verdict:
    """Compare the ledger with the portal; changes neither. 50 commands of 50 ids a request.

    `is_put_back`: it is known that the portal was put back from an older copy; else signs decide. `surely_until`: what
    was known before that time is in the portal for sure, so what is missing of it was deleted; where the portal need
    not have been put back, nothing older is looked at. Links and addresses have no number of their own: they are looked
    at only in a portal that was put back, or with `also_links`.
    """
    connection = ledger.connection
    connection.execute("create or replace temp table looked_for (entity varchar, origin_id varchar, state varchar)")
    connection.execute("create or replace temp table lost (entity varchar, origin_id varchar)")
    numbered = [part for part in parts if _has_number(part)]
    for part in numbered:
        await _look_for(ledger, client, parts, part, None if is_put_back else surely_until)
    is_told = is_put_back
    is_put_back = is_told or shows_gaps(ledger, numbered, surely_until) or await shows_older(ledger, client, parts)
    for part in parts:
        if part not in numbered and (is_put_back or also_links):
            is_narrow = isinstance(part, CardLink) or not is_told
            await _look_for(ledger, client, parts, part, surely_until if is_narrow else None)
        _judge(ledger, part, surely_until, is_put_back=is_put_back, is_told=is_told)
    _add_what_hangs_on_lost(ledger, parts)
    kinds = [card.entity for card in parts.cards]
    cards, ours = connection.execute(
        """select count(*), count(*) filter (state in ('ours', 'denied', 'moved')) from looked_for
           where entity in (select unnest(?))""",
        [kinds],
    ).fetchone() or (0, 0)
    lost = connection.execute("select count(*) from lost").fetchone() or (0,)
    return Verdict(cards, ours, lost[0], is_put_back)


def _has_number(part: Card | Detail | CardLink) -> bool:
    return isinstance(part, Card) or (isinstance(part, Detail) and part.has_own_id)


def drop_lost(ledger: Ledger, parts: Catalogue) -> None:
    """Let the lines that `verify` found lost leave the ledger, with what is known of them, and creates that were to
    hang on them."""
    owners = {part.entity: part.owner for part in parts if isinstance(part, Detail)}
    ledger.drop("lost", owners, [link.entity for link in parts.links])


async def _look_for(
    ledger: Ledger, client: Client, parts: Catalogue, part: Card | Detail | CardLink, younger_than: Moment | None
) -> None:
    """Fill `looked_for` for one kind of part."""
    lines = _lines(ledger, parts, part, younger_than or EVER)
    for at in range(0, len(lines), _PAGE):
        page = lines[at : at + _PAGE]
        states = await _states(client, part, page)
        if not isinstance(part, CardLink):
            unlisted = [line.bitrix_id for line, state in zip(page, states, strict=True) if state == "absent"]
            denied = await unreadable(client, part, unlisted)
            states = ["denied" if line.bitrix_id in denied else now for line, now in zip(page, states, strict=True)]
        if isinstance(part, Card):
            absent = [line.origin_id for line, state in zip(page, states, strict=True) if state == "absent"]
            moved = await part.find(client, absent)
            states = ["moved" if line.origin_id in moved else now for line, now in zip(page, states, strict=True)]
        ledger.connection.execute(
            "insert into looked_for select ?, unnest(?), unnest(?)",
            [part.entity, [line.origin_id for line in page], states],
        )


def _lines(ledger: Ledger, parts: Catalogue, part: Card | Detail | CardLink, younger_than: Moment) -> list[Line]:
    """Lines of one kind with the portal's ids of what belongs to them; a line without an id is not there for sure. What
    somebody deleted is not looked for here: room `returning` takes it up where a copy has it again."""
    if isinstance(part, CardLink):
        sql = f"""
            select line.origin_id, holder.bitrix_id, other.bitrix_id from portal_ledger as line
            inner join portal_ledger as holder on holder.entity = '{part.holder.entity}'
                and holder.origin_id = split_part(line.origin_id, '/', 1)
            inner join portal_ledger as other on other.entity = '{part.other.entity}'
                and other.origin_id = split_part(line.origin_id, '/', 2)
            where line.entity = $entity and {SYNCED_SINCE} order by 2"""
    else:
        sql = f"""
            select line.origin_id, coalesce(line.bitrix_id, 0), owner.bitrix_id, line.is_adopted, emptied.created_time
            from portal_held as line
            left join portal_merges_under_way as emptied
                on emptied.entity = line.entity and emptied.origin_id = line.origin_id
            left join portal_ledger as owner
                on owner.entity = '{part.owner}' and owner.origin_id = line.origin_id
            where line.entity = $entity and {SYNCED_SINCE} order by 2"""
    values = {"entity": part.entity} | younger_than._asdict()
    return [Line(*row) for row in ledger.connection.execute(sql, values).fetchall()]


async def _states(client: Client, part: Card | Detail | CardLink, lines: Sequence[Line]) -> list[State]:
    """What the portal shows of up to 2,500 lines."""
    ids = sorted({line.bitrix_id for line in lines})
    if isinstance(part, Detail):
        # Of an owner whose line has left, nothing of ours can be there.
        column = part.id_field
        rows = await list_by(client, part.listing, column, ids, where=part.constants)
        owner_of = {number_of(part.listing, row, column): number_of(part.listing, row, "ENTITY_ID") for row in rows}
        return [_state(owner_of.get(line.bitrix_id), line.owner_id) for line in lines]
    if isinstance(part, CardLink):
        type_id, select = part.holder.type_id, ["id", part.travels_as]
    else:
        type_id, select = part.type_id, [*part.known_by.selected, "createdTime"]
    rows = await list_by(client, "crm.item.list", "id", ids, where={}, entityTypeId=type_id, select=select)
    card_of = {number_of("crm.item.list", row, "id"): row for row in rows}
    if isinstance(part, CardLink):
        return [_link_state(card_of.get(line.bitrix_id), part.travels_as, line) for line in lines]
    return [_card_state(part, card_of.get(line.bitrix_id), line) for line in lines]


def _state(there: int | None, expected: int | None) -> State:
    return "absent" if there is None else "ours" if there == expected else "foreign"


def _card_state(part: Card, card: dict[str, Any] | None, line: Line) -> State:
    if card is None:
        return "absent"
    key = part.known_by.of(card)
    if key:
        return "ours" if key == line.origin_id else "foreign"
    if line.created_time is not None and line.created_time == str(card.get("createdTime")):
        return "ours"
    return "unkeyed" if line.is_adopted else "foreign"


def _link_state(holder: dict[str, Any] | None, field: str, line: Line) -> State:
    if holder is None:
        return "absent"
    # A list answer that does not tell the links proves nothing about them.
    others = holder.get(field)
    return "ours" if not isinstance(others, list) or line.owner_id in map(whole, others) else "absent"


def _judge(
    ledger: Ledger, part: Card | Detail | CardLink, surely_until: Moment | None, *, is_put_back: bool, is_told: bool
) -> None:
    """Lines of one kind that do not stand for anything of ours in the portal."""
    missing = "true"
    if _has_number(part):
        # In a portal that was written to since it was put back, numbers say nothing: ours may have been made anew.
        missing = f"$is_put_back and {'true' if is_told and surely_until else 'line.bitrix_id > (from highest)'}"
    ledger.connection.execute(
        f"""insert into lost
            with judged as (
                select line.origin_id, coalesce(line.bitrix_id, 0) as bitrix_id, looked.state,
                    {KNOWN_SINCE} as is_younger
                from portal_held as line
                left join looked_for as looked on looked.entity = line.entity and looked.origin_id = line.origin_id
                where line.entity = $entity
            ),
            highest as (select coalesce(max(bitrix_id), 0) from judged where coalesce(state, 'ours') = 'ours')
            select $entity, origin_id from judged as line
            where state in ('foreign', 'moved')
                or (state in ('absent', 'unkeyed') and {missing} and is_younger)""",
        {"entity": part.entity}
        | (surely_until or EVER)._asdict()
        | ({"is_put_back": is_put_back} if _has_number(part) else {}),
    )


# What follows ---------------------------------------------------------------------------------------------------------


async def put_back_links(ledger: Ledger, client: Client, parts: Catalogue, since: int) -> None:
    """Take links that we took away since a push, and that the portal has again, into the ledger: they go once more."""
    for link in parts.links:
        rows = ledger.connection.execute(
            """select distinct past.origin_id, holder.bitrix_id, other.bitrix_id from portal_history as past
               inner join portal_ledger as holder on holder.entity = $holder
                   and holder.origin_id = split_part(past.origin_id, '/', 1)
               inner join portal_ledger as other on other.entity = $other
                   and other.origin_id = split_part(past.origin_id, '/', 2)
               where past.entity = $link and past.action = 'remove' and past.push >= $since
                   and past.origin_id not in (select origin_id from portal_ledger where entity = $link)
               order by 1""",
            {"link": link.entity, "holder": link.holder.entity, "other": link.other.entity, "since": since},
        ).fetchall()
        lines = [Line(*row) for row in rows]
        for at in range(0, len(lines), _PAGE):
            page = lines[at : at + _PAGE]
            states = await _states(client, link, page)
            there = [line for line, state in zip(page, states, strict=True) if state == "ours"]
            ledger.settle([Entry(link.entity, line.origin_id, line.bitrix_id) for line in there])


def _add_what_hangs_on_lost(ledger: Ledger, parts: Iterable[Card | Detail | CardLink]) -> None:
    for part in parts:
        if isinstance(part, Detail):
            hangs_on = [(part.owner, "line.origin_id")]
        elif isinstance(part, CardLink):
            hangs_on = [
                (part.holder.entity, "split_part(line.origin_id, '/', 1)"),
                (part.other.entity, "split_part(line.origin_id, '/', 2)"),
            ]
        else:
            continue
        for owner, key in hangs_on:
            if isinstance(part, CardLink) or not part.has_own_id:  # as readable as what it belongs to
                ledger.connection.execute(
                    f"""delete from lost as line using looked_for as owner where line.entity = ?
                        and owner.entity = ? and owner.origin_id = {key} and owner.state = 'denied'""",
                    [part.entity, owner],
                )
            ledger.connection.execute(
                f"""insert into lost
                    select line.entity, line.origin_id from portal_ledger as line
                    inner join lost as owner on owner.entity = ? and owner.origin_id = {key}
                    where line.entity = ? and not exists (from lost as known
                        where known.entity = line.entity and known.origin_id = line.origin_id)""",
                [owner, part.entity],
            )
