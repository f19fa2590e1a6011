"""The time as a program of ours sees it: what the machine's clock said when it began, and what has passed since.

Somebody may put the machine's clock back in the middle of a run. What is compared within it would then be before what
came before it: a wait of ten minutes would take an hour, what was just listed would count as listed by an earlier run.
"""

import time
from datetime import timedelta

_BEGAN_AT = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def epoch() -> float:
    """Seconds since 1970. They only grow, also while the machine sleeps."""
    return _BEGAN_AT + time.clock_gettime(time.CLOCK_BOOTTIME)


def duration(seconds: float) -> str:
    """For people: 40 s, 12 min, 3 h 05 min, 2 days."""
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if days > 1:
        return f"{days} days"
    return f"{hours} h {minutes % 60:02} min" if hours else f"{minutes} min" if minutes else f"{max(0, int(seconds))} s"


def ago(age: timedelta) -> str:
    """For people, in a sentence: 12 minutes ago, 2 days ago; by the one unit that says most."""
    seconds = max(0.0, age.total_seconds())
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        number = int(seconds // length)
        if number > 1 or (number == 1 and unit != "day"):
            return f"{number} {unit}{'' if number == 1 else 's'} ago"
    return f"{int(seconds)} second{'' if int(seconds) == 1 else 's'} ago"
