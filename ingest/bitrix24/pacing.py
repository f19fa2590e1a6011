"""Two limits at once: requests a second of the portal, seconds of work of every method.

Page `limits`: requests fill a leaky bucket that drips once a second; the work of a method is
summed over ten one-minute baskets, checked before each call, and every answer tells the sum (`operating`) and when
its oldest basket leaves it (`operating_reset_at`).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from ingest.warehouse.clock import epoch

BATCH = 50  # commands a request, page `settings/how-to-call-rest-api/batch`
PAGE = 50  # rows a list answer, always
WINDOW = 600.0
LONGEST_REFUSAL = 2 * WINDOW  # by then nothing of ours counts any more, and others on the webhook have had their turn
# Seconds of work of one element, from public recordings of a cloud portal; answers correct them from the first one on.
FIRST_GUESS: Mapping[str, float] = MappingProxyType(
    {"crm.item.batchImport": 0.044, "crm.item.update": 0.044, "crm.requisite.add": 0.03, "crm.requisite.update": 0.03}
)
OTHER_GUESS = 0.02
# The portal cuts a request after 60 seconds (page `limits`); what we send together should take less by its known cost.
LONGEST_REQUEST = 50.0


class Clock(Protocol):
    """The time, in seconds since the epoch, and a way to wait."""

    def time(self) -> float: ...
    async def sleep(self, seconds: float) -> None: ...


class WallClock:
    """The machine's clock, which nobody puts back here."""

    def time(self) -> float:
        return epoch()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass(slots=True)
class Method:
    """Work of one method: baskets of [first call, seconds], oldest first, what an element of it costs, how many are
    under way, and since when the portal has refused it for its limit without doing any of it."""

    cost: float
    baskets: deque[list[float]] = field(default_factory=deque)
    in_flight: int = 0
    blocked_until: float = 0.0
    refused_since: float | None = None

    def done(self, now: float) -> float:
        """Seconds of work in the window, without what is under way."""
        # A basket leaves when its last whole second has passed; the portal's clock and ours may differ by one.
        while self.baskets and now > self.baskets[0][0] + WINDOW + 1:
            self.baskets.popleft()
        return sum(seconds for _, seconds in self.baskets)

    def total(self, now: float) -> float:
        """The same with what is under way."""
        return self.done(now) + self.cost * self.in_flight

    def answered(self, elements: int) -> None:
        """So many are no longer under way."""
        self.in_flight = max(0, self.in_flight - elements)

    def observe(
        self, now: float, started: float, *, operating: float, reset_at: float, work: float, elements: int
    ) -> None:
        """Take over an answer: the portal's sum, when its oldest basket leaves, and the seconds that our elements took.

        What the sum grew by belongs to this minute, or to earlier work on the first answer.
        """
        self.answered(elements)
        grown = operating - self.done(now)
        if grown > 0:
            if not self.baskets and reset_at:
                self.baskets.append([min(reset_at - WINDOW, now), grown])
            elif self.baskets and started - self.baskets[-1][0] < 60:
                self.baskets[-1][1] += grown
            else:
                self.baskets.append([started, grown])
        elif grown < 0 and self.baskets:
            self.baskets[0][1] = max(0.0, self.baskets[0][1] + grown)
        if work > 0:
            self.cost = 0.2 * self.cost + 0.8 * work / elements


