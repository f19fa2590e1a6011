"""Writes a page where it is opened."""

from pathlib import Path

from ingest.warehouse import private
from ingest.warehouse.errors import OperatorError
from publish.page.content import Page
from publish.page.texts import Texts


def write(page: Page, texts: Texts, file: Path) -> None:
    """Put the page in its place, whole; names, phones and e-mails are in it, so it is the caller's alone.

    Raises OperatorError where that is no place for a file.
    """
    from publish.page.rendering import render  # with a template engine that no other command needs

    if file.is_dir() or not file.parent.is_dir():
        problem = f"{file} is a folder" if file.is_dir() else f"there is no folder {file.parent}"
        raise OperatorError(problem, hint="name a file in a folder that is there", exit_status=2)
    private.keep_new_files_private()
    half = file.with_name(f"{file.name}.part")
    half.write_text(render(page, texts), encoding="utf-8")
    half.replace(file)
