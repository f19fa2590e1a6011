"""Status books, funnels and currencies: the dictionaries that card fields take their codes from.

Pages `status/*`, `universal/category/*`, `currency/*`. Books and codes are those of a fresh Russian portal.
"""

from typing import Any

from publish.sandbox import php, users
from publish.sandbox.fields import CARDS, Card
from publish.sandbox.listing import select_documents
from publish.sandbox.methods import ApiError, Call, Page, method
from publish.sandbox.store import Store, moment

STATUS, CATEGORY, CURRENCY = "status", "category", "currency"
_STAGES = {
    "STATUS": ("NEW", "CONVERTED", "JUNK", 1), "DEAL_STAGE": ("NEW", "WON", "LOSE", 2),
    "QUOTE_STATUS": ("DRAFT", "APPROVED", "DECLAINED", 7),
}  # fmt: skip
_NAMES = {
    "STATUS": "Стадии лида", "DEAL_STAGE": "Стадии сделки", "QUOTE_STATUS": "Стадии предложения",
    "SOURCE": "Источники", "CONTACT_TYPE": "Тип контакта", "COMPANY_TYPE": "Тип компании",
    "EMPLOYEES": "Количество сотрудников", "INDUSTRY": "Сфера деятельности", "DEAL_TYPE": "Тип сделки",
    "HONORIFIC": "Обращения", "CALL_LIST": "Статусы обзвона",
}  # fmt: skip
_DEAL_STAGES = (
    "NEW=Новая PREPARATION=Подготовка_документов PREPAYMENT_INVOICE=Счёт_на_предоплату EXECUTING=В_работе "
    "FINAL_INVOICE=Финальный_счёт WON=Сделка_успешна LOSE=Сделка_провалена APOLOGY=Анализ_причины_провала"
)
_VALUES = {
    "STATUS": "NEW=Не_обработан IN_PROCESS=В_работе PROCESSED=Обработан CONVERTED=Качественный_лид JUNK=Некачественный",
    "SOURCE": "CALL=Звонок EMAIL=Электронная_почта WEB=Веб-сайт ADVERTISING=Реклама PARTNER=Существующий_клиент "
    "RECOMMENDATION=По_рекомендации TRADE_SHOW=Выставка WEBFORM=CRM-форма CALLBACK=Обратный_звонок "
    "RC_GENERATOR=Генератор_продаж STORE=Интернет-магазин OTHER=Другое",
    "CONTACT_TYPE": "CLIENT=Клиенты SUPPLIER=Поставщики PARTNER=Партнёры OTHER=Другое",
    "COMPANY_TYPE": "CUSTOMER=Клиент SUPPLIER=Поставщик COMPETITOR=Конкурент PARTNER=Партнёр OTHER=Другое",
    "EMPLOYEES": "EMPLOYEES_1=менее_50 EMPLOYEES_2=50-250 EMPLOYEES_3=250-500 EMPLOYEES_4=более_500",
    "INDUSTRY": "IT=Информационные_технологии TELECOM=Телекоммуникации MANUFACTURING=Производство BANKING=Банки "
    "CONSULTING=Консалтинг FINANCE=Финансы GOVERNMENT=Правительство DELIVERY=Доставка ENTERTAINMENT=Развлечения "
    "NOTPROFIT=Не_для_прибыли OTHER=Другое",
    "DEAL_TYPE": "SALE=Продажа COMPLEX=Комплексная_продажа GOODS=Продажа_товара SERVICES=Услуги SERVICE=Обслуживание",
    "DEAL_STAGE": _DEAL_STAGES,
    "QUOTE_STATUS": "DRAFT=Новое SENT=Отправлено_клиенту APPROVED=Принято DECLAINED=Отклонено",
    "HONORIFIC": "HNR_RU_1=г-н HNR_RU_2=г-жа",
    "CALL_LIST": "IN_WORK=В_работе SUCCESS=Успешно WRONG_NUMBER=Неверный_номер STOP_CALLING=Больше_не_звонить",
}
_CURRENCIES = {"RUB": ("1", "Российский рубль"), "USD": ("90", "Доллар США"), "EUR": ("98", "Евро")}


