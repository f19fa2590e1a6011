"""The custom field of companies that may hold an INN (SVOD_INN_FIELD): whether the portal has it, and what it holds."""

from collections.abc import Sequence
from typing import Any

from ingest.bitrix24.answers import rows_of
from ingest.bitrix24.client import Command
from ingest.warehouse.errors import SettingsError
from publish.bitrix24.parts import COMPANY

_LIST = f"{COMPANY.user_fields}.list"


def look_up(field: str) -> list[Command]:
    """What tells it; a list that is asked by an unknown field answers everything, and one of everything ends after
    fifty."""
    return [Command(_LIST, {"filter": {"FIELD_NAME": field}}), Command(_LIST, {})] if field else []


def is_of_texts(field: str, answers: Sequence[Any]) -> bool:
    """Whether it holds texts, not numbers, by the answers to `look_up`. Raises SettingsError where it is not there."""
    types = {
        str(row.get("FIELD_NAME")): row.get("USER_TYPE_ID")
        for answer in answers[::-1]
        for row in rows_of(_LIST, answer)
    }
    if field not in types:
        raise SettingsError(
            f"SVOD_INN_FIELD: companies of the portal have no custom field {field}",
            hint=f"there are {', '.join(sorted(types)) or 'none'}",
        )
    return types[field] not in ("integer", "double")
