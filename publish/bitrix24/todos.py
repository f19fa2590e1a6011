"""To-dos for people (SVOD_TODOS): one on its card for each conflict or duplicate, completed when that is over.

What there is to decide says the view `marts.report_todos`. A to-do is a line of the ledger as every part is, under the
view's key: intents, dead letters and another name of the portal hold for it too. The method takes no key of ours (page
`timeline/activities/todo/crm-activity-todo-add`), so it stands at the end of the description, and a card is looked at
for it before anything is made there: neither a lost answer nor a lost warehouse makes a second one beside it.

There is no method that completes a to-do but the one for all activities, `crm.activity.update` (`COMPLETED` of page
`timeline/activities/activity-base/crm-activity-fields`).
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import duckdb

from ingest.bitrix24.answers import map_of, number_of, whole
from ingest.bitrix24.client import LOST, Command, Outcome, list_by
from ingest.bitrix24.pacing import BATCH
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.journal import utc_now
from publish.bitrix24 import responsible
from publish.bitrix24.kinds import Card
from publish.bitrix24.recovery import recover
from publish.bitrix24.run import UNLISTED, Attempt, Lines, Run, record, refusal, settle, until_executed
from publish.bitrix24.todo_texts import ADD, Decision, deadline_after, digest, texts_of
from publish.entries import Entry, Intent
from publish.held import WAITS, Held
from publish.page.texts import Texts
from publish.parts import Key, decoded, encoded
from publish.settings import Settings

ENTITY = "todo"
LIST, UPDATE = "crm.activity.list", "crm.activity.update"
MOST = BATCH - 1  # to-dos that a push makes, or completes; a whole request of denials would stop the push
_OURS = {"PROVIDER_ID": "CRM_TODO"}
_SELECT = ["ID", "OWNER_ID", "SUBJECT", "DESCRIPTION", "RESPONSIBLE_ID", "DEADLINE", "COMPLETED"]
_MARK = re.compile(r"svod-([0-9a-f]{12})\s*$")
_VIEW = "marts.report_todos"


class Foreseen(NamedTuple):
    """How many to-dos the next push makes and completes, of what is known before it."""

    to_make: int
    to_complete: int


def foresee(held: Held, settings: Settings) -> Foreseen:
    """Nothing where SVOD_TODOS is not set. Raises OperatorError where an older version's models have no such view."""
    if not settings.todos:
        return Foreseen(0, 0)
    return Foreseen(len(_missing(held, settings)), len(_over(held)))


def is_due(run: Run) -> bool:
    """Whether there are to-dos to make or to complete."""
    return any(foresee(run.ledger, run.settings))


async def take_stock(run: Run) -> None:
    """Look for to-dos that a killed push may have made, and for those that a portal put back from a copy has lost."""
    intents = [intent for intent in run.ledger.open_intents() if intent.entity == ENTITY]
    if intents:
        await recover(run, intents, partial(_look_up, run))
    if run.restored_at is None:
        return
    lines = run.connection.execute(
        """select origin_id, bitrix_id from portal_ledger
           where entity = ? and coalesce(known_in >= ?, true)""",
        [ENTITY, run.restored_at],
    ).fetchall()
    there = await _by_number(run, [number for _, number in lines])
    gone = [Key(ENTITY, key) for key, number in lines if _key_of(there.get(number, {})) != key]
    record(run, [Lines(gone=gone)])


async def tell(run: Run) -> None:
    """Complete the to-dos whose reason is over, make those that there are reasons for."""
    if run.settings.todos:
        await _complete(run, _over(run.ledger))
        await _make(run, _missing(run.ledger, run.settings))


# What there is to do --------------------------------------------------------------------------------------------------


def _missing(held: Held, settings: Settings) -> list[Decision]:
    """Decisions without a to-do, the oldest first: as many as a push, and a day, may be given."""
    values = {"portal": held.portal, "kinds": list(settings.todos), "now": utc_now()}
    ((today,),) = held.connection.execute(
        f"select count(*) from portal_ledger where entity = '{ENTITY}' and known_since > $now - interval 1 day",
        {"now": values["now"]},
    ).fetchall()
    rows = _of_view(
        held,
        f"""select todo_key, kind, reason, entity, field, ours, in_portal, card_entity, card_id, other_urls
            from {_VIEW} as decision
            where portal = $portal and kind in (select unnest($kinds::varchar[])) and not exists (
                from portal_ledger as line where line.entity = '{ENTITY}' and line.origin_id = todo_key
            ) and not exists (
                from portal_dead_letters as letter
                where letter.entity = '{ENTITY}' and letter.origin_id = todo_key and {WAITS}
            )
            order by since, todo_key limit {max(0, min(MOST, settings.todos_a_day - today))}""",
        values,
    )
    return [Decision(*row) for row in rows]


