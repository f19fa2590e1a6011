"""Table transfer.unseen_pushes: what a move wrote to a box and this warehouse knows nothing of, for it was put back
from an older copy, or another warehouse wrote there before it took over.

Times are told by the box's clock, as it tells them of its cards; page `common/system/server-time`.
"""

from datetime import UTC, datetime, timedelta

import duckdb

from ingest.bitrix24.client import Client, Command
from ingest.bitrix24.errors import PortalRefused
from ingest.warehouse.journal import utc_now
from publish.bitrix24.mark import ALIVE, Mark
from publish.portals import PortalRow

_AFTER = timedelta(seconds=2)  # the mark of an end tells whole seconds


async def clock_of(client: Client) -> datetime | None:
    """The box's time with its zone; None where it does not tell it."""
    try:
        (told,) = await client.read([Command("server.time", {})])
        return datetime.fromisoformat(str(told))
    except (PortalRefused, ValueError):
        return None


async def notice(
    connection: duckdb.DuckDBPyConnection, client: Client, known: PortalRow | None, mark: Mark | None, user: int
) -> str:
    """Write down that the box was written to after what this warehouse knows of it, if its mark says so; a line for the
    operator, '' where it is not so or has been written down already. `known` is what was known before, `user` is who
    the webhook writes as."""
    if known is None or mark is None or known.mark != mark.portal:
        return ""
    if mark.number < known.counter:  # the box was put back: what it has is not what was sent last
        connection.execute("delete from transfer.delivered where portal = ?", [known.portal])
    if mark.number <= known.highest:
        return ""
    clock = await clock_of(client)
    if clock is None or clock.tzinfo is None:
        return f"{client.host} does not tell its time: what was written there since counts as its people's"
    ahead = clock.astimezone(UTC).replace(tzinfo=None) - utc_now()
    ended_at = mark.at + (ALIVE if mark.is_under_way else _AFTER)
    ((is_new,),) = connection.execute(
        """insert into transfer.unseen_pushes
           select ?, ?, ?, ?, coalesce(max(finished_at), '1970-01-01'::timestamp) + ?, ? from ops.steps
           where finished_at < ? on conflict do nothing""",  # of what ran since it was put back, nothing follows
        [known.portal, mark.portal, mark.number, str(user), ahead, ended_at + ahead, mark.at],
    ).fetchall()
    return (
        f"{client.host} was written to until {mark.at:%Y-%m-%d %H:%M} UTC, of which this warehouse knows nothing: what "
        f"user {user} changed there until then counts as the move's"
        if is_new
        else ""
    )
