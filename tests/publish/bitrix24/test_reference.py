"""The portal's lists: stages by status, presets, custom fields."""

import pytest

from ingest.warehouse.errors import OperatorError, SettingsError
from tests.publish import marts


def test_deals_take_the_stage_of_their_status(open_office):
    office = open_office(deal_stages={"paid": "EXECUTING"})
    marts.fill(office.connection, 1, 1, 5)
    office.push()
    stages = [item["stageId"] for item in office.portal.items("deal")]
    assert stages == ["NEW", "EXECUTING", "EXECUTING", "WON", "LOSE"]


def pipeline(office) -> int:
    """A pipeline beside the main one, with stages of its own."""
    fields = {"entityTypeId": 2, "fields": {"name": "Опт", "sort": 500}}
    return office.call("crm.category.add", fields)["category"]["id"]


def places(office) -> list[tuple[int, str]]:
    return [(deal["categoryId"], deal["stageId"]) for deal in office.portal.items("deal")]


def test_new_deals_begin_in_the_pipeline_of_the_settings_and_those_there_go_on_in_their_own(office):
    marts.fill(office.connection, 1, 1, 2)
    office.push()
    number = pipeline(office)
    chosen = {"deal_pipeline": number, "deal_stages": {"paid": "EXECUTING"}}
    marts.fill(office.connection, 1, 1, 4)
    office.push(**chosen)
    begun = [(number, f"C{number}:EXECUTING"), (number, f"C{number}:WON")]
    assert places(office) == [(0, "NEW"), (0, "PREPARATION"), *begun]
    office.sql("update marts.crm_deals set status = 'cancelled'")
    office.push(let_through=True, **chosen)
    lost = f"C{number}:LOSE"
    assert places(office) == [(0, "LOSE"), (0, "LOSE"), (number, lost), (number, lost)]
    office.sql("update marts.crm_deals set status = 'done'")
    office.push(let_through=True)  # the main one again
    assert places(office) == [(0, "WON"), (0, "WON"), (number, f"C{number}:WON"), (number, f"C{number}:WON")]
    assert office.sql("from sync.conflicts") == office.sql("from sync.dead_letters") == []


def test_a_deal_that_a_manager_moved_to_another_pipeline_stays_there_in_its_stage(office):
    marts.fill(office.connection, 1, 1, 1)
    office.push()
    number = pipeline(office)
    (card,) = office.ids("deal").values()
    office.edit(2, card, categoryId=number, stageId=f"C{number}:PREPARATION")
    office.sql("update marts.crm_deals set status = 'done'")
    office.push(let_through=True)
    assert places(office) == [(number, f"C{number}:PREPARATION")]
    assert office.sql("select entity, field from sync.conflicts") == [("deal", "stageId")]


def test_a_pipeline_that_the_portal_has_not_is_said_before_anything_is_sent(office):
    marts.fill(office.connection, 1, 1, 1)
    number = pipeline(office)
    office.portal.clear_log()
    with pytest.raises(SettingsError, match="SVOD_DEAL_PIPELINE: the portal shows no deal pipeline 77") as error:
        office.push(deal_pipeline=77)
    assert error.value.hint.startswith(f"there are 0 (Общая), {number} (Опт); the number is in the address of its")
    assert office.portal.writes() == {}


def test_deals_go_on_from_the_stage_that_their_status_had_before_the_settings_changed(office):
    marts.fill(office.connection, 1, 1, 3)
    office.push()
    office.sql("update marts.crm_deals set status = 'done' where status = 'paid'")
    office.push(deal_stages={"paid": "EXECUTING"})
    assert [item["stageId"] for item in office.portal.items("deal")] == ["NEW", "WON", "EXECUTING"]
    office.sql("delete from marts.crm_deals where status = 'new'")
    office.sql("insert into marts.departed_deals by name select 'shop_a:0000000' as deal_id, 'source_removed' as state")
    office.push(deal_departed_stage="APOLOGY")
    assert office.portal.items("deal")[0]["stageId"] == "APOLOGY"
    marts.fill(office.connection, 1, 1, 1)
    office.push()
    assert office.portal.items("deal")[0]["stageId"] == "NEW"
    assert office.sql("from sync.conflicts") == []


def test_a_preset_that_the_portal_marks_otherwise_is_found_by_its_name_in_the_mart(office):
    marts.fill(office.connection, 3, 0)
    office.sql(
        "update marts.crm_companies set requisite_preset = 'BRANCH', requisite_name = 'Филиал' where kpp is null"
    )
    preset = office.call(
        "crm.requisite.preset.add", {"fields": {"ENTITY_TYPE_ID": 8, "COUNTRY_ID": 1, "NAME": "Филиал"}}
    )
    office.push()
    person = next(row for row in office.portal.requisites() if len(row["RQ_INN"]) == 12)
    assert int(person["PRESET_ID"]) == preset


def test_a_preset_that_the_portal_lacks_stops_the_push(office):
    marts.fill(office.connection, 1, 0)
    office.sql("update marts.crm_companies set requisite_preset = 'BRANCH', requisite_name = 'Филиал'")
    with pytest.raises(OperatorError, match="no requisite preset «Филиал»"):
        office.push()
    assert office.portal.counts()["company"] == 0


def test_a_currency_that_the_portal_lacks_is_said_before_anything_is_sent(office):
    marts.fill(office.connection, 1, 1, 2)
    office.sql("update marts.crm_deals set currency = 'KZT' where deal_id = 'shop_a:0000001'")
    with pytest.raises(OperatorError, match="no currency KZT") as error:
        office.push()
    assert "RUB, USD, EUR" in error.value.hint
    assert office.portal.writes() == {}