def _over(held: Held) -> list[Entry]:
    """Lines of to-dos whose reason is gone, whatever kinds are wanted by now; none where the view tells of another
    portal, which a clock that was put back makes the last one."""
    rows = _of_view(
        held,
        f"""select origin_id, bitrix_id, sent::varchar from portal_ledger
            where entity = '{ENTITY}' and origin_id not in (select todo_key from {_VIEW} where portal = $portal)
                and $portal in (select portal from analysis.portal_published_to_last)
            order by 1 limit {MOST}""",
        {"portal": held.portal},
    )
    return [Entry(ENTITY, *row) for row in rows]


def ended(run: Run) -> list[Key]:
    """Dead letters of to-dos whose reason is gone, or that nobody wants to have any more."""
    refused = run.connection.execute(f"select origin_id from portal_dead_letters where entity = '{ENTITY}'").fetchall()
    wanted: list[Any] = []
    if refused and run.settings.todos:
        sql = f"select todo_key from {_VIEW} where portal = $portal and kind in (select unnest($kinds::varchar[]))"
        values = {"portal": run.ledger.portal, "kinds": list(run.settings.todos)}
        wanted = _of_view(run.ledger, sql, values)
    return [Key(ENTITY, key) for (key,) in refused if (key,) not in wanted]


def _of_view(held: Held, sql: str, values: Mapping[str, Any]) -> list[Any]:
    try:
        return held.connection.execute(sql, values).fetchall()
    except (duckdb.CatalogException, duckdb.BinderException):
        hint = "`make incremental` builds the models anew"
        raise OperatorError(f"SVOD_TODOS: there is no {_VIEW}, or one of an older version", hint=hint) from None


# Made -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewTodo:
    """A to-do to make: its line, and what the method takes."""

    intent: Intent
    params: Mapping[str, Any]

    @property
    def key(self) -> Key:
        return self.intent.key

    @property
    def wanted(self) -> str:
        return self.intent.wanted


async def _make(run: Run, decisions: Sequence[Decision]) -> None:
    new = await _new_todos(run, decisions)
    if not new:
        return
    there = await _look_up(run, [todo.intent for todo in new])
    record(run, [there])
    known = {entry.key for entry in there.entries}
    run.progress.expect(ENTITY, len(new) - len(known))
    await until_executed(run, [todo for todo in new if todo.key not in known], partial(_send, run))


async def _new_todos(run: Run, decisions: Sequence[Decision]) -> list[NewTodo]:
    """To-dos for whoever answers for the cards; of a card that no list shows a dead letter."""
    now = datetime.fromtimestamp(run.client.pace.clock.time(), UTC)
    texts, deadline = Texts(run.settings.lang), deadline_after(now)
    of_kind: dict[str, set[int]] = defaultdict(set)
    for decision in decisions:
        of_kind[decision.card_entity].add(decision.card_id)
    cards = {kind: await _card(run, kind).read(run.client, sorted(ids)) for kind, ids in of_kind.items()}
    new: list[NewTodo] = []
    unlisted: list[NewTodo] = []
    for decision in decisions:
        card = cards[decision.card_entity].get(decision.card_id)
        title, description = texts_of(texts, decision)
        user = whole((card or {}).get(responsible.FIELD))
        told = {"kind": decision.kind, "card": decision.card_entity, "responsible": user, "deadline": deadline}
        told["digest"] = digest(title, description)
        params = {
            "ownerTypeId": _card(run, decision.card_entity).type_id,
            "ownerId": decision.card_id,
            "deadline": deadline,
            "title": title,
            "description": description,
            **({"responsibleId": user} if user else {}),
        }
        intent = Intent(ENTITY, decision.todo_key, encoded(told), decision.card_id)
        (unlisted if card is None else new).append(NewTodo(intent, params))
    record(run, [Lines(refused=[refusal(todo, *UNLISTED) for todo in unlisted])])
    return new


def _card(run: Run, entity: str) -> Card:
    return next(card for card in run.parts.cards if card.entity == entity)


