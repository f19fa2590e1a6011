"""The portal's HTTP side: webhook addresses, the forms parameters come in, limits and faults on the way.

Pages `settings/how-to-call-rest-api/general-principles`, `.../data-encoding`, `limits`. Parameters come in the query
string, a form or a JSON body; JSON is read only under its content type.
"""

import asyncio
import email
import email.policy
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from publish.sandbox import files, php
from publish.sandbox.engine import SCOPES, Engine
from publish.sandbox.faults import Faults
from publish.sandbox.limits import Clock, Limits
from publish.sandbox.methods import ApiError
from publish.sandbox.view import Portal

_BEFORE = {
    "error_500": (500, {"error": "INTERNAL_SERVER_ERROR", "error_description": "Internal server error"}),
    "query_limit": (503, {"error": "QUERY_LIMIT_EXCEEDED", "error_description": "Too many requests"}),
    "overload": (503, {"error": "OVERLOAD_LIMIT", "error_description": "REST API is blocked due to overload"}),
    "operation_limit": (
        429,
        {"error": "OPERATION_TIME_LIMIT", "error_description": "Method is blocked due to operation time limit."},
    ),
}
_HTML = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center><hr>nginx</body></html>"


class ConnectionDropped(httpx.RemoteProtocolError):
    """The connection was closed without an answer, as a client calling the application in-process sees it."""


class _Dropped(Response):
    """No answer at all: the connection is closed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _close_connection(scope):
            raise ConnectionDropped("Server disconnected without sending a response.")


class _HalfBody(Response):
    """An answer that stops in the middle of its body; the server closes the connection on it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["app"].state.connections:
            raise ConnectionDropped("peer closed connection without sending complete message body")
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = self.body[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})


def _close_connection(scope: Scope) -> bool:
    transport = scope["app"].state.connections.get(tuple(scope.get("client") or ()))
    if transport is None:
        return False
    transport.abort()
    return True


def _json(body: dict[str, Any], status: int, kind: type[Response] = Response) -> Response:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return kind(text.encode(), status, media_type="application/json; charset=utf-8")


async def _parameters(request: Request) -> dict[str, Any]:
    params = php.parse_str(request.url.query)
    body = await request.body()
    kind = request.headers.get("content-type", "")
    if not body:
        return params
    if kind.startswith("application/json"):
        try:
            sent = json.loads(body)
        except ValueError:
            return params
        return params | (php.plain(sent) if isinstance(sent, dict) else dict(php.pairs(sent)) if sent else {})
    if kind.startswith("application/x-www-form-urlencoded"):
        return params | php.parse_str(body.decode())
    if kind.startswith("multipart/form-data"):
        return params | _multipart(kind, body)
    return params


def _multipart(kind: str, body: bytes) -> dict[str, Any]:
    message = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body, policy=email.policy.HTTP)
    fields: dict[str, Any] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes), "a part of a form has no parts of its own"
        php.put(fields, str(name), content.decode())
    return {key: php.plain(value) for key, value in fields.items()}


async def _rest(request: Request) -> Response:
    engine: Engine = request.app.state.engine
    name = request.path_params["method"].strip("/").removesuffix(".json")
    fault = engine.faults.draw()
    if fault == "refuse":
        engine.refuse(name, 0, {}, fault)
        return _Dropped()
    params = await _parameters(request)
    source = request.client.host if request.client else "in-process"
    turned_away = _turned_away(request, engine, source, name, fault)
    if turned_away is not None:
        status, body = turned_away
        engine.refuse(name, status, body, fault)
        return _json(body, status)
    if name == "download":
        return _file(engine, str(params.get("token")))
    status, body, _ = engine.request(name, params, fault=fault)
    if fault in ("lose_answer", "cut"):
        return _Dropped()
    if fault == "half_body":
        return _json(body, status, _HalfBody)
    if fault in ("bad_gateway", "gateway_timeout"):
        code, title = (502, "502 Bad Gateway") if fault == "bad_gateway" else (504, "504 Gateway Time-out")
        return HTMLResponse(_HTML.format(title), code)
    if fault == "slow":
        await asyncio.sleep(engine.faults.delay)
    return _json(body, status)


def _file(engine: Engine, token: str) -> Response:
    with engine.store.lock:
        found = files.content(engine.store, token)
    if found is None:
        return _json(ApiError("NOT_FOUND", "File not found").body, 404)
    name, content = found
    headers = {"content-disposition": f"attachment; filename*=utf-8''{quote(name)}"}
    return Response(content, media_type="application/octet-stream", headers=headers)


def _turned_away(
    request: Request, engine: Engine, source: str, name: str, fault: str | None
) -> tuple[int, dict[str, Any]] | None:
    """Status and error of a request that is not executed; None lets it through."""
    if fault in _BEFORE and not (fault == "operation_limit" and name.lower() == "batch"):
        return _BEFORE[fault]
    given = (request.path_params.get("user"), request.path_params.get("secret"))
    if given == (None, None):
        return 401, ApiError("NO_AUTH_FOUND", "Wrong authorization data").body
    if given != (str(engine.user), request.app.state.secret):
        return 401, ApiError("INVALID_CREDENTIALS", "Invalid request credentials").body
    if not engine.meter.admit(source):
        return _BEFORE["query_limit"]
    return None


async def _set_faults(request: Request) -> Response:
    try:
        request.app.state.engine.faults.configure(json.loads(await request.body()))
    except (ValueError, TypeError, AttributeError) as error:
        return JSONResponse({"error": str(error)}, 400)
    return JSONResponse({"ok": True})


async def _stats(request: Request) -> Response:
    return JSONResponse(request.app.state.portal.stats())


def create_app(
    state: Path | str = ":memory:",
    *,
    limits: Limits | None = None,
    faults: Faults | None = None,
    clock: Clock | None = None,
    secret: str = "sandbox",
    user: int = 1,
    scopes: Iterable[str] = SCOPES,
) -> Starlette:
    """The portal as an ASGI application.

    `state` is a file that outlives the process, or `:memory:`. Its webhook is `/rest/{user}/{secret}/`; it has the
    scope `crm` and those of `scopes`. Faults are
    changed at run time by `POST /_sandbox/faults` (see `Faults.configure`), counts read from `GET /_sandbox/stats`.
    `app.state.portal` is a view of the state for tests, `app.state.engine.faults` the faults in force.
    """
    routes = [
        Route("/rest/{user}/{secret}/{method:path}", _rest, methods=["GET", "POST"]),
        Route("/rest/{method:path}", _rest, methods=["GET", "POST"]),
        Route("/_sandbox/faults", _set_faults, methods=["POST"]),
        Route("/_sandbox/stats", _stats, methods=["GET"]),
    ]
    app = Starlette(routes=routes)
    app.state.secret = secret
    app.state.connections = {}
    install_engine(app, state, limits=limits, faults=faults, clock=clock, user=user, scopes=scopes)
    return app


def install_engine(
    app: Starlette,
    state: Path | str,
    *,
    limits: Limits | None = None,
    faults: Faults | None = None,
    clock: Clock | None = None,
    user: int = 1,
    scopes: Iterable[str] = SCOPES,
) -> None:
    """Put a portal behind the application, in the place of the one that was there."""
    app.state.engine = Engine(
        state, limits or Limits.standard(), faults or Faults(), clock, user, scopes, app.state.secret
    )
    app.state.portal = Portal(app.state.engine.store)
