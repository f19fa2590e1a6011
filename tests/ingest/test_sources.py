"""Several sources of a kind: what a declaration says, what its variables say, and that each lands for itself."""

import duckdb
import pytest

from ingest import settings
from ingest.cli import main
from ingest.json_file import JSONFile
from ingest.settings import declare, read_settings
from ingest.sources import JSONSource, KafkaSource, MySQLSource
from ingest.warehouse import reads
from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.errors import SettingsError

pytestmark = pytest.mark.usefixtures("third_shop")
CLIENTS = "create table clients (id int primary key, updated_at datetime not null)"


@pytest.fixture
def third_shop(monkeypatch, tmp_path):
    """`shop_c` declared as one more MySQL, in a folder without any settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(settings, "DECLARATIONS", (*settings.DECLARATIONS, declare("shop_c", MySQLSource)))


@pytest.fixture
def ingest(monkeypatch, capsys, tmp_path):
    """The command in this process: exit status, output and errors."""

    def run(*arguments: str, **variables: str) -> tuple[int, str, str]:
        for name, value in {"SVOD_WAREHOUSE": str(tmp_path / "svod.duckdb"), **variables}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("sys.argv", ["ingest", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return (ended.value.code or 0, *capsys.readouterr())

    return run


def raw_rows(tmp_path, table: str) -> int:
    with duckdb.connect(str(tmp_path / "svod.duckdb"), read_only=True) as connection:
        return connection.execute(f"select count(*) from raw.{table}").fetchall()[0][0]


def test_a_declaration_is_what_holds_unless_a_variable_says_otherwise(monkeypatch):
    monkeypatch.setenv("SVOD_SHOP_A_TABLES", "orders")
    monkeypatch.setenv("SVOD_SHOP_C_TABLES", "clients:whole, orders")
    shop_a, shop_c = read_settings().sources_of(MySQLSource)
    assert (shop_a.name, shop_a.tables) == ("shop_a", {"orders": False})
    assert (shop_c.name, shop_c.tables) == ("shop_c", {"clients": True, "orders": False})
    assert shop_c.variable("url") == "SVOD_SHOP_C_URL"
    (files,), (topic,) = read_settings().sources_of(JSONSource), read_settings().sources_of(KafkaSource)
    assert (files.name, files.array, topic.name, topic.kafka_topic) == (
        "shop_b",
        "companies.item",
        "shop_b",
        "shop-b.companies",
    )


def test_a_wrong_variable_of_a_new_source_is_named(monkeypatch):
    monkeypatch.setenv("SVOD_SHOP_C_URL", "mysql://root:s3cret@host:s3cret/db")
    with pytest.raises(SettingsError) as caught:
        read_settings()
    assert caught.value.problem == "SVOD_SHOP_C_URL is not usable"
    assert "mysql://user:password@host" in caught.value.hint


def test_the_tables_of_two_servers_land_beside_each_other(ingest, mariadb, tmp_path):
    with mariadb.database() as first, mariadb.database() as second:
        for database, clients in ((first, 2), (second, 3)):
            with mariadb.connect(database) as connection, connection.cursor() as cursor:
                cursor.execute(CLIENTS)
                cursor.execute(f"insert into clients select seq, '2026-01-01' from seq_1_to_{clients}")
        tables = {"SVOD_SHOP_A_TABLES": "clients", "SVOD_SHOP_C_TABLES": "clients:whole"}
        urls = {"SVOD_SHOP_A_URL": mariadb.url(first), "SVOD_SHOP_C_URL": mariadb.url(second)}
        assert ingest("mysql", "--source", "shop_c", **tables, **urls)[0] == 0
        assert raw_rows(tmp_path, "shop_c__clients") == 3
        status, output, _ = ingest("mysql", SVOD_SINCE="2025-01-01")
        assert status == 0 and "shop_a.clients: 2 rows read, 2 landed" in output
        assert "shop_c.clients: 3 rows read, 0 landed" in output
        assert raw_rows(tmp_path, "shop_a__clients") == 2

        status, _, errors = ingest("mysql", "clients")
        assert status == 2 and "--source with one of: shop_a, shop_c" in errors
        assert ingest("mysql", "clients", "--source", "shop_a")[0] == 0


def test_a_source_that_fails_does_not_keep_the_others_from_landing(ingest, mariadb, database, tmp_path):
    with mariadb.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(CLIENTS)
        cursor.execute("insert into clients values (1, '2026-01-01')")
    urls = {"SVOD_SHOP_A_URL": "mysql://root:s3cret@127.0.0.1:1/db", "SVOD_SHOP_C_URL": mariadb.url(database)}
    status, _, errors = ingest("mysql", SVOD_SHOP_C_TABLES="clients", SVOD_SINCE="2025-01-01", **urls)
    assert status == 1 and "MySQL root@127.0.0.1:1/db" in errors
    assert raw_rows(tmp_path, "shop_c__clients") == 1


def source_reads(tmp_path) -> dict[str, tuple]:
    """Per source: whether it was ever read, whether it fails now, why."""
    with duckdb.connect(str(tmp_path / "svod.duckdb"), read_only=True) as connection:
        rows = connection.execute(
            "select source, read_at is not null, failing_since, problem from ops.source_reads"
        ).fetchall()
    return {source: (is_read, failing_since, problem) for source, is_read, failing_since, problem in rows}


def test_each_source_is_known_to_be_read_or_since_when_not(ingest, monkeypatch, tmp_path):
    monkeypatch.setattr(settings, "DECLARATIONS", (declare("shop_b", JSONSource), declare("shop_d", JSONSource)))
    (tmp_path / "b.json").write_text("[{}]")
    variables = {"SVOD_SHOP_B_FILES": "b.json", "SVOD_SHOP_D_FILES": "d.json"}
    assert ingest("json", **variables)[0] == 1
    first = source_reads(tmp_path)
    assert first["shop_b"] == (True, None, None)
    assert first["shop_d"][0] is False and first["shop_d"][2] == "there is no file d.json"
    (tmp_path / "b.json").write_text("[{}")
    assert ingest("json", **variables)[0] == 1
    second = source_reads(tmp_path)
    assert second["shop_b"][0] and second["shop_b"][1] and "b.json is cut off" in second["shop_b"][2]
    assert second["shop_d"] == first["shop_d"]  # still since the first time
    (tmp_path / "b.json").write_text("[{}, {}]")
    ingest("json", **variables)
    assert source_reads(tmp_path)["shop_b"] == (True, None, None)
    assert ingest("json", **(variables | {"SVOD_SHOP_D_FILES": ""}))[0] == 0
    assert source_reads(tmp_path).keys() == {"shop_b"}  # what is not read any more cannot fail


def test_one_table_or_file_asked_for_says_nothing_about_the_source(ingest, tmp_path):
    (tmp_path / "b.json").write_text('{"companies": [{}]}')
    assert ingest("json", "b.json")[0] == 0
    assert source_reads(tmp_path) == {}


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (PermissionError(13, "Permission denied", "a.json"), "a.json cannot be read: Permission denied"),
        (KeyError("s3cret"), "shop_b: unexpected KeyError"),
        (duckdb.ConversionException("odd"), "shop_b: unexpected ConversionException"),
    ],
)
def test_a_file_that_fails_in_an_unforeseen_way_does_not_keep_the_others_from_landing(
    ingest, monkeypatch, tmp_path, error, problem
):
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text('{"companies": [{}]}')
    batches = JSONFile.batches

    def breaks(file, landed):
        if file.name == "a.json":
            raise error
        return batches(file, landed)

    monkeypatch.setattr(JSONFile, "batches", breaks)
    status, output, errors = ingest("json", SVOD_SHOP_B_FILES="*.json")
    assert status == 1 and f"error: {problem}" in errors and "s3cret" not in errors
    assert "b.json: 1 objects landed" in output
    assert source_reads(tmp_path)["shop_b"][2] == problem


def test_a_read_that_was_killed_counts_as_one_that_failed(tmp_path):
    with open_warehouse(tmp_path / "svod.duckdb") as connection:
        reads.attempt(connection, "shop_a", "MySQL")
        (killed,) = reads.failing(connection)
        reads.attempt(connection, "shop_a", "MySQL")
        (again,) = reads.failing(connection)
        assert again.failing_since == killed.failing_since
        reads.settle(connection, "shop_a", "MySQL", None)
        assert reads.failing(connection) == []


def test_a_source_without_tables_and_an_unknown_one_are_wrong_settings(ingest, mariadb, database):
    status, _, errors = ingest("mysql", "--source", "shop_c", SVOD_SHOP_C_URL=mariadb.url(database))
    assert status == 2 and "SVOD_SHOP_C_TABLES is not set" in errors
    status, _, errors = ingest("mysql", "--source", "shop_d")
    assert status == 2 and "there are: shop_a, shop_c" in errors


def test_files_of_one_name_in_two_sources_are_told_apart(ingest, monkeypatch, tmp_path):
    monkeypatch.setattr(settings, "DECLARATIONS", (*settings.DECLARATIONS, declare("shop_d", JSONSource)))
    for folder, document in (("b", '{"companies": [{"uid": 1}]}'), ("d", "[{}, {}]")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "history.json").write_text(document)
    for landed in (1, 0):
        status, output, _ = ingest("json", SVOD_SHOP_B_FILES="b/*.json", SVOD_SHOP_D_FILES="d/*.json")
        assert status == 0 and f"shop_b:history.json: {landed} objects landed" in output
    assert (raw_rows(tmp_path, "shop_b__companies"), raw_rows(tmp_path, "shop_d__companies")) == (1, 2)


def test_whoever_follows_may_have_all_tables_compared_as_often_as_he_says(monkeypatch):
    monkeypatch.setenv("SVOD_SHOP_C_RECONCILE_HOURS", "6")
    monkeypatch.setenv("SVOD_SHOP_C_URL", "mysql://user:secret@127.0.0.1:3306/shop")
    read = read_settings()

    def hours(following: settings.Settings) -> dict[str, int]:
        return {source.name: source.reconcile_hours for source in following.sources_of(MySQLSource)}

    assert hours(read.comparing_every(None)) == {"shop_a": 24, "shop_c": 6}
    assert hours(read.comparing_every(2)) == {"shop_a": 2, "shop_c": 2}
    (shop_c,) = [source for source in read.comparing_every(2).sources_of(MySQLSource) if source.name == "shop_c"]
    assert (shop_c.address.user, shop_c.variable("url")) == ("user", "SVOD_SHOP_C_URL")
