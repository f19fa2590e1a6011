"""The words of all pages, in both languages: `texts.toml`, one line a text."""

import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from importlib import resources
from typing import Any

from ingest.warehouse.checklist import Language
from ingest.warehouse.period import in_moscow

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

    def day(self, value: date) -> str:
        """A day as it is; of a time of the warehouse the day that it is in Moscow then, as `moment` says it."""
        if isinstance(value, datetime):
            value = in_moscow(value).date()
        return f"{value:%d.%m.%Y}" if self.language == "ru" else f"{value:%Y-%m-%d}"

    def moment(self, value: datetime) -> str:
        """A time of the warehouse as the clocks of Moscow show it."""
        return f"{self.day(value)} {in_moscow(value):%H:%M} {self('moscow')}"


@cache
def _texts() -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads(resources.files(__package__).joinpath("texts.toml").read_text(encoding="utf-8"))
