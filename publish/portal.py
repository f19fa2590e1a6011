"""REST client of a Bitrix24 portal: batches, both limits, errors told apart by code, lost answers from refusals.

Pages `settings/how-to-call-rest-api/batch`, `limits`, `_includes/system-errors`. Everything goes through `batch`: one
request, up to 50 commands, HTTP 200 whatever became of them.
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any
from urllib.parse import quote_plus, urlsplit

import httpx
from pydantic import SecretStr

from ingest.warehouse.errors import OperatorError
from publish.pacing import Pace

BATCH = 50  # commands a request, page `batch`
PAGE = 50  # rows a list answer, always
_PATIENCE = 9  # failures in a row before the portal counts as unreachable


class PortalRefused(OperatorError):
    """The portal refuses everything we do: rights, tariff, a wrong webhook, a blocked or deleted portal."""


class PortalUnavailable(OperatorError):
    """The portal does not answer, or not with what a portal answers."""


class Kind(Enum):
    """What an error asks of us."""

    LIMIT = "wait, then the same again: it was not executed"
    UNKNOWN = "it may have been executed: look before sending again"
    STOP = "it concerns everything: stop"
    RECORD = "it concerns this record: set it aside"


# Codes of page `_includes/system-errors` and of the pages of the methods used. 503 and 403 come with several of them,
# so the code decides; what is not here concerns the record.
_LIMIT = {"QUERY_LIMIT_EXCEEDED", "OPERATION_TIME_LIMIT"}
_UNKNOWN = {"INTERNAL_SERVER_ERROR", "ERROR_UNEXPECTED_ANSWER"}
_STOP = {
    "NO_AUTH_FOUND": "the webhook is wrong or was deleted: check SVOD_BITRIX24_WEBHOOK",
    "INVALID_CREDENTIALS": "the webhook is wrong or its user may not: check SVOD_BITRIX24_WEBHOOK",
    "EXPIRED_TOKEN": "the webhook has expired: create another one",
    "INSUFFICIENT_SCOPE": "give the webhook the right `crm`",
    "ACCESS_DENIED": "the webhook's user needs the rights to read, add, change and import in CRM; a paid plan",
    "ALLOWED_ONLY_INTRANET_USER": "the webhook must belong to an employee, not to a guest",
    "USER_ACCESS_ERROR": "the administrator has not let this user use the application",
    "INVALID_REQUEST": "use the https address of the portal",
    "PORTAL_DELETED": "the portal is closed: ask its administrator",
    "OVERLOAD_LIMIT": "the portal's REST API was blocked by hand: ask Bitrix24 support",
    "CREATE_DYNAMIC_ITEM_RESTRICTED": "the portal's plan does not allow it",
    "UPDATE_DYNAMIC_ITEM_RESTRICTED": "the portal's plan does not allow it",
    "CRM_FEATURE_RESTRICTION_ERROR": "the portal's plan does not allow it",
    "ERROR_METHOD_NOT_FOUND": "the portal does not know this method: is the CRM module on and up to date?",
    "ERROR_MANIFEST_IS_NOT_AVAILABLE": "the portal is not ready: ask its administrator",
    "ERROR_BATCH_METHOD_NOT_ALLOWED": "please report this",
    "ERROR_BATCH_LENGTH_EXCEEDED": "please report this",
    "MAX_IMPORT_BATCH_SIZE_EXCEEDED": "please report this",
}
_WRONG_WEBHOOK = {"NO_AUTH_FOUND", "INVALID_CREDENTIALS", "EXPIRED_TOKEN"}


@dataclass(frozen=True, slots=True)
class PortalError:
    """An error answer. `code` may be empty or a number: some methods only write a description."""

    code: str
    description: str

    @property
    def kind(self) -> Kind:
        code = self.code.upper()
        if code in _LIMIT:
            return Kind.LIMIT
        if code in _UNKNOWN:
            return Kind.UNKNOWN
        if code in _STOP or self.description.strip(" .!").lower() == "access denied":
            return Kind.STOP
        return Kind.RECORD

    def stop(self) -> PortalRefused:
        """The exception of an error that concerns everything."""
        code = self.code.upper() if self.code.upper() in _STOP else "ACCESS_DENIED"
        said = " ".join(part for part in (self.code, self.description) if part)
        status = 2 if code in _WRONG_WEBHOOK else 1
        return PortalRefused(f"the portal refuses: {said}", hint=_STOP[code], exit_status=status)


@dataclass(frozen=True, slots=True)
class Command:
    """One method call. `elements` is how many records it works on, for its share of the operating time."""

    method: str
    params: Mapping[str, Any]
    elements: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a command: its result, its error, or neither where the answer was lost."""

    result: Any = None
    error: PortalError | None = None
    is_known: bool = True

    @property
    def is_done(self) -> bool:
        return self.is_known and self.error is None


