"""The parts of a move as data: which methods make, change and take away each, and by what one is known again.

Pages `universal/import/*`, `requisites/*`, `timeline/activities/activity-base/*`, `timeline/comments/*`,
`universal/product-rows/crm-item-productrow-set`. Cards carry our mark, `<cloud's portal>:<id>`. What hangs on them has
no field for one: it is known by what it hangs on and by its texts, an activity by its source's key.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ingest.bitrix24.client import Command
from publish.bitrix24.kinds import Card, Catalogue, OwnKey
from publish.parts import Field, canonical

MART = "marts.transfer_records"
BINDINGS = "marts.transfer_bindings"
MARK = "UF_CRM_SVOD_SOURCE"
_MARK_IN_LISTS = "ufCrmSvodSource"
_FIELD = Field(MARK, "", custom_type="string", label="Перенесено из")
CARD_TYPES = {"company": 4, "contact": 3, "lead": 1, "deal": 2}
DATES = ("createdTime", "updatedTime", "movedTime")


def cards(cloud: str) -> Catalogue:
    """The kinds of cards in the order they are made in; `cloud` is the name of the portal they come from."""
    key = OwnKey(_MARK_IN_LISTS, f"{cloud}:", {f"=%{_MARK_IN_LISTS}": f"{cloud}:%"})
    return Catalogue(
        *(
            Card(
                entity=entity,
                mart=MART,
                key="source_id",
                type_id=type_id,
                user_fields=f"crm.{entity}.userfield",
                known_by=key,
                mark_field=MARK if entity == "company" else "",
                fields=(_FIELD,),
            )
            for entity, type_id in CARD_TYPES.items()
        )
    )


Owner = tuple[tuple[str, ...], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What is made one by one and hangs on something.

    Fields `owner_types` and `owner_id` say on what; of an address its own type, too, for there is one of each.
    `known_by` are the fields that tell one from the others on its owner; without any, all its texts do. Where the list
    takes one owner a command it is not `lists_many`.
    """

    entity: str
    add: str
    update: str
    remove: str
    listing: str
    owner_id: str = "ENTITY_ID"
    owner_types: tuple[str, ...] = ()
    known_by: tuple[str, ...] = ()
    lists_many: bool = True

    def to_add(self, fields: Mapping[str, Any]) -> Command:
        return Command(self.add, {"fields": dict(fields)})

    def to_update(self, target_id: int, fields: Mapping[str, Any]) -> Command:
        return Command(self.update, {"id": target_id, "fields": dict(fields)})

    def to_get(self, target_id: int) -> Command:
        return Command(f"{self.listing.removesuffix('.list')}.get", {"id": target_id})

    def to_remove(self, target_id: int) -> Command:
        return Command(self.remove, {"id": target_id})

    def owner_of(self, fields: Mapping[str, Any]) -> Owner:
        """What it hangs on, of what is sent or of a row of the list."""
        return tuple(str(fields.get(name)) for name in self.owner_types), str(fields.get(self.owner_id))

    def is_same(self, row: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
        """Whether a row of the list is what was to be made."""
        names = self.known_by or [name for name, value in wanted.items() if isinstance(value, str) and value]
        return all(canonical("text", row.get(name)) == canonical("text", wanted.get(name)) for name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address(Piece):
    """An address has no id: its type and its owner tell it."""

    def to_update(self, target_id: int, fields: Mapping[str, Any]) -> Command:
        return Command(self.update, {"fields": dict(fields)})


REQUISITE = Piece(
    entity="requisite",
    add="crm.requisite.add",
    update="crm.requisite.update",
    remove="crm.requisite.delete",
    listing="crm.requisite.list",
    owner_types=("ENTITY_TYPE_ID",),
)
BANK_DETAIL = Piece(
    entity="bank_detail",
    add="crm.requisite.bankdetail.add",
    update="crm.requisite.bankdetail.update",
    remove="crm.requisite.bankdetail.delete",
    listing="crm.requisite.bankdetail.list",
)
ADDRESS = Address(
    entity="address",
    add="crm.address.add",
    update="crm.address.update",
    remove="crm.address.delete",
    listing="crm.address.list",
    owner_types=("ENTITY_TYPE_ID", "TYPE_ID"),
)
ACTIVITY = Piece(
    entity="activity",
    add="crm.activity.add",
    update="crm.activity.update",
    remove="crm.activity.delete",
    listing="crm.activity.list",
    owner_types=("OWNER_TYPE_ID",),
    owner_id="OWNER_ID",
    known_by=("ORIGINATOR_ID", "ORIGIN_ID"),
)
COMMENT = Piece(
    entity="comment",
    add="crm.timeline.comment.add",
    update="crm.timeline.comment.update",
    remove="crm.timeline.comment.delete",
    listing="crm.timeline.comment.list",
    owner_types=("ENTITY_TYPE",),
    known_by=("COMMENT",),
    lists_many=False,
)
# What an activity becomes that no webhook may make: a comment, in the ledger under a name of its own.
ACTIVITY_COMMENT = "activity_comment"
# The name of a user for whom another stands: a comment of the card.
NAMES = "names"
# A file that came after its activity: likewise.
LATER_FILE = "activity_file"
PIECES: Mapping[str, Piece] = {piece.entity: piece for piece in (REQUISITE, BANK_DETAIL, ADDRESS, ACTIVITY, COMMENT)}

# Set as a whole: sending it again does no harm, so it needs no look-up.
SETTINGS: Mapping[str, str] = {
    "product_rows": "crm.item.productrow.set",
    "requisite_link": "crm.requisite.link.register",
}
# Entities of the ledger for what is no record: fields told afterwards, bindings of activities, cards without dates; and
# that something of ours may be in the box which the ledger does not know.
AFTERWARDS = "second_pass"
BINDING = "binding"
UNDATED = "undated"
MISSED = "missed"
# All that hangs on cards, as the ledger has it.
HANGING = (*PIECES, ACTIVITY_COMMENT, NAMES, LATER_FILE, *SETTINGS, "comments", AFTERWARDS, BINDING)
