"""People who were forgotten do not land again; whoever is beside them does, and nobody can read who they were."""

import hashlib
import hmac
import json
import os
import stat
from pathlib import Path

import duckdb
import pytest

from ingest import raw
from ingest.raw import DeadLetter, RawRecord
from ingest.warehouse import forgotten
from ingest.warehouse.errors import SettingsError
from ingest.warehouse.forgotten import Memory
from tests.ingest.conftest import Ingest

SEED = Path(__file__).parents[2] / "dbt_project" / "seeds" / "people_in_sources.csv"
PHONE, EMAIL = "9161234567", "bezenchukov@example.ru"
WRITTEN = {
    "8 (916) 123-45-67": {PHONE},
    "+7 916 1234567 доб. 12": {PHONE},
    "8-916-123-45-67, 8 495 765-43-21": {PHONE, "4957654321"},
    "8916\u00a0123\u00a045\u00a067": {PHONE},
    "79161234567": {PHONE},
    "8 916 1234567 8 495 7654321": {PHONE, "4957654321"},
    "Bezenchukov@Example.RU.": {EMAIL},
    "почта: bezenchukov@example.ru; ещё": {EMAIL},
    "407028109000161234567890": set(),
    "40702810900161234567": set(),
    "2026-03-01 10:00:00": set(),
    "2026-03-01T10:15:00.123+03:00": set(),
    "123-45-67": set(),
}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch, tmp_path):
    monkeypatch.setenv("SVOD_ENV_FILE", os.devnull)
    monkeypatch.delenv("SVOD_FORGET_KEY", raising=False)


