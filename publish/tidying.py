"""What cycles every few seconds would leave behind by the thousand: steps that went well, and sizes of marts."""

from datetime import timedelta

import duckdb

from ingest.warehouse import journal

DAYS_OF_STEPS = 7


def keep_an_hours_sizes(connection: duckdb.DuckDBPyConnection) -> None:
    """Of this cycle, keep the sizes of marts only where there are none of the last hour.

    What a mart may grow or shrink by is told from one measured size to the next: seconds apart, any slide would pass.
    While companies wait for verdicts all are kept, as how many wait is measured with them.
    """
    connection.execute(
        """delete from ops.mart_sizes as measured where run_id = $1 and coalesce(awaited_growth, 1) <= 1
           and exists (
               from ops.mart_sizes as before where before.mart = measured.mart and before.run_id <> $1
                   and before.period_start = measured.period_start
                   and before.measured_at > measured.measured_at - interval 1 hour)""",
        [journal.current_run_id()],
    )


def forget_old_steps(connection: duckdb.DuckDBPyConnection) -> None:
    """Of cycles, keep what failed, and what went well for some days."""
    connection.execute(
        "delete from ops.steps where run_id like 'follow-%' and status = 'done' and started_at < ?",
        [journal.utc_now() - timedelta(days=DAYS_OF_STEPS)],
    )
