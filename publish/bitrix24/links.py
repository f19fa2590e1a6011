"""Links between cards: those that travel with a new card, those added and removed one by one, and the primary one.

A set of links replaced as a whole would drop what managers linked, and so a link that was there before ours is theirs:
it is never taken away. No method makes a link that is there the primary one
and says that it leaves the others alone; a link that is added as primary does (page
`contacts/company/crm-contact-company-add`), so ours is taken away and added again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, NamedTuple

from ingest.bitrix24.answers import number_of, rows_of
from ingest.bitrix24.errors import PortalError, Reaction
from ingest.bitrix24.pacing import BATCH, PAGE
from ingest.warehouse.connection import transaction
from ingest.warehouse.journal import utc_now
from publish.bitrix24.kinds import CardLink
from publish.bitrix24.run import Attempt, Lines, Run, dead_letter, record, send_repeatable, settle, until_executed
from publish.entries import WHOLE, Conflict, Entry
from publish.parts import PRIMARY, Key

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
    """A link to add or remove between two cards of the portal. `is_adopted`: it was there before we sent it;
    `in_ledger`: it is known to be there, not just perhaps."""

    key: Key
    holder_id: int
    other_id: int
    is_adopted: bool = False
    in_ledger: bool = True
    wanted: str = "{}"


async def change_links(run: Run, link: CardLink) -> None:
    """Remove links, then add links, then see to the primary ones."""
    for action in ("remove", "create"):
        above = ""
        while changes := _page(run, link, action, above):
            above = changes[-1].key.origin_id
            for at in range(0, len(changes), BATCH):
                await until_executed(run, changes[at : at + BATCH], partial(_send, run, link, action))
    await change_primaries(run, link)


def _page(run: Run, link: CardLink, action: str, above: str) -> list[LinkChange]:
    """Links to change whose both ends the portal holds."""
    travelled = f"and plan.origin_id not in (select origin_id from portal_ledger where entity = '{link.entity}')"
    rows = run.connection.execute(
        f"""select plan.origin_id, holder.bitrix_id, other.bitrix_id, coalesce(line.is_adopted, false),
                line.origin_id is not null
            from plan_{link.entity} as plan
            left join portal_ledger as line on line.entity = '{link.entity}' and line.origin_id = plan.origin_id
            inner join portal_ledger as holder on holder.entity = '{link.holder.entity}'
                and holder.origin_id = split_part(plan.origin_id, '/', 1)
            inner join portal_ledger as other on other.entity = '{link.other.entity}'
                and other.origin_id = split_part(plan.origin_id, '/', 2)
            where plan.action = ? and plan.origin_id > ? {travelled if action == "create" else ""}
            order by 1 limit {_PAGE}""",
        [action, above],
    ).fetchall()
    return [LinkChange(Key(link.entity, origin_id), *row) for origin_id, *row in rows]


async def _send(
    run: Run, link: CardLink, action: Literal["remove", "create"], todo: Sequence[LinkChange]
) -> list[LinkChange]:
    """Send one page; what has to be sent again."""
    is_adding = action == "create"
    if not is_adding:
        record(run, [_left_to_manager(change) for change in todo if change.is_adopted])
        todo = [change for change in todo if not change.is_adopted]
    to_send = link.to_add if is_adding else link.to_remove
    attempt = _adding(run, link, todo) if is_adding else _removed
    commands = [to_send(change.holder_id, change.other_id) for change in todo]
    outcomes = await run.client.send(commands) if commands else []
    unknown = settle(run, zip(map(attempt, todo), outcomes, strict=True), "updated")
    return [change for change in todo if change.key in unknown]


def _adding(run: Run, link: CardLink, todo: Sequence[LinkChange]) -> Callable[[LinkChange], Attempt]:
    """How links about to be added are settled. The answer `false` says that one was there: a manager's, unless we may
    have sent it already."""
    ours = run.ledger.updates_under_way(link.entity, [change.key.origin_id for change in todo])
    run.ledger.intend_updates(Entry(*change.key, change.holder_id) for change in todo)

    def attempt(change: LinkChange) -> Attempt:
        def added(result: object) -> Lines:
            is_adopted = result is False and change.key.origin_id not in ours
            return Lines([Entry(*change.key, change.holder_id, is_adopted=is_adopted)])

        return Attempt(change.key, change.wanted, added)

    return attempt


def maybe_ours(run: Run, link: CardLink) -> None:
    """Have links of the plan that are there already count as ours: the ledger has missed what we sent."""
    run.connection.execute(
        f"""insert into sync.updates_under_way
            select ?, '{link.entity}', origin_id, '{{}}', ? from plan_{link.entity} where action = 'create'""",
        [run.ledger.portal, utc_now()],
    )


def _removed(change: LinkChange) -> Attempt:
    def gone(_: object) -> Lines:
        return Lines(gone=[change.key])

    def refused(error: PortalError) -> Lines:  # one of the cards is gone, and the link with it
        if error.reaction is not Reaction.RIGHTS:
            return gone(error)
        # else nothing would tell of one that may be there: a refusal ends what is under way
        kept = [] if change.in_ledger else [Entry(*change.key, change.holder_id)]
        return replace(dead_letter(change, error), entries=kept)

    return Attempt(change.key, change.wanted, gone, refused)


def _left_to_manager(change: LinkChange) -> Lines:
    """A link that we did not make stays, is listed, and is ours no longer."""
    conflict = Conflict(*change.key, change.holder_id, WHOLE, None, str(change.other_id), None)
    return Lines(gone=[change.key], conflicts=[conflict])


# Primary links --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PrimaryChange:
    """A link that the mart says is its holder's primary one, while another of ours was made so, or none that we know.

    `before` is the other card of the link that we made primary, None where there is none; `ours` are the other cards of
    all our links of the holder, `marked` the links that are or were to be primary, with what was sent of each;
    `is_managers`: the link was there before ours.
    """

    key: Key
    holder_id: int
    other_id: int
    is_adopted: bool
    is_managers: bool
    before: int | None
    ours: Sequence[int]
    marked: Mapping[str, str]
    wanted: str = PRIMARY


def note_primaries(run: Run, link: CardLink) -> None:
    """Give a ledger of before primary links were kept the marks that it would have: links went in the mart's order."""
    marked = f"select 1 from portal_ledger where entity = '{link.entity}' and wanted::varchar = ? limit 1"
    if run.connection.execute(marked, [PRIMARY]).fetchone():
        return
    run.connection.execute(
        f"""update sync.ledger as line set sent = $primary, wanted = $primary
            from {link.mart} as link, portal_ledger as holder
            where line.portal = $portal and line.entity = '{link.entity}' and line.origin_id = {link.key}
                and link.{link.first} and holder.entity = '{link.holder.entity}'
                and holder.origin_id = link.{link.holder.key} and not holder.is_adopted""",
        {"primary": PRIMARY, "portal": run.ledger.portal},
    )


