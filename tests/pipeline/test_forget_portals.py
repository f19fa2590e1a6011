"""A person asks to be forgotten who is in portals that were read for a move: nothing is left of them in the warehouse,
and the next reading brings nothing back."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

from ingest.warehouse.connection import open_warehouse
from tests.pipeline import words_left
from tests.transfer.test_models import ROOT, Move, filled, move

__all__ = ["move"]
PHONE, OTHER_PHONE, EMAIL, SURNAME = "9165554433", "9165554499", "bezenchukov@romashka-forget.ru", "Безенчуков"
SPELLINGS = (PHONE, "916 555", "555-44-33", OTHER_PHONE, EMAIL, SURNAME)


def forget(move: Move, *asked: str) -> str:
    """`publish forget`; what it said. AssertionError: it did not end well."""
    command = [str(Path(sys.executable).with_name("publish")), "forget", *asked]
    ran = subprocess.run(command, env=move.environment, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def places_with(move: Move, words: tuple[str, ...]) -> list[str]:
    """In the warehouse and its files; the portals keep theirs."""
    files = [*move.folder.glob("svod.duckdb*"), *move.folder.glob("transfer/*")]
    return words_left.places_with(words, files, move.warehouse)


def known(move: Move) -> dict[str, int]:
    """A person with all that portals keep of one; ids of what was made."""

    def ask(method: str, **params):
        return move.ask(move.cloud, method, **params)

    phones = [{"typeId": "PHONE", "valueType": "WORK", "value": number} for number in
              ("+7 916 555-44-33", "+7 916 555-44-99")]  # fmt: skip
    emails = [{"typeId": "EMAIL", "valueType": "WORK", "value": EMAIL.title()}]
    person = {"name": "Аристарх", "lastName": SURNAME, "fm": [*phones, *emails]}
    contact = ask("crm.item.add", entityTypeId=3, fields=person)["item"]["id"]
    lead = ask("crm.item.add", entityTypeId=1, fields={"title": f"Звонил {SURNAME}", "fm": phones[:1]})["item"]["id"]
    deal = ask("crm.item.add", entityTypeId=2, fields={"title": "Заказ", "contactId": contact})["item"]["id"]
    requisite = {"ENTITY_TYPE_ID": 3, "ENTITY_ID": contact, "PRESET_ID": 1, "NAME": "Паспорт", "RQ_LAST_NAME": SURNAME}
    requisite_id = ask("crm.requisite.add", fields=requisite)
    account = {"ENTITY_ID": requisite_id, "NAME": "Счёт", "RQ_ACC_NAME": SURNAME}
    ask("crm.requisite.bankdetail.add", fields=account)
    ask("crm.timeline.comment.add", fields={"ENTITY_TYPE": "contact", "ENTITY_ID": contact, "COMMENT": SURNAME})
    ask(
        "crm.timeline.comment.add", fields={"ENTITY_TYPE": "deal", "ENTITY_ID": deal, "COMMENT": "тел. 8-916-555-44-33"}
    )
    call = {"OWNER_TYPE_ID": 3, "OWNER_ID": contact, "TYPE_ID": 2, "SUBJECT": SURNAME, "RESPONSIBLE_ID": 1,
            "START_TIME": "2026-10-01T10:00:00+03:00", "COMPLETED": "Y",
            "COMMUNICATIONS": [{"VALUE": "+79165554433", "ENTITY_TYPE_ID": 3, "ENTITY_ID": contact}]}  # fmt: skip
    ask("crm.activity.add", fields=call)
    ask("crm.activity.add", fields=call | {"OWNER_TYPE_ID": 2, "OWNER_ID": deal, "SUBJECT": "Звонок"})
    return {"contact": contact, "lead": lead, "deal": deal}


def test_nothing_is_left_of_a_person_in_what_portals_gave_and_no_reading_brings_them_back(move):
    filled(move)
    made = known(move)
    move.restore()
    move.land("--portal", "box", "--label", "baseline")
    move.land()
    move.build()
    move._run(Path(sys.executable).with_name("publish"), "transfer", "report")
    assert places_with(move, SPELLINGS)
    said = forget(move, "--phone", "8 (916) 555-44-33", "--yes")
    assert places_with(move, SPELLINGS) == [], said
    assert "raw.cloud__contacts: 1" in said and SURNAME not in said
    assert move.rows("select count(*) from raw.cloud__deals") == [(13,)], "everything else stays"
    (call,) = move.rows("select payload ->> '$.SUBJECT', payload -> '$.COMMUNICATIONS' from raw.cloud__activities"
                        " where payload ->> '$.SUBJECT' = 'Звонок'")  # fmt: skip
    assert call == ("Звонок", "[]")
    comment = {"ENTITY_TYPE": "contact", "ENTITY_ID": made["contact"], "COMMENT": f"{SURNAME} перезвонил"}
    move.ask(move.cloud, "crm.timeline.comment.add", fields=comment)
    move.ask(move.cloud, "crm.item.update", entityTypeId=3, id=made["contact"], fields={"post": "кладовщик"})
    title = {"title": "Другой", "comments": "8 916 555 44 99"}
    move.ask(move.cloud, "crm.item.update", entityTypeId=2, id=made["deal"], fields=title)
    move.land()
    move.build()
    assert places_with(move, SPELLINGS) == []
    assert move.rows("select outcome from marts.transfer_outcomes where entity = 'deal' and source_id = '13'") == [
        ("updated",)
    ]
    gone = {(entity, str(made[entity])) for entity in ("contact", "lead")}
    assert not gone & {*move.rows("select entity, source_id from marts.transfer_outcomes")}


def test_rows_of_a_snapshot_that_broke_off_go_and_it_is_begun_anew(tmp_path):
    warehouse = tmp_path / "svod.duckdb"
    with contextlib.closing(open_warehouse(warehouse)) as connection:
        connection.execute("create schema intermediate")
        for seed in ("people_in_portals", "parts_of_people"):
            file = f"{ROOT}/dbt_project/seeds/transfer/{seed}.csv"
            connection.execute(f"create table intermediate.{seed} as from read_csv('{file}', all_varchar = true)")
        connection.execute(
            """insert into ops.snapshots (source, snapshot_id, portal, label, started_at, completed_at) values
                   ('box', 1, 'box.test', '', now()::timestamp, now()::timestamp),
                   ('cloud', 1, 'cloud.test', '', now()::timestamp, null)"""
        )
        payload = {"id": 7, "lastName": SURNAME, "fm": [{"typeId": "EMAIL", "value": EMAIL}]}
        connection.execute(
            "insert into ops.snapshot_rows values ('cloud', 'contacts', '7', null, null, 'd', ?)",
            [json.dumps(payload, ensure_ascii=False)],
        )
        connection.execute("insert into ops.snapshot_reads values ('cloud', 'contacts', '{}', true)")
    environment = {"SVOD_WAREHOUSE": str(warehouse), "SVOD_ENV_FILE": os.devnull, "PATH": os.environ["PATH"]}
    command = [str(Path(sys.executable).with_name("publish")), "forget", "--email", EMAIL, "--yes"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert SURNAME.encode() not in warehouse.read_bytes()
    with contextlib.closing(open_warehouse(warehouse)) as connection:
        assert connection.execute("select source from ops.snapshots").fetchall() == [("box",)]
        for table in ("snapshot_rows", "snapshot_reads"):
            assert connection.execute(f"select count(*) from ops.{table}").fetchall() == [(0,)]


def test_before_the_models_have_said_where_people_are_nobody_is_forgotten_by_half(tmp_path):
    warehouse = tmp_path / "svod.duckdb"
    with contextlib.closing(open_warehouse(warehouse)) as connection:
        connection.execute(
            """insert into ops.snapshots (source, snapshot_id, portal, label, started_at, completed_at)
               values ('box', 1, 'box.test', '', now()::timestamp, now()::timestamp)"""
        )
    environment = {"SVOD_WAREHOUSE": str(warehouse), "SVOD_ENV_FILE": os.devnull, "PATH": os.environ["PATH"]}
    command = [str(Path(sys.executable).with_name("publish")), "forget", "--email", EMAIL, "--yes"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 1 and "they have not been built" in ran.stderr
