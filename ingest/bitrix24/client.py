"""REST client of a Bitrix24 portal: batches, both limits, lost answers told apart from refusals.

Pages `settings/how-to-call-rest-api/batch`, `limits`, `_includes/system-errors`. Everything goes through `batch`: one
request, up to 50 commands, HTTP 200 whatever became of them.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
from pydantic import SecretStr

from ingest.bitrix24.answers import map_of, number_of, rows_of, seconds_of, whole
from ingest.bitrix24.download import Content, Unreadable, download
from ingest.bitrix24.errors import WEBHOOK, PortalError, PortalRefused, PortalUnavailable, Reaction
from ingest.bitrix24.pacing import BATCH, PAGE, Pace
from ingest.bitrix24.parameters import query
from ingest.bitrix24.patience import LONGEST_ANSWER, LONGEST_CONNECT, MOST, Patience, pause
from ingest.bitrix24.webhook import followed, without_secret

_REDIRECTS = (301, 302, 307, 308)


@dataclass(frozen=True, slots=True)
class Command:
    """One method call. `elements` is how many records it works on, for its share of the operating time."""

    method: str
    params: Mapping[str, Any]
    elements: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a command: its result, its error, or neither where the answer was lost.

    Of a list that counted its rows, `total` is their number, `next` where its next page begins.
    """

    result: Any = None
    error: PortalError | None = None
    is_known: bool = True
    total: int | None = None
    next: int | None = None

    @property
    def is_done(self) -> bool:
        return self.is_known and self.error is None

    @property
    def is_refused(self) -> bool:
        """The portal did not do it, for a reason that lies in the record, or in who may change it."""
        return self.error is not None and self.error.reaction in (Reaction.RECORD, Reaction.RIGHTS)

    @property
    def is_denied(self) -> bool:
        """The webhook's user may not do it."""
        return self.error is not None and self.error.reaction is Reaction.RIGHTS


LOST = Outcome(is_known=False)


@dataclass(slots=True)
class _Told:
    """What an answer tells of a method: its sum of work, when that shrinks, the seconds and number of our records."""

    operating: float = 0.0
    reset_at: float = 0.0
    work: float = 0.0
    elements: int = 0


