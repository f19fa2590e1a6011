"""A person asks to be forgotten: by what they are found, what is left of them, and that nothing brings them back."""

import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from publish.sandbox import Limits, RunningSandbox
from tests.installation import Installation
from tests.pipeline import words_left

PHONE, EMAIL, SURNAME = "9165554433", "bezenchukov@romashka-forget.ru", "Безенчуков"
SPELLINGS = (PHONE, "916 555", "916) 555", "916-555", "555-44-33", "5554433", EMAIL, SURNAME)
FIRM, TRADER = "7707083893", "500100732259"
VERDICTS = f"""inn,status,kpp,ogrn,type,full_name,short_name,opf,director_name,director_post,address
{FIRM},ACTIVE,770701001,1027700132195,LEGAL,ООО РОМАШКА,ООО РОМАШКА,ООО,Директоров Олег Ильич,ДИРЕКТОР,г Москва
{TRADER},ACTIVE,,304500116000157,INDIVIDUAL,ИП Торговцев Лука Фомич,ИП Торговцев Л. Ф.,ИП,,,г Москва
"""


def person(uid: str, name: str, phones: list[str], emails: list[str]) -> dict[str, Any]:
    return {"uid": uid, "fio": name, "post": "кладовщик", "phones": phones, "emails": emails}


def order(uid: str, person_uid: str) -> dict[str, Any]:
    return {"uid": uid, "number": uid, "status": "done", "total": "10.00", "currency": "RUB", "person_uid": person_uid,
            "created_at": "2026-03-01T10:00:00+03:00", "changed_at": "2026-03-05T10:00:00+03:00"}  # fmt: skip


HIM = person("p-1", "Безенчуков Аристарх Львович", ["8 (916) 555-44-33", "8 495 765-43-21"], [EMAIL.title()])
HER = person("p-2", "Кукушкина Анна Ильинична", ["8 495 765-43-21", "+79167770011"], ["info@romashka-forget.ru"])
FIRM_DOCUMENT = {
    "uid": "b-1", "title": "ООО Ромашка", "inn": FIRM, "persons": [HIM, HER],
    "orders": [order("o-1", "p-1"), order("o-2", "p-2")], "comment": "пропуск на 8-916-555-44-33",
    "changed_at": "2026-09-30T11:20:00+03:00",
}  # fmt: skip
TRADER_DOCUMENT = {
    "uid": "b-2", "title": "ИП Торговцев", "inn": TRADER,
    "persons": [person("p-3", "Торговцев Лука Фомич", ["89160001122"], []),
                person("p-4", "Приказчиков Глеб Ильич", ["89160001133"], [])],
    "orders": [order("o-3", "p-3")], "changed_at": "2026-09-30T11:20:00+03:00",
}  # fmt: skip


def write(folder: Path, name: str, *objects: object) -> None:
    document = {"exported_at": "2026-10-01T03:00:00+03:00", "companies": objects}
    (folder / name).write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, RunningSandbox]]:
    """An installation after its first run: a firm, a sole trader, their people, and input that could not be landed."""
    folder = tmp_path_factory.mktemp("forget")
    files = folder / "files"
    files.mkdir()
    write(files, "a.json", FIRM_DOCUMENT, TRADER_DOCUMENT, "потерянное: Безенчуков, 8 916 555 44 33")
    (folder / "verdicts.csv").write_text(VERDICTS, encoding="utf-8")
    with RunningSandbox(folder / "portal.sqlite", limits=Limits.none()) as sandbox:
        svod = Installation(
            folder / "svod",
            {
                "SVOD_SHOP_B_FILES": str(files / "*.json"),
                "SVOD_REGISTRY_FILE": str(folder / "verdicts.csv"),
                "SVOD_BITRIX24_WEBHOOK": sandbox.webhook,
                "SVOD_BITRIX24_RATE": "0",
                "SVOD_SINCE": "2025-01-01",
            },
        )
        ended = svod.tool("publish", "run", "--full")
        assert ended.status == 0, ended.output
        yield svod, sandbox


@pytest.fixture
def svod(published: tuple[Installation, RunningSandbox], tmp_path: Path) -> Installation:
    """The same with a warehouse of its own, and no portal unless a test says which."""
    first, _ = published
    copy = Installation(tmp_path / "svod", {**first.settings, "SVOD_BITRIX24_WEBHOOK": ""})
    copy.folder.mkdir()
    for file in first.folder.glob("svod.duckdb*"):
        shutil.copy(file, copy.folder)
    return copy


@pytest.fixture
def contact_id(svod: Installation) -> Callable[[str], str]:
    return lambda uid: svod.query("select contact_id from marts.xref_contacts where source_id = ?", [uid])[0][0]


