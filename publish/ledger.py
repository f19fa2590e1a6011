"""sync.ledger: what the portal holds of ours and what was last sent; intents before sends; what was set aside.

The answer to one request and everything it settles is one transaction, so that a kill leaves either both or neither.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb

from ingest.warehouse.journal import utc_now
from publish.portal import PortalError

_DELAYS_MINUTES = (15, 60, 240, 1440)


@dataclass(frozen=True, slots=True)
class Held:
    """A part as the portal holds it now. `sent` and `wanted` are JSON texts."""

    entity: str
    origin_id: str
    bitrix_id: int | None
    sent: str
    wanted: str
    is_adopted: bool = False


@dataclass(frozen=True, slots=True)
class Intent:
    """A create about to be sent. `owner_id` is the portal id it will hang on, `links` the companies of a contact."""

    entity: str
    origin_id: str
    wanted: str
    owner_id: int | None = None
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A part that the portal refused."""

    entity: str
    origin_id: str
    wanted: str
    error: PortalError


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field left to the manager: what we sent last, what the portal holds, what we would have sent."""

    entity: str
    origin_id: str
    bitrix_id: int | None
    field: str
    last_sent: str | None
    in_portal: str | None
    wanted: str | None


class Ledger:
    """Reads and writes the tables of schema `sync`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    @contextmanager
    def _transaction(self) -> Any:
        self.connection.execute("begin")
        try:
            yield
        except BaseException:
            self.connection.execute("rollback")
            raise
        self.connection.execute("commit")

    def _insert(self, table: str, rows: Sequence[Sequence[Any]], conflict: str = "") -> None:
        if rows:
            columns = [list(column) for column in zip(*rows, strict=True)]
            marks = ", ".join("unnest(?)" for _ in columns)
            self.connection.execute(f"insert into {table} select '', {marks} {conflict}", columns)

    def intend(self, intents: Iterable[Intent]) -> None:
        """Write down creates before they are sent; they stay open until `settle`."""
        now = utc_now()
        rows = [(i.entity, i.origin_id, i.owner_id, i.wanted, list(i.links), now) for i in intents]
        with self._transaction():
            self._insert("sync.intents", rows)

    def settle(
        self,
        held: Sequence[Held] = (),
        refused: Sequence[Refusal] = (),
        *,
        absent: Sequence[tuple[str, str]] = (),
        gone: Sequence[tuple[str, str]] = (),
        conflicts: Sequence[Conflict] = (),
    ) -> None:
        """Take over what an answer says, in one transaction: parts held, parts refused, intents proven not executed
        (`absent`), parts that are no longer there (`gone`), fields left to a manager."""
        now = utc_now()
        with self._transaction():
            self._insert(
                "sync.ledger",
                [(h.entity, h.origin_id, h.bitrix_id, h.sent, h.wanted, h.is_adopted, now) for h in held],
                """on conflict (portal, entity, origin_id) do update set bitrix_id = excluded.bitrix_id,
                   sent = excluded.sent, wanted = excluded.wanted, is_adopted = is_adopted or excluded.is_adopted,
                   synced_at = excluded.synced_at""",
            )
            settled = [(h.entity, h.origin_id) for h in held]
            self._delete("sync.dead_letters", settled)
            self._delete("sync.conflicts", settled)
            settled += [(r.entity, r.origin_id) for r in refused]
            self._delete("sync.intents", [*settled, *absent])
            self._delete("sync.ledger", gone)
            self._refuse(refused)
            self._insert(
                "sync.conflicts",
                [
                    (c.entity, c.origin_id, c.field, c.bitrix_id, c.last_sent, c.in_portal, c.wanted, now)
                    for c in conflicts
                ],
                """on conflict (portal, entity, origin_id, field) do update set bitrix_id = excluded.bitrix_id,
                   last_sent = excluded.last_sent, in_portal = excluded.in_portal, wanted = excluded.wanted,
                   noticed_at = excluded.noticed_at""",
            )

    def _delete(self, table: str, keys: Sequence[tuple[str, str]]) -> None:
        if keys:
            entities, origins = (list(column) for column in zip(*keys, strict=True))
            self.connection.execute(
                f"""delete from {table} using (select unnest(?) as entity, unnest(?) as origin_id) as done
                    where {table}.entity = done.entity and {table}.origin_id = done.origin_id""",
                [entities, origins],
            )

    def _refuse(self, refused: Sequence[Refusal]) -> None:
        now = utc_now()
        rows = [(r.entity, r.origin_id, r.error.code, r.error.description, 1, now, now, r.wanted) for r in refused]
        delays = ", ".join(str(minutes) for minutes in _DELAYS_MINUTES)
        self._insert(
            "sync.dead_letters",
            rows,
            """on conflict (portal, entity, origin_id) do update set error = excluded.error, wanted = excluded.wanted,
               error_description = excluded.error_description, attempts = attempts + 1, last_at = excluded.last_at""",
        )
        if rows:
            self.connection.execute(
                f"""update sync.dead_letters set next_at = last_at + to_minutes(
                        [{delays}][least(attempts, {len(_DELAYS_MINUTES)})]) where last_at = ?""",
                [now],
            )

    def doubles(self, rows: Sequence[tuple[str, str, str, list[int]]]) -> None:
        """List records that several cards could be: entity, origin id, what they were found by, card ids."""
        now = utc_now()
        with self._transaction():
            self._insert(
                "sync.adoption_duplicates",
                [(*row, now) for row in rows],
                """on conflict (portal, entity, origin_id) do update set found_by = excluded.found_by,
                   bitrix_ids = excluded.bitrix_ids, noticed_at = excluded.noticed_at""",
            )

    def open_intents(self) -> list[tuple[str, str, int | None, str, list[str]]]:
        """Creates of unknown outcome: entity, origin id, owner id, wanted, links."""
        return self.connection.execute(
            "select entity, origin_id, owner_id, wanted::varchar, links from sync.intents order by entity, origin_id"
        ).fetchall()

    def ids(self, entity: str, origin_ids: Sequence[str]) -> Mapping[str, int]:
        """Portal ids of parts by origin id; parts that the portal does not hold are missing."""
        rows = self.connection.execute(
            """select origin_id, bitrix_id from sync.ledger
               where entity = ? and origin_id in (select unnest(?))""",
            [entity, list(origin_ids)],
        ).fetchall()
        return dict(rows)
