"""Who may read the files that personal data is in: the warehouse, its log, its copies, locks, the key, settings."""

import grp
import os
import shutil
import stat
from pathlib import Path

from ingest.warehouse.errors import SettingsError

MODE = 0o600
READERS_MODE = 0o640
_OF_OTHERS = stat.S_IRWXO


def keep_new_files_private() -> None:
    """Whatever this process makes from now on, and what DuckDB makes in it (its log, its temporary files), is 0600."""
    os.umask(0o077)


def create(path: Path) -> int:
    """Open a file to append to, made 0600 when it is missing; the descriptor. Raises OSError."""
    return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, MODE)


def close_to_others(path: Path) -> None:
    """Take away what everybody else on the machine may do with a file; what a group may stays. Only the owner can."""
    status = path.stat()
    if status.st_mode & _OF_OTHERS and status.st_uid == os.geteuid():
        path.chmod(stat.S_IMODE(status.st_mode) & ~_OF_OTHERS)


def is_open_to_others(path: Path) -> bool:
    """Whether everybody on this machine may read a file."""
    return path.is_file() and bool(path.stat().st_mode & stat.S_IROTH)


def check_group(group: str) -> None:
    """Raises SettingsError when there is no such group."""
    try:
        grp.getgrnam(group)
    except KeyError:
        raise SettingsError(f"there is no group {group}", hint="check SVOD_READERS_GROUP") from None


def give_to_readers(path: Path, group: str) -> None:
    """Let a group read a file: 0640. Raises SettingsError when there is no such group, or it is not for us to give."""
    try:
        shutil.chown(path, group=group)
    except LookupError:
        raise SettingsError(f"there is no group {group}", hint="check SVOD_READERS_GROUP") from None
    except PermissionError:
        raise SettingsError(
            f"{path} cannot be given to the group {group}", hint="let the account that runs Svod be a member of it"
        ) from None
    path.chmod(READERS_MODE)
