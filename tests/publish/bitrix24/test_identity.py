"""Which portal it is: other portals under the same address, the same one under another, portals put back from a copy,
and two warehouses."""

import asyncio
import dataclasses
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import SecretStr

from ingest.bitrix24.errors import PortalRefused
from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.journal import utc_now
from publish import portals
from publish.bitrix24 import adoption
from publish.bitrix24.mark import Mark
from publish.sandbox import Limits
from publish.sandbox.methods import METHODS, Page
from tests.publish import marts
from tests.publish.bitrix24.test_adoption import type_in
from tests.publish.conftest import JumpingClock

OTHER = SecretStr("http://other.test/rest/1/sandbox/")


def mark_of(office) -> Mark | None:
    fields = office.call("crm.company.userfield.list", {"filter": {"FIELD_NAME": "UF_CRM_SVOD_STATE"}})
    return Mark.of(fields[0]["XML_ID"]) if fields else None


def write_as_another(office, **fields) -> None:
    """Write the mark as another warehouse does."""
    field = office.call("crm.company.userfield.list", {"filter": {"FIELD_NAME": "UF_CRM_SVOD_STATE"}})[0]
    mark = replace(Mark.of(field["XML_ID"]), writer="0123456789ab", **fields)
    office.call("crm.company.userfield.update", {"id": field["ID"], "fields": {"XML_ID": mark.text}})


def type_in_strangers(office, number: int) -> dict[str, list[dict]]:
    """Cards that people typed in, as many of each kind; what the portal shows of them."""
    for n in range(number):
        for entity_type, fields in (
            (4, {"title": f"Чужая {n}"}),
            (3, {"name": f"Чужой {n}"}),
            (2, {"title": f"Их {n}"}),
        ):
            office.call("crm.item.add", {"entityTypeId": entity_type, "fields": fields})
    return strangers(office)


def strangers(office) -> dict[str, list[dict]]:
    return {
        entity: [card for card in office.portal.items(entity) if card["originatorId"] != "svod"]
        for entity in ("company", "contact", "deal")
    }


def forget_mark(office) -> None:
    (field,) = office.call("crm.company.userfield.list", {"filter": {"FIELD_NAME": "UF_CRM_SVOD_STATE"}})
    office.call("crm.company.userfield.update", {"id": field["ID"], "fields": {"XML_ID": ""}})


def deny_marks(office) -> None:
    office.faults.fail("crm.company.userfield.update", "", "Access denied.", 403, times=1000)


def change_all(office) -> None:
    office.sql("update marts.crm_companies set title = title || ' (новое)', legal_address = legal_address || ', к 1'")
    office.sql("update marts.crm_contacts set phones = ['+' || (right(phones[1], 11)::bigint + 10000000)]")
    office.sql("update marts.crm_deals set amount = amount + 1")


def grow(office, companies: int, contacts: int, deals: int) -> None:
    marts.fill(office.connection, companies, contacts, deals)


class TestAnotherPortal:
    """Numbers of cards are the portal's own: they mean nothing in another one."""

    def test_a_portal_in_the_place_of_the_one_before_gets_our_cards_and_keeps_its_own(self, published):
        change_all(published)
        published.swap_portal()
        theirs = type_in_strangers(published, 20)
        result = published.push(let_through=True)
        assert strangers(published) == theirs
        assert published.differences() == []
        assert "holds no card of the ledger" in result.notes[0]
        names = {name for (name,) in published.sql("select distinct portal from sync.ledger")}
        assert "portal.test" in names and len(names) == 2

    def test_a_portal_in_the_place_of_another_is_not_mistaken_and_neither_is_the_first_when_it_returns(self, office):
        grow(office, 4, 8, 4)
        office.push()
        first = office.app
        change_all(office)
        office.swap_portal()
        type_in_strangers(office, 3)
        office.push(let_through=True)
        second, ids = office.app, office.ids("company")
        for app in (first, second, first):
            office.app = app
            change_all(office)
            theirs = strangers(office)
            result = office.push(let_through=True)
            assert "is another portal than before" in result.notes[0]
            assert office.differences() == []
            assert strangers(office) == theirs
        office.app = second
        change_all(office)
        office.push(let_through=True)
        assert office.ids("company") == ids

    def test_rows_of_an_older_warehouse_are_not_believed_of_a_portal_that_shows_none_of_them(self, published):
        published.sql("delete from sync.portals")
        published.sql("update sync.ledger set portal = ''")
        change_all(published)
        published.swap_portal()
        theirs = type_in_strangers(published, 20)
        published.push(let_through=True)
        assert strangers(published) == theirs
        assert published.differences() == []

    def test_rows_of_an_older_warehouse_are_kept_where_the_portal_shows_them(self, published):
        published.sql("delete from sync.portals")
        published.sql("update sync.ledger set portal = ''")
        ids, counts = published.ids("company"), published.portal.counts()
        change_all(published)
        published.push(let_through=True)
        assert (published.ids("company"), published.portal.counts()) == (ids, counts)
        assert published.differences() == []
        assert published.sql("select filled_at is not null from sync.portals") == [(True,)]

    def test_a_portal_rehearsed_on_leaves_nothing_behind_for_the_real_one(self, published):
        published.swap_portal()
        theirs = type_in_strangers(published, 20)
        change_all(published)
        published.push(let_through=True, bitrix24_webhook=OTHER)
        assert strangers(published) == theirs
        ours = [card for card in published.portal.items("company") if card["originatorId"] == "svod"]
        assert len(ours) == 4


