"""What a portal that was put back still holds: told from what people deleted, also where answers are lost, pushes are
killed, and the warehouse is put back as well."""

import pytest

from publish import portals
from publish.bitrix24 import identity, signing
from tests.publish import marts
from tests.publish.bitrix24.test_identity import (
    change_all,
    deny_marks,
    forget_mark,
    grow,
    interrupt,
    strangers,
    type_in_strangers,
)


class Killed(BaseException):
    """The publisher is killed."""


def test_a_lost_answer_is_not_taken_for_a_card_that_may_not_be_read(published):
    """Another portal, without a mark, in which strangers have some of our numbers."""
    published.swap_portal()
    theirs = type_in_strangers(published, 2)
    execute, lost = published.app.state.engine.request, []

    def losing(name, params, *, fault=None):
        answer = execute(name, params, fault=fault)
        if not lost and "crm.item.get" in str(params) and "entityTypeId=2" in str(params):
            lost.append(name)
            return 502, {}, {}
        return answer

    published.app.state.engine.request = losing
    change_all(published)
    published.push(let_through=True)
    change_all(published)
    published.push(let_through=True)
    assert lost
    assert strangers(published) == theirs
    assert published.differences() == []
    assert published.sql("from sync.deletions") == []


def test_a_push_killed_after_it_let_go_of_what_is_lost_leaves_nothing_uncompared(published, tmp_path, monkeypatch):
    deny_marks(published)
    change_all(published)
    published.push(let_through=True)
    published.portal.copy_to(tmp_path / "copy.sqlite")
    grow(published, 6, 12, 6)
    change_all(published)
    published.push(let_through=True)
    published.swap_portal(tmp_path / "copy.sqlite")
    deny_marks(published)
    theirs = type_in_strangers(published, 5)
    change_all(published)
    with monkeypatch.context() as killing, pytest.raises(KeyboardInterrupt):
        killing.setattr(identity, "catch_up", interrupt)
        killing.setattr(identity, "put_back_links", interrupt)
        published.push(let_through=True)
    published.push(let_through=True)
    assert published.differences() == []
    assert strangers(published) == theirs


def test_a_portal_put_back_is_brought_up_to_date_once_also_by_a_push_killed_at_its_end(
    published, tmp_path, monkeypatch
):
    change_all(published)
    published.push(let_through=True)
    published.portal.copy_to(tmp_path / "copy.sqlite")
    change_all(published)
    published.push(let_through=True)
    published.swap_portal(tmp_path / "copy.sqlite")
    published.sql("update marts.crm_contacts set post = 'директор'")
    with monkeypatch.context() as killing, pytest.raises(KeyboardInterrupt):
        killing.setattr(portals, "set_filled", interrupt)
        published.push(let_through=True)
    assert published.differences() == []
    published.push()
    assert published.sql("select restored_at from sync.portals") == [(None,)]
    published.sql("update marts.crm_contacts set post = 'бухгалтер' where contact_id = contact_id(0)")
    published.push(fuse_floor=1, fuse_share=0)
    assert published.differences() == []


def test_deals_made_anew_under_their_old_numbers_do_not_count_others_as_deleted(published, tmp_path):
    """A portal is put back, the push that notices it is killed amid the deals, and the warehouse is put back, too."""
    deal = "shop_a:{:07}".format
    grow(published, 4, 8, 0)
    published.push(let_through=True)
    published.portal.copy_to(tmp_path / "copy.sqlite")
    fill = "insert into marts.crm_deals by name select * from all_deals where deal_id between ? and ?"
    with_deals = "create or replace temp table all_deals as from marts.crm_deals"
    grow(published, 4, 8, 30)
    published.sql(with_deals)
    for first, last in ((20, 29), (5, 19)):
        published.sql("delete from marts.crm_deals where deal_id not in (select origin_id from sync.ledger)")
        published.sql(fill, deal(first), deal(last))
        marts.stamp(published.connection)
        published.push(let_through=True)
    evening = published.copy_warehouse(tmp_path / "evening.duckdb")
    numbers = published.ids("deal")
    published.swap_portal(tmp_path / "copy.sqlite")
    for number in range(numbers[deal(20)], numbers[deal(29)] + 1):  # strangers' deals that came and went
        assert published.call("crm.item.add", {"entityTypeId": 2, "fields": {"title": "Их"}})["item"]["id"] == number
        published.call("crm.item.delete", {"entityTypeId": 2, "id": number})
    execute = published.app.state.engine.request

    def killing(name, params, *, fault=None):
        commands = params.get("cmd", {})
        if not any("batchImport" in command and "entityTypeId=2" in command for command in commands.values()):
            return execute(name, params, fault=fault)
        execute(name, {"cmd": dict(list(commands.items())[:1])})
        raise Killed

    published.app.state.engine.request = killing
    published.sql("update marts.crm_contacts set post = 'директор'")
    with pytest.raises(Killed):
        published.push(let_through=True)
    published.app.state.engine.request = execute
    assert published.card("deal", deal(5))["id"] == numbers[deal(5)]
    published.put_back_warehouse(evening)
    published.sql("update marts.crm_deals set amount = amount + 1")
    published.push(let_through=True)
    assert published.differences() == []
    assert published.sql("from sync.deletions") == []


