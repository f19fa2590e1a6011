"""Reading what the portal answers: rows, ids and texts of the form that the documentation promises, or an error.

A proxy, a module that is off or a version of tomorrow may answer a list where an object is due, rows without their
keys, or an id that is no number. Whoever reads an answer reads it with these, so that the operator hears which method
it was.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ingest.bitrix24.errors import PortalUnavailable


class OddAnswer(PortalUnavailable):
    """The portal answered, but not what the method answers."""


def odd(method: str, what: str) -> OddAnswer:
    """The exception of an answer that cannot be read; `what` says what is wrong, and never quotes values."""
    return OddAnswer(
        f"the portal gave an odd answer to {method}: {what}",
        hint="nothing was done with it; run it again later, and ask the portal's administrator when it stays",
    )


def rows_of(method: str, result: Any) -> list[dict[str, Any]]:
    """Rows of a list answer: under `items` in `crm.item.list`, the result itself in the classic methods; a map of rows
    is read as a list, as PHP makes one of the other (page `settings/how-to-call-rest-api/batch`).

    Raises OddAnswer when it is neither, or a row is no object.
    """
    if isinstance(result, Mapping):
        result = result["items"] if "items" in result else list(result.values())
    if isinstance(result, Mapping):
        result = list(result.values())
    if not isinstance(result, list):
        raise odd(method, "a list is due")
    if not all(isinstance(row, dict) for row in result):
        raise odd(method, "a row is no object")
    return result


def number_of(method: str, row: Mapping[str, Any], name: str) -> int:
    """A whole number of a row, such as an id. Raises OddAnswer when it is missing or is none."""
    number = whole(row.get(name))
    if number is None:
        raise odd(method, f"a row without {name}, or with one that is no number")
    return number


def text_of(method: str, row: Mapping[str, Any], name: str) -> str:
    """A text of a row. Raises OddAnswer when it is missing or is none."""
    value = row.get(name)
    if not isinstance(value, str | int | float) or value == "":
        raise odd(method, f"a row without {name}")
    return str(value)


def whole(value: Any) -> int | None:
    """A whole number that came as a number or as digits; None for anything else, `true` included."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        return int(value)
    except ValueError:
        return None


def entries_of(method: str, value: Any) -> Iterable[Mapping[str, Any]]:
    """Phones and e-mails of a card (`fm`): objects with `id`, `typeId`, `value`. Raises OddAnswer for another form."""
    entries = list(value.values()) if isinstance(value, Mapping) else value or []
    for entry in entries if isinstance(entries, list) else [None]:
        if not isinstance(entry, Mapping) or not {"id", "typeId", "value"} <= entry.keys():
            raise odd(method, "phones or e-mails of another form")
        yield entry


def map_of(value: Any) -> dict[str, Any]:
    """A map that came as one; empty for anything else, such as the list that PHP makes of an empty one."""
    return value if isinstance(value, dict) else {}


def seconds_of(value: Any) -> float:
    """Seconds that came as a number or as its text; 0 for anything else."""
    try:
        return float(value or 0)
    except (TypeError, ValueError):
        return 0.0
