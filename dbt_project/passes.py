"""`python dbt_project/passes.py`: the models up to the registry's queue, the registry's verdicts, all the other models;
`python dbt_project/passes.py transfer`: those of the move alone. `--full` builds
also where nothing landed since they were built.

The statements are those that dbt compiled (publish/models/). The registry is asked by a program of its own, for which
this one lets go of the warehouse. Whether what is built may be published, and if not why, `publish gate` says.
"""

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from ingest.warehouse import journal, log, running, terminal, variables
from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.errors import OperatorError
from publish.models import building, compiled

PROJECT = Path(__file__).parent
BIN = Path(sys.executable).parent


def main(*, is_move: bool, is_full: bool) -> int:
    """The exit status: 2 for a setting that no program reads, 1 when a pass did not end well, else the registry step's.

    A registry that fails keeps nobody from the second pass: companies without a verdict wait, all others go on.
    """
    log.keep()
    registry_status = 0
    try:
        variables.refuse_unknown()
        warehouse = Path(os.environ.get("SVOD_WAREHOUSE") or "warehouse/svod.duckdb")
        # After an upgrade this takes a minute or two: long enough for somebody to ask what goes on.
        what = f"{journal.COMPILING} of the move" if is_move else journal.COMPILING
        with running.told.step(warehouse, what, journal.current_run_id()):
            project = compiled.project(PROJECT, is_move=is_move)
        for step in project.passes:
            if step == journal.DBT_AFTER_REGISTRY:
                registry_status = ask_registry()
            with closing(open_warehouse(warehouse)) as connection:
                building.build(connection, project, step, is_anew=is_full or is_move)
    except OperatorError as error:
        terminal.print_error(error)
        return 2 if error.exit_status == 2 else 1  # which gate, and whether anything may be published: `publish gate`
    return registry_status


def ask_registry() -> int:
    """The exit status of the registry's step. It inherits the run's lock as this program did: should both that run and
    this program be killed, no other begins while it still writes."""
    return subprocess.run([BIN / "ingest", "registry"], close_fds=False).returncode


if __name__ == "__main__":
    sys.exit(main(is_move="transfer" in sys.argv[1:], is_full="--full" in sys.argv[1:]))
