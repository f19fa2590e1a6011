"""Settings that name fields, statuses and stages: a wrong name is said before anything is sent, and what was meant."""

import pytest

from ingest.warehouse.errors import SettingsError
from tests.publish import marts


@pytest.mark.parametrize(
    ("setting", "problem", "hint"),
    [
        ({"field_owners": {"company.titel": "manager"}}, "SVOD_FIELD_OWNERS: company has no field titel", "title?"),
        ({"field_owners": {"companies.title": "manager"}}, "SVOD_FIELD_OWNERS: there is no kind companies", "company?"),
        ({"field_owners": {"title": "manager"}}, "there is no kind title", "there are address, bank_detail, company"),
        ({"field_owners": {"requisite.rq_inn": "source"}}, "requisite has no field rq_inn", "RQ_INN?"),
        ({"deal_stages": {"payed": "NEW"}}, "SVOD_DEAL_STAGES: no deal has the status payed", "paid?"),
        ({"deal_stages": {"paid": "PREPARTION"}}, "the portal has no deal stage PREPARTION", "PREPARATION?"),
    ],
)
def test_a_setting_that_names_what_there_is_not_stops_the_push_before_anything_is_sent(office, setting, problem, hint):
    marts.fill(office.connection, 2, 2, 2)
    with pytest.raises(SettingsError) as caught:
        office.push(**setting)
    assert problem in caught.value.problem and hint in caught.value.hint
    assert office.portal.writes() == {}


def test_right_names_pass(office):
    marts.fill(office.connection, 2, 2, 2)
    office.push(field_owners={"company.title": "manager", "contact.PHONE": "source"}, deal_stages={"paid": "EXECUTING"})
    assert office.differences() == []
