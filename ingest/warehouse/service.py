"""A process that stays, as whoever keeps it running sees it: it says when it is ready and that it is alive, and ends
where that does no harm.

What systemd is told are datagrams to the socket in NOTIFY_SOCKET, sd_notify(3); nobody is told anything without one.
"""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

ALIVE_EVERY_S = 1.0


class Stopped(SystemExit):
    """The process was told to stop, and is at a point where what it did before is safe: it ends well."""


class Service:
    """Told to stop by SIGTERM or Ctrl-C; the second Ctrl-C is Python's own."""

    def __init__(self) -> None:
        self.is_stopping = False
        self._said_at = -ALIVE_EVERY_S

    @contextmanager
    def stopped_by_signals(self) -> Iterator[None]:
        """Take the signals over for a while."""
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self.is_stopping = True
        tell_manager("STOPPING=1")
        if number == signal.SIGINT:
            signal.signal(number, signal.default_int_handler)

    def alive(self) -> None:
        """Call wherever the process may end, and at least once in the time that the watchdog is set to.

        Raises Stopped when it was told to.
        """
        if self.is_stopping:
            raise Stopped(0)
        if time.monotonic() - self._said_at >= ALIVE_EVERY_S:
            self._said_at = time.monotonic()
            tell_manager("WATCHDOG=1")


def tell_manager(state: str) -> None:
    """One datagram, such as READY=1; one that nobody takes is lost."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # of the abstract namespace
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.sendto(state.encode(), address)
