"""The same contacts matched by the models and by Splink, judged by the same answers."""

import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb
from rich.table import Table

from publish.models import compiled
from tests.installation import ROOT, Installation

PAIRS = """
with records as (
    select source || ':' || source_id as unique_id, person_key, cluster_id
    from read_parquet('{answers}/contacts.parquet')
    join clusters on unique_id = source || ':' || source_id
    where person_key is not null
),
pairs as (
    select
        (select sum(n * (n - 1) / 2) from (select count(*) as n from records group by cluster_id)) as made,
        (select sum(n * (n - 1) / 2) from (select count(*) as n from records group by person_key)) as true_pairs,
        (select sum(n * (n - 1) / 2) from (select count(*) as n from records group by cluster_id, person_key)) as agreed
)
select agreed / made, agreed / true_pairs from pairs
"""
CLASSES = """
select trap, must_merge, count(*), avg((coalesce(one.cluster_id = other.cluster_id, false) = must_merge)::int)
from read_parquet('{answers}/traps.parquet')
join clusters as one on one.unique_id = source_1 || ':' || source_id_1
left join clusters as other on other.unique_id = source_2 || ':' || source_id_2
group by all order by must_merge, trap
"""


@dataclass(frozen=True)
class DefectClass:
    """Pairs of records laid as one kind of defect, and the share that came out as it should."""

    name: str
    must_merge: bool
    pairs: int
    share: float


@dataclass(frozen=True)
class Matching:
    """How long it took, and pairwise precision and recall against the known persons."""

    by: str
    seconds: float
    precision: float
    recall: float
    classes: list[DefectClass]


def by_both(svod: Installation, folder: Path) -> list[Matching]:
    """The contacts of a warehouse that is built, matched by the models and by Splink."""
    from tests.bench import peer_splink  # of requirements-bench.txt, which `quality` alone does without

    ours = svod.query("select source || ':' || source_id, contact_id from marts.xref_contacts")
    ours_seconds = contact_matching_seconds(svod)
    theirs, theirs_seconds = peer_splink.cluster(svod.warehouse, peer_splink.PEOPLE)
    answers = folder / "answers"
    return [judged("Svod", ours_seconds, ours, answers), judged("Splink", theirs_seconds, theirs, answers)]


def contact_matching_seconds(svod: Installation) -> float:
    """Seconds that the statements of the models take from named contacts to clusters, each executed once more."""
    models = compiled.project(ROOT / "dbt_project", svod.environment).nodes
    seconds = 0.0
    with closing(duckdb.connect(str(svod.warehouse), read_only=True)) as connection:
        for name in ("communications", "match_keys", "name_groups", "match_candidates", "match_edges", "clustered"):
            started = time.monotonic()
            connection.execute(
                f"create or replace temp table matched as {models[f'model.svod.int_contacts__{name}'].sql}"
            )
            seconds += time.monotonic() - started
    return seconds


def judged(by: str, seconds: float, rows: Sequence[tuple[str, str]], answers: Path) -> Matching:
    """(Record id, cluster id) rows, judged by the answers of a sample."""
    with duckdb.connect() as connection:
        connection.execute(
            "create table clusters as select unnest(?::varchar[]) as unique_id, unnest(?::varchar[]) as cluster_id",
            [[row[0] for row in rows], [str(row[1]) for row in rows]],
        )
        ((precision, recall),) = connection.execute(PAIRS.format(answers=answers)).fetchall()
        classes = [DefectClass(*row) for row in connection.execute(CLASSES.format(answers=answers)).fetchall()]
    return Matching(by, seconds, precision, recall, classes)


def table(matching: Iterable[Matching]) -> Table:
    shown = _table("same contacts matched by", "seconds", "precision", "recall")
    for one in matching:
        shown.add_row(one.by, f"{one.seconds:.1f}", f"{one.precision:.4f}", f"{one.recall:.4f}")
    return shown


def table_of_classes(matching: Sequence[Matching]) -> Table:
    """One row a class of defect, one column a way of matching."""
    shown = _table("pairs by class of defect", "count", "should be", *(one.by for one in matching))
    for classes in zip(*(one.classes for one in matching), strict=True):
        laid = classes[0]
        shares = (f"{one.share:.4f}" for one in classes)
        shown.add_row(laid.name, f"{laid.pairs:,}", "one" if laid.must_merge else "apart", *shares)
    return shown


def _table(first: str, *others: str) -> Table:
    shown = Table(first, *others, box=None)
    for column in shown.columns[1:]:
        column.justify = "right"
    return shown
