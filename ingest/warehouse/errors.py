"""Errors meant for the operator: one line that names the place, one hint that says what to do."""

from collections.abc import Sequence


class OperatorError(Exception):
    """A problem the operator can act on, printed as one line and a hint, without a traceback.

    `exit_status` follows the public table: 1 a step failed, 2 wrong settings or arguments,
    3 a data-quality gate stopped the run, 4 published, with some records dead-lettered. `details` are further lines,
    where a person has to judge.
    """

    exit_status = 1

    def __init__(
        self, problem: str, *, hint: str = "", exit_status: int | None = None, details: Sequence[str] = ()
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint
        self.details = details
        if exit_status is not None:
            self.exit_status = exit_status


class SettingsError(OperatorError):
    """A setting is missing or malformed; nothing was started."""

    exit_status = 2


class WarehouseBusy(OperatorError):
    """Another process has the warehouse open for writing."""