def seed(store: Store, now: float) -> None:
    """The books of a fresh portal; nothing where there are some."""
    if store.documents(STATUS):
        return
    for book, text in _VALUES.items():
        _seed_book(store, book, text)
    store.put_document(CATEGORY, {"name": "Общая", "sort": 300, "entityTypeId": 2, "isDefault": "Y"}, 0)
    for sort, (code, (amount, name)) in enumerate(_CURRENCIES.items(), 1):
        body: dict[str, Any] = {
            "CURRENCY": code,
            "AMOUNT_CNT": "1",
            "AMOUNT": f"{float(amount):.4f}",
            "SORT": str(sort * 100),
        }
        body |= {"BASE": "Y" if code == "RUB" else "N", "FULL_NAME": name, "LID": "ru", "FORMAT_STRING": "#"}
        body |= {"DEC_POINT": ".", "THOUSANDS_SEP": " ", "DECIMALS": "2", "DATE_UPDATE": moment(now), "LANG": []}
        store.put_document(CURRENCY, body)


def _seed_book(store: Store, book: str, text: str, category: int | None = None) -> None:
    base = "DEAL_STAGE" if book.startswith("DEAL_STAGE") else book
    for index, pair in enumerate(text.split(), 1):
        code, name = pair.split("=")
        group = _group(base, code)
        body: dict[str, Any] = {
            "ENTITY_ID": book,
            "STATUS_ID": f"C{category}:{code}" if category else code,
            "NAME": name.replace("_", " "),
            "NAME_INIT": name.replace("_", " "),
            "SORT": str(index * 10),
            "SYSTEM": "Y" if base not in _STAGES or code in _STAGES[base][:3] else "N",
            "CATEGORY_ID": str(category) if category else None,
            "COLOR": "#39A8EF" if base in _STAGES else None,
            "SEMANTICS": group if group != "P" else None,
        }
        if base in _STAGES:
            words = {"P": "process", "S": "success", "F": "failure" if code != "APOLOGY" else "apology"}
            body["EXTRA"] = {"SEMANTICS": words[group], "COLOR": body["COLOR"]}
        store.put_document(STATUS, body)


def _group(book: str, code: str) -> str:
    if book not in _STAGES:
        return "P"
    _, success, failure, _ = _STAGES[book]
    return "S" if code == success else "F" if code in (failure, "APOLOGY") else "P"


def _book(store: Store, book: str) -> dict[str, dict[str, Any]]:
    """Items of one book by code, in order."""

    def build() -> dict[str, dict[str, Any]]:
        statuses = [item for item in store.documents(STATUS).values() if item["ENTITY_ID"] == book]
        return {item["STATUS_ID"]: item for item in sorted(statuses, key=lambda item: int(item["SORT"]))}

    return store.derived(STATUS, book, build)


def first_value(store: Store, book: str) -> str | None:
    """What an unset field of this book takes."""
    return next(iter(_book(store, book)), None)


def has_value(store: Store, book: str, code: str) -> bool:
    return code in _book(store, book)


def semantics(store: Store, book: str, code: str) -> str:
    """Group of a stage: `P` in progress, `S` won, `F` lost."""
    return (_book(store, book).get(code) or {}).get("SEMANTICS") or "P"


def has_currency(store: Store, code: str) -> bool:
    return any(item["CURRENCY"] == code for item in store.documents(CURRENCY).values())


@method("crm.status.list")
def status_list(call: Call) -> Page:
    return select_documents(call, STATUS)


def _status(call: Call, unknown: str = "Status is not found.") -> tuple[int, dict[str, Any]]:
    status_id = php.integer(call.get("id"))
    if status_id <= 0:
        raise ApiError("", "Invalid identifier.")
    status = call.store.documents(STATUS).get(status_id)
    if status is None:
        raise ApiError("", unknown)
    return status_id, status


@method("crm.status.get")
def status_get(call: Call) -> dict[str, Any]:
    status_id, status = _status(call)
    return {"ID": str(status_id)} | status


