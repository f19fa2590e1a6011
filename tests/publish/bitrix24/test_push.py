"""Pushes as a whole: what ends up in the portal, and how little is sent for it."""

import pytest

from ingest.warehouse.errors import OperatorError
from publish import plan
from publish.bitrix24.errors import PortalRefused
from publish.bitrix24.parts import PARTS
from publish.ledger import Ledger
from tests.publish import marts


def test_a_first_push_creates_every_part_once(office):
    marts.fill(office.connection, 60, 130, 90)
    result = office.push()
    assert office.differences() == []
    assert result.created["company"] == 60
    assert result.dead_letters == 0


def test_a_second_push_sends_nothing(office):
    marts.fill(office.connection, 60, 130, 90)
    office.push()
    office.portal.clear_log()
    office.push()
    assert office.portal.request_log() == []


def test_an_unfinished_unit_is_completed(office):
    """A company whose requisite, bank detail and address are not there yet gets them, and is not created again."""
    marts.fill(office.connection, 12, 0)
    office.faults.fail("crm.requisite.add", "ERROR_CORE", "Internal refusal", times=5)
    office.push()
    assert office.portal.counts()["requisite"] == 7
    office.sql("update sync.dead_letters set next_at = now()::timestamp")
    office.push()
    assert office.differences() == []


def test_one_changed_phone_among_a_hundred_thousand_contacts_is_one_write_command(office):
    marts.fill(office.connection, 40, 400)
    office.push()
    marts.fill(office.connection, 40, 100_000)
    plan.compute(Ledger(office.connection, office.settings.portal), PARTS)
    marts.take_over(office.connection)  # the others are published as far as the ledger knows
    office.portal.clear_log()
    office.sql("update marts.crm_contacts set phones = ['+79990001122'] where contact_id = contact_id(7)")
    result = office.push()
    assert office.portal.writes() == {"crm.item.update": 1}
    assert result.requests == 3  # the portal's books, the card as it is, the change
    held = {item["originId"]: item["fm"] for item in office.portal.items("contact")}
    assert [one["value"] for one in held[marts.contact_id(7)] if one["typeId"] == "PHONE"] == ["+79990001122"]


def test_only_the_changed_field_is_sent(office):
    marts.fill(office.connection, 3, 0)
    office.push()
    card = office.ids("company")[marts.company_id(1)]
    office.call("crm.item.update", {"entityTypeId": 4, "id": card, "fields": {"comments": "звонить после обеда"}})
    office.sql("update marts.crm_companies set title = 'ООО Василёк' where company_id = company_id(1)")
    office.push()
    held = next(item for item in office.portal.items("company") if item["id"] == card)
    assert (held["title"], held["comments"]) == ("ООО Василёк", "звонить после обеда")


def test_requisites_get_the_preset_of_their_kind(office):
    marts.fill(office.connection, 8, 0)
    office.push()
    presets = {row["ID"]: row["NAME"] for row in office.call("crm.requisite.preset.list", {})}
    kinds = {len(row["RQ_INN"]): presets[str(row["PRESET_ID"])] for row in office.portal.requisites()}
    assert kinds == {10: "Организация", 12: "ИП"}
    person = next(row for row in office.portal.requisites() if len(row["RQ_INN"]) == 12)
    assert person["RQ_OGRNIP"] and not person["RQ_OGRN"]


def test_dates_are_the_days_of_moscow(office):
    marts.fill(office.connection, 2, 0)
    office.push()
    held = {item["originId"]: item.get("UF_CRM_SVOD_LAST_ORDER") for item in office.portal.items("company")}
    assert held[marts.company_id(1)][:10] == "2026-03-03"  # 2 March, 22:30 UTC


def test_deals_take_the_stage_of_their_status(open_office):
    office = open_office(deal_stages={"paid": "EXECUTING"})
    marts.fill(office.connection, 1, 1, 5)
    office.push()
    stages = [item["stageId"] for item in office.portal.items("deal")]
    assert stages == ["NEW", "EXECUTING", "EXECUTING", "WON", "LOSE"]


