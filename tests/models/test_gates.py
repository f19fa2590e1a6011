"""Whole dbt runs on a warehouse file: what stops them, what the journal says, and that company ids are kept."""

import json
import os
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest

from ingest.warehouse.connection import open_warehouse
from tests.installation import COMPILED, DBT_TARGET, ROOT
from tests.models.sql_rules import PROJECT
from tests.sample_data.identifiers import Identifiers, Random
from tests.transfer.test_models import OF_A_MOVE

COMPANIES = 60


@pytest.fixture
def inns() -> list[str]:
    return more_inns(COMPANIES, seed=11)


def more_inns(number: int, seed: int = 12) -> list[str]:
    makes = Identifiers(Random(seed))
    return [makes.inn(legal=n % 2 == 0) for n in range(number)]


class Warehouse:
    """A warehouse file with clients of shop A and verdicts landed by hand, and dbt run on it as `make` does."""

    def __init__(self, folder: Path) -> None:
        self.path, self._folder = folder / "svod.duckdb", folder
        with open_warehouse(self.path) as connection:
            for table in ("shop_a__clients", "registry__companies"):
                connection.execute(
                    f"create table raw.{table} (payload json, source_key varchar, source_at timestamp,"
                    " source_position varchar, run_id varchar, ingested_at timestamp)"
                )

    def land(self, table: str, rows: list[tuple[str, dict]]) -> None:
        now = datetime.now()
        landed = [(json.dumps(payload), key, now, f"{table}@{key}", now) for key, payload in rows]
        with open_warehouse(self.path) as connection:
            if landed:
                connection.executemany(f"insert into raw.{table} values (?, ?, ?, ?, 'r', ?)", landed)

    def land_clients(self, inns: list[str], *, at: str, is_deleted: int = 0) -> None:
        row = {"name": 'ООО "Ромашка"', "is_deleted": is_deleted, "created_at": "2024-01-01 00:00:00", "updated_at": at}
        self.land("shop_a__clients", [(str(n), {"id": n, "inn": inn, **row}) for n, inn in enumerate(inns, start=1)])

    def land_verdicts(self, inns: list[str], status: str) -> None:
        self.land("registry__companies", [(inn, {"found": True, "verdict": {"status": status}}) for inn in inns])

    def dbt(self, *arguments: str, command: str = "build", **settings: str) -> int:
        """A whole build, unit tests aside, or another command; its exit status."""
        environment = os.environ | {"SVOD_WAREHOUSE": str(self.path), "SVOD_SINCE": "2025-01-01"} | settings
        place = ["--project-dir", PROJECT, "--profiles-dir", PROJECT, "--target-path", ROOT / DBT_TARGET]
        dbt = [Path(sys.executable).with_name("dbt"), "--quiet", "--log-path", self._folder]
        no_unit_tests = ["--exclude-resource-type", "unit_test"] if command == "build" else []
        build = [*dbt, command, *no_unit_tests, *place, *arguments]
        return subprocess.run(build, env=environment, stdout=subprocess.DEVNULL, check=False).returncode

    def passes(self, **settings: str) -> subprocess.CompletedProcess[str]:
        """Both passes with the registry between them, as `make full` runs them."""
        place = {"DBT_TARGET_PATH": str(ROOT / COMPILED), "DBT_LOG_PATH": str(self._folder)}
        environment = os.environ | {"SVOD_WAREHOUSE": str(self.path), "SVOD_SINCE": "2025-01-01"} | place | settings
        command = [sys.executable, PROJECT / "passes.py"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def publish(self, command: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """`publish gate`, `publish plan` …"""
        environment = os.environ | {"SVOD_WAREHOUSE": str(self.path), "SVOD_ENV_FILE": os.devnull} | settings
        program = [Path(sys.executable).with_name("publish"), command, *arguments]
        return subprocess.run(program, env=environment, capture_output=True, text=True, check=False)

    def sql(self, statement: str) -> None:
        with open_warehouse(self.path) as connection:
            connection.execute(statement)

    def rows(self, query: str) -> list[tuple]:
        with duckdb.connect(str(self.path), read_only=True) as connection:
            return connection.execute(query).fetchall()


def test_a_mart_that_shrank_stops_the_run_and_a_setting_lets_it_through(tmp_path, inns):
    warehouse = Warehouse(tmp_path)
    warehouse.land_clients(inns, at="2026-01-01 10:00:00")
    warehouse.land_verdicts(inns, "ACTIVE")
    assert warehouse.passes().returncode == 0
    ids = dict(warehouse.rows("select inn, company_id from marts.crm_companies"))
    assert len(ids) == COMPANIES
    # The machine's clock is put back by an hour: the runs from now on are still those that came last.
    warehouse.sql("update ops.steps set started_at = started_at + interval 1 hour")
    warehouse.sql("update ops.mart_sizes set measured_at = measured_at + interval 1 hour")

    warehouse.land_verdicts(inns[:30], "LIQUIDATED")
    assert warehouse.passes().returncode == 1
    stopped = warehouse.publish("gate")
    assert stopped.returncode == 3
    assert "within_change_limit_crm_companies_ (1 rows)" in stopped.stderr
    last = "select status, detail ->> '$.gates[0].test' from ops.steps order by started_at desc limit 1"
    assert warehouse.rows(last) == [("gated", "within_change_limit_crm_companies_")]
    assert warehouse.rows("select rows_then, rows_now from failures.within_change_limit_crm_companies_") == [(60, 30)]

    assert warehouse.dbt("--full-refresh", SVOD_MART_CHANGE_LIMIT="0.6") == 0
    assert warehouse.rows("select table_name from duckdb_tables() where schema_name = 'failures'") == []
    assert warehouse.rows(last)[0][0] == "done"
    left = dict(warehouse.rows("select inn, company_id from marts.crm_companies"))
    assert left == {inn: ids[inn] for inn in inns[30:]}
    gone = warehouse.rows("select company_id, state from marts.departed_companies")
    assert sorted(gone) == sorted((ids[inn], "inactive") for inn in inns[:30])


def test_company_ids_outlive_corrections_and_a_rebuild_from_nothing_gives_them_again(tmp_path, inns):
    (tmp_path / "grown").mkdir()
    grown = Warehouse(tmp_path / "grown")
    grown.land_clients(inns, at="2026-01-01 10:00:00")
    grown.land_verdicts(inns, "ACTIVE")
    assert grown.passes().returncode == 0
    before = dict(grown.rows("select source_id, company_id from marts.xref_companies"))
    # the first two clients swap what was a typing error: one gets a new INN, the other joins the third
    corrected = ["7707083893", inns[2], *inns[2:]]
    grown.land_clients(corrected, at="2026-01-02 10:00:00")
    grown.land_verdicts(corrected, "ACTIVE")
    assert grown.passes().returncode == 0
    after = dict(grown.rows("select source_id, company_id from marts.xref_companies"))
    assert after["1"] == before["1"]
    assert after["2"] == after["3"] in (before["2"], before["3"])
    merged = {before["2"], before["3"]} - {after["2"]}
    assert grown.rows("select company_id, state, merged_into from marts.departed_companies") == [
        (merged.pop(), "merged", after["2"])
    ]

    (tmp_path / "rebuilt").mkdir()
    rebuilt = Warehouse(tmp_path / "rebuilt")
    rebuilt.land_clients(corrected, at="2026-01-02 10:00:00")
    rebuilt.land_verdicts(corrected, "ACTIVE")
    assert rebuilt.passes().returncode == 0
    assert dict(rebuilt.rows("select source_id, company_id from marts.xref_companies")) == after


def test_a_registry_that_fails_keeps_nobody_from_the_second_pass_and_is_the_status_of_the_passes(tmp_path, inns):
    warehouse = Warehouse(tmp_path)
    warehouse.land_clients(inns, at="2026-01-01 10:00:00")
    warehouse.land_verdicts(inns[:40], "ACTIVE")
    ended = warehouse.passes(SVOD_REGISTRY_FILE=str(tmp_path / "no-such.csv"))
    assert ended.returncode == 1
    assert "there is no verdict file" in ended.stderr
    steps = warehouse.rows("select step, status from ops.steps order by started_at")
    assert steps == [("dbt before_registry", "done"), ("ingest registry", "failed"), ("dbt after_registry", "done")]
    assert warehouse.rows("select count(*) from marts.crm_companies") == [(40,)]
    assert warehouse.rows("select reason, count(*) from marts.rejected_companies group by all") == [
        ("awaiting_verdict", 20)
    ]
    assert warehouse.publish("gate").returncode == 0


def test_persons_of_an_object_without_a_uid_pass_the_gate_and_are_rejected_with_their_reason(tmp_path, inns):
    warehouse = Warehouse(tmp_path)
    warehouse.sql("create table raw.shop_b__companies as from raw.envelope")
    person = {"fio": "Иванова Мария Петровна", "phones": ["+79161234567"]}
    known = {"uid": "b-1", "inn": inns[0], "title": "ООО Василёк", "persons": [{"uid": "p-1", **person}]}
    keyless = {
        "title": "ООО Ландыш",
        "inn": inns[1],
        "persons": [{"uid": "p-1", **person}, {"uid": "p-2", **person}],
        "orders": [{"uid": "o-1", "status": "new", "total": "10"}],
    }
    warehouse.land("shop_b__companies", [("known", known), ("keyless", keyless)])
    warehouse.land_verdicts(inns[:2], "ACTIVE")
    assert warehouse.passes().returncode == 0
    assert warehouse.publish("gate").returncode == 0
    assert warehouse.rows("select source_id from marts.xref_contacts") == [("p-1",)]
    assert warehouse.rows("select source_id, reason from marts.rejected_contacts") == [("p-2", "orphan")]
    assert warehouse.rows("select source_id, reason from intermediate.int_orders__outcomes") == [("o-1", "orphan")]


def test_only_a_full_pass_with_all_its_tests_may_be_published(tmp_path, inns):
    warehouse = Warehouse(tmp_path)
    warehouse.land_clients(inns, at="2026-01-01 10:00:00")
    warehouse.land_verdicts(inns, "ACTIVE")
    assert warehouse.passes().returncode == 0
    assert warehouse.publish("gate").returncode == 0
    assert warehouse.rows("select distinct step from ops.mart_stamps") == [("dbt after_registry",)]

    warehouse.land_verdicts(inns[:30], "LIQUIDATED")
    for command, arguments, step in (
        ("run", (), "`dbt` (run)"),  # builds everything and tests nothing
        ("build", ("--select", "crm_companies"), "`dbt selected` (build)"),
        ("build", ("--selector", "after_registry"), "`dbt after_registry` (build)"),  # half of a full pass
    ):
        assert warehouse.dbt(*arguments, command=command, SVOD_MART_CHANGE_LIMIT="1") == 0
        refused = warehouse.publish("gate")
        assert refused.returncode == 3
        assert "marts.crm_companies" in refused.stderr and f"left: {step} of 20" in refused.stderr
    assert warehouse.rows("select distinct row_count from ops.mart_sizes where mart = 'crm_companies'") == [(60,)]
    assert warehouse.dbt(SVOD_MART_CHANGE_LIMIT="1") == 0  # everything, in one go
    assert warehouse.publish("gate").returncode == 0
    assert warehouse.rows("select distinct step from ops.mart_stamps") == [("dbt",)]
    assert warehouse.rows(OF_A_MOVE) == []


def test_verdicts_that_come_by_quota_let_the_marts_grow_day_by_day(tmp_path, inns):
    warehouse = Warehouse(tmp_path)
    warehouse.land_clients([*inns, *more_inns(240)], at="2026-01-01 10:00:00")
    everybody = [inn for (inn,) in warehouse.rows("select payload ->> '$.inn' from raw.shop_a__clients order by 1")]
    for answered in (0, 60, 180, 300):
        warehouse.land_verdicts(everybody[max(0, answered - 120) : answered], "ACTIVE")
        assert warehouse.passes().returncode == 0
        assert warehouse.rows("select count(*) from marts.crm_companies") == [(answered,)]
    warehouse.land_clients([*everybody, *more_inns(100, seed=13)], at="2026-01-02 10:00:00")
    warehouse.land_verdicts(more_inns(100, seed=13), "ACTIVE")  # a third more than anybody waited for
    assert warehouse.passes().returncode == 1
    assert warehouse.rows("select rows_then, rows_now from failures.within_change_limit_crm_companies_") == [(300, 400)]


def test_the_night_of_a_new_year_changes_nothing_and_a_period_moved_by_hand_is_compared(tmp_path, inns):
    warehouse = Warehouse(tmp_path)
    year = date.today().year
    warehouse.sql(f"update ops.period set starts_on = '{year - 2}-01-01'")  # made last year: now a new one has begun
    warehouse.land_clients(inns, at=f"{year - 1}-06-01 10:00:00")
    warehouse.sql("delete from raw.shop_a__clients where source_key::int <= 30")
    warehouse.land_clients(inns[:30], at=f"{year - 2}-06-01 10:00:00")
    warehouse.land_verdicts(inns, "ACTIVE")
    assert warehouse.passes(SVOD_SINCE="").returncode == 0
    assert warehouse.rows("select count(*) from marts.crm_companies") == [(60,)]

    warehouse.sql(f"update ops.period set starts_on = '{year - 1}-01-01'")  # as `publish run --move-period` does
    assert warehouse.passes(SVOD_SINCE="").returncode == 1
    assert "within_change_limit_crm_companies_ (1 rows)" in warehouse.publish("gate").stderr
    compared = "select rows_then, rows_now, year(period_now) - year(period_then) from failures.{}"
    assert warehouse.rows(compared.format("within_change_limit_crm_companies_")) == [(60, 30, 1)]
    assert warehouse.passes(SVOD_SINCE="", SVOD_MART_CHANGE_LIMIT="0.6").returncode == 0
    assert warehouse.publish("gate").returncode == 0