def places_with(svod: Installation, words: tuple[str, ...]) -> list[str]:
    return words_left.places_with(words, svod.folder.rglob("*"), svod.warehouse)


def test_whoever_is_meant_is_said_and_nothing_goes_until_it_is_confirmed(svod, contact_id):
    before = svod.query("select count(*), sum(hash(whole)) from raw.shop_b__companies as whole")
    ended = svod.tool("publish", "forget", "--phone", "+7 916 555-44-33")
    assert ended.status == 0 and "add --yes" in ended.output
    assert f"{contact_id('p-1')} (Б. А. Л. at " in ended.output
    assert SURNAME not in ended.output and "555" not in ended.output
    assert svod.query("select count(*), sum(hash(whole)) from raw.shop_b__companies as whole") == before


def test_of_a_phone_that_several_have_somebody_has_to_be_named(svod, contact_id):
    ended = svod.tool("publish", "forget", "--phone", "84957654321", "--yes")
    assert ended.status == 2 and "2 people are meant by phone …21" in ended.output and "--id" in ended.output
    assert svod.query("select count(*) from marts.crm_contacts") == [(4,)]
    ended = svod.tool("publish", "forget", "--phone", "84957654321", "--id", contact_id("p-1"), "--yes")
    assert ended.status == 0, ended.output
    assert [uid for (uid,) in svod.query("select source_id from marts.xref_contacts order by 1")] == [
        "p-2",
        "p-3",
        "p-4",
    ]
    assert svod.query("select list_sort(phones) from marts.crm_contacts where last_name = 'Кукушкина'") == [
        (["+74957654321", "+79167770011"],)
    ]


def test_nothing_is_left_of_a_person_and_everything_of_the_firm_and_of_others(svod, contact_id):
    assert places_with(svod, SPELLINGS)
    him = contact_id("p-1")
    assert svod.tool("publish", "report").status == 0
    ended = svod.tool("publish", "forget", "--email", EMAIL, "--yes")
    assert not (svod.folder / "report.html").exists()
    assert ended.status == 0, ended.output
    (svod.folder / "log").write_text(ended.output)
    assert places_with(svod, SPELLINGS) == []
    assert f"({him})" in ended.output and "marts.crm_contacts: 1" in ended.output and "АКТ № " in ended.output
    ((document,),) = svod.query("select payload from raw.shop_b__companies where payload ->> '$.uid' = 'b-1'")
    assert json.loads(document) == FIRM_DOCUMENT | {"persons": [HER], "comment": "пропуск на "}
    assert svod.query("select deal_id, contact_id is null from marts.crm_deals order by 1") == [
        ("shop_b:o-1", True),
        ("shop_b:o-2", False),
        ("shop_b:o-3", False),
    ]
    assert svod.query("select count(*) from sync.ledger where entity = 'contact'") == [(3,)]
    assert svod.tool("publish", "gate").status == 0, "the marts are stamped as they are now"


def test_the_next_run_sends_nothing_and_the_next_file_brings_nobody_back(published, svod, contact_id):
    first, sandbox = published
    svod.settings["SVOD_BITRIX24_WEBHOOK"] = first.settings["SVOD_BITRIX24_WEBHOOK"]
    svod.settings["SVOD_MACHINE"] = "another"
    him = contact_id("p-1")
    assert svod.tool("publish", "push", "--take-over").status == 0
    ended = svod.tool("publish", "forget", "--id", him, "--cards", "delete", "--yes")
    assert ended.status == 0 and "удалена" in ended.output, ended.output
    assert him not in {card["originId"] for card in sandbox.portal.items("contact")}
    before = sandbox.portal.writes()
    assert svod.tool("publish", "push").status == 0
    assert sandbox.portal.writes() == before
    again = svod.folder / "again"
    again.mkdir()
    moved = {**HIM, "phones": ["89990001122"]}
    write(again, "a.json", {**FIRM_DOCUMENT, "persons": [moved, HER, {**HIM, "uid": "p-77"}], "comment": ""})
    svod.settings["SVOD_SHOP_B_FILES"] = str(again / "*.json")
    ended = svod.tool("publish", "run")
    assert ended.status == 0, ended.output
    assert sandbox.portal.writes() == before
    shutil.rmtree(again)
    assert places_with(svod, (*SPELLINGS, "9990001122")) == []


