"""What a push would do, as the models have it that were built last."""

import duckdb

from publish.settings import Settings
from publish.transfer import gate
from publish.transfer.ledger import TransferLedger
from publish.transfer.records import Work

LATER, UNANSWERED = "afterwards", "unanswered"  # what is told of records that are there; creates without an answer


def planned(connection: duckdb.DuckDBPyConnection, settings: Settings, portal: str) -> dict[str, int]:
    """What the box is to get, by kind, the creates too that wait for an answer."""
    ledger = TransferLedger(connection, portal, settings.cloud)
    work = Work(ledger, settings.moved_entities, settings.transfer_deletions == "delete")
    work.plan()
    counts = work.counts()
    later = work.count() - sum(counts.values())
    unanswered = len(ledger.open_intents())
    return counts | ({LATER: later} if later else {}) | ({UNANSWERED: unanswered} if unanswered else {})


def planned_so_far(connection: duckdb.DuckDBPyConnection, settings: Settings, portal: str) -> dict[str, int] | None:
    """The same; None where it is not known: the models have not been built, or their last run was broken off."""
    return planned(connection, settings, portal) if gate.is_built(connection) else None
