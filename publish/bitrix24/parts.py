"""The parts of a company in Bitrix24 as data: which mart column goes to which field, by which methods, in which order.

Renaming, and constants that every card gets: the state 'active' while its record is in the mart, the type of a company,
the mark that a deal's sum is given. What a company or a person is, the models decided. A new kind of card is a mart, a
part here, and its place in `PARTS`.
"""

import dataclasses

from publish.bitrix24.kinds import Card, CardLink, Catalogue, Detail
from publish.parts import Choices, Departed, Field

COMPANY_TYPE_ID, CONTACT_TYPE_ID, DEAL_TYPE_ID, REQUISITE_TYPE_ID = 4, 3, 2, 8
LEGAL_ADDRESS_TYPE = 6  # crm.enum.addresstype
PRESETS = Choices("crm.requisite.preset")
CURRENCIES = Choices("crm.currency")

# Custom fields: page `companies/userfields/crm-company-userfield-add`.
STATE = Field("UF_CRM_SVOD_STATE", "'active'", custom_type="string", label="Состояние в источниках", said_as="state")
WORDS = "marts.crm_state_words"

COMPANY = Card(
    entity="company",
    mart="marts.crm_companies",
    key="company_id",
    type_id=COMPANY_TYPE_ID,
    user_fields="crm.company.userfield",
    companies="select company_id as origin_id, company_id from marts.crm_companies",
    mark_field=STATE.name,
    departed=Departed("marts.departed_companies", STATE.name, words=WORDS),
    fields=(
        Field("title", "title"),
        Field("typeId", "'CUSTOMER'", once=True),
        Field("UF_CRM_SVOD_SOURCES", "sources", custom_type="string", label="Источники", said_as="sources"),
        Field("UF_CRM_SVOD_ORDER_COUNT", "order_count", "number", custom_type="integer", label="Заказов"),
        Field(
            "UF_CRM_SVOD_ORDER_TOTAL",
            "order_total::varchar",
            "number",
            custom_type="double",
            label="Сумма заказов, руб.",
        ),
        Field("UF_CRM_SVOD_LAST_ORDER", "last_order_on", "date", custom_type="date", label="Последний заказ"),
        STATE,
    ),
)
REQUISITE = Detail(
    entity="requisite",
    mart="marts.crm_companies",
    key="company_id",
    owner=COMPANY.entity,
    add="crm.requisite.add",
    update="crm.requisite.update",
    listing="crm.requisite.list",
    constants={"ENTITY_TYPE_ID": COMPANY_TYPE_ID},
    identity=("RQ_INN",),
    fields=(
        Field("PRESET_ID", "requisite_preset", "choice", once=True, choices=PRESETS),
        Field("NAME", "requisite_name", once=True),
        Field("RQ_INN", "inn"),
        Field("RQ_KPP", "kpp"),
        Field("RQ_OGRN", "requisite_ogrn"),
        Field("RQ_OGRNIP", "requisite_ogrnip"),
        Field("RQ_COMPANY_NAME", "title"),
        Field("RQ_COMPANY_FULL_NAME", "full_name"),
        Field("RQ_DIRECTOR", "director_name", is_personal=True),
    ),
)
BANK_DETAIL = Detail(
    entity="bank_detail",
    mart="marts.crm_companies",
    key="company_id",
    where="account is not null",
    owner=REQUISITE.entity,
    add="crm.requisite.bankdetail.add",
    update="crm.requisite.bankdetail.update",
    remove="crm.requisite.bankdetail.delete",
    listing="crm.requisite.bankdetail.list",
    identity=("RQ_ACC_NUM", "RQ_BIK"),
    typed=("RQ_", "COMMENTS"),
    fields=(
        Field("NAME", "bank_detail_name", once=True),
        Field("RQ_BANK_NAME", "bank_name"),
        Field("RQ_BIK", "bik"),
        Field("RQ_ACC_NUM", "account"),
        Field("RQ_COR_ACC_NUM", "corr_account"),
    ),
)
ADDRESS = Detail(  # one of a type on an owner, page `requisites/addresses/crm-address-add`
    entity="address",
    mart="marts.crm_companies",
    key="company_id",
    where="legal_address is not null",
    owner=REQUISITE.entity,
    add="crm.address.add",
    update="crm.address.update",
    remove="crm.address.delete",
    listing="crm.address.list",
    constants={"ENTITY_TYPE_ID": REQUISITE_TYPE_ID, "TYPE_ID": LEGAL_ADDRESS_TYPE},
    content=("ADDRESS_1",),
    typed=("ADDRESS_", "CITY", "POSTAL_CODE", "REGION", "PROVINCE", "COUNTRY"),
    has_own_id=False,
    fields=(Field("ADDRESS_1", "legal_address"),),
)
CONTACT = Card(
    entity="contact",
    mart="marts.crm_contacts",
    key="contact_id",
    type_id=CONTACT_TYPE_ID,
    user_fields="crm.contact.userfield",
    companies="select contact_id as origin_id, company_id from marts.crm_company_contacts where is_primary",
    departed=Departed("marts.departed_contacts", STATE.name, words=WORDS),
    is_about_people=True,
    fields=(
        Field("lastName", "card_last_name"),
        Field("name", "first_name"),
        Field("secondName", "second_name"),
        Field("post", "post"),
        Field("PHONE", "phones", "phone"),
        Field("EMAIL", "emails", "email"),
        STATE,
    ),
)
COMPANY_CONTACT = CardLink(
    entity="company_contact",
    mart="marts.crm_company_contacts",
    key="contact_id || '/' || company_id",
    holder=CONTACT,
    other=COMPANY,
    add="crm.contact.company.add",
    remove="crm.contact.company.delete",
    other_field="COMPANY_ID",
    travels_as="companyIds",
    listing="crm.contact.company.items.get",
    first="is_primary",
)
DEAL = Card(
    entity="deal",
    mart="marts.crm_deals",
    key="deal_id",
    type_id=DEAL_TYPE_ID,
    user_fields="crm.deal.userfield",
    companies="select deal_id as origin_id, company_id from marts.crm_deals",
    departed=Departed("marts.departed_deals", STATE.name, choice_field="stageId", words=WORDS),
    fields=(
        Field("title", "title"),
        Field("opportunity", "amount::varchar", "number"),
        Field("currencyId", "currency", choices=CURRENCIES),
        Field("stageId", "status", "choice", choices=Choices("DEAL_STAGE", mart="marts.crm_deal_stages")),
        Field("companyId", "company_id", "reference", refers_to=COMPANY.entity, is_required=True),
        Field("contactId", "contact_id", "reference", refers_to=CONTACT.entity, first_of="contactIds", is_kept=True),
        Field("begindate", "ordered_on", "date", has_default=True),
        Field("closedate", "closed_on", "date", has_default=True),
        Field("isManualOpportunity", "'Y'", once=True),  # else the portal takes the sum from goods, and there are none
        dataclasses.replace(STATE, once_left=True),  # 700,000 deals that all are active need not say so
    ),
)
PARTS = Catalogue(COMPANY, REQUISITE, BANK_DETAIL, ADDRESS, CONTACT, COMPANY_CONTACT, DEAL)
