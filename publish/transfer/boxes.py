"""Table transfer.boxes: the portals that a company moves to, by name and mark; what is the baseline of each, and
whether somebody said that nothing starts by itself there. Another portal under the same name has another mark, and no
row."""

from datetime import datetime
from typing import NamedTuple

import duckdb

from ingest.warehouse.connection import transaction
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.journal import utc_now
from publish import portals

BASELINE = "baseline"  # the label of the snapshot; models of the move look for it
ON_AGAIN = "robots-on"  # the step of the checklist
_FORMER = "former baseline"


class Box(NamedTuple):
    """A portal to move to, and the one that its baseline is of. `baseline_snapshot` is None where nothing was restored;
    times are UTC."""

    portal: str
    mark: str
    source_portal: str | None
    baseline_snapshot: int | None
    baseline_at: datetime | None


def box_of(connection: duckdb.DuckDBPyConnection, portal: str) -> Box | None:
    """What is known of the portal that answered to this name last."""
    row = connection.execute(
        """select box.portal, box.mark, box.source_portal, box.baseline_snapshot, box.baseline_at
           from transfer.boxes as box inner join sync.portals as known using (portal, mark) where portal = ?""",
        [portal],
    ).fetchone()
    return Box(*row) if row else None


def check_source(connection: duckdb.DuckDBPyConnection, portal: str, cloud: str) -> None:
    """Raise OperatorError with exit status 3 where the box has been moved to from another cloud than this: the numbers
    of the two say nothing of each other."""
    box = box_of(connection, portal)
    if box is not None and box.source_portal not in (None, cloud):
        raise OperatorError(
            f"{portal} is moved to from {box.source_portal}, and SVOD_CLOUD_WEBHOOK names {cloud}",
            hint="name that portal; of one that got another name, make the baseline of a new box",
            exit_status=3,
        )


def recognise(connection: duckdb.DuckDBPyConnection, portal: str, mark: str | None) -> str:
    """The name that the box with this mark had until now, '' where it is the one that it had: what is known of it, its
    readings too, goes by the new name from now on."""
    row = portals.portal_row(connection, portal)
    known = portals.portal_with_mark(connection, mark) if mark else None
    if known is None or known.portal == portal or (row is not None and row.mark == mark):
        return ""
    if row is not None and row.mark is not None:
        portals.put_aside(connection, portal)
    portals.forget_portal(connection, portal)
    portals.take_over(connection, known.portal, portal)
    with transaction(connection):
        connection.execute(
            "update ops.snapshots set portal = ? where source = 'box' and portal = ?", [portal, known.portal]
        )
        connection.execute(
            """insert into transfer.files select * replace ($new as portal) from transfer.files where portal = $old
               on conflict do nothing""",
            {"new": portal, "old": known.portal},
        )
        connection.execute("delete from transfer.files where portal = ?", [known.portal])
    return known.portal


def accept_baseline(connection: duckdb.DuckDBPyConnection, portal: str, cloud: str, snapshot: int | None) -> None:
    """A snapshot of the portal of this name is what was restored, and no other is; None: nothing was."""
    with transaction(connection):
        drop_labels(connection, portal, keep=snapshot)
        connection.execute(
            """insert into transfer.boxes (portal, mark, source_portal, baseline_snapshot, baseline_at)
               select portal, mark, ?, ?, ? from sync.portals where portal = ? and mark is not null
               on conflict (portal, mark) do update set source_portal = excluded.source_portal,
                   baseline_snapshot = excluded.baseline_snapshot, baseline_at = excluded.baseline_at""",
            [cloud, snapshot, utc_now(), portal],
        )


def drop_labels(connection: duckdb.DuckDBPyConnection, portal: str, keep: int | None = None) -> None:
    """No snapshot of the portal counts as what was restored, but the one to keep."""
    connection.execute(
        """update ops.snapshots set label = case when snapshot_id = $keep then $baseline else $former end
           where source = 'box' and portal = $portal
               and (snapshot_id = $keep or (label = $baseline and completed_at is not null))""",
        {"keep": keep, "baseline": BASELINE, "former": _FORMER, "portal": portal},
    )


def say_automation_is_off(connection: duckdb.DuckDBPyConnection, portal: str) -> None:
    """Somebody has said of the portal that answers to this name now that nothing starts by itself there."""
    connection.execute(
        """insert into transfer.boxes (portal, mark, automation_off_at)
           select portal, mark, ? from sync.portals where portal = ? and mark is not null
           on conflict (portal, mark) do update set automation_off_at = excluded.automation_off_at""",
        [utc_now(), portal],
    )


def writes_as(connection: duckdb.DuckDBPyConnection, portal: str, user_id: int) -> None:
    """The move writes to the portal that answers to this name now as that user of it."""
    connection.execute(
        """insert into transfer.boxes (portal, mark, user_id)
           select portal, mark, ? from sync.portals where portal = ? and mark is not null
           on conflict (portal, mark) do update set user_id = excluded.user_id""",
        [str(user_id), portal],
    )


def is_automation_off(connection: duckdb.DuckDBPyConnection, portal: str) -> bool:
    """Whether somebody has said so, of this very box, and nobody that it is on again: by ticking that step, or by a
    final run that left nothing to do."""
    row = connection.execute(
        """select box.automation_off_at > coalesce((
                   select max(written_at) from transfer.journal where step = ?), '-infinity'::timestamp)
           from transfer.boxes as box inner join sync.portals as known using (portal, mark) where portal = ?""",
        [ON_AGAIN, portal],
    ).fetchone()
    return bool(row and row[0])


def forget_automation_is_off(connection: duckdb.DuckDBPyConnection, portal: str) -> None:
    """The move is over: people switch it on, and whoever pushes once more has to ask them."""
    connection.execute("update transfer.boxes set automation_off_at = null where portal = ?", [portal])
