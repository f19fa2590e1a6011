"""The portal on a loopback port: in a thread for tests and the demo, in the foreground for `publish sandbox`."""

import asyncio
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from publish.sandbox.app import create_app, install_engine
from publish.sandbox.faults import Faults
from publish.sandbox.limits import Limits
from publish.sandbox.view import Portal

HOST = "127.0.0.1"


def _protocol(app: Starlette) -> type[H11Protocol]:
    """A protocol that lets the application find the connection of a request, to break it."""

    class TrackedProtocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
            super().connection_made(transport)
            app.state.connections[tuple(self.client or ())] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            app.state.connections.pop(tuple(self.client or ()), None)
            super().connection_lost(exc)

    return TrackedProtocol


def _server(app: Starlette, certfile: Path | None, keyfile: Path | None) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http=_protocol(app),
        log_level="critical",
        lifespan="off",
        timeout_keep_alive=120,
        timeout_graceful_shutdown=1,
        ssl_certfile=certfile,
        ssl_keyfile=keyfile,
    )
    return uvicorn.Server(config)


def _listen(host: str, port: int) -> socket.socket:
    # The protocol is named, or asyncio leaves Nagle's algorithm on and every answer waits 40 ms for an acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(128)
    return listener


def _webhook(listener: socket.socket, app: Starlette, *, tls: bool) -> str:
    host, port = listener.getsockname()[:2]
    scheme, host = ("https", "localhost") if tls else ("http", host)
    return f"{scheme}://{host}:{port}/rest/{app.state.engine.user}/{app.state.secret}/"


def serve(
    state: Path | str = ":memory:",
    host: str = HOST,
    port: int = 0,
    limits: Limits | None = None,
    faults: Faults | None = None,
    *,
    certfile: Path | None = None,
    keyfile: Path | None = None,
    secret: str = "sandbox",
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve a portal until interrupted. `on_ready` gets the webhook address once the port is bound (0: a free one).

    Raises OSError when the port is taken.
    """
    app = create_app(state, limits=limits, faults=faults, secret=secret)
    with _listen(host, port) as listener:
        if on_ready is not None:
            on_ready(_webhook(listener, app, tls=certfile is not None))
        _server(app, certfile, keyfile).run(sockets=[listener])


class RunningSandbox:
    """A portal served from a thread of this process: a context manager with `webhook`, `portal`, `faults`, `stop()`.

    Takes what `create_app` takes, and `port`, `certfile`, `keyfile`. Tests may share one and `start_over`.
    """

    def __init__(
        self,
        state: Path | str = ":memory:",
        *,
        port: int = 0,
        certfile: Path | None = None,
        keyfile: Path | None = None,
        **settings: Any,
    ):
        self.app = create_app(state, **settings)
        self._listener = _listen(HOST, port)
        self._server = _server(self.app, certfile, keyfile)
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],), daemon=True)
        self.webhook = _webhook(self._listener, self.app, tls=certfile is not None)
        # The port is bound: a client that comes before the first turn of the loop waits in the backlog.
        self._thread.start()

    @property
    def portal(self) -> Portal:
        portal: Portal = self.app.state.portal
        return portal

    @property
    def faults(self) -> Faults:
        faults: Faults = self.app.state.engine.faults
        return faults

    def start_over(self, state: Path | str = ":memory:", **settings: Any) -> None:
        """Go on at the same address with another state, limits, faults or clock; the state so far is closed."""
        held = self.app.state.engine.store
        with held.lock:
            install_engine(self.app, state, **settings)
            held.close()

    def stop(self) -> None:
        """Stop serving and close the state file; a second call does nothing."""
        if self._thread.is_alive():
            self._server.should_exit = True
            self._thread.join()
            self._listener.close()
            self.app.state.engine.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
