"""INNs that are not written: the portal has them on another company's card already.

The mart never has two companies with one INN; the portal may have one of its own, typed in by hand or left of a company
that was joined with another. Writing the INN a second time would make a duplicate that nobody ordered, so the requisite
keeps the one it has, the rest of the company goes on, and both cards are listed until a person has joined them. Where
`SVOD_FIELD_OWNERS` makes the INN the source's, it is written over with every change of its requisite: then all of
these are looked at.

An INN that one of our cards hands on to another is no duplicate: it goes once the other card has let go of it. Where
INNs go in a circle, one card is without any for that long.
"""

import dataclasses

from publish.bitrix24.inns import NOBODYS, Found, Inns
from publish.bitrix24.parts import COMPANY, REQUISITE
from publish.bitrix24.run import Run
from publish.entries import Duplicates
from publish.parts import Key

_INN = "RQ_INN"
_TWICE = "of the first company card is on the others: not written there a second time"
_STILL_THERE = (
    "of the first company card is to leave the others, which are companies of their own, and has not left yet"
)


def _all(cards: Found) -> frozenset[int]:
    """Also those where it is not sure that the INN is meant."""
    return cards.mentions | cards.holders.keys()


async def hold_back(run: Run, inns: Inns) -> Run:
    """The run, with INNs held back that other company cards have, and requisites not to be made with such an INN.

    The list of those waiting is brought up to date, also when none is left.
    """
    is_always_sent = run.settings.field_owners.get(f"{REQUISITE.entity}.{_INN}") == "source"
    rows = run.connection.execute(
        f"""select plan.origin_id, plan.action, plan.wanted ->> '$.{_INN}' as inn, company.bitrix_id,
                ? or (plan.sent ->> '$.{_INN}') is not null
            from plan_{REQUISITE.entity} as plan
            inner join portal_ledger as company
                on company.entity = '{COMPANY.entity}' and company.origin_id = plan.origin_id
            where (? or (plan.wanted ->> '$.{_INN}') is distinct from (plan.sent ->> '$.{_INN}'))
                and (plan.wanted ->> '$.{_INN}') is not null
            order by 1""",
        [is_always_sent, is_always_sent],
    ).fetchall()
    found = await inns.found([inn for _, _, inn, _, _ in rows])
    moves = {origin_id: inn for origin_id, action, inn, _, can_move in rows if action == "update" and can_move}
    origins = run.ledger.origins(COMPANY.entity, [card for cards in found.values() for card in _all(cards)])
    fields: dict[Key, frozenset[str]] = {}
    moving: dict[str, frozenset[str]] = {}
    not_made: set[str] = set()
    listed: list[Duplicates] = []
    for origin_id, action, inn, card, _ in rows:
        cards = found.get(inn, NOBODYS)
        if cards.holders.get(card) is not None:  # its own requisite has it already
            continue
        others = sorted(_all(cards) - {card})
        if not others:
            continue
        keys = {origins.get(other, "") for other in others}
        is_moving = all(moves.get(key, inn) != inn for key in keys)
        if action == "create":
            not_made.add(origin_id)
        else:
            fields[Key(REQUISITE.entity, origin_id)] = frozenset({_INN})
        if is_moving and action == "update":
            moving[origin_id] = frozenset(keys)
        else:
            words = _STILL_THERE if is_moving else _TWICE
            listed.append(Duplicates(REQUISITE.entity, origin_id, f"{_INN} {inn} {words}", [card, *others]))
    listed_before = run.blocked.get(REQUISITE.entity, set())
    run.ledger.list_duplicates(listed, all_of=REQUISITE.entity, but=listed_before)
    blocked = {**run.blocked, REQUISITE.entity: not_made | listed_before}
    return dataclasses.replace(run, blocked=blocked, held=fields, emptied={}, moving=moving)


def empty_one(run: Run, tried: set[str]) -> Run | None:
    """The run with one requisite of a circle that is not in `tried` (it is then) to go out without its INN; None when
    there is no circle."""
    waits = {key: waits_for for key, waits_for in run.moving.items() if key not in tried}
    for start in sorted(waits):
        at, passed = start, set[str]()
        while at in waits and at not in passed:
            passed.add(at)
            at = min(waits[at])
        if at in waits:
            tried.add(at)
            key = Key(REQUISITE.entity, at)
            return dataclasses.replace(run, emptied={key: run.held[key]})
    return None


def list_moving(run: Run) -> None:
    """List INNs that our own cards have not let go of: a manager has typed over them, or theirs are held back."""
    ids = run.ledger.ids(COMPANY.entity, {key for origin_id, keys in run.moving.items() for key in (origin_id, *keys)})
    listed = [
        Duplicates(REQUISITE.entity, key, f"{_INN} {_STILL_THERE}", [ids[key], *(ids[other] for other in sorted(keys))])
        for key, keys in run.moving.items()
    ]
    run.ledger.list_duplicates(listed)
