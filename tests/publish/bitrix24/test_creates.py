"""Creates: what a new card gets, what waits, and what one bad record holds up."""

from tests.publish import marts


def test_one_bad_record_does_not_hold_up_the_others(office):
    marts.fill(office.connection, 1, 60)
    office.sql("update marts.crm_contacts set emails = ['not an address'] where contact_id = contact_id(30)")
    result = office.push()
    assert office.portal.counts()["contact"] == 59
    assert result.dead_letters == 1
    assert office.sql("select origin_id, attempts from sync.dead_letters") == [(marts.contact_id(30), 1)]


def test_an_unfinished_unit_is_completed(office):
    """A company whose requisite, bank detail and address are not there yet gets them, and is not created again."""
    marts.fill(office.connection, 12, 0)
    office.faults.fail("crm.requisite.add", "ERROR_CORE", "Internal refusal", times=5)
    office.push()
    assert office.portal.counts()["requisite"] == 7
    office.sql("update sync.dead_letters set next_at = now()::timestamp")
    office.push()
    assert office.differences() == []


def test_requisites_get_the_preset_and_the_number_that_the_mart_says(office):
    marts.fill(office.connection, 8, 0)
    office.push()
    presets = {row["ID"]: row["NAME"] for row in office.call("crm.requisite.preset.list", {})}
    held = sorted(
        (row["RQ_INN"], presets[str(row["PRESET_ID"])], row["RQ_OGRN"], row["RQ_OGRNIP"])
        for row in office.portal.requisites()
    )
    assert [(inn, preset, ogrn or None, ogrnip or None) for inn, preset, ogrn, ogrnip in held] == office.sql(
        "select inn, requisite_name, requisite_ogrn, requisite_ogrnip from marts.crm_companies order by inn"
    )
    assert {preset for _, preset, _, _ in held} == {"Организация", "ИП"}


def test_a_person_without_a_name_goes_by_what_the_mart_calls_the_card(office):
    marts.fill(office.connection, 1, 1)
    office.sql("update marts.crm_contacts set last_name = null, first_name = null, card_last_name = '+79160000000'")
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
