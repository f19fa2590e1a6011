"""A portal full of cards in seconds: rows go in by one statement a table, not through the methods.

What is made is what the methods would have made, but that nobody was asked: no automation, no log.
"""

from collections.abc import Mapping

from publish.sandbox import cards
from publish.sandbox.fields import CARDS, Card
from publish.sandbox.store import Store

_NUMBERS = "with recursive numbers(i) as (select 0 union all select i + 1 from numbers where i + 1 < {count})"
_MOMENT = "strftime('%Y-%m-%dT%H:%M:%S', {seconds} + 10800, 'unixepoch') || '+03:00'"
_NAMES: Mapping[str, Mapping[str, str]] = {
    "COMPANY": {"TITLE": "'ООО «Пример ' || i || '»'", "HAS_PHONE": "'Y'", "HAS_EMAIL": "'Y'"},
    "CONTACT": {"NAME": "'Анна'", "LAST_NAME": "'Примерова-' || i", "HAS_PHONE": "'Y'", "HAS_EMAIL": "'Y'"},
    "LEAD": {"TITLE": "'Заявка ' || i", "NAME": "'Пётр'", "HAS_PHONE": "'Y'", "HAS_EMAIL": "'Y'"},
    "DEAL": {"TITLE": "'Заказ ' || i", "OPPORTUNITY": "1000.0 + i % 977"},
}


def fill(store: Store, now: float, counts: Mapping[str, int], every: int = 1) -> None:
    """Add so many cards of each kind (`company`, `contact`, `lead`, `deal`), one a minute up to `now`, each with what
    belongs to it: phones and e-mails, requisites, bank details and addresses of companies, contacts of companies and
    deals. `activity`, `comment`, `product_row` and `requisite_link` go to the deals in turn. Ids are `every` apart.
    """
    for name in ("company", "contact", "lead", "deal"):
        if count := counts.get(name, 0):
            card = next(card for card in CARDS.values() if card.table == name)
            first = _next_id(store, name)
            _cards(store, card, now, count, first, every)
            if card.has_multifields:
                _multifields(store, card, count, first, every)
            if name == "company":
                _requisites(store, now, count, first, every)
            elif name in ("contact", "deal"):
                _links(store, card, first)
    deals = store.value("select count(*) from deal")
    for name in ("activity", "comment", "product_row", "requisite_link"):
        if (count := counts.get(name, 0)) and deals:
            _parts(store, name, now, count, deals)


def _next_id(store: Store, table: str) -> int:
    return int(store.value(f"select coalesce(max(ID), 0) + 1 from {table}"))


def _insert(store: Store, table: str, count: int, columns: Mapping[str, str]) -> None:
    names, expressions = ", ".join(f'"{name}"' for name in columns), ", ".join(columns.values())
    numbers = _NUMBERS.format(count=count)
    store.write(f"{numbers} insert into {table} ({names}) select {expressions} from numbers")


def _cards(store: Store, card: Card, now: float, count: int, first: int, every: int) -> None:
    at = _MOMENT.format(seconds=f"({int(now)} - 60 * ({count} - i))")
    columns = {"ID": f"{first} + i * {every}", "UF": "'{}'"}
    for field in card.columns[1:]:
        value = cards.default(store, card, field, cards.Draft(), 1, now)
        columns[field.name] = "null" if value is None else repr(value)
    times = [name for name in ("DATE_CREATE", "DATE_MODIFY", "LAST_ACTIVITY_TIME", "MOVED_TIME") if name in columns]
    _insert(store, card.table, count, columns | dict.fromkeys(times, at) | dict(_NAMES[card.name]))


def _multifields(store: Store, card: Card, count: int, first: int, every: int) -> None:
    phone, email = f"printf('+7495%07d', {first} + i)", f"'{card.table}' || ({first} + i) || '@example.com'"
    owner = {"card": f"'{card.name}'", "card_id": f"{first} + i * {every}", "value_type": "'WORK'"}
    for type_id, value, key in (("PHONE", phone, f"substr({phone}, 2)"), ("EMAIL", email, email)):
        _insert(store, "multifield", count, owner | {"type_id": f"'{type_id}'", "value": value, "search_key": key})


