"""Before anything is written to a box: what would start by itself there, and a person's word that it is off.

Changes start automation and there is no switch against it (page `universal/crm-item-update`); imports start none (page
`universal/import/index`). But no import takes rows of goods (page `universal/import/crm-item-import`): they are set
afterwards, which changes the card's sum, and whether that starts what a change does is not documented. Robots, outgoing
mail, telephony and outgoing webhooks of a restored box are not to be seen through the API, except for templates of
workflows (page `bizproc/template/bizproc-workflow-template-list`).
"""

from ingest.bitrix24.answers import rows_of
from ingest.bitrix24.client import Client, Command
from ingest.warehouse.errors import OperatorError
from publish.transfer.kinds import CARD_TYPES

_LIST = "bizproc.workflow.template.list"
_WHEN = {"1": "when one is added", "2": "when one is changed", "3": "when one is added or changed"}


async def check(client: Client, *, is_off: bool, with_rows: int = 0) -> list[str]:
    """What would start by itself, a line each, for the operator to read; rows of goods are set of so many cards.

    Raises OperatorError with exit status 2 when nobody has said that it `is_off`.
    """
    notes = await _templates(client)
    if with_rows:
        notes.append(f"rows of goods are set of {with_rows:,} cards, new ones too: that may start what a change starts")
    if not is_off:
        raise OperatorError(
            "; ".join([f"nothing is written to {client.host} before somebody says that automation is off", *notes]),
            hint="switch off its robots, outgoing mail, telephony and outgoing webhooks, then --automation-is-off",
            exit_status=2,
        )
    return notes


async def _templates(client: Client) -> list[str]:
    notes: list[str] = []
    start: int | None = 0
    while start is not None:
        params = {
            "SELECT": ["ID", "NAME", "DOCUMENT_TYPE", "AUTO_EXECUTE"],
            "FILTER": {"MODULE_ID": "crm"},
            "start": start,
        }
        (answer,) = await client.read_outcomes([Command(_LIST, params)], optional=(_LIST,))
        if answer.error is not None:
            return [f"workflow templates could not be seen: {answer.error.code or answer.error.description}"]
        for row in rows_of(_LIST, answer.result):
            when = _WHEN.get(str(row.get("AUTO_EXECUTE")))
            kind = str(row.get("DOCUMENT_TYPE")).lower()
            if when and kind in CARD_TYPES:
                notes.append(f"workflow «{row.get('NAME')}» of {kind} starts {when}")
        start = answer.next
    return notes
