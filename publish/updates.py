"""Updates of what is published: changed fields only, after a look at what the portal holds now; links one by one.

The portal's values are read for the cards about to be updated and for no others, fifty a command and fifty commands
a request. A change whose answer was lost is decided anew on what the portal then holds, so it needs no intent.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from publish import changes, mapping
from publish.edits import Decision, decide
from publish.ledger import Conflict, Held, Refusal
from publish.mapping import COMPANY, CONTACT, DEAL, ORIGINATOR, PARTS, Part, decoded, encoded
from publish.portal import BATCH, PAGE, Command, Kind, Outcome, PortalError, list_by
from publish.settings import Ownership

if TYPE_CHECKING:
    from publish.push import Publisher

_PAGE = BATCH * PAGE
_ADDRESS = {"ENTITY_TYPE_ID": mapping.REQUISITE_TYPE_ID, "TYPE_ID": mapping.LEGAL_ADDRESS_TYPE}
_METHODS: Mapping[str, str] = {
    "requisite": "crm.requisite",
    "bank_detail": "crm.requisite.bankdetail",
    "address": "crm.address",
}
_DELETED = PortalError("NOT_FOUND", "the card was deleted in the portal")

Row = tuple[str, str, str | None, str | None, int | None]


class Updates:
    """The lane that changes what is there."""

    def __init__(self, publisher: "Publisher") -> None:
        self.publisher = publisher
        self.owners = Ownership(publisher.settings.field_owners)

    async def run(self) -> None:
        for entity in ("company", "requisite", "bank_detail", "address", "contact"):
            await self._update_all(PARTS[entity])
        await self.publisher.wait_for_end(CONTACT.entity)
        await self._links()
        await self._update_all(DEAL)
        if self.publisher.settings.bitrix24_merge_cards:
            await self._merge_cards()

    async def _update_all(self, part: Part) -> None:
        above = ""
        while rows := changes.page(self.publisher.connection, part.entity, "update", above, _PAGE):
            above = rows[-1][0]
            await self.publisher.until_sent(
                rows, lambda todo, part=part: self._update(part, todo), lambda row, part=part: (part.entity, *row[:2])
            )

    async def _current(self, part: Part, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
        """What the portal holds of these parts, by id."""
        portal = self.publisher.portal
        if part.type_id:
            params = {"entityTypeId": part.type_id, "select": ["*"], "useOriginalUfNames": "Y"}
            rows = await list_by(portal, "crm.item.list", "id", ids, where={}, **params)
            return {int(row["id"]): row for row in rows}
        key = "ENTITY_ID" if part.entity == "address" else "ID"
        where = _ADDRESS if part.entity == "address" else {}
        rows = await list_by(portal, f"{_METHODS[part.entity]}.list", key, ids, where=where)
        return {int(row[key]): row for row in rows}

    async def _update(self, part: Part, todo: list[Row]) -> list[Row]:
        """Decide and send one page; rows whose answer was lost."""
        current = await self._current(part, sorted({row[4] for row in todo if row[4] is not None}))
        values = self._portal_values(part, todo)
        held: list[Held] = []
        refused: list[Refusal] = []
        conflicts: list[Conflict] = []
        changed: list[tuple[Row, Decision, dict[str, Any]]] = []
        for row in todo:
            origin_id, wanted, sent, _, bitrix_id = row
            card = current.get(bitrix_id)
            if card is None:
                refused.append(Refusal(part.entity, origin_id, wanted, _DELETED))
                continue
            decision = decide(
                part, self.owners, sent=decoded(sent), wanted=decoded(wanted), current=card, portal_values=values
            )
            fields = self._guarded(part, decision, card)
            if part.type_id and not decoded(sent) and not card.get("originId"):
                fields |= {"originatorId": ORIGINATOR, "originId": origin_id}
            conflicts += [Conflict(part.entity, origin_id, bitrix_id, *one) for one in decision.conflicts]
            if fields or decision.multifields:
                changed.append((row, decision, fields))
            else:
                held.append(
                    Held(part.entity, origin_id, bitrix_id, encoded(decision.sent), self._settled(part, row, values))
                )
        self.publisher.ledger.settle(held, refused, conflicts=[c for c in conflicts if _is_of(c, held)])
        self.publisher.result.refused += len(refused)
        again: list[Row] = []
        for at in range(0, len(changed), BATCH):
            again += await self._send(part, changed[at : at + BATCH], conflicts, values)
        return again

    def _guarded(self, part: Part, decision: Decision, card: Mapping[str, Any]) -> dict[str, Any]:
        """Fields to send. A deal's contact is changed only where it is its one contact: a manager's others would go."""
        fields = dict(decision.fields)
        if part is DEAL and "contactId" in fields and len(card.get("contactIds") or ()) > 1:
            held = str(card.get("contactId"))
            decision.conflicts.append(("contactId", None, held, str(fields.pop("contactId"))))
            decision.sent.pop("contactId", None)
        return fields

    def _portal_values(self, part: Part, todo: Sequence[Row]) -> dict[str, Mapping[str, Any]]:
        if part is not DEAL:
            return {}
        found: dict[str, Mapping[str, Any]] = {"stage": self.publisher.books.stages}
        documents = [decoded(text) for row in todo for text in (row[1], row[2])]
        for kind in ("company", "contact"):
            keys = sorted({one[f"{kind}Id"] for one in documents if one.get(f"{kind}Id")})
            found[kind] = self.publisher.ledger.ids(kind, keys)
        return found

    def _settled(self, part: Part, row: Row, values: Mapping[str, Mapping[str, Any]]) -> str:
        """What to remember as dealt with: all of it but references to cards that are not there yet."""
        wanted = decoded(row[1])
        open_ = [
            item.name
            for item in part.fields
            if item.kind in ("company", "contact")
            and wanted.get(item.name)
            and wanted[item.name] not in values[item.kind]
        ]
        return row[1] if not open_ else encoded({name: value for name, value in wanted.items() if name not in open_})

    async def _send(
        self,
        part: Part,
        turn: list[tuple[Row, Decision, dict[str, Any]]],
        conflicts: Sequence[Conflict],
        values: Mapping[str, Mapping[str, Any]],
    ) -> list[Row]:
        commands = [self._command(part, row[4], fields, decision.multifields) for row, decision, fields in turn]
        outcomes = await self.publisher.portal.send(commands)
        held: list[Held] = []
        refused: list[Refusal] = []
        again: list[Row] = []
        stop: PortalError | None = None
        for (row, decision, _), outcome in zip(turn, outcomes, strict=True):
            if outcome.is_done:
                settled = self._settled(part, row, values)
                held.append(Held(part.entity, row[0], row[4], encoded(decision.sent), settled))
            elif outcome.error is not None and outcome.error.kind is Kind.RECORD:
                refused.append(Refusal(part.entity, row[0], row[1], outcome.error))
            else:
                again.append(row)
                stop = outcome.error if outcome.error and outcome.error.kind is Kind.STOP else stop
        ledger, result = self.publisher.ledger, self.publisher.result
        ledger.settle(held, refused, conflicts=[c for c in conflicts if _is_of(c, held)])
        result.refused += len(refused)
        self._count(part.entity, len(held))
        if stop is not None:
            raise stop.stop()
        return again

    def _count(self, entity: str, number: int) -> None:
        self.publisher.result.add(self.publisher.result.updated, entity, number)
        self.publisher.report(entity, number)

    @staticmethod
    def _command(part: Part, bitrix_id: int | None, fields: dict[str, Any], multifields: dict[str, dict]) -> Command:
        if part.type_id:
            fields = fields | ({"fm": multifields} if multifields else {})
            params = {"entityTypeId": part.type_id, "id": bitrix_id, "useOriginalUfNames": "Y", "fields": fields}
            return Command("crm.item.update", params)
        if part.entity == "address":
            return Command("crm.address.update", {"fields": {**_ADDRESS, "ENTITY_ID": bitrix_id, **fields}})
        return Command(f"{_METHODS[part.entity]}.update", {"id": bitrix_id, "fields": fields})

    # Links ------------------------------------------------------------------------------------------------------------

    async def _links(self) -> None:
        """Add and remove links one by one: a set of links replaced as a whole would drop what managers linked."""
        for action, method in (("remove", "crm.contact.company.delete"), ("create", "crm.contact.company.add")):
            above = ""
            while rows := self._link_page(action, above):
                above = rows[-1][0]
                for at in range(0, len(rows), BATCH):
                    await self.publisher.until_sent(
                        rows[at : at + BATCH],
                        lambda todo, a=action, m=method: self._send_links(a, m, todo),
                        lambda row: (mapping.LINK.entity, row[0], "{}"),
                    )

    def _link_page(self, action: str, above: str) -> list[tuple[str, int, int]]:
        """Links to change whose both ends the portal holds: (origin id, contact card, company card)."""
        condition = "and plan.origin_id not in (select origin_id from sync.ledger where entity = 'company_contact')"
        return self.publisher.connection.execute(
            f"""select plan.origin_id, contact.bitrix_id, company.bitrix_id
                from plan_company_contact as plan
                inner join sync.ledger as contact
                    on contact.entity = 'contact' and contact.origin_id = split_part(plan.origin_id, '/', 1)
                inner join sync.ledger as company
                    on company.entity = 'company' and company.origin_id = split_part(plan.origin_id, '/', 2)
                where plan.action = ? and plan.origin_id > ? {condition if action == "create" else ""}
                order by 1 limit {_PAGE}""",
            [action, above],
        ).fetchall()

    async def _send_links(
        self, action: str, method: str, todo: list[tuple[str, int, int]]
    ) -> list[tuple[str, int, int]]:
        commands = [Command(method, {"id": person, "fields": {"COMPANY_ID": firm}}) for _, person, firm in todo]
        outcomes: list[Outcome] = await self.publisher.portal.send(commands)
        entity = mapping.LINK.entity
        held: list[Held] = []
        gone: list[tuple[str, str]] = []
        refused: list[Refusal] = []
        again, stop = [], None
        for row, outcome in zip(todo, outcomes, strict=True):
            is_refused = outcome.error is not None and outcome.error.kind is Kind.RECORD
            if outcome.is_done and action == "create":
                held.append(Held(entity, row[0], row[1], "{}", "{}"))  # `false`: it was there already
            elif action == "remove" and (outcome.is_done or is_refused):
                gone.append((entity, row[0]))  # refused: one of the cards is gone, and the link with it
            elif is_refused:
                refused.append(Refusal(entity, row[0], "{}", outcome.error))
            else:
                again.append(row)
                stop = outcome.error if outcome.error and outcome.error.kind is Kind.STOP else stop
        self.publisher.ledger.settle(held, refused, gone=gone)
        self.publisher.result.refused += len(refused)
        self._count(entity, len(held) + len(gone))
        if stop is not None:
            raise stop.stop()
        return again

    # Merged cards -----------------------------------------------------------------------------------------------------

    async def _merge_cards(self) -> None:
        """Let the portal join the card of a merged record with its survivor's (page `crm-entity-merge-batch`).

        A pair that it cannot join without a person (CONFLICT) is listed once and left alone from then on.
        """
        for part, table, key in (
            (COMPANY, "departed_companies", "company_id"),
            (CONTACT, "departed_contacts", "contact_id"),
        ):
            pairs = self.publisher.connection.execute(
                f"""select gone.{key}, held.bitrix_id, survivor.bitrix_id
                    from marts.{table} as gone
                    inner join sync.ledger as held on held.entity = '{part.entity}' and held.origin_id = gone.{key}
                    inner join sync.ledger as survivor
                        on survivor.entity = '{part.entity}' and survivor.origin_id = gone.merged_into
                    where gone.state = 'merged' and not exists (select 1 from sync.conflicts as conflict
                        where conflict.entity = held.entity and conflict.origin_id = held.origin_id
                            and conflict.field = 'merge')
                    order by 1"""
            ).fetchall()
            for at in range(0, len(pairs), BATCH):
                await self._merge(part, pairs[at : at + BATCH])

    async def _merge(self, part: Part, pairs: Sequence[tuple[str, int, int]]) -> None:
        """Merge pairs of (origin id, merged card, survivor's card).

        Our own fields always differ, so they leave the merged card first and come back where the portal finds a
        CONFLICT; the pair is listed last, so that a killed run goes through all of it again.
        """
        ours = {name: None for name in mapping.CUSTOM_FIELDS[part.entity]} | {"originatorId": None, "originId": None}
        await self._each([self._command(part, merged, ours, {}) for _, merged, _ in pairs])
        outcomes = await self._each(
            [
                Command(
                    "crm.entity.mergeBatch", {"params": {"entityTypeId": part.type_id, "entityIds": [kept, merged]}}
                )
                for _, merged, kept in pairs
            ]
        )
        gone: list[tuple[str, str]] = []
        conflicts: list[Conflict] = []
        restored: list[Command] = []
        for (origin_id, merged, kept), outcome in zip(pairs, outcomes, strict=True):
            status = outcome.result.get("STATUS") if isinstance(outcome.result, dict) else None
            if status == "SUCCESS":
                parts = ("company", "requisite", "bank_detail", "address") if part is COMPANY else ("contact",)
                gone += [(entity, origin_id) for entity in parts]
            elif outcome.is_known:
                said = status or (outcome.error.description if outcome.error else None)
                conflicts.append(Conflict(part.entity, origin_id, merged, "merge", None, said, str(kept)))
                fields = {mapping.STATE: "merged", "originatorId": ORIGINATOR, "originId": origin_id}
                restored.append(self._command(part, merged, fields, {}))
        if restored:
            await self._each(restored)
        self.publisher.ledger.settle(gone=gone, conflicts=conflicts)

    async def _each(self, commands: Sequence[Command]) -> list[Outcome]:
        """Outcomes of commands that do no harm twice."""
        outcomes = await self.publisher.portal.send(commands)
        for outcome in outcomes:
            if outcome.error is not None and outcome.error.kind is Kind.STOP:
                raise outcome.error.stop()
        return outcomes


def _is_of(conflict: Conflict, held: Sequence[Held]) -> bool:
    return any(one.entity == conflict.entity and one.origin_id == conflict.origin_id for one in held)
