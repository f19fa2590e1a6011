"""A journalled step that lands sources: which of them, into which warehouse, and what becomes of failures."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any, Literal, Protocol

import duckdb

from ingest.settings import Settings, read_settings
from ingest.sources import Source, SourceT
from ingest.warehouse import journal, log, period, reads, storage, terminal
from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.errors import OperatorError, SettingsError
from ingest.warehouse.terminal import print_error

MEMORY_LIMIT = "140MB"  # DuckDB's share; appends need little, and the promise is 400 MB for the whole process
CHECKPOINT_BYTES = "256MB"  # at 16 MB, the default, the same rows are compressed again and again
COMPRESSION = "uncompressed"  # but payloads: trying all ways out took a third of the time of landing a JSON file


class Screen(Protocol):
    """Whom a step tells what it does: the terminal, or whoever runs step after step in one process."""

    def say(self, text: str) -> None: ...
    def say_aside(self, text: str) -> None: ...
    def progress_of(
        self, what: str, total: int | None = None, unit: Literal["records", "bytes"] = "records"
    ) -> AbstractContextManager[Callable[[int], None]]:
        """What is yielded is told of each batch when it is committed: the step may be ended there."""
        ...


class Landing:
    """A journalled step that lands sources: one that fails does not keep the others from landing. A server that breaks
    off in the middle is waited for if the step `is_patient`."""

    def __init__(
        self,
        settings: Settings,
        connection: duckdb.DuckDBPyConnection,
        step: journal.Step,
        screen: Screen = terminal,
        *,
        is_patient: bool = True,
    ) -> None:
        self.settings, self.connection, self.step = settings, connection, step
        self.screen, self.is_patient = screen, is_patient
        self._failures: list[OperatorError] = []
        self._tried: list[Source] = []  # to be read whole, so that ops.source_reads can tell how that went
        self._problems: dict[tuple[str, str], str] = {}  # by name and kind of source

    @property
    def since_at(self) -> datetime:
        """Where the period begins: midnight of SVOD_SINCE or of ops.period, in the source's own local time."""
        since = self.settings.general.since or period.start(self.connection)
        return datetime.combine(since, datetime.min.time())

    def sources_of(
        self, kind: type[SourceT], name: str | None, *, only_one: bool = False, also_unset: bool = False
    ) -> list[SourceT]:
        """The sources of a kind, or just the one of that name; those that are not set are skipped, and that is said.

        `only_one` and `also_unset`: the command line names what to read of a source, or where. Raises SettingsError
        when there is no such source, or more than the one there may be.
        """
        declared = [source for source in self.settings.sources_of(kind) if name in (None, source.name)]
        names = ", ".join(source.name for source in self.settings.sources_of(kind))
        if not declared:
            raise SettingsError(f"there is no {kind.kind} source {name}", hint=f"there are: {names}")
        if only_one and len(declared) > 1:
            raise SettingsError("it is not clear which source is meant", hint=f"add --source with one of: {names}")
        if also_unset:
            return declared
        unset = [source for source in declared if not source.is_set]
        for source in unset:
            self.screen.say(
                f"{self.step.name}: {source.variable(source.place_field)} is not set, {source.name} is skipped"
            )
        if unset:
            variables = " and ".join(source.variable(source.place_field) for source in unset)
            self.step.detail["skipped"] = f"{variables} {'is' if len(unset) == 1 else 'are'} not set"
        there = [source for source in declared if source.is_set]
        if name is None:
            reads.forget_others(self.connection, kind.kind, [source.name for source in there])
        if not only_one:
            self._tried += there
            for source in there:
                reads.attempt(self.connection, source.name, source.kind)
        return there

    @contextmanager
    def going_on(self, source: Source | None = None, detail: dict[str, Any] | None = None) -> Iterator[None]:
        """Go on after a failure of a source, which is raised at the end of the step; `detail` is told of it at once.

        Whatever it is: an error of ours, too, is no reason to leave the other sources unread. What the warehouse itself
        cannot do ends the step.
        """
        try:
            yield
        except OperatorError as error:
            failure = error
        except duckdb.Error as error:
            if told := storage.told(error, self.settings.general.warehouse):
                raise told from None
            failure = self._unexpected(error, source)
        except OSError as error:
            what = error.filename or (source.name if source else self.step.name)
            failure = OperatorError(f"{what} cannot be read: {error.strerror or error}", hint="check its rights")
        except Exception as error:
            failure = self._unexpected(error, source)
        else:
            return
        self._failures.append(failure)
        if source:
            self._problems[source.name, source.kind] = failure.problem
        if detail is not None:
            detail["error"] = failure.problem

    def _unexpected(self, error: Exception, source: Source | None) -> OperatorError:
        traceback.print_tb(error.__traceback__)  # without its text, which may quote a record
        what = source.name if source else self.step.name
        return OperatorError(f"{what}: unexpected {type(error).__name__}", hint="the lines above say where")

    def finish(self) -> None:
        """Keep how reading the sources went; raise the last failure, having printed those before it."""
        for source in self._tried:
            problem = self._problems.get((source.name, source.kind))
            reads.settle(self.connection, source.name, source.kind, problem)
        if self._failures:
            for failure in self._failures[:-1]:
                print_error(failure)
            raise self._failures[-1]


@contextmanager
def landing(step_name: str) -> Iterator[Landing]:
    """Settings, the open warehouse and a journalled step. Raises its failures at its end."""
    log.keep()
    settings = read_settings()
    connection = open_warehouse(settings.general.warehouse)
    try:
        connection.execute(f"set memory_limit = '{MEMORY_LIMIT}'")
        connection.execute(f"set checkpoint_threshold = '{CHECKPOINT_BYTES}'; set force_compression = '{COMPRESSION}'")
        with landing_on(connection, settings, step_name) as work:
            yield work
    except duckdb.Error as error:
        raise storage.told(error, settings.general.warehouse) or error from None
    finally:
        connection.close()


@contextmanager
def landing_on(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    step_name: str,
    screen: Screen = terminal,
    *,
    is_patient: bool = True,
) -> Iterator[Landing]:
    """A journalled step on a warehouse that is open already. Raises its failures at its end."""
    with journal.step(connection, step_name) as step:
        work = Landing(settings, connection, step, screen, is_patient=is_patient)
        yield work
        work.finish()
