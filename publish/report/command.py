"""`publish report`."""

from pathlib import Path
from typing import Annotated

import typer

from ingest.warehouse.terminal import say
from publish.looking import reading
from publish.page import files
from publish.page.texts import Texts
from publish.report.page import page
from publish.settings import read_settings


def report_command(
    out: Annotated[Path | None, typer.Option("--out", help="Where the page goes; beside the warehouse.")] = None,
) -> None:
    """Write one page for the director, the steward of the data and the operator, to be opened in a browser."""
    settings = read_settings()
    file = out or settings.warehouse.parent / "report.html"
    texts = Texts(settings.lang)
    with reading(settings) as connection:
        report = page(connection, texts, settings.source_names)
    files.write(report, texts, file)
    say(f"publish report: {report.verdict}")
    for text, _ in report.points:
        say(f"  {text}")
    say(f"open {file}")
