"""Brings one part over a line that breaks: by Range from where it stopped, with If-Match, until its proof is complete.

| the storage answers | reaction |
| --- | --- |
| 206 | goes on |
| 200 where 206 was asked | the bytes that are there are read past, the rest is taken |
| another ETag or size, 412, 416 | the part changed: from its first byte again |
| an HTML page, 401, 403, 404 and other 4xx | the link is used up: a new one is looked for in the file of links |
| 408, 429, 5xx, a connection that breaks or is silent for a minute | tried again, until `PATIENCE_S` without a byte |
| fewer than `_LEAST_BYTES` a minute | asked anew, until `PATIENCE_S` have passed so |
| bytes that are no sound part | from its first byte again, that part alone, `MOST_TRIES` in all |
"""

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import stamina
from pydantic import SecretStr

from ingest.backup.files import PartFile, Version, check_room
from ingest.backup.links import PartName, read_links
from ingest.backup.proof import HEADER_BYTES, Broken, PartProof, Proven, Truncated
from ingest.warehouse.environment import refuse_plain_http
from ingest.warehouse.errors import SettingsError
from ingest.warehouse.terminal import say

PATIENCE_S = 900.0
MOST_TRIES = 2  # of a part from its first byte, in one run
_WAIT_S, _LONGEST_WAIT_S = 0.5, 60.0
_WINDOW_S, _LEAST_BYTES = 60.0, 65_536  # slower than that a line is no line: of 500 MB a part would take months
_TIMEOUT = httpx.Timeout(60, pool=None)
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_TEMPORARY = (408, 429)
_CHANGED = (412, 416)


class Unwell(Exception):
    """The storage, or the line to it, is unwell: the same request may do later."""


class Dripping(Unwell):
    """Bytes come, too few to wait for."""


class Changed(Exception):
    """The object is not the one whose bytes are there."""


class PartFailed(Exception):
    """This part does not come in this run; the text, which has no link in it, says why."""


class LinkRefused(PartFailed):
    """The link is of no use, any more or at all."""


@dataclass
class Download:
    """A part on its way: what is there of it, its proof so far, and what it took in this run."""

    name: PartName
    file: PartFile
    version: Version = field(default_factory=Version)
    proof: PartProof = field(init=False)
    proven: Proven | None = None
    problem: str | None = None
    is_refused: bool = False  # the problem is the link, not the part
    requests: int = 0
    fetched: int = 0  # bytes
    seconds: float = 0.0  # spent on them

    def __post_init__(self) -> None:
        self.proof = PartProof(self.name)

    @property
    def is_all_there(self) -> bool:
        """Whether no byte is missing, as far as that is known."""
        return self.proof.size == self.version.size

    @property
    def size(self) -> int | None:
        """Bytes of the part; None: not known yet."""
        return self.proven.size if self.proven else self.version.size

    @property
    def rate(self) -> float | None:
        """Bytes a second in this run."""
        return self.fetched / self.seconds if self.seconds else None

    def take_what_is_there(self, on_bytes: Callable[[int], None]) -> None:
        """Prove what the folder has, without fetching: a whole part, or the beginning of one, to go on from.

        `on_bytes` is told of what was read.
        """
        if self.file.whole.exists():
            try:
                self.proof.feed_file(self.file.whole, on_bytes)
                self.proven = self.proof.finish()
                return
            except Truncated:
                self.file.cut()
                return
            except Broken as error:
                say(f"{self.name}, as it was found: {error}; it is fetched again")
                self.start_over()
        if not self.file.partial.exists():
            self.file.drop()
            return
        self.version = self.file.version()
        try:
            self.proof.feed_file(self.file.partial, on_bytes)
        except Broken as error:
            say(f"{self.name}, what is there of it: {error}; it is fetched from its beginning")
            self.start_over()
        if self.version.size is not None and self.proof.size > self.version.size:
            self.start_over()

    def start_over(self) -> None:
        """Forget what is there."""
        self.file.drop()
        self.version, self.proof = Version(), PartProof(self.name)

    def complete(self) -> None:
        """Prove the whole of it and give it its name. Raises Broken."""
        proven = self.proof.finish()
        self.file.complete()
        self.proven = proven


