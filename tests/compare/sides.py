"""One side of a comparison: a checkout with its virtual environment, run over a copy of a warehouse that is landed."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import duckdb

from tests.compare.landing import StepFailed, settings_of, succeeded
from tests.installation import ROOT, Ended, Installation

PORTAL = "portal.compare.example"
OPENED = "import pathlib, sys, ingest.warehouse.connection as c; c.open_warehouse(pathlib.Path(sys.argv[1])).close()"


def checkout_of(revision: str, worktrees: Path) -> Path:
    """The root of a checkout with a virtual environment: a folder as it is, a git revision as a worktree made here.

    Raises StepFailed when it is neither or when its packages cannot be installed.
    """
    if Path(revision).is_dir():
        checkout = Path(revision).resolve()
    else:
        git = ["git", "-C", str(ROOT)]
        commit = subprocess.run(
            [*git, "rev-parse", "--verify", f"{revision}^{{commit}}"], capture_output=True, text=True
        )
        if commit.returncode:
            raise StepFailed(f"{revision} is neither a folder nor a git revision")
        checkout = worktrees / commit.stdout.strip()
        if not checkout.exists():
            subprocess.run([*git, "worktree", "prune"], check=True)
            subprocess.run(
                [*git, "worktree", "add", "--quiet", "--detach", str(checkout), commit.stdout.strip()], check=True
            )
    if not (checkout / ".venv" / "bin" / "ingest").exists():
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("SVOD_", "MAKE"))}
        if subprocess.run(["make", ".venv/.ready"], cwd=checkout, env=environment).returncode:
            raise StepFailed(f"the packages of {checkout} could not be installed")
    return checkout


@dataclass(frozen=True)
class Side:
    """`old` or `new`: whose code, over which sample, in which folder."""

    name: str
    checkout: Path
    sources: Path
    folder: Path

    @property
    def installation(self) -> Installation:
        return Installation(self.folder / self.name, settings_of(self.sources), self.checkout)

    @property
    def warehouse(self) -> Path:
        return self.installation.warehouse

    def take(self, landed: Path) -> None:
        """Begin anew with what was landed and nothing else: `ops` and `sync` become those of this side's code."""
        svod = self.installation
        shutil.rmtree(svod.folder, ignore_errors=True)
        svod.folder.mkdir(parents=True)
        shutil.copyfile(landed, svod.warehouse)
        with duckdb.connect(str(svod.warehouse)) as connection:
            connection.execute("drop schema if exists ops cascade; drop schema if exists sync cascade")
        succeeded(svod.tool("python", "-c", OPENED, str(svod.warehouse)), f"{self.name}: opening the warehouse")

    def take_day_two(self, landed: Path) -> None:
        """Add the raw rows that day two brought."""
        with duckdb.connect(str(self.warehouse)) as connection:
            connection.execute(f"attach '{landed}' as landed (read_only)")
            tables = connection.execute(
                "select table_name from duckdb_tables() where database_name = 'landed' and schema_name = 'raw'"
            ).fetchall()
            for (table,) in tables:
                is_envelope = connection.execute(
                    """from duckdb_columns() where database_name = 'landed' and schema_name = 'raw'
                       and table_name = ? and column_name = 'run_id'""",
                    [table],
                ).fetchone()
                if is_envelope:
                    connection.execute(
                        f"""insert into raw."{table}" by name
                            from landed.raw."{table}" where run_id = 'day-2' order by rowid"""
                    )

    def passes(self, day: int, *options: str) -> Ended:
        """Both passes of the models with the registry's step between them; with `--full` also where nothing landed (an
        edition that knows no such option always builds)."""
        svod = self.installation
        day_folder = self.sources if day == 1 else self.sources / "day_two"
        svod.settings |= {"SVOD_RUN_ID": f"day-{day}", "SVOD_REGISTRY_FILE": str(day_folder / "registry.csv")}
        ended = svod.tool("python", "dbt_project/passes.py", *options)
        return succeeded(ended, f"{self.name}: the models of day {day}")

    def planned(self, day: int) -> Path:
        """Folder of this side's plan, one Parquet file a part; everything in it then counts as published."""
        svod = self.installation
        folder = svod.folder / f"plan-{day}"
        script = str(Path(__file__).with_name("planned.py"))
        ended = svod.tool("python", script, str(svod.warehouse), str(folder), PORTAL)
        succeeded(ended, f"{self.name}: the plan of day {day}")
        return folder
