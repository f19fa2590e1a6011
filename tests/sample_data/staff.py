"""People of a company's records: who works there, who is known from elsewhere, and how each of them was typed in."""

from datetime import datetime, timedelta
from decimal import Decimal

from .people import GARBAGE_EMAILS, GARBAGE_PHONES, Human, Typed
from .shop_b import iso, utc_of
from .vocabulary import Weighted, folded
from .world import Group, Record, World


class Staff:
    """Writes contacts and orders of both shops, each with its truth."""

    def __init__(self, world: World) -> None:
        self.world, self.rng, self.people = world, world.rng, world.people
        self.movers: list[Human] = []  # people of published companies who will turn up in another one
        self.shared_uids: list[tuple[dict, Human]] = []  # shop B persons listed under a second company as well
        self._status = Weighted(self.rng, {"new": 8, "paid": 12, "shipped": 15, "done": 53, "cancelled": 12})

    def fill(self, record: Record) -> None:
        """People, then orders, so many that the shop's totals come out at its scale."""
        shop = "A" if record.source == "shop_a" else "B"
        for _ in range(self._about(f"contacts_{shop}", shop)):
            self._add_anyone(record)
        if self.rng.random() < 0.03:
            self._add_faulty(record)
        orders = self._about(f"orders_{shop}", shop)
        for i in range(max(orders, int(record.needs_order))):
            self.add_order(record, must_be_fresh=record.needs_order and not i)
        self.world.left[shop] -= 1

    def _about(self, quota: str, shop: str) -> int:
        mean = self.world.quota[quota] / max(1, self.world.left[shop])
        return min(60, int(self.rng.expovariate(1 / (mean + 0.5)))) if mean > 0 else 0

    def _add_faulty(self, record: Record) -> None:
        """A contact that is deleted, belongs to nobody, or says nothing; or one with a phone but no name."""
        in_a = record.source == "shop_a"
        human = self.new_human(record.group)
        typed = self.people.typed(human, narrow=in_a, form="full")
        kind = self.rng.choice(("deleted", "deleted", "orphan", "empty", "nameless") if in_a else ("empty", "nameless"))
        if kind in ("empty", "nameless"):
            typed.name, typed.form = self.rng.choice((None, "", " ", "-")), "unparsed"
            typed.last = typed.first = typed.second = None
            if kind == "empty" or not typed.given_phones:
                kind = "empty"
                typed.phones = self.rng.choice(([], [self.rng.choice(GARBAGE_PHONES)]))
                typed.emails = self.rng.choice(([], [self.rng.choice(GARBAGE_EMAILS)]))
                typed.given_phones, typed.given_emails = [], []
        self.add_person(record, human, typed, fault=None if kind == "nameless" else kind)

    def _add_anyone(self, record: Record) -> None:
        """A person the group knows already, one who came from another company, or somebody new."""
        rng, group = self.rng, record.group
        here = {human.person_id for _, human in record.persons}
        human = None
        if record.fault is None:
            known = [h for h in group.humans if h.person_id not in here]
            if known and rng.random() < (0.30 if len(group.records) > 1 else 0.02):
                human = rng.choice(known)
            elif group.humans and rng.random() < 0.01:
                human = rng.choice(group.humans)  # typed twice under one company
            elif group.is_published and rng.random() < 0.015 and self.movers:
                mover = self.movers[rng.randrange(len(self.movers))]
                if mover.likeness not in group.likenesses:
                    self.movers.remove(mover)
                    human = mover
                    group.likenesses.add(human.likeness)
            elif group.is_published and record.source == "shop_b" and rng.random() < 0.004 and self.shared_uids:
                listed, owner = self.shared_uids.pop()
                if owner.likeness not in group.likenesses:
                    group.likenesses.add(owner.likeness)
                    record.row["persons"].append(listed)
                    self.world.truth["employments"].add(("shop_b", listed["uid"], record.source_id))
                    self.world.quota["contacts_B"] -= 1
                    return
        if human is None:
            human = self.new_human(group)
            self.add_person(record, human, self._typed(record, human), reusable=record.fault is None)
            return
        chance = rng.random()
        phones, emails = human.phones, human.emails
        if chance > 0.80:
            phones, emails = (phones[:1], []) if chance < 0.90 else ([], emails) if chance < 0.96 else ([], [])
        self.add_person(record, human, self._typed(record, human, phones=phones, emails=emails, is_known=True))

    def new_human(self, group: Group) -> Human:
        while True:
            human = self.people.make(group.company.domain)
            if human.likeness not in group.likenesses:
                group.likenesses.add(human.likeness)
                return human

    def _typed(self, record: Record, human: Human, *, is_known: bool = False, **limits: list[str]) -> Typed:
        rng, group = self.rng, record.group
        typed = self.people.typed(
            human,
            narrow=record.source == "shop_a",
            shared_phone=group.switchboard if group.switchboard and rng.random() < 0.6 else None,
            shared_email=group.info_mail if group.info_mail and rng.random() < 0.4 else None,
            **limits,
        )
        if typed.form == "unparsed" and (is_known or record.has_unparsed):
            return self.people.typed(human, narrow=record.source == "shop_a", form="full", **limits)
        record.has_unparsed |= typed.form == "unparsed"
        return typed

    def add_person(
        self,
        record: Record,
        human: Human,
        typed: Typed,
        *,
        reusable: bool = False,
        fault: str | None = None,
        is_certain: bool = True,
        are_values_known: bool = True,
    ) -> str:
        """Write one contact under a record, and its truth; returns its source id."""
        rng, in_a = self.rng, record.source == "shop_a"
        if record.fault == "deleted" and not in_a:
            fault = "gone"  # a deleted company's message says nothing of its persons
        changed = self._person_changed(record)
        if in_a:
            source_id = str(self.world.next_id("client_contact"))
            client_id = int(record.source_id) if fault != "orphan" else 4_000_000_000 - int(source_id)
            phone, email = self.people.one_field(typed.phones), self.people.one_field(typed.emails, for_emails=True)
            created = min(changed, self.world.before_period()) if rng.random() < 0.5 else changed
            self.world.shop_a["client_contacts"].add(
                (
                    int(source_id),
                    client_id,
                    typed.name,
                    human.post,
                    phone,
                    email,
                    int(fault == "deleted"),
                    created,
                    changed,
                )
            )
        else:
            source_id = f"p-{self.world.next_id('person'):07}"
            listed = self.person_object(source_id, human, typed, changed)
            record.row["persons"].append(listed)
            if reusable and record.group.is_published and typed.form != "unparsed" and rng.random() < 0.004:
                self.shared_uids.append((listed, human))
                reusable = False
        self.world.quota["contacts_A" if in_a else "contacts_B"] -= 1
        if fault is None:
            record.persons.append((source_id, human))
        if reusable and typed.form != "unparsed":
            record.group.humans.append(human)
            if record.group.is_published and (human.phones or human.emails) and rng.random() < 0.02:
                self.movers.append(human)
        self.world.truth["employments"].add((record.source, source_id, record.source_id if fault != "orphan" else None))
        certain_id = human.person_id if is_certain else None
        self._true_person(record.source, source_id, human, typed, fault, changed, certain_id, are_values_known)
        return source_id

    def _true_person(
        self,
        source: str,
        source_id: str,
        human: Human,
        typed: Typed,
        fault: str | None,
        changed: datetime,
        person_id: str | None = None,
        are_values_known: bool = True,
    ) -> None:
        self.world.truth["persons"].add(
            (
                source,
                source_id,
                person_id,
                fault,
                folded(human.full_name) if typed.is_full else None,
                typed.last,
                typed.first,
                typed.second,
                typed.form == "typo",
                bool((typed.name or "").strip(" -")),
                typed.given_phones,
                typed.given_emails,
                are_values_known,
                utc_of(changed),
            )
        )

    def _person_changed(self, record: Record) -> datetime:
        if not record.group.is_in_period:
            return self.world.before_period()
        if record.source == "shop_b":
            return min(
                record.changed_at, self.world.in_period() if self.rng.random() < 0.5 else self.world.before_period()
            )
        return self.world.before_period() if self.rng.random() < 0.04 else self.world.in_period()

    def person_object(self, uid: str, human: Human, typed: Typed, changed: datetime) -> dict:
        """A person as shop B lists it; phones and e-mails are sometimes one string, keys are sometimes missing."""
        rng = self.rng
        phones: list | str = list(typed.phones)
        emails: list | str = list(typed.emails)
        if rng.random() < 0.04:
            phones = self.people.one_field(typed.phones) or ""
        elif len(typed.phones) > 1 and rng.random() < 0.05:
            phones = [", ".join(typed.phones)]
        if rng.random() < 0.04:
            emails = self.people.one_field(typed.emails, for_emails=True) or ""
        listed = {"uid": uid, "fio": typed.name, "post": human.post, "phones": phones, "emails": emails}
        for key in ("phones", "emails", "fio", "post"):
            if not listed[key] and rng.random() < 0.5:
                if rng.random() < 0.5:
                    del listed[key]
                else:
                    listed[key] = None
        listed["changed_at"] = iso(changed, in_utc=rng.random() < 0.02)
        if rng.random() < 0.02:
            listed["messengers"] = {"telegram": f"@user{uid}"}
        return listed

    # ----- orders

    def add_order(self, record: Record, *, must_be_fresh: bool = False) -> None:
        """One order; those older than the period only where a fresh one leaves no doubt about the last order."""
        rng, world, group = self.rng, self.world, record.group
        in_a = record.source == "shop_a"
        status = self._status()
        is_fresh = group.is_in_period and (must_be_fresh or not group.has_order or rng.random() < 0.92)
        ordered = world.in_period() if is_fresh else world.before_period()
        group.has_order |= is_fresh and status != "cancelled"
        changed = world.moment(ordered, min(ordered + _MONTH, world.exported_at if is_fresh else world.since - _DAY))
        amount = Decimal(int(10 ** (3 + rng.random() * 5))) / 100
        person = rng.choice(record.persons)[0] if record.persons and rng.random() < 0.65 else None
        number = world.next_id("order_a" if in_a else "order_b")
        if in_a:
            source_id = str(number)
            contact = int(person) if person else None
            row = (number, int(record.source_id), contact, f"A-{number}", status, amount, ordered, changed)
            world.shop_a["orders"].add(row)
        else:
            source_id = f"o-{number}"
            order = {"uid": source_id, "number": f"B-{number}", "status": status}
            order["total"] = f"{amount:.2f}" if rng.random() < 0.98 else float(amount)
            order |= {"currency": "RUB", "person_uid": person, "created_at": iso(ordered), "changed_at": iso(changed)}
            record.row["orders"].append(order)
        world.quota["orders_A" if in_a else "orders_B"] -= 1
        fault = "gone" if record.fault == "deleted" and not in_a else None
        self._true_order(record, source_id, person, status, amount, ordered, changed, fault)

    def _true_order(self, record: Record, source_id: str, person, status, amount, ordered, changed, fault) -> None:
        self.world.truth["orders"].add(
            (
                record.source,
                source_id,
                record.source_id,
                person,
                status,
                amount,
                "RUB",
                utc_of(ordered),
                utc_of(changed),
                fault,
            )
        )

    # ----- the past of a shop B company

    def earlier_version(self, record: Record, at: datetime) -> dict:
        """The company as it was: another address, another phone of its first person, somebody who has left since."""
        past = dict(record.row, legal_address=self.world.companies.address(), changed_at=iso(at))
        past["persons"] = [dict(p) for p in past["persons"]]
        if past["persons"]:
            past["persons"][0]["phones"] = [self.people.phone()]
        left = self.new_human(record.group)
        typed = self.people.typed(left, narrow=False, form="full")
        uid = f"p-{self.world.next_id('person'):07}"
        past["persons"].append(self.person_object(uid, left, typed, at))
        self._true_person("shop_b", uid, left, typed, "gone", at)
        self.world.truth["employments"].add(("shop_b", uid, record.source_id))
        return past


_DAY, _MONTH = timedelta(days=1), timedelta(days=30)
