"""Before an hour of landing: does the webhook open the portal? One request, which reads."""

import asyncio

from ingest.bitrix24.client import Client
from ingest.bitrix24.errors import PortalRefused
from ingest.bitrix24.pacing import Pace
from ingest.warehouse.errors import OperatorError
from publish.bitrix24.mark import TRIVIAL
from publish.settings import Settings

PATIENCE_S = 6.0  # time for three tries where nobody listens
_GOES_ON = " so far: is SVOD_BITRIX24_WEBHOOK right? What there is to publish is tried at the end"


def problem_of(settings: Settings) -> str:
    """What would keep a push from being sent now, '' for nothing: the rest of a run is of use without a portal, too.

    Raises PortalRefused with exit status 2 where the webhook is wrong.
    """
    if settings.bitrix24_webhook is None:
        return "SVOD_BITRIX24_WEBHOOK is not set: everything but publishing is done, and the run ends with 2"
    return asyncio.run(_problem_of(settings))


def brief(problem: str) -> str:
    """The same without what is told before a run: for later."""
    return problem.removesuffix(_GOES_ON)


async def _problem_of(settings: Settings) -> str:
    told = [f"{settings.portal} does not answer"]
    pace = Pace(settings.bitrix24_rate, settings.bitrix24_burst, 0, on_pause=told.append)
    try:
        async with Client(settings.webhook(), pace) as client, asyncio.timeout(PATIENCE_S):
            await client.read([TRIVIAL])
    except TimeoutError:
        problem = told[-1].partition(": trying again")[0]
        return problem + _GOES_ON
    except PortalRefused as error:
        if error.exit_status == 2:
            raise
        return f"{error.problem} ({error.hint})"
    except OperatorError as error:
        return error.problem
    return ""
