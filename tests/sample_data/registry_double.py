"""Stand-in for the company registry's `findById/party` on a loopback port, answering from a sample's verdicts.

Form of requests and answers: DaData, "Организация по ИНН или ОГРН" (method findById/party). Verdicts come from
registry.parquet; an INN that is not there gets the same empty list as an unknown one, for the service always answers.
"""

import asyncio
import socket
import threading
import time
from collections import Counter, defaultdict, deque
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Self

import pyarrow.parquet as pq
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .loaders import day_folder

PATH = "/suggestions/api/4_1/rs/findById/party"


def _milliseconds(day: date | None) -> int | None:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000) if day else None


def suggestion(verdict: dict[str, Any]) -> dict[str, Any]:
    """One element of `suggestions`, from a row of the verdicts file."""
    return {
        "value": verdict["short_name"] or verdict["inn"],
        "unrestricted_value": verdict["short_name"] or verdict["inn"],
        "data": {
            "inn": verdict["inn"],
            "kpp": verdict["kpp"],
            "ogrn": verdict["ogrn"],
            "type": verdict["type"],
            "branch_type": "MAIN" if verdict["type"] == "LEGAL" else None,
            "name": {"full_with_opf": verdict["full_name"], "short_with_opf": verdict["short_name"]},
            "opf": {"short": verdict["opf"]} if verdict["opf"] else None,
            "state": {
                "status": verdict["status"],
                "actuality_date": _milliseconds(verdict["actuality_date"]),
                "registration_date": _milliseconds(verdict["registration_date"]),
                "liquidation_date": _milliseconds(verdict["liquidation_date"]),
            },
            "management": {"name": verdict["director_name"], "post": verdict["director_post"]}
            if verdict["director_name"]
            else None,
            "address": {"value": verdict["address"]} if verdict["address"] else None,
        },
    }


class RunningRegistry:
    """The double, running while the `with` block does.

    `rate` is requests per second above which it answers 429, `latency` seconds an answer takes, `quota` the requests
    it takes before it answers 403. `fail_next(n, status)` makes the next n requests fail. `requests` counts the
    answers given per INN, `refused` the refusals per status, `connections` the requests per connection.
    """

    def __init__(
        self,
        folder: Path,
        *,
        rate: float = 30,
        latency: float = 0.0,
        quota: int | None = None,
        token: str = "registry-key-of-the-sample",
    ) -> None:
        self.rate, self.latency, self.quota, self.token = rate, latency, quota, token
        self.requests: Counter[str] = Counter()
        self._answers = 0  # their sum, which is asked for with every request
        self.refused: Counter[int] = Counter()
        self.connections: Counter[int] = Counter()
        self._verdicts: dict[str, list[dict]] = {}
        self._recent: deque[float] = deque()
        self._failures: deque[int] = deque()
        self.apply(folder, day=1)
        app = Starlette(routes=[Route(PATH, self._answer, methods=["POST"])])
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", timeout_keep_alive=75))
        self._thread = threading.Thread(target=lambda: self._server.run(sockets=[self._socket]), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def apply(self, folder: Path, day: int = 2) -> None:
        """Take over a day's verdicts; those of an INN replace what was known of it."""
        found = defaultdict(list)
        for verdict in pq.read_table(day_folder(folder, day) / "registry.parquet").to_pylist():
            found[verdict["inn"]].append(verdict)
        self._verdicts.update(found)

    def answered_as_active(self) -> set[str]:
        """The INNs asked for so far that are companies in business, one that reorganises included."""
        known = {inn: {verdict["status"] for verdict in self._verdicts.get(inn, ())} for inn in self.requests}
        return {inn for inn, statuses in known.items() if statuses & {"ACTIVE", "REORGANIZING"}}

    def fail_next(self, count: int, status: int) -> None:
        """Answer the next `count` requests, and no others, with `status`."""
        self._failures = deque([status] * count)

    def __enter__(self) -> Self:
        self._socket.bind(("127.0.0.1", 0))
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the registry double did not start")
            time.sleep(0.005)
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()

    # ----- answering

    async def _answer(self, request: Request) -> Response:
        self.connections[request.client.port] += 1
        if request.headers.get("Authorization") != f"Token {self.token}":
            return self._refuse(401, "Invalid token")
        if self.quota is not None and self._answers >= self.quota:
            return self._refuse(403, f"Feature 'SUGGESTIONS' disabled for token '{self.token}'")
        now = time.monotonic()
        while self._recent and self._recent[0] <= now - 1:
            self._recent.popleft()
        if len(self._recent) >= self.rate:
            return self._refuse(429, "Too many requests")
        self._recent.append(now)
        if self._failures:
            return self._refuse(self._failures.popleft(), "Something went wrong")
        if "application/json" not in request.headers.get("Content-Type", ""):
            return self._refuse(415, "Unsupported media type")
        try:
            inn = (await request.json())["query"]
        except (ValueError, KeyError, TypeError):
            return self._refuse(400, "Bad request")
        if self.latency:
            await asyncio.sleep(self.latency)
        self.requests[str(inn)] += 1
        self._answers += 1
        known = [v for v in self._verdicts.get(str(inn), ()) if v["status"] != "UNKNOWN"]
        return JSONResponse({"suggestions": [suggestion(verdict) for verdict in known]})

    def _refuse(self, status: int, message: str) -> Response:
        self.refused[status] += 1
        return JSONResponse({"family": "CLIENT_ERROR", "reason": message, "message": message}, status)
