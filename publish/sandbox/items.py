"""The universal methods `crm.item.*` for leads, deals, contacts, companies and quotes.

Pages `universal/crm-item-*` and `universal/import/*`. Names are camelCase and an unknown one is passed over in silence;
multifields are `fm` here and upper-case lists in the import methods, and the other form is passed over as well.
"""

import sqlite3
from typing import Any

from publish.sandbox import automation, books, cards, files, links, php, userfields, users, values
from publish.sandbox.cards import Draft, Multi
from publish.sandbox.fields import CARDS, MULTIFIELDS, Card, Field
from publish.sandbox.listing import Column, NotAllowed, condition, ordering, select, start_of
from publish.sandbox.methods import ApiError, Call, Page, method
from publish.sandbox.store import Store, moment

BATCH_IMPORT_LIMIT = 20
_HISTORY = ("DATE_CREATE", "DATE_MODIFY", "MOVED_TIME", "CREATED_BY_ID", "MODIFY_BY_ID", "MOVED_BY_ID")
_NOT_ITERABLE = {str: "string", int: "int", float: "float", bool: "bool", type(None): "null"}


def _card(call: Call) -> Card:
    card = cards.of_type(php.integer(call.required("entityTypeId")))
    if card is None:
        raise ApiError("NOT_FOUND", "Smart process not found")
    return card


def _load(call: Call, card: Card) -> sqlite3.Row:
    held = cards.load(call.store, card, php.integer(call.required("id")))
    if held is None:
        raise ApiError("NOT_FOUND", "Item not found")
    users.check_readable(call, card, [held["ID"]])
    return held


def _original_names(call: Call) -> bool:
    return call.params.get("useOriginalUfNames") in ("Y", True, "1", 1, "true")


def _iterable(value: Any) -> list[tuple[str, Any]]:
    if not php.is_array(value):
        kind = _NOT_ITERABLE[type(value)]
        raise ApiError("100", f"Expected iterable value for multiple field, but got `{kind}` instead")
    return php.pairs(value)


def _not_valid(name: str | None) -> ApiError:
    return ApiError("CRM_FIELD_ERROR_VALUE_NOT_VALID", f'Invalid value for field "{name}"')


def _decode(call: Call, card: Card, sent: dict[str, Any], *, importing: bool = False, held: Any = None) -> Draft:
    draft = Draft()
    custom = userfields.definitions(call.store, card)
    by_name = custom if _original_names(call) else {userfields.camel(name): item for name, item in custom.items()}
    for name, value in sent.items():
        item = card.by_camel.get(name)
        if item is not None and item.type == "file":
            draft.values[item.name] = files.keep(call.store, value)
        elif item is not None:
            _decode_field(call, card, draft, item, value, importing=importing)
        elif name in by_name:
            definition = by_name[name]
            if definition["USER_TYPE_ID"] == "file":
                keep = files.keep_all if definition["MULTIPLE"] == "Y" else files.keep
                draft.user_values[definition["FIELD_NAME"]] = keep(call.store, value)
                continue
            try:
                kept = userfields.keep(definition, value, loosely=False)
            except values.Invalid:
                raise _not_valid(name) from None
            draft.user_values[definition["FIELD_NAME"]] = kept
        elif card.has_multifields and importing and name in MULTIFIELDS:
            draft.multifields += _import_values(name, value)
        elif card.has_multifields and not importing and name == "fm":
            draft.multifields += _fm(value, is_new=held is None)
    _check_stage(call, card, draft, held)
    return draft