def test_by_their_inn_a_sole_trader_is_forgotten_as_a_contact_and_stays_in_the_register(svod):
    assert svod.tool("publish", "forget", "--inn", FIRM, "--yes").status == 2
    ended = svod.tool("publish", "forget", "--inn", TRADER, "--yes")
    assert ended.status == 0, ended.output
    assert "that name is still in" in ended.output and "raw.registry__companies" in ended.output
    assert [uid for (uid,) in svod.query("select source_id from marts.xref_contacts order by 1")] == [
        "p-1",
        "p-2",
        "p-4",
    ]
    assert places_with(svod, ("9160001122",)) == []
    assert svod.query("select count(*) from marts.crm_companies") == [(2,)]


def test_a_phone_of_nobody_goes_from_wherever_it_is_written(svod):
    ended = svod.tool("publish", "forget", "--phone", "8 999 765 43 21", "--yes")
    assert ended.status == 0 and "nobody is known by phone …21" in ended.output


def test_killed_at_any_moment_and_started_again_it_ends_well(svod, contact_id):
    command = [str(Path(sys.executable).parent / "publish"), "forget"]
    request = ["--email", EMAIL, "--yes"]
    him, chosen = contact_id("p-1"), random.Random(7)
    kills = 0
    for _ in range(5):
        process = subprocess.Popen(
            [*command, *request], env=svod.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        time.sleep(chosen.uniform(0.5, 2.5))
        kills += process.poll() is None
        process.kill()
        process.communicate()
        assert svod.query("select count(*) from marts.crm_companies") == [(2,)]
    ended = svod.tool("publish", "forget", *request)
    assert ended.status == 0, ended.output
    assert kills > 1
    assert places_with(svod, SPELLINGS) == []
    acts = svod.query("select people, finished_at is not null, cards ->> '$[0].origin_id' from ops.acts_of_forgetting")
    assert (1, True, him) in acts and all(finished for _, finished, _ in acts)
    assert svod.tool("publish", "gate").status == 0


def test_broken_off_after_they_were_gone_the_same_command_ends_it(svod, contact_id):
    request = ("publish", "forget", "--id", contact_id("p-1"), "--id", contact_id("p-2"), "--yes")
    assert svod.tool(*request).status == 0
    with duckdb.connect(str(svod.warehouse)) as connection:
        connection.execute("update ops.acts_of_forgetting set finished_at = null, space_given_back_at = null")
    ended = svod.tool(*request)
    assert ended.status == 0 and "Субъектов персональных данных: 2" in ended.output
    assert svod.query("select count(*), count(finished_at) from ops.acts_of_forgetting") == [(1, 1)]
    ended = svod.tool(*request)
    assert ended.status == 2 and "nobody is known by id p-" in ended.output


def test_a_card_that_could_not_be_deleted_waits_and_is_deleted_by_the_next_call(svod, contact_id):
    svod.settings |= {"SVOD_BITRIX24_WEBHOOK": ""}
    ended = svod.tool("publish", "forget", "--email", EMAIL, "--cards", "delete", "--yes")
    assert ended.status == 1 and "1 cards of act" in ended.output
    assert places_with(svod, SPELLINGS) == []
    assert svod.query("select cards ->> '$[0].state', finished_at from ops.acts_of_forgetting") == [("to delete", None)]


def test_a_card_that_a_killed_push_may_have_made_is_looked_for_in_the_portal_before_anybody_is_erased(
    published, svod, contact_id
):
    key = contact_id("p-4")  # nobody deletes this card before
    number = svod.query("select bitrix_id from sync.ledger where origin_id = ?", [key])[0][0]
    with duckdb.connect(str(svod.warehouse)) as connection:
        connection.execute(
            """insert into sync.intents select portal, entity, origin_id, null, wanted, [], synced_at
               from sync.ledger where origin_id = ?""",
            [key],
        )
        connection.execute("delete from sync.ledger where origin_id = ?", [key])
    webhook = published[0].settings["SVOD_BITRIX24_WEBHOOK"]
    svod.settings["SVOD_BITRIX24_WEBHOOK"] = webhook.replace("sandbox", "revoked")
    refused = svod.tool("publish", "forget", "--phone", "89160001133", "--yes")
    assert refused.status == 1 and "nothing was erased" in refused.output
    svod.settings["SVOD_BITRIX24_WEBHOOK"] = webhook
    ended = svod.tool("publish", "forget", "--phone", "89160001133", "--yes")
    assert ended.status == 0, ended.output
    assert f" {number}" in ended.output
    assert [card["bitrix_id"] for card in json.loads(svod.query("select cards from ops.acts_of_forgetting")[0][0])] == [
        number
    ]


def test_a_run_that_goes_on_is_not_disturbed(svod):
    import fcntl

    with (svod.folder / "svod.duckdb.run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert svod.tool("publish", "forget", "--email", EMAIL, "--yes").status == 75