async def _send(run: Run, todo: Sequence[NewTodo]) -> list[NewTodo]:
    """Make to-dos with one request; those that have to be sent again."""
    run.ledger.intend(new.intent for new in todo)
    outcomes = [_with_id(outcome) for outcome in await run.client.send([Command(ADD, new.params) for new in todo])]
    unknown = settle(run, zip(map(_attempt, todo), outcomes, strict=True), "created")
    lost = [new.intent for new in todo if new.key in unknown]
    absent = await recover(run, lost, partial(_look_up, run)) if lost else set()
    return [new for new in todo if new.key in absent]


def _with_id(outcome: Outcome) -> Outcome:
    """An outcome with the number as its result; lost where it is done and names none: it is looked up."""
    number = whole(map_of(outcome.result).get("id"))
    return outcome if not outcome.is_done else LOST if number is None else Outcome(result=number)


def _attempt(new: NewTodo) -> Attempt:
    return Attempt(new.key, new.wanted, lambda number: Lines([_line(new.intent, number)]))


def _line(intent: Intent, number: int) -> Entry:
    return Entry(*intent.key, number, intent.wanted, intent.wanted)


async def _look_up(run: Run, intents: Sequence[Intent]) -> Lines:
    """Lines of those that are on their cards and open: one that was completed told of an earlier time. The oldest where
    somebody copied one."""
    of_kind: dict[str, set[int]] = defaultdict(set)
    for intent in intents:
        of_kind[decoded(intent.wanted)["card"]].add(intent.owner_id or 0)
    numbers: dict[str, int] = {}
    for kind, ids in of_kind.items():
        where = _OURS | {"OWNER_TYPE_ID": _card(run, kind).type_id, "COMPLETED": "N"}
        for row in await list_by(run.client, LIST, "OWNER_ID", sorted(ids), where=where, select=_SELECT):
            numbers.setdefault(_key_of(row), number_of(LIST, row, "ID"))
    return Lines([_line(intent, numbers[intent.origin_id]) for intent in intents if intent.origin_id in numbers])


def _key_of(row: Mapping[str, Any]) -> str:
    """Our key of a to-do of the portal; '' where its description ends with none."""
    found = _MARK.search(str(row.get("DESCRIPTION") or ""))
    return found[1] if found else ""


# Completed ------------------------------------------------------------------------------------------------------------


async def _complete(run: Run, over: Sequence[Entry]) -> None:
    """Complete what nobody has touched; the rest is its people's. Either way it is ours no longer."""
    there = await _by_number(run, [line.bitrix_id for line in over if line.bitrix_id is not None])
    open_ones = [line for line in over if _is_untouched(line, there.get(line.bitrix_id or 0, {}))]
    keys = {line.key for line in open_ones}
    record(run, [Lines(gone=[line.key for line in over if line.key not in keys])])
    run.progress.expect(ENTITY, len(open_ones))
    await until_executed(run, open_ones, partial(_send_completions, run))


def _is_untouched(line: Entry, row: Mapping[str, Any]) -> bool:
    """Whether a row of the portal is that to-do, open, and as it was made: its key is in its text."""
    sent = decoded(line.sent)
    return (
        row.get("COMPLETED") == "N"
        and sent["responsible"] in (None, whole(row.get("RESPONSIBLE_ID")))
        and _moment(row.get("DEADLINE")) == _moment(sent["deadline"])
        and digest(str(row.get("SUBJECT") or ""), str(row["DESCRIPTION"])) == sent["digest"]
    )


def _moment(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None


async def _by_number(run: Run, numbers: Sequence[int]) -> dict[int, dict[str, Any]]:
    rows = await list_by(run.client, LIST, "ID", sorted(numbers), where=_OURS, select=_SELECT)
    return {number_of(LIST, row, "ID"): row for row in rows}


async def _send_completions(run: Run, todo: Sequence[Entry]) -> list[Entry]:
    """Complete to-dos with one request; those whose answer was lost: done twice, it does no harm."""
    fields = {"COMPLETED": "Y"}
    outcomes = await run.client.send([Command(UPDATE, {"id": line.bitrix_id, "fields": fields}) for line in todo])
    refused = sum(outcome.is_refused for outcome in outcomes)
    if refused:
        run.note([f"the portal does not let us complete {refused:,} to-dos whose reason is over: they stay open"])
    unknown = settle(run, zip(map(_completion, todo), outcomes, strict=True), "updated")
    return [line for line in todo if line.key in unknown]


def _completion(line: Entry) -> Attempt:
    def ended(_: object) -> Lines:
        return Lines(gone=[line.key])

    return Attempt(line.key, line.wanted, ended, ended)
