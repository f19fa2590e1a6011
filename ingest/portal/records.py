"""Rows of a portal as records: their key, times, text, and a digest of what counts of their content."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any, Literal, NamedTuple

import msgspec

from ingest.bitrix24.answers import odd
from ingest.portal.entities import Entity

NOTHING = ""  # the digest of an owner that has no parts
# Addresses of files are signed anew in every answer (page `files/index`).
_ADDRESSES = frozenset({"url", "urlMachine", "urlPreview", "urlShow", "urlDownload", "showUrl", "downloadUrl"})


class Record(NamedTuple):
    """One row of a list, or the parts of one owner. Times are the portal's own, without their zone."""

    key: str
    changed_at: datetime | None
    active_at: datetime | None
    digest: str
    payload: str | None  # None where there is nothing, or nothing new


def record_of(entity: Entity, row: Mapping[str, Any], without_secret: Callable[[str], str]) -> Record:
    """A row as a record. Raises OddAnswer when it has no key."""
    key = [row.get(name) for name in entity.key]
    if not all(isinstance(part, str | int) and part != "" for part in key):
        raise odd(entity.method.value, f"a row without {' or '.join(entity.key)}")
    times = (_moment(row.get(name)) for name in entity.times)
    return Record(
        ":".join(str(part) for part in key),
        next((time for time in times if time), None),
        _moment(row.get(entity.active)),
        _digest(row, entity.volatile),
        without_secret(_encoded(row).decode()),
    )


def record_of_owner(code: str, owner: int, parts: list[Any], without_secret: Callable[[str], str]) -> Record:
    """All parts of one owner as a record, whose key is `code:owner`."""
    key = f"{code}:{owner}"
    if not parts:
        return Record(key, None, None, NOTHING, None)
    document = {"owner_type": code, "owner_id": owner, "parts": parts}
    return Record(key, None, None, _digest(document, frozenset()), without_secret(_encoded(document).decode()))


def _moment(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(value).replace(tzinfo=None) if value else None
    except (TypeError, ValueError):
        return None


def _digest(row: Mapping[str, Any], volatile: frozenset[str]) -> str:
    kept = {name: _kept(value) for name, value in row.items() if name not in volatile}
    return blake2b(_encoded(kept, order="sorted"), digest_size=16).hexdigest()


def _encoded(value: Any, order: Literal["sorted"] | None = None) -> bytes:
    """A value as JSON; half a surrogate pair, which no text has, becomes a question mark."""
    try:
        return msgspec.json.encode(value, order=order)
    except UnicodeEncodeError:
        text = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
        return msgspec.json.encode(msgspec.json.decode(text), order=order)


def _kept(value: Any) -> Any:
    """A value without the addresses of files."""
    if isinstance(value, dict):
        is_file = "id" in value
        return {name: _kept(inner) for name, inner in value.items() if not (is_file and name in _ADDRESSES)}
    if isinstance(value, list):
        return [_kept(inner) for inner in value]
    return value
