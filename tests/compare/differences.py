"""Two editions of a relation compared by content: `except all` both ways over the columns they share."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb

# When a row came to be, which is another moment on either side.
MOMENTS = {"ingested_at", "minted_at"}
OF_THE_RUN = {"marts.report_runs", "marts.report_steps", "marts.report_totals"}  # they tell when something ran
IDS = ("int_companies__identities", "int_contacts__identities")
Columns = dict[str, str]


@dataclass(frozen=True)
class Difference:
    """A relation of both sides. `is_binding`: a difference here means that the new code does something else."""

    relation: str
    is_binding: bool
    old_rows: int | None  # None: that side has no such relation
    new_rows: int | None
    only_old: int = 0
    only_new: int = 0
    notes: Sequence[str] = ()
    broken: Sequence[str] = ()  # what is wrong beside the rows: a column or relation that is gone, another type
    examples: Sequence[str] = field(default=(), repr=False)

    @property
    def is_equal(self) -> bool:
        return not (self.only_old or self.only_new or self.broken)


def renamed(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """`relation.old=new` or, for every relation, `old=new`, as {relation or '': {old: new}}. Raises ValueError."""
    renames: dict[str, dict[str, str]] = {}
    for entry in names:
        before, equals, after = entry.partition("=")
        relation, _, column = before.rpartition(".")
        if not (equals and column and after):
            raise ValueError(f"{entry} is not of the form relation.old=new")
        renames.setdefault(relation, {})[column] = after
    return renames


class Comparison:
    """Both warehouses attached to one connection as `old` and `new`."""

    def __init__(self, old: Path, new: Path, renames: Mapping[str, Mapping[str, str]], show: int) -> None:
        self.renames, self.show = renames, show
        self.connection = duckdb.connect()
        self.connection.execute("set timezone = 'UTC'")
        for name, path in (("old", old), ("new", new)):
            self.connection.execute(f"attach '{path}' as {name} (read_only)")

    def __enter__(self) -> "Comparison":
        return self

    def __exit__(self, *error: object) -> None:
        self.connection.close()

    def marts(self) -> Iterator[Difference]:
        """Every table of schema marts."""
        yield from self._of_schema("marts", is_binding=True)

    def ids(self) -> Iterator[Difference]:
        """Which ids there are, what each holds, and what it was merged into."""
        for table in IDS:
            yield self._compare(f"intermediate.{table}", is_binding=True)

    def models(self) -> Iterator[Difference]:
        """Staging and intermediate: models may move and change, so these are only told."""
        for schema in ("staging", "intermediate"):
            yield from (
                difference
                for difference in self._of_schema(schema, is_binding=False)
                if difference.relation.removeprefix("intermediate.") not in IDS
            )

    def raw(self) -> Iterator[Difference]:
        """What each side's own `ingest` landed."""
        yield from self._of_schema("raw", is_binding=True)

    def plans(self, old: Path, new: Path) -> Iterator[Difference]:
        """The plans that `Side.planned` wrote to two folders."""
        for name in sorted({path.name for folder in (old, new) for path in folder.glob("*.parquet")}):
            tables = {"old": old / name, "new": new / name}
            columns = {side: self._described(f"'{path}'") if path.exists() else None for side, path in tables.items()}
            relations = {side: f"'{path}'" for side, path in tables.items()}
            difference = self._difference(Path(name).stem, True, relations, columns)
            if new_plan := columns["new"] and relations["new"]:
                actions = self.connection.execute(f"select action, count(*) from {new_plan} group by all order by 1")
                counts = [f"{action} {count:,}" for action, count in actions.fetchall()]
                difference = replace(difference, notes=[*difference.notes, ", ".join(counts)])
            yield difference

    def _of_schema(self, schema: str, *, is_binding: bool) -> Iterator[Difference]:
        tables = self.connection.execute(
            """select distinct table_name from information_schema.tables
               where table_catalog in ('old', 'new') and table_schema = ? order by 1""",
            [schema],
        ).fetchall()
        for (table,) in tables:
            relation = f"{schema}.{table}"
            yield self._compare(relation, is_binding=is_binding and relation not in OF_THE_RUN)

    def _compare(self, relation: str, *, is_binding: bool) -> Difference:
        relations = {side: f"{side}.{relation}" for side in ("old", "new")}
        columns: dict[str, Columns | None] = {}
        for side, name in relations.items():
            try:
                columns[side] = self._described(name)
            except duckdb.CatalogException:
                columns[side] = None
        return self._difference(relation, is_binding, relations, columns)

    def _described(self, relation: str) -> Columns:
        return {row[0]: row[1] for row in self.connection.execute(f"describe from {relation}").fetchall()}

    def _count(self, query: str) -> int:
        row = self.connection.execute(f"select count(*) from ({query})").fetchone()
        assert row
        return int(row[0])

    def _difference(
        self, relation: str, is_binding: bool, relations: Mapping[str, str], columns: Mapping[str, Columns | None]
    ) -> Difference:
        old, new = columns["old"], columns["new"]
        rows = [None if columns[side] is None else self._count(f"from {relations[side]}") for side in ("old", "new")]
        if old is None:
            return Difference(relation, is_binding, *rows, notes=["new"])
        if new is None:
            return Difference(relation, is_binding, *rows, broken=["gone"])
        names = dict(self.renames.get("", {})) | dict(self.renames.get(relation, {}))
        names = {before: after for before, after in names.items() if before in old and before not in new}
        pairs = {name: names.get(name, name) for name in old}
        shared = {before: after for before, after in pairs.items() if after in new and before not in MOMENTS}
        notes = [f"{before} is {after}" for before, after in names.items() if after in new]
        if added := sorted(set(new) - set(pairs.values())):
            notes.append(f"new columns: {', '.join(added)}")
        broken = [
            f"{before} was {old[before]}, is {new[after]}"
            for before, after in shared.items()
            if old[before] != new[after]
        ]
        if missing := [name for name, after in pairs.items() if after not in new]:
            broken.append(f"columns gone: {', '.join(missing)}")
        if not shared:
            return Difference(relation, is_binding, *rows, notes=notes, broken=broken)
        # What changed its type is told; the values are compared all the same.
        as_old = (f'try_cast("{after}" as {old[before]}) as "{before}"' for before, after in shared.items())
        of_old = "select {} from {}".format(", ".join(f'"{before}"' for before in shared), relations["old"])
        of_new = f"select {', '.join(as_old)} from {relations['new']}"
        only_old, only_new = (f"({a}) except all ({b})" for a, b in ((of_old, of_new), (of_new, of_old)))
        counts = self._count(only_old), self._count(only_new)
        return Difference(
            relation, is_binding, *rows, *counts, notes, broken, self._examples(only_old, only_new, counts)
        )

    def _examples(self, only_old: str, only_new: str, counts: tuple[int, int]) -> list[str]:
        examples = []
        for side, query, count in (("old", only_old, counts[0]), ("new", only_new, counts[1])):
            if count and self.show:
                result = self.connection.execute(f"from ({query}) order by all limit {self.show}")
                names = [column[0] for column in result.description or ()]
                for row in result.fetchall():
                    values = (f"{name}={value}" for name, value in zip(names, row, strict=True) if value is not None)
                    examples.append(f"only {side}: {', '.join(values)}")
        return examples
