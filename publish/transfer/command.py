"""`publish transfer push`."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import duckdb
import typer
from pydantic import SecretStr

from ingest.bitrix24 import pacing
from ingest.bitrix24.client import Client
from ingest.bitrix24.webhook import portal_of
from ingest.warehouse import journal, terminal
from ingest.warehouse.errors import OperatorError, SettingsError
from ingest.warehouse.terminal import say
from publish.bitrix24.run import Result
from publish.screen import PushProgress, warehouse
from publish.settings import Settings, read_settings
from publish.transfer.ledger import TransferLedger
from publish.transfer.push import Word, push

app = typer.Typer(help="Move a company from a cloud portal to a box.", no_args_is_help=True)
_BOX, _BURST = "SVOD_BOX_WEBHOOK", 50


@app.callback()
def transfer() -> None:
    """Move a company from a cloud portal to a box."""


@app.command("push")
def push_command(
    automation_is_off: Annotated[
        bool,
        typer.Option("--automation-is-off", help="Robots, outgoing mail, telephony and webhooks of the box are off."),
    ] = False,
    new_box: Annotated[
        bool, typer.Option("--new-box", help="The box at this address is another one than that moved to before.")
    ] = False,
) -> None:
    """Send the box what marts.transfer_records says. May be stopped at any moment and run again."""
    settings = read_settings()
    webhook, name = settings.box()
    with warehouse(settings) as connection:
        ledger = TransferLedger(connection, name, _cloud(connection, settings))
        with journal.step(connection, journal.TRANSFER_PUSH) as step, terminal.progress_bars() as bars:
            progress = PushProgress(bars, journal.TRANSFER_PUSH)
            result = asyncio.run(_push(ledger, settings, webhook, progress, Word(automation_is_off, new_box)))
            step.rows_out = sum(result.created.values()) + sum(result.updated.values())
            step.detail |= asdict(result)
    for what, counts in (("created", result.created), ("changed", result.updated)):
        told = ", ".join(f"{entity} {number:,}" for entity, number in counts.items()) or "nothing"
        say(f"{journal.TRANSFER_PUSH}: {what} {told}")
    if result.dead_letters_now:
        raise OperatorError(
            f"{result.dead_letters_now} records are dead-lettered in transfer.dead_letters",
            hint="they are tried again with a growing delay, or at once when they change",
            exit_status=4,
        )


async def _push(
    ledger: TransferLedger, settings: Settings, webhook: SecretStr, progress: PushProgress, word: Word
) -> Result:
    limit = settings.bitrix24_operating if settings.box_rate else 0.0
    pace = pacing.Pace(settings.box_rate, _BURST, limit, on_wait=progress.waiting)
    async with Client(webhook, pace, variable=_BOX) as client:
        return await push(ledger, client, settings, dates_file(settings), progress, word)


def dates_file(settings: Settings) -> Path:
    """Where the statements for refused dates go: beside the warehouse."""
    return settings.warehouse.parent / "transfer" / "dates.sql"


def _cloud(connection: duckdb.DuckDBPyConnection, settings: Settings) -> str:
    """The portal that was read last as the one to leave; one that was never read is that of the settings."""
    row = connection.execute(
        """select portal from ops.snapshots where source = 'cloud' and completed_at is not null
           order by snapshot_id desc limit 1"""
    ).fetchone()
    if row:
        return str(row[0])
    if settings.cloud_webhook is None:
        raise SettingsError("SVOD_CLOUD_WEBHOOK is not set, and no cloud portal was read", hint="see .env.example")
    return portal_of(settings.cloud_webhook.get_secret_value())
