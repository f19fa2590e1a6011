"""A third shop in a scratch copy of the project: what has to be written for it, and that its records reach the marts.

What is written is what docs/sources.md, "Your own shops", says: a line where sources are declared, a folder of staging
models, an arm in each union and in the gate that nothing is lost.
"""

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.installation import ROOT
from tests.sample_data.loaders import TABLES
from tests.servers import MariaDB

ROMASHKA, VASILEK, LANDYSH = "7707083893", "7736050003", "7702070139"


class Project:
    """A scratch copy of the project's code and models, run with settings of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.warehouse = folder, folder / "svod.duckdb"
        self.models = folder / "dbt_project" / "models"
        for name in ("ingest", "dbt_project"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("target", "logs", "__pycache__"))
        self.settings: dict[str, str] = {"SVOD_SINCE": "2025-01-01", "SVOD_WAREHOUSE": str(self.warehouse)}

    def run(self, *command: str | Path) -> str:
        """What a command that must succeed prints, the copy's code before the installed one."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SVOD_")}
        environment = inherited | self.settings | {"PYTHONPATH": str(self.folder)}
        ended = subprocess.run(
            [sys.executable, *command], cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def declare_shop_c(self) -> None:
        """One line in the settings."""
        settings = self.folder / "ingest" / "settings.py"
        declarations = "DECLARATIONS = (\n"
        text = settings.read_text()
        assert declarations in text
        settings.write_text(text.replace(declarations, f'{declarations}    declare("shop_c", MySQLSource),\n'))

    def stage_shop_c(self) -> list[Path]:
        """A folder of staging models. Shop C keeps its tables as shop A does: a real one has other columns there."""
        written = []
        for path in (self.models / "staging" / "shop_a").iterdir():
            if path.suffix == ".sql" or path.name.endswith("__sources.yml"):
                copy = self.models / "staging" / "shop_c" / path.name.replace("shop_a", "shop_c")
                copy.parent.mkdir(exist_ok=True)
                copy.write_text(path.read_text().replace("shop_a", "shop_c"))
                written.append(copy)
        return written

    def add_shop_c_to_the_unions(self) -> list[Path]:
        """One more arm in each union: the one of shop A, said of shop C."""
        written = []
        for path in sorted(self.models.glob("intermediate/*/*__unioned.sql")):
            text = path.read_text()
            arms = text[text.index("select") :].split("union all by name\n")
            (of_shop_a,) = [arm for arm in arms if "ref('stg_shop_a__" in arm]
            path.write_text(f"{text.rstrip()}\nunion all by name\n{of_shop_a.replace('shop_a', 'shop_c')}")
            written.append(path)
        return written

    def guard_shop_c(self) -> None:
        """Its arms in the gate that nothing is lost between raw and staging."""
        gate = self.folder / "dbt_project" / "tests" / "every_landed_record_is_staged.sql"
        end_of_landed = "\n),\n\nstaged as ("
        text = gate.read_text()
        assert end_of_landed in text
        arms = "".join(
            f"""
    union all
    select '{entity}', 'shop_c:' || source_key from {{{{ source('shop_c', 'shop_c__{table}') }}}}"""
            for entity, table in (("company", "clients"), ("contact", "client_contacts"))
        )
        gate.write_text(text.replace(end_of_landed, arms + end_of_landed))


def fill(server: MariaDB, database: str, **rows: list[dict[str, Any]]) -> None:
    """A shop's database: its tables by name."""
    with server.connect(database) as connection, connection.cursor() as cursor:
        for table, columns in TABLES.items():
            declared = ", ".join(f"{name} {of_type}" for name, of_type in columns.items())
            cursor.execute(f"create table {table} ({declared}) charset=cp1251")
            for row in rows.get(table, []):
                values = {"created_at": "2026-01-05 10:00:00", "updated_at": "2026-01-05 10:00:00", **row}
                names, marks = ", ".join(values), ", ".join(["%s"] * len(values))
                cursor.execute(f"insert into {table} ({names}) values ({marks})", list(values.values()))


@pytest.fixture(scope="module")
def project(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Shops A and C, landed and built."""
    project = Project(tmp_path_factory.mktemp("third_shop"))
    project.declare_shop_c()
    staged, unions = project.stage_shop_c(), project.add_shop_c_to_the_unions()
    assert len(staged) == len(unions) == 4
    page = (ROOT / "docs" / "sources.md").read_text()
    assert [path.name for path in [*staged, *unions] if f"`{path.name}`" not in page] == []
    project.guard_shop_c()
    verdicts = project.folder / "verdicts.csv"
    with verdicts.open("w", newline="") as file:
        csv.writer(file).writerows(
            [("inn", "status", "full_name"), *((inn, "ACTIVE", "") for inn in (ROMASHKA, VASILEK, LANDYSH))]
        )
    with mariadb.database() as shop_a, mariadb.database() as shop_c:
        fill(
            mariadb,
            shop_a,
            clients=[
                {"id": 1, "name": 'ООО "Ромашка"', "inn": ROMASHKA},
                {"id": 2, "name": 'ООО "Василёк"', "inn": VASILEK},
            ],
        )
        fill(
            mariadb,
            shop_c,
            clients=[
                {"id": 1, "name": "Василёк, ООО", "inn": VASILEK},
                {"id": 2, "name": 'ООО "Ландыш"', "inn": LANDYSH},
                {"id": 3, "name": "Без номера", "inn": "123"},
            ],
            client_contacts=[
                {"id": 1, "client_id": 2, "full_name": "Иванова Мария Петровна", "phone": "8 (916) 123-45-67"},
            ],
            orders=[
                {"id": 1, "client_id": 2, "contact_id": 1, "number": "C-1", "status": "done", "total": "15320.50"},
            ],
        )
        project.settings |= {
            "SVOD_SHOP_A_URL": mariadb.url(shop_a),
            "SVOD_SHOP_C_URL": mariadb.url(shop_c),
            "SVOD_SHOP_C_TABLES": "clients:whole,client_contacts:whole,orders",
            "SVOD_REGISTRY_FILE": str(verdicts),
        }
        assert "shop_c.clients: 3 rows read, 3 landed" in project.run("-m", "ingest.cli", "mysql", "--full")
        project.run(project.folder / "dbt_project" / "passes.py")
        yield project


def test_its_companies_are_published_beside_and_joined_with_the_others(project: Project):
    assert project.query("select inn, sources from marts.crm_companies order by inn") == [
        (LANDYSH, "shop_c"),
        (ROMASHKA, "shop_a"),
        (VASILEK, "shop_a, shop_c"),
    ]


def test_its_contacts_and_orders_belong_to_its_companies(project: Project):
    assert project.query(
        """select inn, last_name, phones, contacts.sources from marts.crm_company_contacts
           join marts.crm_companies using (company_id) join marts.crm_contacts as contacts using (contact_id)"""
    ) == [(LANDYSH, "Иванова", ["+79161234567"], "shop_c")]
    assert project.query(
        """select deal_id, inn, amount::varchar, last_name from marts.crm_deals
           join marts.crm_companies using (company_id) join marts.crm_contacts using (contact_id)"""
    ) == [("shop_c:1", LANDYSH, "15320.50", "Иванова")]


def test_each_of_its_records_is_accounted_for(project: Project):
    assert project.query("select source_id from marts.xref_companies where source = 'shop_c' order by 1") == [
        ("1",),
        ("2",),
    ]
    assert project.query("select source_id, reason from marts.rejected_companies where source = 'shop_c'") == [
        ("3", "invalid_inn")
    ]
    assert project.query("select source_id from marts.xref_contacts where source = 'shop_c'") == [("1",)]
