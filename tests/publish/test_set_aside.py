"""How dead letters and duplicates end: by themselves, and by an operator's word."""

import pytest

from ingest.warehouse.errors import OperatorError, SettingsError
from publish import set_aside
from publish.bitrix24.parts import PARTS
from publish.entries import Refusal
from publish.ledger import Ledger
from publish.set_aside import Choice
from tests.publish import marts
from tests.publish.bitrix24.test_adoption import inn, type_in


@pytest.fixture
def refused(office):
    """An office with one contact that the portal does not take."""
    marts.fill(office.connection, 2, 4)
    office.sql("update marts.crm_contacts set emails = ['no address'] where contact_id = contact_id(1)")
    assert office.push().dead_letters_now == 1
    return office


def ledger(office) -> Ledger:
    return Ledger(office.connection, office.settings.portal)


def listed(office) -> list[str]:
    return [row[0] for row in office.sql("select origin_id from sync.dead_letters order by entity, origin_id")]


def meant(**choice) -> Choice:
    return Choice([part.entity for part in PARTS], **choice)


def test_a_dead_letter_is_new_once_and_then_waits_in_silence(refused):
    again = refused.push()
    assert (again.dead_letters, again.dead_letters_now) == (1, 0)
    refused.sql("update sync.dead_letters set next_at = now()::timestamp")
    assert refused.push().dead_letters_now == 1


def test_a_dead_letter_whose_record_left_the_mart_leaves_the_list(refused):
    refused.sql("delete from marts.crm_contacts where contact_id = contact_id(1)")
    refused.sql("delete from marts.crm_company_contacts where contact_id = contact_id(1)")
    refused.portal.clear_log()
    assert refused.push().dead_letters == 0
    assert refused.portal.request_log() == []


def test_a_dead_letter_of_what_the_portal_has_by_now_or_of_an_unknown_kind_leaves_the_list(published):
    of_before = [Refusal(kind, marts.company_id(1), "{}", "E", "text") for kind in ("company", "address", "no_kind")]
    ledger(published).settle(refused=of_before)
    assert published.push().dead_letters == 0


def test_a_dead_letter_that_is_still_wanted_stays(refused):
    refused.sql("update marts.crm_contacts set post = 'директор' where contact_id = contact_id(2)")
    refused.push()
    assert listed(refused) == [marts.contact_id(1)]


def test_retry_makes_dead_letters_due_by_kind_by_id_and_all(refused):
    for choice in ({"entity": "contact"}, {"origin_ids": (marts.contact_id(1),)}, {"is_all": True}):
        assert refused.push().dead_letters_now == 0
        assert set_aside.retry(ledger(refused), meant(**choice)) == (1, 0)
        assert refused.push().dead_letters_now == 1
    for choice in ({"entity": "deal"}, {"origin_ids": ("p-1",)}):
        with pytest.raises(OperatorError, match="nothing like that"):
            set_aside.retry(ledger(refused), meant(**choice))


def test_a_discarded_dead_letter_rests_until_its_record_changes(refused):
    assert set_aside.discard(ledger(refused), meant(origin_ids=(marts.contact_id(1),))) == 1
    refused.portal.clear_log()
    result = refused.push()
    assert (result.dead_letters, result.dead_letters_now, refused.portal.writes()) == (0, 0, {})
    with pytest.raises(OperatorError, match="no dead letter"):
        set_aside.discard(ledger(refused), meant(is_all=True))
    refused.sql("update marts.crm_contacts set emails = ['petrov@example.ru'] where contact_id = contact_id(1)")
    refused.push()
    assert refused.differences() == []
    assert listed(refused) == []


def test_a_choice_names_something_that_there_is():
    with pytest.raises(SettingsError, match="not said which"):
        meant()
    with pytest.raises(SettingsError) as caught:
        meant(entity="contacts")
    assert caught.value.hint == "did you mean contact?"


def test_a_link_is_meant_by_the_id_of_either_card(published):
    refusals = [Refusal("company_contact", "p-1/c-1", "{}", "", "Not found.")]
    for origin_id in ("p-1", "c-1", "p-1/c-1"):
        ledger(published).settle(refused=refusals)
        assert set_aside.discard(ledger(published), meant(origin_ids=(origin_id,))) == 1


@pytest.mark.parametrize("solution", ["one card is deleted", "the cards are joined", "the record leaves"])
def test_a_duplicate_that_a_person_resolved_leaves_the_list_with_the_next_push(office, solution):
    marts.fill(office.connection, 2, 0)
    first, second = (type_in(office, inn(office, 1), title="Ромашка") for _ in range(2))
    assert office.push().duplicates == 1
    assert office.push().duplicates == 1  # nobody did anything
    if solution == "one card is deleted":
        office.call("crm.item.delete", {"entityTypeId": 4, "id": second})
    elif solution == "the cards are joined":
        office.call("crm.entity.mergeBatch", {"params": {"entityTypeId": 4, "entityIds": [first, second]}})
    else:
        office.sql("delete from marts.crm_companies where company_id = company_id(1)")
    assert office.push().duplicates == 0
    assert office.ids("company").get(marts.company_id(1)) == (None if solution == "the record leaves" else first)