def test_the_day_a_deal_is_closed_replaces_the_one_that_the_portal_set_itself(office):
    marts.fill(office.connection, 1, 1, 1)
    office.push()
    assert office.portal.items("deal")[0]["closedate"]
    office.sql("update marts.crm_deals set status = 'done', closed_at = timestamp '2026-03-05 21:30:00'")
    marts.derive(office.connection)
    office.push()
    (held,) = office.portal.items("deal")
    assert (held["stageId"], held["closedate"][:10]) == ("WON", "2026-03-06")
    assert office.sql("select count(*) from sync.conflicts") == [(0,)]


def test_a_person_without_a_name_goes_by_the_number_to_call(office):
    marts.fill(office.connection, 1, 1)
    office.sql("update marts.crm_contacts set last_name = null, first_name = null")
    marts.derive(office.connection)
    office.push()
    assert [item["lastName"] for item in office.portal.items("contact")] == ["+79160000000"]


def test_a_contact_waits_for_a_published_company(office):
    marts.fill(office.connection, 2, 2)
    office.sql("update marts.crm_companies set title = null where company_id = company_id(0)")
    office.faults.fail("crm.item.batchImport", "ERROR_CORE", "refused", times=3)  # the batch, then each company alone
    office.push()
    assert office.portal.counts()["contact"] == 0
    office.sql("update sync.dead_letters set next_at = now()::timestamp")
    office.sql("update marts.crm_companies set title = 'ООО Ромашка' where title is null")
    office.push()
    assert office.differences() == []


class TestLeaving:
    """States of records that left the marts; nothing is deleted in the portal."""

    def leave(self, office, state, merged_into=None):
        office.sql("delete from marts.crm_companies where company_id = company_id(1)")
        office.sql("insert into marts.departed_companies values (company_id(1), ?, ?)", state, merged_into)

    def state(self, office, n):
        held = {item["originId"]: item["UF_CRM_SVOD_STATE"] for item in office.portal.items("company")}
        return held[marts.company_id(n)]

    def test_an_inactive_company_keeps_its_card_its_people_and_its_deals(self, office):
        marts.fill(office.connection, 3, 9, 6)
        office.push()
        links, counts = office.portal.links(), office.portal.counts()
        self.leave(office, "inactive")
        office.sql("delete from marts.crm_deals where company_id = company_id(1)")
        office.sql("delete from marts.crm_company_contacts where company_id = company_id(1)")
        gone = "contact_id not in (select contact_id from marts.crm_company_contacts)"
        office.sql(
            f"""insert into marts.departed_contacts
                select contact_id, 'inactive', null from marts.crm_contacts where {gone}"""
        )
        office.sql(f"delete from marts.crm_contacts where {gone}")
        office.push()
        assert self.state(office, 1) == "inactive"
        assert (office.portal.links(), office.portal.counts()) == (links, counts)
        assert {item["UF_CRM_SVOD_STATE"] for item in office.portal.items("contact")} == {"active", "inactive"}

    def test_a_company_that_comes_back_is_active_again(self, office):
        marts.fill(office.connection, 3, 0)
        office.push()
        row = office.sql("select * from marts.crm_companies where company_id = company_id(1)")[0]
        self.leave(office, "source_removed")
        office.push()
        assert self.state(office, 1) == "source_removed"
        office.sql("delete from marts.departed_companies")
        office.connection.execute(f"insert into marts.crm_companies values ({', '.join('?' * len(row))})", row)
        office.portal.clear_log()
        office.push()
        assert self.state(office, 1) == "active"
        assert office.portal.writes() == {"crm.item.update": 1}

    def test_an_unknown_state_leaves_the_card_as_it_is(self, office):
        marts.fill(office.connection, 3, 0)
        office.push()
        self.leave(office, None)
        office.portal.clear_log()
        office.push()
        assert office.portal.request_log() == []

    def test_people_and_deals_of_a_merged_company_move_to_its_survivor(self, office):
        marts.fill(office.connection, 3, 6, 6)
        office.push()
        self.leave(office, "merged", marts.company_id(2))
        office.sql("update marts.crm_deals set company_id = company_id(2) where company_id = company_id(1)")
        office.sql(
            """update marts.crm_company_contacts set company_id = company_id(2)
               where company_id = company_id(1) and not exists (select 1 from marts.crm_company_contacts as other
                   where other.contact_id = crm_company_contacts.contact_id and other.company_id = company_id(2))"""
        )
        office.sql("delete from marts.crm_company_contacts where company_id = company_id(1)")
        office.push()
        ids = office.ids("company")
        assert self.state(office, 1) == "merged"
        assert not [contact for contact, company in office.portal.links() if company == ids[marts.company_id(1)]]
        assert ids[marts.company_id(1)] not in {item["companyId"] for item in office.portal.items("deal")}
        wanted = office.sql("select count(*) from marts.crm_company_contacts")[0][0]
        assert len(office.portal.links()) == wanted

    def test_the_portal_joins_merged_cards_where_that_is_asked_for(self, open_office):
        office = open_office(bitrix24_merge_cards=True)
        marts.fill(office.connection, 2, 0)
        office.sql("update marts.crm_companies set title = 'ООО Василёк'")
        office.push()
        self.leave(office, "merged", marts.company_id(0))
        office.push()
        assert [item["originId"] for item in office.portal.items("company")] == [marts.company_id(0)]
        assert list(office.ids("company")) == [marts.company_id(0)]

    def test_merged_cards_that_disagree_are_listed_once_and_left_to_a_person(self, open_office):
        office = open_office(bitrix24_merge_cards=True)
        marts.fill(office.connection, 2, 0)
        office.push()
        self.leave(office, "merged", marts.company_id(0))
        office.push()
        assert self.state(office, 1) == "merged"
        assert office.sql("select field, in_portal from sync.conflicts") == [("merge", "CONFLICT")]
        office.portal.clear_log()
        office.push()
        assert office.portal.writes() == {}


