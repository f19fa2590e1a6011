"""The portal's lists: stages by status, presets, custom fields."""

import pytest

from ingest.warehouse.errors import OperatorError
from tests.publish import marts


def test_deals_take_the_stage_of_their_status(open_office):
    office = open_office(deal_stages={"paid": "EXECUTING"})
    marts.fill(office.connection, 1, 1, 5)
    office.push()
    stages = [item["stageId"] for item in office.portal.items("deal")]
    assert stages == ["NEW", "EXECUTING", "EXECUTING", "WON", "LOSE"]


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
