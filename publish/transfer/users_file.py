"""The file of SVOD_TRANSFER_USERS: a CSV of people's making, `cloud_id,box_id`, that the models read as it is."""

import re
from pathlib import Path

from ingest.warehouse.errors import SettingsError

_COLUMNS = "cloud_id,box_id"
_LINE = re.compile(r"[0-9]+,[0-9]+(,.*)?")


def check(file: Path | None) -> None:
    """Return when the models can read every line of it. Raises SettingsError that names the first line they cannot."""
    if file is None:
        return
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise SettingsError(
            f"{file}, which SVOD_TRANSFER_USERS names, cannot be read: {error.strerror}", hint="check the path"
        ) from None
    except UnicodeDecodeError:
        raise SettingsError(f"{file} is no UTF-8 text", hint="save it as CSV UTF-8") from None
    if not lines or not (lines[0] == _COLUMNS or lines[0].startswith(f"{_COLUMNS},")):
        raise SettingsError(f"{file} does not begin with a line {_COLUMNS}", hint="users of the cloud and of the box")
    mapped: dict[str, int] = {}
    for number, line in enumerate(lines[1:], start=2):
        if not _LINE.fullmatch(line):
            raise SettingsError(f"{file}, line {number}, is not two numbers with a comma between", hint="such as 9,2")
        user = line.partition(",")[0]
        if user in mapped:
            raise SettingsError(
                f"{file}, line {number}: user {user} is in line {mapped[user]} already", hint="keep one"
            )
        mapped[user] = number
