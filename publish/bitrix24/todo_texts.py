"""The words of to-dos: what is to be decided on a card, in the language of the operator, and by when.

Values of people are not told: a to-do stays in the portal when a person is forgotten there. The portal reads
descriptions as BB code, so that what comes from sources must not look like it.
"""

import hashlib
from datetime import datetime, time, timedelta
from typing import NamedTuple

from ingest.warehouse.period import MOSCOW
from publish.bitrix24.parts import PARTS
from publish.changes import is_shown
from publish.page.texts import Texts
from publish.parts import Field

ADD = "crm.activity.todo.add"  # takes them
_END_OF_DAY = time(18)
_SATURDAY = 5
_LONGEST_VALUE = 200


class Decision(NamedTuple):
    """A row of `marts.report_todos`: what a person has to decide on a card."""

    todo_key: str
    kind: str
    reason: str
    entity: str
    field: str | None
    ours: str | None
    in_portal: str | None
    card_entity: str
    card_id: int
    other_urls: list[str]


def texts_of(texts: Texts, decision: Decision) -> tuple[str, str]:
    """Title and description of a to-do; the description ends with its key."""
    told = {
        "field": _name_of(texts, decision),
        "inn": f" {decision.ours}" if decision.ours else "",
        "cards": "\n".join(decision.other_urls),
        "values": _values(texts, decision),
    }
    title = texts(f"todo_title_{decision.reason}", **told)
    return title, _plain(texts(f"todo_text_{decision.reason}", **told)).strip() + f"\n\nsvod-{decision.todo_key}"


def _name_of(texts: Texts, decision: Decision) -> str:
    field = _field(decision)
    if field is not None and field.label:
        return field.label
    return texts.known("todo_field", decision.entity if decision.field == "*" else decision.field or "")


def _field(decision: Decision) -> Field | None:
    return next((field for field in PARTS[decision.entity].fields if field.name == decision.field), None)


def _values(texts: Texts, decision: Decision) -> str:
    """What the card and the sources say, where it may be told and says something to people."""
    field = _field(decision)
    if field is None or field.kind == "reference" or not is_shown(PARTS[decision.entity], field):
        return texts("todo_values_elsewhere", section=texts("report_section_waiting"))
    shown = {"in_portal": decision.in_portal, "ours": decision.ours}
    return texts("todo_values", **{name: _brief(value) or texts("todo_empty") for name, value in shown.items()})


def _brief(value: str | None) -> str:
    value = value or ""
    return value if len(value) <= _LONGEST_VALUE else f"{value[: _LONGEST_VALUE - 1]}…"


def _plain(text: str) -> str:
    return text.translate(str.maketrans("[]", "()"))


def digest(title: str, description: str) -> str:
    """What both texts are known by, however the portal breaks lines."""
    return hashlib.sha256("\n".join(" ".join(text.split()) for text in (title, description)).encode()).hexdigest()[:16]


def deadline_after(now: datetime) -> str:
    """The end of the next working day in Moscow."""
    day = now.astimezone(MOSCOW).date() + timedelta(days=1)
    while day.weekday() >= _SATURDAY:
        day += timedelta(days=1)
    return datetime.combine(day, _END_OF_DAY, MOSCOW).isoformat()
