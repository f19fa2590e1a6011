"""`batch`: up to 50 commands in one request, each able to use the results of those before it.

Page `settings/how-to-call-rest-api/batch`. The answer is HTTP 200 whatever its commands did, and its maps are PHP
arrays: `[]` when empty, lists when the keys are 0..n-1.
"""

import re
from collections.abc import Callable
from typing import Any

from publish.sandbox import php
from publish.sandbox.methods import ApiError, Page

LONGEST = 50
_REFERENCE = re.compile(r"\$result\[(.+)\]$", re.S)
Run = Callable[[str, dict[str, Any]], tuple[Any, dict[str, Any]]]


def resolve(value: Any, results: dict[str, Any]) -> Any:
    """Put earlier results where a parameter is wholly `$result[key][path]`.

    A path leads as far as there is something: of a command that failed, that is the map of all results, which the
    classic methods read as the number 1 in an integer field.
    """
    if isinstance(value, dict):
        return {key: resolve(item, results) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item, results) for item in value]
    match = _REFERENCE.match(value) if isinstance(value, str) else None
    if match is None:
        return value
    here: Any = results
    for step in match.group(1).split("]["):
        if isinstance(here, dict) and step in here:
            here = here[step]
        elif isinstance(here, list) and step.isdecimal() and int(step) < len(here):
            here = here[int(step)]
        else:
            break
    return here


def commands(params: dict[str, Any]) -> list[tuple[str, Any]]:
    """Keys and commands of a batch call."""
    sent = params.get("cmd")
    return php.pairs(sent) if php.is_array(sent) else []


def execute(params: dict[str, Any], run: Run, stop_after: int | None = None) -> dict[str, Any]:
    """Run the commands in order; the `result` of the batch call.

    `run` takes a method and its parameters and gives the answer and its `time`, or raises ApiError. `stop_after` breaks
    off after so many commands, as a request does that took too long.
    """
    halt = php.integer(params.get("halt")) != 0 or params.get("halt") == "true"
    results: dict[str, Any] = {}
    errors: dict[str, Any] = {}
    totals: dict[str, int] = {}
    following: dict[str, int] = {}
    times: dict[str, Any] = {}
    for number, (key, command) in enumerate(commands(params)):
        if stop_after is not None and number >= stop_after:
            break
        try:
            answer, times_of_command = _one(number, command, results, run)
        except ApiError as error:
            errors[key] = error.body
            if halt:
                break
            continue
        times[key] = times_of_command
        if isinstance(answer, Page):
            totals[key] = answer.total
            if answer.next is not None:
                following[key] = answer.next
            answer = answer.result
        results[key] = answer
    return {
        "result": php.array(results),
        "result_error": php.array(errors),
        "result_total": php.array(totals),
        "result_next": php.array(following),
        "result_time": php.array(times),
    }


def _one(number: int, command: Any, results: dict[str, Any], run: Run) -> tuple[Any, dict[str, Any]]:
    if number >= LONGEST:
        raise ApiError("ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded")
    if not isinstance(command, str):
        raise ApiError("ERROR_METHOD_NOT_FOUND", "Method not found!", 404)
    name, params = php.split_command(command)
    if name.lower().split(".")[0] == "batch":
        raise ApiError("ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage", 405)
    return run(name, resolve(params, results))
