"""Errors meant for the operator: one line that names the place, one hint that says what to do."""

from collections.abc import Iterable, Sequence


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
    """A setting is missing or malformed; nothing was started. `each` are the errors of several settings, one by one."""

    exit_status = 2
    each: Sequence["SettingsError"] = ()


def all_of(errors: Iterable[SettingsError]) -> SettingsError:
    """Several wrong settings as one error, a line each; one that is told twice is told once."""
    by_problem = {wrong.problem: wrong for error in errors for wrong in error.each or (error,)}
    if len(by_problem) == 1:
        return next(iter(by_problem.values()))
    lines = [
        line
        for error in by_problem.values()
        for line in (f"  {error.problem}", *error.details, *([f"    hint: {error.hint}"] if error.hint else []))
    ]
    several = SettingsError(f"{len(by_problem)} settings are wrong", details=lines, hint="nothing was started")
    several.each = tuple(by_problem.values())
    return several


class WarehouseBusy(OperatorError):
    """Another process has the warehouse open for writing."""
