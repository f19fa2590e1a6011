"""Table sync.portals: each portal that the warehouse publishes to, how it is known again, and how far the two agree;
and whose the rows of the other tables of schema sync are.

Who a portal is, is told by a mark that the publisher keeps in it; `publish/bitrix24/identity.py` reads and writes that.
The mark counts: an odd number is a push under way, the even one above it the same push at its end.
"""

import hashlib
import platform
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import duckdb

from ingest.warehouse.connection import transaction
from ingest.warehouse.journal import PUBLISH_PUSH, utc_now

# The two jobs keep a ledger each, in a schema of its own: what is published, and what a company moves with.
TABLES = (
    "ledger", "intents", "updates_under_way", "dead_letters", "conflicts", "adoption_duplicates", "deletions",
    "history", "confirmed_plans", "merges_under_way", "choices",
)  # fmt: skip
TABLES_OF = {"sync": TABLES, "transfer": (
    "ledger", "intents", "dead_letters", "history", "boxes", "delivered", "unseen_pushes",
)}  # fmt: skip
_UNKEYED = {"intents", "updates_under_way", "history"}


@dataclass(frozen=True, slots=True)
class PortalRow:
    """A row of sync.portals. `mark` is None where none has been written so far; `counter` is the mark's number as last
    seen written, `intended` the one that was about to be written then; `restored_at` is the number that a portal put
    back from an older copy had, until a push has brought it up to date; times are UTC."""

    portal: str
    mark: str | None = None
    counter: int = 0
    intended: int = 0
    restored_at: int | None = None
    mark_refused_at: datetime | None = None
    filled_at: datetime | None = None
    first_seen_at: datetime | None = None

    @property
    def pushes(self) -> int:
        """How many pushes have begun to send, those of other warehouses too."""
        return (self.counter + 1) // 2

    @property
    def highest(self) -> int:
        return max(self.counter, self.intended)


@dataclass(frozen=True, slots=True)
class Writer:
    """This warehouse as a portal's mark names it: a fingerprint, and the machine for a person to recognise."""

    fingerprint: str
    machine: str


_COLUMNS = "portal, mark, counter, intended, restored_at, mark_refused_at, filled_at, first_seen_at"


def portal_row(connection: duckdb.DuckDBPyConnection, portal: str) -> PortalRow | None:
    """What is known of the portal with this name."""
    row = connection.execute(f"select {_COLUMNS} from sync.portals where portal = ?", [portal]).fetchone()
    return PortalRow(*row) if row else None


def portal_with_mark(connection: duckdb.DuckDBPyConnection, mark: str) -> PortalRow | None:
    """The portal that carries this mark as far as the warehouse knows."""
    sql = f"select {_COLUMNS} from sync.portals where mark = ? order by last_seen_at desc limit 1"
    row = connection.execute(sql, [mark]).fetchone()
    return PortalRow(*row) if row else None


def saw(connection: duckdb.DuckDBPyConnection, portal: str, url: str) -> None:
    """The portal has answered at this address (no path: that is a secret)."""
    now = utc_now()
    connection.execute(
        """insert into sync.portals (portal, url, counter, intended, first_seen_at, last_seen_at)
           values (?, ?, 0, 0, ?, ?)
           on conflict (portal) do update set url = excluded.url, last_seen_at = excluded.last_seen_at""",
        [portal, url, now, now],
    )


def tried(connection: duckdb.DuckDBPyConnection, portal: str, problem: str) -> None:
    """A run asked the portal whether it is there; `problem` is why it could not be published to, '' when it could."""
    connection.execute(
        """insert into ops.portal_answers values
               ($1, $2, if($3 = '', $2, null), if($3 = '', null, $2), nullif($3, ''))
           on conflict (portal) do update set tried_at = excluded.tried_at,
               heard_at = coalesce(excluded.heard_at, heard_at),
               silent_since = if(excluded.problem is null, null, least(silent_since, excluded.silent_since)),
               problem = excluded.problem""",
        [portal, utc_now(), problem],
    )


class Answers(NamedTuple):
    """When a portal answered last, to a run's first question or to a push; since when it does not, and why (UTC)."""

    heard_at: datetime | None = None
    silent_since: datetime | None = None
    problem: str = ""


def answers_of(connection: duckdb.DuckDBPyConnection, portal: str) -> Answers:
    """Whether the portal with this name answers, as far as runs know."""
    row = connection.execute(
        """select greatest(heard_at, last_seen_at), if(last_seen_at > tried_at, null, silent_since),
               coalesce(problem, '')
           from (select $1 as portal) left join ops.portal_answers using (portal) left join sync.portals using (portal)
        """,
        [portal],
    ).fetchone()
    return Answers(*row) if row else Answers()


def intend_mark(connection: duckdb.DuckDBPyConnection, portal: str, mark: str, number: int) -> None:
    """A mark with this number is about to be written: from now on the portal may have it."""
    connection.execute(
        "update sync.portals set mark = ?, intended = ? where portal = ?",
        [mark, number, portal],
    )


def confirm_mark(connection: duckdb.DuckDBPyConnection, portal: str) -> None:
    """The mark about to be written is there."""
    connection.execute(
        "update sync.portals set counter = intended, mark_refused_at = null where portal = ?",
        [portal],
    )


def refuse_mark(connection: duckdb.DuckDBPyConnection, before: PortalRow) -> None:
    """The portal did not take the mark: what it has is what it had before."""
    connection.execute(
        """update sync.portals set mark = ?, intended = ?, mark_refused_at = coalesce(mark_refused_at, ?)
           where portal = ?""",
        [before.mark, before.intended, utc_now(), before.portal],
    )


