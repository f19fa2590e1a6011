"""Faults to switch on: what the network, the portal's front and its limits do to a client on a bad day.

Kinds, by when they strike. Before anything is executed: `refuse` (connection closed), `error_500`, `query_limit` (503
QUERY_LIMIT_EXCEEDED), `overload` (503 OVERLOAD_LIMIT), `operation_limit` (429; inside a batch one of its methods is
blocked, in `result_error` with HTTP 200). Half-way: `cut` (a batch stops after some of its commands and the connection
closes, as a request of more than 60 seconds does). After all of it was executed: `lose_answer` (connection closed),
`half_body`, `bad_gateway` (502, HTML), `gateway_timeout` (504, HTML), `slow` (answers after `delay` seconds).
"""

import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

KINDS = (
    "refuse", "lose_answer", "half_body", "error_500", "bad_gateway", "gateway_timeout", "query_limit", "overload",
    "operation_limit", "cut", "slow",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ScriptedError:
    """An error answer for the next calls of a method (`*`: any), alone or inside a batch; the texts are as given."""

    method: str
    error: str
    description: str = ""
    status: int = 400
    times: int = 1


@dataclass(slots=True)
class Faults:
    """Faults by chance (`rate` of all requests, one of `kinds`) and by script (`next_requests`, `errors`).

    The same seed and the same requests give the same faults.
    """

    rate: float = 0.0
    kinds: frozenset[str] = frozenset(KINDS)
    seed: int | None = None
    delay: float = 2.0
    next_requests: deque[str | None] = field(default_factory=deque)
    errors: list[ScriptedError] = field(default_factory=list)
    dice: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.kinds = self._known(self.kinds)
        self.dice = random.Random(self.seed)

    @staticmethod
    def _known(kinds: Iterable[str]) -> frozenset[str]:
        unknown = set(kinds) - set(KINDS)
        if unknown:
            raise ValueError(f"no such fault: {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
        return frozenset(kinds)

    def script(self, *kinds: str | None) -> None:
        """Faults of the next requests in turn; None lets one through."""
        self._known(kind for kind in kinds if kind is not None)
        self.next_requests.extend(kinds)

    def fail(self, method: str, error: str, description: str = "", status: int = 400, times: int = 1) -> None:
        """Answer the next `times` calls of a method with this error, and execute nothing for them."""
        self.errors.append(ScriptedError(method.lower(), error, description, status, times))

    def configure(self, settings: dict[str, Any]) -> None:
        """Change faults at run time: `rate`, `kinds`, `seed`, `delay`, `next` (kinds or null), `errors`, `clear`.

        Raises ValueError for an unknown kind, TypeError for a misshapen error.
        """
        if settings.get("clear"):
            self.rate = 0.0
            self.next_requests.clear()
            self.errors.clear()
        self.rate = float(settings.get("rate", self.rate))
        self.kinds = self._known(settings.get("kinds", self.kinds))
        self.delay = float(settings.get("delay", self.delay))
        if "seed" in settings:
            self.dice.seed(settings["seed"])
        self.script(*settings.get("next", ()))
        for error in settings.get("errors", ()):
            self.fail(**error)

    def draw(self) -> str | None:
        """The fault of the request that just came in."""
        if self.next_requests:
            return self.next_requests.popleft()
        if self.rate and self.dice.random() < self.rate:
            return self.dice.choice(sorted(self.kinds))
        return None

    def scripted_error(self, method: str) -> ScriptedError | None:
        """The error this call of a method has to answer with."""
        name = method.lower()
        for index, error in enumerate(self.errors):
            if error.method in (name, "*"):
                left = error.times - 1
                self.errors[index : index + 1] = (
                    [ScriptedError(error.method, error.error, error.description, error.status, left)] if left else []
                )
                return error
        return None