class Client:
    """A portal behind an inbound webhook. Use as an asynchronous context manager; calls may run concurrently."""

    def __init__(
        self,
        webhook: SecretStr,
        pace: Pace,
        *,
        variable: str = WEBHOOK,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        # httpx logs every address at INFO, and ours ends with the secret.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        logging.getLogger("httpcore").setLevel(logging.WARNING)
        self._batch_url = webhook.get_secret_value().rstrip("/") + "/batch"
        self.host = urlsplit(self._batch_url).hostname or "the portal"
        self.moved_from = ""
        self.variable = variable  # the setting that has the webhook, for hints
        self.pace = pace
        self.requests = 0
        self._patience = Patience(pace, variable)
        timeout = httpx.Timeout(LONGEST_ANSWER, connect=LONGEST_CONNECT)
        self._http = httpx.AsyncClient(transport=transport, timeout=timeout, headers={"Accept": "application/json"})

    def __repr__(self) -> str:
        return f"Client({self.host})"

    @property
    def address(self) -> str:
        """Where the portal is, without the path, which is a secret."""
        parts = urlsplit(self._batch_url)
        return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def download(self, address: str, folder: Path, most_bytes: int, *, keep: bool) -> Content:
        """A file that the portal told the address of, when that is the portal's own; it counts as a request.

        Raises Unreadable.
        """
        target = urljoin(f"{self.address}/", address)
        if urlsplit(target)[:2] != urlsplit(self.address)[:2]:
            raise Unreadable("its address is not the portal's")
        await self.pace.admit_request()
        self.requests += 1
        return await download(self._http, target, f"{self.address}/", folder, most_bytes, keep=keep)

    async def read(self, commands: Sequence[Command], *, optional: Container[str] = ()) -> list[Any]:
        """Results of any number of reading commands, in order; lost answers are asked for again.

        Raises PortalRefused for an error that is not a limit: a reading command of ours has no record to blame, and
        PortalUnavailable where one is never answered. Of the methods in `optional`, one that is refused has the result
        None.
        """
        return [outcome.result for outcome in await self.read_outcomes(commands, optional=optional)]

    async def read_outcomes(self, commands: Sequence[Command], *, optional: Container[str] = ()) -> list[Outcome]:
        """The same with what lists say of their rows."""
        outcomes = [LOST] * len(commands)
        todo = list(range(len(commands)))
        asked: Counter[int] = Counter()
        while todo:
            turn, todo = todo[:BATCH], todo[BATCH:]
            retried = min(asked[index] for index in turn)
            if retried and not self._patience.failures:  # the portal answers, but fails on each of these
                await self.pace.clock.sleep(pause(retried))
            asked.update(turn)
            for index, outcome in zip(turn, await self.send([commands[i] for i in turn]), strict=True):
                if not outcome.is_known:
                    if asked[index] >= MOST:
                        raise self._patience.unavailable(self.host, f"fails on {commands[index].method}", asked[index])
                    todo.append(index)
                elif outcome.error is None or commands[index].method in optional:
                    outcomes[index] = outcome
                elif outcome.error.reaction in (Reaction.STOP, Reaction.RIGHTS):
                    raise outcome.error.stop(self.variable)
                else:
                    problem = f"{commands[index].method}: {outcome.error.code} {outcome.error.description}".strip()
                    raise PortalRefused(problem, hint="please report this")
        return outcomes

    async def send(self, commands: Sequence[Command]) -> list[Outcome]:
        """Outcomes of up to 50 commands, in order. What a limit held back is sent when there is room.

        Errors of single commands, also those that concern everything, are in the outcomes. Raises PortalRefused when
        the whole request is refused, PortalUnavailable after many failures in a row; creates then keep their open
        intents. So it does for a method whose limit does not pass: what is unknown then was not executed.
        """
        outcomes: list[Outcome | None] = [None] * len(commands)
        while todo := [index for index, outcome in enumerate(outcomes) if outcome is None]:
            if method := self.pace.given_up({commands[i].method for i in todo}):
                if any(outcomes):
                    break
                raise self._patience.refuses_for_ever(self.host, method)
            fits = self.pace.fits([(commands[i].method, commands[i].elements) for i in todo])
            turn = [index for index, is_fitting in zip(todo, fits, strict=True) if is_fitting]
            if not turn:
                await self.pace.wait_for_room({commands[i].method for i in todo})
                continue
            try:
                answers = await self._request([commands[i] for i in turn])
            except (PortalRefused, PortalUnavailable):
                if any(outcomes):
                    return [outcome or LOST for outcome in outcomes]
                raise
            for index, answer in zip(turn, answers, strict=True):
                reaction = answer.error.reaction if answer.error else None
                if reaction is not Reaction.LIMIT:
                    outcomes[index] = replace(answer, is_known=answer.is_known and reaction is not Reaction.UNKNOWN)
        return [outcome or LOST for outcome in outcomes]

    async def _request(self, commands: list[Command]) -> list[Outcome]:
        body = {
            "halt": 0,
            "cmd": {f"c{i}": f"{command.method}?{query(command.params)}" for i, command in enumerate(commands)},
        }
        while True:
            await self.pace.admit_request()
            started = self.pace.clock.time()
            for command in commands:
                self.pace.sent(command.method, command.elements)
            self.requests += 1
            try:
                address = self._batch_url
                with self._patience.said_when_slow(self.host):
                    answer = await self._http.post(address, json=body)
                if answer.status_code in _REDIRECTS:
                    self._not_executed(commands)
                    self._follow(address, answer.headers.get("location", ""))
                    continue
                decoded = answer.json()
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                self._not_executed(commands)
                await self._patience.failed(self.host, f"cannot be reached ({type(error).__name__})", is_said=True)
                continue
            except (httpx.HTTPError, ValueError) as error:
                for command in commands:
                    self.pace.lost(command.method, command.elements)
                why = f"HTTP {answer.status_code}, no JSON" if isinstance(error, ValueError) else type(error).__name__
                await self._patience.failed(self.host, f"gave no proper answer ({why})")
                return [LOST] * len(commands)
            if not isinstance(decoded, dict) or "result" not in decoded:
                outcome = await self._refused(
                    commands, decoded if isinstance(decoded, dict) else {}, answer.status_code
                )
                if outcome is None:
                    continue
                return outcome
            outcomes = self._outcomes(commands, decoded["result"], started)
            if all(outcome == LOST for outcome in outcomes):
                await self._patience.failed(self.host, "answers without a word of what we asked")
            else:
                self._patience.failures = 0
            return outcomes

    def _follow(self, address: str, location: str) -> None:
        """Go on at the address that the portal sends a request to `address` to, with POST as before.

        Raises PortalRefused for a redirect that is not safe, and for one that follows another.
        """
        if address != self._batch_url:  # a request at the same time was sent on and has told us
            return
        to, target = followed(address, location)
        if not target or self.moved_from:
            raise PortalRefused(
                f"{self.host} redirects to {to}, where the webhook cannot be followed",
                hint=f"open the portal in a browser and put the webhook's present https address into {self.variable}",
                exit_status=2,
            )
        self.moved_from, self.host = self.host, urlsplit(target).hostname or self.host
        self._batch_url = target

    async def _refused(self, commands: list[Command], body: dict[str, Any], status: int) -> list[Outcome] | None:
        """React to an error of the whole request: None means "the same again"."""
        error = self._error(body)
        if error.reaction in (Reaction.STOP, Reaction.RIGHTS):
            raise error.stop(self.variable)
        if error.reaction is Reaction.LIMIT:
            if error.code == "QUERY_LIMIT_EXCEEDED":
                self.pace.request_refused()
                self._not_executed(commands)
            else:
                for command in commands:
                    self.pace.method_refused(command.method, command.elements)
            await self._patience.failed(self.host, f"is busy ({error.code})")
            return [Outcome(error=error)] * len(commands) if error.code != "QUERY_LIMIT_EXCEEDED" else None
        if error.reaction is Reaction.UNKNOWN or status >= 500 or "error" not in body:
            for command in commands:
                self.pace.lost(command.method, command.elements)
            await self._patience.failed(self.host, f"failed ({error.code or status})")
            return [LOST] * len(commands)
        raise PortalRefused(
            f"the portal answered {status} {error.code} {error.description}".strip(), hint="please report this"
        )

    def _error(self, body: Mapping[str, Any]) -> PortalError:
        """An error as it is told, without the webhook: a gateway may repeat the address that it was asked for."""
        webhook = self._batch_url.removesuffix("/batch")
        code, said = (without_secret(str(body.get(name, "")), webhook) for name in ("error", "error_description"))
        return PortalError(code, said)

    def _not_executed(self, commands: list[Command]) -> None:
        for command in commands:
            self.pace.not_executed(command.method, command.elements)

    def _outcomes(self, commands: list[Command], result: Any, started: float) -> list[Outcome]:
        """Outcomes of a batch answer, whose maps are PHP arrays: `[]` when empty."""
        result = result if isinstance(result, dict) else {}
        names = ("result", "result_error", "result_time", "result_total", "result_next")
        results, errors, times, totals, following = (map_of(result.get(name)) for name in names)
        outcomes: list[Outcome] = []
        told: dict[str, _Told] = defaultdict(_Told)
        for index, command in enumerate(commands):
            key, method = f"c{index}", told[command.method]
            if key in times:
                told_time = map_of(times[key])
                method.operating = seconds_of(told_time.get("operating"))
                method.reset_at = seconds_of(told_time.get("operating_reset_at"))
                method.work += seconds_of(told_time.get("duration"))
            if key in errors:
                told_error = errors[key] if isinstance(errors[key], dict) else {"error_description": errors[key]}
                error = self._error(told_error)
                outcomes.append(Outcome(error=error))
                if error.reaction is Reaction.LIMIT:
                    self.pace.method_refused(command.method, command.elements)
                    continue
                self.pace.done(command.method)
            elif key in results:
                self.pace.done(command.method)
                outcomes.append(Outcome(results[key], total=whole(totals.get(key)), next=whole(following.get(key))))
            else:
                outcomes.append(LOST)
            method.elements += command.elements
        now = self.pace.clock.time()
        for name, method in told.items():
            if method.elements:
                self.pace.of(name).observe(now, started, **asdict(method))
        return outcomes


async def list_by(
    client: Client, method: str, column: str, values: Sequence[Any], *, where: Mapping[str, Any], **params: Any
) -> list[dict[str, Any]]:
    """Every row whose `column` is one of `values`: 50 values a command, 50 commands a request, whole pages by id.

    Page `settings/performance/huge-data`: `start=-1` leaves the count out, and the next page begins above the last id.
    """
    key = "id" if method == "crm.item.list" else "ID"

    def command(chunk: Sequence[Any], above: int) -> Command:
        condition = {**where, f"@{column}": list(chunk)} | ({f">{key}": above} if above else {})
        return Command(method, {**params, "filter": condition, "order": {key: "ASC"}, "start": -1})

    listed: list[dict[str, Any]] = []
    todo = [(values[at : at + PAGE], 0) for at in range(0, len(values), PAGE)]
    while todo:
        answers = await client.read([command(chunk, above) for chunk, above in todo])
        again = []
        for (chunk, _), answer in zip(todo, answers, strict=True):
            rows = rows_of(method, answer)
            listed += rows
            if len(rows) == PAGE and key in rows[-1]:
                again.append((chunk, number_of(method, rows[-1], key)))
        todo = again
    return listed
