"""Workflow templates and robots, which start by themselves, and how often they did.

Page `bizproc/template/bizproc-workflow-template-list`. Adding and changing a card starts the templates of its type that
say so; imports start none (page `universal/import/index`). What was started and sent is counted, nothing happens.
"""

from typing import Any

from publish.sandbox import php, users
from publish.sandbox.fields import Card
from publish.sandbox.listing import PAGE, select_rows, start_of
from publish.sandbox.methods import Call, Page, method
from publish.sandbox.store import Store, moment

KIND = "workflow_template"
STARTED, MAIL = "automation", "mail"
ON_ADD, ON_CHANGE = 1, 2  # bits of AUTO_EXECUTE


def count(store: Store, name: str) -> None:
    """One more of what should not happen in a portal that is only read."""
    store.write("insert into counter values (?, 1) on conflict (name) do update set number = number + 1", name)


def counted(store: Store, name: str) -> int:
    return int(store.value("select number from counter where name = ?", name) or 0)


def add_template(store: Store, now: float, document_type: str, auto_execute: int, name: str) -> int:
    """A template as an administrator makes it in the portal's designer."""
    entity = f"CCrmDocument{document_type.capitalize()}"
    body = {"MODULE_ID": "crm", "ENTITY": entity, "DOCUMENT_TYPE": document_type, "AUTO_EXECUTE": str(auto_execute)}
    return store.put_document(KIND, body | {"NAME": name, "MODIFIED": moment(now), "USER_ID": "1", "SYSTEM_CODE": ""})


def start(store: Store, card: Card, when: int) -> None:
    """Start what a new or a changed card starts."""
    for body in store.documents(KIND).values():
        if body["DOCUMENT_TYPE"] == card.name and int(body["AUTO_EXECUTE"]) & when:
            count(store, STARTED)


@method("bizproc.workflow.template.list", scope="bizproc")
def template_list(call: Call) -> Page:
    users.check_admin(call)
    templates = select_rows(call, [{"ID": str(key)} | body for key, body in call.store.documents(KIND).items()])
    chosen = {str(name).upper() for _, name in php.pairs(call.get("select") or ["ID"])}
    start_at = max(start_of(call), 0)
    rows: list[dict[str, Any]] = [
        {name: value for name, value in item.items() if name in chosen}
        for item in templates[start_at : start_at + PAGE]
    ]
    return Page(rows, len(templates), start_at + PAGE if start_at + PAGE < len(templates) else None)