class TestTheSamePortal:
    """Recognised under another name, and without its mark."""

    def test_a_renamed_portal_is_recognised_and_nothing_is_created_again(self, published):
        counts = published.portal.counts()
        change_all(published)
        result = published.push(let_through=True, bitrix24_webhook=OTHER)
        assert published.portal.counts() == counts
        assert result.created == {}
        assert published.differences() == []
        assert result.notes == ["other.test is the portal that was portal.test: its ledger goes by the new name"]
        assert published.sql("select portal from sync.portals") == [("other.test",)]

    def test_a_portal_whose_mark_was_deleted_is_recognised_by_its_cards(self, published):
        counts, mark = published.portal.counts(), mark_of(published)
        field = published.call("crm.company.userfield.list", {"filter": {"FIELD_NAME": "UF_CRM_SVOD_STATE"}})[0]
        published.call("crm.company.userfield.delete", {"id": field["ID"]})
        change_all(published)
        result = published.push(let_through=True)
        assert published.portal.counts() == counts
        assert result.notes == []
        assert mark_of(published).portal == mark.portal

    def test_a_card_that_a_manager_deleted_stays_deleted(self, published):
        published.sql("delete from sync.portals")
        gone = published.ids("contact")[marts.contact_id(2)]
        published.call("crm.item.delete", {"entityTypeId": 3, "id": gone})
        change_all(published)
        published.push(let_through=True)
        assert published.portal.counts()["contact"] == 7

    def test_adopted_cards_that_carry_the_key_of_another_system_are_still_those(self, office):
        grow(office, 2, 4, 2)
        (inn,) = office.sql("select inn from marts.crm_companies where company_id = company_id(0)")[0]
        theirs = {"originatorId": "1c", "originId": "000001"}
        firm = type_in(office, inn, **theirs)
        number = {"typeId": "PHONE", "valueType": "WORK", "value": "8 (916) 000-00-02"}
        fields = {"name": "Пётр", "companyIds": [firm], "fm": {"n0": number}, **theirs}
        person = office.call("crm.item.add", {"entityTypeId": 3, "fields": fields})["item"]["id"]
        office.push()
        ids = (office.ids("company"), office.ids("contact"))
        values = next(card for card in office.portal.items("contact") if card["id"] == person)["fm"]
        office.edit(3, person, fm={str(row["id"]): {"typeId": row["typeId"], "value": ""} for row in values})
        forget_mark(office)
        change_all(office)
        result = office.push(let_through=True)
        assert (office.ids("company"), office.ids("contact")) == ids
        assert (ids[1][marts.contact_id(2)], office.portal.counts()["contact"]) == (person, 4)
        assert (result.notes, result.created) == ([], {})

    def test_a_push_with_nothing_to_send_asks_nothing(self, published):
        published.portal.clear_log()
        published.push()
        assert published.portal.request_log() == []


