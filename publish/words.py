"""What values of ours are called on cards: the state in the managers' language, sources by their display names.

The words of the states are a mart's (`entity`, `state`, `lang`, `word`). The ledger has the words as they were sent, so
that other words are a change like any other: planned, counted by the change limit, taken back the same way. Whoever
asks for a state asks the marts, or finds it by its word, whichever language that is in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from publish.parts import Departed, Field, Part
from publish.settings import Settings

SEPARATOR = ", "  # between the sources of a record


@dataclass(frozen=True, slots=True)
class Words:
    """The language of the states, and display names by source; what has no word is called as it is."""

    lang: str = "codes"
    source_names: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Those that the operator has chosen."""
        return cls(settings.crm_lang, settings.source_names)

    def wanted(self, part: Part) -> str:
        """SQL of a part's fields as one JSON text, in these words."""
        return part.wanted_as(lambda field: self._told(part, field))

    def state(self, part: Part, departed: Departed, state: str) -> str:
        """SQL of the word for a state, which is SQL as well."""
        if not departed.words:
            return state
        return f"""coalesce((
            select word from {departed.words} as said
            where said.entity = '{part.entity}' and said.lang = '{self.lang}' and said.state = {state}), {state})"""

    def known_state(self, part: Part, departed: Departed, word: str) -> str:
        """SQL of the state that a word stands for in any language; null where it is none of ours."""
        if not departed.words:
            return "null::varchar"
        return f"""(select any_value(said.state) from {departed.words} as said
            where said.entity = '{part.entity}' and said.word = {word})"""

    def sources_of(self, names: set[str]) -> set[str]:
        """The sources that are called so."""
        by_name = {name: source for source, name in self.source_names.items()}
        return {by_name.get(name, name) for name in names}

    def _told(self, part: Part, field: Field) -> str:
        if field.said_as == "state" and part.departed:
            return self.state(part, part.departed, field.column)
        if field.said_as == "sources" and self.source_names:
            named = " ".join(f"when {_text(source)} then {_text(name)}" for source, name in self.source_names.items())
            each = f"lambda source: case source {named} else source end"
            return (
                f"array_to_string(list_transform(string_split({field.column}, '{SEPARATOR}'), {each}), '{SEPARATOR}')"
            )
        return field.column


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
