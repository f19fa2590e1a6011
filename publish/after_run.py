"""What happens when a run has ended: figures for a monitor are written, and somebody is told what is wrong, once.

Table ops.notices has what was told of and is not well yet. What is in it is not told again; what is new is, in one
message; when nothing is wrong any more that is told as well. It is written after the message was taken, so that one
that was lost is sent by the next run; a warehouse that cannot be written remembers nothing, and every run tells of it.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb
from pydantic import SecretStr

from ingest.warehouse import storage
from ingest.warehouse.connection import open_warehouse, transaction
from ingest.warehouse.environment import env_value
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.journal import utc_now
from ingest.warehouse.lock import OVERLAPS
from ingest.warehouse.terminal import say_aside
from publish import notify
from publish.looking import held_of
from publish.settings import Settings
from publish.standing import Problem, Standing, standing
from publish.status_command import write_metrics

_RUN = "run"  # what ends a run before its steps do


class RunFailed(OperatorError):
    """Steps of a run did not end well; whoever is told of problems has been told."""


def tell(settings: Settings) -> None:
    """Write the figures, and tell of what is new. What goes wrong with that is said, and fails no run."""
    if not (settings.metrics_file or settings.notify_url):
        return
    with _said_when_it_fails(), open_warehouse(settings.warehouse) as connection:
        situation = standing(held_of(connection, settings), settings, None)
        if settings.metrics_file:
            write_metrics(situation, settings.metrics_file)
        if settings.notify_url:
            _tell(connection, settings.notify_url, situation)


@contextmanager
def telling_of_its_end() -> Iterator[None]:
    """Tell of what ends a run before its steps do: settings or a webhook that are wrong, a warehouse that is damaged,
    full or held. Another run that goes on is none of it."""
    try:
        yield
    except RunFailed:
        raise
    except (OperatorError, duckdb.Error, OSError) as error:
        told = error if isinstance(error, OperatorError) else storage.told(error)
        if told is not None and told.exit_status != OVERLAPS:
            with _said_when_it_fails():
                _tell_of(told)
        raise


def _tell_of(error: OperatorError) -> None:
    """The settings may be what is wrong, so that no more is read of them than has to be."""
    url = env_value("SVOD_NOTIFY_URL")
    if not url:
        return
    warehouse = Path(env_value("SVOD_WAREHOUSE") or "warehouse/svod.duckdb")
    text = "; ".join([error.problem, *(line.strip() for line in error.details)])
    problem = Problem(_RUN, f"a run ended before it began: {text}", error.hint)
    with suppress(OperatorError, duckdb.Error), open_warehouse(warehouse) as connection:
        if connection.execute("from ops.notices where problem = ?", [_RUN]).fetchone() is None:
            notify.send(SecretStr(url), notify.wrong([problem]))
            _remember(connection, [problem])
        return
    notify.send(SecretStr(url), notify.wrong([problem]))


def _tell(connection: duckdb.DuckDBPyConnection, url: SecretStr, situation: Standing) -> None:
    known = {key for (key,) in connection.execute("select problem from ops.notices").fetchall()}
    new = [problem for problem in situation.problems if problem.key not in known]
    if new:
        notify.send(url, notify.wrong(new))
    elif known and situation.is_ok:
        notify.send(url, notify.well_again(situation.verdict))
    still = [problem.key for problem in situation.problems]
    with transaction(connection):
        connection.execute("delete from ops.notices where problem not in (select unnest(?::varchar[]))", [still])
        _remember(connection, new)


def _remember(connection: duckdb.DuckDBPyConnection, problems: list[Problem]) -> None:
    for problem in problems:
        connection.execute("insert into ops.notices values (?, ?, ?)", [problem.key, problem.text, utc_now()])


@contextmanager
def _said_when_it_fails() -> Iterator[None]:
    try:
        yield
    except notify.NotSent as error:
        say_aside(f"warning: the message was not taken by SVOD_NOTIFY_URL: {error}; the next run tries again")
    except (OperatorError, duckdb.Error, OSError) as error:
        say_aside(f"warning: how the run went could not be told: {type(error).__name__}")
