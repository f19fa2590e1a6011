"""Users of the portal, and what the webhook's user may read.

Pages `user/user-get`, `user/index`, `common/users/*`. Rights are set past the API (`Portal.set_rights`): lists leave
out the deals of a hidden funnel without a word, and the funnel itself (page `universal/category/crm-category-list`).
Whether `total` counts what a list leaves out is not documented: it does not, unless the rights say so.
"""

import json
from dataclasses import dataclass
from typing import Any

from publish.sandbox import php
from publish.sandbox.fields import Card
from publish.sandbox.listing import PAGE, select_rows, start_of
from publish.sandbox.methods import ApiError, Call, Page, method
from publish.sandbox.store import Store, moment

_LESS = ("ID", "ACTIVE", "NAME", "LAST_NAME", "SECOND_NAME", "UF_DEPARTMENT")  # of the scope `user_brief`


@dataclass(frozen=True, slots=True)
class Rights:
    """What a user may: `counts_hidden` says that `total` counts also what the lists leave out."""

    is_admin: bool = True
    hidden_funnels: tuple[int, ...] = ()
    counts_hidden: bool = False

    def visible(self, card: Card) -> str:
        """The SQL condition of the cards that may be read."""
        if card.name != "DEAL" or not self.hidden_funnels:
            return "1"
        return f"coalesce(CATEGORY_ID, 0) not in ({', '.join(map(str, self.hidden_funnels))})"


def seed(store: Store, now: float) -> None:
    """The administrator of a fresh portal; nothing where there is somebody."""
    if not store.value("select 1 from portal_user limit 1"):
        put(store, now, 1, NAME="Песочница", EMAIL="admin@portal.test")


def put(store: Store, now: float, user_id: int, **fields: Any) -> None:
    """Add a user, or change some fields of one."""
    user = _user(store, user_id) or {
        "ID": str(user_id), "XML_ID": str(user_id), "ACTIVE": True, "NAME": "", "LAST_NAME": "", "SECOND_NAME": "",
        "EMAIL": "", "LAST_LOGIN": moment(now), "DATE_REGISTER": moment(now), "IS_ONLINE": "N", "WORK_POSITION": "",
        "UF_DEPARTMENT": [1], "USER_TYPE": "employee",
    }  # fmt: skip
    body = json.dumps(user | fields, ensure_ascii=False)
    store.write("insert or replace into portal_user (ID, body) values (?, ?)", user_id, body)


def _user(store: Store, user_id: int) -> dict[str, Any] | None:
    body = store.value("select body from portal_user where ID = ?", user_id)
    return None if body is None else dict(json.loads(body))


def is_there(store: Store, user_id: int) -> bool:
    """Whether there is such a user, also one who has left."""
    return store.exists("portal_user", user_id)


def rights(call: Call) -> Rights:
    """What the caller may."""
    rights = (_user(call.store, call.user) or {}).get("rights", {})
    return Rights(**rights | {"hidden_funnels": tuple(rights.get("hidden_funnels", ()))}) if rights else Rights()


def may_read(call: Call, card: Card, card_id: int) -> bool:
    """Whether a card is one that the caller may read; one that is not there is none to hide."""
    sql = f"select {rights(call).visible(card)} from {card.table} where ID = ?"
    return call.store.value(sql, card_id) in (None, 1)


@method("user.admin")
def user_admin(call: Call) -> bool:
    return rights(call).is_admin


@method("profile")
def profile(call: Call) -> dict[str, Any]:
    user = _user(call.store, call.user) or {}
    named = {name: user.get(name, "") for name in ("NAME", "LAST_NAME")}
    return {"ID": str(call.user), "ADMIN": rights(call).is_admin} | named | {"PERSONAL_GENDER": "", "TIME_ZONE": ""}


@method("user.current", scope="user")
def user_current(call: Call) -> dict[str, Any]:
    return _shown(call, _user(call.store, call.user) or {"ID": str(call.user), "ACTIVE": True})


@method("user.get", scope="user")
def user_get(call: Call) -> Page:
    users = [json.loads(row["body"]) for row in call.store.rows("select body from portal_user order by ID")]
    users = select_rows(call, users)
    if str(call.get("order") or "ASC").upper() == "DESC":
        users.reverse()
    start = max(start_of(call), 0)
    rows = [_shown(call, user) for user in users[start : start + PAGE]]
    return Page(rows, len(users), start + PAGE if start + PAGE < len(users) else None)


def _shown(call: Call, user: dict[str, Any]) -> dict[str, Any]:
    is_brief = not {"user", "user_basic"} & call.scopes
    return {name: value for name, value in user.items() if name != "rights" and (name in _LESS or not is_brief)}


def check_admin(call: Call) -> None:
    """Refuse whoever is no administrator."""
    if not rights(call).is_admin:
        raise ApiError("ACCESS_DENIED", "Access denied!", 403)


def check_readable(call: Call, card: Card | None, card_ids: list[int]) -> None:
    """Refuse the parts of a card that the caller may not read."""
    if card is not None and not all(may_read(call, card, php.integer(card_id)) for card_id in card_ids):
        raise ApiError("ACCESS_DENIED", "Access denied", 400)
