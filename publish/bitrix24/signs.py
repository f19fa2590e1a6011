"""Signs that a portal was put back from an older copy, where its mark does not say so.

A card of ours has become another's; the newest of two kinds of parts are gone, of none that hung on others that are,
and no card is there that was made after one of them; or of what was changed last the portal shows what was sent before,
and of nothing what was sent then.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from ingest.bitrix24.client import Client
from ingest.bitrix24.pacing import BATCH, PAGE
from publish.bitrix24.kinds import Card, CardLink, Catalogue, Detail
from publish.held import EVER, KNOWN_SINCE, Held, Moment
from publish.parts import Field, canonical, decoded, same_value

_PAGE = BATCH * PAGE


def shows_gaps(ledger: Held, parts: Sequence[Card | Detail | CardLink], surely_until: Moment | None) -> bool:
    """Whether numbers of ours have gone to others, or the newest of two kinds are missing: a person who deletes a card
    takes what hangs on it away, and no more. Who deletes a company, its people and deals leaves others: cards are made
    one after the other, so that an older copy has none that was made after one that it lacks."""
    found = ledger.connection.execute(
        f"""with kinds as (
                select unnest($kinds) as entity, unnest($owners) as owner, unnest($cards) as is_card
            ),
            seen as (
                select line.entity, origin_id, bitrix_id, owner, coalesce(state, 'ours') as state,
                    {KNOWN_SINCE} as is_younger, is_card and not is_adopted as is_made,
                    row(coalesce(known_in, 0), coalesce(known_since, '-infinity')) as made
                from portal_held as line
                inner join kinds using (entity)
                left join looked_for using (entity, origin_id)
            ),
            highest as (select entity, max(bitrix_id) as number from seen where state = 'ours' group by 1),
            signs as (
                select seen.* from seen
                left join highest using (entity)
                where (state = 'foreign' or (
                        state = 'absent' and bitrix_id > coalesce(number, 0) and is_younger))
                    and not exists (select 1 from looked_for as of_owner
                        where of_owner.entity = seen.owner and of_owner.origin_id = seen.origin_id
                            and of_owner.state = 'absent')
            ),
            order_made as (
                select max(made) filter (state = 'ours') > min(made) filter (
                    (entity, origin_id) in (select (entity, origin_id) from signs)) as is_later_there
                from seen where is_made
            )
            select count(*) filter (state = 'foreign'), count(distinct entity), (select is_later_there from order_made)
            from signs""",
        {
            "kinds": [part.entity for part in parts],
            "owners": [part.owner for part in parts],
            "cards": [isinstance(part, Card) for part in parts],
        }
        | (surely_until or EVER)._asdict(),
    ).fetchone()
    foreign, kinds, is_later_there = found or (0, 0, None)
    return bool(foreign or (kinds > 1 and not is_later_there))


async def shows_older(ledger: Held, client: Client, parts: Catalogue) -> bool:
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
