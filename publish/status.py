"""What is published, what waits, what was refused, what was left to managers: the tables of `publish status`."""

from collections.abc import Iterator
from typing import Any

import duckdb

from ingest.warehouse import journal
from publish.held import Held
from publish.portals import portal_row

# Names of companies and people stay in the warehouse: only keys, fields and errors are shown.
_STATUS = {
    "portals": """select portal, count(*) as parts, max(line.synced_at) as last_sent,
            known.first_seen_at as known_since, known.mark[:8] as mark
        from sync.ledger as line left join sync.portals as known using (portal) group by all order by 3 desc""",
    "published": """select entity, count(*) as parts, max(synced_at) as last_sent from portal_ledger
        group by 1 order by 1""",
    "last pushes": f"""select run_id, started_at, status, rows_out, detail ->> '$.error' as error from ops.steps
        where step = '{journal.PUBLISH_PUSH}' order by started_at desc limit 5""",
    "answers not seen yet": """select entity, count(*) as creates, min(intended_at) as since
        from portal_intents group by 1""",
    "refused (sync.dead_letters)": """select entity, error, error_description, count(*) as records,
        max(attempts) as attempts, min(next_at) as next_at, min(origin_id) as example from portal_dead_letters
        where not isinf(next_at) group by 1, 2, 3 order by 4 desc limit 20""",
    "discarded until the record changes": """select entity, error, error_description, count(*) as records
        from portal_dead_letters where isinf(next_at) group by 1, 2, 3 order by 4 desc limit 20""",
    "deleted in the portal (sync.deletions)": """select entity, origin_id, bitrix_id, noticed_at, is_wanted_again
        from portal_deletions order by noticed_at desc, entity, origin_id limit 20""",
    "left to managers (sync.conflicts)": """select entity, field, count(*) as records, max(noticed_at) as noticed_at
        from portal_conflicts group by 1, 2 order by 3 desc limit 20""",
    "to-dos made for people (SVOD_TODOS)": """select wanted ->> '$.kind' as kind, wanted ->> '$.card' as card,
            count(*) as todos, max(known_since) as newest
        from portal_ledger where entity = 'todo' group by 1, 2 order by 1, 2""",
    "for a person to join (sync.adoption_duplicates)": """select entity, origin_id, found_by, bitrix_ids
        from portal_adoption_duplicates order by noticed_at desc limit 20""",
}
# What a person may do about the rows of a table, told where it has any.
_NEXT = {
    "answers not seen yet": "the next push looks for them",
    "refused (sync.dead_letters)": "tried again at next_at, or with the next push by `publish retry --id`",
    "discarded until the record changes": "`publish retry --id` wakes one",
    "deleted in the portal (sync.deletions)": "the newest; `publish retry --id` makes one again",
    "left to managers (sync.conflicts)": "SVOD_FIELD_OWNERS says whose value stands",
    "for a person to join (sync.adoption_duplicates)": (
        "the newest; join the cards in the portal, or leave one INN in each: the next push goes on"
    ),
}


def tables(ledger: Held) -> Iterator[tuple[str, list[str], list[tuple[Any, ...]]]]:
    """Each table's title, its columns and its rows."""
    for title, sql in _STATUS.items():
        result = ledger.connection.execute(sql)
        rows = result.fetchall()
        told = f"{title}: {_NEXT[title]}" if rows and title in _NEXT else title
        yield told, [column[0] for column in result.description], rows


def known_of(connection: duckdb.DuckDBPyConnection, portal: str) -> str:
    """A portal's history in a line."""
    row = portal_row(connection, portal)
    if row is None or row.first_seen_at is None:
        return "no push has reached it since portals are told apart"
    mark = f"marked {row.mark[:8]}" if row.mark else "not marked"
    ended = f"first filled {row.filled_at:%Y-%m-%d %H:%M} UTC" if row.filled_at else "never filled to the end"
    return f"known since {row.first_seen_at:%Y-%m-%d %H:%M} UTC, {mark}, {row.pushes:,} pushes that sent, {ended}"
