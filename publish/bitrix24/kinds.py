"""The three kinds of part in Bitrix24: a card, a detail that hangs on one, a link between two; how each is sent.

Field names are those of the method that takes them: camelCase in `crm.item.*` (custom fields by their own names), upper
case in `crm.requisite.*`, `crm.address.*`. Pages `universal/object-fields`, `requisites/universal/index`.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ingest.bitrix24.answers import entries_of, number_of, odd
from ingest.bitrix24.client import Client, Command, list_by
from publish.parts import Link, Part, ValueChange, canonical

ORIGINATOR = "svod"

ITEMS = "crm.item.list"
Translations = Mapping[str, Mapping[str, Any]]  # field -> our value -> the portal's


@dataclass(frozen=True, slots=True)
class OwnKey:
    """Where a card holds our own key: the field as lists name it, what stands before the key there, and the filter that
    finds cards with any such key."""

    field: str = "originId"
    prefix: str = ""
    where: Mapping[str, Any] = dataclasses.field(default_factory=lambda: {"originatorId": ORIGINATOR})

    @property
    def selected(self) -> list[str]:
        """Fields that a list has to answer for `of`."""
        return ["id", self.field, *(name for name in self.where if name.isalnum())]

    def of(self, row: Mapping[str, Any]) -> str:
        """Our key of a card in a list; '' where it has none."""
        if any(row.get(name) != value for name, value in self.where.items() if name.isalnum()):
            return ""
        held = str(row.get(self.field) or "")
        return held.removeprefix(self.prefix) if held.startswith(self.prefix) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card(Part):
    """A card of `crm.item.*`, known by our own key. `user_fields` is the family of methods for its custom fields;
    `mark_field` is the one whose external code may carry the portal's mark; `companies` is SQL of the company that each
    record belongs to (`origin_id`, `company_id`)."""

    type_id: int
    user_fields: str = ""
    companies: str = ""
    known_by: OwnKey = OwnKey()
    mark_field: str = ""
    add: str = "crm.item.batchImport"
    update: str = "crm.item.update"
    add_together: int = 20  # page `universal/import/crm-item-batch-import`

    def to_import(self, records: Sequence[Mapping[str, Any]]) -> Command:
        """The command that creates up to 20 cards; the answer has an id or an error for each."""
        params = {"entityTypeId": self.type_id, "useOriginalUfNames": "Y", "data": list(records)}
        return Command(self.add, params, len(records))

    def to_update(
        self, bitrix_id: int | None, fields: Mapping[str, Any], values: Sequence[ValueChange] = ()
    ) -> Command:
        """The command that changes fields, and phones and e-mails one by one (page `universal/crm-item-update`, `fm`:
        by id, new ones by n0, n1; an empty value takes away)."""
        multifields = {}
        for number, change in enumerate(values):
            kind = {"valueType": "WORK"} if change.value else {}
            multifields[change.id or f"n{number}"] = {"typeId": change.field, **kind, "value": change.value or ""}
        sent = {**fields, **({"fm": multifields} if multifields else {})}
        params = {"entityTypeId": self.type_id, "id": bitrix_id, "useOriginalUfNames": "Y", "fields": sent}
        return Command(self.update, params)

    async def read(self, client: Client, bitrix_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
        """Cards as the portal holds them, by id; phones and e-mails as {value's id: value}."""
        rows = await list_by(
            client,
            ITEMS,
            "id",
            bitrix_ids,
            where={},
            entityTypeId=self.type_id,
            select=["*"],
            useOriginalUfNames="Y",
        )
        return {number_of(ITEMS, row, "id"): row | self._values(row) for row in rows}

    async def find(self, client: Client, origin_ids: Sequence[str]) -> dict[str, int]:
        """Cards by our own key; the oldest where somebody copied one."""
        key = self.known_by
        rows = await list_by(
            client,
            ITEMS,
            key.field,
            [f"{key.prefix}{origin_id}" for origin_id in origin_ids],
            where=key.where,
            entityTypeId=self.type_id,
            select=key.selected,
        )
        cards = [(number_of(ITEMS, row, "id"), key.of(row)) for row in rows]
        if not all(own for _, own in cards):
            raise odd(ITEMS, f"a row without {key.field}")
        return {own: bitrix_id for bitrix_id, own in sorted(cards, reverse=True)}

    def to_get(self, bitrix_id: int) -> Command:
        """The command that tells a card that was deleted (NOT_FOUND) from one that may not be read (ACCESS_DENIED)."""
        return Command("crm.item.get", {"entityTypeId": self.type_id, "id": bitrix_id})

    def _values(self, row: Mapping[str, Any]) -> dict[str, dict[str, str]]:
        entries = list(entries_of(ITEMS, row.get("fm")))
        return {
            field.name: {str(entry["id"]): str(entry["value"]) for entry in entries if entry["typeId"] == field.name}
            for field in self.fields
            if field.is_multiple
        }

    def own_key(self, current: Mapping[str, Any], origin_id: str) -> dict[str, str]:
        """Our key for a card that has none, or one of ours that stands for it no longer; a card of another system, or
        one that we know by another field, keeps its own."""
        known = self.known_by.of(current) if self.known_by == OwnKey() else ""
        return {} if known == origin_id or (current.get("originId") and not known) else origin(origin_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail(Part):
    """What hangs on a card or on another detail: `ENTITY_ID` is the portal's id of its owner.

    `constants` go with every create and narrow the list of an owner's details. Among those, fields of `identity` tell
    one from the others; where `content` fields differ it is somebody else's. `typed` are beginnings of the names of all
    fields that a person may fill in. One without an id of its own (an address) goes by its owner's.
    """

    listing: str
    constants: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    identity: tuple[str, ...] = ()
    content: tuple[str, ...] = ()
    typed: tuple[str, ...] = ()
    has_own_id: bool = True

    @property
    def id_field(self) -> str:
        return "ID" if self.has_own_id else "ENTITY_ID"

    def to_add(self, owner_id: int, wanted: Mapping[str, Any], translations: Translations) -> Command:
        """The command that adds it to its owner; the answer is its id, or `true` where it has none."""
        fields: dict[str, Any] = {}
        for field in self.fields:
            value = wanted.get(field.name)
            if value is not None:
                fields[field.name] = translations[field.name][value] if field.kind == "choice" else value
        return Command(self.add, {"fields": {**fields, "ENTITY_ID": owner_id, **self.constants}})

    def to_update(
        self, bitrix_id: int | None, fields: Mapping[str, Any], values: Sequence[ValueChange] = ()
    ) -> Command:
        """The command that changes fields; a detail has no phones and e-mails, `values` is always empty."""
        if self.has_own_id:
            return Command(self.update, {"id": bitrix_id, "fields": dict(fields)})
        return Command(self.update, {"fields": {**self.constants, "ENTITY_ID": bitrix_id, **fields}})

    def to_remove(self, bitrix_id: int) -> Command:
        """The command that deletes it (pages `crm-requisite-bank-detail-delete`, `crm-address-delete`)."""
        if self.has_own_id:
            return Command(self.remove, {"id": bitrix_id})
        return Command(self.remove, {"fields": {**self.constants, "ENTITY_ID": bitrix_id}})

    def touched(self, current: Mapping[str, Any], sent: Mapping[str, Any]) -> str | None:
        """The first field that does not hold what we sent, in the portal's row of a detail; None when all is ours."""
        kinds = {field.name: field.kind for field in self.fields if field.kind != "choice"}
        others = [name for name in current if name.startswith(self.typed) and name not in kinds] if self.typed else []
        for name in [*kinds, *others]:
            kind = kinds.get(name, "text")
            if canonical(kind, current.get(name)) != canonical(kind, sent.get(name)):
                return name
        return None

    async def read(self, client: Client, bitrix_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
        """Details as the portal holds them, by id."""
        where = {} if self.has_own_id else self.constants
        rows = await list_by(client, self.listing, self.id_field, bitrix_ids, where=where)
        return {number_of(self.listing, row, self.id_field): row for row in rows}

    def to_get(self, bitrix_id: int) -> Command | None:
        """The command that tells one that was deleted from one that may not be read; None where there is no such."""
        return Command(f"{self.listing.removesuffix('.list')}.get", {"id": bitrix_id}) if self.has_own_id else None

    def own_key(self, current: Mapping[str, Any], origin_id: str) -> dict[str, str]:
        """Nothing: details carry no key of ours."""
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class CardLink(Link):
    """A link between cards. One by one it goes as the holder's `id` and the other card in `other_field`; with a new
    holder as a list in its field `travels_as`, in the order of the mart's column `first`. `listing` answers the links
    of a holder."""

    holder: Card
    other: Card
    other_field: str
    travels_as: str
    listing: str

    def to_add(self, holder_id: int, other_id: int, *, is_primary: bool = False) -> Command:
        """The command that adds one link, and leaves the others alone; `false` says that it was there. A new link that
        is primary takes the place of the one before (page `contacts/company/crm-contact-company-add`)."""
        primary = {"IS_PRIMARY": "Y"} if is_primary else {}
        return Command(self.add, {"id": holder_id, "fields": {self.other_field: other_id, **primary}})

    def to_remove(self, holder_id: int, other_id: int) -> Command:
        """The command that takes one link away."""
        return Command(self.remove, {"id": holder_id, "fields": {self.other_field: other_id}})

    def to_list(self, holder_id: int) -> Command:
        """The command that answers the links of a holder: the other card in `other_field`, `IS_PRIMARY` Y or N (page
        `contacts/company/crm-contact-company-items-get`)."""
        return Command(self.listing, {"id": holder_id})


def origin(origin_id: str) -> dict[str, str]:
    """The fields of a card that hold our key."""
    return {"originatorId": ORIGINATOR, "originId": origin_id}


class Catalogue:
    """Parts in the order they are sent in: owners before what hangs on them, cards before what refers to them.

    Raises ValueError when a part needs one that does not stand before it.
    """

    def __init__(self, *parts: Card | Detail | CardLink) -> None:
        self._parts = {part.entity: part for part in parts}
        self.cards = [part for part in parts if isinstance(part, Card)]
        self.links = [part for part in parts if isinstance(part, CardLink)]
        before: set[str] = set()
        for part in parts:
            missing = {*part.needs, *([part.owner] if part.owner else [])} - before
            if missing:
                raise ValueError(f"{part.entity} needs {', '.join(sorted(missing))} before it")
            before.add(part.entity)

    def __iter__(self) -> Iterator[Card | Detail | CardLink]:
        return iter(self._parts.values())

    def __getitem__(self, entity: str) -> Card | Detail | CardLink:
        return self._parts[entity]

    def details_on(self, owners: Iterable[str]) -> Iterator[Detail]:
        """Details that hang on these parts, and on those details in turn."""
        known = {*owners}
        for part in self:
            if isinstance(part, Detail) and part.owner in known:
                known.add(part.entity)
                yield part

    def travelling(self, holder: str) -> CardLink | None:
        """The link that goes with a new card of this kind."""
        return next((link for link in self.links if link.holder.entity == holder), None)
