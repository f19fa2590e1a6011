"""Cells of the comparison's page: rows of the marts in the reader's language, keys as links to the cards."""

from dataclasses import dataclass
from typing import Any

from publish.page.content import Cell
from publish.page.selects import Values
from publish.page.texts import Texts
from publish.parts import decoded
from publish.transfer.kinds import CARD_TYPES

_OWNER_LETTERS = {"D": "deal", "L": "lead"}


@dataclass(frozen=True, slots=True)
class Sides:
    """Of the cloud and of the box: the scheme of their addresses; then the address itself."""

    cloud: str = "https"
    box: str = "https"


@dataclass(frozen=True, slots=True)
class Cells:
    """What rows say, in one language; `sides` are the addresses of the portals."""

    texts: Texts
    sides: Sides

    def entity(self, row: Values) -> Cell:
        return Cell(self.texts.known("transfer_entity", row["entity"]))

    def number(self, value: Any, places: int = 0) -> Cell:
        return Cell(self.texts.number(value, places), str(value))

    def agrees(self, row: Values) -> Cell:
        return Cell(self.texts("transfer_yes" if row["is_equal"] else "transfer_no"))

    def group(self, row: Values) -> str:
        value = str(row["group_value"])
        if row["breakdown"] in ("type", "link"):
            return self.texts.known("transfer_type" if row["breakdown"] == "type" else "transfer_entity", value)
        name = row["group_name"]
        return f"{name} ({value})" if name else value or self.texts("transfer_empty")

    def box_key(self, row: Values) -> str | None:
        """The key of a record in the box: as the cloud's, with the id there."""
        if row["target_id"] is None:
            return None
        prefix, sign, _ = str(row["source_id"] or "").rpartition(":")
        return f"{prefix}{sign}{row['target_id']}"

    def card(self, entity: str, key: str | None, portal: str, *, with_kind: bool = False) -> Cell:
        """A key, as a link where it is that of a card or of what is kept with one."""
        if not key:
            return Cell(self.texts("transfer_none"))
        prefix, _, number = key.rpartition(":")
        owner = entity if entity in CARD_TYPES else _OWNER_LETTERS.get(prefix, prefix)
        if prefix == "box":
            portal = self.sides.box
        text = f"{self.texts.known('transfer_entity', entity)} {key}" if with_kind else key
        if owner not in CARD_TYPES or not number.isdigit():
            return Cell(text, number)
        return Cell("", number, [(text, f"{portal}/crm/{owner}/details/{number}/")])

    def detail(self, detail: str | None) -> str:
        """What the models say of a record, in the page's language as far as that is known."""
        pieces = [piece.partition(": ") for piece in (detail or "").split("; ")]
        return "; ".join(f"{self.texts.known('transfer_detail', head)}{sign}{tail}" for head, sign, tail in pieces)

    def fields(self, fields: str) -> str:
        empty = self.texts("transfer_empty")
        return "\n".join(
            f"{name}: {values.get('cloud') or empty} → {values.get('box') or empty}"
            f" ({self.texts.known('transfer_state', str(values.get('state')))})"
            for name, values in sorted(decoded(fields).items())
        )
