"""`publish status`: the verdict in the first line, one screen, or all that a machine wants to know."""

import json
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from ingest.warehouse import running, terminal
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.terminal import say, warn_once
from publish import figures, status, status_screen
from publish.looking import held_of, opened_to_read
from publish.settings import read_settings
from publish.standing import Standing, standing


def status_command(
    details: Annotated[bool, typer.Option("--details", help="Also the lists of what was refused and is left.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Whether all is well, what goes on, what the last runs did, what waits; ends with 1 when something is wrong."""
    settings = read_settings(to_send=False)
    under_way = running.seen(settings.warehouse)
    try:
        with opened_to_read(settings) as (connection, note):
            held = held_of(connection, settings)
            situation = standing(held, settings, under_way)
            if settings.metrics_file:
                write_metrics(situation, settings.metrics_file)
            if as_json:
                told = figures.as_json(situation) | {"read_from": note or None}
                sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
            else:
                for line in status_screen.lines(situation, note, _width()):
                    say(line)
            if details:
                say("")
                say(status.known_of(connection, held.portal))
                for title, names, rows in status.tables(held):
                    terminal.print_table(title, names, rows)
    except OperatorError as error:
        if as_json:
            verdict = f"NOT OK: {error.problem}; {error.hint}"
            sys.stdout.write(json.dumps({"ok": False, "verdict": verdict}, ensure_ascii=False) + "\n")
        else:
            say(f"NOT OK: {error.problem}; {error.hint}")
        raise typer.Exit(error.exit_status) from None
    if not situation.is_ok:
        raise typer.Exit(1)


def _width() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def write_metrics(situation: Standing, file: Path) -> None:
    """Write them; that it cannot be done is said, and stops nothing."""
    try:
        figures.write_metrics(situation, file)
    except OSError as error:
        warn_once(f"{file} cannot be written: {error.strerror}; check SVOD_METRICS_FILE")
