"""Sources that have failed for too long: what the CRM would be told is no longer what they say."""

from datetime import timedelta

import duckdb

from ingest.warehouse import reads
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.journal import utc_now


def check(connection: duckdb.DuckDBPyConnection, max_age_hours: float) -> None:
    """Return when no source has failed, try after try, for more than so many hours (0: for ever).

    Raises OperatorError with exit status 3 that names each that has, and since when. The registry is no source here:
    companies that it says nothing about wait by themselves.
    """
    failing_too_long = [
        failing
        for failing in reads.failing(connection)
        if max_age_hours and utc_now() - failing.failing_since > timedelta(hours=max_age_hours)
    ]
    if failing_too_long:
        told = "; ".join(
            f"{failing.source} ({failing.kind}) since {failing.failing_since:%Y-%m-%d %H:%M} UTC"
            + (f": {failing.problem}" if failing.problem else "")
            for failing in failing_too_long
        )
        raise OperatorError(
            f"could not be read for more than SVOD_SOURCE_MAX_AGE_HOURS={max_age_hours:g}: {told}",
            hint="repair the source, or let the rest go on: SVOD_SOURCE_MAX_AGE_HOURS higher (0: no limit)",
            exit_status=3,
        )
