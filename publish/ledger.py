"""What a portal holds of ours and what was last sent; intents before sends; dead letters; conflicts: schema sync, or
that of another job.

One warehouse may publish to several portals, so every row names its portal and everything here sees one portal only.
The answer to one request and everything it settles is one transaction, so that a kill leaves either both or neither.
The tables' columns are in `ingest/warehouse/schema.sql`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import duckdb

from ingest.warehouse.connection import transaction
from ingest.warehouse.journal import current_run_id, utc_now
from publish.entries import Conflict, Duplicates, Entry, Intent, Merge, Refusal
from publish.parts import Key, Part
from publish.portals import TABLES_OF

_DELAYS_MINUTES = (15, 60, 240, 1440)
# Of a dead letter at $now: it is not tried yet. One of a time to come is, for the clock has been put back since.
WAITS = "(isinf(next_at) or (next_at > $now and last_at <= $now))"


class Ledger:
    """Reads and writes the tables of schema `sync`, or of another that has some of them, for one portal, `host` or
    `host:port`.

    Whoever reads them in SQL reads the temporary views `portal_<table>`: rows of the ledger that was opened last on the
    connection, without their portal, none of a table that the schema has not; `portal_held` is the ledger without what
    somebody deleted there. Rows of a warehouse from before the portal was kept belong to the first portal that turns
    out to hold them: `claim`. `push` is the number that the portal's mark has while this push goes on, `listed` are the
    duplicates that it has found.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, portal: str, schema: str = "sync") -> None:
        self.connection, self.portal, self.schema, self._tables = connection, portal, schema, TABLES_OF[schema]
        self.push = 0
        self.listed: set[Key] = set()
        self._run_id = current_run_id()
        name = portal.replace("'", "''")
        for table in TABLES_OF["sync"]:
            rows = f"{schema}.{table} where portal = '{name}'" if table in self._tables else f"sync.{table} where false"
            connection.execute(f"create or replace temp view portal_{table} as select * exclude (portal) from {rows}")
        connection.execute(
            """create or replace temp view portal_held as
               select * from portal_ledger anti join portal_deletions using (entity, origin_id)"""
        )

    # Writing ----------------------------------------------------------------------------------------------------------

    def intend(self, intents: Iterable[Intent]) -> None:
        """Write down creates before they are sent; they stay open until `settle`."""
        now = utc_now()
        rows = [(i.entity, i.origin_id, i.owner_id, i.wanted, list(i.links), now) for i in intents]
        with transaction(self.connection):
            self._insert("intents", rows)

    def intend_updates(self, entries: Iterable[Entry]) -> None:
        """Write down what is about to be sent of published parts, until `settle`: the sources may have changed again
        when a killed push is made good, and what it sent is no manager's."""
        now = utc_now()
        with transaction(self.connection):
            self._insert("updates_under_way", [(e.entity, e.origin_id, e.sent, now) for e in entries])

    def begin_merges(self, merges: Iterable[Merge]) -> None:
        """Write down cards that are about to be emptied and joined with others, until their keys are settled."""
        merges, now = list(merges), utc_now()
        with transaction(self.connection):
            self.settle([merge.line for merge in merges])
            self._insert("merges_under_way", [(*merge.line.key, merge.created_time, now) for merge in merges])

    def settle(
        self,
        entries: Sequence[Entry] = (),
        refused: Sequence[Refusal] = (),
        *,
        absent: Sequence[Key] = (),
        gone: Sequence[Key] = (),
        conflicts: Sequence[Conflict] = (),
    ) -> None:
        """Take over what an answer says, in one transaction: parts held, parts refused, intents proven not executed
        (`absent`), parts that are no longer there (`gone`), fields left to a manager."""
        now = utc_now()
        with transaction(self.connection):
            self._insert(
                "ledger",
                [(e.entity, e.origin_id, e.bitrix_id, e.sent, e.wanted, e.is_adopted, now, now) for e in entries],
                """on conflict (portal, entity, origin_id) do update set bitrix_id = excluded.bitrix_id,
                   sent = excluded.sent, wanted = excluded.wanted, is_adopted = is_adopted or excluded.is_adopted,
                   synced_at = excluded.synced_at""",
            )
            settled = [entry.key for entry in entries]
            self._delete("dead_letters", [*settled, *gone])
            self._delete("conflicts", settled)
            self._delete("deletions", settled)
            self._delete("intents", [*settled, *(refusal.key for refusal in refused), *absent])
            self._delete("updates_under_way", [*settled, *(refusal.key for refusal in refused), *gone])
            self._delete("merges_under_way", [*settled, *gone])
            self._delete("ledger", gone)
            self._remember(entries, gone)
            self._settled(entries, gone)
            self._refuse(refused)
            self._insert(
                "conflicts",
                [
                    (c.entity, c.origin_id, c.field, c.bitrix_id, c.last_sent, c.in_portal, c.wanted, now)
                    for c in conflicts
                ],
                """on conflict (portal, entity, origin_id, field) do update set bitrix_id = excluded.bitrix_id,
                   last_sent = excluded.last_sent, in_portal = excluded.in_portal, wanted = excluded.wanted,
                   noticed_at = excluded.noticed_at""",
            )

    def forget_fields(self, entity: str, names: Sequence[str]) -> int:
        """Count values of these fields as never sent, of all parts of a kind at once; how many parts had any."""
        of_any = " or ".join(f"{text} ->> ? is not null" for text in ("sent", "wanted") for _ in names)
        never = "{" + ", ".join(f'"{name}": null' for name in names) + "}"  # a null takes a key out of what it patches
        row = self.connection.execute(
            f"""update {self.schema}.ledger set sent = json_merge_patch(sent, ?), wanted = json_merge_patch(wanted, ?)
                where portal = ? and entity = ? and ({of_any})""",
            [never, never, self.portal, entity, *names, *names],
        ).fetchone()
        return int(row[0]) if row else 0

    def list_duplicates(self, duplicates: Sequence[Duplicates], *, all_of: str = "", but: Collection[str] = ()) -> None:
        """List records that several cards could be, for a person to sort out. When they are `all_of` an entity, those
        listed before leave the list, all `but` some."""
        now = utc_now()
        self.listed |= {Key(d.entity, d.origin_id) for d in duplicates}
        with transaction(self.connection):
            if all_of:
                self.connection.execute(
                    f"""delete from {self.schema}.adoption_duplicates where portal = ? and entity = ?
                           and origin_id not in (select unnest(?::varchar[]))""",
                    [self.portal, all_of, [*(listed.origin_id for listed in duplicates), *but]],
                )
            self._insert(
                "adoption_duplicates",
                [(d.entity, d.origin_id, d.found_by, d.bitrix_ids, now) for d in duplicates],
                """on conflict (portal, entity, origin_id) do update set found_by = excluded.found_by,
                   bitrix_ids = excluded.bitrix_ids, noticed_at = excluded.noticed_at""",
            )

    def mark_deleted(self, deleted: Mapping[Key, int | None]) -> None:
        """Remember parts, with their portal ids, that somebody deleted in the portal."""
        now = utc_now()
        with transaction(self.connection):
            self._insert(
                "deletions",
                [(*key, bitrix_id, now, False) for key, bitrix_id in deleted.items()],
                "on conflict (portal, entity, origin_id) do nothing",
            )

    def take_off(self, table: str, keys: Sequence[Key]) -> None:
        """Take entries off one of `TABLES`."""
        with transaction(self.connection):
            self._delete(table, keys)

    def take_in(self, entity: str, ids: Mapping[str, int]) -> int:
        """Take cards with our own key into the ledger, origin id -> id, as cards we sent nothing to; those that it
        knows stay as they are. How many were new."""
        known = self.ids(entity, ids)
        unknown = {origin_id: bitrix_id for origin_id, bitrix_id in ids.items() if origin_id not in known}
        now = utc_now()
        with transaction(self.connection):
            self._insert("ledger", [(entity, key, card, "{}", "{}", True, now, now) for key, card in unknown.items()])
        return len(unknown)

    def drop(self, lines: str, owners: Mapping[str, str]) -> None:
        """Let lines leave, those of a table with columns `entity` and `origin_id`, and what is known of them but what
        was sent, for another copy may show it. `owners` tells which part each detail hangs on: creates that wait to
        hang on a line that is not there leave as well."""
        with transaction(self.connection):
            self.connection.execute(
                f"""insert into {self.schema}.history
                    select portal, entity, origin_id, 'lost', sent, null, ?, ?, ?
                    from {self.schema}.ledger semi join {lines} using (entity, origin_id)
                    where portal = ? and sent::varchar != '{{}}'""",
                [self.push, self._run_id, utc_now(), self.portal],
            )
            for table in {"ledger", "dead_letters", "conflicts"}.intersection(self._tables):
                self.connection.execute(
                    f"""delete from {self.schema}.{table} as line using {lines} as gone
                        where line.portal = ? and line.entity = gone.entity and line.origin_id = gone.origin_id""",
                    [self.portal],
                )
            for detail, owner in owners.items():
                self.connection.execute(
                    f"""delete from {self.schema}.intents where portal = $portal and entity = $detail and not exists (
                           from {self.schema}.ledger as line where line.portal = $portal and line.entity = $owner
                               and line.origin_id = intents.origin_id and line.bitrix_id = intents.owner_id)""",
                    {"portal": self.portal, "detail": detail, "owner": owner},
                )

    def decide_anew(self, part: Part, since: int) -> None:
        """Have parts of a kind that were changed or made since a push compared with the mart once more: their text gets
        a key that no mart gives. Of a record that has left its mart only the state is told, and that is told again.

        One made since may have had the same number in a time that was given up, and have that time's values again.
        When a push began is not known: what was sent after the last change before it was sent since.
        """
        anew = """json_merge_patch(wanted, '{"anew": true}')"""
        if part.departed:
            state = f"""json_merge_patch({anew}, '{{"{part.departed.state_field}": null}}')"""
            anew = f"if(origin_id in (select {part.key} from {part.mart}), {anew}, {state})"
        self.connection.execute(
            f"""update {self.schema}.ledger set wanted = {anew} where portal = $portal and entity = $entity and (
                    origin_id in (
                        select origin_id from portal_history
                        where entity = $entity and action = 'update' and push >= $since
                    )
                    or synced_at > coalesce((
                        select max(sent_at) from portal_history where push > 0 and push < $since), '-infinity')
                )""",
            {"portal": self.portal, "entity": part.entity, "since": since},
        )

    def _remember(self, entries: Sequence[Entry], gone: Sequence[Key]) -> None:
        """Write down what was sent before of what has changed, and what was taken away."""
        now = utc_now()
        changed = [
            (e.entity, e.origin_id, "update", e.sent_before, e.sent, self.push, self._run_id, now)
            for e in entries
            if e.sent_before is not None and e.sent_before != e.sent
        ]
        removed = [(key.entity, key.origin_id, "remove", None, None, self.push, self._run_id, now) for key in gone]
        self._insert("history", [*changed, *removed])

    def _settled(self, entries: Sequence[Entry], gone: Sequence[Key]) -> None:
        """What a ledger of another job writes down beside, in the same transaction."""

    def _insert(self, table: str, rows: Sequence[Sequence[Any]], conflict: str = "") -> None:
        if rows:
            columns = [list(column) for column in zip(*rows, strict=True)]
            marks = ", ".join("unnest(?)" for _ in columns)
            self.connection.execute(
                f"insert into {self.schema}.{table} select ?, {marks} {conflict}", [self.portal, *columns]
            )

    def _delete(self, table: str, keys: Sequence[Key]) -> None:
        if keys and table in self._tables:
            entities, origins = (list(column) for column in zip(*keys, strict=True))
            self.connection.execute(
                f"""delete from {self.schema}.{table} as line
                    using (select unnest(?) as entity, unnest(?) as origin_id) as done
                    where line.portal = ? and line.entity = done.entity and line.origin_id = done.origin_id""",
                [entities, origins, self.portal],
            )

    def _refuse(self, refused: Sequence[Refusal]) -> None:
        now = utc_now()
        self._insert(
            "dead_letters",
            [(r.entity, r.origin_id, r.error, r.description, 1, now, now, r.wanted) for r in refused],
            """on conflict (portal, entity, origin_id) do update set error = excluded.error, wanted = excluded.wanted,
               error_description = excluded.error_description, attempts = attempts + 1, last_at = excluded.last_at""",
        )
        if refused:
            delays = ", ".join(str(minutes) for minutes in _DELAYS_MINUTES)
            self.connection.execute(
                f"""update {self.schema}.dead_letters set next_at = last_at + to_minutes(
                        [{delays}][least(attempts, {len(_DELAYS_MINUTES)})]) where last_at = ? and portal = ?""",
                [now, self.portal],
            )

    # Reading ----------------------------------------------------------------------------------------------------------

    def open_intents(self) -> list[Intent]:
        """Creates of unknown outcome."""
        rows = self.connection.execute(
            f"""select entity, origin_id, wanted::varchar, owner_id, links from {self.schema}.intents
               where portal = ? order by entity, origin_id""",
            [self.portal],
        ).fetchall()
        return [Intent(entity, key, wanted, owner_id, tuple(links)) for entity, key, wanted, owner_id, links in rows]

    def ids(self, entity: str, origin_ids: Iterable[str]) -> Mapping[str, int]:
        """Portal ids of parts by origin id; parts that the portal does not hold are missing."""
        rows = self.connection.execute(
            f"""select origin_id, bitrix_id from {self.schema}.ledger
               where portal = ? and entity = ? and origin_id in (select unnest(?))""",
            [self.portal, entity, list(origin_ids)],
        ).fetchall()
        return dict(rows)

    def origins(self, entity: str, bitrix_ids: Iterable[int]) -> Mapping[int, str]:
        """Origin ids of parts by portal id."""
        rows = self.connection.execute(
            f"""select bitrix_id, origin_id from {self.schema}.ledger
               where portal = ? and entity = ? and bitrix_id in (select unnest(?))""",
            [self.portal, entity, list(bitrix_ids)],
        ).fetchall()
        return dict(rows)

    def deleted(self) -> dict[str, set[str]]:
        """Origin ids of the parts that somebody deleted in the portal, by entity."""
        rows = self.connection.execute(
            f"select entity, list(origin_id) from {self.schema}.deletions where portal = ? group by 1", [self.portal]
        ).fetchall()
        return {entity: set(origin_ids) for entity, origin_ids in rows}

    def is_any_wanted_again(self) -> bool:
        """Whether an operator asked for a part that somebody deleted in the portal."""
        sql = f"select 1 from {self.schema}.deletions where portal = ? and is_wanted_again limit 1"
        return self.connection.execute(sql, [self.portal]).fetchone() is not None

    def newest_ids(self) -> dict[str, int]:
        """The highest portal id that the ledger holds, by entity."""
        sql = f"select entity, max(bitrix_id) from {self.schema}.ledger where portal = ? group by all"
        return {entity: number or 0 for entity, number in self.connection.execute(sql, [self.portal]).fetchall()}

    def versions(self, entity: str, origin_ids: Iterable[str]) -> dict[str, list[str]]:
        """All that was ever sent of parts before the last time, as JSON texts, the newest first: a portal may be put
        back to a time that was given up before."""
        rows = self.connection.execute(
            f"""with versions as (
                   select origin_id, sent_at, unnest([sent, sent_before]) as sent, unnest([1, 0]) as place
                   from {self.schema}.history where portal = ? and entity = ? and action in ('update', 'lost')
                       and origin_id in (select unnest(?))
               )
               select origin_id, list(sent::varchar order by sent_at desc, place desc)
               from versions where sent is not null group by 1""",
            [self.portal, entity, list(origin_ids)],
        ).fetchall()
        return dict(rows)

    def updates_under_way(self, entity: str, origin_ids: Iterable[str]) -> dict[str, list[str]]:
        """What may have been sent of parts, as JSON texts, the newest first."""
        rows = self.connection.execute(
            f"""select origin_id, list(sent::varchar order by sent_at desc) from {self.schema}.updates_under_way
               where portal = ? and entity = ? and origin_id in (select unnest(?)) group by 1""",
            [self.portal, entity, list(origin_ids)],
        ).fetchall()
        return dict(rows)

    def published(self) -> dict[str, int]:
        """How many parts the portal holds of ours, by entity."""
        sql = f"select entity, count(*) from {self.schema}.ledger where portal = ? group by all"
        return dict(self.connection.execute(sql, [self.portal]).fetchall())

    def dead_letters(self, since: datetime | None = None) -> int:
        """How many dead letters will be tried again; of these, those that were refused since then or are due."""
        row = self.connection.execute(
            f"""select count(*) from {self.schema}.dead_letters where portal = $portal and not isinf(next_at)
               and ($since is null or last_at >= $since or not {WAITS})""",
            {"portal": self.portal, "since": since, "now": utc_now()},
        ).fetchone()
        return int(row[0]) if row else 0

    def count(self, table: str) -> int:
        """Rows of one of `TABLES` for this portal."""
        row = self.connection.execute(
            f"select count(*) from {self.schema}.{table} where portal = ?", [self.portal]
        ).fetchone()
        return int(row[0]) if row else 0
