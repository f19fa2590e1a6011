"""Names of settings: the list is complete, a slip of the pen is named with the nearest right one; a day."""

import re
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest

from ingest import settings, sources
from ingest.settings import declare
from ingest.sources import JSONSource, KafkaSource, MySQLSource, PortalSource, RelationalSource, Source
from ingest.warehouse import variables
from ingest.warehouse.environment import EnvironmentSettings, read_environment
from ingest.warehouse.errors import SettingsError
from publish.settings import Settings as PublishSettings
from publish.settings import read_settings as read_publish_settings

ROOT = Path(__file__).parents[2]
CLASSES = {
    settings.General: "SVOD_",
    settings.RegistrySettings: "SVOD_REGISTRY_",
    settings.TransferSettings: "SVOD_TRANSFER_",
    sources.KafkaLogin: "SVOD_KAFKA_",
    PublishSettings: "SVOD_",
}


@pytest.fixture(autouse=True)
def _an_empty_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def names_in(*paths: Path) -> set[str]:
    return {name for path in paths for name in re.findall(r"SVOD_[A-Z0-9_]+", path.read_text(encoding="utf-8"))}


def all_subclasses(kind: type) -> set[type]:
    return {kind} | {below for child in kind.__subclasses__() for below in all_subclasses(child)}


