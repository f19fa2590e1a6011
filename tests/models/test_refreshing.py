"""A refresh works out what a change can touch, and nothing else; what it leaves is what a build of all would leave."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import msgspec
import pytest

from ingest.warehouse import journal
from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.errors import OperatorError
from publish.models import building, refreshing
from publish.models.compiled import Project
from tests.models.changes import Shops
from tests.models.compiled_models import compiled_project
from tests.models.refresh_oracle import Twins


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    """What this machine has set is not the tests'."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("SVOD_", "DBT_"))]:
            patch.delenv(name)
        yield compiled_project()


def test_after_changes_of_any_kind_all_tables_are_as_if_all_had_been_built(tmp_path, project, monkeypatch):
    """`python -m tests.models.refresh_oracle` draws thousands."""
    with closing(Twins(tmp_path, project, seed=11, companies=20)) as twins:
        for number in range(4):
            monkeypatch.setattr(refreshing, "_FEW", 4 if number == 2 else 1000)  # most models as a whole
            changes = [twins.shops.change() for _ in range(5 + number)]
            twins.step(changes, is_broken_off=number == 1)


class Heard:
    """A connection, and what it was asked to do."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self.statements: list[str] = []

    def execute(self, sql: str, *values: object) -> duckdb.DuckDBPyConnection:
        self.statements.append(sql)
        return self._connection.execute(sql, *values)

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)


class Office:
    """One warehouse, built once, with what its refreshes say."""

    def __init__(self, path: Path, project: Project) -> None:
        self.connection = open_warehouse(path)
        self.project = project
        self.shops = Shops(seed=5, companies=12)
        self.shops.land(self.connection)
        self.refresh()

    def refresh(self, *, is_anew: bool = False) -> dict[str, str | None]:
        """Why each pass built all, or None."""
        for step in self.project.passes:
            building.build(self.connection, self.project, step, is_anew=is_anew)
        last = "select step, detail from ops.steps order by started_at desc limit 2"
        return {step: json.loads(detail)["built_all_for"] for step, detail in self.rows(last)}

    def rows(self, sql: str) -> list[tuple]:
        return self.connection.execute(sql).fetchall()


@pytest.fixture
def office(tmp_path: Path, project: Project) -> Iterator[Office]:
    office = Office(tmp_path / "svod.duckdb", project)
    with closing(office.connection):
        yield office


REFRESHED = {journal.DBT_BEFORE_REGISTRY: None, journal.DBT_AFTER_REGISTRY: None}


def test_a_changed_phone_touches_its_record_and_whom_it_is_joined_with_and_that_can_be_read(office):
    ((key,),) = office.rows(
        "select min(source_contact_id) from staging.stg_shop_a__client_contacts where not is_deleted"
    )
    office.connection.execute(
        """insert into raw.shop_a__client_contacts
           select json_merge_patch(payload, '{"phone": "8 999 111-22-33", "updated_at": "2027-01-01 10:00:00"}'),
               source_key, source_at, source_position, run_id, now()::timestamp
           from raw.shop_a__client_contacts where source_key = ? and payload is not null limit 1""",
        [key],
    )
    office.connection = heard = Heard(office.connection)
    assert office.refresh() == REFRESHED
    # Rows that are looked for by a set of their numbers came from beyond their segments (DuckDB 2.0.0), sometimes, in
    # tables that are larger than these: `python -m tests.bench follow --rate 50` met it within a minute.
    by_number = [sql for sql in heard.statements if re.search(r"\browid\s+in\b", sql)]
    assert len(heard.statements) > 100 and not by_number
    touched = dict(office.rows("select model, count(*) from refresh.scope group by model"))
    assert touched["stg_shop_a__client_contacts"] == touched["int_contacts__phones"] == 1
    not_of_it = {"stg_shop_b__person_appearances", "int_companies__validated", "int_orders__outcomes", "crm_deals"}
    assert not not_of_it & touched.keys()
    assert office.rows("select key, why from refresh.scope where model = 'int_contacts__phones'") == [
        (f"shop_a:{key}", "staging.stg_shop_a__client_contacts")
    ]
    left = "select table_name from duckdb_tables() where schema_name = 'refresh'"
    assert office.rows(left) == [("scope",)], "what changed is let go of once all models have seen it"


def test_a_build_of_all_that_finds_other_rows_than_refreshes_left_keeps_them_as_an_error_and_puts_them_right(office):
    post = "select post from intermediate.int_contacts__validated where record_key = 'shop_a:1'"
    ((typed,),) = office.rows(post)
    office.connection.execute(
        "update intermediate.int_contacts__validated set post = 'Чужой' where record_key = 'shop_a:1'"
    )
    office.shops.land_a_new_company(office.connection)
    with pytest.raises(OperatorError, match=r"than a build of all: int_contacts__validated \(2 rows\)") as found:
        office.refresh(is_anew=True)
    assert "failures.rebuilt_int_contacts__validated" in found.value.hint
    kept = "select post, came from failures.rebuilt_int_contacts__validated order by came"
    assert office.rows(kept) == [("Чужой", False), (typed, True)]
    assert office.rows(post) == [(typed,)]
    assert office.rows("select status from ops.steps order by started_at desc limit 1") == [("failed",)]
    assert office.refresh()[journal.DBT_BEFORE_REGISTRY] == "the last pass did not end well"
    assert office.refresh(is_anew=True) == dict.fromkeys(REFRESHED, "it was asked for")
    compared = "select (detail ->> '$.compared')::int, detail ->> '$.differing' from ops.steps order by started_at desc"
    assert all(tables > 10 and differing == "{}" for tables, differing in office.rows(f"{compared} limit 2"))
    assert not office.rows("from duckdb_tables() where table_name like 'rebuilt_%' or table_name like '%__was'")


@pytest.mark.parametrize(
    ("what", "statement", "reason"),
    [
        ("dbt by hand", "insert into ops.steps (run_id, step, started_at, status) "
         "select 'r', 'dbt selected', max(started_at) + interval 1 microsecond, 'done' from ops.steps",
         "a pass did not end, or somebody built models by hand"),
        ("old versions", "delete from raw.shop_a__clients where rowid = 0", "rows of raw.shop_a__clients went"),
        ("a setting", "update ops.period set starts_on = starts_on - 1",
         "the models, a seed, a setting or the period changed"),
    ],
)  # fmt: skip
def test_what_is_no_row_that_landed_makes_the_run_build_all_and_say_so(office, capsys, what, statement, reason):
    office.connection.execute(statement)
    office.shops.land_a_new_company(office.connection)
    assert office.refresh() == dict.fromkeys(REFRESHED, reason) | {
        journal.DBT_AFTER_REGISTRY: "they have not been built as a whole since"
    }
    assert f"done; all built, for {reason}" in capsys.readouterr().out
    office.shops.land_a_new_company(office.connection)
    assert office.refresh() == REFRESHED


@pytest.mark.parametrize(
    ("changed", "broken", "condition", "gate"),
    [
        ({"is_deleted": 1}, "rejected_contacts", "source_id <> '{key}'", "every_source_record_is_accounted_for"),
        (
            {"name": "Перемётов Яков"},
            "crm_company_contacts",
            "contact_id <> '{contact}'",
            "crm_contacts_have_a_company",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith(("every", "crm_contacts")) else "",
)
def test_a_gate_that_is_asked_of_changed_keys_alone_finds_what_a_refresh_did_wrong(
    office, changed, broken, condition, gate
):
    ((key, contact),) = office.rows(
        "select min((source_id, contact_id)) from marts.xref_contacts where source = 'shop_a'"
    )[0]
    nodes = dict(office.project.nodes)
    node = next(node for node in nodes.values() if node.name == broken)
    lossy = f"select * from (\n{node.sql}\n) where {condition.format(key=key, contact=contact)}"
    nodes[node.unique_id] = msgspec.structs.replace(node, sql=lossy)
    office.project = msgspec.structs.replace(office.project, nodes=nodes)
    office.connection.execute(
        """insert into raw.shop_a__client_contacts
           select json_merge_patch(payload, ?), source_key, source_at, source_position, run_id, now()::timestamp
           from raw.shop_a__client_contacts where source_key = ? and payload is not null limit 1""",
        [json.dumps(changed | {"updated_at": "2027-01-01 10:00:00"}), key],
    )
    with pytest.raises(OperatorError, match=gate):
        office.refresh()


def test_each_test_of_which_is_said_what_to_ask_again_is_there(project):
    """Else it is asked of all rows at every change: right, but slow."""
    tests = [node for node in project.nodes.values() if node.kind == "test"]
    said = project.asked_again
    named = {*said.by_key, *said.landed, *said.each_row, *said.each_key}
    assert named <= {node.name for node in tests} | {node.generic for node in tests}


def test_each_model_that_is_a_table_says_what_a_change_touches(project):
    """Else it is built as a whole at every change: right, but slow."""
    tables = {
        node.name
        for node in project.nodes.values()
        if node.kind == "model" and node.materialized != "view" and any(map(is_not_a_seed(project), node.reads))
    }
    assert tables - project.scopes.keys() == {"int_contacts__twofold_names", "int_companies__registry_queue"}


def is_not_a_seed(project: Project):
    seeds = {node.relation for node in project.nodes.values() if node.kind == "seed"}
    return lambda relation: relation not in seeds
