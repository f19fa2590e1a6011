"""How long a portal that does not answer, or fails, is waited for, and what the operator hears meanwhile."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from ingest.bitrix24.errors import PortalUnavailable
from ingest.bitrix24.pacing import LONGEST_REFUSAL, WINDOW, Pace

MOST = 9  # failures in a row before the portal counts as unreachable
# Longer than the 60 seconds after which the portal gives a request up: who hears nothing by then never will.
LONGEST_ANSWER = 75.0
LONGEST_CONNECT = 4.0  # a connection takes three round trips, or is lost
_SLOW = 10.0  # seconds without an answer before it is said that one is waited for


class Patience:
    """Counts failures in a row. `variable` is the setting that has the webhook, for hints."""

    def __init__(self, pace: Pace, variable: str) -> None:
        self._pace, self._variable = pace, variable
        self.failures = 0

    async def failed(self, host: str, problem: str, *, is_said: bool = False) -> None:
        """Wait before the next try, which is said at the first failure or when it is the second. Raises
        PortalUnavailable after many."""
        self.failures += 1
        if self.failures >= MOST:
            raise self.unavailable(host, problem, self.failures)
        seconds = pause(self.failures)
        if is_said or self.failures > 1:
            self._pace.on_pause(f"{host} {problem}: trying again in {seconds:g} s ({self.failures} of {MOST})")
        await self._pace.clock.sleep(seconds)

    def unavailable(self, host: str, problem: str, times: int) -> PortalUnavailable:
        """The portal does not answer, or not with what a portal answers."""
        return PortalUnavailable(
            f"{host} {problem}, {times} times in a row",
            hint=f"is the portal up, and {self._variable} right? what was done stays; run the same command again later",
        )

    def refuses_for_ever(self, host: str, method: str) -> PortalUnavailable:
        """A limit that does not pass although what it counts has."""
        return PortalUnavailable(
            f"{host} has refused {method} for its operating time for {LONGEST_REFUSAL / 60:.0f} minutes, and its limit "
            f"counts the last {WINDOW / 60:.0f}",
            hint="does another program use this webhook? what was done stays; run the same command again later",
        )

    @contextmanager
    def said_when_slow(self, host: str) -> Iterator[None]:
        """Say what is waited for where an answer does not come at once."""
        until = self._pace.clock.time() + LONGEST_ANSWER
        timer = asyncio.get_running_loop().call_later(_SLOW, self._pace.on_wait, f"an answer of {host}", until)
        try:
            yield
        finally:
            timer.cancel()


def pause(failures: int) -> float:
    """Seconds to wait after so many failures in a row: half a second at first, at most half a minute."""
    return float(min(30, 0.25 * 2.0**failures))
