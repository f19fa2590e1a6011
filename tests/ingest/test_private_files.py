"""Files with personal data are their owner's alone, and secrets do not cross a network in clear text unnoticed."""

import grp
import os
import stat
from pathlib import Path

import pytest

from ingest.settings import read_settings
from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.errors import OperatorError, SettingsError
from ingest.warehouse.snapshot import make_snapshot, snapshot_path
from publish.settings import read_settings as read_publish_settings
from tests.failures_page import as_on_the_page
from tests.ingest.conftest import Ingest


@pytest.fixture(autouse=True)
def _usual_umask(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_warehouse_its_log_and_its_copy_are_their_owners_alone_and_readers_come_as_far_as_the_folder(tmp_path):
    file = tmp_path / "folder" / "svod.duckdb"
    connection = open_warehouse(file)
    connection.execute("create table raw.some as select 1")
    assert mode(file.with_name("svod.duckdb.wal")) == 0o600
    connection.close()
    assert make_snapshot(file)
    assert (mode(file), mode(snapshot_path(file)), mode(file.parent)) == (0o600, 0o600, 0o755)


def test_an_older_warehouse_is_closed_to_others_and_stays_open_to_its_group(tmp_path):
    file = tmp_path / "svod.duckdb"
    open_warehouse(file).close()
    file.chmod(0o664)
    open_warehouse(file).close()
    assert mode(file) == 0o660


def test_the_copy_for_readers_is_given_to_their_group_and_to_nobody_else(ingest: Ingest):
    group = grp.getgrgid(os.getgroups()[-1] if os.getgroups() else os.getgid()).gr_name
    open_warehouse(ingest.warehouse).close()
    ingest.set(readers_group=group)
    assert ingest.run("copy").returncode == 0
    copy = snapshot_path(ingest.warehouse)
    assert (mode(copy), copy.group(), mode(ingest.warehouse)) == (0o640, group, 0o600)


def test_a_group_that_there_is_not_is_named_and_no_copy_is_left(tmp_path):
    open_warehouse(tmp_path / "svod.duckdb").close()
    with pytest.raises(OperatorError, match="there is no group nobodys") as told:
        make_snapshot(tmp_path / "svod.duckdb", "nobodys")
    assert as_on_the_page("there is no group …", told.value.problem)
    assert [path.name for path in tmp_path.iterdir()] == ["svod.duckdb"]


@pytest.mark.parametrize(("rights", "warned"), [(0o644, 1), (0o640, 0), (0o600, 0)])
def test_a_file_of_settings_that_everybody_can_read_is_warned_of_once(monkeypatch, tmp_path, capsys, rights, warned):
    monkeypatch.setenv("SVOD_WARNED", "")
    (tmp_path / ".env").write_text("SVOD_FUSE_SHARE=1\n")
    (tmp_path / ".env").chmod(rights)
    read_settings()
    read_publish_settings()
    told = capsys.readouterr().err
    assert told.count("everybody on this machine can read .env") == warned
    words = "everybody on this machine can read …, which has passwords in it: chmod 600 …"
    assert as_on_the_page(words, told) == bool(warned)


@pytest.mark.parametrize(
    ("name", "read", "path"),
    [
        ("SVOD_BITRIX24_WEBHOOK", read_publish_settings, "/rest/1/s3cret/"),
        ("SVOD_REGISTRY_URL", read_settings, "/s3cret"),
    ],
)
def test_an_address_in_clear_text_is_refused_off_this_machine_unless_a_setting_allows_it(monkeypatch, name, read, path):
    for host in ("crm.example", "10.0.0.1", "127.0.0.1.crm.example"):
        monkeypatch.setenv(name, f"http://{host}{path}")
        with pytest.raises(SettingsError, match=f"{name} begins with http://") as caught:
            read()
        words = "… begins with http://: its key and all data would go to … in clear text"
        assert as_on_the_page(words, caught.value.problem)
        assert "SVOD_ALLOW_HTTP" in caught.value.hint and "s3cret" not in caught.value.problem
    for url in ("https://crm.example", "http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost"):
        monkeypatch.setenv(name, url + path)
        read()
    monkeypatch.setenv(name, f"http://crm.example{path}")
    monkeypatch.setenv("SVOD_ALLOW_HTTP", "true")
    read()


@pytest.mark.parametrize(("protocol", "warned"), [("SASL_PLAINTEXT", True), ("PLAINTEXT", False)])
def test_a_password_for_kafka_in_clear_text_is_warned_of(ingest: Ingest, protocol, warned):
    login = {"kafka_user": "svod", "kafka_password": "s3cret"} if warned else {}
    ingest.set(shop_b_kafka="127.0.0.1:1", kafka_security_protocol=protocol, **login)
    told = ingest.run("kafka").stderr
    assert ("sends password and data in clear text" in told) == warned
    assert "s3cret" not in told