def _decode_field(call: Call, card: Card, draft: Draft, item: Field, value: Any, *, importing: bool) -> None:
    if item.multiple:
        ids = [] if php.is_empty(value) else [php.integer(one) for _, one in _iterable(value)]
        if item.name != "OBSERVER_IDS":
            draft.linked = _existing(call, links.SIDES[card.name].other, [one for one in ids if one > 0], item)
        return
    if item.read_only and not (importing and item.name in _HISTORY):
        return
    kept: Any
    try:
        # What PHP calls empty empties the field; of sums and flags that leaves their zero.
        kept = values.keep(item.type, value) if not php.is_empty(value) else {"double": 0.0, "char": "N"}.get(item.type)
    except values.Invalid:
        raise _not_valid(item.camel) from None
    if item.type in ("crm_company", "crm_contact", "crm_lead", "crm_quote"):
        kept = kept or None
        if kept is not None:
            other = next(card for card in CARDS.values() if card.name == item.type.removeprefix("crm_").upper())
            _existing(call, other, [kept], item)
        if item.name == links.SIDES[card.name].key:
            draft.primary = kept or 0
            return
    if item.type == "user" and kept is not None and not users.is_there(call.store, kept):
        raise _not_valid(item.camel)
    if item.type == "crm_currency" and kept is not None and not books.has_currency(call.store, kept):
        raise _not_valid(item.camel)
    book = card.book_of(item)
    if book and item.name != card.stage and kept is not None and not books.has_value(call.store, book, kept):
        raise _not_valid(item.camel)
    draft.values[item.name] = kept


def _existing(call: Call, other: Card, ids: list[int], item: Field) -> list[int]:
    """The ids of cards to link. The reference says nothing of one that is not there: refused, the strict reading."""
    for card_id in ids:
        if not call.store.exists(other.table, card_id):
            raise _not_valid(item.camel)
    return ids


def _check_stage(call: Call, card: Card, draft: Draft, held: Any) -> None:
    if "CATEGORY_ID" in draft.values:
        draft.values["CATEGORY_ID"] = draft.values["CATEGORY_ID"] or 0
        if card.name == "DEAL" and not books.has_funnel(call.store, draft.values["CATEGORY_ID"]):
            raise _not_valid("categoryId")
    if card.stage is None:
        return
    was = held["CATEGORY_ID"] if held is not None and card.name == "DEAL" else 0
    funnel = draft.values.get("CATEGORY_ID", was)
    book = cards.stage_book(card, card.fields[card.stage], {"CATEGORY_ID": funnel})
    stage = draft.values.pop(card.stage, None)
    if stage is None and funnel != was:
        stage = books.first_value(call.store, book)  # the stages of one funnel mean nothing in another
    if stage is None:
        return
    draft.values[card.stage] = stage
    if not books.has_value(call.store, book, stage):
        raise _not_valid("stageId")


def _fm(value: Any, *, is_new: bool) -> list[Multi]:
    """`fm`: a list adds; the keys of a map in an update are ids to change (an empty value deletes), or `n0` to add."""
    wanted = []
    for key, one in _iterable(value):
        if not isinstance(one, dict) or one.get("typeId") not in MULTIFIELDS:
            continue
        text = one.get("value")
        text = str(text).strip() if text is not None and not php.is_array(text) else ""
        value_id = int(key) if key.isdecimal() and isinstance(value, dict) and not is_new else None
        wanted.append(Multi(one["typeId"], text or None, one.get("valueType"), value_id))
    return [_checked(multi) for multi in wanted]


def _import_values(type_id: str, value: Any) -> list[Multi]:
    """`PHONE: [{VALUE, VALUE_TYPE}]`; a bare text is an error, an element of another form is passed over."""
    wanted = []
    for _, one in _iterable(value):
        if isinstance(one, dict) and one.get("VALUE"):
            wanted.append(_checked(Multi(type_id, str(one["VALUE"]).strip(), one.get("VALUE_TYPE"))))
    return wanted


def _checked(multi: Multi) -> Multi:
    if multi.type_id == "EMAIL" and multi.value and not values.is_email(multi.value):
        raise ApiError("CRM_FIELD_ERROR_VALUE_NOT_VALID", "The field `Work e-mail` contains an invalid address")
    return multi


def _require_name(card: Card, draft: Draft) -> None:
    if card.name == "CONTACT" and not draft.values.get("NAME") and not draft.values.get("LAST_NAME"):
        raise ApiError("CRM_FIELD_ERROR_REQUIRED", 'The "Name" field is required')


