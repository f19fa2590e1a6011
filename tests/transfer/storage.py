"""A stand-in for the storage of a portal's backups: signed links that expire, Range, If-Match, ETag, and faults.

Answers are those of S3 (API reference, GetObject): 206 with Content-Range, 412 with an XML body when the ETag is
another one, 403 when a link has expired; the ETag of a multipart upload, which is no MD5 of the whole.
"""

import asyncio
import hashlib
import re
import socket
import threading
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

CHUNK = 16_384
LOGIN_PAGE = "<!DOCTYPE html><html><body><form>Log in</form></body></html>"
ERROR = "<?xml version='1.0'?><Error><Code>{}</Code></Error>"


Fault = str | int | Callable[[], object] | None


class Got(NamedTuple):
    """A request as it was answered: where its bytes begin, and the status."""

    name: str
    begin: int
    status: int
    is_conditional: bool


class RunningStorage:
    """The storage, running while the `with` block does.

    `objects` are its parts by name and may be replaced. `rate` is bytes a second an answer, 0 for as fast as it goes.
    `fail_next(name, …)` makes the next requests of a part go wrong, one by one: "html", "no_range", "503", "flip" (a
    bit, this once), a number of bytes after which the line breaks, something to call just before; None: it goes well.
    `requests` tells what was asked, `sent` the bytes that
    were given to the network by name.
    """

    def __init__(self, objects: Mapping[str, bytes], *, rate: float = 0, knows_ranges: bool = True) -> None:
        self.objects, self.rate, self.knows_ranges = dict(objects), rate, knows_ranges
        self.requests: list[Got] = []
        self.sent: dict[str, int] = defaultdict(int)
        self.tells_etag = self.heeds_conditions = True
        self._generation: dict[str, int] = defaultdict(int)
        self._faults: dict[str, deque[Fault]] = defaultdict(deque)
        app = Starlette(routes=[Route("/backups/{name}", self._answer), Route("/{path}/{name}", self._redirect)])
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        config = uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: self._server.run(sockets=[self._socket]), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def link(self, name: str, path: str = "backups") -> str:
        """A signed link to a part, good until `expire`; one to the path `moved` redirects to it, others elsewhere."""
        return f"{self.url}/{path}/{name}?X-Amz-Expires=86400&X-Amz-Signature=s3cret{self._generation[name]}"

    def write_links(self, file: Path, names: Iterable[str] | None = None) -> Path:
        """A file of links to these parts, or to all."""
        file.touch(mode=0o600)  # they are secrets
        file.write_text(
            "".join(f"{self.link(name)}\n" for name in (self.objects if names is None else names)), encoding="utf-8"
        )
        return file

    def expire(self, name: str) -> None:
        """Links to a part that were made so far are refused from now on."""
        self._generation[name] += 1

    def fail_next(self, name: str, *faults: Fault) -> None:
        """Each of the next requests of a part goes wrong in one of these ways."""
        self._faults[name].extend(faults)

    @property
    def total(self) -> int:
        """Bytes of all parts."""
        return sum(map(len, self.objects.values()))

    def __enter__(self) -> Self:
        self._socket.bind(("127.0.0.1", 0))
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the storage did not start")
            time.sleep(0.005)
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()

    # ----- answering

    async def _redirect(self, request: Request) -> Response:
        name, is_moved = request.path_params["name"], request.path_params["path"] == "moved"
        location = self.link(name) if is_moved else f"http://storage.example/{name}"
        return Response(status_code=302, headers={"Location": location})

    async def _answer(self, request: Request) -> Response:
        name = request.path_params["name"]
        faults = self._faults[name]
        fault = faults.popleft() if faults else None
        if callable(fault):
            fault()
        if request.query_params.get("X-Amz-Signature") != f"s3cret{self._generation[name]}":
            return self._refuse(request, 403, "AccessDenied")
        if name not in self.objects:
            return self._refuse(request, 404, "NoSuchKey")
        if fault == "html":
            self._log(request, 0, 200)
            return HTMLResponse(LOGIN_PAGE)
        if fault == "503":
            return self._refuse(request, 503, "SlowDown")
        data = self.objects[name]
        headers = {"Content-Type": "application/octet-stream"}
        if self.tells_etag:
            headers["ETag"] = f'"{hashlib.md5(data).hexdigest()}-3"'
        if self.heeds_conditions and request.headers.get("If-Match") not in (None, headers.get("ETag")):
            return self._refuse(request, 412, "PreconditionFailed")
        begin, end, status = 0, len(data), 200
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
        if wanted and self.knows_ranges and fault != "no_range":
            begin, status = int(wanted[1]), 206
            end = min(len(data), int(wanted[2]) + 1) if wanted[2] else len(data)
            if begin >= len(data):
                return self._refuse(request, 416, "InvalidRange")
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{len(data)}"
        self._log(request, begin, status)
        body = bytearray(data[begin:end])
        if fault == "flip":
            body[len(body) // 2] ^= 4
        headers["Content-Length"] = str(len(body))
        breaks_after = fault if isinstance(fault, int) else None
        return StreamingResponse(self._stream(name, bytes(body), breaks_after), status, headers)

    async def _stream(self, name: str, body: bytes, breaks_after: int | None) -> AsyncIterator[bytes]:
        chunk = CHUNK if not self.rate else max(512, min(CHUNK, int(self.rate / 50)))
        for at in range(0, len(body), chunk):
            piece = body[at : at + chunk]
            if breaks_after is not None and at + len(piece) > breaks_after:
                self.sent[name] += breaks_after - at
                yield piece[: breaks_after - at]
                raise ConnectionError("the line breaks")
            self.sent[name] += len(piece)
            yield piece
            if self.rate:
                await asyncio.sleep(len(piece) / self.rate)

    def _refuse(self, request: Request, status: int, code: str) -> Response:
        self._log(request, 0, status)
        return Response(ERROR.format(code), status, media_type="application/xml")

    def _log(self, request: Request, begin: int, status: int) -> None:
        self.requests.append(Got(request.path_params["name"], begin, status, "If-Match" in request.headers))
