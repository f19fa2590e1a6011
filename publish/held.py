"""What a portal holds of ours, what was last sent to it and what waits there, as it is read: schema sync, or that of
another job.

One warehouse may publish to several portals, so every row names its portal and everything here sees one portal only.
The tables' columns are in `ingest/warehouse/schema.sql`.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import duckdb

from ingest.warehouse.journal import utc_now
from publish.entries import Intent
from publish.portals import TABLES_OF
from publish.words import Words

# Of a dead letter at $now: it is not tried yet. One of a time to come is, for the clock has been put back since.
WAITS = "(isinf(next_at) or (next_at > $now and last_at <= $now))"


class Moment(NamedTuple):
    """A moment in the life of a portal: the number of its mark then, and the time (UTC) when that was written. The
    time tells within a push; from push to push the number does, for a clock may be put back."""

    number: int
    at: datetime


EVER = Moment(0, datetime(1970, 1, 1))
# SQL of a `line` of the ledger that is known, or was sent, since the moment ($number, $at); one of before numbers were
# kept by the time alone.
KNOWN_SINCE = """row(coalesce(line.known_in, $number), coalesce(line.known_since, line.synced_at))
    >= row($number, $at::timestamp)"""
SYNCED_SINCE = "row(coalesce(line.synced_in, $number), line.synced_at) >= row($number, $at::timestamp)"


class Held:
    """Reads the tables of schema `sync`, or of another that has some of them, for one portal, `host` or `host:port`;
    `source` is the portal that its rows came from, in a schema whose rows have one; `words` are what it is told.

    Whoever reads them in SQL reads the temporary views `portal_<table>`: rows of the ledger that was opened last on the
    connection, without their portals, none of a table that the schema has not; `portal_held` is the ledger without what
    somebody deleted there. Rows of a warehouse from before the portal was kept belong to the first portal that turns
    out to hold them: `claim`.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        portal: str,
        schema: str = "sync",
        source: str | None = None,
        words: Words = Words(),  # noqa: B008
    ) -> None:
        self.connection, self.portal, self.schema, self._tables = connection, portal, schema, TABLES_OF[schema]
        self.words = words
        owner = {"portal": portal} if source is None else {"portal": portal, "source_portal": source}
        texts = {column: "'" + name.replace("'", "''") + "'" for column, name in owner.items()}
        self._owner, self._owner_texts = ", ".join(owner), ", ".join(texts.values())
        self.ours = " and ".join(f"{column} = {text}" for column, text in texts.items())  # the condition of its rows
        for table in TABLES_OF["sync"]:
            is_there = table in self._tables
            rows = f"{schema}.{table} where {self.ours}" if is_there else f"sync.{table} where false"
            columns = self._owner if is_there else "portal"
            connection.execute(
                f"create or replace temp view portal_{table} as select * exclude ({columns}) from {rows}"
            )
        connection.execute(
            """create or replace temp view portal_held as
               select * from portal_ledger anti join portal_deletions using (entity, origin_id)"""
        )

    def open_intents(self) -> list[Intent]:
        """Creates of unknown outcome."""
        rows = self.connection.execute(
            f"""select entity, origin_id, wanted::varchar, owner_id, links from {self.schema}.intents
               where {self.ours} order by entity, origin_id"""
        ).fetchall()
        return [Intent(entity, key, wanted, owner_id, tuple(links)) for entity, key, wanted, owner_id, links in rows]

    def ids(self, entity: str, origin_ids: Iterable[str]) -> Mapping[str, int]:
        """Portal ids of parts by origin id; parts that the portal does not hold are missing."""
        return self._by_key(
            f"""select origin_id, bitrix_id from {self.schema}.ledger
               where {self.ours} and entity = ? and origin_id in (select unnest(?))""",
            entity,
            list(origin_ids),
        )

    def origins(self, entity: str, bitrix_ids: Iterable[int]) -> Mapping[int, str]:
        """Origin ids of parts by portal id."""
        return self._by_key(
            f"""select bitrix_id, origin_id from {self.schema}.ledger
               where {self.ours} and entity = ? and bitrix_id in (select unnest(?))""",
            entity,
            list(bitrix_ids),
        )

    def deleted(self) -> dict[str, set[str]]:
        """Origin ids of the parts that somebody deleted in the portal, by entity."""
        deleted = self._by_key(
            f"select entity, list(origin_id) from {self.schema}.deletions where {self.ours} group by 1"
        )
        return {entity: set(origin_ids) for entity, origin_ids in deleted.items()}

    def is_any_wanted_again(self) -> bool:
        """Whether an operator asked for a part that somebody deleted in the portal."""
        sql = f"select 1 from {self.schema}.deletions where {self.ours} and is_wanted_again limit 1"
        return self.connection.execute(sql).fetchone() is not None

    def newest_ids(self) -> dict[str, int]:
        """The highest portal id that the ledger holds, by entity."""
        return self._by_key(
            f"select entity, coalesce(max(bitrix_id), 0) from {self.schema}.ledger where {self.ours} group by entity"
        )

    def versions(self, entity: str, origin_ids: Iterable[str]) -> dict[str, list[str]]:
        """All that was ever sent of parts before the last time, as JSON texts, the newest first: a portal may be put
        back to a time that was given up before."""
        return self._by_key(
            f"""with versions as (
                   select origin_id, sent_at, unnest([sent, sent_before]) as sent, unnest([1, 0]) as place
                   from {self.schema}.history
                   where {self.ours} and entity = ? and action in ('update', 'lost', 'unseen')
                       and origin_id in (select unnest(?))
               )
               select origin_id, list(sent::varchar order by sent_at desc, place desc)
               from versions where sent is not null group by 1""",
            entity,
            list(origin_ids),
        )

    def updates_under_way(self, entity: str, origin_ids: Iterable[str]) -> dict[str, list[str]]:
        """What may have been sent of parts, as JSON texts, the newest first."""
        return self._by_key(
            f"""select origin_id, list(sent::varchar order by sent_at desc) from {self.schema}.updates_under_way
               where {self.ours} and entity = ? and origin_id in (select unnest(?)) group by 1""",
            entity,
            list(origin_ids),
        )

    def choices(self, entity: str) -> dict[str, dict[str, list[str]]]:
        """The portal's values that ever stood for ours: field -> our value -> theirs."""
        rows = self.connection.execute(
            "select field, ours, list(theirs) from portal_choices where entity = ? group by all", [entity]
        ).fetchall()
        choices: dict[str, dict[str, list[str]]] = {}
        for field, ours, theirs in rows:
            choices.setdefault(field, {})[ours] = theirs
        return choices

    def published(self) -> dict[str, int]:
        """How many parts the portal holds of ours, by entity."""
        return self._by_key(f"select entity, count(*) from {self.schema}.ledger where {self.ours} group by all")

    def dead_letters(self, since: datetime | None = None) -> int:
        """How many dead letters will be tried again; of these, those that were refused since then or are due."""
        row = self.connection.execute(
            f"""select count(*) from {self.schema}.dead_letters where {self.ours} and not isinf(next_at)
               and ($since is null or last_at >= $since or not {WAITS})""",
            {"since": since, "now": utc_now()},
        ).fetchone()
        return int(row[0]) if row else 0

    def count(self, table: str) -> int:
        """Rows of one of `TABLES` for this portal."""
        row = self.connection.execute(f"select count(*) from {self.schema}.{table} where {self.ours}").fetchone()
        return int(row[0]) if row else 0

    def _by_key(self, sql: str, *parameters: Any) -> dict[Any, Any]:
        """The two columns of a select, as a dict."""
        return dict(self.connection.execute(sql, list(parameters)).fetchall())