def _requisites(store: Store, now: float, count: int, first: int, every: int) -> None:
    requisite, bank_detail = _next_id(store, "requisite"), _next_id(store, "bank_detail")
    company, at = f"{first} + i * {every}", _MOMENT.format(seconds=int(now))
    common = {"NAME": "'Реквизиты'", "ACTIVE": "'Y'", "SORT": "500", "DATE_CREATE": at, "CREATED_BY_ID": "1"}
    owner = {"ID": f"{requisite} + i", "ENTITY_TYPE_ID": "4", "ENTITY_ID": company, "PRESET_ID": "1"}
    _insert(
        store, "requisite", count, owner | common | {"RQ_INN": f"printf('%010d', {company})", "ADDRESS_ONLY": "'N'"}
    )
    bank = {"ID": f"{bank_detail} + i", "ENTITY_ID": f"{requisite} + i", "COUNTRY_ID": "1", "RQ_BIK": "'044525225'"}
    _insert(store, "bank_detail", count, bank | common)
    address = {"TYPE_ID": "6", "ENTITY_TYPE_ID": "8", "ENTITY_ID": f"{requisite} + i", "CITY": "'Москва'"}
    _insert(store, "address", count, address | {"ANCHOR_TYPE_ID": "4", "ANCHOR_ID": company})


def _links(store: Store, card: Card, first: int) -> None:
    """The contacts of companies and deals: both in turn, as long as there are some."""
    others = {"CONTACT": ("company",), "DEAL": ("company", "contact")}[card.name]
    for other in others:
        if not (many := store.value(f"select count(*) from {other}")):
            continue
        store.write(
            f"""update {card.table} set {other.upper()}_ID = turned.ID from (
                    select ID, row_number() over (order by ID) - 1 as turn from {other}
                ) as turned where {card.table}.ID >= ? and {card.table}.ID % {many} = turned.turn""",
            first,
        )
    if card.name == "CONTACT":
        store.write(
            """insert into contact_company (contact_id, company_id, sort, is_primary, contact_sort, is_primary_contact)
               select ID, COMPANY_ID, 10, 'Y', 10 * row_number() over (partition by COMPANY_ID order by ID),
                   iif(row_number() over (partition by COMPANY_ID order by ID) = 1, 'Y', 'N')
               from contact where ID >= ? and COMPANY_ID is not null""",
            first,
        )
    else:
        store.write(
            """insert into card_contact (card, card_id, contact_id, sort, is_primary)
               select 'DEAL', ID, CONTACT_ID, 10, 'Y' from deal where ID >= ? and CONTACT_ID is not null""",
            first,
        )


def _parts(store: Store, name: str, now: float, count: int, deals: int) -> None:
    """Parts of deals in turn: each statement joins the numbers with the deals by their place in the order of ids."""
    at = _MOMENT.format(seconds=int(now))
    activity = f"{_next_id(store, 'activity')} + i"
    into, chosen = {
        "activity": (
            "activity (ID, OWNER_TYPE_ID, OWNER_ID, TYPE_ID, SUBJECT, CREATED, LAST_UPDATED, START_TIME, COMPLETED, "
            "RESPONSIBLE_ID, AUTHOR_ID)",
            f"{activity}, 2, deal, 2, 'Звонок ' || i, {at}, {at}, {at}, 'Y', 1, 1",
        ),
        "comment": (
            "comment (ENTITY_TYPE, ENTITY_ID, CREATED, COMMENT, AUTHOR_ID)",
            f"'deal', deal, {at}, 'Позвонили ' || i, 1",
        ),
        "product_row": (
            "product_row (ownerType, ownerId, productId, productName, price, quantity, sort, discountTypeId, "
            "discountRate, discountSum, taxIncluded, measureCode, measureName)",
            "'D', deal, 0, 'Товар ' || i, 100.0 + i % 7, 1 + i % 3, 10, 2, 0.0, 0.0, 'N', 796, 'шт'",
        ),
        "requisite_link": (
            "requisite_link (ENTITY_TYPE_ID, ENTITY_ID, REQUISITE_ID, BANK_DETAIL_ID, MC_REQUISITE_ID, "
            "MC_BANK_DETAIL_ID)",
            "2, deal, coalesce((select min(ID) from requisite where ENTITY_TYPE_ID = 4 and ENTITY_ID = company), 0), "
            "0, 0, 0",
        ),
    }[name]
    turned = f"""{_NUMBERS.format(count=count)}, deals as (
        select ID as deal, COMPANY_ID as company, row_number() over (order by ID) - 1 as turn from deal
    )"""
    store.write(f"{turned} insert into {into} select {chosen} from numbers join deals on turn = i % {deals}")
    if name == "product_row":
        store.write(
            """update deal set OPPORTUNITY = goods.total from (
                   select ownerId, sum(price * quantity) as total from product_row where ownerType = 'D' group by 1
               ) as goods where deal.ID = goods.ownerId"""
        )
    if name == "activity":
        store.write("insert or ignore into activity_binding select ID, OWNER_TYPE_ID, OWNER_ID from activity")
