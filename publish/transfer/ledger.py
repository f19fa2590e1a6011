"""Schema transfer: what a move has made in a box, and which record of the cloud each is.

Nothing that a person typed is kept here: of what was sent, a digest. A line has an id where the move made the record.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

import duckdb

from ingest.warehouse.connection import transaction
from ingest.warehouse.journal import utc_now
from publish.entries import Entry, Intent
from publish.ledger import Ledger
from publish.parts import Key, decoded, encoded
from publish.settings import MOVED
from publish.transfer.kinds import AFTERWARDS, HANGING, LATER_FILE, MISSED, NAMES, UNDATED

_CREATED = {"created": True}
_BY_FIELD = {*MOVED} - {"comments", NAMES, LATER_FILE}  # what is compared field by field


class Line(NamedTuple):
    """What the ledger has of a record: its id in the box, and the digest of what was dealt with."""

    target_id: int | None
    digest: str | None


class TransferLedger(Ledger):
    """The ledger of one box and of one cloud, which is the portal that the records come from: two clouds have the same
    numbers for other records. The map of ids is kept as soon as the box's `mark` is known: of a box put in the place of
    another it says nothing."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, portal: str, cloud: str) -> None:
        super().__init__(connection, portal, "transfer", cloud)
        self.cloud = cloud
        self._mark = ""
        self._cloud_snapshot: int | None = None

    @property
    def target(self) -> str:
        """The box in `transfer.id_map`."""
        return f"{self.portal}#{self._mark}"

    @property
    def cloud_snapshot(self) -> int:
        """The reading of the cloud that this push sends from: the newest as it began. 0 where there is none."""
        if self._cloud_snapshot is None:
            ((number,),) = self.connection.execute(
                """select coalesce(max(snapshot_id), 0) from ops.snapshots
                   where source = 'cloud' and portal = ? and completed_at is not null""",
                [self.cloud],
            ).fetchall()
            self._cloud_snapshot = int(number)
        return self._cloud_snapshot

    def intend(self, intents: Iterable[Intent]) -> None:
        """Write down creates before they are sent, and from which reading of the cloud: whoever finds them made later
        may know a newer one."""
        told = {"snapshot": self.cloud_snapshot}
        super().intend([replace(intent, wanted=encoded(decoded(intent.wanted) | told)) for intent in intents])

    def marked(self, mark: str) -> None:
        """The box carries this mark ('': none so far): from now on the map of ids is that of the ledger's lines."""
        self._mark = mark
        if not mark:
            return
        with transaction(self.connection):
            self.connection.execute(
                """delete from transfer.id_map as known
                    where target = ? and source_portal = ? and proof = 'created_by_us' and not exists (
                        from portal_ledger as line where line.entity = known.entity
                            and line.origin_id = known.source_id and line.bitrix_id = known.target_id)""",
                [self.target, self.cloud],
            )
            self.connection.execute(
                """insert into transfer.id_map
                    select ?, ?, line.entity, line.origin_id, line.bitrix_id, 'created_by_us', ?
                    from portal_ledger as line
                    where line.bitrix_id is not null and line.entity <> ? on conflict do nothing""",
                [self.target, self.cloud, utc_now(), UNDATED],
            )

    def forget_since(self, at: datetime) -> int:
        """Let what hangs on cards and was made since a time leave, for the box was put back; how much that was. What
        was changed since is compared once more. Dates of cards that have left go with them."""
        self.connection.execute(
            """create or replace temp table lost as
                select line.entity, line.origin_id from portal_ledger as line
                left join transfer.id_map as known on known.target = $target and known.source_portal = $cloud
                    and known.entity = line.entity and known.source_id = line.origin_id
                where line.synced_at >= $at and line.entity in (select unnest($hanging))
                    and (line.bitrix_id is null or coalesce(known.proven_at >= $at, true))
                union all
                select entity, origin_id from portal_ledger as undated where entity = $undated and not exists (
                    from portal_ledger as card where card.entity || '/' || card.origin_id = undated.origin_id
                        and card.bitrix_id = undated.bitrix_id)""",
            {"target": self.target, "cloud": self.cloud, "at": at, "hanging": list(HANGING), "undated": UNDATED},
        )
        ((number,),) = self.connection.execute("select count(*) from lost").fetchall()
        self.drop("lost", {})
        self.connection.execute(
            f"""update transfer.ledger set wanted = '{{}}'
                where {self.ours} and synced_at >= ? and entity in (select unnest(?))""",
            [at, list(HANGING)],
        )
        self.marked(self._mark)
        return int(number)

    def newest_since(self, entity: str, at: datetime, most: int) -> list[int]:
        """The highest ids of what the move made of a kind since a time."""
        rows = self.connection.execute(
            f"""select bitrix_id from portal_ledger where entity = ? and synced_at >= ? and bitrix_id is not null
                order by 1 desc limit {most}""",
            [entity, at],
        ).fetchall()
        return [number for (number,) in rows]

    def may_have_missed(self) -> None:
        """Something of ours may be in the box that the ledger does not know."""
        self.settle([Entry(MISSED, "", None)])

    def has_missed(self) -> bool:
        return bool(self.lines(MISSED, [""]))

    def all_is_known(self) -> None:
        """A push has ended that was planned from a reading of the box of after it was found that something may be
        missing here: nothing is."""
        self.connection.execute(
            f"""delete from transfer.ledger where {self.ours} and entity = ? and synced_at < (
                select max(started_at) from ops.snapshots where source = 'box' and completed_at is not null)""",
            [MISSED],
        )

    def lines(self, entity: str, source_ids: Sequence[str]) -> dict[str, Line]:
        """What it has of some records, by their ids in the cloud."""
        rows = self.connection.execute(
            """select origin_id, bitrix_id, wanted ->> '$.digest' from portal_ledger
               where entity = ? and origin_id in (select unnest(?::varchar[]))""",
            [entity, list(source_ids)],
        ).fetchall()
        return {source_id: Line(target_id, digest) for source_id, target_id, digest in rows}

    def _deliver(self, entries: Sequence[Entry]) -> None:
        """Write down as of which reading of the cloud the fields of records were sent."""
        lines = [
            (entity, source_id, field, snapshot)
            for entry in entries
            for entity, source_id in [_told_of(entry)]
            if entity in _BY_FIELD
            for field, snapshot in delivered(entry.sent, self.cloud_snapshot)
            if snapshot
        ]
        self._insert(
            "delivered",
            lines,
            f"""on conflict ({self._owner}, entity, source_id, field) do update
                set snapshot_id = excluded.snapshot_id""",
        )

    def _settled(self, entries: Sequence[Entry], gone: Sequence[Key]) -> None:
        self._deliver(entries)
        made = [entry for entry in entries if entry.bitrix_id is not None and entry.entity != UNDATED]
        if not made or not self._mark:
            return
        self.connection.execute(
            """insert into transfer.id_map
               select ?, ?, unnest(?), unnest(?), unnest(?), 'created_by_us', ?
               on conflict (target, source_portal, entity, source_id) do update set target_id = excluded.target_id,
                   proven_at = if(target_id = excluded.target_id, proven_at, excluded.proven_at)""",
            [
                self.target,
                self.cloud,
                [entry.entity for entry in made],
                [entry.origin_id for entry in made],
                [entry.bitrix_id for entry in made],
                utc_now(),
            ],
        )


def _told_of(entry: Entry) -> tuple[str, str]:
    """The kind and the key of the record that a line is about."""
    if entry.entity != AFTERWARDS:
        return entry.entity, entry.origin_id
    entity, _, source_id = entry.origin_id.partition("/")
    return entity, source_id


def made_from(snapshot: int | None = None) -> str:
    """What a ledger line says was sent of a record that was made, from that reading of the cloud."""
    return encoded(_CREATED if snapshot is None else _CREATED | {"snapshot": snapshot})


def changed_fields(digest: str, fields: Iterable[str]) -> str:
    """What it says of one that was changed: which fields, not what they say."""
    return encoded({"digest": digest, "fields": sorted(fields)})


def delivered(sent: str, snapshot: int) -> Iterator[tuple[str, int]]:
    """The fields that a line says were sent ('': all), and the reading of the cloud: that of this push unless it says
    another."""
    told = decoded(sent)
    if told.get("created"):
        yield "", int(told.get("snapshot", snapshot))
    for field in told.get("fields", ()):
        yield field, snapshot


def text_digest(text: str) -> str:
    """The digest of a text."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def digest_of(digest: str) -> str:
    """What a ledger line keeps of what was dealt with."""
    return encoded({"digest": digest})