def test_a_portal_that_tells_nobody_its_currencies_gets_the_deals_all_the_same(office):
    marts.fill(office.connection, 1, 1, 2)
    office.faults.fail("crm.currency.list", "", "Access denied.")
    office.push()
    assert office.portal.counts()["deal"] == 2


def test_a_status_that_no_stage_of_the_portal_stands_for_is_said_before_anything_is_sent(open_office):
    office = open_office()
    marts.fill(office.connection, 1, 1, 5)
    stages = office.call("crm.status.list", {"filter": {"ENTITY_ID": "DEAL_STAGE", "STATUS_ID": "LOSE"}})
    office.call("crm.status.delete", {"id": stages[0]["ID"], "params": {"FORCED": "Y"}})
    office.portal.clear_log()
    with pytest.raises(OperatorError, match="no deal stage for status cancelled") as error:
        office.push()
    assert "SVOD_DEAL_STAGES=cancelled=" in error.value.hint
    assert "APOLOGY" in error.value.hint
    assert office.portal.writes() == {}
    office.push(deal_stages={"cancelled": "APOLOGY"})
    assert office.portal.items("deal")[4]["stageId"] == "APOLOGY"


@pytest.mark.parametrize(("there", "several"), [("boolean", "N"), ("double", "Y")])
def test_a_field_of_ours_that_is_there_with_another_type_is_said_before_anything_is_sent(office, there, several):
    for name, of_type in (("SVOD_ORDER_TOTAL", there), ("SVOD_LAST_ORDER", "string")):
        fields = {"FIELD_NAME": name, "USER_TYPE_ID": of_type, "MULTIPLE": several if of_type == there else "N"}
        office.call("crm.company.userfield.add", {"fields": fields})
    office.portal.clear_log()
    marts.fill(office.connection, 3, 3)
    with pytest.raises(
        SettingsError, match=r"company UF_CRM_SVOD_ORDER_TOTAL is .*; company UF_CRM_SVOD_LAST"
    ) as error:
        office.push()
    assert error.value.exit_status == 2 and "delete them" in error.value.hint
    assert office.portal.writes() == {}
    assert office.sql("from sync.dead_letters") == []


class TestDeletedFields:
    """A custom field that an administrator deleted is made again, with its values."""

    def delete(self, office, entity: str, name: str) -> None:
        (field,) = office.call(f"crm.{entity}.userfield.list", {"filter": {"FIELD_NAME": name}})
        office.call(f"crm.{entity}.userfield.delete", {"id": field["ID"]})

    def values(self, office, entity: str, name: str) -> list:
        return [item.get(name) for item in office.portal.items(entity)]

    def test_a_deleted_field_is_made_again_and_refilled(self, published):
        office = published
        before = self.values(office, "company", "UF_CRM_SVOD_SOURCES")
        self.delete(office, "company", "UF_CRM_SVOD_SOURCES")
        assert set(self.values(office, "company", "UF_CRM_SVOD_SOURCES")) == {None}
        office.sql("update marts.crm_companies set order_count = 77 where company_id = company_id(1)")
        result = office.push()
        assert self.values(office, "company", "UF_CRM_SVOD_SOURCES") == before
        assert result.updated == {"company": 4}
        office.portal.clear_log()
        office.push()
        assert office.portal.request_log() == []

    def test_states_of_records_that_left_come_back_too(self, published):
        office = published
        office.sql("delete from marts.crm_companies where company_id = company_id(1)")
        office.sql("insert into marts.departed_companies values (company_id(1), 'inactive', null)")
        office.push()
        self.delete(office, "company", "UF_CRM_SVOD_STATE")
        office.sql("update marts.crm_contacts set post = 'директор' where contact_id = contact_id(2)")
        office.push()
        assert sorted(self.values(office, "company", "UF_CRM_SVOD_STATE")) == ["active"] * 3 + ["inactive"]

    def test_a_push_that_is_stopped_before_the_field_is_made_refills_it_the_next_time(self, published):
        office = published
        self.delete(office, "contact", "UF_CRM_SVOD_STATE")
        office.sql("update marts.crm_contacts set post = 'директор' where contact_id = contact_id(2)")
        office.faults.fail("crm.contact.userfield.add", "", "Unknown error")
        with pytest.raises(OperatorError, match="did not create the custom fields"):
            office.push()
        office.push()
        assert set(self.values(office, "contact", "UF_CRM_SVOD_STATE")) == {"active"}

    def test_refilling_is_subject_to_the_change_limit(self, open_office):
        office = open_office(fuse_floor=2)
        marts.fill(office.connection, 5, 0)
        office.push()
        self.delete(office, "company", "UF_CRM_SVOD_STATE")
        office.sql("update marts.crm_companies set order_count = 77 where company_id = company_id(1)")
        with pytest.raises(OperatorError) as stopped:
            office.push()
        assert stopped.value.exit_status == 3
        office.push(let_through=True)
        assert set(self.values(office, "company", "UF_CRM_SVOD_STATE")) == {"active"}

    def test_a_portal_with_many_fields_of_its_own_is_not_mistaken_for_one_without_ours(self, office):
        for n in range(60):
            office.call("crm.company.userfield.add", {"fields": {"FIELD_NAME": f"A_{n}", "USER_TYPE_ID": "string"}})
        marts.fill(office.connection, 4, 8, 4)
        office.push()
        office.portal.clear_log()
        office.sql("update marts.crm_companies set order_count = 77 where company_id = company_id(1)")
        office.push()
        assert office.portal.writes() == {"crm.item.update": 1}