async def change_primaries(run: Run, link: CardLink) -> None:
    """Make links primary as the mart has it, where the portal's primary one is still the one that we made so."""
    above = ""
    while changes := _primaries(run, link, above):
        above = changes[-1].key.origin_id
        await until_executed(run, changes, partial(_make_primary, run, link))


def _primaries(run: Run, link: CardLink, above: str) -> list[PrimaryChange]:
    """The next holders of several links whose primary one is not the one that was dealt with last; of holders that we
    made no link primary of, those whose links this plan changes."""
    rows = run.connection.execute(
        f"""with lines as (
                select line.origin_id, split_part(line.origin_id, '/', 1) as holder_key, line.sent::varchar as sent,
                    line.wanted::varchar as wanted, other.bitrix_id as other_id, line.is_adopted as is_managers
                from portal_ledger as line
                inner join portal_ledger as other on other.entity = '{link.other.entity}'
                    and other.origin_id = split_part(line.origin_id, '/', 2)
                where line.entity = '{link.entity}'
            ),
            chosen as (
                select lines.* from lines inner join {link.mart} as link on {link.key} = lines.origin_id
                where link.{link.first} and lines.wanted is distinct from $primary and lines.origin_id > $above
                    and lines.holder_key in (
                        select holder_key from lines group by 1
                        having count(*) > 1 and (
                            count_if($primary in (sent, wanted)) > 0
                            or holder_key in (select split_part(origin_id, '/', 1) from plan_{link.entity})))
                order by lines.origin_id limit {_PAGE}
            )
            select chosen.origin_id, holder.bitrix_id, chosen.other_id, holder.is_adopted, chosen.is_managers,
                max(lines.other_id) filter (lines.sent = $primary), list(lines.other_id),
                map_from_entries(list((lines.origin_id, lines.sent)) filter ($primary in (lines.sent, lines.wanted)))
            from chosen
            inner join portal_ledger as holder
                on holder.entity = '{link.holder.entity}' and holder.origin_id = chosen.holder_key
            inner join lines using (holder_key)
            group by all order by 1""",
        {"primary": PRIMARY, "above": above},
    ).fetchall()
    return [
        PrimaryChange(Key(link.entity, key), holder, other, is_adopted, is_managers, before, ours, marked or {})
        for key, holder, other, is_adopted, is_managers, before, ours, marked in rows
    ]


