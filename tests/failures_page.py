"""The failures that docs/operations.md lists, by the words that the page quotes.

Whoever provokes one asks here whether what is printed is what the page says; `tests/test_docs.py` asks that each row of
the page is in some test.
"""

import re

from tests.installation import ROOT

PAGE = ROOT / "docs" / "operations.md"
SECTION = re.compile(r"^## What can go wrong.*?\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def failures() -> list[str]:
    """The words of each row, in which `…` stands for anything. Raises ValueError where the page has no such section."""
    if not (section := SECTION.search(PAGE.read_text("utf-8"))):
        raise ValueError(f"{PAGE} has no section of failures")
    return re.findall(r"^\| `([^`]+)` \|", section[1], re.MULTILINE)


def as_on_the_page(words: str, printed: str) -> bool:
    """Whether a row's words, with something where they have `…`, are in what was printed, however that breaks lines.

    Raises ValueError for words that the page does not have.
    """
    if words not in failures():
        raise ValueError(f"{PAGE.name} has no failure `{words}`")
    pattern = r".+?".join(r"\s+".join(map(re.escape, part.split())) for part in words.split("…"))
    return re.search(pattern.replace(r".+?", r"\s*.+?\s*"), printed, re.DOTALL) is not None
