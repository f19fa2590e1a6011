"""Contents of files on their way to the box: read from the folder where they were landed at the moment of sending.

A value of the mart names a file as `{"file": [entity, id]}`. Pages `files/how-to-upload-files` (forms by method) and
`files/how-to-update-files` (files of a card that stay are told by their ids).
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import duckdb

MOST_BYTES = 32 * 1024**2  # of files in one request, unless one alone is larger
File = tuple[str, str]


def contents_of(warehouse: Path) -> Path:
    """The folder where contents are landed, beside the warehouse."""
    return warehouse.parent / "transfer" / "files"


def drop_contents(warehouse: Path) -> int:
    """Take contents away that nobody waits for any more; how many that were. What is wanted again is read again."""
    paths = [path for path in contents_of(warehouse).glob("*") if path.is_file()]
    for path in paths:
        path.unlink(missing_ok=True)
    return len(paths)


class HasFields(Protocol):
    """What is sent with fields."""

    @property
    def fields(self) -> Mapping[str, Any]: ...


T = TypeVar("T", bound=HasFields)


@dataclass(frozen=True, slots=True)
class Files:
    """Files of the portal that is left, `cloud`, in `folder` under their digests."""

    connection: duckdb.DuckDBPyConnection
    cloud: str
    folder: Path

    def by_weight(self, records: Sequence[T], most: int) -> Iterator[Sequence[T]]:
        """Records in their order, so many at most and so many bytes of files at a time."""
        sizes = self._sizes({file for one in records for file in files_in(one.fields)})
        chunk: list[T] = []
        weight = 0
        for one in records:
            weighs = sum(sizes.get(file, 0) for file in files_in(one.fields))
            if chunk and (len(chunk) == most or (weighs and weight + weighs > MOST_BYTES)):
                yield chunk
                chunk, weight = [], 0
            chunk.append(one)
            weight += weighs
        if chunk:
            yield chunk

    def _sizes(self, files: set[File]) -> dict[File, int]:
        return {file: size for file, _, size, _ in self._known(files)}

    def _known(self, files: set[File]) -> list[tuple[File, str, int, str]]:
        if not files:
            return []
        asked = sorted(files)
        rows = self.connection.execute(
            """select entity, file_id, name, bytes, sha256 from transfer.files
               where portal = ? and sha256 is not null
                   and (entity, file_id) in (select (unnest(?::varchar[]), unnest(?::varchar[])))""",
            [self.cloud, [entity for entity, _ in asked], [file_id for _, file_id in asked]],
        ).fetchall()
        return [((entity, file_id), name or "file", size, sha256) for entity, file_id, name, size, sha256 in rows]

    def lacking(self, records: Sequence[T]) -> set[File]:
        """Files of records whose contents are not in the folder any more."""
        files = {file for one in records for file in files_in(one.fields)}
        there = {file for file, _, _, sha256 in self._known(files) if (self.folder / sha256).exists()}
        return files - there

    def filled(self, fields: Mapping[str, Any], *, as_data: bool = False) -> dict[str, Any]:
        """Fields with the contents of their files, `[name, Base64]`, or with `as_data` in the form of activities."""
        files = set(files_in(fields))
        if not files:
            return dict(fields)
        contents: dict[File, Any] = {}
        for file, name, _, sha256 in self._known(files):
            path = self.folder / sha256
            if path.exists():
                content = [name, base64.b64encode(path.read_bytes()).decode()]
                contents[file] = {"fileData": content} if as_data else content
        return {name: _filled(value, contents) for name, value in fields.items()}


def files_in(fields: Mapping[str, Any]) -> Iterator[File]:
    """Files that fields name."""
    for value in fields.values():
        for one in value if isinstance(value, list) else (value,):
            if (file := _named(one)) is not None:
                yield file


def _named(value: Any) -> File | None:
    if not isinstance(value, Mapping) or value.keys() != {"file"}:
        return None
    entity, file_id = value["file"]
    return str(entity), str(file_id)


def _filled(value: Any, contents: Mapping[File, Any]) -> Any:
    if isinstance(value, list):
        return [told for one in value if (told := _filled(one, contents)) is not None]
    file = _named(value)
    return value if file is None else contents.get(file)
