"""Executing what dbt compiled leaves behind what dbt does; what stops it leaves everything as it was."""

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner

from ingest.raw import raw_table
from ingest.warehouse import journal
from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.errors import OperatorError
from publish import gate
from publish.bitrix24.parts import PARTS
from publish.models import building, compiled
from publish.models.compiled import Project
from publish.models.materializations import COMPRESSION
from tests.installation import COMPILED, ROOT
from tests.models.changes import Shops
from tests.models.compiled_models import compiled_project
from tests.models.sql_rules import PROJECT

SCHEMAS = ("staging", "intermediate", "marts", "failures")
MOMENTS = ("minted_at", "minted_run_id", "measured_at", "stamped_at")  # differ from run to run
# What tells of the runs themselves.
OWN = ("marts.report_steps", "marts.report_totals")


@pytest.fixture(scope="module", autouse=True)
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """dbt writes beside the tests; what this machine has set is not theirs."""
    folder = tmp_path_factory.mktemp("dbt")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("SVOD_", "DBT_"))]:
            patch.delenv(name)
        for name, value in (("DBT_TARGET_PATH", folder), ("DBT_LOG_PATH", folder)):
            patch.setenv(name, str(value))
        yield


@pytest.fixture(scope="module")
def project(settings: None) -> Project:
    return compiled_project()


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with closing(open_warehouse(tmp_path / "svod.duckdb")) as connection:
        yield connection


def build(connection: duckdb.DuckDBPyConnection, project: Project, **how: bool) -> None:
    for step in project.passes:
        building.build(connection, project, step, **how)


def build_with_dbt(path: Path) -> None:
    at = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--exclude-resource-type", "unit_test"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SVOD_WAREHOUSE", str(path))
        assert dbtRunner().invoke(["--quiet", "build", *at]).success
        DuckDBConnectionManager.close_all_connections()


def differing(left: Path, right: Path) -> list[str]:
    """Tables, columns and comments that are not the same in both warehouses."""
    with duckdb.connect() as connection:
        connection.execute(f"set timezone = 'UTC'; attach '{left}' as l (read_only); attach '{right}' as r (read_only)")
        columns = """
            select schema_name || '.' || table_name as relation, column_name, data_type, comment, is_nullable
            from duckdb_columns() where database_name = ? and list_contains(?, schema_name)
            order by 1, column_index"""
        described = [connection.execute(columns, [side, SCHEMAS]).fetchall() for side in ("l", "r")]
        comments = """
            select schema_name, table_name, comment from duckdb_tables()
            where database_name = $1 and list_contains($2, schema_name)
            union all
            select schema_name, view_name, comment from duckdb_views()
            where database_name = $1 and list_contains($2, schema_name)"""
        told = [connection.execute(comments, [side, SCHEMAS]).fetchall() for side in ("l", "r")]
        found = [f"{row}" for a, b in (described, told) for row in {*a} ^ {*b}]
        for relation in dict.fromkeys(row[0] for row in described[0]):
            names = [row[1] for row in described[0] if row[0] == relation and row[1] not in MOMENTS]
            if relation in OWN:
                continue
            chosen = ", ".join(f'"{name}"' for name in names)
            ((count,),) = connection.execute(
                f"""select count(*) from (
                    (select {chosen} from l.{relation} except all select {chosen} from r.{relation})
                    union all (select {chosen} from r.{relation} except all select {chosen} from l.{relation}))"""
            ).fetchall()
            if count:
                found.append(f"{relation}: {count} rows")
        return found


def test_what_is_executed_is_what_dbt_builds_and_so_is_a_refresh(tmp_path: Path, project: Project):
    shops = Shops(seed=3, companies=60)
    ours, of_dbt = tmp_path / "svod.duckdb", tmp_path / "dbt" / "svod.duckdb"
    of_dbt.parent.mkdir()
    for _ in range(2):
        with closing(open_warehouse(ours)) as connection:
            shops.land(connection)
            if of_dbt.exists():
                tables = "select table_name from duckdb_tables() where schema_name = 'raw'"
                raw_tables = connection.execute(tables).fetchall()
                connection.execute(f"attach '{of_dbt}' as of_dbt")
                for (table,) in raw_tables:
                    connection.execute(f"create or replace table of_dbt.raw.{table} as from raw.{table}")
                connection.execute("detach of_dbt")
        if not of_dbt.exists():
            shutil.copy(ours, of_dbt)
        with closing(open_warehouse(ours)) as connection:
            build(connection, project)
        build_with_dbt(of_dbt)
        assert differing(ours, of_dbt) == []
        for _ in range(60):
            shops.change()
    counts = "select sum((detail ->> '$.models')::int), sum((detail ->> '$.tests')::int) from ops.steps"
    with duckdb.connect(str(ours), read_only=True) as connection:
        assert connection.execute("select count(*) > 20 from marts.crm_contacts").fetchall() == [(True,)]
        counted = connection.execute(counts).fetchall()
    with duckdb.connect(str(of_dbt), read_only=True) as connection:
        assert connection.execute(counts).fetchall() == counted


