"""Links between cards: a contact has companies, a deal (lead, quote) has contacts.

Pages `contacts/company/*`, `companies/contacts/*`, `deals/contacts/*`. The portal keeps the primary link itself: the
first link is primary, a new primary one takes over, and when the primary goes the first of the rest follows.
"""

from collections.abc import Callable
from typing import Any

from publish.sandbox import php
from publish.sandbox.fields import CARDS, Card
from publish.sandbox.methods import ApiError, Call, method
from publish.sandbox.store import Store, moment

COMPANY, CONTACT = CARDS[4], CARDS[3]


class Side:
    """One end of a kind of link, seen from the card that owns the set."""

    def __init__(self, owner: Card, other: Card):
        self.owner, self.other = owner, other
        self.key = f"{other.name}_ID"
        self.pairs_up = {owner.name, other.name} == {"CONTACT", "COMPANY"}
        if self.pairs_up:
            self.table, self.fixed = "contact_company", {}
            self.owner_column, self.other_column = f"{owner.table}_id", f"{other.table}_id"
            inverse = owner is COMPANY
            self.sort = "contact_sort" if inverse else "sort"
            self.primary = "is_primary_contact" if inverse else "is_primary"
        else:
            self.table, self.fixed = "card_contact", {"card": owner.name}
            self.owner_column, self.other_column = "card_id", "contact_id"
            self.sort, self.primary = "sort", "is_primary"

    def _where(self) -> str:
        return "".join(f"{name} = '{value}' and " for name, value in self.fixed.items()) + f"{self.owner_column} = ?"

    def rows(self, store: Store, owner_id: int) -> list[tuple[int, int, str]]:
        """Other card's id, sort, `Y` for the primary one; in card order."""
        sql = (
            f"select {self.other_column}, {self.sort}, {self.primary} from {self.table} where {self._where()} "
            f"order by {self.sort}, {self.other_column}"
        )
        return [tuple(row) for row in store.rows(sql, owner_id)]

    def add(self, store: Store, owner_id: int, other_id: int, sort: int | None = None, primary: bool = False) -> bool:
        """Add one link; False when it is there, or when there is no such card to link (the portal drops it)."""
        held = self.rows(store, owner_id)
        if any(row[0] == other_id for row in held) or not store.exists(self.other.table, other_id):
            return False
        sort = sort or max((row[1] for row in held), default=0) + 10
        primary = primary or not any(row[2] == "Y" for row in held)
        row = self.fixed | {self.owner_column: owner_id, self.other_column: other_id}
        row |= {self.sort: sort, self.primary: "Y" if primary else "N"}
        if self.pairs_up:
            mirror = Side(self.other, self.owner)
            other_side = mirror.rows(store, other_id)
            row |= {mirror.sort: max((item[1] for item in other_side), default=0) + 10}
            row |= {mirror.primary: "N" if any(item[2] == "Y" for item in other_side) else "Y"}
        store.insert(self.table, row)
        if primary:
            self.make_primary(store, owner_id, other_id)
        if self.pairs_up:
            self._settle_primary(store, owner_id, other_id)
        return True

    def make_primary(self, store: Store, owner_id: int, other_id: int) -> None:
        """Make a link that is there the primary one; a single-link field of the owner follows."""
        sql = f"update {self.table} set {self.primary} = iif({self.other_column} = ?, 'Y', 'N') where {self._where()}"
        store.write(sql, other_id, owner_id)
        if self.key in self.owner.fields and not self.owner.fields[self.key].multiple:
            store.update(self.owner.table, owner_id, {self.key: other_id})

    def _settle_primary(self, store: Store, owner_id: int, other_id: int) -> None:
        """Keep COMPANY_ID of the contact on its primary company, whichever side the link was changed from."""
        contact_id = owner_id if self.owner is CONTACT else other_id
        sql = "select company_id from contact_company where contact_id = ? and is_primary = 'Y'"
        store.update("contact", contact_id, {"COMPANY_ID": store.value(sql, contact_id)})

    def remove(self, store: Store, owner_id: int, other_id: int) -> bool:
        """Remove one link; False when there is none."""
        sql = f"delete from {self.table} where {self._where()} and {self.other_column} = ?"
        if not store.write(sql, owner_id, other_id):
            return False
        for side, mine in ((self, owner_id), (Side(self.other, self.owner), other_id))[: 2 if self.pairs_up else 1]:
            rest = side.rows(store, mine)
            if not any(row[2] == "Y" for row in rest):
                if rest:
                    side.make_primary(store, mine, rest[0][0])
                elif side.key in side.owner.fields and not side.owner.fields[side.key].multiple:
                    store.update(side.owner.table, mine, {side.key: None})
        return True

    def replace(self, store: Store, owner_id: int, wanted: list[tuple[int, int | None, bool]]) -> bool:
        """Make the set exactly the wanted (id, sort, primary) links; whether anything differed."""
        held = self.rows(store, owner_id)
        primary = next((other for other, _, is_primary in wanted if is_primary), wanted[0][0] if wanted else None)
        was = ([row[0] for row in held], next((row[0] for row in held if row[2] == "Y"), None))
        changed = False
        keep = {other for other, _, _ in wanted}
        for other, _, _ in held:
            if other not in keep:
                changed |= self.remove(store, owner_id, other)
        for other, sort, _ in wanted:
            changed |= self.add(store, owner_id, other, sort)
        if primary in {row[0] for row in self.rows(store, owner_id)} and primary != was[1]:
            self.make_primary(store, owner_id, primary)
            changed = True
        return changed


