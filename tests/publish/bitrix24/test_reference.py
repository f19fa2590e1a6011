"""The portal's lists: stages by status, presets, custom fields."""

from tests.publish import marts


def test_deals_take_the_stage_of_their_status(open_office):
    office = open_office(deal_stages={"paid": "EXECUTING"})
    marts.fill(office.connection, 1, 1, 5)
    office.push()
    stages = [item["stageId"] for item in office.portal.items("deal")]
    assert stages == ["NEW", "EXECUTING", "EXECUTING", "WON", "LOSE"]