async def _make_primary(run: Run, link: CardLink, todo: Sequence[PrimaryChange]) -> list[PrimaryChange]:
    """See to one page of holders; those whose answer was lost.

    The ledger's line goes before the link does: whoever is killed in between adds the link anew, or takes it away.
    """
    answers = await run.client.read([link.to_list(change.holder_id) for change in todo])
    lines: list[Lines] = []
    to_send: list[PrimaryChange] = []
    for change, answer in zip(todo, answers, strict=True):
        rows = rows_of(link.listing, answer)
        there = [number_of(link.listing, row, link.other_field) for row in rows]
        primary = next((other for other, row in zip(there, rows, strict=True) if row.get("IS_PRIMARY") == "Y"), None)
        if primary == change.other_id:
            lines.append(_is_primary(change))
        elif change.other_id in there and _is_ours(change, primary):
            to_send.append(change)
        else:
            lines.append(_left(change, primary))
    record(run, lines)
    again: list[PrimaryChange] = []
    for at in range(0, len(to_send), BATCH):
        again += await _add_again(run, link, to_send[at : at + BATCH])
    return again


def _is_ours(change: PrimaryChange, primary: int | None) -> bool:
    """Whether the portal's primary link is the one that we made so; where ours went, the portal has chosen itself."""
    if change.before is not None:
        return primary == change.before
    return not change.is_adopted and primary in change.ours


async def _add_again(run: Run, link: CardLink, todo: Sequence[PrimaryChange]) -> list[PrimaryChange]:
    """Take up to fifty links away, then add them as primary: in requests of their own, for a limit may hold one method
    up and not the other. Those whose answer was lost."""
    with transaction(run.connection):
        record(run, [Lines(gone=[change.key for change in todo])])
        run.ledger.intend_updates(Entry(*c.key, c.holder_id) for c in todo if not c.is_managers)
    removed = await send_repeatable(run, [link.to_remove(change.holder_id, change.other_id) for change in todo])
    again = [change for change, outcome in zip(todo, removed, strict=True) if not outcome.is_known]
    to_add = [change for change, outcome in zip(todo, removed, strict=True) if outcome.is_known]
    commands = [link.to_add(change.holder_id, change.other_id, is_primary=True) for change in to_add]
    outcomes = await run.client.send(commands) if commands else []
    unknown = settle(run, zip(map(_primary_attempt, to_add), outcomes, strict=True), "updated")
    return again + [change for change in to_add if change.key in unknown]


def _primary_attempt(change: PrimaryChange) -> Attempt:
    return Attempt(change.key, change.wanted, lambda _: _is_primary(change))


def _is_primary(change: PrimaryChange) -> Lines:
    """The ledger's lines of a holder whose primary link is the wanted one."""
    before = [Entry(change.key.entity, key, change.holder_id) for key in change.marked if key != change.key.origin_id]
    line = Entry(*change.key, change.holder_id, PRIMARY, PRIMARY, change.is_managers)
    return Lines([line, *before])


def _left(change: PrimaryChange, primary: int | None) -> Lines:
    """Somebody chose another one, or took ours away: it stays so, is listed, and is not looked at again."""
    sent = {change.key.origin_id: "{}", **change.marked}
    entries = [
        Entry(change.key.entity, key, change.holder_id, text, PRIMARY if key == change.key.origin_id else "{}")
        for key, text in sent.items()
    ]
    told = (None if card is None else str(card) for card in (change.before, primary, change.other_id))
    return Lines(entries, conflicts=[Conflict(*change.key, change.holder_id, "IS_PRIMARY", *told)])