class TestRestoredPortal:
    """A portal put back from an older copy has lost what was sent since, and gives its numbers to others."""

    def test_what_is_lost_is_created_again_and_strangers_with_those_numbers_are_left_alone(self, published, tmp_path):
        published.portal.copy_to(tmp_path / "copy.sqlite")
        grow(published, 9, 20, 12)
        published.sql(
            "update marts.crm_companies set account = '40702810900000000099' where company_id = company_id(0)"
        )
        published.push(let_through=True)
        change_all(published)
        published.push(let_through=True)
        published.swap_portal(tmp_path / "copy.sqlite")
        theirs = type_in_strangers(published, 3)
        published.sql("update marts.crm_contacts set post = 'директор' where contact_id = contact_id(0)")
        result = published.push(let_through=True)
        assert strangers(published) == theirs
        assert published.differences() == []
        assert "was put back from an older copy" in result.notes[0]

    def test_what_was_changed_since_is_sent_again_and_what_a_manager_changed_stays(self, published, tmp_path):
        change_all(published)
        published.push(let_through=True)
        published.portal.copy_to(tmp_path / "copy.sqlite")
        change_all(published)
        published.push(let_through=True)
        published.swap_portal(tmp_path / "copy.sqlite")
        card = published.ids("company")[marts.company_id(1)]
        published.edit(4, card, title="Как записал менеджер")
        published.sql("update marts.crm_companies set order_count = order_count + 1")
        published.push(let_through=True)
        (difference,) = published.differences()
        assert difference.startswith("title: 4 wanted, 4 in the portal")
        assert published.card("company", marts.company_id(1))["title"] == "Как записал менеджер"
        assert published.sql("select restored_at from sync.portals") == [(None,)]

    def test_links_and_states_of_since_are_made_good(self, published, tmp_path):
        grow(published, 4, 12, 4)
        published.push(let_through=True)
        published.portal.copy_to(tmp_path / "copy.sqlite")
        published.sql("delete from marts.crm_company_contacts where not is_primary")
        published.sql(
            """insert into marts.crm_company_contacts by name
               select company_id(3) as company_id, contact_id(1) as contact_id, false as is_primary"""
        )
        published.sql("delete from marts.crm_companies where company_id = company_id(2)")
        published.sql("insert into marts.departed_companies values (company_id(2), 'inactive', null)")
        published.push(let_through=True)
        links = published.portal.links()
        published.swap_portal(tmp_path / "copy.sqlite")
        assert published.portal.links() != links
        published.sql("update marts.crm_contacts set post = 'директор' where contact_id = contact_id(0)")
        published.push(let_through=True)
        assert published.portal.links() == links
        assert published.card("company", marts.company_id(2))["UF_CRM_SVOD_STATE"] == "inactive"

    def test_an_adopted_card_that_lost_our_key_with_the_copy_gets_it_again(self, published, tmp_path):
        grow(published, 6, 8, 4)
        (inn,) = published.sql("select inn from marts.crm_companies where company_id = company_id(5)")[0]
        card = published.call("crm.item.add", {"entityTypeId": 4, "fields": {"title": "Наш клиент"}})["item"]["id"]
        requisite = {"ENTITY_TYPE_ID": 4, "ENTITY_ID": card, "PRESET_ID": 1, "NAME": "Реквизиты", "RQ_INN": inn}
        published.call("crm.requisite.add", {"fields": requisite})
        published.portal.copy_to(tmp_path / "copy.sqlite")
        published.push(let_through=True)
        assert published.ids("company")[marts.company_id(5)] == card
        published.swap_portal(tmp_path / "copy.sqlite")
        published.sql("update marts.crm_contacts set post = 'директор' where contact_id = contact_id(0)")
        published.push(let_through=True)
        assert published.card("company", marts.company_id(5))["id"] == card

    def test_a_later_copy_put_back_after_an_older_one_makes_nothing_twice(self, published, tmp_path):
        published.portal.copy_to(tmp_path / "older.sqlite")
        grow(published, 9, 20, 12)
        published.push(let_through=True)
        published.portal.copy_to(tmp_path / "later.sqlite")
        published.swap_portal(tmp_path / "older.sqlite")
        theirs = type_in_strangers(published, 20)  # so that ours get higher numbers than they had
        change_all(published)
        published.push(let_through=True)
        assert strangers(published) == theirs
        published.swap_portal(tmp_path / "later.sqlite")
        change_all(published)
        published.push(let_through=True)
        assert strangers(published) == {"company": [], "contact": [], "deal": []}
        assert published.differences() == []

    def test_what_was_sent_in_a_time_that_was_given_up_is_no_managers(self, published, tmp_path):
        published.portal.copy_to(tmp_path / "older.sqlite")
        change_all(published)
        published.push(let_through=True)
        published.portal.copy_to(tmp_path / "later.sqlite")
        published.swap_portal(tmp_path / "older.sqlite")
        change_all(published)
        published.push(let_through=True)
        published.swap_portal(tmp_path / "later.sqlite")
        change_all(published)
        published.push(let_through=True)
        assert published.differences() == []
        assert published.sql("from sync.conflicts") == []

    def test_a_warehouse_put_back_as_well_is_told_by_the_mark_that_the_portal_was(self, published, tmp_path):
        grow(published, 9, 20, 12)
        published.portal.copy_to(tmp_path / "copy.sqlite")
        published.push(let_through=True)
        change_all(published)
        published.push(let_through=True)
        evening = published.copy_warehouse(tmp_path / "evening.duckdb")
        published.swap_portal(tmp_path / "copy.sqlite")
        theirs = type_in_strangers(published, 20)
        published.sql("update marts.crm_contacts set post = 'директор' where contact_id = contact_id(0)")
        published.faults.fail("crm.requisite.bankdetail.add", "OVERLOAD_LIMIT", "REST API is blocked")
        with suppress(PortalRefused):
            published.push(let_through=True)
        published.put_back_warehouse(evening)
        published.sql("update marts.crm_contacts set post = 'директор' where contact_id = contact_id(0)")
        published.push(let_through=True)
        assert strangers(published) == theirs
        assert published.differences() == []

    def test_a_copy_made_while_a_push_went_on_is_noticed_although_that_push_never_ended(self, office, tmp_path):
        grow(office, 30, 60, 20)
        execute, requests = office.app.state.engine.request, []

        def copying(name, params, *, fault=None):
            if any("batchImport" in command for command in params.get("cmd", {}).values()):
                requests.append(name)
                if len(requests) == 2:  # the companies are there, the people are not
                    office.portal.copy_to(tmp_path / "copy.sqlite")
            return execute(name, params, fault=fault)

        office.app.state.engine.request = copying
        office.faults.fail("crm.requisite.bankdetail.add", "OVERLOAD_LIMIT", "REST API is blocked")
        with suppress(PortalRefused):
            office.push()
        office.swap_portal(tmp_path / "copy.sqlite")
        assert office.portal.counts()["company"] > 0 and not office.portal.counts()["contact"]
        theirs = type_in_strangers(office, 5)
        office.push(let_through=True)
        assert office.differences() == []
        assert strangers(office) == theirs