def _check_history(call: Call, card: Card, draft: Draft) -> None:
    """Import dates: none in the future, none before the newest card of the type, in the order made, moved, changed."""
    if not users.rights(call).is_admin:  # history is an administrator's to tell, whatever else others may import
        for item in card.columns:
            if item.name in _HISTORY and item.name in draft.values:
                raise _not_valid(item.camel)
    now = moment(call.now)
    created = draft.values.get("DATE_CREATE") or now
    updated = draft.values.get("DATE_MODIFY") or created
    moved = draft.values.get("MOVED_TIME") or created
    latest = cards.latest_creation(call.store, card)
    if created > now or ("DATE_CREATE" in draft.values and latest and created < latest):
        raise _not_valid("createdTime")
    if not created <= updated <= now:
        raise _not_valid("updatedTime")
    if not created <= moved <= updated:
        raise _not_valid("movedTime")


def _shown(
    call: Call, card: Card, row: sqlite3.Row, fm: list[sqlite3.Row] | None, linked: list[int] | None
) -> dict[str, Any]:
    item: dict[str, Any] = {
        field.camel: files.shown(call, row[field.name])
        if field.type == "file"
        else values.universal(field.type, row[field.name])
        for field in card.columns
        if field.camel is not None
    }
    fields = userfields.definitions(call.store, card)
    item |= userfields.show(fields, row["UF"], universal=True, original=_original_names(call))
    for name, definition in fields.items():
        if definition["USER_TYPE_ID"] == "file":
            key = name if _original_names(call) else userfields.camel(name)
            kept: Any = item[key]
            item[key] = [files.shown(call, one) for one in kept] if isinstance(kept, list) else files.shown(call, kept)
    if fm is not None:
        item["fm"] = [
            {"id": one["id"], "valueType": one["value_type"], "value": one["value"], "typeId": one["type_id"]}
            for one in fm
        ]
    item |= _response_only(card, row, fm or [])
    item["observers"] = []
    if linked is not None:
        item["companyIds" if card.name == "CONTACT" else "contactIds"] = linked
    item["entityTypeId"] = card.type_id
    return item


def _response_only(card: Card, row: sqlite3.Row, fm: list[sqlite3.Row]) -> dict[str, Any]:
    """Some of the fields that are shown and that no method takes (page `universal/object-fields`)."""
    names = (row[name] for name in ("TITLE", "LAST_NAME", "NAME") if name in card.fields)
    shown = {
        "searchContent": " ".join(str(text) for text in (*names, row["ASSIGNED_BY_ID"]) if text),
        "lastCommunicationTime": row["LAST_ACTIVITY_TIME"],
    }
    if card.stage and "MOVED_TIME" in card.fields:
        shown |= {"dateCreateShort": row["DATE_CREATE"], "dateModifyShort": row["DATE_MODIFY"]}
    if card.has_multifields:
        shown["phone"] = next((one["value"] for one in fm if one["type_id"] == "PHONE"), None)
    return shown


def shown_card(call: Call, card: Card, card_id: int) -> dict[str, Any]:
    """A card as `crm.item.get` shows it."""
    row = cards.existing(call.store, card, card_id)
    fm = cards.multifields(call.store, card, card_id) if card.has_multifields else None
    return _shown(call, card, row, fm, links.linked_to(call.store, card, card_id))


@method("crm.item.add", writes=True)
def item_add(call: Call) -> dict[str, Any]:
    card = _card(call)
    draft = _decode(call, card, call.required_array("fields"))
    _require_name(card, draft)
    card_id = cards.create(call.store, card, draft, call.user, call.now)
    automation.start(call.store, card, automation.ON_ADD)
    return {"item": shown_card(call, card, card_id)}


@method("crm.item.get")
def item_get(call: Call) -> dict[str, Any]:
    card = _card(call)
    return {"item": shown_card(call, card, _load(call, card)["ID"])}