def set_restored(connection: duckdb.DuckDBPyConnection, portal: str, number: int) -> None:
    """From this number of the mark on, the portal may have lost what was sent to it. It may be put back twice before it
    is brought up to date: the older copy counts."""
    connection.execute(
        "update sync.portals set restored_at = least(restored_at, ?) where portal = ?",
        [number, portal],
    )


def set_filled(connection: duckdb.DuckDBPyConnection, portal: str) -> None:
    """A push has ended without an error. One after which the portal holds nothing of ours has not filled it."""
    connection.execute(
        """update sync.portals set restored_at = null, filled_at = coalesce(filled_at, (
               select $1::timestamp from sync.ledger where portal = $2 limit 1))
           where portal = $2""",
        [utc_now(), portal],
    )


def is_deletion_untold(connection: duckdb.DuckDBPyConnection, portal: str) -> bool:
    """Whether a part was refused since it was last looked into whether parts of ours have been deleted (or the clock
    has been put back since)."""
    sql = """
        with told as (
            select coalesce(max(deletions_told_at), '-infinity'::timestamp) as told_at
            from sync.portals where portal = ?
        )
        select 1 from portal_dead_letters, told
        where not isinf(next_at) and (last_at > told_at or told_at > ?) limit 1"""
    return connection.execute(sql, [portal, utc_now()]).fetchone() is not None


def set_deletions_told(connection: duckdb.DuckDBPyConnection, portal: str, at: datetime) -> None:
    """What was refused until then has been looked into."""
    connection.execute("update sync.portals set deletions_told_at = ? where portal = ?", [at, portal])


def set_filled_before(connection: duckdb.DuckDBPyConnection, portal: str) -> None:
    """The portal is one that an older version published to, which kept only the steps of its pushes."""
    connection.execute(
        """update sync.portals set filled_at = coalesce(filled_at, (
               select min(finished_at) from ops.steps where step = ? and status = 'done' and rows_out > 0))
           where portal = ?""",
        [PUBLISH_PUSH, portal],
    )


def forget_portal(connection: duckdb.DuckDBPyConnection, portal: str) -> None:
    """Drop the row of a portal that nothing was ever written to."""
    connection.execute("delete from sync.portals where portal = ?", [portal])


def last_portal(connection: duckdb.DuckDBPyConnection) -> str:
    """The portal that was published to last, '' when none was."""
    row = connection.execute("select portal from sync.ledger order by synced_at desc limit 1").fetchone()
    return row[0] if row else ""


def is_unclaimed(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether rows of before the portal was kept wait for the first push to say whose they are."""
    return any(
        connection.execute(f"select 1 from sync.{table} where portal = '' limit 1").fetchone() for table in TABLES
    )


def claim(connection: duckdb.DuckDBPyConnection, portal: str) -> None:
    """Give the rows of no portal to this one."""
    _move(connection, "", portal)


def take_over(connection: duckdb.DuckDBPyConnection, old: str, new: str) -> None:
    """Another name of a portal: its rows, those of sync.portals too, are the new name's from now on."""
    _move(connection, old, new)


def put_aside(connection: duckdb.DuckDBPyConnection, portal: str) -> str:
    """Keep the rows of a portal under a name of their own, which is answered; it starts empty."""
    aside = _name_for_put_aside(connection, portal)
    _move(connection, portal, aside)
    return aside


def _move(connection: duckdb.DuckDBPyConnection, old: str, new: str) -> None:
    """Rows of one portal to another name; copied, for an update of a million keys takes far longer."""
    with transaction(connection):
        for schema, name in ((schema, name) for schema, names in TABLES_OF.items() for name in names):
            known = "" if name in _UNKEYED else "on conflict do nothing"
            connection.execute(
                f"""insert into {schema}.{name} select * replace ($1 as portal) from {schema}.{name}
                    where portal = $2 {known}""",
                [new, old],
            )
            connection.execute(f"delete from {schema}.{name} where portal = ?", [old])
        connection.execute(
            """update transfer.id_map set target = $new || substr(target, length($old) + 1)
               where starts_with(target, $old || '#')""",
            {"new": new, "old": old},
        )
        connection.execute("update sync.portals set portal = ? where portal = ?", [new, old])


def _name_for_put_aside(connection: duckdb.DuckDBPyConnection, portal: str) -> str:
    """A name that is still free for what a portal held until now: `host (until 2026-01-31)`."""
    name = f"{portal or 'unknown'} (until {utc_now():%Y-%m-%d})"
    sql = "select portal from sync.portals union select portal from sync.ledger where portal like '%(until %'"
    taken = {row[0] for row in connection.execute(sql).fetchall()}
    number = 2
    while (free := name if name not in taken else name.replace(")", f", {number})")) in taken:
        number += 1
    return free


def is_put_aside(portal: str) -> bool:
    """Whether this is such a name: of a portal that no webhook reaches any more."""
    return " (until " in portal


def writer_of(connection: duckdb.DuckDBPyConnection, machine: str) -> Writer:
    """This warehouse: its own id, the machine, the place of its file. A copy put back in its place is the same writer,
    a copy anywhere else is another one.

    `machine` is the name to use where the host's own changes from run to run.
    """
    warehouse = connection.execute("select warehouse_id::varchar from ops.warehouse").fetchone()
    file = connection.execute("select path from duckdb_databases() where database_name = current_database()").fetchone()
    name = machine or platform.node()
    place = str(Path(file[0]).resolve()) if file and file[0] else ""
    told = "|".join((warehouse[0] if warehouse else "", name, place))
    return Writer(hashlib.sha256(told.encode()).hexdigest()[:12], name)