class TestTwoWarehouses:
    """One of them publishes; the other is told so, and may take over."""

    def test_a_second_warehouse_is_refused_and_may_take_over(self, published, tmp_path):
        copy = published.copy_warehouse(tmp_path / "second.duckdb")
        first = tmp_path / "svod.duckdb"
        published.open_warehouse(copy)
        change_all(published)
        counts = published.portal.counts()
        published.portal.clear_log()
        with pytest.raises(OperatorError, match=r"another warehouse publishes to portal\.test") as refused:
            published.push()
        assert (refused.value.exit_status, "--take-over" in refused.value.hint) == (3, True)
        assert published.portal.writes() == {}
        grow(published, 6, 12, 6)
        change_all(published)
        published.push(let_through=True, take_over=True)
        assert published.differences() == []
        assert published.portal.counts()["company"] == counts["company"] + 2

        published.open_warehouse(first)
        grow(published, 6, 12, 6)
        change_all(published)
        with pytest.raises(OperatorError, match="another warehouse"):
            published.push()
        grown = published.portal.counts()
        published.push(let_through=True, take_over=True)
        assert published.portal.counts() == grown

    def test_a_warehouse_that_pushes_while_another_adopts_is_noticed_before_anything_is_sent(
        self, office, tmp_path, monkeypatch
    ):
        grow(office, 6, 12, 6)
        second = open_warehouse(tmp_path / "second.duckdb")
        marts.prepare(second)
        marts.fill(second, 6, 12, 6)
        beside = replace(office, connection=second, clock=JumpingClock())
        adopt = adoption.adopt

        async def slowly(run, inns):
            if run.connection is office.connection:
                await asyncio.to_thread(beside.push)
            return await adopt(run, inns)

        monkeypatch.setattr(adoption, "adopt", slowly)
        with pytest.raises(OperatorError, match="another warehouse") as refused:
            office.push()
        second.close()
        assert refused.value.exit_status == 3
        assert (office.portal.counts()["company"], office.portal.counts()["contact"]) == (6, 12)

    def test_a_warehouse_that_takes_over_in_the_midst_of_a_long_push_is_noticed_within_minutes(self, open_office):
        office = open_office(Limits())
        grow(office, 300, 14_000, 0)
        execute, others = office.app.state.engine.request, []

        def taken_over(name, params, *, fault=None):
            answer = execute(name, params, fault=fault)
            if not others and "crm.item.batchImport" in str(params):
                others.append(name)
                write_as_another(office)
            return answer

        office.app.state.engine.request = taken_over
        with pytest.raises(OperatorError, match="another warehouse") as refused:
            office.push()
        assert refused.value.exit_status == 3
        assert office.portal.counts()["contact"] < 14_000

    def test_a_push_of_another_warehouse_that_goes_on_is_not_taken_over(self, published, monkeypatch):
        write_as_another(published, number=3, at=utc_now())
        change_all(published)
        with pytest.raises(OperatorError, match="another warehouse") as refused:
            published.push(let_through=True, take_over=True)
        assert (refused.value.exit_status, "under way" in refused.value.hint) == (3, True)
        write_as_another(published, number=3, at=utc_now() - timedelta(minutes=21))
        published.push(let_through=True, take_over=True)
        assert published.differences() == []

    def test_a_warehouse_that_takes_over_while_a_push_goes_on_is_noticed_at_its_end(self, published):
        execute, others = published.app.state.engine.request, []

        def taken_over(name, params, *, fault=None):
            answer = execute(name, params, fault=fault)
            if not others and any("crm.item.update" in command for command in params.get("cmd", {}).values()):
                others.append(name)
                write_as_another(published)
            return answer

        published.app.state.engine.request = taken_over
        published.sql("update marts.crm_contacts set post = 'директор'")
        with pytest.raises(OperatorError, match="another warehouse") as refused:
            published.push(let_through=True)
        assert refused.value.exit_status == 3
        assert mark_of(published).writer == "0123456789ab"


