"""One value of a field: from what a client sent to what is kept, and from what is kept to what either family shows.

Kept: texts as they are, integers, floats, `Y`/`N`, dates as `2026-01-05`, times in the portal's zone as
`2026-01-05T10:00:00+03:00`. The classic methods answer with texts, the universal ones with numbers.
"""

import json
import re
from datetime import date, datetime
from typing import Any

from publish.sandbox import php
from publish.sandbox.store import PORTAL_ZONE

_LINKS = ("crm_company", "crm_contact", "crm_lead", "crm_quote")
_INTEGERS = {"integer", "int", "user", "crm_category", "enumeration", "employee", *_LINKS}
_RUSSIAN_DATE = re.compile(r"(\d{2})\.(\d{2})\.(\d{4})(?:[ T](\d{2}:\d{2}(?::\d{2})?))?$")
_WHOLE = re.compile(r"[+-]?\d+$")
# Looser than the standard, like the portal's own check: something, an at sign, a dotted domain, nothing odd.
_EMAIL = re.compile(r"[^\s@<>(),;:\"\[\]\\]+@[^\s@.<>(),;:\"\[\]\\]+(\.[^\s@.<>(),;:\"\[\]\\]+)+$")


class Invalid(ValueError):
    """A value that its field cannot take."""


def is_email(text: str) -> bool:
    return bool(_EMAIL.match(text)) and ".." not in text


def parse_time(text: str) -> datetime:
    """A time in the portal's zone from ISO text (naive text means the portal's zone) or `05.01.2026 10:00`."""
    match = _RUSSIAN_DATE.match(text)
    if match:
        day, month, year, time = match.groups()
        text = f"{year}-{month}-{day}" + (f"T{time}" if time else "")
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(text) from None
    return parsed.replace(tzinfo=PORTAL_ZONE) if parsed.tzinfo is None else parsed.astimezone(PORTAL_ZONE)


def _kept_date(text: str) -> str:
    # A date that comes with a time keeps the day as it is written, without a shift between zones.
    match = _RUSSIAN_DATE.match(text)
    text = "-".join(reversed(match.groups()[:3])) if match else text[:10]
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise Invalid(text) from None


def keep(kind: str, value: Any) -> Any:
    """The kept form of a sent value of a field type; None for an empty one. Raises Invalid."""
    if value is None or value == "":
        return None
    if php.is_array(value):
        if kind == "file":
            return None
        raise Invalid("array")
    if kind in _INTEGERS:
        if isinstance(value, bool) or not _WHOLE.match(str(value).strip()):
            raise Invalid(value)
        return int(value)
    if kind == "double":
        try:
            return float(str(value).strip())
        except ValueError:
            raise Invalid(value) from None
    if kind in ("char", "boolean"):
        # The universal methods know a yes by these alone: a 1 is a no.
        return "Y" if value is True or value in ("Y", "y", "true") else "N"
    if kind == "date":
        return _kept_date(str(value).strip())
    if kind == "datetime":
        return parse_time(str(value).strip()).replace(microsecond=0).isoformat()
    if isinstance(value, bool):
        return "1" if value else ""
    return str(value)


def keep_loosely(kind: str, value: Any) -> Any:
    """The kept form as the classic methods take it: an array in an integer field is 1, a text its leading digits."""
    if kind in _INTEGERS:
        return None if value is None or value == "" else php.integer(value)
    if kind in ("char", "boolean"):
        return "Y" if value is True or value in ("Y", "y", "true", "1", 1) else "N"
    try:
        return keep(kind, value)
    except Invalid:
        return 0.0 if kind == "double" else None


def universal(kind: str, value: Any) -> Any:
    """A kept value as `crm.item.*` shows it."""
    if value is None:
        return 0 if kind in ("crm_company", "crm_contact") else None
    if kind == "date":
        return f"{value}T03:00:00+03:00"
    if kind == "double" and value == int(value):
        return int(value)
    return value


def classic(kind: str, value: Any) -> Any:
    """A kept value as the classic methods show it: numbers as texts, empty dates as empty texts."""
    if value is None:
        return "" if kind in ("date", "datetime") else None
    if kind == "date":
        return f"{value}T03:00:00+03:00"
    if kind == "double":
        return f"{value:.2f}"
    return str(value)


def user_universal(kind: str, value: Any) -> Any:
    """A kept value of a custom field as `crm.item.*` shows it."""
    if kind == "boolean":
        return value or "N"
    return universal(kind, value) if kind in ("date", "double") else value


def user_classic(kind: str, value: Any) -> Any:
    """A kept value of a custom field as the classic methods show it."""
    if kind == "boolean":
        return "1" if value == "Y" else "0"
    if value is None:
        return ""
    if kind == "double":
        return str(int(value)) if value == int(value) else str(value)
    return classic(kind, value) if kind == "date" else str(value)


def to_json(held: dict[str, Any]) -> str:
    """Kept values of custom fields as one column holds them; empty ones are left out."""
    return json.dumps({name: value for name, value in held.items() if value is not None}, ensure_ascii=False)


def from_json(text: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(text)
    return document
