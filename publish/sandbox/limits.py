"""The portal's two limits, on a clock that tests may turn.

Requests: a leaky bucket per source address, counted in HTTP requests. Work: the time a method has taken, summed per
method in one-minute baskets that live ten minutes. Page `limits`. Costs are assumptions: `crm.item.add` and
`crm.contact.add` from public recordings of a cloud portal, the others set beside them by likeness.
"""

import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

COSTS: Mapping[str, float] = MappingProxyType(
    {
        "crm.item.add": 0.044,
        "crm.item.update": 0.044,
        "crm.item.import": 0.044,
        "crm.item.batchimport": 0.044,  # for each element: ten times cheaper imports have not been seen
        "crm.item.delete": 0.044,
        "crm.item.list": 0.010,
        "crm.company.add": 0.094,
        "crm.company.update": 0.094,
        "crm.contact.add": 0.094,
        "crm.contact.update": 0.094,
        "crm.deal.add": 0.094,
        "crm.deal.update": 0.094,
        "crm.requisite.add": 0.030,
        "crm.requisite.update": 0.030,
        "crm.entity.mergebatch": 0.500,
    }
)
WRITE_COST, READ_COST = 0.020, 0.005


class Clock(Protocol):
    """Where the sandbox reads the time, in seconds since the epoch."""

    def time(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """A tariff: `rate` requests leave the bucket a second, `burst` fit in, `operating_seconds` of work a method may
    take in `operating_window` seconds. `costs` are seconds by method, beside or instead of the built-in ones."""

    rate: float = 2
    burst: int = 50
    operating_seconds: float = 480
    operating_window: int = 600
    enabled: bool = True
    costs: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def standard(cls) -> "Limits":
        """All plans but the largest: 2 requests a second, 50 at once."""
        return cls()

    @classmethod
    def enterprise(cls) -> "Limits":
        return cls(rate=5, burst=250)

    @classmethod
    def none(cls) -> "Limits":
        """A self-hosted portal: no request limit, and the operating limit is off by default."""
        return cls(enabled=False)


@dataclass(slots=True)
class Bucket:
    """A leaky bucket that drips once a second, by `rate` at a time, as the reference describes it."""

    level: float = 0
    drips_since: float | None = None

    def admit(self, now: float, limits: Limits) -> bool:
        """Count a request in, or refuse it (a refused one is not counted)."""
        if self.drips_since is None:
            self.drips_since = now
        drips = math.floor(now - self.drips_since)
        if drips > 0:
            self.drips_since += drips
            self.level = max(0.0, self.level - drips * limits.rate)
        if self.level + 1 > limits.burst:
            return False
        self.level += 1
        return True


class Operating:
    """Seconds of work of one method: baskets of (first call, seconds), oldest first."""

    __slots__ = ("baskets", "window")

    def __init__(self, window: int):
        self.baskets: deque[list[float]] = deque()
        self.window = window

    def total(self, now: float) -> float:
        while self.baskets and now >= self.baskets[0][0] + self.window:
            self.baskets.popleft()
        return sum(seconds for _, seconds in self.baskets)

    def add(self, now: float, seconds: float) -> None:
        if self.baskets and int(self.baskets[-1][0] // 60) == int(now // 60):
            self.baskets[-1][1] += seconds
        else:
            self.baskets.append([int(now), seconds])

    def reset_at(self, now: float) -> int:
        """When the oldest basket leaves the sum."""
        return int(self.baskets[0][0] if self.baskets else now) + self.window


class Meter:
    """Both limits of one portal."""

    def __init__(self, limits: Limits, clock: Clock | None):
        self.limits = limits
        self.now = (clock or time).time
        self._costs = dict(COSTS) | {name.lower(): seconds for name, seconds in limits.costs.items()}
        self._buckets: dict[str, Bucket] = {}
        self._methods: dict[str, Operating] = {}

    def admit(self, source: str) -> bool:
        """Whether a request from this address fits in."""
        if not self.limits.enabled:
            return True
        return self._buckets.setdefault(source, Bucket()).admit(self.now(), self.limits)

    def cost(self, method: str, writes: bool) -> float:
        """Seconds of work one call takes; of `crm.item.batchImport`, one element."""
        return self._costs.get(method.lower(), WRITE_COST if writes else READ_COST)

    def of(self, method: str) -> Operating:
        name = method.lower()
        found = self._methods.get(name)
        if found is None:
            found = self._methods[name] = Operating(self.limits.operating_window)
        return found

    def is_blocked(self, method: str) -> bool:
        """Whether the method has had more than its share: checked before a call, so the last one may overshoot."""
        return self.limits.enabled and self.of(method).total(self.now()) > self.limits.operating_seconds
