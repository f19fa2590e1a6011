"""`python dbt_project/passes.py`: the models up to the registry's queue, the registry's verdicts, all the other models;
`python dbt_project/passes.py transfer`: those of the move alone.

One process for all passes: dbt takes as long to start and to read the project as a sixth of all models. The registry
is asked by a program of its own, for which dbt lets go of the warehouse. Whether what is built may be published, and
if not why, `publish gate` says.
"""

import gc
import os
import subprocess
import sys
from pathlib import Path

from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner, dbtRunnerResult

from ingest.warehouse import journal, storage, terminal, variables
from ingest.warehouse.errors import SettingsError

PROJECT = Path(__file__).parent
BIN = Path(sys.executable).parent


def main(is_move: bool) -> int:
    """The exit status: 2 for a setting that no program reads, 1 when a pass did not end well, else the registry step's.

    A registry that fails keeps nobody from the second pass: companies without a verdict wait, all others go on.
    """
    try:
        variables.refuse_unknown()
    except SettingsError as error:
        terminal.print_error(error)
        return error.exit_status
    os.environ.setdefault("DBT_WRITE_JSON", "false")  # a manifest that nobody reads: `make docs` writes its own
    gc.set_threshold(100_000)  # dbt makes many objects and few cycles: looking for some took a fortieth of the time
    at = ("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT))
    project = dbtRunner().invoke(["--quiet", "parse", *at])  # prints what it cannot read
    if not project.success:
        return 1
    registry_status = 0
    steps = (journal.DBT_TRANSFER,) if is_move else (journal.DBT_BEFORE_REGISTRY, journal.DBT_AFTER_REGISTRY)
    for step in steps:
        if step == journal.DBT_AFTER_REGISTRY:
            registry_status = ask_registry()
        build = ["--quiet", "build", *at, "--selector", step.removeprefix("dbt ")]
        built = dbtRunner(manifest=project.result).invoke(build)
        DuckDBConnectionManager.close_all_connections()
        if not built.success:
            tell_of_the_disk(built)
            return 1
    return registry_status


def tell_of_the_disk(built: dbtRunnerResult) -> None:
    """Say once what a full disk or a damaged file made of every model after it: dbt says it of each, in its own way."""
    results = getattr(built.result, "results", [])
    texts = [str(built.exception), *(str(result.message) for result in results if result.message)]
    if told := storage.told_of(texts):
        terminal.print_error(told)


def ask_registry() -> int:
    """The exit status of the registry's step. It inherits the run's lock as this program did: should both that run and
    this program be killed, no other begins while it still writes."""
    return subprocess.run([BIN / "ingest", "registry"], close_fds=False).returncode


if __name__ == "__main__":
    sys.exit(main(is_move=sys.argv[1:] == ["transfer"]))
