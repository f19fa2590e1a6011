"""`transfer/dates.sql` run as a person runs it, on a real MariaDB with the tables of a box."""

import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import duckdb
import pytest

from ingest.warehouse.connection import open_warehouse
from publish.transfer import dates
from publish.transfer.ledger import TransferLedger
from tests.publish.transfer.office import CLOUD
from tests.servers import MariaDB, binary

MOSCOW = timezone(timedelta(hours=3))
KINDS = ("company", "contact", "lead", "deal")
# As the CRM module has them, of the columns those that matter: a table of cards, one of their custom fields.
BOX = "".join(
    f"""create table b_crm_{kind} (
            ID int unsigned not null auto_increment primary key, TITLE varchar(255), DATE_CREATE datetime,
            DATE_MODIFY datetime, CREATED_BY_ID int unsigned not null, MODIFY_BY_ID int unsigned
            {", MOVED_BY_ID int unsigned, MOVED_TIME datetime" if kind in ("lead", "deal") else ""});
        create table b_uts_crm_{kind} (VALUE_ID int not null primary key, UF_CRM_SVOD_SOURCE text);
        """
    for kind in KINDS
)
MADE, RESTORED, OF_ANOTHER, SINCE_DELETED = 5, 6, 7, 8


@pytest.fixture
def ledger(tmp_path: Path) -> TransferLedger:
    """What the last comparison found: of each kind a card that the move made, one that was restored, and one of each
    that is another card by now."""
    connection = open_warehouse(tmp_path / "svod.duckdb")
    connection.execute(
        """create schema marts;
           create table marts.transfer_dates (
               entity varchar, source_id varchar, target_id bigint, is_made_by_us boolean, cloud_created_at timestamp,
               created_at timestamp, updated_at timestamp, moved_at timestamp, created_by bigint, updated_by bigint,
               moved_by bigint)"""
    )
    for kind in KINDS:
        moved = ("2024-05-01 07:00:00", 3) if kind in ("lead", "deal") else (None, None)
        made = ("2024-01-10 07:00:00", "2024-06-01 07:00:00", moved[0], 2, 3, moved[1])
        restored = (None, "2024-06-02 07:00:00", None, None, 4, None)
        for target, is_made, history in (
            (MADE, True, made), (RESTORED, False, restored), (OF_ANOTHER, True, made), (SINCE_DELETED, False, restored),
        ):  # fmt: skip
            add(connection, kind, target, is_made, history)
    return TransferLedger(connection, "box.test", CLOUD)


def add(connection: duckdb.DuckDBPyConnection, kind: str, target: int, is_made: bool, history: tuple) -> None:
    sql = "insert into marts.transfer_dates values (?, ?, ?, ?, '2023-03-26 00:30:00', ?, ?, ?, ?, ?, ?)"
    connection.execute(sql, [kind, str(100 + target), target, is_made, *history])


def run(server: MariaDB, database: str, file: Path) -> list[list[str]]:
    """What the command of the file's own head says, line by line, in the portal's zone."""
    login = [f"--host={server.host}", f"--port={server.port}", f"--user={server.user}", f"--password={server.password}"]
    client = binary("mariadb") or binary("mysql")
    assert client, "the client comes with the server"
    command = [client, "--no-defaults", *login, "--default-character-set=utf8mb4", "--batch", database]
    ran = subprocess.run(
        [*command, "--init-command=set time_zone = '+03:00'"],
        stdin=file.open(), capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return [line.split("\t") for line in ran.stdout.splitlines()]


def test_the_file_of_dates_gives_cards_their_history_and_a_second_run_changes_nothing(
    ledger, mariadb, database, tmp_path
):
    file = tmp_path / "dates.sql"
    assert dates.write(ledger, file, MOSCOW) == 16
    in_box = mariadb.connect(database, client_flag=1 << 16)  # several statements at once
    with in_box, in_box.cursor() as cursor:
        cursor.execute(BOX)
        while cursor.nextset():
            pass
        for kind in KINDS:
            insert = f"insert into b_crm_{kind} (ID, TITLE, DATE_CREATE, DATE_MODIFY, CREATED_BY_ID) values "
            told = "'2026-12-01 10:00:00', '2026-12-01 10:00:00', 1"
            cursor.execute(f"{insert} ({MADE}, 'ООО', {told}), ({OF_ANOTHER}, 'Другая', {told})")
            # 00:30 UTC: in the portal's zone 03:30
            cursor.execute(f"{insert} ({RESTORED}, 'Из копии', '2023-03-26 03:30:00', '2026-12-01 10:00:00', 1)")
            cursor.execute(f"{insert} ({SINCE_DELETED}, 'Другая', {told})")
            marks = f"({MADE}, '{CLOUD}:{100 + MADE}'), ({OF_ANOTHER}, 'other.test:{100 + OF_ANOTHER}')"
            cursor.execute(f"insert into b_uts_crm_{kind} values {marks}")
        told = run(mariadb, database, file)
        assert ["8", "16"] in told, told  # two of each kind; the others are other cards
        for kind in KINDS:
            cursor.execute(
                f"select DATE_CREATE, DATE_MODIFY, CREATED_BY_ID, MODIFY_BY_ID from b_crm_{kind} order by ID"
            )
            made, restored, *others = cursor.fetchall()
            assert made == (datetime(2024, 1, 10, 10), datetime(2024, 6, 1, 10), 2, 3)
            assert restored == (datetime(2023, 3, 26, 3, 30), datetime(2024, 6, 2, 10), 1, 4)
            assert others == [(datetime(2026, 12, 1, 10), datetime(2026, 12, 1, 10), 1, None)] * 2
        cursor.execute("select MOVED_TIME, MOVED_BY_ID from b_crm_lead union all select MOVED_TIME, MOVED_BY_ID"
                       " from b_crm_deal order by 1 desc limit 3")  # fmt: skip
        assert cursor.fetchall() == ((datetime(2024, 5, 1, 10), 3), (datetime(2024, 5, 1, 10), 3), (None, None))
        assert ["0", "16"] in run(mariadb, database, file)