class TestTheMark:
    """It is written before the first create and at the end, and a kill in between confuses nobody."""

    def test_the_mark_counts_pushes_and_names_no_secret(self, published):
        mark = mark_of(published)
        assert (mark.number, mark.is_under_way) == (2, False)
        published.sql("update marts.crm_contacts set post = 'директор'")
        published.push(let_through=True)
        assert mark_of(published).number == 4
        assert published.sql("select counter, mark from sync.portals") == [(4, mark.portal)]
        assert len(mark.text) < 255

    @pytest.mark.parametrize("step", ["intend_mark", "confirm_mark"])
    def test_a_push_killed_around_its_mark_goes_on(self, published, monkeypatch, step):
        grow(published, 6, 12, 6)
        with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
            killed.setattr(portals, step, interrupt)
            published.push()
        result = published.push()
        assert result.notes == []
        assert published.differences() == []

    def test_a_push_killed_between_its_mark_and_the_first_create_goes_on(self, published):
        grow(published, 6, 12, 6)
        published.faults.fail("crm.item.batchImport", "OVERLOAD_LIMIT", "REST API is blocked")
        with pytest.raises(PortalRefused):
            published.push()
        assert mark_of(published).is_under_way
        result = published.push()
        assert result.notes == []
        assert published.differences() == []

    def test_lost_answers_do_not_lose_the_mark(self, published):
        grow(published, 6, 12, 6)
        for fault in ("lose_answer", "error_500", "bad_gateway", "cut"):
            published.faults.script(fault, fault, None, fault, None, None, fault, None, fault)
            published.sql("update marts.crm_contacts set post = coalesce(post, '') || '!'")
            assert published.push(let_through=True).notes == []
        assert published.differences() == []

    def test_a_portal_that_lets_nobody_mark_it_is_published_to_and_says_so_once(self, office):
        deny_marks(office)
        grow(office, 4, 8, 4)
        assert "does not let us mark it" in office.push().notes[0]
        change_all(office)
        assert office.push(let_through=True).notes == []
        assert office.differences() == []

    def test_an_unmarked_portal_is_checked_at_every_push(self, office):
        deny_marks(office)
        grow(office, 4, 8, 4)
        office.push()
        change_all(office)
        office.swap_portal()
        deny_marks(office)
        theirs = type_in_strangers(office, 20)
        office.push(let_through=True)
        assert strangers(office) == theirs
        assert office.differences() == []

    def test_the_newest_card_stays_deleted_in_an_unmarked_portal(self, office):
        deny_marks(office)
        grow(office, 4, 8, 4)
        office.push()
        office.call("crm.item.delete", {"entityTypeId": 4, "id": office.ids("company")[marts.company_id(3)]})
        office.sql("update marts.crm_contacts set post = 'директор'")
        result = office.push(let_through=True)
        assert (result.created, result.notes) == ({}, [])
        assert office.portal.counts()["company"] == 3

    def test_the_newest_card_stays_deleted_after_a_killed_push(self, published):
        grow(published, 6, 8, 4)
        published.faults.fail("crm.requisite.bankdetail.add", "OVERLOAD_LIMIT", "REST API is blocked")
        with pytest.raises(PortalRefused):
            published.push(let_through=True)
        published.call("crm.item.delete", {"entityTypeId": 4, "id": published.ids("company")[marts.company_id(5)]})
        result = published.push(let_through=True)
        assert ("company" in result.created, result.notes) == (False, [])
        assert published.portal.counts()["company"] == 5

    @pytest.mark.parametrize("is_marked", [True, False])
    def test_an_unmarked_portal_put_back_gets_changes_addresses_and_links_again(self, office, tmp_path, is_marked):
        if not is_marked:
            deny_marks(office)
        grow(office, 6, 12, 6)
        office.push()
        office.portal.copy_to(tmp_path / "copy.sqlite")
        office.sql(
            "update marts.crm_companies set title = 'Новое', legal_address = 'Тверь' where company_id = company_id(1)"
        )
        office.sql(
            """insert into marts.crm_company_contacts by name
               select company_id(4) as company_id, contact_id(1) as contact_id, false as is_primary"""
        )
        office.push()
        office.swap_portal(tmp_path / "copy.sqlite")
        if not is_marked:
            deny_marks(office)
        office.sql("update marts.crm_contacts set post = 'директор' where contact_id = contact_id(3)")
        result = office.push(let_through=True)
        assert office.differences() == []
        assert len(result.notes) == 1
        assert office.sql("select count(*) from sync.conflicts") == [(0,)]

    def test_a_portal_that_no_longer_lets_us_mark_it_is_checked_too(self, published, tmp_path):
        published.portal.copy_to(tmp_path / "copy.sqlite")
        deny_marks(published)
        grow(published, 9, 20, 12)
        assert "does not let us mark it" in published.push(let_through=True).notes[0]
        change_all(published)
        published.swap_portal(tmp_path / "copy.sqlite")
        theirs = type_in_strangers(published, 5)
        published.push(let_through=True)
        assert strangers(published) == theirs
        assert published.differences() == []

    @pytest.mark.parametrize("is_marked", [True, False])
    def test_a_lost_right_to_read_is_not_taken_for_a_portal_that_lost_it_all(self, office, monkeypatch, is_marked):
        if not is_marked:
            deny_marks(office)
        grow(office, 4, 8, 4)
        office.faults.fail("crm.item.update", "OVERLOAD_LIMIT", "REST API is blocked", 403)
        office.push()
        change_all(office)
        with pytest.raises(PortalRefused):  # the mark of a push that never ended
            office.push()
        before, ledger = office.portal.counts(), office.sql("select entity, origin_id from sync.ledger order by all")
        for name in ("crm.item.list", "crm.requisite.list", "crm.requisite.bankdetail.list"):
            hide(monkeypatch, name)
        with suppress(OperatorError):
            office.push()
        assert office.portal.counts() == before
        assert office.sql("select entity, origin_id from sync.ledger order by all") == ledger
        monkeypatch.undo()
        office.sql("update sync.dead_letters set next_at = now()::timestamp")
        office.push()
        assert office.portal.counts() == before
        assert office.differences() == []

    def test_a_mark_of_a_later_version_stops_the_push(self, published):
        field = published.call("crm.company.userfield.list", {"filter": {"FIELD_NAME": "UF_CRM_SVOD_STATE"}})[0]
        published.call("crm.company.userfield.update", {"id": field["ID"], "fields": {"XML_ID": "svod2;x"}})
        change_all(published)
        with pytest.raises(OperatorError, match="later version"):
            published.push(let_through=True)

    def test_who_wrote_is_told_by_the_name_of_the_machine_where_one_is_set(self, warehouse):
        told = portals.writer_of(warehouse, "crm-1")
        assert told == portals.writer_of(warehouse, "crm-1")
        assert told.fingerprint != portals.writer_of(warehouse, "crm-2").fingerprint


def hide(monkeypatch, name: str) -> None:
    """Have a list leave everything out, as for a user who may not read it."""
    empty = {"items": []} if name == "crm.item.list" else []
    method = dataclasses.replace(METHODS[name], handler=lambda call: Page(empty, 0, None))
    monkeypatch.setitem(METHODS, name, method)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt
