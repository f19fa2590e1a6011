"""What is read of a portal, as data: one entity a raw table.

Pages below `api-reference/` of the reference: `crm/universal/crm-item-list`, `crm/universal/product-rows/*`,
`crm/requisites/*`, `crm/timeline/*`, `crm/status/crm-status-list`, `user/user-get`, `bizproc/template/*`,
`catalog/catalog/*`, `catalog/product/catalog-product-list`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ingest.bitrix24.pacing import PAGE
from ingest.bitrix24.reading import ReadMethod


@dataclass(frozen=True)
class Windows:
    """By windows of a column of numbers: `(a, b]`, fifty of them a request. Where it `is_unique` it is the id. `within`
    names the list in the answer."""

    column: str
    is_unique: bool = True
    within: str = ""


@dataclass(frozen=True)
class EachOf(Windows):
    """The same for each record of another entity, `lists`, whose key the list wants in the filter as `named`."""

    lists: str = ""
    named: str = ""


@dataclass(frozen=True)
class Whole:
    """A small list, page by page from its beginning. `within` names the list in the answer; some are lists at once."""

    within: str = ""
    methods: tuple[ReadMethod, ...] = ()  # others whose rows go to the same table


@dataclass(frozen=True)
class Owner:
    """Cards or activities that have parts: the entity, and how the list of the parts calls it."""

    entity: str
    code: str


@dataclass(frozen=True)
class OfOwners:
    """Parts of owners, one record an owner: all its parts as they are now.

    `many` owners a command. `by_change`: only of owners that are new or have changed since their parts were read last,
    for a list that takes one owner a command.
    """

    owners: tuple[Owner, ...]
    many: int = 1
    by_change: bool = False


@dataclass(frozen=True)
class Entity:
    """A kind of record: the name of its table, how it is read, which fields are its key and its time of change.

    `active` tells when something was done to it last. Fields that are `volatile` change by themselves, and alone do not
    make a record a changed one. What is `optional` may be refused for want of a scope.
    """

    name: str
    description: str
    method: ReadMethod
    how: Windows | Whole | OfOwners
    key: tuple[str, ...] = ("ID",)
    times: tuple[str, ...] = ()
    active: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    where: Mapping[str, Any] = field(default_factory=dict)
    volatile: frozenset[str] = frozenset()
    optional: bool = False


# The field that a move adds to every card of the box: that alone is no change of all of them.
_OF_THE_MOVE = frozenset({"UF_CRM_SVOD_SOURCE"})


def _cards(name: str, type_id: int) -> Entity:
    return Entity(
        name,
        f"{name.capitalize()} of the portal as crm.item.list answers them, phones and e-mails in fm.",
        ReadMethod.ITEMS,
        Windows("id"),
        key=("id",),
        times=("updatedTime", "createdTime"),
        active="lastActivityTime",
        params={"entityTypeId": type_id, "select": ["*"], "useOriginalUfNames": "Y"},
        volatile=_OF_THE_MOVE,
    )


CARDS = (_cards("leads", 1), _cards("deals", 2), _cards("contacts", 3), _cards("companies", 4))
PRODUCT_ROWS = Entity(
    "product_rows",
    "Product rows, one record a deal or lead that has some: all its rows.",
    ReadMethod.PRODUCT_ROWS,
    OfOwners((Owner("deals", "D"), Owner("leads", "L")), many=PAGE),
)
COMMENTS = Entity(
    "comments",
    "Comments in the timeline, one record a card: all its comments.",
    ReadMethod.COMMENTS,
    OfOwners(
        (Owner("leads", "lead"), Owner("deals", "deal"), Owner("contacts", "contact"), Owner("companies", "company")),
        by_change=True,
    ),
)
ACTIVITIES = Entity(
    "activities",
    "Activities with their partners and the addresses of their files.",
    ReadMethod.ACTIVITIES,
    Windows("ID"),
    times=("LAST_UPDATED", "CREATED"),
    active="LAST_UPDATED",
    params={"select": ["*", "COMMUNICATIONS", "FILES"]},
)
ACTIVITY_BINDINGS = Entity(
    "activity_bindings",
    "What activities are bound to, one record an activity.",
    ReadMethod.ACTIVITY_BINDINGS,
    OfOwners((Owner("activities", "activity"),), by_change=True),
)
_CHANGED = ("DATE_MODIFY", "DATE_CREATE")
PARTS = (
    Entity("requisites", "Requisites of companies and contacts.", ReadMethod.REQUISITES, Windows("ID"),
           times=_CHANGED, params={"select": ["*", "UF_*"]}),
    Entity("bank_details", "Bank details of requisites.", ReadMethod.BANK_DETAILS, Windows("ID"), times=_CHANGED),
    Entity("addresses", "Addresses of requisites, and of leads.", ReadMethod.ADDRESSES,
           Windows("ENTITY_ID", is_unique=False), key=("TYPE_ID", "ENTITY_TYPE_ID", "ENTITY_ID")),
    Entity("requisite_links", "Which requisite a deal was made with.", ReadMethod.REQUISITE_LINKS,
           Windows("ENTITY_ID"), key=("ENTITY_TYPE_ID", "ENTITY_ID"), where={"ENTITY_TYPE_ID": 2}),
)  # fmt: skip
FUNNELS = Entity("funnels", "Funnels of deals.", ReadMethod.FUNNELS, Whole(within="categories"), key=("id",),
                 params={"entityTypeId": 2})  # fmt: skip
STATUSES = Entity("statuses", "Values of all status books, stages too.", ReadMethod.STATUSES, Whole(),
                  key=("ENTITY_ID", "STATUS_ID"))  # fmt: skip
_FIELD_METHODS = (
    ReadMethod.LEAD_FIELDS, ReadMethod.DEAL_FIELDS, ReadMethod.CONTACT_FIELDS, ReadMethod.COMPANY_FIELDS,
    ReadMethod.REQUISITE_FIELDS,
)  # fmt: skip
CATALOGS = Entity("catalogs", "Catalogues of products.", ReadMethod.CATALOGS, Whole(within="catalogs"),
                  key=("iblockId",), optional=True)  # fmt: skip
PRODUCTS = Entity("products", "Products and their variants.", ReadMethod.PRODUCTS,
                  EachOf("id", within="products", lists=CATALOGS.name, named="iblockId"), key=("id",), optional=True,
                  params={"select": ["id", "iblockId", "name", "xmlId", "active"]})  # fmt: skip
DICTIONARIES = (
    FUNNELS,
    STATUSES,
    Entity("user_fields", "Custom fields with the values of lists.", _FIELD_METHODS[0],
           Whole(methods=_FIELD_METHODS[1:])),
    Entity("requisite_presets", "Presets of requisites.", ReadMethod.REQUISITE_PRESETS, Whole(), times=_CHANGED),
    Entity("currencies", "Currencies.", ReadMethod.CURRENCIES, Whole(), key=("CURRENCY",), times=("DATE_UPDATE",)),
    Entity("users", "Users with their e-mails.", ReadMethod.USERS, Whole(),
           params={"sort": "ID", "order": "ASC", "ADMIN_MODE": "Y"},
           volatile=frozenset({"LAST_LOGIN", "IS_ONLINE", "LAST_ACTIVITY_DATE", "TIMESTAMP_X"})),
    CATALOGS,
    PRODUCTS,
    Entity("workflow_templates", "Workflow templates, and whether they start by themselves.",
           ReadMethod.WORKFLOW_TEMPLATES, Whole(), times=("MODIFIED",), optional=True,
           params={"SELECT": ["ID", "MODULE_ID", "ENTITY", "DOCUMENT_TYPE", "AUTO_EXECUTE", "NAME", "MODIFIED",
                              "USER_ID", "SYSTEM_CODE"]}),
)  # fmt: skip
# Each lane is read in its order, all lanes at once: a method's working time is its own.
LANES: tuple[tuple[Entity, ...], ...] = (
    (*CARDS, PRODUCT_ROWS, COMMENTS),
    (ACTIVITIES, ACTIVITY_BINDINGS),
    (*DICTIONARIES, *PARTS),
)
ENTITIES = {entity.name: entity for lane in LANES for entity in lane}
