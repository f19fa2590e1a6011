"""A page as one HTML file: style and script within, and a policy that forbids the browser every request."""

import base64
import hashlib
from functools import cache
from importlib import resources

from jinja2 import Environment, FunctionLoader, StrictUndefined

from publish.page.content import Page
from publish.page.texts import Texts

# Chart.js, as its makers release it (npm, dist/chart.umd.min.js); its licence is beside it.
_CHARTS = "vendor/chart.umd.min.js"


def render(page: Page, texts: Texts) -> str:
    """The page as text. Whatever comes from tables is escaped."""
    style, scripts = _file("page.css"), [_file("xlsx.js"), _file("page.js")]
    if page.has_charts:
        scripts += [_without_map(_file(_CHARTS)), _file("charts.js")]
    hashes = " ".join(f"'{_hash(script)}'" for script in scripts)
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src {hashes}; base-uri 'none'"
    template = _templates().get_template("page.html.j2")
    return template.render(page=page, texts=texts, style=style, scripts=scripts, policy=policy)


def _without_map(script: str) -> str:
    """Without the address of a source map, which the developers' tools of a browser would ask for."""
    return script.partition("//# sourceMappingURL=")[0]


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