@method("crm.item.update", writes=True)
def item_update(call: Call) -> dict[str, Any]:
    card = _card(call)
    held = _load(call, card)
    draft = _decode(call, card, call.required_array("fields"), held=held)
    if cards.update(call.store, card, held, draft, call.user, call.now, only_if_changed=True):
        automation.start(call.store, card, automation.ON_CHANGE)
    return {"item": shown_card(call, card, held["ID"])}


@method("crm.item.delete", writes=True)
def item_delete(call: Call) -> list[Any]:
    card = _card(call)
    cards.delete(call.store, card, _load(call, card)["ID"])
    return []


def _import(call: Call, card: Card, sent: Any) -> dict[str, Any]:
    if not php.is_array(sent):
        raise ApiError("100", "Invalid value of element: should be of type array.")
    draft = _decode(call, card, dict(php.pairs(sent)), importing=True)
    _require_name(card, draft)
    _check_history(call, card, draft)
    return {"item": {"id": cards.create(call.store, card, draft, call.user, call.now)}}


@method("crm.item.import", writes=True)
def item_import(call: Call) -> dict[str, Any]:
    return _import(call, _card(call), call.required_array("fields"))


@method("crm.item.batchImport", writes=True)
def item_batch_import(call: Call) -> dict[str, Any]:
    card = _card(call)
    elements = call.required_array("data")
    if len(elements) > BATCH_IMPORT_LIMIT:
        raise ApiError("MAX_IMPORT_BATCH_SIZE_EXCEEDED", f"You cannot import more than {BATCH_IMPORT_LIMIT} items")
    found = {}
    for key, sent in elements.items():
        try:
            with call.store.savepoint():
                found[key] = _import(call, card, sent)
        except ApiError as error:
            found[key] = error.body
    return {"items": php.array(found)}


def columns(call: Call, card: Card) -> dict[str, Column]:
    """Fields that a filter or an order of `crm.item.list` may name."""
    original = _original_names(call)

    def build() -> dict[str, Column]:
        found = {
            field.camel: Column(f'"{field.name}"', field.type) for field in card.columns if field.camel is not None
        }
        # Public clients page by `ID` whatever the list, the official SDK too, and portals let it pass.
        found["ID"] = found["id"]
        for name, definition in userfields.definitions(call.store, card).items():
            found[name if original else userfields.camel(name)] = user_column(definition)
        return found

    return call.store.derived(userfields.KIND, ("columns", card.name, original), build)


def user_column(definition: dict[str, Any]) -> Column:
    """Where a custom field is read."""
    name, kind = definition["FIELD_NAME"], definition["USER_TYPE_ID"]
    if definition["MULTIPLE"] == "Y":
        return Column("value", kind, f"exists (select 1 from json_each(UF, '$.\"{name}\"') where {{test}})")
    sql = f"json_extract(UF, '$.\"{name}\"')"
    return Column(f"coalesce({sql}, 'N')" if kind == "boolean" else sql, kind)


def _invalid_filter(name: str, problem: str) -> ApiError:
    return ApiError("INVALID_ARG_VALUE", f"Invalid filter: field '{name}' {problem}")


def _order(call: Call, known: dict[str, Column]) -> list[tuple[str, str]]:
    found = []
    for name, direction in php.pairs(call.params.get("order") or {}):
        if name not in known or known[name].within != "{test}":
            raise ApiError("INVALID_ARG_VALUE", f"Invalid order: field '{name}' is not allowed in order")
        if str(direction).upper() not in ("ASC", "DESC"):
            raise ApiError(
                "INVALID_ARG_VALUE",
                f"Invalid order: allowed sort directions are `ASC, DESC`. But got '{direction}' for field '{name}'",
            )
        found.append((known[name].sql, str(direction)))
    return found


