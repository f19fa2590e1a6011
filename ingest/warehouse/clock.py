"""The time as a program of ours sees it: what the machine's clock said when it began, and what has passed since.

Somebody may put the machine's clock back in the middle of a run. What is compared within it would then be before what
came before it: a wait of ten minutes would take an hour, what was just listed would count as listed by an earlier run.
"""

import time

_BEGAN_AT = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def epoch() -> float:
    """Seconds since 1970. They only grow, also while the machine sleeps."""
    return _BEGAN_AT + time.clock_gettime(time.CLOCK_BOOTTIME)
