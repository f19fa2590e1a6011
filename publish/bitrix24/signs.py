"""Signs that a portal was put back from an older copy, where its mark does not say so.

A card of ours has become another's; the newest of two kinds of parts are gone, of none that hung on others that are; or
of what was changed last the portal shows what was sent before, and of nothing what was sent then.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from ingest.bitrix24.client import Client
from ingest.bitrix24.pacing import BATCH, PAGE
from publish.bitrix24.kinds import Card, CardLink, Catalogue, Detail
from publish.held import Held
from publish.parts import Field, canonical, decoded, same_value

_PAGE = BATCH * PAGE
EVER = datetime(1970, 1, 1)


def shows_gaps(ledger: Held, parts: Sequence[Card | Detail | CardLink], surely_until: datetime | None) -> bool:
    """Whether numbers of ours have gone to others, or the newest of two kinds are missing: a person who deletes a card
    takes what hangs on it away, and no more."""
    found = ledger.connection.execute(
        """with kinds as (select unnest(?::varchar[]) as entity, unnest(?::varchar[]) as owner),
            seen as (
                select line.entity, origin_id, bitrix_id, owner, coalesce(state, 'ours') as state,
                    coalesce(known_since, synced_at) as known_since
                from portal_held as line
                inner join kinds using (entity)
                left join looked_for using (entity, origin_id)
            ),
            highest as (select entity, max(bitrix_id) as number from seen where state = 'ours' group by 1),
            signs as (
                select seen.* from seen
                left join highest using (entity)
                where (state = 'foreign' or (
                        state = 'absent' and bitrix_id > coalesce(number, 0) and known_since >= ?))
                    and not exists (select 1 from looked_for as of_owner
                        where of_owner.entity = seen.owner and of_owner.origin_id = seen.origin_id
                            and of_owner.state = 'absent')
            )
            select count(*) filter (state = 'foreign'), count(distinct entity) from signs""",
        [[part.entity for part in parts], [part.owner for part in parts], surely_until or EVER],
    ).fetchone()
    foreign, kinds = found or (0, 0)
    return bool(foreign or kinds > 1)


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
