"""The words of all pages, in both languages: `texts.toml`, one line a text."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from ingest.warehouse.checklist import Language

_SPACES = {"ru": "\u00a0", "en": ","}  # between thousands
_POINTS = {"ru": ",", "en": "."}


class Texts:
    """Texts by their names, in one language."""

    def __init__(self, language: Language) -> None:
        self.language = language

    def __call__(self, name: str, **values: object) -> str:
        """A text with its values filled in. KeyError: there is none of this name."""
        text: str = _texts()[name][self.language]
        return text.format(**values) if values else text

    def known(self, prefix: str, name: str) -> str:
        """The text of a code such as an outcome; of one that has none, the code itself."""
        return str(_texts().get(f"{prefix}_{name}", {}).get(self.language, name))

    def number(self, value: float | int | None, places: int = 0) -> str:
        """A number as people of this language write it; nothing where there is none."""
        if value is None:
            return ""
        whole, _, fraction = f"{value:,.{places}f}".partition(".")
        text = whole.replace(",", _SPACES[self.language])
        return f"{text}{_POINTS[self.language]}{fraction}" if fraction else text


@cache
def _texts() -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads(resources.files(__package__).joinpath("texts.toml").read_text(encoding="utf-8"))
