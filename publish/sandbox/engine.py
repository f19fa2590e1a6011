"""One portal: runs the commands of a request under its limits and remembers what was asked of it."""

import json
import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from publish.sandbox import (  # noqa: F401 - the modules of methods register themselves
    activities,
    automation,
    batch,
    books,
    catalog,
    classic,
    comments,
    duplicates,
    forms,
    items,
    links,
    metadata,
    php,
    presets,
    products,
    requisites,
    userfields,
    users,
)
from publish.sandbox.faults import Faults
from publish.sandbox.limits import Clock, Limits, Meter
from publish.sandbox.methods import METHODS, ApiError, Call, Method, Page
from publish.sandbox.store import Store, moment

log = logging.getLogger(__name__)
SCOPES = ("bizproc", "catalog", "disk", "user")


class Engine:
    """Methods, limits, faults and state of one portal. `request` is one HTTP request and one transaction."""

    def __init__(
        self,
        state: Path | str,
        limits: Limits,
        faults: Faults,
        clock: Clock | None,
        user: int,
        scopes: Iterable[str] = SCOPES,
        secret: str = "sandbox",
    ):
        self.store = Store(state)
        self.meter = Meter(limits, clock)
        self.faults = faults
        self.user = user
        self.scopes = frozenset({"basic", "crm", *scopes})
        self.webhook = f"/rest/{user}/{secret}"
        with self.store.lock, self.store.transaction():
            presets.seed(self.store, self.meter.now())
            books.seed(self.store, self.meter.now())
            users.seed(self.store, self.meter.now())

    def request(
        self, name: str, params: dict[str, Any], *, fault: str | None = None
    ) -> tuple[int, dict[str, Any], dict[str, Any]]:
        """Execute one HTTP request: status, body, and the line for the log (already written)."""
        commands: Counter[str] = Counter()
        errors: Counter[str] = Counter()
        started = self.meter.now()
        with self.store.lock, self.store.transaction():
            try:
                if name.lower() == "batch":
                    body = self._batch(params, commands, errors, fault)
                else:
                    commands[name] += 1
                    answer, times = self._command(name, params)
                    body = {"result": answer} if not isinstance(answer, Page) else _page(answer)
                    body["time"] = times
                status = 200
            except ApiError as error:
                status, body = error.status, error.body
                errors[str(error.error)] += 1
            line = self._log(started, name, status, body.get("error"), fault, commands, errors)
        return status, body, line

    def _batch(
        self, params: dict[str, Any], commands: Counter[str], errors: Counter[str], fault: str | None
    ) -> dict[str, Any]:
        sent = batch.commands(params)
        blocked = None
        if fault == "operation_limit":
            names = sorted({php.split_command(str(command))[0] for _, command in sent})
            blocked = self.faults.dice.choice(names) if names else None
        stop_after = self.faults.dice.randrange(len(sent) + 1) if fault == "cut" else None

        def run(name: str, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
            commands[name] += 1
            try:
                if name == blocked:
                    raise ApiError("OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.", 429)
                return self._command(name, given)
            except ApiError as error:
                errors[str(error.error)] += 1
                raise

        started = self.meter.now()
        answer = batch.execute(params, run, stop_after)
        # The envelope's own time says nothing of the commands: their work is counted under their own methods.
        return {"result": answer, "time": _times(started, 0.0, int(started) + self.meter.limits.operating_window, 0.0)}

    def _command(self, name: str, params: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Run one method under the operating limit: its answer and its `time`."""
        method = METHODS.get(name.lower())
        if method is None or not self._is_in_scope(method):
            if method is not None or name.lower().split(".")[0] in metadata.OTHER_SCOPES:
                raise ApiError(
                    "insufficient_scope",
                    "The request requires higher privileges than provided by the webhook token",
                    403,
                )
            raise ApiError("ERROR_METHOD_NOT_FOUND", "Method not found!", 404)
        if self.meter.is_blocked(name):
            raise ApiError("OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.", 429)
        scripted = self.faults.scripted_error(name)
        if scripted is not None:
            raise ApiError(scripted.error, scripted.description, scripted.status)
        now = self.meter.now()
        cost = self._cost(method, params)
        operating = self.meter.of(name)
        operating.add(now, cost)
        call = Call(method.name, params, self.store, now, self.user, self.scopes, self.webhook)
        try:
            with self.store.savepoint():
                answer = method.handler(call)
        except ApiError:
            raise
        except Exception:
            log.exception("the sandbox failed in %s", method.name)
            raise ApiError("INTERNAL_SERVER_ERROR", "Internal server error", 500) from None
        return answer, _times(now, cost, operating.reset_at(now), operating.total(now))

    def _is_in_scope(self, method: Method) -> bool:
        """Users come with three scopes: `user`, `user_basic`, `user_brief`."""
        wanted = method.scope
        return wanted is None or any(scope == wanted or scope.startswith(f"{wanted}_") for scope in self.scopes)

    def _cost(self, method: Method, params: dict[str, Any]) -> float:
        cost = self.meter.cost(method.name, method.writes)
        if method.name == "crm.item.batchImport" and php.is_array(params.get("data")):
            return cost * max(1, len(params["data"]))
        return cost

    def refuse(self, name: str, status: int, body: dict[str, Any], fault: str | None) -> None:
        """Write down a request that was turned away before anything ran."""
        with self.store.lock, self.store.transaction():
            self._log(self.meter.now(), name, status, body.get("error"), fault, Counter(), Counter())

    def _log(
        self,
        at: float,
        name: str,
        status: int,
        error: Any,
        fault: str | None,
        commands: Counter[str],
        errors: Counter[str],
    ) -> dict[str, Any]:
        line = {
            "at": at,
            "method": name,
            "status": status,
            "error": None if error is None else str(error),
            "fault": fault,
            "commands": json.dumps(commands),
            "errors": json.dumps(errors),
        }
        self.store.insert("request_log", line)
        return line


def _page(page: Page) -> dict[str, Any]:
    body = {"result": page.result, "total": page.total}
    return body if page.next is None else body | {"next": page.next}


def _times(start: float, cost: float, reset_at: int, operating: float) -> dict[str, Any]:
    return {
        "start": start,
        "finish": start + cost,
        "duration": cost,
        "processing": cost,
        "date_start": moment(start),
        "date_finish": moment(start + cost),
        "operating_reset_at": reset_at,
        "operating": operating,
    }
