"""Is what the ledger holds still there, and still ours? Asked in bulk of a portal that its mark does not vouch for.

A portal put back from an older copy gives the numbers of cards that are gone to other people's cards; so does another
portal. A line is kept where the portal shows our key on that card. Numbers only grow (they are the database's), so
below the highest card that is there and ours the portal is the one that we wrote to: what is missing there was deleted
by somebody and stays deleted, and a card that we adopted is the same one whatever key it carries; what is missing above
it never reached this copy, and is created again.

Where no mark says that the portal was put back, signs do: a card of ours has become another's; the newest of two kinds
of parts are gone, of none that hung on others that are; or of what was changed last the portal shows what was sent
before, and of nothing what was sent then. Without a sign, what is missing was deleted.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from ingest.bitrix24.answers import number_of, whole
from ingest.bitrix24.client import Client, list_by
from ingest.bitrix24.pacing import BATCH, PAGE
from publish.bitrix24.kinds import Card, CardLink, Catalogue, Detail
from publish.bitrix24.unlisted import unreadable
from publish.entries import Entry
from publish.ledger import Ledger
from publish.parts import Field, canonical, decoded, same_value

# An adopted card without a key of ours, another system's or none, is `unkeyed`: its number alone proves nothing.
# `denied`: no list shows it, and its `get` says that it is there: the webhook's user may not read it.
State = Literal["ours", "absent", "foreign", "unkeyed", "denied"]
_PAGE = BATCH * PAGE
EVER = datetime(1970, 1, 1)


class Line(NamedTuple):
    """A line of the ledger to look for: its ids, the portal's id of what it hangs on or is linked to, and whether it is
    a card that was there before us."""

    origin_id: str
    bitrix_id: int
    owner_id: int | None
    is_adopted: bool = False


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
    surely_until: datetime | None = None,
    is_put_back: bool = False,
    also_links: bool = False,
) -> Verdict:
    """Compare the ledger with the portal; changes neither. 50 commands of 50 ids a request.

    `is_put_back`: it is known that the portal was put back from an older copy; else signs decide. `surely_until`: what
    was settled before that time is in the portal for sure, so what is missing of it was deleted; where the portal need
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
    is_put_back = is_told or _shows_gaps(ledger, numbered, surely_until) or await _shows_older(ledger, client, parts)
    for part in parts:
        if part not in numbered and (is_put_back or also_links):
            is_narrow = isinstance(part, CardLink) or not is_told
            await _look_for(ledger, client, parts, part, surely_until if is_narrow else None)
        _judge(ledger, part, surely_until, is_put_back=is_put_back)
    _add_what_hangs_on_lost(ledger, parts)
    kinds = [card.entity for card in parts.cards]
    cards, ours = connection.execute(
        """select count(*), count(*) filter (state in ('ours', 'denied')) from looked_for
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
    ledger.drop("lost", {part.entity: part.owner for part in parts if isinstance(part, Detail)})


async def _look_for(
    ledger: Ledger, client: Client, parts: Catalogue, part: Card | Detail | CardLink, younger_than: datetime | None
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
        ledger.connection.execute(
            "insert into looked_for select ?, unnest(?), unnest(?)",
            [part.entity, [line.origin_id for line in page], states],
        )


def _lines(ledger: Ledger, parts: Catalogue, part: Card | Detail | CardLink, younger_than: datetime) -> list[Line]:
    """Lines of one kind with the portal's ids of what belongs to them; a line without an id is not there for sure. What
    somebody deleted is not looked for here: room `returning` takes it up where a copy has it again."""
    if isinstance(part, CardLink):
        sql = f"""
            select line.origin_id, holder.bitrix_id, other.bitrix_id from portal_ledger as line
            inner join portal_ledger as holder on holder.entity = '{part.holder.entity}'
                and holder.origin_id = split_part(line.origin_id, '/', 1)
            inner join portal_ledger as other on other.entity = '{part.other.entity}'
                and other.origin_id = split_part(line.origin_id, '/', 2)
            where line.entity = ? and line.synced_at >= ? order by 2"""
    else:
        sql = f"""
            select line.origin_id, coalesce(line.bitrix_id, 0), owner.bitrix_id, line.is_adopted
            from portal_held as line
            left join portal_ledger as owner
                on owner.entity = '{part.owner}' and owner.origin_id = line.origin_id
            where line.entity = ? and line.synced_at >= ? order by 2"""
    return [Line(*row) for row in ledger.connection.execute(sql, [part.entity, younger_than]).fetchall()]


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
        type_id, select = part.type_id, part.known_by.selected
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
    return "unkeyed" if line.is_adopted else "foreign"


def _link_state(holder: dict[str, Any] | None, field: str, line: Line) -> State:
    if holder is None:
        return "absent"
    # A list answer that does not tell the links proves nothing about them.
    others = holder.get(field)
    return "ours" if not isinstance(others, list) or line.owner_id in map(whole, others) else "absent"


def _judge(ledger: Ledger, part: Card | Detail | CardLink, surely_until: datetime | None, *, is_put_back: bool) -> None:
    """Lines of one kind that do not stand for anything of ours in the portal."""
    missing = "line.bitrix_id > (from highest) and $is_put_back" if _has_number(part) else "true"
    ledger.connection.execute(
        f"""insert into lost
            with judged as (
                select line.origin_id, coalesce(line.bitrix_id, 0) as bitrix_id, line.synced_at, looked.state
                from portal_held as line
                left join looked_for as looked on looked.entity = line.entity and looked.origin_id = line.origin_id
                where line.entity = $entity
            ),
            highest as (select coalesce(max(bitrix_id), 0) from judged where coalesce(state, 'ours') = 'ours')
            select $entity, origin_id from judged as line
            where state = 'foreign' or (state in ('absent', 'unkeyed') and {missing} and synced_at >= $since)""",
        {"entity": part.entity, "since": surely_until or EVER}
        | ({"is_put_back": is_put_back} if _has_number(part) else {}),
    )


# Signs of a portal that was put back ----------------------------------------------------------------------------------


def _shows_gaps(ledger: Ledger, parts: Sequence[Card | Detail | CardLink], surely_until: datetime | None) -> bool:
    """Whether numbers of ours have gone to others, or the newest of two kinds are missing: a person who deletes a card
    takes what hangs on it away, and no more."""
    found = ledger.connection.execute(
        """with kinds as (select unnest(?::varchar[]) as entity, unnest(?::varchar[]) as owner),
            seen as (
                select line.entity, origin_id, bitrix_id, synced_at, owner, coalesce(state, 'ours') as state
                from portal_held as line
                inner join kinds using (entity)
                left join looked_for using (entity, origin_id)
            ),
            highest as (select entity, max(bitrix_id) as number from seen where state = 'ours' group by 1),
            signs as (
                select seen.* from seen
                left join highest using (entity)
                where (state = 'foreign' or (
                        state = 'absent' and bitrix_id > coalesce(number, 0) and synced_at >= ?))
                    and not exists (select 1 from looked_for as of_owner
                        where of_owner.entity = seen.owner and of_owner.origin_id = seen.origin_id
                            and of_owner.state = 'absent')
            )
            select count(*) filter (state = 'foreign'), count(distinct entity) from signs""",
        [[part.entity for part in parts], [part.owner for part in parts], surely_until or EVER],
    ).fetchone()
    foreign, kinds = found or (0, 0)
    return bool(foreign or kinds > 1)


async def _shows_older(ledger: Ledger, client: Client, parts: Catalogue) -> bool:
    """Whether the portal shows, of the changes sent last that it tells anything of, what was sent before them only."""
    rows = ledger.connection.execute(
        """with changes as (
               select entity, origin_id, bitrix_id, past.sent::varchar as sent, sent_before::varchar as sent_before,
                   past.sent_at
               from portal_history as past
               inner join portal_held using (entity, origin_id)
               anti join portal_updates_under_way using (entity, origin_id)
               where action = 'update' and bitrix_id is not null
               qualify row_number() over (partition by entity, origin_id order by past.sent_at desc) = 1
           )
           from changes order by sent_at desc limit ?""",
        [_PAGE],
    ).fetchall()
    tells: dict[datetime, set[bool]] = {}
    for part in parts:
        changes = [row for row in rows if row[0] == part.entity]
        if isinstance(part, CardLink) or not changes:
            continue
        there = await part.read(client, sorted({row[2] for row in changes}))
        for _, _, bitrix_id, sent, before, sent_at in changes:
            if bitrix_id in there:
                tells.setdefault(sent_at, set()).update(_tell(part, decoded(sent), decoded(before), there[bitrix_id]))
    newest = next((told for _, told in sorted(tells.items(), reverse=True) if told), {True})
    return newest == {False}


def _tell(
    part: Card | Detail, sent: Mapping[str, Any], before: Mapping[str, Any], current: Mapping[str, Any]
) -> Iterator[bool]:
    """Of each field that a change was about: whether the portal has it as sent (True) or as it was before; of one that
    a person has typed over, nothing."""
    for field in part.fields:
        if field.once or field.kind in ("choice", "reference") or field.name not in current:
            continue
        ours, older, shown = (_form(field, values.get(field.name)) for values in (sent, before, current))
        if ours != older and shown in (ours, older):
            yield shown == ours


def _form(field: Field, value: Any) -> Any:
    if not field.is_multiple:
        return canonical(field.kind, value)
    values = value.values() if isinstance(value, Mapping) else value or []
    return frozenset(same_value(field.kind, text) for text in values)


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
