"""`svod`: both programs in one, the commands of `publish` as its own and those of `ingest` as `svod ingest …`."""

from importlib.metadata import version
from typing import Annotated

import typer

from ingest.cli import app as ingest
from ingest.warehouse import terminal
from publish.cli import app


def _tell_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"svod {version('svod')}")
        raise typer.Exit


@app.callback(help="Scattered B2B client bases, cleaned and merged once, kept clean in Bitrix24.")
def svod(
    is_asked: Annotated[bool, typer.Option("--version", callback=_tell_version, is_eager=True)] = False,
) -> None:
    """All commands of both programs."""


def main() -> None:
    """Entry point."""
    app.add_typer(ingest, name="ingest")
    terminal.run(app)
