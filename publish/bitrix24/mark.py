"""The mark that we keep in a portal: its form, where it is kept, how it is read and written.

It is the external code (XML_ID) of a custom field of our first kind of card that has one for it: lists of custom fields
return it, people do not see it, an administrator of CRM may set it (pages
`companies/userfields/crm-company-userfield-list`, `-update`). The pages give it no longest length; the mark has about a
hundred characters, two hundred in a portal that was put back, and is read back after it is written, for an update
passes over what it does not take.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Self

from ingest.bitrix24.answers import number_of, rows_of
from ingest.bitrix24.client import Client, Command
from ingest.bitrix24.errors import PortalUnavailable
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.journal import utc_now
from publish.bitrix24.kinds import Catalogue
from publish.held import Moment

TRIVIAL = Command("crm.status.list", {"filter": {"ENTITY_ID": "DEAL_STAGE"}})  # what tells just that it answers us
_ATTEMPTS = 6
_FORM = "svod1"
_TIME = "%Y%m%dT%H%M%S"
_CLOCKS_APART = timedelta(days=1)  # a mark of a later time was made by a clock that was wrong then, or is now
ALIVE = timedelta(minutes=20)  # the mark of a push that goes on is never older, with the clocks of two machines apart
RETURNS = 3  # so many times that a portal was put back are told in its mark


class Return(NamedTuple):
    """A portal was put back from an older copy: the number of the push that noticed it, and the number and the time
    (UTC) of the mark in that copy."""

    noticed: int
    number: int
    at: datetime

    @property
    def moment(self) -> Moment:
        return Moment(self.number, self.at)

    @property
    def text(self) -> str:
        return f"{self.noticed}-{self.number}-{self.at.strftime(_TIME)}"

    @classmethod
    def of(cls, text: str) -> Self:
        noticed, number, at = text.split("-")
        return cls(int(noticed), int(number), datetime.strptime(at, _TIME))


@dataclass(frozen=True, slots=True)
class Mark:
    """What we keep in a portal: its id, who wrote last (fingerprint and machine), the number of that writing (odd while
    a push goes on) and its time (UTC); and when it was put back from an older copy of late, which a warehouse that is
    itself put back does not know."""

    portal: str
    writer: str
    number: int
    at: datetime
    machine: str
    returns: tuple[Return, ...] = ()

    @property
    def moment(self) -> Moment:
        return Moment(self.number, self.at)

    @property
    def text(self) -> str:
        machine = re.sub(r"[^A-Za-z0-9._-]", "", self.machine)[:40]
        returns = ",".join(told.text for told in self.returns)
        return ";".join((_FORM, self.portal, self.writer, str(self.number), self.at.strftime(_TIME), machine, returns))

    @classmethod
    def of(cls, text: str | None) -> Self | None:
        """The mark in an external code; None where it is none of ours. Raises OperatorError for one of a later form."""
        form, *told = (text or "").split(";")
        if not re.fullmatch(r"svod\d+", form):
            return None
        if form != _FORM:
            raise OperatorError("a later version of Svod publishes to this portal", hint="update this one")
        try:
            portal, writer, number, at, machine, returns = told
            noticed = tuple(Return.of(one) for one in returns.split(",") if one)
            return cls(portal, writer, int(number), datetime.strptime(at, _TIME), machine, noticed)
        except ValueError:
            return None

    @property
    def is_under_way(self) -> bool:
        return self.number % 2 == 1


class Carrier(NamedTuple):
    """The custom field whose external code is the mark: its family of methods, its name, its id where it exists."""

    methods: str
    name: str
    id: int | None

    def listing(self) -> Command:
        return Command(f"{self.methods}.list", {"filter": {"FIELD_NAME": self.name}})


async def read_mark(client: Client, parts: Catalogue) -> tuple[Carrier | None, Mark | None]:
    """Where the mark is kept, and what it says; no carrier where no kind of card has a field for it."""
    for card in parts.cards:
        if card.user_fields and card.mark_field:
            carrier = Carrier(card.user_fields, card.mark_field, None)
            (answer,) = await client.read([carrier.listing()])
            field = _field(carrier, answer)
            return carrier._replace(id=number_of(carrier.methods, field, "ID")) if field else carrier, Mark.of(
                field.get("XML_ID")
            )
    await client.read([TRIVIAL])
    return None, None


def _field(carrier: Carrier, answer: Any) -> dict[str, Any]:
    rows = [row for row in rows_of(f"{carrier.methods}.list", answer) if row.get("FIELD_NAME") == carrier.name]
    return rows[0] if rows else {}


async def write_mark(client: Client, carrier: Carrier, mark: Mark) -> bool:
    """Whether the portal took the mark. Raises PortalUnavailable when it cannot be found out."""
    fields = {"XML_ID": mark.text}
    commands = [Command(f"{carrier.methods}.update", {"id": carrier.id, "fields": fields}), carrier.listing()]
    is_taken = None
    for _ in range(_ATTEMPTS):
        written, listed = await client.send(commands)
        if listed.is_done and _field(carrier, listed.result).get("XML_ID") == mark.text:
            return True
        if written.error is not None and written.is_known:
            return False
        if written.is_done and listed.is_done:
            is_taken = False  # once more: the two may have gone in two requests, the wrong way round
    if is_taken is None:
        raise PortalUnavailable(
            f"{client.host} keeps losing our requests", hint="what was published stays; run it again later"
        )
    return is_taken


def is_going_on(mark: Mark) -> bool:
    """Whether the push that wrote this mark may still be sending; one that was killed counts so for a while."""
    return mark.is_under_way and -_CLOCKS_APART < utc_now() - mark.at < ALIVE


def refusal(portal: str, mark: Mark, schema: str = "sync") -> OperatorError:
    """The error that another warehouse writes to a portal; `schema` is that of the ledger, and tells the job."""
    push = "publish push" if schema == "sync" else "publish transfer push"
    hint = f"let one of the two publish; `{push} --take-over` makes it this one"
    if is_going_on(mark):
        hint += f", not before {mark.at + ALIVE:%H:%M} UTC unless its push, which is under way, has ended"
    return OperatorError(
        f"another warehouse publishes to {portal}: on {mark.machine or 'a machine without a name'}, "
        f"last on {mark.at:%Y-%m-%d %H:%M} UTC",
        hint=hint,
        exit_status=3,
    )
