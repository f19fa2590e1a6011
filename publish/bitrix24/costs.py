"""What a forecast reckons with: the limits of a portal as set, and what things cost there by our first guesses."""

from ingest.bitrix24.pacing import BATCH, FIRST_GUESS, LONGEST_REQUEST, OTHER_GUESS, PAGE, WINDOW
from publish.forecast import Limits


def limits(rate: float, burst: int, operating: float) -> Limits:
    """Limits and costs for `forecast.summary`; `rate` and `operating` as in `pacing.Pace`."""
    return Limits(
        rate=rate,
        burst=burst,
        operating=operating,
        window=WINDOW,
        costs=FIRST_GUESS,
        other_cost=OTHER_GUESS,
        batch=BATCH,
        listing="crm.*.list",
        page=PAGE,
        longest_request=LONGEST_REQUEST,
    )
