"""Rows of schema sync as the publisher hands them to the ledger and gets them from it."""

from dataclasses import dataclass

from publish.parts import Key

WHOLE = "*"  # the field of a conflict about a whole part: it was a manager's before it was ours


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the ledger: a part as the portal holds it now. `sent` and `wanted` are JSON texts; `sent_before` is
    what was sent until now, where that was changed."""

    entity: str
    origin_id: str
    bitrix_id: int | None
    sent: str = "{}"
    wanted: str = "{}"
    is_adopted: bool = False
    sent_before: str | None = None

    @property
    def key(self) -> Key:
        return Key(self.entity, self.origin_id)


@dataclass(frozen=True, slots=True)
class Intent:
    """A create about to be sent. `owner_id` is the portal id it will hang on, `links` the keys of the cards that the
    new card will be linked to."""

    entity: str
    origin_id: str
    wanted: str
    owner_id: int | None = None
    links: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        return Key(self.entity, self.origin_id)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A part that the portal refused: the error's code (may be empty) and its text."""

    entity: str
    origin_id: str
    wanted: str
    error: str
    description: str

    @property
    def key(self) -> Key:
        return Key(self.entity, self.origin_id)


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field left to the manager: what we sent last, what the portal holds, what we would have sent."""

    entity: str
    origin_id: str
    bitrix_id: int | None
    field: str
    last_sent: str | None
    in_portal: str | None
    wanted: str | None


@dataclass(frozen=True, slots=True)
class Merge:
    """A card about to be emptied of all that is ours, for the portal to join it with another: its line from then on,
    and when it was created, as the portal tells it, by which it is known without a key."""

    line: Entry
    created_time: str


@dataclass(frozen=True, slots=True)
class Duplicates:
    """A record that several cards of the portal could be, and what they were found by."""

    entity: str
    origin_id: str
    found_by: str
    bitrix_ids: list[int]
