"""Who answers for a new card: one user, several in turn, or by the region of the company's INN (SVOD_RESPONSIBLE).

A company's contacts and deals go to whoever the company goes to, and the choice is by its id, so that a push that is
made good chooses as the broken one did. Cards that are there are nobody's to hand on: managers do that.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from ingest.bitrix24.answers import number_of, rows_of
from ingest.bitrix24.client import Client, Command
from ingest.warehouse.errors import OperatorError, SettingsError
from publish.bitrix24.kinds import Card
from publish.settings import Settings

FIELD = "assignedById"
_USERS = "user.get"
_PAGE = 50  # users that it tells at a time


async def check(connection: duckdb.DuckDBPyConnection, client: Client, settings: Settings) -> None:
    """Raise SettingsError for users whom the portal has not, or who left; a webhook without the right `user` cannot
    tell, and then the portal judges each card itself. Raise OperatorError for a mart that an older version left."""
    if not settings.responsible:
        return
    try:
        connection.execute("select region from marts.crm_companies limit 0")
    except duckdb.BinderException:
        hint = "`make incremental` builds the models anew"
        raise OperatorError("SVOD_RESPONSIBLE: marts.crm_companies tells no region of an INN", hint=hint) from None
    check_users(settings, await client.read(look_up(settings), optional=(_USERS,)))


def _chosen(settings: Settings) -> list[int]:
    return sorted({user for users in settings.responsible.values() for user in users})


def look_up(settings: Settings) -> list[Command]:
    """What tells whether the users of the settings are there; a webhook without the right `user` is refused it."""
    chosen = _chosen(settings)
    pages = [chosen[at : at + _PAGE] for at in range(0, len(chosen), _PAGE)]
    return [Command(_USERS, {"FILTER": {"ID": page}}) for page in pages]


def check_users(settings: Settings, answers: Sequence[Any]) -> str:
    """Who answers for new cards, by what the portal said to `look_up`. Raises SettingsError for who is not there."""
    chosen = _chosen(settings)
    if None in answers:
        return "not told to this user"
    rows = [row for answer in answers for row in rows_of(_USERS, answer)]
    there = {number_of(_USERS, row, "ID") for row in rows if row.get("ACTIVE", True) not in (False, "N")}
    if missing := [user for user in chosen if user not in there]:
        raise SettingsError(
            f"SVOD_RESPONSIBLE: the portal has no active user {', '.join(map(str, missing))}",
            hint="a user's number is in the address of their page, company/personal/user/NUMBER",
        )
    return f"{', '.join(map(str, chosen))} there"


def of_new_cards(
    connection: duckdb.DuckDBPyConnection, settings: Settings, card: Card, origin_ids: Sequence[str]
) -> Mapping[str, dict[str, Any]]:
    """The field to send with each new card that somebody is named for; others get the webhook's user."""
    if not settings.responsible or not card.companies:
        return {}
    regions, users = zip(*settings.responsible.items(), strict=True)
    rows = connection.execute(
        f"""with chosen as (select unnest(?) as region, unnest(?) as users),
            of_region as (
                select company_id, coalesce(own.users, others.users) as users
                from marts.crm_companies
                left join chosen as own on own.region = crm_companies.region
                left join chosen as others on others.region = ''
            )
            select origin_id, users[1 + (md5_number_lower(company_id) % len(users))::int]
            from ({card.companies}) inner join of_region using (company_id)
            where users is not null and origin_id in (select unnest(?))""",
        [list(regions), [list(of_one) for of_one in users], list(origin_ids)],
    ).fetchall()
    return {origin_id: {FIELD: user} for origin_id, user in rows}