def test_make_reads_no_setting_of_its_own():
    """What it and the programs would read differently, quotes and spaces of `.env`, is read by the programs alone."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert set(re.findall(r"\$\((SVOD_\w+)\)", makefile)) == {"SVOD_ENV_FILE"} and "sed" not in makefile.split()


def test_the_list_of_names_is_complete_and_has_no_other():
    of_sources = {Source, RelationalSource, MySQLSource, JSONSource, KafkaSource}
    portals = {f"SVOD_{name}_{field.upper()}" for name in ("CLOUD", "BOX") for field in PortalSource.model_fields}
    ours = {
        kind for kind in all_subclasses(EnvironmentSettings) if kind.__module__.split(".")[0] in ("ingest", "publish")
    }
    assert ours == {EnvironmentSettings, *CLASSES, *of_sources, PortalSource}, "name a new class of settings here"
    of_classes = {f"{prefix}{field.upper()}" for kind, prefix in CLASSES.items() for field in kind.model_fields}
    project = ROOT / "dbt_project"
    models = [
        path for kind in ("*.sql", "*.yml") for path in project.rglob(kind) if (project / "target") not in path.parents
    ]
    read_by_dbt = {name for path in models for name in re.findall(r"env_var\('(SVOD_\w+)'", path.read_text("utf-8"))}
    assert of_classes | portals | read_by_dbt - variables.OF_THE_CALLER == variables.SETTINGS
    assert {field.upper() for kind in of_sources for field in kind.model_fields} == {*variables.SOURCE_FIELDS}


def test_every_setting_is_in_the_example_and_the_example_has_no_other():
    of_sources = {
        f"SVOD_{declared.name.upper()}_{field.upper()}"
        for declared in settings.DECLARATIONS
        for field in declared.kind.model_fields
    }
    told_of = {line.lstrip("#").partition("=")[0] for line in (ROOT / ".env.example").read_text("utf-8").splitlines()
               if re.match(r"#?SVOD_[A-Z0-9_]+=", line)}  # fmt: skip
    assert told_of == variables.SETTINGS | of_sources


@pytest.mark.parametrize("read", [settings.read_settings, "publish"])
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("SVOD_FUSE_SHAR", "did you mean SVOD_FUSE_SHARE?"),
        ("SVOD_BITRIX_WEBHOOK", "did you mean SVOD_BITRIX24_WEBHOOK?"),
        ("SVOD_WEBHOOK", "did you mean SVOD_BITRIX24_WEBHOOK?"),
        ("SVOD_REGISTRY_TOKN", "did you mean SVOD_REGISTRY_TOKEN?"),
        ("SVOD_XYZZY", "see .env.example for every setting"),
    ],
)
@pytest.mark.parametrize("place", ["environment", "file"])
def test_an_unknown_name_is_refused_with_the_nearest_right_one(monkeypatch, tmp_path, read, name, hint, place):
    if place == "environment":
        monkeypatch.setenv(name, "s3cret")
    else:
        (tmp_path / ".env").write_text(f"PATH=/nowhere\n{name}=s3cret\n")
    with pytest.raises(SettingsError) as caught:
        (read_publish_settings if read == "publish" else read)()
    assert caught.value.exit_status == 2
    assert name in caught.value.problem and caught.value.hint == hint
    assert "s3cret" not in caught.value.problem + caught.value.hint


@pytest.mark.parametrize("program", ["ingest", "publish"])
@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ('SVOD_MACHINE="crm\nSVOD_FUSE_SHARE=0.01\nSVOD_SHOP_B_ARRAY="companies.item"\n', "line 1: what begins there"),
        ('PATH="/x\nSVOD_FUSE_SHARE=0.01\nLAST="\n', "line 1: what begins there"),
        ('# all is well\nSVOD_MACHINE="s3cret\n', "line 2: what begins there"),
        ("SVOD_MACHINE=s3\0cret\n", "line 1: what begins there"),
        ("# наш\nSVOD_FUSE_SHARE=0.2\n".encode("cp1251"), "no UTF-8 text"),
    ],
    ids=["a quote too many", "in a line of another program", "an open quote", "NUL", "cp1251"],
)
def test_a_file_of_settings_that_cannot_be_read_to_its_last_line_is_refused(tmp_path, program, written, problem):
    (tmp_path / ".env").write_bytes(written if isinstance(written, bytes) else written.encode())
    with pytest.raises(SettingsError, match=problem) as caught:
        (settings.read_settings if program == "ingest" else read_publish_settings)()
    assert caught.value.exit_status == 2
    assert "s3" not in caught.value.problem and caught.value.hint


@pytest.mark.parametrize("there", ["nothing", "a folder"])
def test_a_file_of_settings_that_is_named_has_to_be_there(monkeypatch, tmp_path, there):
    monkeypatch.setenv("SVOD_ENV_FILE", str(tmp_path / "mine"))
    if there == "a folder":
        (tmp_path / "mine").mkdir()
    with pytest.raises(SettingsError, match=r"there is no file .*mine"):
        settings.read_settings()
    monkeypatch.setenv("SVOD_ENV_FILE", ".env")  # as `make` does, whether or not there is one
    settings.read_settings()


def test_what_other_programs_keep_in_the_file_may_be_of_several_lines(tmp_path):
    (tmp_path / ".env").write_text('CERTIFICATE="-----\nAAA=\n-----"\nexport SVOD_FUSE_SHARE="0.5" # ours\nA=it\'s\n')
    assert read_publish_settings().fuse_share == 0.5


def test_settings_of_the_other_program_and_of_every_source_are_known(monkeypatch):
    monkeypatch.setattr(settings, "DECLARATIONS", (*settings.DECLARATIONS, declare("shop_c", MySQLSource)))
    for name in ("SVOD_RUN_ID", "SVOD_TEST_KAFKA", "SVOD_MART_CHANGE_LIMIT", "SVOD_SHOP_C_OVERLAP_MINUTES"):
        monkeypatch.setenv(name, "5")
    monkeypatch.setenv("SVOD_SHOP_A_TABLES", "clients")
    settings.read_settings()
    read_publish_settings()
    monkeypatch.setenv("SVOD_SHOP_A_FILES", "x.json")  # it is a MySQL source
    read_publish_settings()
    with pytest.raises(SettingsError, match="SVOD_SHOP_A_FILES"):
        settings.read_settings()


def test_an_empty_variable_counts_as_unset_for_publish_too(monkeypatch):
    for name in ("SVOD_FUSE_SHARE", "SVOD_BITRIX24_RATE", "SVOD_FIELD_OWNERS", "SVOD_BITRIX24_WEBHOOK"):
        monkeypatch.setenv(name, "")
    read = read_environment(PublishSettings)
    assert (read.fuse_share, read.bitrix24_rate, read.field_owners, read.bitrix24_webhook) == (0.2, 2, {}, None)


def read_by_dbt(since: str) -> bool:
    """Whether macro `period_start` takes it, rendered as dbt does."""
    text = (ROOT / "dbt_project" / "macros" / "times.sql").read_text(encoding="utf-8")

    def refuse(message: str) -> None:
        raise ValueError(message)

    told = {
        "env_var": lambda name, default: since,
        "modules": SimpleNamespace(re=re, datetime=SimpleNamespace(date=date, timedelta=timedelta)),
        "exceptions": SimpleNamespace(raise_compiler_error=refuse),
    }
    try:
        rendered = jinja2.Environment().from_string(text + "{{ period_start() }}").render(told)
    except ValueError:
        return False
    return (f"timestamp '{since}'" if since else "from ops.period") in rendered


@pytest.mark.parametrize(
    ("since", "is_read"),
    [
        ("2025-01-01", True),
        ("2024-02-29", True),
        ("", True),
        ("1735689600", False),
        ("2025-01-01T00:00:00", False),
        ("2025-01-01 00:00", False),
        ("2025-1-1", False),
        ("2025-02-30", False),
        ("2025-02-29", False),
        ("2025-13-01", False),
        ("0000-01-01", False),
        ("01.01.2025", False),
    ],
)
def test_the_first_day_of_the_period_is_read_alike_by_ingest_and_by_the_models(monkeypatch, since, is_read):
    monkeypatch.setenv("SVOD_SINCE", since)
    try:
        settings.read_settings()
        is_read_by_ingest = True
    except SettingsError as error:
        is_read_by_ingest = False
        assert "SVOD_SINCE" in error.problem and "2025-01-01" in error.hint
    assert (is_read_by_ingest, read_by_dbt(since)) == (is_read, is_read)


def test_a_charset_of_a_table_that_does_not_land_is_refused_with_the_nearest_table():
    source = MySQLSource("shop_a", _env_file=None, tables="clients:whole,orders", charsets="client.name=cp1251")
    with pytest.raises(SettingsError) as caught:
        source.check_charsets(source.tables)
    assert "SVOD_SHOP_A_CHARSETS: table client" in caught.value.problem
    assert caught.value.hint == "did you mean clients?"
