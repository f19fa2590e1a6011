"""Errors of the portal, told apart by their code: what each asks of us, and what the operator can do about it.

Codes of page `_includes/system-errors` and of the pages of the methods used. 503 and 403 come with several of them, so
the code decides and not the status; what is not here concerns the record.
"""

from dataclasses import dataclass
from enum import Enum

from ingest.warehouse.errors import OperatorError


class PortalRefused(OperatorError):
    """The portal refuses everything we do: rights, tariff, a wrong webhook, a blocked or deleted portal."""


class PortalUnavailable(OperatorError):
    """The portal does not answer, or not with what a portal answers."""


class Reaction(Enum):
    """What an error asks of us."""

    LIMIT = "wait, then the same again: it was not executed"
    UNKNOWN = "it may have been executed: look before sending again"
    STOP = "it concerns everything: stop"
    RIGHTS = "the webhook's user may not: this card, or any"
    RECORD = "it concerns this record: a dead letter"


WEBHOOK = "SVOD_BITRIX24_WEBHOOK"  # of the portal that is published to
DENIED = "ACCESS_DENIED"
_LIMIT = {"QUERY_LIMIT_EXCEEDED", "OPERATION_TIME_LIMIT"}
_UNKNOWN = {"INTERNAL_SERVER_ERROR", "ERROR_UNEXPECTED_ANSWER"}
_IS_THERE = "TypeAddress exists"  # an address of that type: ours, whose answer was lost, or a manager's
_STOP = {
    "NO_AUTH_FOUND": "the webhook is wrong or was deleted: check {variable}",
    "INVALID_CREDENTIALS": "the webhook is wrong or its user may not: check {variable}",
    "EXPIRED_TOKEN": "the webhook has expired: create another one",
    "INSUFFICIENT_SCOPE": "give the webhook the right `crm`; one of a portal that is read whole, `user` as well",
    DENIED: "the webhook's user needs the rights to read, add, change and import in CRM; a paid plan",
    "ALLOWED_ONLY_INTRANET_USER": "the webhook must belong to an employee, not to a guest",
    "USER_ACCESS_ERROR": "the administrator has not let this user use the application",
    "INVALID_REQUEST": "use the https address of the portal",
    "PORTAL_DELETED": "the portal is closed: ask its administrator",
    "OVERLOAD_LIMIT": "the portal's REST API was blocked by hand: ask Bitrix24 support",
    "CREATE_DYNAMIC_ITEM_RESTRICTED": "the portal's plan does not allow it",
    "UPDATE_DYNAMIC_ITEM_RESTRICTED": "the portal's plan does not allow it",
    "CRM_FEATURE_RESTRICTION_ERROR": "the portal's plan does not allow it",
    "ERROR_METHOD_NOT_FOUND": "the portal does not know this method: is the CRM module on and up to date?",
    "ERROR_MANIFEST_IS_NOT_AVAILABLE": "the portal is not ready: ask its administrator",
    "ERROR_BATCH_METHOD_NOT_ALLOWED": "please report this",
    "ERROR_BATCH_LENGTH_EXCEEDED": "please report this",
    "MAX_IMPORT_BATCH_SIZE_EXCEEDED": "please report this",
}
_WRONG_WEBHOOK = {"NO_AUTH_FOUND", "INVALID_CREDENTIALS", "EXPIRED_TOKEN"}


@dataclass(frozen=True, slots=True)
class PortalError:
    """An error answer. `code` may be empty or a number: some methods only write a description."""

    code: str
    description: str

    @property
    def is_gone(self) -> bool:
        """Whether the record was deleted; lists leave out those that may not be read as well."""
        return self.code.upper() == "NOT_FOUND" or "is not found" in self.description

    @property
    def reaction(self) -> Reaction:
        code = self.code.upper()
        if code in _LIMIT:
            return Reaction.LIMIT
        if code in _UNKNOWN or _IS_THERE in self.description:
            return Reaction.UNKNOWN
        if code == DENIED or self.description.strip(" .!").lower() == "access denied":
            return Reaction.RIGHTS
        if code in _STOP:
            return Reaction.STOP
        return Reaction.RECORD

    @property
    def name(self) -> str:
        """The code; one of our own where the portal only writes a description that says it."""
        return DENIED if self.reaction is Reaction.RIGHTS else self.code

    def stop(self, variable: str = WEBHOOK) -> PortalRefused:
        """The exception of an error that concerns everything; `variable` is the setting that has the webhook."""
        code = self.code.upper() if self.code.upper() in _STOP else DENIED
        said = " ".join(text for text in (self.code, self.description) if text)
        status = 2 if code in _WRONG_WEBHOOK else 1
        return PortalRefused(
            f"the portal refuses: {said}", hint=_STOP[code].format(variable=variable), exit_status=status
        )
