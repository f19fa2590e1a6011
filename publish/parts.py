"""What a part of the CRM is to us: a mart, its key and its fields; and how values are compared and encoded.

A part is what one portal method creates: a card, its requisite, an address, a link. Three worlds are compared: what we
want (the mart), what we sent (the ledger) and what the portal shows; each spells numbers, days and phones differently.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, NamedTuple

PRIMARY = '{"is_primary":true}'
FieldKind = Literal["text", "number", "date", "phone", "email", "choice", "reference"]
Owner = Literal["source", "manager", "last_sent"]  # whose value of a field stands


class Key(NamedTuple):
    """What tells a part from all others within a portal."""

    entity: str
    origin_id: str


@dataclass(frozen=True, slots=True)
class Choices:
    """A list of values that the portal keeps, under its name there. `mart` says which of them stand for each of our
    values (columns `status` and `stages`, the best first); without one the list is one that the publisher knows. Of a
    field that is no `choice` our values go as they are, and have to be in the list."""

    name: str
    mart: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """A portal field and the SQL that reads it from the mart.

    `phone` and `email` fields hold several values. A `choice` is translated by a list of the portal's; a `reference`
    holds our key of the card `refers_to`, and the portal's id of that card there.
    """

    name: str
    column: str
    kind: FieldKind = "text"
    # A field that the publisher adds to the portal has a type and a label; nobody is meant to type into it.
    custom_type: str = ""
    label: str = ""
    # It goes with the create only.
    once: bool = False
    # The portal fills it where we sent nothing, so that a value there need not be a manager's.
    has_default: bool = False
    choices: Choices | None = None
    refers_to: str = ""
    # Without that card the portal's card is of no use: it waits.
    is_required: bool = False
    # A person's name or the like: never shown where others read along.
    is_personal: bool = False
    # The portal's field with the whole set this one is the first of: where a manager made it several, it is theirs.
    first_of: str = ""
    # Once told it stays: a record that names nothing there any more keeps what it had, and follows a merge of it.
    is_kept: bool = False
    # It is told of records that left, and of those that came back; of all others it says nothing.
    once_left: bool = False
    # People are told it in words: a state of the record, or its sources (publish/words.py).
    said_as: Literal["", "state", "sources"] = ""

    @property
    def is_multiple(self) -> bool:
        return self.kind in ("phone", "email")

    @property
    def told_as(self) -> str:
        """Its name for people who are told our values: those of a choice or a reference the portal gets by its own
        names and numbers."""
        return f"{self.name} (our {self.column})" if self.kind in ("choice", "reference") else self.name


@dataclass(frozen=True, slots=True)
class Departed:
    """The mart of records that left (the part's key, `state`, `merged_into`), the field that tells their state, the
    choice field, if any, in which the state stands for a value that the operator may have chosen, and the mart of words
    for the states, if any."""

    mart: str
    state_field: str
    choice_field: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A kind of part: where its wanted fields come from, what it hangs on and which methods send it.

    `key` is SQL over the mart; a part that hangs on an owner has the owner's key. `add_together` is how many of them
    one command of method `add` creates; `remove` takes away one whose owner stays.
    """

    entity: str
    mart: str
    key: str
    fields: tuple[Field, ...] = ()
    where: str = "true"
    owner: str = ""
    departed: Departed | None = None
    add: str
    update: str = ""
    remove: str = ""
    add_together: int = 1
    # Its fields are a person's, all but those that the publisher adds.
    is_about_people: bool = False

    @property
    def wanted(self) -> str:
        """SQL of a part's fields as one JSON text: keys in this order, so that equal fields are equal texts."""
        return self.wanted_as(lambda field: field.column)

    def wanted_as(self, value: Callable[[Field], str]) -> str:
        """The same with other SQL for the value of a field."""
        told = [field for field in self.fields if not field.once_left]
        return "json_object(" + ", ".join(f"'{field.name}', {value(field)}" for field in told) + ")::varchar"

    @property
    def references(self) -> tuple[Field, ...]:
        return tuple(field for field in self.fields if field.kind == "reference")

    @property
    def needs(self) -> tuple[str, ...]:
        """Entities of the cards that have to be in the portal before changes of this part can be sent."""
        return tuple(field.refers_to for field in self.references)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link(Part):
    """A link between two cards, keyed `<holder's key>/<other's key>`; it has no fields, so it is added or removed.

    Links of a holder that is itself new travel with it, and a holder without any link waits. One link of a holder is
    its primary one: the mart's column `first` says which, and a link that was made primary has `PRIMARY` as its text.
    """

    holder: Part
    other: Part
    first: str

    @property
    def needs(self) -> tuple[str, ...]:
        return self.other.entity, self.holder.entity


class ValueChange(NamedTuple):
    """One phone or e-mail to add (no id), change, or take away (no value)."""

    field: str
    id: str | None
    value: str | None


def lanes(parts: Iterable[Part]) -> list[list[Part]]:
    """Parts whose creates share requests: a card alone, what hangs on the same owner together, unless more hangs on it.

    Links are no lane: they follow the cards.
    """
    parts = [part for part in parts if not isinstance(part, Link)]
    owners = {part.owner for part in parts}
    by_owner: dict[str, list[Part]] = {}
    for part in parts:
        is_alone = not part.owner or part.entity in owners
        by_owner.setdefault(part.entity if is_alone else f"on {part.owner}", []).append(part)
    return list(by_owner.values())


def decoded(text: str | None) -> dict[str, Any]:
    """Fields of a JSON text of the plan or the ledger; none where there is no text."""
    return dict(json.loads(text)) if text else {}


def encoded(fields: Mapping[str, Any]) -> str:
    """Fields as JSON text in the form that the warehouse gives them."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def canonical(kind: FieldKind, value: Any) -> Any:
    """One form for what we want, what we sent and what the portal shows; None where there is nothing.

    The portal answers numbers as texts or floats, dates with a time and a zone, empty texts for what is not set, and 0
    for a reference to nothing.
    """
    if value is None or value == "" or value == []:
        return None
    if kind == "number":
        try:
            return Decimal(str(value)).normalize()
        except InvalidOperation:
            return str(value)
    if kind == "date":
        return str(value)[:10]
    if kind == "reference":
        return str(value) if str(value) != "0" else None
    return re.sub(r"\s+", " ", str(value)).strip() or None


def same_value(kind: FieldKind, value: str) -> str:
    """What two spellings of one phone or e-mail have in common."""
    if kind == "email":
        return value.strip().casefold()
    digits = re.sub(r"\D", "", value)
    return "7" + digits[1:] if len(digits) == 11 and digits[0] == "8" else digits


def shown(value: Any) -> str:
    """A value as a person reads it in a plan or a conflict."""
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
