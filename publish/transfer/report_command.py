"""`publish transfer report`."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from ingest.warehouse.terminal import say
from publish.looking import reading
from publish.page import files
from publish.page.texts import Texts
from publish.settings import read_settings
from publish.transfer.report import page
from publish.transfer.report_cells import Sides


def report_command(
    out: Annotated[Path | None, typer.Option("--out", help="Where the page goes; beside the warehouse.")] = None,
) -> None:
    """Write the comparison of both portals as one page, to be opened in a browser."""
    settings = read_settings()
    file = out or settings.warehouse.parent / "transfer" / "report.html"
    texts = Texts(settings.lang)
    with reading(settings) as connection:
        schemes = Sides(_scheme(settings.cloud_webhook), _scheme(settings.box_webhook))
        verdict = page(connection, texts, schemes, settings.transfer_entities)
    files.write(verdict, texts, file)
    say(f"publish transfer report: {verdict.verdict}")
    for text, _ in verdict.points:
        say(f"  {text}")
    say(f"open {file}")


def _scheme(webhook: SecretStr | None) -> str:
    """How a portal is spoken to; one that is not set any more, as all are but those of tests."""
    return webhook.get_secret_value().partition(":")[0] if webhook else "https"
