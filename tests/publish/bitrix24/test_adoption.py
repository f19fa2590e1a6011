"""Cards that are in the portal already: adopted once, filled where empty, listed where a person has to decide."""

from publish.bitrix24 import adoption
from tests.publish import marts


def type_in(office, inn: str, title: str = "Как записал менеджер", **fields) -> int:
    """A company as a manager enters it: a card and a requisite with an INN; its card id."""
    added = office.call("crm.item.add", {"entityTypeId": 4, "fields": {"title": title, **fields}})
    card = added["item"]["id"]
    office.call(
        "crm.requisite.add",
        {"fields": {"ENTITY_TYPE_ID": 4, "ENTITY_ID": card, "PRESET_ID": 1, "NAME": "Реквизиты", "RQ_INN": inn}},
    )
    return card


def inn(office, n: int) -> str:
    return office.sql("select inn from marts.crm_companies where company_id = ?", marts.company_id(n))[0][0]


def test_a_thousand_companies_typed_in_by_hand_are_not_duplicated(office):
    marts.fill(office.connection, 1100, 300)
    for n in range(1000):
        type_in(office, inn(office, n))
    doubled = {marts.company_id(n): type_in(office, inn(office, n)) for n in range(0, 1000, 100)}
    office.push()
    inns = [row["RQ_INN"] for row in office.portal.requisites()]
    assert len(inns) == 1100 + len(doubled)
    assert office.portal.counts()["company"] == 1100 + len(doubled)
    listed = office.sql("select entity, origin_id, len(bitrix_ids) from sync.adoption_duplicates order by 2")
    assert listed == [("company", origin_id, 2) for origin_id in sorted(doubled)]
    office.portal.clear_log()
    office.push()
    assert office.portal.writes() == {}


def test_a_company_typed_in_without_the_zero_before_its_inn_is_not_duplicated(office):
    marts.fill(office.connection, 1, 0)
    office.sql("update marts.crm_companies set inn = '0278000229'")
    card = type_in(office, "278000229")
    office.push()
    assert office.ids("company") == {marts.company_id(0): card}
    assert office.portal.counts()["company"] == 1


def test_an_adopted_company_is_filled_where_it_is_empty_and_keeps_what_it_has(office):
    marts.fill(office.connection, 1, 0)
    card = type_in(office, inn(office, 0), title="Ромашка")
    requisite = office.portal.requisites()[0]["ID"]
    address = {"TYPE_ID": 6, "ENTITY_TYPE_ID": 8, "ENTITY_ID": requisite, "ADDRESS_1": "Москва"}
    office.call("crm.address.add", {"fields": address})
    office.sql("update marts.crm_companies set legal_address = '117997, г Москва', account = '40702810900000000001'")
    office.push()
    (held,) = office.portal.items("company")
    assert (held["id"], held["title"], held["originId"]) == (card, "Ромашка", marts.company_id(0))
    assert held["UF_CRM_SVOD_STATE"] == "active"
    (kept,) = office.portal.requisites()
    assert (kept["NAME"], kept["RQ_DIRECTOR"]) == ("Реквизиты", "Иванов Иван")
    assert [row["ADDRESS_1"] for row in office.portal.addresses()] == ["Москва"]
    assert [row["RQ_ACC_NUM"] for row in office.portal.bank_details()] == ["40702810900000000001"]
    fields = office.sql("select entity, field from sync.conflicts order by 1, 2")
    assert fields == [("address", "ADDRESS_1"), ("company", "title")]


def test_a_card_of_another_system_keeps_its_key(office):
    marts.fill(office.connection, 1, 0)
    type_in(office, inn(office, 0), originatorId="1c", originId="000001")
    office.push()
    (held,) = office.portal.items("company")
    assert (held["originatorId"], held["originId"]) == ("1c", "000001")


def test_people_of_an_adopted_company_are_found_by_phone_or_email(office):
    marts.fill(office.connection, 2, 4)
    firm = type_in(office, inn(office, 0))
    number = {"typeId": "PHONE", "valueType": "WORK", "value": "8 (916) 000-00-02"}
    fields = {"name": "Пётр", "companyIds": [firm], "fm": {"n0": number}}
    person = office.call("crm.item.add", {"entityTypeId": 3, "fields": fields})["item"]["id"]
    office.push()
    assert office.ids("contact")[marts.contact_id(2)] == person
    assert office.portal.counts()["contact"] == 4
    held = next(item for item in office.portal.items("contact") if item["id"] == person)
    assert [entry["value"] for entry in held["fm"] if entry["typeId"] == "PHONE"] == ["8 (916) 000-00-02"]


def test_a_new_person_who_shares_an_email_with_one_of_ours_is_not_put_on_that_card(office):
    marts.fill(office.connection, 2, 4)
    type_in(office, inn(office, 0))
    office.push()
    ids = office.ids("contact")
    office.sql(
        """insert into marts.crm_contacts by name
           select * replace (contact_id(9) as contact_id, 'Сидоров' as card_last_name, ['+79160000009'] as phones)
           from marts.crm_contacts where contact_id = contact_id(2)"""
    )
    office.sql(
        """insert into marts.crm_company_contacts by name
           select company_id(0) as company_id, contact_id(9) as contact_id, true as is_primary"""
    )
    office.push(let_through=True)
    assert office.ids("contact") == {**ids, marts.contact_id(9): office.card("contact", marts.contact_id(9))["id"]}
    assert office.card("contact", marts.contact_id(2))["lastName"] == "Петров2"
    assert office.portal.counts()["contact"] == 5


def person_of(office, firm: int, phone: str) -> int:
    """A person as a manager enters them at a company: the card's id."""
    number = {"typeId": "PHONE", "valueType": "WORK", "value": phone}
    fields = {"name": "Пётр", "companyIds": [firm], "fm": {"n0": number}}
    return office.call("crm.item.add", {"entityTypeId": 3, "fields": fields})["item"]["id"]


def test_a_card_that_two_people_share_a_phone_with_is_neither_wherever_their_companies_are_read(office, monkeypatch):
    monkeypatch.setattr(adoption, "_PAGE", 1)
    marts.fill(office.connection, 2, 2)
    office.sql("update marts.crm_contacts set phones = ['+79160000099']")
    firms = [type_in(office, inn(office, n)) for n in (0, 1)]
    card = person_of(office, firms[0], "+79160000099")
    office.call("crm.contact.company.add", {"id": card, "fields": {"COMPANY_ID": firms[1]}})
    office.push()
    assert card not in office.ids("contact").values()
    assert len(office.ids("contact")) == 2


def test_a_person_who_could_be_a_card_at_each_of_two_companies_is_listed_wherever_they_are_read(office, monkeypatch):
    monkeypatch.setattr(adoption, "_PAGE", 1)
    marts.fill(office.connection, 2, 1)  # the person works at both
    phone = office.sql("select phones[1] from marts.crm_contacts")[0][0]
    cards = [person_of(office, type_in(office, inn(office, n)), phone) for n in (0, 1)]
    office.push()
    assert office.ids("contact") == {}
    assert office.sql("select entity, bitrix_ids from sync.adoption_duplicates") == [("contact", cards)]


def test_a_lost_warehouse_does_not_publish_everything_again(office):
    marts.fill(office.connection, 30, 60, 20)
    office.push()
    before = office.portal.counts()
    for table in ("portals", "ledger", "intents", "conflicts", "history"):
        office.sql(f"delete from sync.{table}")
    office.push()
    assert office.portal.counts() == before
    assert office.differences() == []
    assert office.sql("select count(*) from sync.conflicts") == [(0,)]