CONTACT_COMPANIES = Side(CONTACT, COMPANY)
COMPANY_CONTACTS = Side(COMPANY, CONTACT)
CARD_CONTACTS = {card.name: Side(card, CONTACT) for card in CARDS.values() if card.name in ("DEAL", "LEAD", "QUOTE")}


SIDES = {"CONTACT": CONTACT_COMPANIES, "COMPANY": COMPANY_CONTACTS, **CARD_CONTACTS}


def set_card_links(store: Store, card: Card, card_id: int, linked: list[int] | None, primary: int | None) -> bool:
    """Apply the list of links of a card (`companyIds` of a contact, `contactIds` of the others) and its primary link
    (`companyId`, `contactId`; 0 takes it away). None means "not sent". Whether anything differed."""
    side, changed = SIDES[card.name], False
    if linked is not None:
        changed = side.replace(store, card_id, [(other, None, other == primary) for other in dict.fromkeys(linked)])
    elif primary is not None:
        held = next((row[0] for row in side.rows(store, card_id) if row[2] == "Y"), 0)
        if primary == held:
            return False
        if primary == 0:
            return side.remove(store, card_id, held)
        if not side.add(store, card_id, primary, primary=True):
            side.make_primary(store, card_id, primary)
        changed = True
    return changed


def linked_to(store: Store, card: Card, card_id: int) -> list[int]:
    """Companies of a contact, contacts of any other card, in card order."""
    return [row[0] for row in SIDES[card.name].rows(store, card_id)]


def forget_card(store: Store, card: Card, card_id: int) -> None:
    """Unlink a card that is going."""
    if card is COMPANY:
        for contact_id in linked_to(store, card, card_id):
            COMPANY_CONTACTS.remove(store, card_id, contact_id)
        for name in ("deal", "lead", "quote"):
            store.write(f"update {name} set COMPANY_ID = null where COMPANY_ID = ?", card_id)
    if card is CONTACT:
        for company_id in linked_to(store, card, card_id):
            CONTACT_COMPANIES.remove(store, card_id, company_id)
        for row in store.rows("select card, card_id from card_contact where contact_id = ?", card_id):
            CARD_CONTACTS[row["card"]].remove(store, row["card_id"], card_id)
    store.write("delete from card_contact where card = ? and card_id = ?", card.name, card_id)


def _owner(call: Call, side: Side, parameter: str = "'ownerEntityID'", must_exist: bool = True) -> int:
    owner_id = php.integer(call.get("id"))
    if owner_id <= 0:
        raise ApiError("", f"The parameter {parameter} is invalid or not defined.")
    if must_exist and not call.store.exists(side.owner.table, owner_id):
        raise ApiError("", "Not found.")
    return owner_id


