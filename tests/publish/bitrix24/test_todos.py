"""To-dos for people: one on its card for each conflict and duplicate, whatever becomes of requests and copies."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.errors import OperatorError
from publish.bitrix24 import todos
from publish.bitrix24.parts import PARTS
from publish.bitrix24.todo_texts import deadline_after
from publish.page.texts import Texts
from publish.sandbox import Limits, RunningSandbox, create_app
from publish.settings import Settings
from tests.publish import marts
from tests.publish.bitrix24.test_adoption import type_in
from tests.publish.conftest import WEBHOOK, JumpingClock, Office

ASKED = {"todos": "conflicts,duplicates"}
NEW = "7707083893"


@pytest.fixture(scope="module")
def begun(tmp_path_factory, warehouse_with_marts):
    """The files of a warehouse and of a portal that holds its few companies, people and deals; they go back to where
    they were made, for a warehouse anywhere else is another one."""
    place = tmp_path_factory.mktemp("begun") / "office"
    place.mkdir()
    shutil.copy(warehouse_with_marts, place / "svod.duckdb")
    with open_warehouse(place / "svod.duckdb") as connection:
        office = office_of(connection, place / "portal.sqlite")
        marts.fill(connection, 4, 3, 2)
        marts.add_views(connection)
        office.push()
    office.app.state.engine.store.close()
    shutil.copytree(place, place.with_name("kept"))
    return place


def office_of(connection, portal, **settings):
    clock = JumpingClock()
    told = {"bitrix24_webhook": WEBHOOK, "bitrix24_rate": 0} | ASKED | settings
    app = create_app(portal, limits=Limits.none(), clock=clock)
    return Office(connection, app, clock, Settings(_env_file=None, **told))


@pytest.fixture
def open_telling(begun):
    """An office that has to-dos made."""
    with contextlib.ExitStack() as opened:

        def build(**settings):
            shutil.rmtree(begun)
            shutil.copytree(begun.with_name("kept"), begun)
            connection = opened.enter_context(open_warehouse(begun / "svod.duckdb"))
            office = office_of(connection, begun / "portal.sqlite", **settings)
            office.portal.clear_log()
            return office

        yield build


@pytest.fixture
def telling(open_telling):
    return open_telling()


def disagree(office, *numbers, title="Как у менеджера"):
    """A manager names companies one way, the sources another."""
    for n in numbers or (1,):
        office.edit(4, office.ids("company")[marts.company_id(n)], title=title)
        office.sql("update marts.crm_companies set title = 'ООО [Новое]' where company_id = ?", marts.company_id(n))


def agree(office, n=1):
    office.sql("update marts.crm_companies set title = 'Как у менеджера' where company_id = ?", marts.company_id(n))


def made(office):
    return office.portal.rows("activity")


def test_a_conflict_is_told_once_on_its_card_to_whoever_answers_for_it(telling):
    office = telling
    card = office.ids("company")[marts.company_id(1)]
    office.portal.set_user(7)
    office.edit(4, card, assignedById=7)
    disagree(office)
    office.push()
    (todo,) = made(office)
    assert (todo["OWNER_TYPE_ID"], todo["OWNER_ID"], todo["RESPONSIBLE_ID"], todo["COMPLETED"]) == (4, card, 7, "N")
    assert todo["SUBJECT"] == "Решить: изменено вручную — название"
    assert "В карточке: Как у менеджера\nВ источниках: ООО (Новое)\n" in todo["DESCRIPTION"]
    assert todo["DEADLINE"] > todo["CREATED"]
    office.portal.clear_log()
    office.push()
    assert office.portal.request_log() == []
    office.call("crm.activity.update", {"id": todo["ID"], "fields": {"COMPLETED": "Y"}})
    office.sql("update marts.crm_companies set title = 'ООО Третье' where company_id = company_id(1)")
    office.push()
    assert len(made(office)) == 1  # it has been looked at, and is the same disagreement


def test_nothing_is_told_that_was_not_asked_for(telling):
    office = telling
    disagree(office)
    office.push(todos=("duplicates",))
    office.push(todos=())
    assert made(office) == []
    assert office.sql("select count(*) from sync.conflicts") == [(1,)]


def test_a_to_do_is_completed_when_its_reason_is_over_and_made_anew_when_it_comes_back(telling):
    office = telling
    disagree(office)
    office.push()
    agree(office)
    office.push()
    (todo,) = made(office)
    assert todo["COMPLETED"] == "Y"
    assert office.ids("todo") == {}
    assert office.sql("select action from sync.history where entity = 'todo'") == [("remove",)]
    disagree(office, title="Как у другого менеджера")
    office.push()
    assert [todo["COMPLETED"] for todo in made(office)] == ["Y", "N"]


def test_a_to_do_that_somebody_works_on_is_left_open(telling):
    office = telling
    office.portal.set_user(7)
    disagree(office, 0, 1, 2, 3)
    office.push()
    ways = ({"DESCRIPTION": "Позвонил"}, {"SUBJECT": "Позвонить"}, {"RESPONSIBLE_ID": 7}, {"START_TIME": "2027-01-01"})
    for n, (todo, touched) in enumerate(zip(made(office), ways, strict=True)):
        office.call("crm.activity.update", {"id": todo["ID"], "fields": touched})
        agree(office, n)
    office.push()
    assert [todo["COMPLETED"] for todo in made(office)] == ["N"] * 4
    assert office.ids("todo") == {}


def test_a_to_do_that_somebody_deleted_is_neither_missed_nor_made_again(telling):
    office = telling
    disagree(office)
    office.push()
    office.call("crm.activity.delete", {"id": made(office)[0]["ID"]})
    office.push()
    assert made(office) == []
    agree(office)
    office.push()
    assert (made(office), office.ids("todo")) == ([], {})


def test_no_to_do_counts_as_over_while_another_portal_seems_to_be_the_last_one(telling):
    office = telling
    disagree(office)
    office.push()
    office.sql(
        """insert into sync.portals by name
           select * replace ('other.test' as portal, last_seen_at + interval 1 hour as last_seen_at)
           from sync.portals"""
    )
    office.sql("update marts.crm_deals set amount = 1 where deal_id = 'shop_a:0000001'")
    office.push()
    assert [todo["COMPLETED"] for todo in made(office)] == ["N"]
    assert len(office.ids("todo")) == 1


def test_an_inn_that_another_card_has_is_told_on_ours_with_the_address_of_the_other(telling):
    office = telling
    stranger = type_in(office, NEW)
    office.sql("update marts.crm_companies set inn = ? where company_id = company_id(1)", NEW)
    office.push()
    (todo,) = made(office)
    assert todo["OWNER_ID"] == office.ids("company")[marts.company_id(1)]
    assert NEW in todo["DESCRIPTION"] and f"http://portal.test/crm/company/details/{stranger}/" in todo["DESCRIPTION"]
    office.call("crm.item.delete", {"entityTypeId": 4, "id": stranger})
    office.push()
    assert made(office)[0]["COMPLETED"] == "Y"


def test_cards_that_one_record_could_be_are_told_on_the_oldest(office):
    marts.fill(office.connection, 1, 0)
    marts.add_views(office.connection)
    ((inn,),) = office.sql("select inn from marts.crm_companies")
    cards = [type_in(office, inn), type_in(office, inn)]
    office.push(todos=("duplicates",))
    (todo,) = made(office)
    assert todo["OWNER_ID"] == cards[0] and f"/{cards[1]}/" in todo["DESCRIPTION"]


def test_requisites_of_which_none_has_the_inn_are_told_on_the_card_they_hang_on(telling):
    office = telling
    card = office.ids("company")[marts.company_id(1)]
    office.sql("delete from sync.ledger where entity = 'requisite' and origin_id = company_id(1)")
    for requisite in office.portal.requisites():
        if requisite["ENTITY_ID"] == card:
            office.call("crm.requisite.update", {"id": requisite["ID"], "fields": {"RQ_INN": ""}})
    preset = {"ENTITY_TYPE_ID": 4, "ENTITY_ID": card, "PRESET_ID": 1, "NAME": "Второй"}
    office.call("crm.requisite.add", {"fields": preset})
    office.push()
    (todo,) = made(office)
    assert (todo["OWNER_ID"], "несколько реквизитов" in todo["DESCRIPTION"]) == (card, True)
    assert "details" not in todo["DESCRIPTION"]


def test_two_cards_that_are_one_by_now_are_told_on_the_one_that_stays(telling):
    office = telling
    ids = office.ids("contact")
    office.sql("delete from marts.crm_contacts where contact_id = contact_id(2)")
    office.sql("delete from marts.crm_company_contacts where contact_id = contact_id(2)")
    office.sql("insert into marts.departed_contacts values (contact_id(2), 'merged', contact_id(1))")
    office.push()
    (todo,) = made(office)
    assert (todo["OWNER_TYPE_ID"], todo["OWNER_ID"]) == (3, ids[marts.contact_id(1)])
    assert f"/crm/contact/details/{ids[marts.contact_id(2)]}/" in todo["DESCRIPTION"]
    office.push(bitrix24_merge_cards=True)  # which the portal leaves to a person: they have names of their own
    assert office.sql("select field, in_portal from sync.conflicts") == [("merge", "CONFLICT")]
    assert [todo["COMPLETED"] for todo in made(office)] == ["N"]
    office.sql("delete from marts.departed_contacts")
    office.push()
    assert [todo["COMPLETED"] for todo in made(office)] == ["Y"]


def test_values_of_people_stay_out_of_to_dos(telling):
    office = telling
    card = office.ids("contact")[marts.contact_id(1)]
    office.edit(3, card, lastName="Иванов")
    office.sql("update marts.crm_contacts set card_last_name = 'Сидоров' where contact_id = contact_id(1)")
    office.push()
    (todo,) = made(office)
    assert todo["SUBJECT"] == "Решить: изменено вручную — фамилия"
    assert "Иванов" not in todo["DESCRIPTION"] and "Сидоров" not in todo["DESCRIPTION"]
    assert "Сидоров" not in json.dumps(office.sql("select sent::varchar from sync.ledger where entity = 'todo'"))


@pytest.mark.parametrize("is_done", [True, False])
def test_a_bad_connection_makes_no_to_do_twice_and_forgets_none(telling, is_done):
    office = telling
    disagree(office, 1, 2, 3)
    execute, failed = office.app.state.engine.request, []

    def failing(name, params, *, fault=None):
        is_bad = len(failed) < 2 and is_new(params)
        if is_bad:
            failed.append(name)
        if is_done or not is_bad:
            answer = execute(name, params, fault=fault)
        if is_bad:
            raise httpx.ReadError("a cable was pulled")
        return answer

    office.app.state.engine.request = failing
    office.push()
    assert len(failed) == 1 if is_done else 2
    assert len({todo["OWNER_ID"] for todo in made(office)}) == len(made(office)) == 3
    assert office.sql("from sync.intents") == office.sql("from sync.dead_letters") == []


def is_new(params) -> bool:
    """Whether a request makes to-dos."""
    return any(command.startswith(f"{todos.ADD}?") for command in params.get("cmd", {}).values())


def test_a_push_killed_before_it_sees_the_answer_makes_none_twice(telling):
    office = telling
    disagree(office)
    engine = office.app.state.engine
    execute = engine.request

    def killed(name, params, *, fault=None):
        answer = execute(name, params, fault=fault)
        if is_new(params):
            raise KeyboardInterrupt
        return answer

    engine.request = killed
    with pytest.raises(KeyboardInterrupt):
        office.push()
    engine.request = execute
    assert office.sql("select entity from sync.intents") == [("todo",)]
    office.push(todos=())  # whatever is asked for by now
    assert len(made(office)) == 1 and [*office.ids("todo").values()] == [made(office)[0]["ID"]]
    office.portal.clear_log()
    office.push()
    assert office.portal.request_log() == []


def test_a_warehouse_put_back_from_a_copy_finds_the_to_dos_that_it_has_forgotten(telling, tmp_path):
    office = telling
    copy = office.copy_warehouse(tmp_path / "copy.duckdb")
    disagree(office)
    office.push()
    office.put_back_warehouse(copy)
    office.sql("update marts.crm_companies set title = 'ООО [Новое]' where company_id = company_id(1)")
    office.push()
    assert len(made(office)) == 1 and len(office.ids("todo")) == 1


def test_a_portal_put_back_from_a_copy_gets_the_to_dos_again_that_it_has_lost(telling, tmp_path):
    office = telling
    office.portal.copy_to(tmp_path / "copy.sqlite")
    disagree(office)
    office.push()
    assert len(made(office)) == 1
    office.swap_portal(tmp_path / "copy.sqlite")
    office.edit(4, office.ids("company")[marts.company_id(1)], title="Как у менеджера")
    office.sql("update marts.crm_deals set amount = 1 where deal_id = 'shop_a:0000001'")  # else nobody looks
    office.push()
    assert [todo["COMPLETED"] for todo in made(office)] == ["N"]
    assert len(office.ids("todo")) == 1


def test_a_push_makes_few_and_a_day_no_more_than_is_set(open_telling):
    office = open_telling(todos_a_day=60)
    office.sql(
        """insert into sync.conflicts
           select 'portal.test', 'company', company_id(n % 4), 'title', 1, 'a', 'b', 'c', now()::timestamp
           from range(4) as numbers(n)"""
    )
    office.sql(
        """insert into sync.conflicts
           select 'portal.test', 'company', company_id(n % 4), 'x' || n, 1, 'a', 'b', 'c', now()::timestamp
           from range(80) as numbers(n)"""
    )
    numbers = []
    for _ in range(3):
        office.push()
        numbers.append(len(made(office)))
    assert numbers == [49, 60, 60]
    assert office.portal.calls()[todos.ADD] == 60
    assert max(line["commands"].get(todos.ADD, 0) for line in office.portal.request_log()) == 49


def test_to_dos_do_not_count_for_the_change_limit(open_telling):
    office = open_telling(fuse_share=0, fuse_floor=2)
    disagree(office)  # a company and its requisite
    office.push()
    assert len(made(office)) == 1


def test_a_to_do_that_the_portal_refuses_waits_as_a_dead_letter_and_ends_with_its_reason(telling):
    office = telling
    disagree(office)
    office.faults.fail(todos.ADD, "ACCESS_DENIED", "Access denied", times=1)
    result = office.push()
    assert (made(office), result.dead_letters_now) == ([], 1)
    assert office.sql("select entity, error from sync.dead_letters") == [("todo", "ACCESS_DENIED")]
    office.push()
    assert made(office) == []
    agree(office)
    office.push()  # it is seen here that the reason is gone
    office.push()
    assert office.sql("from sync.dead_letters") == []


def test_a_portal_that_lets_us_complete_none_keeps_them_open_and_the_push_says_so(telling):
    office = telling
    disagree(office)
    office.push()
    agree(office)
    office.faults.fail(todos.UPDATE, "", "The custom activity without provider is not supported in current context")
    result = office.push()
    assert [todo["COMPLETED"] for todo in made(office)] == ["N"]
    assert result.notes == ["the portal does not let us complete 1 to-dos whose reason is over: they stay open"]


def test_models_of_before_to_dos_stop_a_push_before_anything_is_sent(open_office):
    office = open_office(**ASKED)
    marts.fill(office.connection, 1, 0)
    with pytest.raises(OperatorError, match=r"SVOD_TODOS: there is no marts.report_todos"):
        office.push()
    assert office.portal.writes() == {}


def test_every_field_that_may_be_left_to_a_manager_has_its_words():
    for part in PARTS:
        for field in part.fields:
            assert field.once or field.label or Texts("ru").known("todo_field", field.name) != field.name, field.name
    for name in ("bank_detail", "address", "company_contact", "IS_PRIMARY"):
        assert Texts("ru").known("todo_field", name) != name


def test_a_to_do_is_due_at_the_end_of_the_next_working_day_in_moscow():
    for now, due in (
        (datetime(2026, 12, 1, 20, 59, tzinfo=UTC), "2026-12-02"),
        (datetime(2026, 12, 1, 21, tzinfo=UTC), "2026-12-03"),
        (datetime(2026, 12, 4, 9, tzinfo=UTC), "2026-12-07"), (datetime(2026, 12, 5, 9, tzinfo=UTC), "2026-12-07"),
    ):  # fmt: skip
        assert deadline_after(now) == f"{due}T18:00:00+03:00"


def test_kinds_that_there_are_not_are_refused():
    with pytest.raises(ValueError, match="names no kind of to-do: did you mean conflicts"):
        Settings(_env_file=None, todos="conflict")


def test_a_process_killed_between_request_and_answer_makes_none_twice_over_http(tmp_path):
    """It dies while the portal, a process of its own as far as it can tell, has made the to-do and not answered yet."""
    file, inn, engine, arrived, dead = (
        tmp_path / "svod.duckdb",
        "7700000001",
        None,
        threading.Event(),
        threading.Event(),
    )
    with RunningSandbox(limits=Limits.none()) as sandbox:
        engine, execute = sandbox.app.state.engine, sandbox.app.state.engine.request
        for _ in range(2):
            _, card, _ = execute("crm.item.add", {"entityTypeId": 4, "fields": {"title": "Дважды"}})
            owner = {"ENTITY_TYPE_ID": 4, "ENTITY_ID": card["result"]["item"]["id"], "PRESET_ID": 1, "NAME": "Р"}
            execute("crm.requisite.add", {"fields": owner | {"RQ_INN": inn}})
        with open_warehouse(file) as connection:
            marts.prepare(connection)
            marts.fill(connection, 2, 0)
            marts.add_views(connection)

        def late(name, params, *, fault=None):
            answer = execute(name, params, fault=fault)
            if is_new(params):
                arrived.set()
                dead.wait(30)
            return answer

        engine.request = late
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SVOD_")}
        told = {"WAREHOUSE": str(file), "ENV_FILE": os.devnull, "TODOS": "duplicates", "BITRIX24_RATE": "0",
                "BITRIX24_WEBHOOK": sandbox.webhook, "BITRIX24_REQUEST_LIMIT": "1"}  # fmt: skip
        settings = clean | {f"SVOD_{name}": value for name, value in told.items()}
        push = [Path(sys.executable).parent / "publish", "push"]
        with subprocess.Popen(push, env=settings, cwd=tmp_path) as killed:
            assert arrived.wait(60)
            killed.kill()
        dead.set()
        engine.request = execute
        assert len(sandbox.portal.rows("activity")) == 1
        subprocess.run(push, env=settings, cwd=tmp_path, check=True)
        assert len(sandbox.portal.rows("activity")) == 1
    with open_warehouse(file) as connection:
        assert connection.execute("select bitrix_id from sync.ledger where entity = 'todo'").fetchall() == [(1,)]
        assert connection.execute("from sync.intents").fetchall() == []
