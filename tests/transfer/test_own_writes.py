"""What a move wrote itself is told from what people did in the box: after a pass, and after the warehouse was put back
from an older copy."""

import shutil
import sqlite3
import time

import duckdb

from ingest.warehouse.journal import utc_now
from publish.cycle import Cycle
from publish.sandbox import Limits
from publish.settings import Settings
from publish.transfer.steps import Programs
from tests.transfer.test_models import Move, filled, move

__all__ = ["move"]

MANAGER = 7  # of the box
NEEDED = ("--select", "+transfer_outcomes", "+transfer_bindings", "--exclude-resource-type", "test", "unit_test")


def judged(move: Move) -> dict[str, str]:
    rows = move.rows("select entity || ' ' || source_id, outcome from marts.transfer_outcomes")
    return {key: outcome for key, outcome in rows if outcome not in ("unchanged", "unsupported")}


def work_in_box(move: Move, kind: int, number: int, title: str) -> None:
    move.box.ask("crm.item.update", {"entityTypeId": kind, "id": number, "fields": {"title": title}}, user=MANAGER)


def programs(move: Move) -> Programs:
    """What a stage asks the box."""
    webhooks = {"cloud_webhook": move.cloud.webhook, "box_webhook": move.box.webhook}
    settings = Settings(_env_file=None, warehouse=move.warehouse, **webhooks)
    return Programs(settings, Cycle(0, {}, {}))


def passes(move: Move) -> None:
    move.land()
    move.build()
    move.push()


def as_killed_before_the_second_pass(move: Move, company: int) -> None:
    """A company without its lead, a letter that is not completed, and nothing written down of either."""
    with sqlite3.connect(move.folder / "box.sqlite") as box:
        box.execute("update company set LEAD_ID = null where ID = ?", [company])
        box.execute("update activity set COMPLETED = 'N' where ID = (select max(ID) from activity)")
    with duckdb.connect(str(move.warehouse)) as connection:
        connection.execute("delete from transfer.ledger where entity = 'second_pass'")
        connection.execute("delete from transfer.delivered where field in ('leadId', 'COMPLETED')")


def test_what_people_of_the_box_change_after_a_pass_stays_until_the_cloud_changes_it_too(move):
    filled(move)
    move.restore()
    move.land("--portal", "box", "--label", "baseline")
    made = move.ask(move.cloud, "crm.item.add", entityTypeId=4, fields={"title": "Новая"})["item"]["id"]
    before = move.cloud.portal.items("deal")[5]["title"]
    for number in (5, 6):
        move.ask(move.cloud, "crm.item.update", entityTypeId=2, id=number, fields={"title": "Б"})
    of_lead = move.ask(move.cloud, "crm.item.add", entityTypeId=4, fields={"title": "По заявке", "leadId": 3})
    partner = {"VALUE": "a@example.com", "ENTITY_TYPE_ID": 4, "ENTITY_ID": 1}
    letter = {"OWNER_TYPE_ID": 4, "OWNER_ID": 1, "TYPE_ID": 4, "RESPONSIBLE_ID": 1, "SUBJECT": "Письмо",
              "DIRECTION": 2, "COMMUNICATIONS": [partner], "COMPLETED": "N"}  # fmt: skip
    letter_id = move.ask(move.cloud, "crm.activity.add", fields=letter)
    move.ask(move.cloud, "crm.activity.update", id=letter_id, fields=letter | {"COMPLETED": "Y"})
    passes(move)
    companies = [card["id"] for card in move.box.portal.items("company")]
    target, of_lead_there = companies[-2:]
    work_in_box(move, 2, 5, "В")
    work_in_box(move, 2, 6, before)  # what it said when it was restored
    work_in_box(move, 4, target, "Новая, уточнено")
    as_killed_before_the_second_pass(move, of_lead_there)
    move.land()
    move.build_with_dbt(*NEEDED, SVOD_TRANSFER_WINNER="cloud")  # who wins a conflict: here is none
    of_lead = of_lead["item"]["id"]
    assert judged(move) == {
        "deal 5": "box_kept", "deal 6": "box_kept", f"company {made}": "box_kept", f"company {of_lead}": "updated",
        f"activity {letter_id}": "updated",
    }  # fmt: skip
    told = "select fields, second_pass ->> '$.leadId' from marts.transfer_records where action = 'update' and entity = "
    assert move.rows(f"{told} 'company'") == [(None, "3")]
    move.ask(move.cloud, "crm.item.update", entityTypeId=2, id=5, fields={"title": "Г"})
    move.ask(move.cloud, "crm.item.update", entityTypeId=4, id=made, fields={"title": "Новая в облаке"})
    move.land()
    move.build()
    last = judged(move)
    assert (last["deal 5"], last[f"company {made}"]) == ("conflict", "conflict")


class Running:
    """A clock that goes on by itself, an hour behind that of this machine."""

    def time(self) -> float:
        return time.time() - 3600


def test_what_a_push_wrote_that_the_warehouse_was_put_back_before_is_no_work_of_people(move):
    move.clock = Running()
    move.cloud.start_over(move.folder / "cloud.sqlite", limits=Limits.none(), clock=move.clock)
    filled(move)
    move.restore()
    programs(move).put_mark()
    move.land("--portal", "box", "--label", "baseline")
    in_cloud = move.cloud.ask
    made = in_cloud("crm.item.add", {"entityTypeId": 4, "fields": {"title": "Ещё"}})["item"]["id"]
    passes(move)
    shutil.copy(move.warehouse, move.folder / "copy.duckdb")
    time.sleep(1)
    later = in_cloud("crm.item.add", {"entityTypeId": 4, "fields": {"title": "Новая"}})["item"]["id"]
    for number in (5, 6, 7):
        in_cloud("crm.item.update", {"entityTypeId": 2, "id": number, "fields": {"title": f"Б {number}"}})
    passes(move)
    time.sleep(3)
    work_in_box(move, 2, 6, "Из коробки")
    shutil.copy(move.folder / "copy.duckdb", move.warehouse)
    for number in (5, 6):
        in_cloud("crm.item.update", {"entityTypeId": 2, "id": number, "fields": {"title": f"В {number}"}})
    in_cloud("crm.item.update", {"entityTypeId": 4, "id": made, "fields": {"title": "Ещё раз"}})
    with duckdb.connect(str(move.warehouse)) as connection:  # something has run since it was put back
        connection.execute(
            """insert into ops.steps by name select 'later' as run_id, 'ingest mysql' as step, 'done' as status,
               $1::timestamp as started_at, $1::timestamp as finished_at""",
            [utc_now()],
        )
    assert "knows nothing" in programs(move).notice_unseen()
    assert programs(move).notice_unseen() == ""
    move.land()
    move.build()
    # deal 7 is equal again, the later company is found by its mark
    assert judged(move) == {
        "deal 5": "updated", "deal 6": "conflict", f"company {made}": "updated", f"company {later}": "created",
    }  # fmt: skip
    records = move.records()
    assert records["deal", "5"][3] == {"title": "В 5"}
    assert records["company", str(made)][3] == {"title": "Ещё раз"}