def declare_places(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("create schema if not exists intermediate")
    connection.execute(f"create table {forgotten.PLACES} as from read_csv('{SEED}', all_varchar = true)")


@pytest.fixture
def memory(warehouse) -> Memory:
    declare_places(warehouse)
    return Memory.made(warehouse)


def land(warehouse, table: str, *payloads: dict, ascii: bool = False) -> list:
    """Land documents in a raw table; the payloads there."""
    name = raw.raw_table(warehouse, table, "")
    records = [
        RawRecord(json.dumps(payload, ensure_ascii=ascii), None, None, f"{number}")
        for number, payload in enumerate(payloads)
    ]
    raw.append(warehouse, name, records, "run-1")
    return [json.loads(text) for (text,) in warehouse.execute(f"select payload from {name} order by rowid").fetchall()]


def person(uid: str, name: str = "Сидоров Пётр", phones: object = None, emails: object = None) -> dict:
    return {"uid": uid, "fio": name, "phones": phones, "emails": emails}


@pytest.mark.parametrize("text", WRITTEN)
def test_phones_and_emails_are_read_alike_by_sql_and_by_python(warehouse, text):
    warehouse.execute("create temp table texts as select ? as text", [text])
    in_sql = warehouse.execute(forgotten.tokens("temp.texts", "text", "true")).fetchall()
    assert {value for _, value in in_sql} == forgotten.values_of(text) == WRITTEN[text]


def test_what_is_remembered_is_an_hmac_under_a_key_that_only_its_owner_can_read(warehouse, memory, tmp_path):
    memory.remember([("value", PHONE)], "1")
    key = forgotten.key_file(tmp_path / "svod.duckdb")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    digest = hmac.new(key.read_bytes(), PHONE.encode(), hashlib.sha256).hexdigest()
    assert warehouse.execute("select digest, kind from ops.forgotten where kind <> 'key'").fetchall() == [
        (digest, "value")
    ]
    warehouse.execute("checkpoint")
    assert PHONE.encode() not in (tmp_path / "svod.duckdb").read_bytes()


def test_a_person_does_not_land_again_by_their_key_their_phone_or_their_email_and_the_company_does(warehouse, memory):
    memory.remember([("record", "shop_b:p-1"), ("value", PHONE), ("value", EMAIL)], "1")
    other = person("p-9", phones=["+7 495 765-43-21"])
    document = {
        "uid": "b-1",
        "title": "ООО Ромашка",
        "inn": int(PHONE),
        "persons": [
            person("p-1", phones="+79990000000"),  # a new phone, the same record
            person("p-2", phones=["8 (916) 123-45-67"]),
            person("p-3", emails="Bezenchukov@example.ru"),
            other,
        ],
        "comment": "звонить 8 916 123 45 67, не раньше 10",
        "total": 12345678901234567890.125,
    }
    wanted = document | {"persons": [other], "comment": "звонить , не раньше 10"}
    assert land(warehouse, "shop_b__companies", document) == [wanted]
    assert land(warehouse, "shop_b__events", {"event": "company.upserted", "company": document}) == [
        {"event": "company.upserted", "company": wanted}
    ]


def test_escaped_spaces_in_an_event_hide_no_phone(warehouse, memory):
    memory.remember([("value", PHONE)], "1")
    company = {"uid": "b-1", "persons": [person("p-2", phones=["8916\u00a0123\u00a045\u00a067"])]}
    ((event),) = land(warehouse, "shop_b__events", {"company": company}, ascii=True)
    assert event["company"]["persons"] == []


def test_a_row_that_is_a_person_does_not_land_at_all(warehouse, memory):
    memory.remember([("record", "shop_a:7")], "1")
    rows = [{"id": 7, "full_name": "Безенчуков"}, {"id": 8, "full_name": "Сидоров"}]
    assert land(warehouse, "shop_a__client_contacts", *rows) == [rows[1]]


def test_of_those_who_share_a_phone_only_the_one_of_that_name_stays_away(warehouse, memory):
    memory.remember([("shared", PHONE), ("named", f"{PHONE} аристарх безенчуков")], "1")
    wife, himself = person("p-4", "Безенчукова Анна", ["89161234567"]), person("p-5", "БЕЗЕНЧУКОВ Аристарх Львович")
    himself["phones"] = "+7 916 123-45-67"
    namesake = person("p-6", "Безенчуков Аристарх", ["+7 495 765-43-21"])
    (document,) = land(warehouse, "shop_b__companies", {"uid": "b-1", "persons": [wife, himself, namesake]})
    assert document["persons"] == [wife, namesake]


def test_input_that_could_not_be_read_loses_its_bytes_and_keeps_its_place(warehouse, memory):
    memory.remember([("value", PHONE)], "1")
    letters = [
        DeadLetter("topic", f"t/0/{number}", "not JSON", body.encode("cp1251"))
        for number, body in enumerate(["{тел. 8-916-123-45-67", "{тел. 8-495-765-43-21"])
    ]
    raw.append_dead_letters(warehouse, letters, "run-1")
    assert warehouse.execute("select source_position, payload is null from raw.dead_letters order by 1").fetchall() == [
        ("t/0/0", True),
        ("t/0/1", False),
    ]


@pytest.mark.parametrize("loss", ["the key", "this is not the key"])
def test_without_the_right_key_nothing_lands_that_might_bring_somebody_back(warehouse, memory, tmp_path, loss):
    memory.remember([("value", PHONE)], "1")
    key = forgotten.key_file(tmp_path / "svod.duckdb")
    key.unlink() if loss == "the key" else key.write_text("f" * 64)
    with pytest.raises(SettingsError, match=loss) as caught:
        land(warehouse, "shop_b__companies", {"uid": "b-1"})
    assert "svod.duckdb.forget-key" in caught.value.hint
    assert warehouse.execute("select count(*) from raw.shop_b__companies").fetchall() == [(0,)]


def test_the_key_may_be_a_setting(warehouse, monkeypatch, tmp_path):
    monkeypatch.setenv("SVOD_FORGET_KEY", "k" * 40)
    declare_places(warehouse)
    Memory.made(warehouse).remember([("record", "shop_b:p-1")], "1")
    assert not forgotten.key_file(tmp_path / "svod.duckdb").exists()
    (document,) = land(warehouse, "shop_b__companies", {"uid": "b-1", "persons": [person("p-1")]})
    assert document["persons"] == []


def test_a_verdict_file_keeps_the_registry_and_loses_a_forgotten_phone(ingest: Ingest, warehouse, memory, tmp_path):
    memory.remember([("value", PHONE)], "1")
    warehouse.close()
    (tmp_path / "verdicts.csv").write_text("inn,status,phones\n7707083893,ACTIVE,8 916 123-45-67\n")
    ingest.set(registry_file=str(tmp_path / "verdicts.csv"))
    assert ingest.run("registry").returncode == 0
    assert ingest.query(
        "select payload ->> '$.verdict.status', payload ->> '$.verdict.phones' from raw.registry__companies"
    ) == [("ACTIVE", "")]
