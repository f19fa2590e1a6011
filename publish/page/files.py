"""Writes a page where it is opened."""

from pathlib import Path

from ingest.warehouse import private
from publish.page.content import Page
from publish.page.texts import Texts


def write(page: Page, texts: Texts, file: Path) -> None:
    """Put the page in its place, whole; names, phones and e-mails are in it, so it is the caller's alone."""
    from publish.page.rendering import render  # with a template engine that no other command needs

    file.parent.mkdir(parents=True, exist_ok=True)
    private.keep_new_files_private()
    half = file.with_name(f"{file.name}.part")
    half.write_text(render(page, texts), encoding="utf-8")
    half.replace(file)
