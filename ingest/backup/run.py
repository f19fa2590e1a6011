"""A run of `ingest backup`: proves what the folder has, fetches the rest several at once, proves the whole archive."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from ingest.backup.fetch import PATIENCE_S, Download, Fetcher, LinkRefused, Links, PartFailed, new_client
from ingest.backup.files import PartFile, check_room, disk_errors_told, exchange, names_in, put_back, sync_folder
from ingest.backup.ledger import Ledger
from ingest.backup.links import VARIABLE, PartName, only_archive
from ingest.backup.order import OutOfOrder, in_order, scan_again
from ingest.backup.proof import Broken, Proven
from ingest.backup.screen import Screen
from ingest.warehouse import journal, private
from ingest.warehouse.errors import OperatorError, SettingsError, WarehouseBusy
from ingest.warehouse.lock import only_one
from ingest.warehouse.terminal import say, say_aside, warn_once

WRITE_EVERY_S = 30.0  # each time the warehouse is held for some tens of milliseconds
WAREHOUSE_PATIENCE_S = 600.0  # at the end
_AGAIN = "run it again: what is there is proven without fetching, the rest goes on from where it stopped"


def fetch_backup(
    warehouse: Path,
    folder: Path,
    links_file: Path | None,
    *,
    streams: int,
    allow_http: bool = False,
    patience: float = PATIENCE_S,
) -> None:
    """Fetch and prove the parts of one backup into a folder; write `NAME.sha256` beside them when all are there.

    Raises SettingsError when it is not clear which parts are meant, OperatorError when some did not come, naming each.
    """
    busy = "wait for it, or stop it; `ingest status` tells of it"
    with (
        disk_errors_told(folder),
        only_one(folder / ".lock", setting="SVOD_TRANSFER_PARTS", hint=busy),
        only_one(warehouse.with_name(f"{warehouse.name}.backup.lock"), setting="SVOD_WAREHOUSE", hint=busy),
    ):
        private.keep_new_files_private()
        put_back(folder)
        if links_file and private.is_open_to_others(links_file):
            warn_once(f"everybody on this machine can read {links_file}, whose links need no password: chmod 600 it")
        links = Links(links_file, allow_http=allow_http) if links_file else None
        names = links.names() if links else sorted(names_in(folder))
        if not names:
            raise SettingsError(f"{VARIABLE} is not set, and {folder} has no parts", hint="see .env.example")
        archive = only_archive(names, links_file or folder)
        there = {name for name in names_in(folder) if name.archive == archive}
        step = journal.Step(journal.current_run_id(), journal.INGEST_BACKUP)
        with Screen() as screen:
            backup = Backup(folder, sorted({*names, *there}), screen, Ledger(warehouse, step), step)
            backup.run(links, streams, patience)


class Backup:
    """The parts of one archive, and what this run does for them."""

    def __init__(
        self, folder: Path, names: Sequence[PartName], screen: Screen, ledger: Ledger, step: journal.Step
    ) -> None:
        self.folder, self.screen, self.ledger, self.step = folder, screen, ledger, step
        self.downloads = [Download(name, PartFile(folder, name)) for name in names]
        self.is_ordered = False

    def run(self, links: Links | None, streams: int, patience: float) -> None:
        """All of it, journalled. Raises OperatorError; WarehouseBusy when only the ledger could not be written."""
        self.ledger.write(self.downloads)
        try:
            with self.step.going_on():
                asyncio.run(self._fetch_all(links, streams, patience))
                self._prove_whole()
        except BaseException:
            self._write_at_end(5)
            raise
        if not self._write_at_end(5):
            minutes = WAREHOUSE_PATIENCE_S / 60
            say_aside(f"another step has the warehouse: waiting up to {minutes:.0f} minutes to keep what was done")
            if not self._write_at_end(WAREHOUSE_PATIENCE_S):
                raise WarehouseBusy("another step has the warehouse: transfer.parts is not written", hint=_AGAIN)

    async def _fetch_all(self, links: Links | None, streams: int, patience: float) -> None:
        is_over = asyncio.Event()
        writing = asyncio.create_task(self._keep_ledger(is_over))
        try:
            if there := sum(download.file.is_begun for download in self.downloads):
                say(f"{there} of {len(self.downloads)} parts are there, or a piece of them: proving these first")
            await _each(self.downloads, self._take_what_is_there, streams)
            if links and self._missing():
                async with new_client(streams, allow_http=links.allow_http) as client:
                    fetcher = Fetcher(client, links, self.screen.advance, patience)
                    await self._fetch_missing(fetcher, streams)
        finally:
            is_over.set()
            await writing

    async def _fetch_missing(self, fetcher: Fetcher, streams: int) -> None:
        async def survey(download: Download) -> None:
            await self._trying(download, fetcher, fetcher.survey(download))

        async def fetch(download: Download) -> None:
            self.screen.part_begins(download)
            try:
                await self._trying(download, fetcher, fetcher.fetch(download))
            finally:
                self.screen.part_ends(download)
            if download.proven:
                self.screen.tell(download)

        await _each(self._missing(), survey, streams)
        self._tell_of_parts_without_links()
        missing = self._missing()
        there, total = sum(each.proof.size for each in missing), sum(each.size or 0 for each in missing)
        check_room(self.folder, total - there)
        self.screen.begin(missing, len(self.downloads))
        await _each([each for each in missing if each.problem is None or each.is_refused], fetch, streams)
        # A page of HTML may have been of a moment, and the file of links may be a new one by now.
        await _each([each for each in self._missing() if each.is_refused], fetch, streams)

    async def _take_what_is_there(self, download: Download) -> None:
        if not download.file.is_begun:
            return
        self.screen.part_begins(download, "is proven")
        try:
            await asyncio.to_thread(download.take_what_is_there, partial(self.screen.read, download))
        finally:
            self.screen.part_ends(download)

    async def _trying(self, download: Download, fetcher: Fetcher, work: Coroutine[None, None, None]) -> None:
        """Keep why a part did not come."""
        if fetcher.is_down:
            work.close()
            download.problem = "not tried any more, for nothing comes from the storage"
            return
        download.problem, download.is_refused = None, False
        try:
            await work
        except PartFailed as error:
            download.problem, download.is_refused = str(error), isinstance(error, LinkRefused)

    async def _keep_ledger(self, is_over: asyncio.Event) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(is_over.wait(), WRITE_EVERY_S)
                return
            self._count()
            await asyncio.to_thread(self.ledger.write, self.downloads)

    def _missing(self) -> list[Download]:
        return [download for download in self.downloads if download.proven is None]

    def _absent(self) -> list[PartName]:
        """Parts of the archive that there is neither a link to nor a byte of."""
        known = {download.name for download in self.downloads}
        first = next((each for each in self.downloads if each.name.number == 0), None)
        header = first.proof.header if first else None
        told = header.last_number if header else None
        last = told or max(name.number for name in known)
        archive = self.downloads[0].name.archive
        return [name for number in range(last + 1) if (name := PartName(archive, number)) not in known]

    def _tell_of_parts_without_links(self) -> None:
        if absent := self._absent():
            say(f"no link leads to {_listed(absent)}: {'it' if len(absent) == 1 else 'they'} will be missing")

    def _prove_whole(self) -> None:
        """Raise OperatorError unless all parts are there, follow each other and end. Write the list of their hashes."""
        problems = [f"{each.name}: {each.problem or 'is not there, and no link is'}" for each in self._missing()]
        problems += [f"{name}: is neither in {self.folder} nor among the links" for name in self._absent()]
        if problems:
            count = len(problems)
            raise OperatorError(
                f"{count} of {len(self.downloads) + len(self._absent())} parts did not come", details=problems,
                hint=f"put new links into the file of {VARIABLE} where they are refused or missing, then {_AGAIN}",
            )  # fmt: skip
        parts = [each.proven for each in self.downloads if each.proven]
        archive = parts[0].name.archive
        if parts[0].name.is_encrypted:
            say(f"{archive} is encrypted: that its parts follow each other cannot be proven")
        else:
            self._put_in_order(parts)
            self.is_ordered = True
        sums = self.folder / f"{archive}.sha256"
        lines = [f"{each.proven.sha256}  {each.name}\n" for each in self.downloads if each.proven]
        new = sums.with_name(f"{sums.name}.new")
        new.write_text("".join(lines), encoding="utf-8")
        new.replace(sums)
        sync_folder(self.folder)
        size = sum(part.size for part in parts)
        say(f"{archive}: all {len(parts)} parts are there and proven, {size} bytes in {self.folder}")
        say(f"on the server, after copying: sha256sum -c {sums.name}")

    def _put_in_order(self, parts: list[Proven]) -> None:
        def rescan(part: Proven, starts_at: int) -> Proven:
            return scan_again(self.folder / str(part.name), part.name, starts_at)

        try:
            order = in_order(parts, rescan)
        except (OutOfOrder, Broken) as error:
            hint = "is one of another backup? take it away and run it again; else let the portal make a new backup"
            raise OperatorError(str(error), hint=hint) from None
        moved = {
            download.name: part.name
            for download, part in zip(self.downloads, order, strict=True)
            if download.name != part.name
        }
        if moved:
            exchange(self.folder, moved)
            for right, now in moved.items():
                say(f"what was named {now} is {right}, and is named so now")
        for download, part in zip(self.downloads, order, strict=True):
            download.proven = replace(part, name=download.name)
            if part.is_lost:
                say(f"warning: {download.name}: a file in it does not end where it should; the portal made it so")

    def _count(self) -> None:
        proven = [each for each in self.downloads if each.proven]
        self.step.rows_in, self.step.rows_out = len(self.downloads), len(proven)
        self.step.detail |= {
            "archive": self.downloads[0].name.archive,
            "bytes": sum(each.size or 0 for each in self.downloads),
            "proven_bytes": sum(each.size or 0 for each in proven),
            "fetched_bytes": sum(each.fetched for each in self.downloads),
        }

    def _write_at_end(self, patience: float) -> bool:
        self._count()
        return self.ledger.write(self.downloads, is_ordered=self.is_ordered, patience=patience)


async def _each(
    downloads: Sequence[Download], work: Callable[[Download], Coroutine[None, None, None]], streams: int
) -> None:
    """Do it for all parts, in their order, so many at once. An OperatorError ends all of them and is raised."""
    free = asyncio.Semaphore(streams)

    async def do(download: Download) -> None:
        async with free:
            await work(download)

    try:
        async with asyncio.TaskGroup() as group:
            for download in downloads:
                group.create_task(do(download))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


def _listed(names: Sequence[PartName]) -> str:
    return ", ".join(str(name) for name in names)
