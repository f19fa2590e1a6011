"""What programs say that run unattended: lines that tell when, and which run it was."""

import os
from contextlib import suppress

from pydantic import TypeAdapter

from ingest.warehouse import journal, terminal
from ingest.warehouse.environment import PREFIX, env_value
from ingest.warehouse.errors import OperatorError


def keep() -> None:
    """Have the lines of this program be those of a log, where they go into a file or SVOD_LOG_TIMES asks for it. What
    is wrong in the settings is told by whoever reads all of them."""
    terminal.log.is_kept = True
    with suppress(OperatorError, ValueError):
        said = env_value(f"{PREFIX}LOG_TIMES")
        terminal.log.is_wanted = TypeAdapter(bool).validate_python(said) if said else None
    if any(map(terminal.log.is_shown, (terminal.console, terminal.errors))):
        os.environ[terminal.RUN_ID] = journal.current_run_id()  # that of all its steps
