"""Parts as data: the texts that the ledger of a running installation holds, and what goes there from the marts."""

import pytest

from publish.bitrix24.parts import PARTS
from tests.publish import marts

# What the ledger of a running installation holds: another text for the same row would send everything again.
TEXTS = {
    ("company", marts.company_id(1)): (
        r'{"title":"ООО \"Ромашка & Ко\" № 1","typeId":"CUSTOMER","UF_CRM_SVOD_SOURCES":"shop_a",'
        r'"UF_CRM_SVOD_ORDER_COUNT":1,"UF_CRM_SVOD_ORDER_TOTAL":"1000.50","UF_CRM_SVOD_LAST_ORDER":"2026-03-03",'
        r'"UF_CRM_SVOD_STATE":"active"}'
    ),
    ("company", marts.company_id(0)): (
        r'{"title":"ООО \"Ромашка & Ко\" № 0","typeId":"CUSTOMER","UF_CRM_SVOD_SOURCES":"shop_a, shop_b",'
        r'"UF_CRM_SVOD_ORDER_COUNT":0,"UF_CRM_SVOD_ORDER_TOTAL":"0.00","UF_CRM_SVOD_LAST_ORDER":null,'
        r'"UF_CRM_SVOD_STATE":"active"}'
    ),
    ("requisite", marts.company_id(1)): (
        r'{"PRESET_ID":"COMPANY","NAME":"Организация","RQ_INN":"7700000001","RQ_KPP":"770701001",'
        r'"RQ_OGRN":"1027700000001","RQ_OGRNIP":null,"RQ_COMPANY_NAME":"ООО \"Ромашка & Ко\" № 1",'
        r'"RQ_COMPANY_FULL_NAME":"Общество с ограниченной ответственностью \"Ромашка\" № 1",'
        r'"RQ_DIRECTOR":"Иванов Иван"}'
    ),
    ("requisite", marts.company_id(4)): (
        r'{"PRESET_ID":"INDIVIDUAL","NAME":"ИП","RQ_INN":"507700000004","RQ_KPP":null,"RQ_OGRN":null,'
        r'"RQ_OGRNIP":"1027700000004","RQ_COMPANY_NAME":"ООО \"Ромашка & Ко\" № 4",'
        r'"RQ_COMPANY_FULL_NAME":"Общество с ограниченной ответственностью \"Ромашка\" № 4",'
        r'"RQ_DIRECTOR":"Иванов Иван"}'
    ),
    ("bank_detail", marts.company_id(1)): (
        r'{"NAME":"ПАО СБЕРБАНК","RQ_BANK_NAME":"ПАО СБЕРБАНК","RQ_BIK":"044525225",'
        r'"RQ_ACC_NUM":"40702810900000000001","RQ_COR_ACC_NUM":"30101810400000000225"}'
    ),
    ("address", marts.company_id(1)): r'{"ADDRESS_1":"117997, г Москва, ул Вавилова, д 1"}',
    ("contact", marts.contact_id(1)): (
        r'{"lastName":"Петров1","name":"Пётр","secondName":null,"post":null,"PHONE":["+79160000001"],'
        r'"EMAIL":["petrov1@example.ru"],"UF_CRM_SVOD_STATE":"active"}'
    ),
    ("contact", marts.contact_id(2)): (
        r'{"lastName":"+79990000001","name":null,"secondName":null,"post":"бухгалтер",'
        r'"PHONE":["+79990000001","+79990000002"],"EMAIL":[],"UF_CRM_SVOD_STATE":"active"}'
    ),
    ("company_contact", f"{marts.contact_id(1)}/{marts.company_id(1)}"): "{}",
    ("deal", "shop_a:0000003"): (
        r'{"title":"Заказ 3","opportunity":"30.30","currencyId":"RUB","stageId":"done",'
        r'"companyId":"c-0000000000000003","contactId":"p-0000000000000003","begindate":"2026-02-01",'
        r'"closedate":"2026-02-05","isManualOpportunity":"Y"}'
    ),
    ("deal", "shop_a:0000001"): (
        r'{"title":"Заказ 1","opportunity":"10.10","currencyId":"RUB","stageId":"paid",'
        r'"companyId":"c-0000000000000001","contactId":"p-0000000000000001","begindate":"2026-02-01",'
        r'"closedate":null,"isManualOpportunity":"Y"}'
    ),
}


def test_the_text_of_a_row_stays_the_same_to_the_byte(warehouse):
    marts.fill(warehouse, 5, 5, 5)
    warehouse.execute(
        """update marts.crm_contacts set last_name = null, card_last_name = '+79990000001', first_name = null,
               emails = [], phones = ['+79990000001', '+79990000002'] where contact_id = contact_id(2)"""
    )
    texts = {
        (part.entity, key): text
        for part in PARTS
        for key, text in warehouse.execute(
            f"select {part.key}, {part.wanted} from {part.mart} where {part.where}"
        ).fetchall()
    }
    assert {part.entity for part in PARTS} == {entity for entity, _ in TEXTS}
    assert {key: texts[key] for key in TEXTS} == TEXTS


@pytest.mark.parametrize("mart", marts.PUBLISHED)
def test_the_marts_of_the_tests_are_those_of_the_contracts(warehouse, mart):
    described = warehouse.execute(f"describe marts.{mart}").fetchall()
    declared = marts.contracts()[mart]
    assert {name: data_type.lower() for name, data_type, *_ in described} == declared


def test_a_card_tells_the_day_of_the_mart_not_that_of_the_time_beside_it(office):
    marts.fill(office.connection, 2, 0)
    office.push()
    held = {item["originId"]: item.get("UF_CRM_SVOD_LAST_ORDER") for item in office.portal.items("company")}
    assert held[marts.company_id(1)][:10] == "2026-03-03"  # its time in the mart is 2 March, 22:30