@method("crm.status.add", writes=True)
def status_add(call: Call) -> int:
    fields = call.fields()
    missing = [f"The field {name} is required." for name in ("ENTITY_ID", "STATUS_ID") if not fields.get(name)]
    if missing:
        raise ApiError("", "\n".join(missing))
    book, code = str(fields["ENTITY_ID"]), str(fields["STATUS_ID"])
    if not _book(call.store, book):
        raise ApiError("", "Specified entity type is not supported.")
    if not fields.get("NAME"):
        raise ApiError("", "The field Title is required.")
    if has_value(call.store, book, code):
        raise ApiError("ERROR_CORE", "The specified status ID already exists.")
    sort = php.integer(fields.get("SORT")) or 10
    if book == "DEAL_STAGE" and sort > int(_book(call.store, book)["WON"]["SORT"]) and fields.get("SEMANTICS") != "F":
        raise ApiError(
            "",
            "Cannot create more stages after the final stage because the final successful stage already exists. "
            "Try using sort order values less than that of the final stage.",
        )
    body: dict[str, Any] = {
        "ENTITY_ID": book,
        "STATUS_ID": code,
        "NAME": str(fields["NAME"]),
        "NAME_INIT": "",
        "SORT": str(sort),
    }
    body |= {"SYSTEM": "N", "CATEGORY_ID": None, "COLOR": fields.get("COLOR"), "SEMANTICS": fields.get("SEMANTICS")}
    return call.store.put_document(STATUS, body)


@method("crm.status.update", writes=True)
def status_update(call: Call) -> bool:
    status_id, status = _status(call)
    sent = call.fields()
    changed = {name: str(sent[name]) for name in ("NAME", "SORT", "COLOR") if name in sent}
    call.store.put_document(STATUS, status | changed, status_id)
    return True


@method("crm.status.delete", writes=True)
def status_delete(call: Call) -> bool:
    status_id, status = _status(call)
    if status["SYSTEM"] == "Y" and dict(call.mapping("params")).get("FORCED") != "Y":
        raise ApiError("", 'CRM System Status can be deleted only if parameter FORCED is specified and equal to "Y".')
    call.store.drop_document(STATUS, status_id)
    return True


@method("crm.status.fields")
def status_fields(call: Call) -> dict[str, Any]:
    kinds = {"ID": "integer r", "ENTITY_ID": "string !i", "STATUS_ID": "string !i", "SORT": "integer"}
    kinds |= {"NAME": "string !", "NAME_INIT": "string r", "SYSTEM": "char r", "CATEGORY_ID": "integer i"}
    return describe(kinds | {"COLOR": "string", "SEMANTICS": "char i", "EXTRA": "crm_status_extra"})


@method("crm.status.entity.items")
def status_entity_items(call: Call) -> list[dict[str, Any]]:
    book = call.get("entityId")
    if not book:
        raise ApiError("", "The parameter entityId is not defined or invalid.")
    items = _book(call.store, str(book)).values()
    return [{"NAME": item["NAME"], "SORT": int(item["SORT"]), "STATUS_ID": item["STATUS_ID"]} for item in items]


@method("crm.status.entity.types")
def status_entity_types(call: Call) -> list[dict[str, Any]]:
    books = []
    for book, name in _NAMES.items():
        item: dict[str, Any] = {"ID": book, "NAME": name}
        if book in _STAGES:
            start, success, failure, type_id = _STAGES[book]
            item["SEMANTIC_INFO"] = {
                "START_FIELD": start,
                "FINAL_SUCCESS_FIELD": success,
                "FINAL_UNSUCCESS_FIELD": failure,
                "FINAL_SORT": 0,
            }
            item["ENTITY_TYPE_ID"] = type_id
        books.append(item)
    return books