@dataclass
class Pace:
    """Lets requests through as fast as both limits allow; `rate` 0 and `operating` 0 mean no such limit."""

    rate: float
    burst: int
    operating: float
    clock: Clock = field(default_factory=WallClock)
    on_wait: Callable[[str, float], None] = lambda what, until: None  # what for, and until when
    on_pause: Callable[[str], None] = lambda text: None  # what failed, and when it is tried again
    methods: dict[str, Method] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # The portal's bucket drips in whole seconds, ours all the time: at worst we are one drip ahead of it.
        self._capacity = max(1.0, self.burst - self.rate - 1)
        self._level = 0.0
        self._level_at = self.clock.time()
        self._turn = asyncio.Lock()

    def of(self, method: str) -> Method:
        if method not in self.methods:
            self.methods[method] = Method(FIRST_GUESS.get(method, OTHER_GUESS))
        return self.methods[method]

    async def admit_request(self) -> None:
        """Wait until the bucket has room for one more request."""
        if not self.rate:
            return
        async with self._turn:
            self._drip()
            if self._level + 1 > self._capacity:
                wait = (self._level + 1 - self._capacity) / self.rate
                if wait > 5:
                    self.on_wait("the portal's request limit", self.clock.time() + wait)
                await self.clock.sleep(wait)
                self._drip()
            self._level += 1

    def request_refused(self) -> None:
        """The portal says its bucket is full, whatever we thought (another program may share our address)."""
        self._drip()
        self._level = self._capacity

    def _drip(self) -> None:
        now = self.clock.time()
        self._level = max(0.0, self._level - (now - self._level_at) * self.rate)
        self._level_at = now

    def room(self, method: str) -> float:
        """How many elements of a method may be sent now without its work passing the limit."""
        now, state = self.clock.time(), self.of(method)
        if now < state.blocked_until:
            return 0.0
        if not self.operating:
            return float("inf")
        return max(0.0, (self.operating - state.total(now)) / max(state.cost, 1e-6))

    def fits(self, wanted: list[tuple[str, int]]) -> list[bool]:
        """Which (method, elements) may go now in one request: within each method's room and a request's time."""
        taken: dict[str, float] = {}
        seconds, fitting = 0.0, []
        for method, elements in wanted:
            cost = self.of(method).cost * elements
            has_room = taken.get(method, 0) + elements <= self.room(method) or self._is_idle(method, taken)
            is_fitting = has_room and (not seconds or seconds + cost <= LONGEST_REQUEST)
            if is_fitting:
                taken[method] = taken.get(method, 0) + elements
                seconds += cost
            fitting.append(is_fitting)
        return fitting

    def _is_idle(self, method: str, taken: Mapping[str, float]) -> bool:
        """Whether nothing of it counts or is about to: what takes longer than the limit would wait for ever."""
        now, state = self.clock.time(), self.of(method)
        return now >= state.blocked_until and not taken.get(method) and not state.total(now)

    def sent(self, method: str, elements: int) -> None:
        self.of(method).in_flight += elements

    def not_executed(self, method: str, elements: int) -> None:
        """What was sent did not reach the portal, or the portal looked at none of it."""
        self.of(method).answered(elements)

    def lost(self, method: str, elements: int) -> None:
        """No answer came: assume that the work was done."""
        state, now = self.of(method), self.clock.time()
        state.answered(elements)
        state.baskets.append([now, state.cost * elements])

    def done(self, method: str) -> None:
        """The portal has done some of it: its limit is no wall."""
        self.of(method).refused_since = None

    def given_up(self, methods: Iterable[str]) -> str:
        """One of the methods that the portal has refused for longer than what was done of it can count; else ''."""
        now = self.clock.time()
        refusals = ((self.of(method).refused_since, method) for method in sorted(methods))
        return next((method for since, method in refusals if since is not None and now - since > LONGEST_REFUSAL), "")

    def method_refused(self, method: str, elements: int) -> None:
        """The method is over its limit: nothing of it until its oldest basket leaves, at least ten seconds."""
        state, now = self.of(method), self.clock.time()
        state.answered(elements)
        state.refused_since = now if state.refused_since is None else state.refused_since
        oldest = state.baskets[0][0] + WINDOW + 1 if state.baskets and self.operating else now
        state.blocked_until = max(now + 10, min(oldest, now + WINDOW))

    async def wait_for_room(self, methods: set[str]) -> None:
        """Wait until one of the methods has work left."""
        now = self.clock.time()
        chances = []
        for method in methods:
            state = self.of(method)
            state.done(now)
            if now < state.blocked_until:
                chances.append((state.blocked_until, method))
            elif state.baskets:
                chances.append((state.baskets[0][0] + WINDOW + 1.001, method))
            else:
                chances.append((now + 0.05, method))  # its work is in flight; the answer will tell
        until, method = min(chances)
        if until - now > 5:
            self.on_wait(f"operating time of {method}", until)
        await self.clock.sleep(max(0.05, until - now))
