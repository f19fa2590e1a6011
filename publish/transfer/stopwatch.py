"""What the kinds of records of a push take, measured while it is shown how far it is."""

import time
from collections.abc import Callable

from publish.bitrix24.run import Progress


class Stopwatch:
    """Passes on to who shows it how far a push is, and counts the seconds since the last answer to what was settled by
    this one. `kinds` has rows and seconds by kind."""

    def __init__(self, shown: Progress, clock: Callable[[], float] = time.monotonic) -> None:
        self._shown, self._clock = shown, clock
        self._started_at = self._last_at = clock()
        self.kinds: dict[str, tuple[int, float]] = {}

    @property
    def seconds(self) -> float:
        """Since it began."""
        return self._clock() - self._started_at

    def expect(self, entity: str, number: int) -> None:
        self._shown.expect(entity, number)

    def settled(self, entity: str, number: int) -> None:
        now = self._clock()
        rows, seconds = self.kinds.get(entity, (0, 0.0))
        self.kinds[entity] = rows + number, round(seconds + now - self._last_at, 3)
        self._last_at = now
        self._shown.settled(entity, number)

    def note(self, text: str) -> None:
        self._shown.note(text)
