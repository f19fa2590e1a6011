"""What leaves its mart while the rest stays: deals, bank details, addresses, the primary company of a person."""

import pytest

from ingest.warehouse.errors import SettingsError
from tests.publish import marts


class TestDeals:
    """An order that left marks its deal; one that comes back is active again."""

    KEY = "shop_a:0000001"

    def leave(self, office):
        row = office.sql("select * from marts.crm_deals where deal_id = ?", self.KEY)[0]
        office.sql("delete from marts.crm_deals where deal_id = ?", self.KEY)
        office.sql("insert into marts.departed_deals values (?, 'source_removed', null)", self.KEY)
        return row

    def come_back(self, office, row):
        office.sql("delete from marts.departed_deals")
        office.connection.execute(f"insert into marts.crm_deals values ({', '.join('?' * len(row))})", row)

    def test_a_deal_whose_order_left_says_so_and_one_that_came_back_is_active(self, published):
        office = published
        row, before = self.leave(office), office.card("deal", self.KEY)
        office.push()
        held = office.card("deal", self.KEY)
        assert held["UF_CRM_SVOD_STATE"] == "source_removed"
        assert (held["stageId"], held["contactId"]) == (before["stageId"], before["contactId"])
        assert [item.get("UF_CRM_SVOD_STATE") for item in office.portal.items("deal")].count(None) == 3
        office.portal.clear_log()
        office.push()
        assert office.portal.request_log() == []

        self.come_back(office, row)
        office.push()
        assert office.card("deal", self.KEY)["UF_CRM_SVOD_STATE"] == "active"
        office.portal.clear_log()
        office.push()
        assert office.portal.request_log() == []

    def test_a_deal_whose_order_left_goes_to_the_stage_of_the_settings_and_comes_back_to_its_own(self, published):
        office = published
        row, before = self.leave(office), office.card("deal", self.KEY)["stageId"]
        office.push(deal_departed_stage="APOLOGY")
        assert office.card("deal", self.KEY)["stageId"] == "APOLOGY"
        self.come_back(office, row)
        office.push(deal_departed_stage="APOLOGY")
        assert office.card("deal", self.KEY)["stageId"] == before
        assert office.sql("select count(*) from sync.conflicts") == [(0,)]

    def test_a_deal_that_a_manager_moved_stays_in_the_managers_stage(self, published):
        office = published
        self.leave(office)
        office.edit(2, office.ids("deal")[self.KEY], stageId="FINAL_INVOICE")
        office.push(deal_departed_stage="APOLOGY")
        assert office.card("deal", self.KEY)["stageId"] == "FINAL_INVOICE"
        assert office.sql("select entity, field from sync.conflicts") == [("deal", "stageId")]

    def test_a_stage_for_deals_that_left_has_to_be_there(self, published):
        self.leave(published)
        with pytest.raises(SettingsError, match="SVOD_DEAL_DEPARTED_STAGE: the portal has no deal stage GONE"):
            published.push(deal_departed_stage="GONE")


class TestContactOfADeal:
    """A deal keeps the contact it was made with: it follows a merge, and is never stripped."""

    KEY = "shop_a:0000001"

    def test_a_deal_of_a_person_who_left_keeps_its_contact_and_is_not_even_planned(self, published):
        office = published
        contact = office.card("deal", self.KEY)["contactId"]
        office.sql("update marts.crm_deals set contact_id = null where deal_id = ?", self.KEY)
        office.portal.clear_log()
        office.push()
        assert office.portal.request_log() == []
        office.sql("update marts.crm_deals set amount = 77 where deal_id = ?", self.KEY)
        office.push()
        held = office.card("deal", self.KEY)
        assert (held["contactId"], held["opportunity"]) == (contact, 77)
        office.portal.clear_log()
        office.push()
        assert office.portal.request_log() == []

    def test_a_deal_follows_its_contact_into_a_merge_also_when_its_order_names_nobody_any_more(self, published):
        office = published
        office.sql("update marts.crm_deals set contact_id = null, amount = 78 where deal_id = ?", self.KEY)
        office.sql("insert into marts.departed_contacts values (contact_id(1), 'merged', contact_id(2))")
        office.sql("delete from marts.crm_company_contacts where contact_id = contact_id(1)")
        office.sql("delete from marts.crm_contacts where contact_id = contact_id(1)")
        office.push()
        assert office.card("deal", self.KEY)["contactId"] == office.ids("contact")[marts.contact_id(2)]
        office.portal.clear_log()
        office.push()
        assert office.portal.request_log() == []

    def test_a_deal_keeps_its_contact_while_the_survivor_of_a_merge_is_not_in_the_portal(self, published):
        office = published
        contact = office.card("deal", self.KEY)["contactId"]
        office.sql("update marts.crm_deals set contact_id = null, amount = 80 where deal_id = ?", self.KEY)
        office.sql("insert into marts.departed_contacts values (contact_id(1), 'merged', 'p-nowhere')")
        office.sql("delete from marts.crm_company_contacts where contact_id = contact_id(1)")
        office.sql("delete from marts.crm_contacts where contact_id = contact_id(1)")
        for amount in (81, 82):
            office.push()
            assert office.card("deal", self.KEY)["contactId"] == contact
            office.sql("update marts.crm_deals set amount = ? where deal_id = ?", amount, self.KEY)

    def test_a_contact_that_a_manager_gave_a_deal_stays(self, published):
        office = published
        other = office.ids("contact")[marts.contact_id(3)]
        office.edit(2, office.ids("deal")[self.KEY], contactIds=[other])
        office.sql("update marts.crm_deals set contact_id = null, amount = 79 where deal_id = ?", self.KEY)
        office.push()
        assert office.card("deal", self.KEY)["contactId"] == other


