"""How the portal reads parameters and writes JSON: PHP's rules on Python values.

The REST module is written in PHP, and its arrays show through: a query string nests by brackets, a map with the keys
0..n-1 leaves as a JSON list, an empty map leaves as `[]`, and an array cast to an integer is 1.
"""

import re
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

_KEY = re.compile(r"([^\[]*)((?:\[[^\]]*\])*)")
_BRACKETS = re.compile(r"\[([^\]]*)\]")
_LEADING_INTEGER = re.compile(r"\s*([+-]?\d+)")


def parse_str(text: str) -> dict[str, Any]:
    """Parameters of a query string or form body, brackets nested as PHP's `parse_str` nests them.

    >>> parse_str("fields[fm][0][value]=1&fields[title]=a%26b")
    {'fields': {'fm': [{'value': '1'}], 'title': 'a&b'}}
    """
    root: dict[str, Any] = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        put(root, key, value)
    return {key: plain(value) for key, value in root.items()}


def put(root: dict[str, Any], key: str, value: Any) -> None:
    """Set one bracketed key (`a[b][]`) in nested dictionaries; `[]` takes the next free index."""
    match = _KEY.match(key)
    assert match, "the pattern takes any text"
    name, brackets = match.groups()
    path = [name, *_BRACKETS.findall(brackets)]
    here = root
    for step, _ in pairwise(path):
        step = step or next_index(here)
        below = here.get(step)
        if not isinstance(below, dict):
            below = here[step] = {}
        here = below
    last = path[-1] if path[-1] or len(path) == 1 else next_index(here)
    here[last] = value


def next_index(array: dict[str, Any]) -> str:
    """The key PHP gives to an element appended with `[]`."""
    return str(max((int(key) for key in array if key.isdecimal()), default=-1) + 1)


def plain(value: Any) -> Any:
    """A decoded value as PHP's `json_encode` would show it: dictionaries keyed 0..n-1 become lists, at any depth.

    Applied to JSON bodies too, so that a handler sees one shape whichever way the parameters came.
    """
    if isinstance(value, dict):
        if value and all(key == str(index) for index, key in enumerate(value)):
            return [plain(item) for item in value.values()]
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def array(value: dict[str, Any]) -> dict[str, Any] | list[Any]:
    """A map on its way out: `[]` when empty, a list when its keys are 0..n-1 in order, else itself."""
    if all(key == str(index) for index, key in enumerate(value)):
        return list(value.values())
    return value


def is_array(value: Any) -> bool:
    """PHP's `is_array`: lists and maps are the same thing."""
    return isinstance(value, dict | list)


def is_empty(value: Any) -> bool:
    """PHP's `empty`: nothing, no, zero (as a number or as the text "0"), an empty text or array."""
    return value is None or value is False or value in ("", "0", 0) or (is_array(value) and not value)


def pairs(value: Any) -> list[tuple[str, Any]]:
    """Keys and values of a list or map; a list's keys are its indexes."""
    if isinstance(value, dict):
        return list(value.items())
    return [(str(index), item) for index, item in enumerate(value)]


def integer(value: Any) -> int:
    """PHP's `(int)`: leading digits of a text, 1 for a non-empty array, 0 for what is no number."""
    if isinstance(value, dict | list):
        return 1 if value else 0
    if isinstance(value, bool | int | float):
        return int(value)
    match = _LEADING_INTEGER.match(value) if isinstance(value, str) else None
    return int(match.group(1)) if match else 0


def split_command(command: str) -> tuple[str, dict[str, Any]]:
    """Method and parameters of one batch command, `crm.item.get?entityTypeId=4&id=1`."""
    method, _, query = command.partition("?")
    return unquote_plus(method), parse_str(query)
