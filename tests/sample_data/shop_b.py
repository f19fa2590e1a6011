"""Shop B on disk: three history files, a broken copy of one, and the topic's messages in the order of sending."""

import base64
import gzip
import json
from codecs import register_error
from datetime import datetime, timedelta
from io import TextIOWrapper
from pathlib import Path
from random import Random

# What Windows-1251 lacks goes into that file as JSON escapes: no reader may lose it.
register_error("svod_json_escape", lambda e: ("".join(f"\\u{ord(c):04x}" for c in e.object[e.start : e.end]), e.end))

MOSCOW_OFFSET = timedelta(hours=3)
HISTORY = {  # name -> share of the companies
    "history-1.json": 0.62,
    "history-2.json.gz": 0.23,
    "history-3-cp1251.json": 0.15,
}
TRUNCATED = "broken/history-truncated.json"


def as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def iso(moment: datetime, *, in_utc: bool = False) -> str:
    """ISO 8601 with zone from Moscow local time."""
    return moment.isoformat(timespec="milliseconds") + "+03:00" if not in_utc else utc_of(moment).isoformat() + "Z"


def utc_of(moscow: datetime) -> datetime:
    return moscow - MOSCOW_OFFSET


def milliseconds(moscow: datetime) -> int:
    """Epoch milliseconds, as Kafka stamps messages, from Moscow local time."""
    return int((utc_of(moscow) - datetime(1970, 1, 1)).total_seconds() * 1000)


class HistoryFile:
    """One document of shop B's export, written company by company."""

    def __init__(self, path: Path, exported_at: datetime) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        encoding = "cp1251" if "cp1251" in path.name else "utf-8-sig" if path.name == "history-1.json" else "utf-8"
        binary = gzip.GzipFile(path, "wb", compresslevel=3, mtime=0) if path.suffix == ".gz" else path.open("wb")
        self._file = TextIOWrapper(binary, encoding, errors="svod_json_escape", newline="\n")
        self._file.write(
            f'{{"shop": "B", "exported_at": "{iso(exported_at)}", "generator": {{"version": 7}}, "companies": ['
        )
        self.count = 0

    def add(self, company: dict) -> None:
        self._file.write((",\n" if self.count else "\n") + as_json(company))
        self.count += 1

    def close(self) -> None:
        self._file.write(f'\n], "total": {self.count}}}\n')
        self._file.close()


def write_truncated_copy(history: Path, broken: Path, limit: int = 200_000) -> None:
    """The beginning of a history file, cut inside a company."""
    broken.parent.mkdir(parents=True, exist_ok=True)
    with history.open("rb") as file:
        head = file.read(limit)
    cut = head.rfind(b'"persons"')
    broken.write_bytes(head[: cut + 15])


class Topic:
    """Messages for the topic, collected, then written to one NDJSON file in the order of sending.

    A line is `{"key", "value" (text or null) or "value_base64", "timestamp" (epoch milliseconds)}`.
    """

    def __init__(self, rng: Random) -> None:
        self.rng, self._messages = rng, []
        self.broken: list[tuple[str, str]] = []

    def _send(self, key: str | None, value: str | bytes | None, at: datetime, sent: datetime) -> None:
        self._messages.append((sent, len(self._messages), key, value, milliseconds(at)))

    def upsert(self, company: dict, at: datetime, *, sent: datetime | None = None) -> None:
        """One `company.upserted`; sent later than it occurred when `sent` says so; some are delivered twice."""
        value = as_json({"event": "company.upserted", "occurred_at": iso(at), "company": company})
        self._send(company["uid"], value, at, sent or at)
        if self.rng.random() < 0.03:
            self._send(company["uid"], value, at, (sent or at) + timedelta(minutes=self.rng.randrange(1, 300)))

    def delete(self, uid: str, at: datetime, *, tombstone: bool) -> None:
        value = as_json({"event": "company.deleted", "occurred_at": iso(at), "company": {"uid": uid}})
        self._send(uid, None if tombstone else value, at, at)

    def break_some(self, count: int, at: datetime) -> None:
        """Values that must end as dead letters, `count` of each kind."""
        kinds: dict[str, str | bytes] = {
            "not_json": '{"event": "company.upserted", "company": {"uid": "b-',
            "not_utf8": b'{"event": "company.upserted", "company": {"uid": "b-0", "title": "\xce\xce\xce"}}',
            "empty_value": "",
            "not_an_object": '["company.upserted", 17]',
            "json_null": "null",
            "no_company": '{"event": "company.upserted", "occurred_at": "2026-10-01T10:00:00+03:00"}',
            "no_uid": '{"event": "company.upserted", "occurred_at": "2026-10-01T10:00:00+03:00", "company": {}}',
        }
        for kind, value in kinds.items():
            for i in range(count):
                key = f"b-broken-{i}" if self.rng.random() < 0.7 else None
                self.broken.append((kind, key))
                self._send(key, value, at, at)

    def write(self, path: Path) -> int:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8") as file:
            for _, _, key, value, timestamp in sorted(self._messages, key=lambda m: m[:2]):
                body = (
                    {"value_base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else {"value": value}
                )
                file.write(as_json({"key": key, **body, "timestamp": timestamp}) + "\n")
        return len(self._messages)
