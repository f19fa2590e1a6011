"""`python -m tests.models.refresh_oracle --changes 2000`: refreshed models are those built as a whole.

Two warehouses get the same rows, set of changes after set of changes; one refreshes, the other builds all, each time
from what it has. Every table of the models must be the same in both, ids included, after each.
"""

from contextlib import closing
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from ingest.warehouse.connection import open_warehouse
from publish.models import building, compiled, landed, refreshing
from publish.models.compiled import Project
from tests.models.changes import Shops
from tests.models.sql_rules import PROJECT

MOMENTS = ("minted_at", "minted_run_id")
RELATIONS = """
select schema_name || '.' || table_name, list(column_name order by column_index)
from duckdb_columns()
semi join (from duckdb_tables()) using (database_name, schema_name, table_name)
where database_name = current_database() and schema_name in ('staging', 'intermediate', 'marts')
group by all order by 1
"""


class Unequal(AssertionError):
    """A table is not what it would be, had all been built."""


class Twins:
    """One warehouse that refreshes, and one that builds all."""

    def __init__(self, folder: Path, project: Project, seed: int, companies: int) -> None:
        self.shops = Shops(seed, companies)
        self._project = project
        self._refreshed, self._whole = (open_warehouse(folder / f"{name}.duckdb") for name in ("refreshed", "whole"))
        self.step([])

    def close(self) -> None:
        self._refreshed.close()
        self._whole.close()

    def step(self, changes: list[str], *, is_broken_off: bool = False) -> None:
        """Land what has changed in both, and build it, or the first of the passes only. Raises Unequal."""
        self.shops.land(self._refreshed, self._whole)
        for step in list(self._project.passes)[: 1 if is_broken_off else None]:
            building.build(self._refreshed, self._project, step, tell=lambda _: None)
            landed.forget(self._whole, step)  # else it would refresh first, and compare
            building.build(self._whole, self._project, step, is_anew=True, tell=lambda _: None)
        if not is_broken_off:
            self.compare(changes)

    def compare(self, changes: list[str]) -> None:
        """Every table by its rows. Raises Unequal with the first few that differ."""
        for relation, columns in self._whole.execute(RELATIONS).fetchall():
            chosen = ", ".join(f'"{column}"' for column in columns if column not in MOMENTS)
            rows = f"select {chosen} from {relation} order by all"
            refreshed, whole = (side.execute(rows).fetchall() for side in (self._refreshed, self._whole))
            if refreshed != whole:
                only = [row for row in refreshed if row not in whole], [row for row in whole if row not in refreshed]
                raise Unequal(f"{relation} after {changes}:\n  refreshed {only[0][:3]}\n  whole {only[1][:3]}")


def run(project: Project, seed: int, changes: int, companies: int) -> int:
    """So many sets of changes; how many single changes those were. Raises Unequal."""
    rng, made = Random(seed), 0
    with TemporaryDirectory(prefix="svod-twins-") as folder:
        twins = Twins(Path(folder), project, seed, companies)
        with closing(twins):
            for _ in range(changes):
                names = [twins.shops.change() for _ in range(rng.choice([1, 1, 1, 2, 3, 8]))]
                made += len(names)
                twins.step(names, is_broken_off=rng.random() < 0.1)
            twins.step([])
    return made


def main(
    changes: Annotated[int, typer.Option(help="Sets of changes in all.")] = 2000,
    each: Annotated[int, typer.Option(help="Sets of changes to one pair of warehouses.")] = 50,
    companies: Annotated[int, typer.Option(help="In each shop to begin with.")] = 24,
    seed: Annotated[int, typer.Option(help="The first seed.")] = 1,
) -> None:
    """Draw changes, refresh, and compare with a whole build."""
    project = compiled.project(PROJECT)
    done = 0
    few = refreshing._FEW
    while done < changes:
        refreshing._FEW = 4 if seed % 3 == 0 else few  # now and then most models are built as a whole
        made = run(project, seed, min(each, changes - done), companies)
        done += min(each, changes - done)
        print(f"seed {seed}: {made} changes, all equal; {done} sets so far", flush=True)
        seed += 1


if __name__ == "__main__":
    typer.run(main)
