"""One portal as a source: who may read it, the lanes of its lists, and whether what was read is everything.

Lists leave out what the webhook's user may not read, without a word. So the user has to be an administrator, the total
of a counting call has to be the number of rows read, and neither a funnel nor a kind of card may have gone away whole.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from ingest.bitrix24.errors import PortalRefused
from ingest.bitrix24.reading import Read, ReadingClient, ReadMethod
from ingest.portal.entities import (
    ENTITIES,
    FUNNELS,
    LANES,
    STATUSES,
    EachOf,
    Entity,
    OfOwners,
    Owner,
    Whole,
    Windows,
)
from ingest.portal.lists import Refusal, Span, by_windows, count, parts_of, span_of, whole
from ingest.portal.records import Record
from ingest.portal.snapshots import Figures, Snapshot
from ingest.warehouse.errors import OperatorError

DEALS = ENTITIES["deals"]
_MANY_DEALS = 5  # of a funnel: fewer may have been deleted one by one
_STAGES = "DEAL_STAGE_"  # the book of a funnel's stages


@dataclass(frozen=True)
class Wishes:
    """What the command line says of a reading: parts that take a command a card only of cards active `since`, or of
    `all_parts`, whether or not their cards have changed; what is really `gone`, as `funnel:7` or the name of an entity;
    whether it begins `anew` where one broke off."""

    since: date | None = None
    gone: Collection[str] = ()
    anew: bool = False
    all_parts: bool = False


class Incomplete(OperatorError):
    """What was read is not everything: nothing of it is landed."""


@dataclass
class Reading:
    """A portal being read into a snapshot."""

    client: ReadingClient
    snapshot: Snapshot
    wishes: Wishes = field(default_factory=Wishes)
    on_progress: Callable[[int], None] = lambda records: None
    unread: list[str] = field(default_factory=list)  # entities that the webhook has no right for

    async def run(self, run_id: str) -> dict[str, Figures]:
        """Read everything and complete the snapshot. Figures by entity.

        Raises OperatorError when the portal refuses or stays away (the next run goes on), and Incomplete when not
        everything can be read (the next run begins anew).
        """
        await self._check_administrator()
        try:
            await self._lane((FUNNELS, STATUSES))
            self._check_shown(self._hidden_funnels())
            await _all(self._lane(lane) for lane in LANES)
            self._check_shown(self._lost_kinds() + self._emptied_funnels())
            await self._check_rights_stayed()
        except Incomplete:
            self.snapshot.give_up()
            raise
        read = [entity for lane in LANES for entity in lane if entity.name not in self.unread]
        return self.snapshot.complete(read, run_id)

    async def _check_administrator(self) -> None:
        (answer,) = await self.client.read([Read(ReadMethod.IS_ADMIN)])
        if answer.result is not True:
            raise OperatorError(
                f"the user of the webhook at {self.client.host} is no administrator: lists would leave out what the "
                "user may not read",
                hint="create the webhook as an administrator of the portal",
                exit_status=2,
            )

    async def _lane(self, lane: Iterable[Entity]) -> None:
        for entity in lane:
            progress = self.snapshot.progress(entity)
            if progress.is_done:
                continue
            match entity.how:
                case EachOf() as how:
                    await self._each(entity, how)
                case Windows() as how:
                    await self._windows(entity, how, progress.position)
                case Whole() as how:
                    records = await whole(self.client, entity, how)
                    if records is None:
                        self.unread.append(entity.name)
                    else:
                        self._save(entity, records, {}, is_done=True)
                case OfOwners() as how:
                    await self._parts(entity, how, progress.position)

    def _save(self, entity: Entity, records: list[Record], position: dict[str, Any], *, is_done: bool = False) -> None:
        self.snapshot.save(entity, records, position, is_done=is_done)
        self.on_progress(len(records))

    async def _windows(self, entity: Entity, how: Windows, position: dict[str, Any]) -> None:
        span = Span(*position["span"]) if position else await span_of(self.client, entity, how)
        position = position or {"span": span, "read_to": span.first - 1}
        async for batch in by_windows(self.client, entity, how, span, position["read_to"]):
            position = {"span": span, "read_to": batch.read_to}
            self._save(entity, batch.records, position)
        await self._check_total(entity, how, span)
        self._save(entity, [], position, is_done=True)

    async def _each(self, entity: Entity, how: EachOf) -> None:
        """A list of each record of another entity; it goes unread where the webhook has no right for it."""
        lists = ENTITIES[how.lists]
        if lists.name in self.unread:
            self.unread.append(entity.name)
            return
        for key in self.snapshot.keys(lists):
            its_list = replace(entity, where={how.named: int(key)})
            try:
                span, read = await span_of(self.client, its_list, how), 0
            except PortalRefused:
                self.unread.append(entity.name)
                return
            async for batch in by_windows(self.client, its_list, how, span, span.first - 1):
                read += len(batch.records)
                self._save(entity, batch.records, {})
            if read != span.total and read != await count(self.client, its_list, {}):
                raise Incomplete(
                    f"{self.client.host} counts {span.total} {entity.name} and its lists give {read}",
                    hint="run it again; nothing was landed",
                )
        self._save(entity, [], {}, is_done=True)

    async def _check_total(self, entity: Entity, how: Windows, span: Span) -> None:
        """The rows read are as many as the portal counts: what it counted before, less what has gone meanwhile.

        A portal that counts what it does not show counts more rows than there are up to the last one it shows.
        """
        read = self.snapshot.count(entity)
        if read == span.total:
            return
        now = await span_of(self.client, entity, how)
        up_to = f"<={how.column}"
        shown = await count(self.client, entity, {up_to: now.last})
        still = await count(self.client, entity, {up_to: span.last})
        if shown < now.total or not min(still, span.total) <= read <= max(still, span.total):
            raise Incomplete(
                f"{self.client.host} counts {now.total} {entity.name} and its lists give {read}: not all can be read",
                hint="give the user of the webhook the right to read all of them; nothing was landed",
            )

    async def _parts(self, entity: Entity, how: OfOwners, position: dict[str, Any]) -> None:
        for owner in how.owners:
            read_to = position.get(owner.entity, 0)
            owners = self.snapshot.owners(entity, how, owner, self.wishes.since)
            unread = [owner_id for owner_id in owners if owner_id > read_to]
            refused: list[Refusal] = []
            async for batch in parts_of(self.client, entity, how, owner, unread, refused):
                position = position | {owner.entity: batch.read_to}
                self._save(entity, batch.records, position)
            await self._check_refused(entity, owner, refused)
        self._save(entity, [], position, is_done=True)

    async def _check_refused(self, entity: Entity, owner: Owner, refused: list[Refusal]) -> None:
        """Whose parts were refused is gone by now; an owner that is still there may not be read."""
        if not refused:
            return
        owners = ENTITIES[owner.entity]
        for refusal in refused:
            is_there = await count(self.client, owners, {owners.key[0]: refusal.owner})
            if is_there and (error := refusal.answer.error):
                raise PortalRefused(
                    f"{entity.name} of {owner.entity} {refusal.owner}: {error.code} {error.description}".strip(),
                    hint="give the user of the webhook the right to read them",
                )

    def _hidden_funnels(self) -> list[str]:
        """Funnels that are known, from before or by their stages, and not shown."""
        shown = set(self.snapshot.keys(FUNNELS))
        books = {key.partition(":")[0] for key in self.snapshot.keys(STATUSES)}
        known = {*self.snapshot.keys_before(FUNNELS)}
        known |= {book.removeprefix(_STAGES) for book in books if book.startswith(_STAGES)}
        return [f"funnel:{funnel}" for funnel in sorted(known - shown)]

    def _lost_kinds(self) -> list[str]:
        """Kinds of records of which there were some and are none: the list of a module that is off is empty, too."""
        listed = [entity for lane in LANES for entity in lane if isinstance(entity.how, Windows)]
        return [
            entity.name
            for entity in listed
            if entity.name not in self.unread and not self.snapshot.count(entity) and self.snapshot.keys_before(entity)
        ]

    def _emptied_funnels(self) -> list[str]:
        """Funnels that are shown, and none of the deals that were in them is."""
        return [f"funnel:{funnel}" for funnel in self.snapshot.emptied(DEALS, "categoryId", _MANY_DEALS)]

    def _check_shown(self, missing: list[str]) -> None:
        """What is missing whole is a right that was lost, unless the operator says otherwise."""
        if hidden := [name for name in missing if name not in self.wishes.gone]:
            raise Incomplete(
                f"{self.client.host} does not show {', '.join(hidden)}: most likely a right is missing",
                hint=f"give the user of the webhook that right, or say that it is so: --gone {hidden[0]}",
            )

    async def _check_rights_stayed(self) -> None:
        """Nobody took a right away while the portal was read."""
        await self._check_administrator()
        shown = {record.key for record in await whole(self.client, FUNNELS, Whole("categories")) or ()}
        self._check_shown([f"funnel:{funnel}" for funnel in self.snapshot.keys(FUNNELS) if funnel not in shown])


async def _all(lanes: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Read lanes at once; the first failure ends the others."""
    tasks = [asyncio.create_task(lane) for lane in lanes]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
