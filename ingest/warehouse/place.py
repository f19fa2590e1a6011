"""SVOD_WAREHOUSE: what can be the path of a warehouse. Told before anything is opened, for DuckDB takes other names as
well: `:memory:` would be a warehouse that is gone when the step ends.
"""

import os
import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

_ADDRESS = re.compile(r"[\w+.-]*:")
_LONGEST_NAME = 255  # bytes, of every file system in use
_LONGEST_ENDING = ".rewritten.wal"  # of the files that are made beside it
_EXPECTED = "a DuckDB file, or one that is not there yet, is expected"


def _usable(path: Path) -> Path:
    """Raises ValueError that says what the path is instead of a warehouse's."""
    if _ADDRESS.match(str(path)):
        raise ValueError(f"it is an address; {_EXPECTED}")
    try:
        if path.name in ("", "..") or path.is_dir():
            raise ValueError(f"{path} is a folder; {_EXPECTED}")
        if len(os.fsencode(path.name + _LONGEST_ENDING)) > _LONGEST_NAME:
            raise ValueError(f"the file's name is too long: {_LONGEST_NAME - len(_LONGEST_ENDING)} bytes are the most")
        if path.exists() and not path.is_file():
            raise ValueError(f"{path} is no file; {_EXPECTED}")
    except OSError as error:
        raise ValueError(f"{error.strerror}; {_EXPECTED}") from None
    return path


WarehousePath = Annotated[Path, AfterValidator(_usable)]