def test_a_bank_detail_sent_in_a_time_that_was_given_up_is_changed_and_not_made_twice(published, tmp_path):
    published.portal.copy_to(tmp_path / "older.sqlite")
    grow(published, 9, 20, 12)
    published.push(let_through=True)
    published.portal.copy_to(tmp_path / "later.sqlite")
    published.swap_portal(tmp_path / "older.sqlite")
    type_in_strangers(published, 20)  # so that ours get higher numbers than they had
    changed = (
        "update marts.crm_companies set account = '4070281' || '{}' || right(account, 12), legal_address = 'Тверь {}'"
    )
    for day in (1, 2):
        published.sql(changed.format(day, day))
        published.push(let_through=True)
    published.swap_portal(tmp_path / "later.sqlite")
    published.sql(changed.format(3, 3))
    published.push(let_through=True)
    assert published.differences() == []
    assert published.sql("from sync.conflicts") == []


@pytest.mark.parametrize("is_marked", [True, False])
def test_a_company_deleted_with_its_people_and_deals_is_not_taken_for_an_older_copy(published, monkeypatch, is_marked):
    """After a push that was killed at its end, and in a portal that we may not mark."""
    if not is_marked:
        published.sql("update sync.portals set mark = null")
        forget_mark(published)
        deny_marks(published)
    grow(published, 5, 12, 5)
    with monkeypatch.context() as killing, pytest.raises(KeyboardInterrupt):
        killing.setattr(signing, "sign_off", interrupt)
        published.push()
    person, firm = published.ids("contact")[marts.contact_id(10)], published.ids("company")[marts.company_id(0)]
    published.call("crm.contact.company.delete", {"id": person, "fields": {"COMPANY_ID": firm}})
    gone = {4: ("company", marts.company_id(4)), 3: ("contact", marts.contact_id(11)), 2: ("deal", "shop_a:0000004")}
    for entity_type, (entity, key) in gone.items():
        published.call("crm.item.delete", {"entityTypeId": entity_type, "id": published.ids(entity)[key]})
    counts = published.portal.counts()
    published.sql("update marts.crm_contacts set post = 'директор' where contact_id = contact_id(0)")
    assert published.push().notes == []
    assert (published.portal.counts(), (person, firm) in published.portal.links()) == (counts, False)


def test_in_a_portal_that_we_may_not_mark_cards_deleted_one_after_the_other_stay_deleted(published):
    published.sql("update sync.portals set mark = null")
    forget_mark(published)
    deny_marks(published)
    deal = published.ids("deal")["shop_a:0000003"]
    published.call("crm.item.delete", {"entityTypeId": 2, "id": deal})
    grow(published, 5, 8, 4)
    published.push()
    assert published.sql("select entity, bitrix_id from sync.deletions") == [("deal", deal)]
    company = published.ids("company")[marts.company_id(4)]
    published.call("crm.item.delete", {"entityTypeId": 4, "id": company})
    counts = published.portal.counts()
    published.sql("update marts.crm_contacts set post = 'директор' where contact_id = contact_id(0)")
    assert published.push().notes == []
    assert published.portal.counts() == counts