def _touch(call: Call, side: Side, owner_id: int) -> None:
    call.store.update(side.owner.table, owner_id, {"DATE_MODIFY": moment(call.now), "MODIFY_BY_ID": call.user})


def _add(call: Call, side: Side) -> bool:
    owner_id = _owner(call, side)
    fields = call.get("fields")
    if not php.is_array(fields):
        raise ApiError("", "The parameter 'fields' must be array.")
    fields = dict(php.pairs(fields))
    other_id = php.integer(fields.get(side.key))
    if other_id <= 0:
        raise ApiError("", "The parameter 'fields' is not valid.")
    if any(row[0] == other_id for row in side.rows(call.store, owner_id)):
        return False
    primary = fields.get("IS_PRIMARY") == "Y"
    if side.add(call.store, owner_id, other_id, php.integer(fields.get("SORT")) or None, primary):
        _touch(call, side, owner_id)
    # A link to a card that is not there is dropped without a word: the reference knows no error for it.
    return True


def _delete(call: Call, side: Side) -> bool:
    owner_id = _owner(call, side)
    fields = call.get("fields")
    if not php.is_array(fields):
        raise ApiError("", "The parameter 'fields' must be array.")
    other_id = php.integer(dict(php.pairs(fields)).get(side.key))
    if other_id <= 0:
        raise ApiError("", "The parameter 'fields' is not valid.")
    removed = side.remove(call.store, owner_id, other_id)
    if removed:
        _touch(call, side, owner_id)
    return removed


def _items_get(call: Call, side: Side) -> list[dict[str, Any]]:
    owner_id = _owner(call, side, "ownerEntityID", must_exist=side.owner.name == "DEAL")
    return [
        {side.key: other, "SORT": sort, "ROLE_ID": 0, "IS_PRIMARY": primary}
        for other, sort, primary in side.rows(call.store, owner_id)
    ]


def _items_set(call: Call, side: Side) -> bool:
    owner_id = _owner(call, side, "ownerEntityID")
    items = call.get("items")
    if not php.is_array(items):
        raise ApiError("", "The parameter items must be array.")
    wanted = [
        (php.integer(item.get(side.key)), php.integer(item.get("SORT")) or None, item.get("IS_PRIMARY") == "Y")
        for _, item in php.pairs(items)
        if isinstance(item, dict) and php.integer(item.get(side.key)) > 0
    ]
    side.replace(call.store, owner_id, wanted)
    _touch(call, side, owner_id)
    return True


def _items_delete(call: Call, side: Side) -> bool:
    owner_id = _owner(call, side, "ownerEntityID", must_exist=side.owner.name == "DEAL")
    side.replace(call.store, owner_id, [])
    return True


def _fields(side: Side) -> dict[str, Any]:
    kinds = {"SORT": "integer", "IS_PRIMARY": "char", side.key: "integer"}
    flags = {"isReadOnly": False, "isImmutable": False, "isMultiple": False, "isDynamic": False}
    return {
        name: {"type": kind, "isRequired": name == side.key, **flags, "title": name} for name, kind in kinds.items()
    }


def _register(prefix: str, side: Side) -> None:
    def bound(handler: Callable[[Call, Side], Any]) -> Callable[[Call], Any]:
        return lambda call: handler(call, side)

    method(f"{prefix}.add", writes=True)(bound(_add))
    method(f"{prefix}.delete", writes=True)(bound(_delete))
    method(f"{prefix}.items.get")(bound(_items_get))
    method(f"{prefix}.items.set", writes=True)(bound(_items_set))
    method(f"{prefix}.items.delete", writes=True)(bound(_items_delete))
    method(f"{prefix}.fields")(lambda call: _fields(side))


_register("crm.contact.company", CONTACT_COMPANIES)
_register("crm.company.contact", COMPANY_CONTACTS)
for _side in CARD_CONTACTS.values():
    _register(f"crm.{_side.owner.table}.contact", _side)