@pytest.fixture
def built(warehouse: duckdb.DuckDBPyConnection, project: Project) -> Shops:
    """Shops whose first day is built."""
    shops = Shops(seed=4, companies=12)
    shops.land(warehouse)
    build(warehouse, project)
    return shops


def contents(connection: duckdb.DuckDBPyConnection) -> dict[str, list[tuple]]:
    relations = connection.execute(
        """select schema_name || '.' || table_name from duckdb_tables()
           where schema_name in ('staging', 'intermediate', 'marts')"""
    ).fetchall()
    return {relation: connection.execute(f"from {relation} order by all").fetchall() for (relation,) in relations}


def last_step(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    sql = "select step, status, detail from ops.steps order by started_at desc limit 1"
    step, status, detail = connection.execute(sql).fetchone()
    return {"step": step, "status": status} | json.loads(detail)


def test_every_column_says_in_the_warehouse_what_it_is(warehouse, built):
    silent = """
        select schema_name || '.' || table_name, list(column_name) from duckdb_columns()
        where schema_name in ('staging', 'intermediate', 'marts', 'analysis') and comment is null
        group by 1 order by 1"""
    assert warehouse.execute(silent).fetchall() == []


def test_a_column_of_texts_is_kept_as_its_name_says_and_a_payload_compressed(warehouse, built):
    raw_table(warehouse, "shop_c__clients", "Landed for the first time.")
    tables = warehouse.execute(
        """select schema_name || '.' || table_name, sql from duckdb_tables()
           where schema_name in ('raw', 'staging', 'intermediate', 'marts')"""
    )
    defined = dict(tables.fetchall())
    assert "payload JSON USING COMPRESSION ZSTD" in defined["raw.shop_c__clients"]
    for table in ("intermediate.int_contacts__outcomes", "marts.crm_deals"):  # by a contract, too
        assert "contact_id VARCHAR USING COMPRESSION Uncompressed" in defined[table]
    kept = {pair for sql in defined.values() for pair in re.findall(r'(\w+)"? VARCHAR USING COMPRESSION (\w+)', sql)}
    said = {(name, how.upper()) for name, how in COMPRESSION.items()}
    assert said == {(name, how) for name, how in kept if how != "Uncompressed"}, "each is a column of a model"


def test_a_gate_leaves_the_marts_as_they_were_and_the_rows_that_stopped_it(warehouse, project, built):
    before = contents(warehouse)
    warehouse.execute(  # a mart that would have shrunk
        """insert into ops.mart_sizes (mart, row_count, period_start, run_id, measured_at)
           values ('crm_companies', 100000, '2025-01-01', 'r', '2099-01-01')"""
    )
    built.land_a_new_company(warehouse)
    building.build(warehouse, project, journal.DBT_BEFORE_REGISTRY)
    with pytest.raises(OperatorError) as stopped:
        building.build(warehouse, project, journal.DBT_AFTER_REGISTRY)
    assert stopped.value.exit_status == 3
    assert stopped.value.problem == "data tests did not pass: within_change_limit_crm_companies_ (1 rows)"
    after = contents(warehouse)
    assert {name: rows for name, rows in after.items() if name.startswith("marts.")} == {
        name: rows for name, rows in before.items() if name.startswith("marts.")
    }
    assert after["staging.stg_shop_a__clients"] != before["staging.stg_shop_a__clients"]
    failing = warehouse.execute("select rows_then from failures.within_change_limit_crm_companies_").fetchall()
    assert failing == [(100000,)]
    told = last_step(warehouse)
    assert (told["status"], told["gates"]) == ("gated", [{"test": "within_change_limit_crm_companies_", "rows": 1}])
    with pytest.raises(OperatorError, match="data quality gates did not pass"):
        gate.check(warehouse, PARTS, max_age_hours=0)

    warehouse.execute("delete from ops.mart_sizes where run_id = 'r'")
    build(warehouse, project)
    assert warehouse.execute("from duckdb_tables() where table_name like 'within_change%'").fetchall() == []
    gate.check(warehouse, PARTS, max_age_hours=0)


def test_a_statement_that_breaks_leaves_nothing_of_its_pass_and_is_told_with_its_model(warehouse, project, built):
    before = contents(warehouse)
    built.land_a_new_company(warehouse)
    model = "model.svod.int_companies__registry_queue"
    broken = msgspec.structs.replace(project.nodes[model], sql="select no_such_column from ops.steps")
    wrong = msgspec.structs.replace(project, nodes=project.nodes | {model: broken})
    with pytest.raises(OperatorError) as stopped:
        building.build(warehouse, wrong, journal.DBT_BEFORE_REGISTRY)
    assert stopped.value.exit_status == 1
    assert "model int_companies__registry_queue broke" in stopped.value.problem
    assert contents(warehouse) == before
    assert last_step(warehouse)["broken"] == ["int_companies__registry_queue"]
    with pytest.raises(OperatorError, match="dbt before_registry failed: int_companies__registry_queue"):
        gate.check(warehouse, PARTS, max_age_hours=0)


def test_nothing_is_built_where_nothing_landed_and_all_is_when_anything_may_differ(warehouse, project, built, capsys):
    def is_built(project: Project = project, **how: bool) -> bool:
        build(warehouse, project, **how)
        return "nothing_new" not in last_step(warehouse)

    assert not is_built()
    assert "dbt after_registry: nothing landed since the last pass, nothing to build" in capsys.readouterr().out
    assert not is_built()
    gate.check(warehouse, PARTS, max_age_hours=0)
    assert is_built(is_anew=True) and last_step(warehouse)["warnings"]
    assert "dirty sources" not in capsys.readouterr().out, "as dirty as the last time is no news"
    warehouse.execute("""update ops.steps set detail = json_merge_patch(detail, '{"warnings": []}')""")
    assert is_built(is_anew=True) and "dirty sources, for their owners: " in capsys.readouterr().out
    built.land_a_new_company(warehouse)
    assert is_built() and not is_built()
    warehouse.execute("update ops.period set starts_on = starts_on - 1")
    assert is_built() and not is_built()
    warehouse.execute("delete from marts.crm_company_contacts")  # by hand
    assert is_built() and not is_built()
    assert is_built(msgspec.structs.replace(project, digest="of other files")) and is_built()


def test_a_file_or_a_variable_that_the_models_read_changes_what_is_compiled_and_nothing_else_does(tmp_path, project):
    folder = tmp_path / "dbt_project"
    ignored = shutil.ignore_patterns("target", "logs", "__pycache__")
    shutil.copytree(PROJECT, folder, ignore=ignored)
    digest = compiled.digest_of(folder, os.environ)
    assert compiled.digest_of(folder, os.environ | {"SVOD_RUN_ID": "another", "HOME": "/elsewhere"}) == digest
    assert compiled.digest_of(folder, os.environ | {"SVOD_SINCE": "2024-01-01"}) != digest
    with (folder / "seeds" / "job_words.csv").open("a") as seed:
        seed.write("слово,причина\n")
    assert compiled.digest_of(folder, os.environ) != digest


def test_a_project_that_was_moved_reads_its_seeds_where_they_are_now(tmp_path, project):
    """An installation in a new place finds compiled what the one before has left beside the warehouse."""
    folder = tmp_path / "moved" / "dbt_project"
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("target", "logs", "__pycache__"))
    moved = compiled.project(folder, os.environ | {"DBT_TARGET_PATH": str(ROOT / COMPILED)})
    seeds = [node for node in moved.nodes.values() if node.kind == "seed"]
    assert moved.digest == project.digest and seeds
    assert {Path(node.sql).parent for node in seeds} == {folder / "seeds"}


def test_of_two_programs_that_begin_at_once_one_compiles_and_the_other_waits_for_it(
    tmp_path, project, monkeypatch, capsys
):
    begun = []

    def compile_slowly(*_: object) -> Project:
        begun.append(True)
        time.sleep(0.3)
        return project

    monkeypatch.setattr(compiled, "_compile", compile_slowly)
    monkeypatch.setattr(compiled, "_KNOWN", {})
    environment = {"DBT_TARGET_PATH": str(tmp_path / "new")}
    with ThreadPoolExecutor(2) as programs:
        asked = [programs.submit(compiled.project, PROJECT, environment) for _ in range(2)]
        assert [answer.result().nodes for answer in asked] == [project.nodes] * 2
    assert begun == [True]
    assert capsys.readouterr().err.count("another program compiles the models") == 1
