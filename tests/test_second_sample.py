"""The second sample is what it claims to be, and the models are right on data that they were not written for."""

import hashlib
import json
import re
from pathlib import Path

import duckdb
import pytest

from ingest import raw
from ingest.warehouse.connection import open_warehouse
from tests.installation import ROOT, Installation
from tests.sample_data.quality import measure_classes, measure_quality
from tests.second_sample.generate import generate

SCALE = 0.004
RUN_ID = "second"
TRAPS = {
    *("namesakes", "a recycled mobile", "a family's phone", "namesakes behind a switchboard", "two who fit"),
    *("a short form elsewhere", "a stranger on the phone"),
}
SHORT = {"no surname", "no patronymic", "initials"}
CLASSES = {
    *SHORT,
    *(f"{short}, a stranger on the phone" for short in SHORT),
    *("plain", "shared by a stranger", "two misspellings", "no patronymic in the company", "behind a switchboard"),
    "a given name for a surname",
}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("second")
    generate(folder, scale=SCALE, seed=5)
    return folder


@pytest.fixture(scope="module")
def svod(sample: Path) -> Installation:
    """The sample landed by the ingesters' own code, and all models built of it."""
    svod = Installation(
        sample / "installation",
        {
            "SVOD_SINCE": json.loads((sample / "manifest.json").read_text())["since"],
            "SVOD_SHOP_B_FILES": str(sample / "shop_b" / "history-*.json"),
            "SVOD_REGISTRY_FILE": str(sample / "registry.csv"),
        },
    )
    for command in (("ingest", "json"), ("python", "dbt_project/passes.py")):
        if command[0] == "python":
            land_shop_a(sample, svod.warehouse)
        ended = svod.tool(*command)
        assert ended.status == 0, ended.output
    return svod


def land_shop_a(sample: Path, warehouse: Path) -> None:
    """What `ingest mysql` lands of the same rows: numbers as JSON numbers, times and texts as texts."""
    with open_warehouse(warehouse) as connection:
        for name in ("clients", "client_contacts"):
            rows = connection.execute(
                f"""select to_json(r)::varchar, id::varchar, updated_at, '{name}/id=' || id
                    from '{sample}/shop_a/{name}.parquet' as r"""
            ).fetchall()
            table = raw.raw_table(connection, f"shop_a__{name}", "shop A")
            raw.append(connection, table, [raw.RawRecord(*row) for row in rows], RUN_ID)


def test_the_same_seed_gives_the_same_sources_and_another_seed_others(sample: Path, tmp_path: Path):
    def digests(folder: Path) -> list[str]:
        paths = (folder / "shop_a" / "clients.parquet", folder / "shop_b" / "history-1.json")
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]

    for seed in (5, 6):
        generate(tmp_path / str(seed), scale=SCALE, seed=seed)
    assert digests(tmp_path / "5") == digests(sample)
    assert digests(tmp_path / "6") != digests(sample)


def test_every_case_every_class_of_defect_and_every_trap_occurs(sample: Path):
    laid = duckdb.execute(f"select distinct trap, must_merge from '{sample}/answers/traps.parquet'").fetchall()
    assert {trap for trap, must_merge in laid if not must_merge} == TRAPS
    assert {defect for defect, must_merge in laid if must_merge} == CLASSES


def test_the_models_merge_nobody_with_another_and_find_what_belongs_together(sample: Path, svod: Installation):
    figures = {figure.measure.name: figure for figure in measure_quality(sample, svod.warehouse, show=3)}
    assert {name: figure.share for name, figure in figures.items() if not figure.is_good} == {}
    assert figures["contact pairs: precision"].share == 1
    assert figures["contact pairs: recall"].share >= 0.995, figures["contact pairs: recall"].misses
    for measured in ("source companies: placed or rejected rightly", "source contacts: placed or rejected rightly"):
        assert figures[measured].share == 1, figures[measured].misses
    assert figures["company title"].share == 1, figures["company title"].misses


def test_every_class_of_defect_comes_out_as_it_should(sample: Path, svod: Installation):
    measured = measure_classes(sample, svod.warehouse)
    assert [one for one in measured if one.should_be != "one" and one.share < 1] == []
    assert [one for one in measured if one.share < 0.97] == []


QUESTIONS = re.findall(r"### (.+?)\n.*?```sql\n(.+?)```", (ROOT / "docs" / "identity.md").read_text(), re.DOTALL)
ASKED_ABOUT = """
with pairs as (
    select source_1 || ':' || source_id_1 as one, source_2 || ':' || source_id_2 as other, trap
    from '{sample}/answers/traps.parquet'
),
strangers as (
    select one, any_value(other) as stranger from pairs where trap = 'a stranger on the phone' group by one
)
select strangers.one, pairs.other, strangers.stranger, contact_id as contact, phones[1] as given,
       anchor_key as company_one, edges.record_key as company_other
from strangers
join pairs on pairs.one = strangers.one and trap = 'shared by a stranger'
join intermediate.int_contacts__outcomes as outcomes on outcomes.record_key = strangers.one
join intermediate.int_contacts__cleaned as cleaned on cleaned.record_key = strangers.one
cross join (from intermediate.int_companies__match_edges order by all limit 1) as edges
where len(phones) = 1
order by all limit 1
"""


@pytest.fixture(scope="module")
def shell(sample: Path, svod: Installation):
    """The warehouse as an analyst has it open, the variables of the documentation set."""
    with duckdb.connect(str(svod.warehouse), read_only=True) as connection:
        asked = connection.execute(ASKED_ABOUT.format(sample=sample))
        names = [column[0] for column in asked.description]
        for name, value in zip(names, asked.fetchone(), strict=True):
            connection.execute(f"set variable {name} = '{value}'")
        yield connection


@pytest.mark.parametrize(("question", "query"), QUESTIONS, ids=[question for question, _ in QUESTIONS])
def test_a_question_of_the_documentation_has_an_answer(shell, question, query):
    assert shell.execute(query).fetchall(), question


def test_there_are_a_dozen_questions_and_two_of_them_are_answered_by_rule_and_evidence(shell):
    assert len(QUESTIONS) >= 12
    answers = [shell.execute(query).fetchall() for question, query in QUESTIONS if question.startswith("Why are these")]
    why_one, why_not = answers[:2]
    assert {row[2] for row in why_one} <= {
        "same_shared_phone",
        "same_shared_email",
        "same_name_in_company",
        "same_email",
    }
    assert {row[-1] for row in why_not} == {"the names are not one person's, or one of them fits two people"}
