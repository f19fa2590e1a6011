"""Names of the parts of a backup, and the file of links to them. A link is a secret: it carries a signature.

A part is known by its file name alone, so that a new link for the same name goes on where an expired one ended.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from ingest.warehouse.environment import PREFIX, refuse_plain_http
from ingest.warehouse.errors import SettingsError

VARIABLE = f"{PREFIX}TRANSFER_BACKUP_LINKS"
_NAME = re.compile(r"""([^/\\\s"'=;.][^/\\\s"'=;]*\.(?:tar|enc)\.gz)(?:\.([1-9][0-9]*))?""")


class PartName(NamedTuple):
    """`NAME.tar.gz` is number 0 of its archive, `NAME.tar.gz.1` the next one; `NAME.enc.gz` is an encrypted archive."""

    archive: str
    number: int

    def __str__(self) -> str:
        return f"{self.archive}.{self.number}" if self.number else self.archive

    @property
    def is_encrypted(self) -> bool:
        """Whether what is inside the gzip cannot be read."""
        return self.archive.endswith(".enc.gz")

    @classmethod
    def of(cls, text: str) -> Self | None:
        """The part that a file of this name is, if it is one."""
        named = _NAME.fullmatch(text)
        return cls(named[1], int(named[2] or 0)) if named else None


def read_links(path: Path, *, allow_http: bool = False) -> dict[PartName, SecretStr]:
    """Links by part: one a line, or `NAME LINK` where the link does not tell the name; of two for a part, the later.

    Empty lines and those that begin with `#` are left out. Raises SettingsError that names the line, never its text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SettingsError(f"{path} cannot be read: {reason}", hint=f"check {VARIABLE}") from None
    links: dict[PartName, SecretStr] = {}
    for number, line in enumerate(lines, 1):
        *before, link = line.split() or [""]
        if not link or line.lstrip().startswith("#"):
            continue
        name = PartName.of(before[0]) if len(before) == 1 else None if before else _named_in(link)
        if name is None or not link.startswith(("http://", "https://")):
            raise SettingsError(
                f"line {number} of {path} is no link to a part",
                hint="a line each: https://…/NAME.tar.gz.1, or NAME.tar.gz.1 and its link where that hides the name",
            )
        if not allow_http:
            refuse_plain_http(f"line {number} of {path}", link)
        links[name] = SecretStr(link)
    if not links:
        raise SettingsError(f"{path} holds no link", hint="a line each: https://…/NAME.tar.gz, …/NAME.tar.gz.1, …")
    return links


def only_archive(names: Iterable[PartName], place: Path) -> str:
    """The archive that all parts are of. Raises SettingsError when they are of several."""
    archives = sorted({name.archive for name in names})
    if len(archives) > 1:
        raise SettingsError(f"{place} has parts of several backups: {', '.join(archives)}", hint="keep those of one")
    return archives[0]


def _named_in(link: str) -> PartName | None:
    """The name at the end of the path, else one in the query (`response-content-disposition`)."""
    try:
        address = urlsplit(link)
    except ValueError:
        return None
    if name := PartName.of(unquote(address.path).rpartition("/")[2]):
        return name
    match = _NAME.search(unquote(address.query))
    return PartName.of(match[0]) if match else None
