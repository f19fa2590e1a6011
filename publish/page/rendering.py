"""A page as one HTML file: style and script within, and a policy that forbids the browser every request."""

import base64
import hashlib
from functools import cache
from importlib import resources

from jinja2 import Environment, FunctionLoader, StrictUndefined

from publish.page.content import Page
from publish.page.texts import Texts


def render(page: Page, texts: Texts) -> str:
    """The page as text. Whatever comes from tables is escaped."""
    style, script = _file("page.css"), _file("page.js")
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'"
    template = _templates().get_template("page.html.j2")
    return template.render(page=page, texts=texts, style=style, script=script, policy=policy)


def _hash(text: str) -> str:
    """What a content security policy knows an inline text by (CSP 3, section 2.3.1)."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _templates() -> Environment:
    return Environment(
        loader=FunctionLoader(_file), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
