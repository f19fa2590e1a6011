"""The models of a move over two portals: a cloud that goes on working, and a box restored from it."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from publish.sandbox import Limits, Portal
from tests.installation import COMPILED, DBT_TARGET, ROOT
from tests.watched import WatchedSandbox

FIRST_DAY = 1_790_000_000.0
OF_A_MOVE = """
select table_name from duckdb_tables() where schema_name <> 'transfer'
    and (contains(table_name, 'transfer') or contains(table_name, 'portals__')
        or starts_with(table_name, 'cloud') or starts_with(table_name, 'box'))
"""


class Clock:
    """A clock that tests turn."""

    now = FIRST_DAY

    def time(self) -> float:
        return self.now


class Move:
    """Two sandboxes, a warehouse, and the commands that land and build."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.warehouse, self.clock = folder, folder / "svod.duckdb", Clock()
        settings = {"limits": Limits.none(), "clock": self.clock}
        self.cloud = WatchedSandbox(folder / "cloud.sqlite", is_left=True, **settings)
        self.box = WatchedSandbox(**settings)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SVOD_", "DBT_"))}
        self.environment = kept | {
            "SVOD_WAREHOUSE": str(self.warehouse),
            "SVOD_ENV_FILE": os.devnull,
            "SVOD_CLOUD_WEBHOOK": self.cloud.webhook,
            "SVOD_CLOUD_RATE": "0",
            "SVOD_BOX_WEBHOOK": self.box.webhook,
            "DBT_TARGET_PATH": str(ROOT / COMPILED),
            "DBT_LOG_PATH": str(folder),
        }

    def stop(self) -> None:
        self.cloud.stop()
        self.box.stop()

    def restore(self) -> None:
        """The box becomes what the cloud is now, ids and times included."""
        with sqlite3.connect(self.folder / "cloud.sqlite") as held, sqlite3.connect(self.folder / "box.sqlite") as copy:
            held.backup(copy)
        self.box.start_over(self.folder / "box.sqlite", limits=Limits.none(), clock=self.clock)

    def ask(self, sandbox: WatchedSandbox, method: str, **params):
        """What people do in a portal, a minute after what was done last."""
        self.clock.now += 60
        return sandbox.ask(method, params)

    def land(self, *arguments: str) -> None:
        self._run(Path(sys.executable).with_name("ingest"), "bitrix24", *arguments)

    def build(self, **settings: str) -> None:
        """Build the move as its stages do. AssertionError: a model broke, or a gate stopped."""
        self._run(sys.executable, "dbt_project/passes.py", "transfer", **settings)

    def build_with_dbt(self, *what: str, **settings: str) -> str:
        """Build the move with dbt, or what is named; what it says. AssertionError as above.

        With settings that no other test has this is quicker: they are compiled for it alone."""
        at = ("--project-dir", "dbt_project", "--profiles-dir", "dbt_project", "--target-path", ROOT / DBT_TARGET)
        dbt = Path(sys.executable).with_name("dbt")
        return self._run(dbt, "--quiet", "build", *(what or ("--selector", "transfer")), *at, **settings)

    def push(self) -> None:
        self._run(Path(sys.executable).with_name("publish"), "transfer", "push", "--automation-is-off")

    def dates(self) -> None:
        self._run(Path(sys.executable).with_name("publish"), "transfer", "dates")

    def _run(self, *command: str | Path, **settings: str) -> str:
        ran = subprocess.run(
            command, cwd=ROOT, env=self.environment | settings, capture_output=True, text=True, timeout=300, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def rows(self, query: str) -> list[tuple]:
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def records(self) -> dict[tuple[str, str], tuple]:
        """What is to be done: (entity, source id) -> (action, outcome, target id, fields)."""
        found = self.rows(
            "select entity, source_id, action, outcome, target_id, fields from marts.transfer_records"
            " where action <> 'none' or outcome <> 'unchanged'"
        )
        return {
            (entity, key): (action, outcome, target, json.loads(fields) if fields else None)
            for entity, key, action, outcome, target, fields in found
        }

    def counts(self, table: str, column: str) -> dict[str, int]:
        return dict(self.rows(f"select {column}, count(*) from marts.{table} group by all"))


@pytest.fixture
def move(tmp_path: Path) -> Iterator[Move]:
    move = Move(tmp_path)
    yield move
    move.stop()


def filled(move: Move) -> Portal:
    """The cloud with some of everything."""
    portal = move.cloud.portal
    portal.fill(company=6, contact=7, lead=5, deal=12, activity=3, comment=4, product_row=5, requisite_link=4,
                now=FIRST_DAY)  # fmt: skip
    portal.set_user(7, NAME="Анна", LAST_NAME="Примерова", EMAIL="anna@example.com")
    return portal


def test_after_a_restore_only_what_changed_in_the_cloud_goes_and_what_changed_in_the_box_stays(move):
    filled(move)
    move.restore()
    move.land("--portal", "box", "--label", "baseline")
    in_cloud: Callable = lambda method, **params: move.ask(move.cloud, method, **params)  # noqa: E731
    in_box: Callable = lambda method, **params: move.ask(move.box, method, **params)  # noqa: E731
    in_cloud("crm.item.update", entityTypeId=2, id=5, fields={"title": "Иначе", "assignedById": 7})
    in_cloud("crm.item.update", entityTypeId=1, id=2, fields={"title": "И тут"})
    in_box("crm.item.update", entityTypeId=1, id=2, fields={"title": "И там"})
    in_box("crm.item.update", entityTypeId=4, id=3, fields={"title": "Только в коробке"})
    company = in_cloud("crm.item.add", entityTypeId=4, fields={"title": "Новая"})["item"]["id"]
    contact = in_cloud("crm.item.add", entityTypeId=3, fields={
        "name": "Пётр", "companyIds": [company], "fm": [{"typeId": "PHONE", "valueType": "WORK", "value": "+7495"}],
    })["item"]["id"]  # fmt: skip
    in_box("crm.item.add", entityTypeId=4, fields={"title": "Другая с тем же номером"})
    in_cloud("crm.item.delete", entityTypeId=2, id=12)
    in_cloud("crm.timeline.comment.add", fields={"ENTITY_TYPE": "lead", "ENTITY_ID": 3, "COMMENT": "Перезвонить"})
    in_cloud("crm.item.productrow.set", ownerType="D", ownerId=9, productRows=[{"productName": "Кабель", "price": 5}])
    move.land()
    move.build()
    assert move.counts("transfer_outcomes", "entity || ' ' || outcome") == {
        "activity unchanged": 3, "address unchanged": 6, "bank_detail unchanged": 6, "comments created": 1,
        "comments unchanged": 4, "company box_kept": 1, "company created": 1, "company unchanged": 5,
        "contact created": 1, "contact unchanged": 7, "deal deleted_in_cloud": 1, "deal unchanged": 9,
        "deal updated": 2, "lead conflict": 1, "lead unchanged": 4, "product_rows created": 1,
        "product_rows unchanged": 5, "requisite unchanged": 6, "requisite_link unchanged": 4,
    }  # fmt: skip
    records = move.records()
    assert records["deal", "5"] == ("update", "updated", 5, {"title": "Иначе", "assignedById": 7})
    assert records["lead", "2"] == ("none", "conflict", 2, None)
    assert records["company", "3"][:3] == ("none", "box_kept", 3)
    made = records["company", str(company)]
    assert made[:3] == ("create", "created", None) and made[3]["title"] == "Новая"
    assert made[3]["UF_CRM_SVOD_SOURCE"].endswith(f":{company}")
    made = records["contact", str(contact)][3]
    assert made["companyIds"] == [{"ref": ["company", str(company)]}]
    assert made["fm"] == [{"typeId": "PHONE", "valueType": "WORK", "value": "+7495"}]
    (row,) = records["product_rows", "D:9"][3]["productRows"]
    assert (row["productName"], row["price"], "id" in row) == ("Кабель", 5, False)
    assert records["deal", "12"] == ("none", "deleted_in_cloud", 12, None)
    (comment,) = records["comments", "lead:3"][3]["parts"]
    assert (comment["AUTHOR"], comment["COMMENT"]) == ("Песочница", "Перезвонить")
    different = move.counts("transfer_differences", "difference")
    assert different["extra"] >= 1 and different["missing"] == 4


def test_when_all_has_been_pushed_the_portals_are_equal_and_nothing_is_left_to_do(move):
    filled(move)
    move.restore()
    move.land("--portal", "box", "--label", "baseline")
    company = move.ask(move.cloud, "crm.item.add", entityTypeId=4, fields={"title": "Новая"})["item"]["id"]
    changes = {"title": "Иначе", "companyId": company}
    move.ask(move.cloud, "crm.item.update", entityTypeId=2, id=5, fields=changes)
    phone = {"n0": {"typeId": "PHONE", "valueType": "WORK", "value": "+74951234567"}}
    move.ask(move.cloud, "crm.item.update", entityTypeId=4, id=2, fields={"fm": phone})
    comment = {"ENTITY_TYPE": "lead", "ENTITY_ID": 3, "COMMENT": "Перезвонить"}
    move.ask(move.cloud, "crm.timeline.comment.add", fields=comment)
    move.land()
    move.build()
    assert set(move.counts("transfer_differences", "difference")) == {"equal", "different", "missing"}
    move.push()
    move.land()
    move.build()
    assert move.counts("transfer_records", "action || ' ' || outcome").keys() == {"none unchanged"}
    assert move.counts("transfer_differences", "difference").keys() == {"equal"}


def test_without_a_restore_everything_moves_in_the_order_of_creation_with_what_it_points_to(move):
    filled(move)
    move.land()
    move.build(SVOD_TRANSFER_FALLBACK_USER="1")
    actions = move.counts("transfer_records", "action || ' ' || outcome")
    assert set(actions) == {"create created"}
    order = [row for (row,) in move.rows(
        "select source_id from marts.transfer_records where entity = 'deal' order by position"
    )]  # fmt: skip
    assert order == [str(number) for number in range(1, 13)]
    deal = move.records()["deal", "1"][3]
    assert deal["companyId"] == {"ref": ["company", "6"]} or deal["companyId"]["ref"][0] == "company"
    assert deal["closedate"] and deal["stageId"] == "NEW" and deal["assignedById"] == 1


def test_a_restore_that_gave_out_other_ids_stops_the_move(move):
    filled(move)
    move.restore()
    with sqlite3.connect(move.folder / "box.sqlite") as box:
        box.execute("update lead set ID = ID + 100")
    move.land("--portal", "box", "--label", "baseline")
    move.land("--portal", "cloud")
    with pytest.raises(AssertionError, match="transfer_identities_are_proven"):
        move.build()


def test_the_unit_tests_of_the_move_pass_and_a_portal_that_was_never_read_moves_nothing(move):
    assert "done" in move.build_with_dbt("--select", "svod.transfer")
    assert move.counts("transfer_outcomes", "outcome") == {}


def test_who_does_not_move_gets_no_table_of_it(move):
    move._run(sys.executable, "dbt_project/passes.py")
    assert move.rows("select count(*) > 20 from duckdb_tables() where schema_name = 'intermediate'") == [(True,)]
    assert move.rows(OF_A_MOVE) == []
