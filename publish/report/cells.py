"""Cells of the report: values of the models as people of the page's language read them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from ingest.warehouse.period import in_moscow
from publish.page.content import Cell
from publish.page.selects import Values
from publish.page.texts import Texts
from publish.words import SEPARATOR

_LONGEST = 120  # characters of a value that people typed
_STATUSES = ("order_status", "stageId")  # fields that hold one


@dataclass(frozen=True, slots=True)
class Cells:
    texts: Texts
    source_names: Mapping[str, str] = field(default_factory=dict)  # display names, where sources have some

    def number(self, value: Any, places: int = 0) -> Cell:
        return Cell(self.texts.number(value, places), "" if value is None else str(value))

    def share(self, value: float | None) -> Cell:
        """A share of one, in per cent; sorted and drawn as per cent."""
        percent = None if value is None else round(100 * value, 2)
        return Cell("" if percent is None else f"{self.texts.number(percent, 1)}\u00a0%", str(percent or 0))

    def day(self, value: date | None) -> Cell:
        if value is None:
            return Cell()
        there = in_moscow(value) if isinstance(value, datetime) else value
        return Cell(self.texts.day(value), f"{there:%Y%m%d}")

    def moment(self, value: datetime | None) -> Cell:
        return Cell() if value is None else Cell(self.texts.moment(value), f"{value:%Y%m%d%H%M%S}")

    def seconds(self, value: float | None) -> Cell:
        """A duration in seconds as people say it."""
        if value is None:
            return Cell()
        whole = round(value)
        minutes, hours, days = whole // 60, whole // 3600, whole // 86400
        if days > 1:
            text = self.texts("report_days", number=self.texts.number(days))
        elif hours:
            text = self.texts("report_hours", hours=hours, minutes=minutes % 60)
        elif minutes:
            text = self.texts("report_minutes", minutes=minutes, seconds=whole % 60)
        else:
            text = self.texts("report_seconds", seconds=self.texts.number(value, 1 if value < 10 else 0))
        return Cell(text, f"{value:.3f}")

    def reason(self, row: Values, name: str = "reason") -> Cell:
        return Cell(row[f"{name}_{self.texts.language}"] or row[name] or "")

    def entity(self, name: str) -> Cell:
        return Cell(self.texts.known("report_entity", name))

    def card(self, entity: str) -> Cell:
        """What one card is."""
        return Cell(self.texts.known("report_card", entity))

    def source(self, name: str) -> str:
        """A source as people call it."""
        return self.source_names.get(name, name)

    def sources(self, names: str) -> Cell:
        """Sources of a record, from `shop_a, shop_b`."""
        return Cell(SEPARATOR.join(map(self.source, names.split(SEPARATOR))))

    def typed(self, value: Any) -> Cell:
        """What people typed, as far as a table has room for it."""
        text = "" if value is None else str(value)
        return Cell(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")

    def value(self, field: str | None, value: Any) -> Cell:
        """A value of a field. Statuses of orders are codes of ours, of which the portal's stages are made."""
        if field in _STATUSES and value is not None:
            value = self.texts.known("report_order_status", str(value))
        return self.typed(value)

    def several(self, values: Sequence[Any] | None) -> Cell:
        return Cell("\n".join(str(value) for value in values or ()))

    def reachable(self, phones: Sequence[str], emails: Sequence[str]) -> Cell:
        """Phones and e-mails, which a phone dials and a mail program writes to."""
        addresses = [*((phone, f"tel:{phone}") for phone in phones), *((email, f"mailto:{email}") for email in emails)]
        return Cell("", " ".join([*phones, *emails]), addresses)

    def counted(self, counts: Mapping[str, Any]) -> str:
        """Parts by kind: companies 12, contacts 30."""
        return ", ".join(
            f"{self.texts.known('report_entity', entity)} {self.texts.number(int(number))}"
            for entity, number in counts.items()
        )

    def cards(self, ids: Sequence[int], urls: Sequence[str]) -> Cell:
        """Numbers of cards as links to them."""
        return Cell("", str(ids[0]) if ids else "", [(str(i), url) for i, url in zip(ids, urls, strict=True)])