def describe(kinds: dict[str, str]) -> dict[str, Any]:
    """A `*.fields` answer from `type flags` texts: `r` read-only, `i` immutable, `!` required, `m` multiple."""
    described = {}
    for name, text in kinds.items():
        kind, _, flags = text.partition(" ")
        described[name] = {
            "type": kind,
            "isRequired": "!" in flags,
            "isReadOnly": "r" in flags,
            "isImmutable": "i" in flags,
            "isMultiple": "m" in flags,
            "isDynamic": False,
            "title": name,
        }
    return described


def _funnel_card(call: Call) -> Card:
    card = CARDS.get(php.integer(call.required("entityTypeId")))
    if card is None:
        raise ApiError("NOT_FOUND", "Smart process not found")
    if card.name != "DEAL":
        raise ApiError("ENTITY_TYPE_NOT_SUPPORTED", f"Entity type {card.name} is not supported")
    return card


def _funnel(call: Call) -> tuple[int, dict[str, Any]]:
    _funnel_card(call)
    funnel_id = php.integer(call.required("id"))
    funnel = call.store.documents(CATEGORY).get(funnel_id)
    if funnel is None:
        raise ApiError("NOT_FOUND", "Element not found")
    return funnel_id, funnel


def has_funnel(store: Store, funnel_id: int) -> bool:
    return funnel_id in store.documents(CATEGORY)


@method("crm.category.list")
def category_list(call: Call) -> Page:
    _funnel_card(call)
    hidden = users.rights(call).hidden_funnels
    funnels = [{"id": key} | body for key, body in call.store.documents(CATEGORY).items() if key not in hidden]
    funnels.sort(key=lambda item: (item["sort"], item["id"]))
    return Page({"categories": funnels}, len(funnels))


@method("crm.category.get")
def category_get(call: Call) -> dict[str, Any]:
    funnel_id, funnel = _funnel(call)
    return {"category": {"id": funnel_id} | funnel}


@method("crm.category.add", writes=True)
def category_add(call: Call) -> dict[str, Any]:
    card = _funnel_card(call)
    fields = call.required_array("fields")
    if not fields.get("name"):
        raise ApiError(0, "Field 'NAME' is required")
    body = {"name": str(fields["name"]), "sort": php.integer(fields.get("sort")) or 500, "entityTypeId": card.type_id}
    body |= {"isDefault": "N"} | {name: fields.get(name) or "" for name in ("originId", "originatorId")}
    funnel_id = call.store.put_document(CATEGORY, body)
    _seed_book(call.store, f"DEAL_STAGE_{funnel_id}", _DEAL_STAGES, funnel_id)
    return {"category": {"id": funnel_id} | body}


@method("crm.category.update", writes=True)
def category_update(call: Call) -> dict[str, Any]:
    funnel_id, funnel = _funnel(call)
    fields = call.required_array("fields")
    changed: dict[str, Any] = {
        name: str(fields[name]) for name in ("name", "originId", "originatorId") if name in fields
    }
    changed |= {"sort": php.integer(fields["sort"])} if "sort" in fields else {}
    call.store.put_document(CATEGORY, funnel | changed, funnel_id)
    return {"category": {"id": funnel_id} | funnel | changed}


@method("crm.category.delete", writes=True)
def category_delete(call: Call) -> None:
    funnel_id, funnel = _funnel(call)
    if funnel["isDefault"] == "Y":
        raise ApiError(0, "Default deal category cannot be deleted")
    if call.store.value("select 1 from deal where CATEGORY_ID = ? limit 1", funnel_id):
        raise ApiError(0, f"Deals related to the funnel {funnel['name']} found")
    for key, item in list(call.store.documents(STATUS).items()):
        if item["ENTITY_ID"] == f"DEAL_STAGE_{funnel_id}":
            call.store.drop_document(STATUS, key)
    call.store.drop_document(CATEGORY, funnel_id)


@method("crm.category.fields")
def category_fields(call: Call) -> dict[str, Any]:
    _funnel_card(call)
    kinds = {"id": "integer r", "name": "string", "sort": "integer", "entityTypeId": "integer !r"}
    kinds |= {"isDefault": "boolean r", "originId": "string", "originatorId": "string"}
    return {"fields": describe(kinds)}