@method("crm.item.list")
def item_list(call: Call) -> Page:
    card = _card(call)
    known = columns(call, card)
    try:
        where, bound = condition(call.params.get("filter"), known.get, strict=True)
    except NotAllowed as error:
        raise _invalid_filter(str(error), "is not allowed in filter") from None
    except values.Invalid as error:
        raise _invalid_filter(str(error), "has invalid value") from None
    order = _order(call, known)
    rights = users.rights(call)
    rows, total, following = select(
        call.store,
        card.table,
        where,
        bound,
        order,
        start_of(call),
        visible=rights.visible(card),
        counts_hidden=rights.counts_hidden,
    )
    chosen = [name for _, name in php.pairs(call.params.get("select") or ["*"])]
    everything = "*" in chosen
    ids = [row["ID"] for row in rows]
    fm = cards.multifields_of(call.store, card, ids) if everything and card.has_multifields else {}
    wants_links = everything or {"companyIds", "contactIds"} & set(chosen)
    shown = []
    for row in rows:
        linked = links.linked_to(call.store, card, row["ID"]) if wants_links else None
        item = _shown(call, card, row, fm.get(row["ID"]), linked)
        shown.append(item if everything else _chosen(item, set(chosen), original=_original_names(call)))
    return Page({"items": shown}, total, following)


def _chosen(item: dict[str, Any], chosen: set[str], *, original: bool) -> Any:
    """The named fields and no other, not even the id. With original names of custom fields, a selection loses every
    field that is not a custom one (issues 263 and 368 of the documentation's repository, open at the time)."""
    found = {}
    for name, value in item.items():
        is_custom = name.startswith((userfields.PREFIX, "ufCrm"))
        if (name in chosen or (is_custom and "UF_*" in chosen)) and (is_custom or not original):
            found[name] = value
    return found or []


def describe_fields(store: Store, card: Card, *, universal: bool, original: bool = True) -> dict[str, Any]:
    """The `fields` answer of a card in either family."""
    found = {}
    for item in card.fields.values():
        name = item.camel if universal else item.name
        if name is None or item.hidden or not (universal or item.classic):
            continue
        found[name] = {
            "type": {"char": "boolean"}.get(item.type, item.type) if universal else item.type,
            "isRequired": item.required,
            "isReadOnly": item.read_only,
            "isImmutable": item.immutable,
            "isMultiple": item.multiple,
            "isDynamic": False,
            "title": item.name,
        }
        if card.book_of(item):
            found[name]["statusType"] = card.book_of(item)
        if universal:
            found[name]["upperName"] = item.name
    for name, definition in userfields.definitions(store, card).items():
        label = definition.get("LIST_COLUMN_LABEL") or definition.get("EDIT_FORM_LABEL")
        found[name if original or not universal else userfields.camel(name)] = {
            "type": definition["USER_TYPE_ID"],
            "isRequired": definition["MANDATORY"] == "Y",
            "isReadOnly": False,
            "isImmutable": False,
            "isMultiple": definition["MULTIPLE"] == "Y",
            "isDynamic": True,
            "title": label if isinstance(label, str) and label else name,
            "upperName": name,
        }
    return found


@method("crm.item.fields")
def item_fields(call: Call) -> dict[str, Any]:
    card = _card(call)
    return {"fields": describe_fields(call.store, card, universal=True, original=_original_names(call))}


@method("crm.stagehistory.list")
def stage_history(call: Call) -> Page:
    card = cards.of_type(php.integer(call.required("entityTypeId")))
    if card is None or card.stage is None:
        raise ApiError(0, "The entity is not supported")
    stage = card.stage.removesuffix("_ID")
    known = {name: Column(name.lower(), "integer") for name in ("ID", "TYPE_ID", "OWNER_ID")}
    known |= {"CREATED_TIME": Column("created_time", "datetime"), "CATEGORY_ID": Column("category_id", "integer")}
    known |= {f"{stage}_SEMANTIC_ID": Column("stage_semantic_id", "string"), card.stage: Column("stage_id", "string")}
    where, bound = condition(call.params.get("filter"), known.get, strict=False)
    order = ordering(call.params.get("order"), known.get)
    rows, total, following = select(
        call.store, "stage_history", f"card = '{card.name}' and ({where})", bound, order, start_of(call)
    )
    items = [{name: row[column.sql] for name, column in known.items()} for row in rows]
    return Page({"items": items}, total, following)
