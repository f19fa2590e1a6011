"""`publish explain`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

import duckdb
import typer

from ingest.warehouse.errors import OperatorError
from ingest.warehouse.terminal import print_table, say
from publish.explain.keys import MOST_FOUND, subjects
from publish.explain.story import Story
from publish.looking import reading
from publish.page import files
from publish.page.content import Cell, Page
from publish.page.texts import Texts
from publish.settings import read_settings

Brief: TypeAlias = tuple[str, str, str]  # what to ask by, what it is, whether it is in the CRM
Key = Annotated[
    str, typer.Argument(help="INN, phone, e-mail, name, order number, record (shop_a:17), our id, card number or link.")
]


def explain_command(
    key: Key,
    html: Annotated[Path | None, typer.Option("--html", help="Write it as a page instead.")] = None,
) -> None:
    """Tell all of one company, person or order: what was entered, why it is in the CRM or not, what was sent when."""
    settings = read_settings()
    texts = Texts(settings.lang)
    with reading(settings) as connection:
        story = _story(connection, texts, key)
    if not isinstance(story, Page):
        _tell_all(texts, key, story)
    elif html:
        files.write(story, texts, html)
        say(f"publish explain: {story.verdict}")
        say(f"open {html}")
    else:
        _tell(story)


def _story(connection: duckdb.DuckDBPyConnection, texts: Texts, key: str) -> Page | Sequence[Brief]:
    """The story; where several are meant, each in brief. Raises OperatorError when nothing is known by the key."""
    try:
        stories = [Story(connection, texts, subject) for subject in subjects(connection, key)]
        told = stories[0].page() if len(stories) == 1 else [(story.id, *story.brief()) for story in stories]
    except duckdb.CatalogException:
        raise OperatorError(
            "there is nothing to explain: the models have not been built, or by an older version",
            hint="`make full` or `make incremental` first",
        ) from None
    if not told:
        raise OperatorError(
            f"nothing is known by {key}: no source has it, right or wrong",
            hint="an INN, a phone, an e-mail, a name, an order's number, shop_a:17, a card's number or link",
        )
    return told


def _tell(page: Page) -> None:
    say(page.title)
    say(f"{page.sign or '✓'} {page.verdict}")
    for name, value in page.facts:
        say(f"  {name}: {value}")
    say("")
    for section in page.sections:
        for table in section.tables:
            rows = [[_text(cell) for cell in row.cells] for row in table.rows]
            print_table(table.title, [column.title for column in table.columns], rows)


def _tell_all(texts: Texts, key: str, stories: Sequence[Brief]) -> None:
    say(texts("explain_several", key=key, number=f"{len(stories)}{'+' if len(stories) == MOST_FOUND else ''}"))
    for name, title, verdict in stories:
        say(f"  {name}  {title}: {verdict}")


def _text(cell: Cell) -> str:
    return " ".join(filter(None, [cell.text, *(f"{text} {address}" for text, address in cell.links)]))