LOST = Outcome(is_known=False)


def query(params: Mapping[str, Any]) -> str:
    """Parameters as PHP reads them, `fields[PHONE][0][VALUE]=%2B7`; None and empty lists are empty texts."""

    def walk(name: str, value: Any) -> Iterable[str]:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                yield from walk(f"{name}[{key}]" if name else str(key), inner)
        elif isinstance(value, list | tuple) and value:
            for index, inner in enumerate(value):
                yield from walk(f"{name}[{index}]", inner)
        else:
            yield f"{quote_plus(name, safe='[]')}={quote_plus('' if value is None or value == [] else str(value))}"

    return "&".join(walk("", params))


class Portal:
    """A portal behind an inbound webhook. Use as an asynchronous context manager; calls may run concurrently."""

    def __init__(self, webhook: SecretStr, pace: Pace, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        # httpx logs every address at INFO, and ours ends with the secret.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        logging.getLogger("httpcore").setLevel(logging.WARNING)
        self._batch_url = webhook.get_secret_value().rstrip("/") + "/batch"
        self.host = urlsplit(self._batch_url).hostname or "the portal"
        self.pace = pace
        self.requests = 0
        self._failures = 0
        # Longer than the 60 seconds after which the portal gives a request up: who hears nothing by then never will.
        timeout = httpx.Timeout(75, connect=10)
        self._http = httpx.AsyncClient(transport=transport, timeout=timeout, headers={"Accept": "application/json"})

    def __repr__(self) -> str:
        return f"Portal({self.host})"

    async def __aenter__(self) -> "Portal":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def read(self, commands: Sequence[Command]) -> list[Any]:
        """Results of any number of reading commands, in order; lost answers are asked for again.

        Raises PortalRefused for an error that is not a limit: a reading command of ours has no record to blame.
        """
        found: list[Any] = [None] * len(commands)
        todo = list(range(len(commands)))
        while todo:
            turn, todo = todo[:BATCH], todo[BATCH:]
            for index, outcome in zip(turn, await self.send([commands[i] for i in turn]), strict=True):
                if outcome.is_known and outcome.error is not None:
                    raise (
                        outcome.error.stop()
                        if outcome.error.kind is Kind.STOP
                        else _unexpected(commands[index], outcome)
                    )
                if outcome.is_known:
                    found[index] = outcome.result
                else:
                    todo.append(index)
        return found

    async def send(self, commands: Sequence[Command]) -> list[Outcome]:
        """Outcomes of up to 50 commands, in order. What a limit held back is sent when there is room.

        Errors of single commands, also those that concern everything, are in the outcomes. Raises PortalRefused when
        the whole request is refused, PortalUnavailable after many failures in a row; creates then keep their open
        intents.
        """
        found: list[Outcome | None] = [None] * len(commands)
        while todo := [index for index, outcome in enumerate(found) if outcome is None]:
            fits = self.pace.fits([(commands[i].method, commands[i].elements) for i in todo])
            turn = [index for index, ok in zip(todo, fits, strict=True) if ok]
            if not turn:
                await self.pace.wait_for_room({commands[i].method for i in todo})
                continue
            try:
                outcomes = await self._request([commands[i] for i in turn])
            except (PortalRefused, PortalUnavailable):
                if any(found):
                    return [outcome or LOST for outcome in found]
                raise
            for index, outcome in zip(turn, outcomes, strict=True):
                if outcome.error is None or outcome.error.kind is not Kind.LIMIT:
                    is_known = outcome.is_known and (outcome.error is None or outcome.error.kind is not Kind.UNKNOWN)
                    found[index] = replace(outcome, is_known=is_known)
        return [outcome or LOST for outcome in found]

    async def _request(self, commands: list[Command]) -> list[Outcome]:
        body = {"halt": 0, "cmd": {f"c{i}": f"{one.method}?{query(one.params)}" for i, one in enumerate(commands)}}
        while True:
            await self.pace.admit_request()
            started = self.pace.clock.time()
            for one in commands:
                self.pace.sent(one.method, one.elements)
            self.requests += 1
            try:
                answer = await self._http.post(self._batch_url, json=body)
                decoded = answer.json()
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                for one in commands:
                    self.pace.lost(one.method, 0)
                await self._failed(f"cannot be reached ({type(error).__name__})")
                continue
            except (httpx.HTTPError, ValueError) as error:
                for one in commands:
                    self.pace.lost(one.method, one.elements)
                await self._failed(f"gave no proper answer ({type(error).__name__})")
                return [LOST] * len(commands)
            if not isinstance(decoded, dict) or "result" not in decoded:
                outcome = await self._refused(
                    commands, decoded if isinstance(decoded, dict) else {}, answer.status_code
                )
                if outcome is None:
                    continue
                return outcome
            self._failures = 0
            return self._outcomes(commands, decoded["result"], started)

    async def _refused(self, commands: list[Command], body: dict[str, Any], status: int) -> list[Outcome] | None:
        """React to an error of the whole request: None means "the same again"."""
        error = PortalError(str(body.get("error", "")), str(body.get("error_description", "")))
        if error.kind is Kind.STOP:
            raise error.stop()
        if error.kind is Kind.LIMIT:
            if error.code == "QUERY_LIMIT_EXCEEDED":
                self.pace.request_refused()
            else:
                for one in commands:
                    self.pace.method_refused(one.method, one.elements)
            await self._failed(f"is busy ({error.code})")
            return [Outcome(error=error)] * len(commands) if error.code != "QUERY_LIMIT_EXCEEDED" else None
        if error.kind is Kind.UNKNOWN or status >= 500 or "error" not in body:
            for one in commands:
                self.pace.lost(one.method, one.elements)
            await self._failed(f"failed ({error.code or status})")
            return [LOST] * len(commands)
        raise PortalRefused(
            f"the portal answered {status} {error.code} {error.description}".strip(), hint="please report this"
        )

    async def _failed(self, problem: str) -> None:
        """Count a failure, give up after many in a row, else wait: half a second at first, at most half a minute."""
        self._failures += 1
        if self._failures >= _PATIENCE:
            raise PortalUnavailable(
                f"{self.host} {problem}, {self._failures} times in a row",
                hint="what was published stays; run the same command again later",
            )
        await self.pace.clock.sleep(min(30.0, 0.25 * 2**self._failures))

    def _outcomes(self, commands: list[Command], result: Any, started: float) -> list[Outcome]:
        """Outcomes of a batch answer, whose maps are PHP arrays: `[]` when empty."""
        result = result if isinstance(result, dict) else {}
        results, errors, times = (_map(result.get(name)) for name in ("result", "result_error", "result_time"))
        now, found = self.pace.clock.time(), []
        told: dict[str, list[float]] = {}  # method -> operating, reset_at, work, elements
        for index, one in enumerate(commands):
            key = f"c{index}"
            told.setdefault(one.method, [0.0, 0.0, 0.0, 0])
            if key in times:
                spent = times[key]
                told[one.method][0] = float(spent.get("operating") or 0)
                told[one.method][1] = float(spent.get("operating_reset_at") or 0)
                told[one.method][2] += float(spent.get("duration") or 0)
            if key in errors:
                error = PortalError(str(errors[key].get("error", "")), str(errors[key].get("error_description", "")))
                found.append(Outcome(error=error))
                if error.kind is Kind.LIMIT:
                    self.pace.method_refused(one.method, one.elements)
                    continue
            elif key in results:
                found.append(Outcome(result=results[key]))
            else:
                found.append(LOST)
            told[one.method][3] += one.elements
        for method, (operating, reset_at, work, elements) in told.items():
            if elements:
                self.pace.of(method).observe(
                    now, started, operating=operating, reset_at=reset_at, work=work, elements=int(elements)
                )
        return found


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _unexpected(command: Command, outcome: Outcome) -> PortalRefused:
    error = outcome.error or PortalError("", "")
    return PortalRefused(f"{command.method}: {error.code} {error.description}".strip(), hint="please report this")


def rows_of(result: Any) -> list[dict[str, Any]]:
    """Rows of a list answer: under `items` in `crm.item.list`, the result itself in the classic methods."""
    found = result.get("items", []) if isinstance(result, dict) else result
    return found if isinstance(found, list) else list(_map(found).values())


async def list_by(
    portal: Portal, method: str, column: str, values: Sequence[Any], *, where: Mapping[str, Any], **params: Any
) -> list[dict[str, Any]]:
    """Every row whose `column` is one of `values`: 50 values a command, 50 commands a request, whole pages by id.

    Page `settings/performance/huge-data`: `start=-1` leaves the count out, and the next page begins above the last id.
    """
    key = "id" if method == "crm.item.list" else "ID"

    def command(chunk: Sequence[Any], above: int) -> Command:
        condition = {**where, f"@{column}": list(chunk)} | ({f">{key}": above} if above else {})
        return Command(method, {**params, "filter": condition, "order": {key: "ASC"}, "start": -1})

    found: list[dict[str, Any]] = []
    todo = [(values[at : at + PAGE], 0) for at in range(0, len(values), PAGE)]
    while todo:
        answers = await portal.read([command(chunk, above) for chunk, above in todo])
        again = []
        for (chunk, _), answer in zip(todo, answers, strict=True):
            rows = rows_of(answer)
            found += rows
            if len(rows) == PAGE and key in rows[-1]:
                again.append((chunk, int(rows[-1][key])))
        todo = again
    return found


def shown(value: Any) -> str:
    """A value as a person reads it in a plan or a conflict."""
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
