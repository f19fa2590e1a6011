"""The machine's clock goes back by an hour between pushes, or is far off: nothing is skipped, nothing waits for it."""

import json
from datetime import timedelta

import pytest

from ingest.warehouse.errors import OperatorError
from ingest.warehouse.journal import utc_now
from publish.bitrix24.parts import PARTS
from tests.publish import marts
from tests.publish.bitrix24.test_adoption import inn, type_in
from tests.publish.bitrix24.test_identity import change_all, grow, write_as_another


def listed(office) -> list[tuple]:
    return office.sql("select origin_id from sync.adoption_duplicates")


def test_a_duplicate_that_is_still_there_stays_on_the_list_when_the_clock_goes_back_in_a_push(office, monkeypatch):
    marts.fill(office.connection, 2, 0)
    for _ in range(2):
        type_in(office, inn(office, 1))
    monkeypatch.setattr("publish.ledger.utc_now", lambda: utc_now() - timedelta(hours=1))
    assert office.push().duplicates == 1
    assert listed(office) == [(marts.company_id(1),)]


def test_a_duplicate_that_a_person_joined_leaves_the_list_when_it_was_noticed_in_a_time_to_come(office):
    marts.fill(office.connection, 2, 0)
    cards = [type_in(office, inn(office, 1)) for _ in range(2)]
    assert office.push().duplicates == 1
    office.sql("update sync.adoption_duplicates set noticed_at = noticed_at + interval 1 hour")
    office.call("crm.item.delete", {"entityTypeId": 4, "id": cards[1]})
    assert office.push().duplicates == 0
    assert listed(office) == []


def test_a_dead_letter_of_a_time_to_come_is_tried_at_once(office):
    marts.fill(office.connection, 2, 4)
    office.sql("update marts.crm_contacts set emails = ['no address'] where contact_id = contact_id(1)")
    office.push()
    assert office.push().dead_letters_now == 0
    office.sql("update sync.dead_letters set last_at = last_at + to_days(365), next_at = next_at + to_days(365)")
    assert office.push().dead_letters_now == 1
    (last_at,) = office.sql("select last_at from sync.dead_letters")[0]
    assert last_at <= utc_now()


def test_a_confirmation_of_a_time_to_come_does_not_last_until_then(published):
    change_all(published)
    counts = json.dumps({part.entity: 99 for part in PARTS})
    published.sql("insert into sync.confirmed_plans values ('portal.test', ?, now() + to_days(365))", counts)
    with pytest.raises(OperatorError, match="the plan would write"):
        published.push(fuse_floor=1, fuse_share=0)


def test_a_portal_put_back_gets_all_that_was_sent_since_its_copy_also_when_the_clock_had_gone_back(
    published, tmp_path, monkeypatch
):
    published.portal.copy_to(tmp_path / "copy.sqlite")
    for module in ("publish.ledger", "publish.bitrix24.signing"):
        monkeypatch.setattr(f"{module}.utc_now", lambda: utc_now() - timedelta(hours=1))
    grow(published, 6, 12, 6)
    change_all(published)
    published.push(let_through=True)
    published.swap_portal(tmp_path / "copy.sqlite")
    published.sql("update marts.crm_contacts set post = 'директор' where contact_id = contact_id(0)")
    published.push(let_through=True)
    assert published.differences() == []


def test_a_push_of_another_warehouse_whose_clock_is_days_ahead_may_be_taken_over(published):
    write_as_another(published, number=3, at=utc_now() + timedelta(hours=1))
    change_all(published)
    with pytest.raises(OperatorError, match="another warehouse"):
        published.push(let_through=True, take_over=True)
    write_as_another(published, number=3, at=utc_now() + timedelta(days=2))
    published.push(let_through=True, take_over=True)
    assert published.differences() == []
