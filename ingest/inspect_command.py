"""`ingest inspect`: a shell on the copy of the warehouse, made anew where it is old and no run goes on."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from ingest.settings import read_settings
from ingest.warehouse import running
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.masking import masked_path
from ingest.warehouse.snapshot import is_outdated, make_snapshot, snapshot_path
from ingest.warehouse.terminal import say_aside

SHELL = Path(sys.executable).parent / "duckdb"


def inspect_command(
    sql: Annotated[str, typer.Option("--sql", help="Answer this and end.")] = "",
) -> None:
    """Open a SQL shell on a copy of the warehouse, also while a run goes on; a masked one with SVOD_INSPECT_MASK."""
    settings = read_settings().general
    warehouse = settings.warehouse
    copy = masked_path(warehouse) if settings.inspect_mask else snapshot_path(warehouse)
    if not (warehouse.exists() or copy.exists()):
        raise OperatorError(f"there is no warehouse at {warehouse}", hint="run `make full` first", exit_status=2)
    under_way = running.seen(warehouse)
    if under_way and under_way.is_alive:
        say_aside(f"{under_way.step} goes on: this is the copy of before")
    elif (
        os.access(warehouse, os.R_OK)
        and (is_outdated(warehouse) or not copy.exists())
        and not make_snapshot(warehouse, settings.readers_group, mask=settings.inspect_mask)
    ):
        say_aside(f"a step holds {warehouse}: this is the copy of before")
    if not copy.exists():
        raise OperatorError(
            f"there is no copy {copy} yet", hint="a run makes one before its first step: try again then"
        )
    if not os.access(copy, os.R_OK):
        raise OperatorError(f"{copy} is not for you to read", hint="SVOD_READERS_GROUP says whose it is")
    sys.stdout.flush()
    os.execv(SHELL, [str(SHELL), "-readonly", str(copy), *(["-c", sql] if sql else [])])  # noqa: S606