class TestDetails:
    """Bank details and addresses that the sources have no more go, unless a manager touched them."""

    KEY = marts.company_id(1)
    LEDGER = "select entity from sync.ledger where origin_id = company_id(1) and entity in ('bank_detail', 'address')"

    def leave(self, office):
        office.sql("update marts.crm_companies set account = null, legal_address = null where company_id = ?", self.KEY)

    def bank_detail(self, office):
        requisite = office.ids("requisite")[self.KEY]
        return next((row for row in office.portal.bank_details() if row["ENTITY_ID"] == requisite), None)

    def address(self, office):
        requisite = office.ids("requisite")[self.KEY]
        return next((row for row in office.portal.addresses() if row["ENTITY_ID"] == requisite), None)

    def test_what_nobody_touched_is_deleted_and_the_ledger_knows_it_no_more(self, published):
        office = published
        before = office.portal.counts()
        self.leave(office)
        office.push()
        assert (self.bank_detail(office), self.address(office)) == (None, None)
        after = office.portal.counts()
        assert before["bank_detail"] - after["bank_detail"] == before["address"] - after["address"] == 1
        assert office.sql(self.LEDGER) == []
        assert office.differences() == []
        office.portal.clear_log()
        office.push()
        assert office.portal.request_log() == []

    @pytest.mark.parametrize("field", ["RQ_BANK_NAME", "NAME", "COMMENTS", "RQ_SWIFT"])
    def test_a_bank_detail_that_a_manager_touched_stays_and_is_listed(self, published, field):
        office = published
        detail = self.bank_detail(office)["ID"]
        office.call("crm.requisite.bankdetail.update", {"id": detail, "fields": {field: "руками"}})
        self.leave(office)
        office.push()
        assert self.bank_detail(office)[field] == "руками"
        assert office.sql("select entity, field, in_portal from sync.conflicts") == [("bank_detail", field, "руками")]
        assert office.sql(self.LEDGER) == []
        office.portal.clear_log()
        office.push()
        assert office.portal.request_log() == []

    def test_an_address_that_a_manager_completed_stays(self, published):
        office = published
        key = {"TYPE_ID": 6, "ENTITY_TYPE_ID": 8, "ENTITY_ID": office.ids("requisite")[self.KEY]}
        office.call("crm.address.update", {"fields": {**key, "CITY": "Москва"}})
        self.leave(office)
        office.push()
        assert self.address(office)["CITY"] == "Москва"
        assert office.sql("select entity, field from sync.conflicts") == [("address", "CITY")]

    def test_what_a_manager_had_typed_in_before_us_stays(self, published):
        office = published
        office.sql("update sync.ledger set is_adopted = true where entity = 'bank_detail'")
        self.leave(office)
        office.push()
        assert self.bank_detail(office) is not None
        assert self.address(office) is None

    def test_what_is_gone_already_is_no_error(self, published):
        office = published
        office.call("crm.requisite.bankdetail.delete", {"id": self.bank_detail(office)["ID"]})
        self.leave(office)
        office.push()
        assert office.sql(self.LEDGER) == []
        assert office.sql("select count(*) from sync.dead_letters") == [(0,)]

    def test_a_lost_answer_to_a_deletion_does_no_harm(self, published):
        office = published
        before = office.portal.counts()["bank_detail"]
        self.leave(office)
        office.faults.script(None, None, None, "lose_answer", "lose_answer")
        office.push()
        assert before - office.portal.counts()["bank_detail"] == 1
        assert office.sql(self.LEDGER) == []

    def test_one_that_comes_back_is_made_anew(self, published):
        office = published
        row = office.sql("select account, legal_address from marts.crm_companies where company_id = ?", self.KEY)[0]
        self.leave(office)
        office.push()
        sql = "update marts.crm_companies set account = ?, legal_address = ? where company_id = ?"
        office.sql(sql, *row, self.KEY)
        office.push()
        assert office.differences() == []

    def test_what_hangs_on_a_company_that_left_stays_with_its_card(self, published):
        office = published
        office.sql("delete from marts.crm_companies where company_id = ?", self.KEY)
        office.sql("insert into marts.departed_companies values (?, 'source_removed', null)", self.KEY)
        office.push()
        assert self.bank_detail(office) is not None
        assert self.address(office) is not None


