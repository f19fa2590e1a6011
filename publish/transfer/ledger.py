"""Schema transfer: what a move has made in a box, and which record of the cloud each is.

Nothing that a person typed is kept here: of what was sent, a digest.
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import duckdb

from ingest.warehouse.connection import transaction
from ingest.warehouse.journal import utc_now
from publish.entries import Entry
from publish.ledger import Ledger
from publish.parts import Key, encoded

CREATED = '{"created":true}'
_MADE = "(line.is_adopted or line.sent ->> '$.created' = 'true') and line.bitrix_id is not null"


class Line(NamedTuple):
    """What the ledger has of a record: its id in the box, and the digest of what was dealt with."""

    target_id: int | None
    digest: str | None


class TransferLedger(Ledger):
    """The ledger of one box. `cloud` is the portal that the records come from; the map of ids is kept as soon as the
    box's `mark` is known: of a box put in the place of another it says nothing."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, portal: str, cloud: str) -> None:
        super().__init__(connection, portal, "transfer")
        self.cloud = cloud
        self._mark = ""

    @property
    def target(self) -> str:
        """The box in `transfer.id_map`."""
        return f"{self.portal}#{self._mark}"

    def marked(self, mark: str) -> None:
        """The box carries this mark: from now on the map of ids is that of the ledger's lines."""
        self._mark = mark
        with transaction(self.connection):
            self.connection.execute(
                """delete from transfer.id_map as known
                    where target = ? and source_portal = ? and proof = 'created_by_us' and not exists (
                        from transfer.ledger as line where line.portal = ? and line.entity = known.entity
                            and line.origin_id = known.source_id and line.bitrix_id = known.target_id)""",
                [self.target, self.cloud, self.portal],
            )
            self.connection.execute(
                f"""insert into transfer.id_map
                    select ?, ?, line.entity, line.origin_id, line.bitrix_id, 'created_by_us', ?
                    from transfer.ledger as line where line.portal = ? and {_MADE} on conflict do nothing""",
                [self.target, self.cloud, utc_now(), self.portal],
            )

    def lines(self, entity: str, source_ids: Sequence[str]) -> dict[str, Line]:
        """What it has of some records, by their ids in the cloud."""
        rows = self.connection.execute(
            """select origin_id, bitrix_id, wanted ->> '$.digest' from portal_ledger
               where entity = ? and origin_id in (select unnest(?::varchar[]))""",
            [entity, list(source_ids)],
        ).fetchall()
        return {source_id: Line(target_id, digest) for source_id, target_id, digest in rows}

    def _settled(self, entries: Sequence[Entry], gone: Sequence[Key]) -> None:
        made = [entry for entry in entries if entry.bitrix_id is not None and entry.sent == CREATED]
        if not made or not self._mark:
            return
        self.connection.execute(
            """insert into transfer.id_map
               select ?, ?, unnest(?), unnest(?), unnest(?), 'created_by_us', ?
               on conflict (target, source_portal, entity, source_id) do update set target_id = excluded.target_id""",
            [
                self.target,
                self.cloud,
                [entry.entity for entry in made],
                [entry.origin_id for entry in made],
                [entry.bitrix_id for entry in made],
                utc_now(),
            ],
        )


def text_digest(text: str) -> str:
    """The digest of a text."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def digest_of(digest: str) -> str:
    """What a ledger line keeps of what was dealt with."""
    return encoded({"digest": digest})
