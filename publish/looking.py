"""What the commands that only look share: the warehouse to read, and what the portal holds of ours."""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from ingest.warehouse.connection import Reading, open_for_reading
from ingest.warehouse.terminal import say_aside
from publish.held import Held
from publish.portals import is_unclaimed, last_portal
from publish.screen import MEMORY_LIMIT
from publish.settings import Settings
from publish.words import Words


@contextmanager
def opened_to_read(settings: Settings) -> Iterator[Reading]:
    """The warehouse to look into, or, while a run goes on, the copy of it, with what there is to say of that."""
    reading = open_for_reading(settings.warehouse)
    try:
        reading.connection.execute(f"set memory_limit = '{MEMORY_LIMIT}'")
        yield reading
    finally:
        reading.connection.close()


@contextmanager
def reading(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The same; that it is a copy, and how old, is said."""
    with opened_to_read(settings) as (connection, note):
        if note:
            say_aside(note)
        yield connection


def held_of(connection: duckdb.DuckDBPyConnection, settings: Settings) -> Held:
    """What the portal of the settings holds of ours; without a webhook, the portal published to last.

    A ledger of before portals were kept is read as it is: only a push that the portal answers says whose it is.
    """
    portal = "" if is_unclaimed(connection) else settings.portal or last_portal(connection)
    return Held(connection, portal, words=Words.of(settings))
