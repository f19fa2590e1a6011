"""The product without a checkout: what `pip install` puts into an empty virtual environment does the whole job."""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import duckdb
import pytest

from publish.sandbox import Limits, RunningSandbox
from tests.installation import ROOT
from tests.sample_data.registry_double import RunningRegistry


def run(*command: str | Path, cwd: Path, **settings: str) -> str:
    """What a command that has to end well prints, with no settings but these."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SVOD_", "DBT_", "PYTHON"))}
    ended = subprocess.run(
        command, cwd=cwd, env=inherited | settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel. The packages that it needs are those of this environment, in which the
    checkout is an editable install: a `.pth` of another environment is not read, so nothing of the checkout is there.
    """
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT, cwd=folder)
    (wheel,) = folder.glob("svod-*.whl")
    environment = folder / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=folder)
    installer = (sys.executable, "-m", "pip", "--python", environment / "bin" / "python")
    run(*installer, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    (packages,) = environment.glob("lib/python3*/site-packages")
    (packages / "packages_of_the_tests.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment


def files_in(environment: Path) -> set[Path]:
    return {path for path in environment.rglob("*") if "__pycache__" not in path.parts}


def test_a_wheel_in_an_empty_environment_brings_files_to_the_portal(environment: Path, sample: Path, tmp_path: Path):
    before = files_in(environment)
    with RunningSandbox(":memory:", limits=Limits.none()) as portal, RunningRegistry(sample, rate=2000) as registry:
        settings = {
            "SVOD_SHOP_B_FILES": str(sample / "shop_b" / "history-*.json*"),
            "SVOD_REGISTRY_URL": registry.url,
            "SVOD_REGISTRY_TOKEN": registry.token,
            "SVOD_REGISTRY_RATE": "2000",
            "SVOD_BITRIX24_WEBHOOK": portal.webhook,
            "SVOD_BITRIX24_RATE": "0",
            "SVOD_SINCE": "2025-01-01",
        }
        run(environment / "bin" / "svod", "run", "--full", cwd=tmp_path, **settings)
        with duckdb.connect(str(tmp_path / "warehouse" / "svod.duckdb"), read_only=True) as connection:
            (companies,) = connection.execute("select count(*) from marts.crm_companies").fetchone() or (0,)
            page = (ROOT / "docs" / "warehouse.md").read_text("utf-8")
            (selects,) = re.findall(r"```sql\n(.+?)```", page, re.DOTALL)
            for select in selects.split(";"):
                connection.execute(select)  # as an analyst is told to ask
        assert companies > 100
        assert len(portal.portal.items("company")) == companies
        assert "nothing to send" in run(environment / "bin" / "svod", "plan", cwd=tmp_path, **settings)
        run(environment / "bin" / "svod", "report", "--out", tmp_path / "report.html", cwd=tmp_path, **settings)
        assert f"{companies:,}".replace(",", "\xa0") in (tmp_path / "report.html").read_text()
        assert run(environment / "bin" / "svod", "status", cwd=tmp_path, **settings).startswith("OK")
    assert files_in(environment) == before, "a run leaves nothing among the installed packages"


def test_one_program_has_the_commands_of_both(environment: Path, tmp_path: Path):
    assert "svod " in run(environment / "bin" / "svod", "--version", cwd=tmp_path)
    assert "mysql" in run(environment / "bin" / "svod", "ingest", "--help", cwd=tmp_path)