class TestPrimaryCompany:
    """A person's primary company moves as the mart says, where it is still the one that we made so."""

    PERSON = marts.contact_id(0)  # works at companies 0 (the primary one) and 1

    def move(self, office):
        office.sql(
            "update marts.crm_company_contacts set is_primary = not is_primary where contact_id = ?", self.PERSON
        )

    def primary(self, office):
        card = office.ids("contact")[self.PERSON]
        links = office.call("crm.contact.company.items.get", {"id": card})
        return next(row["COMPANY_ID"] for row in links if row["IS_PRIMARY"] == "Y")

    def companies(self, office, *numbers):
        return [office.ids("company")[marts.company_id(n)] for n in numbers]

    def test_a_primary_company_that_changed_alone_is_sent_and_no_link_is_lost(self, published):
        office = published
        links = sorted(office.portal.links())
        first, second = self.companies(office, 0, 1)
        assert self.primary(office) == first
        self.move(office)
        office.push()
        assert self.primary(office) == second
        assert sorted(office.portal.links()) == links
        office.portal.clear_log()
        office.push()
        assert office.portal.request_log() == []
        self.move(office)
        office.push()
        assert self.primary(office) == first

    def test_links_of_a_manager_survive_the_move(self, published):
        office = published
        (third,) = self.companies(office, 3)
        office.call(
            "crm.contact.company.add", {"id": office.ids("contact")[self.PERSON], "fields": {"COMPANY_ID": third}}
        )
        self.move(office)
        office.push()
        assert self.primary(office) == self.companies(office, 1)[0]
        assert (office.ids("contact")[self.PERSON], third) in office.portal.links()

    def test_a_primary_company_that_a_manager_chose_stays_and_is_listed(self, published):
        office = published
        (third,) = self.companies(office, 3)
        fields = {"COMPANY_ID": third, "IS_PRIMARY": "Y"}
        office.call("crm.contact.company.add", {"id": office.ids("contact")[self.PERSON], "fields": fields})
        self.move(office)
        office.push()
        assert self.primary(office) == third
        assert office.sql("select entity, field, in_portal from sync.conflicts") == [
            ("company_contact", "IS_PRIMARY", str(third))
        ]
        office.portal.clear_log()
        office.push()
        assert office.portal.request_log() == []

    def test_a_push_that_breaks_off_between_taking_away_and_adding_is_made_good_by_the_next(self, published):
        office = published
        links = sorted(office.portal.links())
        self.move(office)
        office.faults.fail("crm.contact.company.add", "OVERLOAD_LIMIT", "REST API is blocked")
        with pytest.raises(Exception, match="refuses"):
            office.push()
        office.push()
        assert self.primary(office) == self.companies(office, 1)[0]
        assert sorted(office.portal.links()) == links

    def test_a_new_company_that_is_the_primary_one_becomes_so(self, published):
        office = published
        office.sql("update marts.crm_company_contacts set is_primary = false where contact_id = ?", self.PERSON)
        office.sql("insert into marts.crm_company_contacts values (company_id(2), ?, true)", self.PERSON)
        office.push()
        assert self.primary(office) == self.companies(office, 2)[0]

    def test_a_ledger_of_before_primary_links_were_kept_sends_nothing_and_sees_the_next_move(self, published):
        office = published
        office.sql("update sync.ledger set sent = '{}', wanted = '{}' where entity = 'company_contact'")
        office.portal.clear_log()
        office.push()
        assert office.portal.request_log() == []
        self.move(office)
        office.push()
        assert self.primary(office) == self.companies(office, 1)[0]
