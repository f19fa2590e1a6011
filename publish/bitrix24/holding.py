"""INNs that are not written: the portal has them on another company's card already.

The mart never has two companies with one INN; the portal may have one of its own, typed in by hand or left of a company
that was joined with another. Writing the INN a second time would make a duplicate that nobody ordered, so the requisite
keeps the one it has, the rest of the company goes on, and both cards are listed until a person has joined them. Where
`SVOD_FIELD_OWNERS` makes the INN the source's, it is written over with every change of its requisite: then all of
these are looked at.
"""

import dataclasses

from publish.bitrix24.inns import Inns
from publish.bitrix24.parts import COMPANY, REQUISITE
from publish.bitrix24.run import Run
from publish.entries import Duplicates
from publish.parts import Key

_INN = "RQ_INN"


async def hold_back(run: Run, inns: Inns) -> Run:
    """The run, with INNs held back that other company cards have, and requisites not to be made with such an INN.

    The list of those waiting is brought up to date, also when none is left.
    """
    is_always_sent = run.settings.field_owners.get(f"{REQUISITE.entity}.{_INN}") == "source"
    rows = run.connection.execute(
        f"""select plan.origin_id, plan.action, plan.wanted ->> '$.{_INN}' as inn, company.bitrix_id
            from plan_{REQUISITE.entity} as plan
            inner join portal_ledger as company
                on company.entity = '{COMPANY.entity}' and company.origin_id = plan.origin_id
            where (? or (plan.wanted ->> '$.{_INN}') is distinct from (plan.sent ->> '$.{_INN}'))
                and (plan.wanted ->> '$.{_INN}') is not null
            order by 1""",
        [is_always_sent],
    ).fetchall()
    holders = await inns.holders([inn for _, _, inn, _ in rows])
    fields: dict[Key, frozenset[str]] = {}
    not_made: set[str] = set()
    listed: list[Duplicates] = []
    for origin_id, action, inn, card in rows:
        cards = holders.get(inn, {})
        if not cards or cards.get(card) is not None:  # nobody's, or its own requisite has it already
            continue
        others = sorted(other for other in cards if other != card)
        if not others:
            continue
        if action == "create":
            not_made.add(origin_id)
        else:
            fields[Key(REQUISITE.entity, origin_id)] = frozenset({_INN})
        found_by = f"{_INN} {inn} of the first company card is on the others: not written there a second time"
        listed.append(Duplicates(REQUISITE.entity, origin_id, found_by, [card, *others]))
    run.ledger.list_duplicates(listed, all_of=REQUISITE.entity)
    blocked = {**run.blocked, REQUISITE.entity: not_made | run.blocked.get(REQUISITE.entity, set())}
    return dataclasses.replace(run, blocked=blocked, held=fields)
