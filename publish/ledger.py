"""What is written down of a portal: what it holds of ours and what was last sent; intents before sends; dead letters;
conflicts.

The answer to one request and everything it settles is one transaction, so that a kill leaves either both or neither.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import duckdb

from ingest.warehouse.connection import transaction
from ingest.warehouse.journal import current_run_id, utc_now
from publish.entries import Conflict, Duplicates, Entry, Intent, Merge, Refusal
from publish.held import Held
from publish.parts import Key, Part
from publish.words import Words

ANEW = "anew"  # a key that no mart gives, in what was dealt with last: the part is to be compared once more
_DELAYS_MINUTES = (15, 60, 240, 1440)


class Ledger(Held):
    """Writes what `Held` reads. `push` is the number of the portal's mark: of the push before until this one has
    written its own, 0 where there is none; `listed` are the duplicates that it has found."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        portal: str,
        schema: str = "sync",
        source: str | None = None,
        words: Words = Words(),  # noqa: B008
    ) -> None:
        super().__init__(connection, portal, schema, source, words)
        self.push = 0
        self.listed: set[Key] = set()
        self._run_id = current_run_id()

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
                [self._line(entry, now) for entry in entries],
                f"""on conflict ({self._owner}, entity, origin_id) do update set bitrix_id = excluded.bitrix_id,
                   sent = excluded.sent, wanted = excluded.wanted, is_adopted = is_adopted or excluded.is_adopted,
                   synced_at = excluded.synced_at, synced_in = excluded.synced_in""",
            )
            settled = [entry.key for entry in entries]
            self._delete("dead_letters", [*settled, *gone])
            self._delete("conflicts", settled)
            self._delete("deletions", settled)
            self._delete("intents", [*settled, *(refusal.key for refusal in refused), *absent])
            self._remember_unseen(entries)
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
                f"""on conflict ({self._owner}, entity, origin_id, field) do update set bitrix_id = excluded.bitrix_id,
                   last_sent = excluded.last_sent, in_portal = excluded.in_portal, wanted = excluded.wanted,
                   noticed_at = excluded.noticed_at""",
            )

    def forget_fields(self, entity: str, names: Sequence[str]) -> int:
        """Count values of these fields as never sent, of all parts of a kind at once; how many parts had any."""
        of_any = " or ".join(f"{text} ->> ? is not null" for text in ("sent", "wanted") for _ in names)
        never = "{" + ", ".join(f'"{name}": null' for name in names) + "}"  # a null takes a key out of what it patches
        row = self.connection.execute(
            f"""update {self.schema}.ledger set sent = json_merge_patch(sent, ?), wanted = json_merge_patch(wanted, ?)
                where {self.ours} and entity = ? and ({of_any})""",
            [never, never, entity, *names, *names],
        ).fetchone()
        return int(row[0]) if row else 0

    def remember_choices(self, entity: str, field: str, values: Mapping[str, str]) -> None:
        """Our values -> the portal's, of a field: what is sent from now on."""
        now = utc_now()
        with transaction(self.connection):
            rows = [(entity, field, ours, theirs, now) for ours, theirs in values.items()]
            self._insert("choices", rows, "on conflict do nothing")

    def list_duplicates(self, duplicates: Sequence[Duplicates], *, all_of: str = "", but: Collection[str] = ()) -> None:
        """List records that several cards could be, for a person to sort out. When they are `all_of` an entity, those
        listed before leave the list, all `but` some."""
        now = utc_now()
        self.listed |= {Key(d.entity, d.origin_id) for d in duplicates}
        with transaction(self.connection):
            if all_of:
                self.connection.execute(
                    f"""delete from {self.schema}.adoption_duplicates where {self.ours} and entity = ?
                           and origin_id not in (select unnest(?::varchar[]))""",
                    [all_of, [*(listed.origin_id for listed in duplicates), *but]],
                )
            self._insert(
                "adoption_duplicates",
                [(d.entity, d.origin_id, d.found_by, d.bitrix_ids, now) for d in duplicates],
                f"""on conflict ({self._owner}, entity, origin_id) do update set found_by = excluded.found_by,
                   bitrix_ids = excluded.bitrix_ids, noticed_at = excluded.noticed_at""",
            )

    def mark_deleted(self, deleted: Mapping[Key, int | None]) -> None:
        """Remember parts, with their portal ids, that somebody deleted in the portal."""
        now = utc_now()
        with transaction(self.connection):
            self._insert(
                "deletions",
                [(*key, bitrix_id, now, False) for key, bitrix_id in deleted.items()],
                f"on conflict ({self._owner}, entity, origin_id) do nothing",
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
            lines = (Entry(entity, key, card, is_adopted=True) for key, card in unknown.items())
            self._insert("ledger", [self._line(line, now) for line in lines])
        return len(unknown)

    def drop(self, lines: str, owners: Mapping[str, str], links: Collection[str] = ()) -> None:
        """Let lines leave, those of a table with columns `entity` and `origin_id`, and what is known of them but what
        was sent, for another copy may show it. `owners` tells which part each detail hangs on: creates that wait to
        hang on a line that is not there leave as well. One of `links` may be there all the same, for its cards may have
        other numbers by now: it counts as sent, and its answer as not seen."""
        with transaction(self.connection):
            for link in links:
                self.connection.execute(
                    f"""insert into {self.schema}.updates_under_way
                        select {self._owner}, entity, origin_id, sent, ?
                        from {self.schema}.ledger semi join {lines} using (entity, origin_id)
                        where {self.ours} and entity = ? and not is_adopted""",
                    [utc_now(), link],
                )
            self.connection.execute(
                f"""insert into {self.schema}.history
                    select {self._owner}, entity, origin_id, 'lost', sent, null, ?, ?, ?
                    from {self.schema}.ledger semi join {lines} using (entity, origin_id)
                    where {self.ours} and sent::varchar != '{{}}'""",
                [self.push, self._run_id, utc_now()],
            )
            for table in {"ledger", "dead_letters", "conflicts"}.intersection(self._tables):
                self.connection.execute(
                    f"""delete from {self.schema}.{table} as line using {lines} as gone
                        where {self.ours} and line.entity = gone.entity and line.origin_id = gone.origin_id"""
                )
            for detail, owner in owners.items():
                self.connection.execute(
                    f"""delete from {self.schema}.intents where {self.ours} and entity = $detail and not exists (
                           from portal_ledger as line where line.entity = $owner
                               and line.origin_id = intents.origin_id and line.bitrix_id = intents.owner_id)""",
                    {"detail": detail, "owner": owner},
                )

    def decide_anew(self, part: Part, since: int) -> None:
        """Have parts of a kind that were changed or made since a push compared with the mart once more: their text gets
        a key that no mart gives. Of a record that has left its mart only the state is told, and that is told again.

        One made since may have had the same number in a time that was given up, and have that time's values again. Of
        lines of before these numbers were kept, those count that were sent after the last change before that push.
        """
        anew = f"""json_merge_patch(wanted, '{{"{ANEW}": true}}')"""
        if part.departed:
            state = f"""json_merge_patch({anew}, '{{"{part.departed.state_field}": null}}')"""
            anew = f"if(origin_id in (select {part.key} from {part.mart}), {anew}, {state})"
        self.connection.execute(
            f"""update {self.schema}.ledger set wanted = {anew} where {self.ours} and entity = $entity and (
                    origin_id in (
                        select origin_id from portal_history
                        where entity = $entity and action = 'update' and push >= $since
                    )
                    or coalesce(synced_in >= $since, synced_at > coalesce((
                        select max(sent_at) from portal_history where push > 0 and push < $since), '-infinity'))
                )""",
            {"entity": part.entity, "since": since},
        )

    def _line(self, entry: Entry, now: datetime) -> tuple[Any, ...]:
        """The row of an entry that is dealt with now."""
        told = (entry.bitrix_id, entry.sent, entry.wanted, entry.is_adopted)
        return (*entry.key, *told, now, now, self.push, self.push)

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

    def _remember_unseen(self, entries: Sequence[Entry]) -> None:
        """Write down what was sent of parts when nobody saw the answer, where it is not what is settled now: a copy of
        the portal may have been made while it showed that."""
        if entries and "updates_under_way" in self._tables:
            entities, origins, texts = zip(*((e.entity, e.origin_id, e.sent) for e in entries), strict=True)
            self.connection.execute(
                f"""insert into {self.schema}.history
                    select {self._owner}, entity, origin_id, 'unseen', under_way.sent, null, ?, ?, under_way.sent_at
                    from {self.schema}.updates_under_way as under_way
                    inner join (select unnest(?) as entity, unnest(?) as origin_id, unnest(?) as sent) as settled
                        using (entity, origin_id)
                    where {self.ours} and under_way.sent::varchar not in (settled.sent, '{{}}')""",
                [self.push, self._run_id, list(entities), list(origins), list(texts)],
            )

    def _settled(self, entries: Sequence[Entry], gone: Sequence[Key]) -> None:
        """What a ledger of another job writes down beside, in the same transaction."""

    def _insert(self, table: str, rows: Sequence[Sequence[Any]], conflict: str = "") -> None:
        if rows:
            columns = [list(column) for column in zip(*rows, strict=True)]
            marks = ", ".join("unnest(?)" for _ in columns)
            self.connection.execute(
                f"insert into {self.schema}.{table} select {self._owner_texts}, {marks} {conflict}", columns
            )

    def _delete(self, table: str, keys: Sequence[Key]) -> None:
        if keys and table in self._tables:
            entities, origins = (list(column) for column in zip(*keys, strict=True))
            self.connection.execute(
                f"""delete from {self.schema}.{table} as line
                    using (select unnest(?) as entity, unnest(?) as origin_id) as done
                    where {self.ours} and line.entity = done.entity and line.origin_id = done.origin_id""",
                [entities, origins],
            )

    def _refuse(self, refused: Sequence[Refusal]) -> None:
        now = utc_now()
        self._insert(
            "dead_letters",
            [(r.entity, r.origin_id, r.error, r.description, 1, now, now, r.wanted) for r in refused],
            f"""on conflict ({self._owner}, entity, origin_id) do update set error = excluded.error,
               wanted = excluded.wanted, error_description = excluded.error_description, attempts = attempts + 1,
               last_at = excluded.last_at""",
        )
        if refused:
            delays = ", ".join(str(minutes) for minutes in _DELAYS_MINUTES)
            self.connection.execute(
                f"""update {self.schema}.dead_letters set next_at = last_at + to_minutes(
                        [{delays}][least(attempts, {len(_DELAYS_MINUTES)})]) where last_at = ? and {self.ours}""",
                [now],
            )
