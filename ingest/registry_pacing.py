"""How fast the registry is asked: turns under its ceiling, connections under its limit, no more at once than needed.

The service counts requests as they arrive, so a turn is waited for right before a request is written, its connection
made: what the handshakes of new connections take moves no request into another second.
Source: DaData, "Ограничение на количество новых соединений": 60 a minute; findById/party: 30 requests a second.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from math import ceil
from time import monotonic
from typing import Any, ClassVar

MARGIN = 1.05  # a second of the service's may hold what we sent in so much of ours: requests take unequally long
CATCH_UP_S = 0.1  # a loop that was kept from running may make up for so much, within the limit
SLOWER, SLOWEST = 0.95, 0.5  # by a 429: the key may be used by others, too
FASTER = 1.002  # by an answer
FIRST_GUESS_S = 0.4  # of an answer
SPARE = 1.3  # requests at once, as many as latency needs and some that wait for their turn
CONNECTIONS_A_MINUTE = 55
SPARE_CONNECTIONS = 10  # for those that the service closes
MOST_AT_ONCE = 150


class Pace:
    """Turns of requests: evenly spaced, and never more in a second than are allowed, late ones made up for included.

    Slower after a refusal, then little by little as fast as before.
    """

    def __init__(self, allowed: float) -> None:
        """`allowed`: requests a second."""
        self._ceiling = self.rate = allowed / MARGIN
        self._next = 0.0
        self._sent: deque[float] = deque(maxlen=max(1, int(allowed)))
        self._window_s = (self._sent.maxlen or 1) / self._ceiling
        self._gate = asyncio.Lock()

    async def turn(self) -> None:
        """Wait for one's turn."""
        async with self._gate:
            while (wait := max(self._next, self._room_at()) - monotonic()) > 0:  # noqa: ASYNC110
                await asyncio.sleep(wait)  # a refusal may put the turn off meanwhile
            now = monotonic()
            self._sent.append(now)
            self._next = max(self._next, now - CATCH_UP_S) + 1 / self.rate

    def _room_at(self) -> float:
        return self._sent[0] + self._window_s if len(self._sent) == self._sent.maxlen else 0.0

    def refused(self, pause_s: float) -> None:
        """Too fast, says the service: nobody's turn comes before the pause is over."""
        self.rate = max(self._ceiling * SLOWEST, self.rate * SLOWER)
        self._next = max(self._next, monotonic() + pause_s)

    def answered(self) -> None:
        """The service has taken a request."""
        self.rate = min(self._ceiling, self.rate * FASTER)


class Doors:
    """New connections, so many in any minute; a service that closes them after each answer is asked no faster."""

    opened: ClassVar[deque[float]] = deque()  # by this process: one that stays asks again and again, each time anew

    def __init__(self, on_wait: Callable[[float], None] = lambda seconds: None) -> None:
        """`on_wait` is told how many seconds it takes until another one may be opened."""
        self._on_wait = on_wait
        self._own = 0
        self._gate = asyncio.Lock()

    async def open(self) -> None:
        """Wait until one more may be opened."""
        async with self._gate:
            if self._left() <= 0 and (wait := self.opened[0] + 60 - monotonic()) > 0:
                self._on_wait(wait)
                await asyncio.sleep(wait)
            self.opened.append(monotonic())
            self._own += 1

    def failed(self) -> None:
        """One of them could not be opened."""
        if self._own:
            self.opened.pop()
            self._own -= 1

    @property
    def most(self) -> int:
        """Connections that there may be by now, if few were closed."""
        return max(1, min(MOST_AT_ONCE, self._own + self._left() - SPARE_CONNECTIONS))

    def _left(self) -> int:
        while self.opened and self.opened[0] + 60 < monotonic():
            self.opened.popleft()
        return CONNECTIONS_A_MINUTE - len(self.opened)


class Flow:
    """The pace, the connections, and from the measured latency how many requests are under way at a time."""

    def __init__(self, allowed: float, on_wait: Callable[[float], None]) -> None:
        self.pace, self.doors = Pace(allowed), Doors(on_wait)
        self._latency_s = FIRST_GUESS_S
        self._is_known = False  # whether the service takes our requests at all

    @property
    def at_once(self) -> int:
        """Requests under way at a time; one until it is known that the key is good and has requests left."""
        needed = ceil(self.pace.rate * self._latency_s * SPARE) + 1 if self._is_known else 1
        return min(needed, self.doors.most)

    def go_ahead(self) -> None:
        """The service has not refused the key: it may be asked for more at once."""
        self._is_known = True

    def answered(self, seconds: float) -> None:
        """The service has taken a request and answered after so many seconds."""
        self.pace.answered()
        self._latency_s += (seconds - self._latency_s) / 10

    async def on_event(self, name: str, _: dict[str, Any], sent: Callable[[], None]) -> None:
        """What httpcore is about to do for a request, told by its extension `trace`; `sent`: its turn has come."""
        if name == "connection.connect_tcp.started":
            await self.doors.open()
        elif name == "connection.connect_tcp.failed":
            self.doors.failed()
        elif name == "http11.send_request_headers.started":
            await self.pace.turn()
            sent()
