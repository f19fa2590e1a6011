"""Odd answers of a portal: an error with a hint that names the method, never a traceback, and nothing written."""

import dataclasses
from collections.abc import Callable

import pytest

from ingest.bitrix24.answers import OddAnswer, entries_of, number_of, rows_of, text_of, whole
from ingest.warehouse.errors import OperatorError
from publish.sandbox.methods import METHODS
from tests.publish import marts
from tests.publish.bitrix24.test_adoption import inn, type_in

LISTS = (
    "crm.requisite.preset.list", "crm.status.list", "crm.currency.list", "crm.company.userfield.list",
    "crm.requisite.list", "crm.item.list", "crm.company.contact.items.get",
)  # fmt: skip
ODD = (None, "нет", {"a": 1}, [[]], {"items": {"a": "b"}}, [{"ID": "x", "id": "x"}])


@pytest.fixture
def answer(monkeypatch) -> Callable:
    def script(method: str, result) -> None:
        odd = dataclasses.replace(METHODS[method.lower()], handler=lambda call: result)
        monkeypatch.setitem(METHODS, method.lower(), odd)

    return script


@pytest.mark.parametrize("method", LISTS)
@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_an_odd_answer_to_a_list_is_an_error_with_a_hint_or_nothing_at_all(office, answer, method, odd):
    marts.fill(office.connection, 2, 2, 2)
    type_in(office, inn(office, 0))
    answer(method, odd)
    try:
        office.push()
    except OperatorError as error:
        assert error.hint
    ours = [item["originId"] for item in office.portal.items("company") if item["originId"]]
    assert len(ours) == len({*ours})


@pytest.mark.parametrize("text", ["нет", "", None, "ИНН уточнить"], ids=repr)
def test_a_requisite_whose_inn_is_none_is_nobodys_and_stops_nothing(office, answer, text):
    marts.fill(office.connection, 2, 0)
    answer("crm.requisite.list", [{"ID": "1", "ENTITY_ID": "1", "RQ_INN": text}])
    office.push()
    assert office.portal.counts()["company"] == 2


def test_an_empty_list_of_stages_is_an_error_with_a_hint(office, answer):
    marts.fill(office.connection, 1, 1, 2)
    answer("crm.status.list", [])
    with pytest.raises(OperatorError, match="names no deal stages") as error:
        office.push()
    assert error.value.hint
    assert office.portal.writes() == {}


def test_the_error_names_the_method(office, answer):
    marts.fill(office.connection, 1, 1, 2)
    answer("crm.status.list", [{"STATUS": "NEW"}])
    with pytest.raises(OddAnswer, match=r"crm\.status\.list: a row without STATUS_ID"):
        office.push()


@pytest.mark.parametrize("odd", [True, [], {"ID": 7}, "ok"], ids=repr)
def test_a_create_that_does_not_say_its_id_is_looked_up(office, monkeypatch, odd):
    marts.fill(office.connection, 1, 0)
    method = METHODS["crm.requisite.add"]

    def add(call):
        method.handler(call)
        return odd

    monkeypatch.setitem(METHODS, "crm.requisite.add", dataclasses.replace(method, handler=add))
    office.push()
    assert office.differences() == []


@pytest.mark.parametrize(
    "odd", [[], {"items": "x"}, {"items": [{"item": []}]}, {"items": [{"item": {"id": "x"}}]}, 5], ids=repr
)
def test_an_import_that_does_not_say_its_ids_is_looked_up(office, monkeypatch, odd):
    marts.fill(office.connection, 1, 0)
    method = METHODS["crm.item.batchimport"]

    def add(call):
        method.handler(call)
        return odd

    monkeypatch.setitem(METHODS, "crm.item.batchimport", dataclasses.replace(method, handler=add))
    office.push()
    assert office.differences() == []


def test_rows_are_read_in_every_form_that_php_makes_of_a_list():
    rows = [{"ID": "1"}, {"ID": "2"}]
    assert rows_of("m", rows) == rows_of("m", {"items": rows}) == rows_of("m", {"3": rows[0], "7": rows[1]}) == rows
    assert rows_of("m", {"items": {"3": rows[0]}}) == rows[:1]
    assert rows_of("m", []) == rows_of("m", {}) == []


def test_numbers_and_texts_are_what_they_are_due_to_be():
    assert (whole("7"), whole(7), whole(" 7 ")) == (7, 7, 7)
    assert [whole(value) for value in (True, None, "x", "", [], 7.5)] == [None] * 6
    assert number_of("m", {"ID": "7"}, "ID") == 7
    assert text_of("m", {"ID": 7}, "ID") == "7"
    for read in (number_of, text_of):
        with pytest.raises(OddAnswer, match="a row without ID"):
            read("m", {"id": 7}, "ID")


def test_phones_of_another_form_are_an_odd_answer():
    assert list(entries_of("m", None)) == list(entries_of("m", [])) == []
    for value in ("+7", [{"value": "+7"}], ["+7"]):
        with pytest.raises(OddAnswer, match="phones"):
            list(entries_of("m", value))
