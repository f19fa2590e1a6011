"""Creates: cards by import, twenty a command; then requisites, then their bank details and addresses.

Every create is written down as an intent before it is sent and settled with its answer.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from publish import changes, mapping
from publish.ledger import Held, Intent, Refusal
from publish.lookup import held_with_links
from publish.mapping import CARDS, CONTACT, DEAL, ORIGINATOR, Part, decoded
from publish.portal import BATCH, Command, Kind, Outcome, PortalError

if TYPE_CHECKING:
    from publish.push import Publisher

END = "\U0010ffff"  # above every key
_PAGE = changes.IMPORT * BATCH


@dataclass(frozen=True, slots=True)
class New:
    """A card to create: its fields for the portal, and what to remember of it."""

    origin_id: str
    fields: dict[str, Any]
    intent: Intent


class Creates:
    """The lanes that create."""

    def __init__(self, publisher: "Publisher") -> None:
        self.publisher = publisher
        self._alone: set[str] = set()  # cards to send in a command of their own

    async def cards(self) -> None:
        """Create companies, then contacts, then deals: they share a method, and each refers to those before."""
        for part in CARDS:
            above = ""
            while rows := changes.page(self.publisher.connection, part.entity, "create", above, _PAGE):
                above = rows[-1][0]
                blocked = self.publisher.blocked.get(part.entity, ())
                todo = self._cards(part, [row[:2] for row in rows if row[0] not in blocked])
                await self.publisher.until_sent(
                    todo,
                    lambda turn, part=part: self._import(part, turn),
                    lambda new: (new.intent.entity, new.origin_id, new.intent.wanted),
                )
                await self.publisher.advance(part.entity, above)
            await self.publisher.advance(part.entity, END)

    def _cards(self, part: Part, rows: Sequence[tuple[str, str]]) -> list[New]:
        """Fields of new cards, with references to cards of the ledger; a card that must have one and has none waits."""
        wanted = {key: decoded(text) for key, text in rows}
        texts = dict(rows)
        links = self._links(list(wanted)) if part is CONTACT else {}
        known = {
            kind: self.publisher.ledger.ids(
                kind, sorted({w[f"{kind}Id"] for w in wanted.values() if w.get(f"{kind}Id")})
            )
            for kind in (("company", "contact") if part is DEAL else ())
        }
        found = []
        for key, values in wanted.items():
            fields: dict[str, Any] = {"originatorId": ORIGINATOR, "originId": key}
            settled = dict(values)
            for item in part.fields:
                value = values.get(item.name)
                if value is None or value == []:
                    continue
                if item.kind == "multifield":
                    fields[item.name] = [{"VALUE": one, "VALUE_TYPE": "WORK"} for one in value]
                elif item.kind == "stage":
                    fields[item.name] = self.publisher.books.stages.get(value)
                elif item.kind in known:
                    fields[item.name] = known[item.kind].get(value)
                    if fields[item.name] is None:
                        del settled[item.name]  # so that the next run sees that it is missing
                else:
                    fields[item.name] = value
            if part is DEAL and fields.get("companyId") is None:
                continue
            companies = links.get(key, [])
            if part is CONTACT:
                if not companies:
                    continue
                fields["companyIds"] = [bitrix_id for _, bitrix_id in companies]
            fields = {name: value for name, value in fields.items() if value is not None}
            text = texts[key] if settled == values else mapping.encoded(settled)
            found.append(New(key, fields, Intent(part.entity, key, text, None, tuple(c for c, _ in companies))))
        return found

    def _links(self, contacts: list[str]) -> dict[str, list[tuple[str, int]]]:
        """Companies of contacts that the portal holds, the primary one first: contact -> [(company, portal id)]."""
        rows = self.publisher.connection.execute(
            """select link.contact_id, link.company_id, held.bitrix_id
               from marts.crm_company_contacts as link
               inner join sync.ledger as held on held.entity = 'company' and held.origin_id = link.company_id
               where link.contact_id in (select unnest(?)) order by 1, link.is_primary desc, 2""",
            [contacts],
        ).fetchall()
        found: dict[str, list[tuple[str, int]]] = {}
        for contact, company, bitrix_id in rows:
            found.setdefault(contact, []).append((company, bitrix_id))
        return found

    async def _import(self, part: Part, todo: list[New]) -> list[New]:
        """Create one page of cards with one request; those that have to be sent again."""
        chunks = [[new] for new in todo if new.origin_id in self._alone]
        rest = [new for new in todo if new.origin_id not in self._alone]
        chunks += [rest[at : at + changes.IMPORT] for at in range(0, len(rest), changes.IMPORT)]
        chunks, later = chunks[:BATCH], chunks[BATCH:]
        commands = [
            Command(
                "crm.item.batchImport",
                {"entityTypeId": part.type_id, "useOriginalUfNames": "Y", "data": [new.fields for new in chunk]},
                len(chunk),
            )
            for chunk in chunks
        ]
        sent = [new for chunk in chunks for new in chunk]
        self.publisher.ledger.intend(new.intent for new in sent)
        outcomes = await self.publisher.portal.send(commands)
        each: list[tuple[New, Outcome]] = []
        for chunk, outcome in zip(chunks, outcomes, strict=True):
            each += _elements(chunk, outcome)
        again = [new for chunk in later for new in chunk]
        refused_together = {
            new.origin_id
            for chunk, outcome in zip(chunks, outcomes, strict=True)
            for new in chunk
            if outcome.error is not None and outcome.error.kind is Kind.RECORD and len(chunk) > 1
        }
        # One bad record made the portal refuse its whole command, or fail on it: find it by sending each alone.
        self._alone |= refused_together
        self._alone |= {new.origin_id for new, outcome in each if outcome.error is not None and not outcome.is_known}
        again += [new for new, _ in each if new.origin_id in refused_together]
        each = [(new, outcome) for new, outcome in each if new.origin_id not in refused_together]
        unsent = await self._settle(
            [(new.intent, outcome) for new, outcome in each],
            lambda result: int(result["item"]["id"]),
            absent=[(part.entity, key) for key in refused_together],
        )
        return again + [new for new in sent if (part.entity, new.origin_id) in unsent]

    async def _settle(
        self,
        each: Iterable[tuple[Intent, Outcome]],
        bitrix_id: Callable[[Any], int],
        absent: Sequence[tuple[str, str]] = (),
    ) -> set[tuple[str, str]]:
        """Write what the answers to creates say into the ledger; keys of those that are to be sent again."""
        held: list[Held] = []
        refused: list[Refusal] = []
        unknown: list[Intent] = []
        again = list(absent)
        stop: PortalError | None = None
        for intent, outcome in each:
            error = outcome.error
            if outcome.is_done:
                held += held_with_links(intent, bitrix_id(outcome.result))
            elif error is None or error.kind is Kind.UNKNOWN or "TypeAddress exists" in error.description:
                unknown.append(intent)
            elif error.kind is Kind.RECORD:
                refused.append(Refusal(intent.entity, intent.origin_id, intent.wanted, error))
            else:
                again.append((intent.entity, intent.origin_id))
                stop = error if error.kind is Kind.STOP else stop
        self.publisher.ledger.settle(held, refused, absent=again)
        self.publisher.result.refused += len(refused)
        for one in held:
            self.publisher.count_created(one.entity, 1)
        if stop is not None:
            raise stop.stop()
        return {*again} - {*absent} | (await self.publisher.recover(unknown) if unknown else set())

    async def parts(self, entities: Sequence[str], owner: str) -> None:
        """Create what hangs on the cards (or requisites) that the lane before has settled, fifty at a time."""
        above = dict.fromkeys(entities, "")
        ready: deque[tuple[str, str, str, int]] = deque()
        while True:
            reached = self.publisher.reached[owner]
            for entity in entities:
                if len(ready) < BATCH and above[entity] < reached:
                    rows = self._new_parts(entity, owner, above[entity], reached)
                    above[entity] = rows[-1][1] if len(rows) == _PAGE else reached
                    ready += rows
            if len(ready) >= BATCH or (ready and all(one == END for one in above.values())):
                turn = [ready.popleft() for _ in range(min(BATCH, len(ready)))]
                await self.publisher.until_sent(turn, self._add_parts, lambda row: row[:3])
                if len(entities) == 1:
                    await self.publisher.advance(entities[0], turn[-1][1])
            elif all(one == END for one in above.values()):
                break
            elif self.publisher.reached[owner] == reached and all(one == reached for one in above.values()):
                await self.publisher.wait_beyond(owner, reached)
        if len(entities) == 1:
            await self.publisher.advance(entities[0], END)

    def _new_parts(self, entity: str, owner: str, above: str, reached: str) -> list[tuple[str, str, str, int]]:
        rows = self.publisher.connection.execute(
            f"""select plan.origin_id, plan.wanted, held.bitrix_id
                from plan_{entity} as plan
                inner join sync.ledger as held on held.entity = '{owner}' and held.origin_id = plan.origin_id
                where plan.action = 'create' and plan.origin_id > ? and plan.origin_id <= ?
                order by plan.origin_id limit {_PAGE}""",
            [above, reached],
        ).fetchall()
        return [(entity, *row) for row in rows]

    async def _add_parts(self, todo: list[tuple[str, str, str, int]]) -> list[tuple[str, str, str, int]]:
        intents = [Intent(entity, key, wanted, owner_id) for entity, key, wanted, owner_id in todo]
        owners = [owner_id for _, _, _, owner_id in todo]
        commands = [
            self.publisher.books.part_to_add(entity, owner_id, decoded(wanted)) for entity, _, wanted, owner_id in todo
        ]
        self.publisher.ledger.intend(intents)
        outcomes = await self.publisher.portal.send(commands)
        # An address has no id of its own: the answer is `true`, its key is its owner's.
        known = [
            Outcome(owner_id, outcome.error, outcome.is_known) if intent.entity == "address" else outcome
            for intent, outcome, owner_id in zip(intents, outcomes, owners, strict=True)
        ]
        again = await self._settle(zip(intents, known, strict=True), int)
        return [row for row in todo if (row[0], row[1]) in again]


def _elements(chunk: Sequence[New], outcome: Outcome) -> list[tuple[New, Outcome]]:
    """The outcome of each element of an import: an id or an error of its own (page `crm-item-batch-import`)."""
    if not outcome.is_done:
        return [(new, outcome) for new in chunk]
    items = outcome.result.get("items", []) if isinstance(outcome.result, dict) else []
    answers = dict(enumerate(items)) if isinstance(items, list) else {int(key): one for key, one in items.items()}
    found = []
    for index, new in enumerate(chunk):
        one = answers.get(index)
        if not isinstance(one, dict):
            found.append((new, Outcome(is_known=False)))
        elif "item" in one:
            found.append((new, Outcome(result=one)))
        else:
            error = PortalError(str(one.get("error", "")), str(one.get("error_description", "")))
            found.append((new, Outcome(error=error, is_known=error.kind is not Kind.UNKNOWN)))
    return found