class Links:
    """The file of links, which may be replaced while parts are fetched."""

    def __init__(self, path: Path, *, allow_http: bool = False) -> None:
        self._path, self.allow_http = path, allow_http
        self._links = read_links(path, allow_http=allow_http)

    def names(self) -> list[PartName]:
        """The parts there is a link to."""
        return sorted(self._links)

    def link(self, name: PartName) -> SecretStr:
        """The link to a part. Raises LinkRefused when there is none."""
        if name not in self._links:
            raise LinkRefused("no link leads to it")
        return self._links[name]

    def renewed(self, name: PartName, refused: SecretStr) -> bool:
        """Whether the file has another link for a part by now."""
        with suppress(SettingsError):  # somebody is writing it: the next one that asks will see
            self._links = read_links(self._path, allow_http=self.allow_http)
        return self._links.get(name, refused) != refused


class Fetcher:
    """Fetches parts. `on_bytes` is told of all that is new on the disk."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        links: Links,
        on_bytes: Callable[[int], None],
        patience: float = PATIENCE_S,
    ) -> None:
        self._client, self._links, self._on_bytes, self._patience = client, links, on_bytes, patience
        self._last_byte_at = time.monotonic()

    async def survey(self, download: Download) -> None:
        """Fetch the first bytes of a part, which tell its size and how long it is unpacked. They are not fetched again.

        A storage that knows no ranges sends the whole part, which is taken. Raises as `fetch` does.
        """
        await self._try(download, until=HEADER_BYTES)

    async def fetch(self, download: Download) -> None:
        """Fetch what is missing of a part and prove it. Raises PartFailed, or OperatorError when the disk is full."""
        await self._try(download, until=None)

    async def _try(self, download: Download, until: int | None) -> None:
        tries = 0
        while True:
            tries += 1
            try:
                while not download.is_all_there and (until is None or download.proof.size < until):
                    await self._go_on(download, until)
                if download.is_all_there:
                    await asyncio.to_thread(download.complete)
                return
            except (Changed, Broken) as error:
                why = "it changed at the storage" if isinstance(error, Changed) else str(error)
            download.start_over()
            if tries >= MOST_TRIES:
                raise PartFailed(f"{why}, {tries} times running")
            say(f"{download.name}: {why}; it is fetched from its beginning")

    async def _go_on(self, download: Download, until: int | None) -> None:
        """Fetch on until there is more than before, all there is at best. Waits for a storage that is unwell."""
        has_complained = False
        try:
            async for attempt in stamina.retry_context(
                on=Unwell, attempts=None, timeout=self._patience, wait_initial=_WAIT_S, wait_max=_LONGEST_WAIT_S
            ):
                with attempt:
                    before = download.proof.size
                    try:
                        await self._request_by_link(download, until)
                    except Unwell as error:
                        if download.proof.size > before and not isinstance(error, Dripping):
                            return
                        if not has_complained:
                            minutes = self._patience / 60
                            say(f"{download.name}: {error}; tried again for up to {minutes:.0f} minutes")
                        has_complained = True
                        raise
        except Unwell as error:
            raise PartFailed(f"{error}, for {self._patience / 60:.0f} minutes") from None

    async def _request_by_link(self, download: Download, until: int | None) -> None:
        """One request, and one more for every new link that the file has after one was refused."""
        while True:
            link = self._links.link(download.name)
            began = time.monotonic()
            try:
                await self._request(download, link, until)
                return
            except LinkRefused:
                if not self._links.renewed(download.name, link):
                    raise
                say(f"{download.name}: its link was refused, a new one goes on")
            finally:
                download.seconds += time.monotonic() - began

    async def _request(self, download: Download, link: SecretStr, until: int | None) -> None:
        there, etag = download.proof.size, download.version.etag
        # No answer may be packed on the way: the bytes are counted.
        headers = {"Accept-Encoding": "identity", "Range": f"bytes={there}-{'' if until is None else until - 1}"}
        if etag and not etag.startswith("W/"):  # RFC 9110, 13.1.1: a weak one never matches
            headers["If-Match"] = etag
        download.requests += 1
        try:
            async with self._client.stream("GET", link.get_secret_value(), headers=headers) as response:
                has_range = judge(response, download)
                check_room(download.file.whole.parent, max(0, (download.version.size or 0) - there))
                download.file.remember(download.version)
                await self._take(download, response, 0 if has_range else there)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
            raise LinkRefused(f"its link cannot be used ({type(error).__name__})") from None
        except httpx.HTTPError as error:
            raise Unwell(f"the connection failed ({type(error).__name__})") from None
        if download.version.size is None and (until is None or not has_range):  # the end of the answer is the part's
            download.version = Version(download.version.etag, download.proof.size)
        if not download.is_all_there and (until is None or download.proof.size == there):
            raise Unwell("the storage sent less than it announced")

    async def _take(self, download: Download, response: httpx.Response, skip: int) -> None:
        """Write and prove bytes as they come, past the first `skip`."""
        window_began, window_bytes = time.monotonic(), 0
        with download.file.append() as file:
            async for chunk in response.aiter_raw():
                self._last_byte_at = time.monotonic()
                download.fetched += len(chunk)
                window_bytes += len(chunk)
                if self._last_byte_at - window_began > _WINDOW_S:
                    if window_bytes < _LEAST_BYTES:
                        raise Dripping(f"the storage sends fewer than {_LEAST_BYTES:,} bytes a minute")
                    window_began, window_bytes = self._last_byte_at, 0
                fresh, skip = chunk[skip:], max(0, skip - len(chunk))
                if fresh:
                    file.write(fresh)
                    download.proof.feed(fresh)
                    self._on_bytes(len(fresh))

    @property
    def is_down(self) -> bool:
        """Whether no byte of any part has come for as long as one part is waited for."""
        return time.monotonic() - self._last_byte_at > self._patience


def judge(response: httpx.Response, download: Download) -> bool:
    """Whether the bytes to come begin where they were asked to; keeps what the storage says of the version.

    Raises Unwell, Changed or LinkRefused when they are of no use.
    """
    status, headers = response.status_code, response.headers
    if status in _CHANGED:
        raise Changed
    if status in _TEMPORARY or status >= 500:
        raise Unwell(f"the storage answers {status}")
    if status not in (200, 206):
        raise LinkRefused(f"its link is refused ({status}): it has expired, or is not the whole link")
    if "html" in headers.get("Content-Type", ""):
        raise LinkRefused("its link leads to an HTML page: it has expired, or wants somebody to log in")
    length = headers.get("Content-Length", "")
    size = int(length) if length.isdecimal() else None
    if status == 206:
        told = _RANGE.fullmatch(headers.get("Content-Range", ""))
        if not told or int(told[1]) != download.proof.size:
            raise Unwell("the storage sends another range than was asked for")
        size = int(told[2]) if told[2] != "*" else None
    known, new = download.version, Version(headers.get("ETag", ""), size)
    if (known.etag and new.etag and known.etag != new.etag) or (known.size and new.size and known.size != new.size):
        raise Changed
    download.version = Version(new.etag or known.etag, new.size or known.size)
    return status == 206


def new_client(streams: int, *, allow_http: bool) -> httpx.AsyncClient:
    """A client for so many parts at once. It follows redirects, to an address in clear text only where that may be."""

    async def check(request: httpx.Request) -> None:
        try:
            if not allow_http:
                refuse_plain_http("", str(request.url))
        except SettingsError:
            raise LinkRefused(f"its link leads to {request.url.host} in clear text (http://)") from None

    limits = httpx.Limits(max_connections=streams)
    return httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=True, limits=limits, event_hooks={"request": [check]})
