"""`publish check`: every setting, then one try at everything that a run needs; nothing is landed, sent or written.

What belongs to the sources and the registry `ingest check` tries, a program of its own like every step of a run.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import duckdb
import typer

from ingest.warehouse.environment import PREFIX, env_file, read_all, read_environment, said_in_file
from ingest.warehouse.errors import OperatorError, SettingsError
from ingest.warehouse.findings import Finding, exit_status
from publish import notify as notices
from publish import pipeline, setting_names
from publish.bitrix24 import inspection
from publish.bitrix24.parts import PARTS
from publish.cycle import BIN
from publish.held import Held
from publish.looking import held_of, opened_to_read
from publish.settings import Settings

_OF_MAKE = {"SVOD_ENV_FILE", "SVOD_RUN_ID"}  # which it sets itself: nobody has to be told of those


def check_command(
    notify: Annotated[bool, typer.Option("--notify", help="Send SVOD_NOTIFY_URL a message as well.")] = False,
) -> None:
    """Validate every setting and try every source, the registry and the portal; ends with 0, 1, or 2 for settings."""
    findings: list[Finding] = []
    for finding in _findings(notify):
        finding.show()
        findings.append(finding)
    raise typer.Exit(exit_status(findings))


def _findings(notify: bool) -> Iterator[Finding]:
    try:
        settings, _ = read_all(pipeline.read_settings, _check_fields)
    except SettingsError as error:
        for each in error.each or (error,):
            yield Finding.of("settings", each)
        return
    yield _settings()
    yield from _of_ingest()
    with _held(settings) as held:
        if held is not None:
            yield from _of_statuses(settings, held)
        yield from inspection.findings(settings, held)
    yield from _of_monitors(settings, notify)


def _check_fields() -> None:
    """What is wrong in names of fields is told beside what else is wrong, which is not looked at here."""
    setting_names.check_fields(read_environment(Settings, but=Settings.model_fields), PARTS)


def _settings() -> Finding:
    names = {name for name, value in (said_in_file() | dict(os.environ)).items() if value}
    number = sum(1 for name in names - _OF_MAKE if name.upper().startswith(PREFIX))
    file = env_file()
    told = f"{number} {'is' if number == 1 else 'are'} set"
    return Finding("settings", "ok", f"{told}, {'with' if file.is_file() else 'without'} {file}")


def _of_ingest() -> Iterator[Finding]:
    with subprocess.Popen([str(BIN / "ingest"), "check", "--json"], stdout=subprocess.PIPE, text=True) as process:
        yield from map(Finding.from_json, process.stdout or ())
    if process.returncode not in (0, 1, 2):
        yield Finding("sources", "wrong", f"ingest check ended with {process.returncode}", "why is said above", 1)


@contextmanager
def _held(settings: Settings) -> Iterator[Held | None]:
    """What the portal holds of ours; None where there is no warehouse that could be read."""
    try:
        reading = opened_to_read(settings)
        connection, _ = reading.__enter__()
    except OperatorError:
        yield None
        return
    try:
        yield held_of(connection, settings)
    finally:
        reading.__exit__(None, None, None)


def _of_statuses(settings: Settings, held: Held) -> Iterator[Finding]:
    try:
        setting_names.check_known(settings, held.connection, PARTS)
    except SettingsError as error:
        yield from (Finding.of("settings", each) for each in error.each or (error,))
    except duckdb.CatalogException:  # the models have not been built
        return


def _of_monitors(settings: Settings, notify: bool) -> Iterator[Finding]:
    if file := settings.metrics_file:
        if os.access(file.parent, os.W_OK):
            yield Finding("metrics", "ok", f"{file}")
        else:
            yield Finding("metrics", "wrong", f"{file.parent} cannot be written to", "check SVOD_METRICS_FILE", 1)
    url = settings.notify_url
    if url is None:
        yield Finding("messages", "skipped", "SVOD_NOTIFY_URL is not set: nobody is told when a run fails")
    elif not notify:
        yield Finding("messages", "ok", "SVOD_NOTIFY_URL is set; `publish check --notify` sends a message")
    else:
        try:
            notices.send(url, "Svod: this is a trial of `publish check --notify`")
            yield Finding("messages", "ok", "a message was taken by SVOD_NOTIFY_URL")
        except notices.NotSent as error:
            yield Finding("messages", "wrong", f"no message was taken: {error}", "is SVOD_NOTIFY_URL right?", 1)
