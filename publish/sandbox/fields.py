"""Fields of cards and of their parts, one line a field: classic name, name in `crm.item.*`, type, flags, default.

From the pages `crm-<entity>-fields`, `universal/object-fields`, `crm-requisite-fields`,
`crm-requisite-bank-detail-fields` and `crm-address-fields` of the API reference. A dash means "not there". Flags: `r`
read-only, `i` immutable, `!` required, `m` several values (kept in tables of their own), `n` shown but never kept, `h`
ours and never shown. A default `@BOOK` is the first value of that book, `@user` the caller, `@today` and `@week` dates.
Fields that the reference calls disabled are left out.
"""

from dataclasses import dataclass, field
from typing import Any

MULTIFIELDS = ("PHONE", "EMAIL", "WEB", "IM", "LINK")


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    camel: str | None
    type: str
    classic: bool = True
    read_only: bool = False
    immutable: bool = False
    required: bool = False
    multiple: bool = False
    kept: bool = True
    hidden: bool = False
    default: str | None = None

    @property
    def book(self) -> str | None:
        """The status book of a `crm_status` field."""
        return BOOKS.get(self.name) if self.type == "crm_status" else None


BOOKS = {
    "COMPANY_TYPE": "COMPANY_TYPE", "INDUSTRY": "INDUSTRY", "EMPLOYEES": "EMPLOYEES", "SOURCE_ID": "SOURCE",
    "HONORIFIC": "HONORIFIC", "STATUS_ID": "STATUS", "STAGE_ID": "DEAL_STAGE",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Record:
    """A kind of row: a card, or a part of one."""

    name: str
    table: str
    fields: dict[str, Field]
    user_fields: str | None = None
    by_camel: dict[str, Field] = field(default_factory=dict)

    @property
    def columns(self) -> list[Field]:
        return [item for item in self.fields.values() if item.kept and not item.multiple]


@dataclass(frozen=True, slots=True)
class Card(Record):
    """A card: company, contact, deal, lead or quote."""

    type_id: int = 0
    letter: str = ""
    title: str = ""
    has_multifields: bool = False
    stage: str | None = None
    type_book: str | None = None

    def book_of(self, item: Field) -> str | None:
        """The status book of a field; `TYPE_ID` means another book in every card."""
        if item.type != "crm_status":
            return None
        if item.name == "TYPE_ID":
            return self.type_book
        return "QUOTE_STATUS" if self.type_id == 7 and item.name == "STATUS_ID" else item.book


_HEAD = """
ID                    id                  integer      r
"""
_TAIL = """
ASSIGNED_BY_ID        assignedById        user         -   @user
CREATED_BY_ID         createdBy           user         r   @user
MODIFY_BY_ID          updatedBy           user         r   @user
DATE_CREATE           createdTime         datetime     r
DATE_MODIFY           updatedTime         datetime     r
OPENED                opened              char         -   Y
COMMENTS              comments            string
LEAD_ID               leadId              crm_lead
ORIGINATOR_ID         originatorId        string
ORIGIN_ID             originId            string
UTM_SOURCE            utmSource           string
UTM_MEDIUM            utmMedium           string
UTM_CAMPAIGN          utmCampaign         string
UTM_CONTENT           utmContent          string
UTM_TERM              utmTerm             string
LAST_ACTIVITY_TIME    lastActivityTime    datetime     r
LAST_ACTIVITY_BY      lastActivityBy      user         r   @user
WEBFORM_ID            webformId           integer
OBSERVER_IDS          observers           user         m
"""
_MOVES = """
MOVED_BY_ID           movedBy             user         r   @user
MOVED_TIME            movedTime           datetime     r
"""
_REACHABLE = """
HAS_PHONE             hasPhone            char         r   N
HAS_EMAIL             hasEmail            char         r   N
HAS_IMOL              hasImol             char         r   N
"""
_MULTI = "\n".join(f"{name} - crm_multifield m" for name in MULTIFIELDS)
_PERSON = """
HONORIFIC             honorific           crm_status
NAME                  name                string       !
SECOND_NAME           secondName          string
LAST_NAME             lastName            string       !
BIRTHDATE             birthdate           date
POST                  post                string
SOURCE_ID             sourceId            crm_status   -   @SOURCE
SOURCE_DESCRIPTION    sourceDescription   string
"""
_SUM = """
CURRENCY_ID           currencyId          crm_currency -   RUB
OPPORTUNITY           opportunity         double       -   0
IS_MANUAL_OPPORTUNITY isManualOpportunity char         -   N
"""
_CLIENT = """
COMPANY_ID            companyId           crm_company
CONTACT_ID            contactId           crm_contact
CONTACT_IDS           contactIds          crm_contact  m
"""


def _address(prefix: str) -> str:
    """The deprecated address fields of a card: listed, always empty on a portal that keeps addresses in requisites."""
    parts = ("", "_2", "_CITY", "_POSTAL_CODE", "_REGION", "_PROVINCE", "_COUNTRY", "_COUNTRY_CODE")
    return "\n".join(
        [f"{prefix}{part} - string n" for part in parts] + [f"{prefix}_LOC_ADDR_ID - integer n"],
    )


COMPANY = f"""{_HEAD}
TITLE                 title               string       !
COMPANY_TYPE          typeId              crm_status   -   @COMPANY_TYPE
LOGO                  logo                file
BANKING_DETAILS       bankingDetails      string
INDUSTRY              industry            crm_status   -   @INDUSTRY
EMPLOYEES             employees           crm_status   -   @EMPLOYEES
CURRENCY_ID           currencyId          crm_currency -   RUB
REVENUE               revenue             double       -   0
IS_MY_COMPANY         isMyCompany         char         -   N
CATEGORY_ID           categoryId          crm_category -   0
ORIGIN_VERSION        originVersion       string
CONTACT_ID            contactIds          crm_contact  m
{_REACHABLE}{_TAIL}{_MULTI}
{_address("ADDRESS")}
ADDRESS_LEGAL - string n
{_address("REG_ADDRESS")}
"""
CONTACT = f"""{_HEAD}{_PERSON}
TYPE_ID               typeId              crm_status   -   @CONTACT_TYPE
PHOTO                 photo               file
EXPORT                export              char         -   Y
CATEGORY_ID           categoryId          crm_category -   0
ORIGIN_VERSION        originVersion       string
COMPANY_ID            companyId           crm_company
COMPANY_IDS           companyIds          crm_company  m
{_REACHABLE}{_TAIL}{_MULTI}
{_address("ADDRESS")}
"""
LEAD = f"""{_HEAD}
TITLE                 title               string
{_PERSON.replace("!", "-")}
COMPANY_TITLE         companyTitle        string
STATUS_ID             stageId             crm_status   -   @STATUS
STATUS_DESCRIPTION    statusDescription   string
STATUS_SEMANTIC_ID    stageSemanticId     string       r   P
IS_RETURN_CUSTOMER    isReturnCustomer    char         r   N
DATE_CLOSED           dateClosed          datetime     r
{_SUM}{_CLIENT}{_REACHABLE}{_TAIL.replace("LEAD_ID               leadId              crm_lead", "")}{_MOVES}{_MULTI}
{_address("ADDRESS")}
"""
DEAL = f"""{_HEAD}
TITLE                 title               string
TYPE_ID               typeId              crm_status   -   @DEAL_TYPE
CATEGORY_ID           categoryId          crm_category i   0
STAGE_ID              stageId             crm_status   -   @DEAL_STAGE
STAGE_SEMANTIC_ID     stageSemanticId     string       r   P
IS_NEW                isNew               char         r   Y
IS_RECURRING          isRecurring         char         -   N
IS_RETURN_CUSTOMER    isReturnCustomer    char         -   N
IS_REPEATED_APPROACH  isRepeatedApproach  char         -   N
CLOSED                closed              char         r   N
PROBABILITY           probability         integer
TAX_VALUE             taxValue            double       -   0
QUOTE_ID              quoteId             crm_quote
BEGINDATE             begindate           date         -   @today
CLOSEDATE             closedate           date         -   @week
SOURCE_ID             sourceId            crm_status   -   @SOURCE
SOURCE_DESCRIPTION    sourceDescription   string
ADDITIONAL_INFO       additionalInfo      string
LOCATION_ID           locationId          location
{_SUM}{_CLIENT}{_TAIL}{_MOVES}
"""
QUOTE = f"""{_HEAD}
QUOTE_NUMBER          quoteNumber         string       r
PERSON_TYPE_ID        personTypeId        integer
TITLE                 title               string
STATUS_ID             stageId             crm_status   -   @QUOTE_STATUS
CLOSED                closed              char         r   N
TAX_VALUE             taxValue            double       -   0
DEAL_ID               dealId              integer
MYCOMPANY_ID          mycompanyId         crm_company
BEGINDATE             begindate           date         -   @today
CLOSEDATE             closedate           date         -   @week
ACTUAL_DATE           actualDate          date         -   @week
CONTENT               content             string
TERMS                 terms               string
LOCATION_ID           locationId          location
{_SUM}{_CLIENT}{_TAIL}
"""
_RECORD_TAIL = """
DATE_CREATE - datetime r
DATE_MODIFY - datetime r
CREATED_BY_ID - user r @user
MODIFY_BY_ID - user r
NAME - string
CODE - string
XML_ID - string
ORIGINATOR_ID - string
ACTIVE - char - Y
SORT - integer - 500
"""
_REQUISITE_TEXTS = """
RQ_NAME RQ_FIRST_NAME RQ_LAST_NAME RQ_SECOND_NAME RQ_COMPANY_ID RQ_COMPANY_NAME RQ_COMPANY_FULL_NAME RQ_COMPANY_REG_DATE
RQ_DIRECTOR RQ_ACCOUNTANT RQ_CEO_NAME RQ_CEO_WORK_POS RQ_CONTACT RQ_EMAIL RQ_PHONE RQ_FAX RQ_IDENT_TYPE RQ_IDENT_DOC
RQ_IDENT_DOC_SER RQ_IDENT_DOC_NUM RQ_IDENT_DOC_PERS_NUM RQ_IDENT_DOC_DATE RQ_IDENT_DOC_ISSUED_BY RQ_IDENT_DOC_DEP_CODE
RQ_INN RQ_KPP RQ_USRLE RQ_IFNS RQ_OGRN RQ_OGRNIP RQ_OKPO RQ_OKTMO RQ_OKVED RQ_EDRPOU RQ_DRFO RQ_KBE RQ_IIN RQ_BIN
RQ_ST_CERT_SER RQ_ST_CERT_NUM RQ_ST_CERT_DATE RQ_VAT_PAYER RQ_VAT_ID RQ_VAT_CERT_SER RQ_VAT_CERT_NUM RQ_VAT_CERT_DATE
RQ_RESIDENCE_COUNTRY RQ_BASE_DOC RQ_REGON RQ_KRS RQ_PESEL RQ_LEGAL_FORM RQ_SIRET RQ_SIREN RQ_CAPITAL RQ_RCS RQ_CNPJ
RQ_STATE_REG RQ_MNPL_REG RQ_CPF
"""
_BANK_TEXTS = """
RQ_BANK_NAME RQ_BANK_CODE RQ_BANK_ADDR RQ_BANK_ROUTE_NUM RQ_BIK RQ_MFO RQ_ACC_NAME RQ_ACC_NUM RQ_ACC_TYPE RQ_IIK
RQ_ACC_CURRENCY RQ_COR_ACC_NUM RQ_IBAN RQ_SWIFT RQ_BIC RQ_CODEB RQ_CODEG RQ_RIB RQ_AGENCY_NAME COMMENTS
"""
_ADDRESS_TEXTS = "ADDRESS_1 ADDRESS_2 CITY POSTAL_CODE REGION PROVINCE COUNTRY COUNTRY_CODE"


def _texts(names: str) -> str:
    return "\n".join(f"{name} - string" for name in names.split())


REQUISITE = f"""
ID - integer r
ENTITY_TYPE_ID - integer !i
ENTITY_ID - integer !i
PRESET_ID - integer !i
{_RECORD_TAIL}
ADDRESS_ONLY - char - N
{_texts(_REQUISITE_TEXTS)}
"""
BANK_DETAIL = f"""
ID - integer r
ENTITY_ID - integer !i
COUNTRY_ID - integer - 1
{_RECORD_TAIL}
{_texts(_BANK_TEXTS)}
"""
ADDRESS = f"""
ID - integer h
TYPE_ID - integer !i
ENTITY_TYPE_ID - integer !i
ENTITY_ID - integer !i
{_texts(_ADDRESS_TEXTS)}
LOC_ADDR_ID - integer
ANCHOR_TYPE_ID - integer r
ANCHOR_ID - integer r
"""


def _parse(table: str) -> dict[str, Field]:
    fields = {}
    for line in filter(None, map(str.strip, table.splitlines())):
        name, camel, kind, flags, default = (*line.split(), "-", "-")[:5]
        fields[name] = Field(
            name=name,
            camel=None if camel == "-" else camel,
            type=kind,
            classic=name not in ("OBSERVER_IDS", "WEBFORM_ID"),
            read_only="r" in flags,
            immutable="i" in flags,
            required="!" in flags,
            multiple="m" in flags,
            kept="n" not in flags,
            hidden="h" in flags,
            default=default if default != "-" else None,
        )
    return fields


def _card(type_id: int, name: str, letter: str, title: str, table: str, **more: Any) -> Card:
    fields = _parse(table)
    return Card(
        name=name,
        table=name.lower(),
        fields=fields,
        user_fields=f"CRM_{name}",
        by_camel={item.camel: item for item in fields.values() if item.camel},
        type_id=type_id,
        letter=letter,
        title=title,
        **more,
    )


CARDS: dict[int, Card] = {
    1: _card(1, "LEAD", "L", "Лид", LEAD, has_multifields=True, stage="STATUS_ID"),
    2: _card(2, "DEAL", "D", "Сделка", DEAL, stage="STAGE_ID", type_book="DEAL_TYPE"),
    3: _card(3, "CONTACT", "C", "Контакт", CONTACT, has_multifields=True, type_book="CONTACT_TYPE"),
    4: _card(4, "COMPANY", "CO", "Компания", COMPANY, has_multifields=True),
    7: _card(7, "QUOTE", "Q", "Предложение", QUOTE, stage="STATUS_ID"),
}
RECORDS: dict[str, Record] = {
    "requisite": Record("Requisite", "requisite", _parse(REQUISITE), "CRM_REQUISITE"),
    "bank_detail": Record("RequisiteBankDetail", "bank_detail", _parse(BANK_DETAIL)),
    "address": Record("Address", "address", _parse(ADDRESS)),
}
