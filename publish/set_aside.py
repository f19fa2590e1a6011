"""What a push set aside, dead letters and parts that somebody deleted in the portal: how they end, also by hand.

A dead letter ends when its record changes or leaves the mart, when the portal takes it, or when an operator discards
it: then it rests (`next_at` is infinity) until the record changes. A deleted part stays away until it is asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ingest.warehouse.errors import OperatorError, SettingsError
from ingest.warehouse.variables import known_names_hint
from publish.ledger import Ledger
from publish.parts import Key
from publish.portals import TABLES_OF


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of what was set aside an operator means: a kind, ids, both, or all of it. Raises SettingsError when it
    names nothing, or a kind that there is not."""

    kinds: Sequence[str]
    entity: str | None = None
    origin_ids: tuple[str, ...] = ()
    is_all: bool = False

    def __post_init__(self) -> None:
        if not (self.entity or self.origin_ids or self.is_all):
            raise SettingsError("it is not said which", hint="add --id ID, --entity KIND or --all")
        if self.entity is not None and self.entity not in self.kinds:
            raise SettingsError(f"there is no kind {self.entity}", hint=known_names_hint(self.entity, self.kinds))

    @property
    def condition(self) -> tuple[str, list[object]]:
        """SQL that is true of the rows meant, and its parameters. A link is meant by its own id and by that of either
        card."""
        ids = "list_append(string_split(origin_id, '/'), origin_id)"
        sql = f"entity = coalesce(?, entity) and (? or list_has_any({ids}, ?::varchar[]))"
        return sql, [self.entity, not self.origin_ids, list(self.origin_ids)]


def retry(ledger: Ledger, choice: Choice, *, also_deleted: bool = False) -> tuple[int, int]:
    """Make dead letters due now, and let the next push make deleted parts again: how many of each.

    Deleting a card was somebody's decision: only one that is meant by its id, or `also_deleted`, is made again. Raises
    OperatorError when nothing is meant.
    """
    condition, values = choice.condition
    due = _changed_rows(ledger, "dead_letters", "next_at = last_at", condition, values)
    wanted_again = 0
    if (choice.origin_ids or also_deleted) and "deletions" in TABLES_OF[ledger.schema]:  # a move has none
        wanted_again = _changed_rows(ledger, "deletions", "is_wanted_again = true", condition, values)
    if not due + wanted_again:
        raise OperatorError(
            "there is nothing like that to try again", hint=f"{ledger.schema}.dead_letters lists what was set aside"
        )
    return due, wanted_again


def discard(ledger: Ledger, choice: Choice) -> int:
    """Let dead letters rest until their record changes: how many. Raises OperatorError when none is meant."""
    condition, values = choice.condition
    discarded = _changed_rows(
        ledger, "dead_letters", "next_at = 'infinity'", f"{condition} and not isinf(next_at)", values
    )
    if not discarded:
        raise OperatorError("there is no dead letter like that", hint="`publish status --details` lists them")
    return discarded


def _changed_rows(ledger: Ledger, table: str, change: str, condition: str, values: Sequence[object]) -> int:
    changed = ledger.connection.execute(
        f"update {ledger.schema}.{table} set {change} where {ledger.ours} and {condition} returning 1", [*values]
    ).fetchall()
    return len(changed)


def end_duplicates(ledger: Ledger) -> None:
    """Take off the list what this push has not listed again: somebody joined the cards, took one away, or the record is
    no longer to be created."""
    rows = ledger.connection.execute("select entity, origin_id from portal_adoption_duplicates").fetchall()
    ledger.take_off("adoption_duplicates", [key for key in (Key(*row) for row in rows) if key not in ledger.listed])