class TestFuse:
    """A plan that changes too much at once is stopped before the first request."""

    def test_a_large_plan_is_stopped_and_let_through_once(self, open_office):
        office = open_office(fuse_floor=5)
        marts.fill(office.connection, 20, 0)
        office.push()
        office.sql("update marts.crm_companies set title = title || '!'")
        office.portal.clear_log()
        with pytest.raises(OperatorError, match="20 of 20 published company cards") as stopped:
            office.push()
        assert stopped.value.exit_status == 3
        assert office.portal.writes() == {}
        office.push(let_through=True)
        assert office.differences() == []

    def test_a_first_run_that_broke_off_goes_on(self, open_office):
        office = open_office(fuse_floor=5)
        marts.fill(office.connection, 5, 0)
        office.faults.fail("crm.item.batchImport", "ACCESS_DENIED", "Access denied")
        with pytest.raises(PortalRefused):
            office.push()
        marts.fill(office.connection, 100, 0)
        office.push()
        assert office.differences() == []


def test_a_create_that_the_portal_finishes_late_is_not_repeated(office):
    """The publisher dies with a create on its way; the portal executes it only after the next run has begun to look."""
    marts.fill(office.connection, 3, 0)
    lookups = []
    execute = office.app.state.engine.request

    def late(name, params, *, fault=None):
        if any("crm.item.list" in command for command in params.get("cmd", {}).values()):
            lookups.append(name)
        answer = execute(name, params, fault=fault)
        if len(lookups) == 2 and not office.portal.counts()["company"]:  # the first one looks for cards of ours
            imported = [command for command in waiting["cmd"].values() if "batchImport" in command]
            execute("batch", {"cmd": {"late": imported[0]}})
        return answer

    waiting = {}

    def held_back(name, params, *, fault=None):
        if any("batchImport" in command for command in params.get("cmd", {}).values()) and not waiting:
            waiting.update(params)
            return 502, {}, {}
        return late(name, params, fault=fault)

    office.app.state.engine.request = held_back
    office.push()
    assert office.differences() == []
