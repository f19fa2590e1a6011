"""May what the models of a move say go to the box? Their last run passed its gates, the mart is as that run left it,
and both portals were read before it, not after."""

from datetime import datetime

import duckdb

from ingest.warehouse import journal
from ingest.warehouse.errors import OperatorError
from publish import stamps
from publish.change_limit import Limit
from publish.gate import check_last_run
from publish.transfer.kinds import MART

_AGAIN = "`make transfer-delta`"


def check(connection: duckdb.DuckDBPyConnection) -> None:
    """Return when a push may begin.

    Raises OperatorError with exit status 3, or 1 where a model broke, that says why not.
    """
    last = connection.execute(
        "select step, status, detail, started_at from ops.steps where step = ? order by started_at desc limit 1",
        [journal.DBT_TRANSFER],
    ).fetchone()
    check_last_run(connection, last and last[:3], _AGAIN)
    stamps.check(connection, [MART], f"{_AGAIN} reads both portals and builds them all")
    later = connection.execute(
        """select string_agg(source, ' and ' order by source desc) from (
               select source, max(completed_at) as read_at from ops.snapshots
               where source in ('cloud', 'box') group by source
           ) where read_at > ?""",
        [last and last[3]],
    ).fetchone()
    if later and later[0]:
        raise OperatorError(
            f"{later[0]} {'were' if ' and ' in later[0] else 'was'} read after the models of the move were built",
            hint=f"{_AGAIN} builds them of what was read last",
            exit_status=3,
        )


def check_deletions(connection: duckdb.DuckDBPyConnection, limit: Limit) -> None:
    """Return when no more of a kind is to be deleted in the box than the limit lets through: a right that was lost in
    the cloud looks like records that are gone.

    Raises OperatorError with exit status 3.
    """
    rows = connection.execute(
        f"select entity, count(*) filter (action = 'delete'), count(*) from {MART} group by 1 order by 1"
    ).fetchall()
    many = [f"{entity} {gone:,} of {of:,}" for entity, gone, of in rows if limit.is_exceeded(gone, of)]
    if many:
        raise OperatorError(
            f"it would delete {', '.join(many)}; SVOD_FUSE_SHARE={limit.share:g} lets less through",
            hint="if it is meant, `publish transfer push --let-through`, this once; does the webhook still see all?",
            exit_status=3,
        )


def reason_to_stop(connection: duckdb.DuckDBPyConnection) -> str:
    """Why a push would not begin, '' when it would."""
    try:
        check(connection)
    except OperatorError as error:
        return error.problem
    return ""


def has_begun(connection: duckdb.DuckDBPyConnection, since: datetime) -> bool:
    """Whether the models have been run since (UTC), to whatever end."""
    row = connection.execute(
        "select 1 from ops.steps where step = ? and started_at >= ? limit 1", [journal.DBT_TRANSFER, since]
    ).fetchone()
    return row is not None


def is_built(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the last run of the models came to its end, its gates aside."""
    row = connection.execute(
        "select status from ops.steps where step = ? order by started_at desc limit 1", [journal.DBT_TRANSFER]
    ).fetchone()
    return row is not None and row[0] in ("done", "gated")


def what_stops(connection: duckdb.DuckDBPyConnection) -> str:
    """What the gates have against the models, '' when nothing. Raises OperatorError where the models were not built."""
    try:
        check(connection)
    except OperatorError as error:
        if not is_built(connection):
            raise
        return f"{error.problem} ({error.hint})"
    return ""
