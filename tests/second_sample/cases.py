"""What is laid: people whose records belong together, each by a class of defect, and pairs that must stay apart.

A case draws how often, where and how its people are typed; its truth is what it was laid as. Every company has one
person of a likeness only (how a surname begins, and the initial of the given name), but where a case wants two.
"""

from collections.abc import Callable
from random import Random

from .habits import SHORT, WHOLE, typed_name, with_slip
from .names import Name
from .world import Person, World

NOTHING = (
    *("нет", "Нет", "не указан", "не указано", "-", "---", "тест", "ТЕСТ", "Тест тест", "менеджер", "Менеджер", "н/д"),
    *("нет данных", "неизвестно", "контактное лицо", "?", "ФИО", "без имени", ".", "test", "Имя не указано"),
)


class Cases:
    def __init__(self, world: World) -> None:
        self.world, self.rng = world, world.rng

    # ----- pieces

    def whole(self, name: Name) -> str:
        return typed_name(self.rng, name, self.rng.choice(WHOLE))

    def reached(self, person: Person) -> dict[str, tuple[str, ...]]:
        """A record's phones and e-mails: the person's mobile, the mailbox, or both."""
        kind = self.rng.randrange(4)
        return {"phones": (person.mobile,) if kind else (), "emails": (person.email,) if kind in (0, 3) else ()}

    def base(self, person: Person, company, **given) -> tuple[str, str]:
        """A record with the whole name, and all that others may meet it by."""
        given = given or {"phones": (person.mobile,), "emails": (person.email,)}
        name = person.name
        return self.world.record(company, person, self.whole(name), gives=(name.last, name.first, name.second), **given)

    def sometimes_elsewhere(self, person: Person, companies: int) -> list:
        """Companies for so many records, some of them the same."""
        places = self.world.places(person.name, self.rng.randint(1, companies))
        return places + [self.rng.choice(places) for _ in range(companies - len(places))]

    # ----- people whose records belong together

    def plain(self) -> None:
        person = self.world.person("plain")
        first, *others = self.sometimes_elsewhere(person, self.rng.choice((1, 1, 2, 3)))
        self.base(person, first)
        for company in others:
            self.world.record(company, person, self.whole(person.name), **self.reached(person))

    def one_short(self) -> None:
        """A short form beside whole ones, by the same mobile or mailbox, sometimes with a stranger on it."""
        kind = self.rng.choice(tuple(SHORT))
        person = self.world.person(kind.replace("_", " "))
        first, *others = self.sometimes_elsewhere(person, self.rng.choice((2, 3)))
        base = self.base(person, first)
        for company in others:
            text = typed_name(self.rng, person.name, self.rng.choice(SHORT[kind]))
            self.world.record(company, person, text, **self.reached(person))
        if self.rng.random() < 0.3:
            person.defect += ", a stranger on the phone"
            self.stranger(person, base, first)

    def outvoted(self) -> None:
        """One to three others give this person's mobile or mailbox too; those who agree stay together all the same."""
        person = self.world.person("shared by a stranger")
        first, *others = self.sometimes_elsewhere(person, self.rng.choice((2, 3, 4)))
        base = self.base(person, first)
        for company in others:
            self.world.record(company, person, self.whole(person.name), phones=(person.mobile,), emails=(person.email,))
        for _ in range(self.rng.randint(1, 3)):
            self.stranger(person, base, self.rng.choice([first, *others]))

    def stranger(self, person: Person, base: tuple[str, str], company) -> None:
        """Somebody else who gives this person's mobile or mailbox, in the same company or in another."""
        name = self.world.names.make()
        while name.first[0] == person.name.first[0] or name.last[0] == person.name.last[0]:
            name = self.world.names.make()
        other = self.world.person("a stranger's", name)
        if self.rng.random() < 0.5 and name.likeness not in company.likenesses:
            company.likenesses.add(name.likeness)
        else:
            (company,) = self.world.places(name, 1)
        lent = {"phones": (person.mobile,)} if self.rng.random() < 0.7 else {"emails": (person.email,)}
        order = self.rng.choice(("LFP", "LFP", "LF", "Lfp"))
        record = self.world.record(company, other, typed_name(self.rng, name, order), **lent)
        self.world.trap("a stranger on the phone", base, record)

    def two_slips(self) -> None:
        """Two misspellings, each one edit from the right form and two from each other."""
        name = self.world.names.make()
        while len(name.last) < 8 or len(name.second) < 10:
            name = self.world.names.make()
        person = self.world.person("two misspellings", name)
        first, second, third, fourth = self.sometimes_elsewhere(person, 4)
        self.base(person, first)
        self.base(person, second)
        places = [("last", 2), ("last", 4), ("second", 2)]
        for company, (part, at) in zip((third, fourth), self.rng.sample(places, 2), strict=True):
            parts = {"last": name.last, "first": name.first, "second": name.second}
            parts[part] = with_slip(self.rng, parts[part], at=at)
            text = typed_name(self.rng, Name(**parts, is_male=name.is_male), "LFP", plainly=True)
            self.world.record(company, person, text, **self.reached(person))

    def in_company(self) -> None:
        """In one company the patronymic is missing on one side, and nothing else is given."""
        person = self.world.person("no patronymic in the company")
        (company,) = self.world.places(person.name, 1)
        own = {"phones": (person.mobile,)} if self.rng.random() < 0.5 else {"emails": ()}
        self.base(person, company, **own)
        order = self.rng.choice(("LF", "FL"))
        reach = {"phones": (company.switchboard,)} if self.rng.random() < 0.3 else {}
        self.world.record(company, person, typed_name(self.rng, person.name, order), **reach)

    def twofold(self) -> None:
        """A surname that is a given name too, in two words, by the same mobile as the whole name."""
        name = self.world.names.make(is_twofold=True)
        while name.last == name.first:
            name = self.world.names.make(is_twofold=True)
        person = self.world.person("a given name for a surname", name)
        first, *others = self.sometimes_elsewhere(person, self.rng.choice((2, 3)))
        self.base(person, first)
        for company in others:
            text = typed_name(self.rng, name, self.rng.choice(("LF", "LF", "FL")), plainly=True)
            self.world.record(company, person, text, **self.reached(person))

    def nothing(self) -> None:
        """A word that stands for nothing: with a phone a card without a name, without one nothing at all."""
        person = self.world.person("nothing for a name")
        (company,) = self.world.places(person.name, 1)
        is_reached = self.rng.random() < 0.5
        given = {"phones": (person.mobile,)} if is_reached else {}
        outcome = "published" if is_reached else "empty"
        self.world.record(company, person, self.rng.choice(NOTHING), outcome=outcome, **given)

    def of_a_rejected_company(self) -> None:
        person = self.world.person("of a rejected company")
        self.base(person, self.rng.choice(self.world.rejected))

    def at_the_switchboard(self) -> None:
        """Colleagues behind one number, each typed twice in the same company: whole and short."""
        (company,) = self.world.places(self.world.names.make(), 1)
        for _ in range(self.rng.randint(2, 4)):
            person = self.world.person("behind a switchboard")
            if person.name.likeness in company.likenesses:
                continue
            company.likenesses.add(person.name.likeness)
            self.base(person, company, phones=(company.switchboard,))
            text = typed_name(self.rng, person.name, self.rng.choice(("Lfp", "LF")))
            self.world.record(company, person, text, phones=(company.switchboard,))

    # ----- pairs that must stay apart

    def apart(self, trap: str, one: Person, other: Person, *, phones: tuple[str, ...] | None, together: bool) -> None:
        """Two people, in one company or in two; `phones` None gives each their own."""
        (here,) = self.world.places(one.name, 1)
        there = here if together else self.world.places(other.name, 1)[0]
        there.likenesses.add(other.name.likeness)
        records = []
        for person, company in ((one, here), (other, there)):
            given = {"phones": phones} if phones else {"phones": (person.mobile,), "emails": (person.email,)}
            records.append(self.base(person, company, **given))
        self.world.trap(trap, *records)

    def namesakes(self) -> None:
        one = self.world.person("trap")
        other = self.world.person("trap", one.name)
        self.apart("namesakes", one, other, phones=None, together=False)

    def recycled(self) -> None:
        one, other = self.world.person("trap"), self.world.person("trap")
        if one.name.likeness == other.name.likeness:
            return
        self.apart("a recycled mobile", one, other, phones=(one.mobile,), together=False)

    def family(self) -> None:
        """Father and son, brothers with the same initials, husband and wife of one name, all with one phone."""
        names, rng = self.world.names, self.rng
        surname = names.surname()
        one = names.make(is_male=True, surname=surname)
        kind = rng.randrange(3)
        if kind == 0:
            other = names.make(is_male=True, surname=surname)
        elif kind == 1:
            other = names.make(is_male=True, surname=surname, second=one.second)
        else:
            one = names.make(is_male=True, surname=surname, first="Александр")
            other = names.make(is_male=False, surname=surname, first="Александра")
        if one.first == other.first:
            return
        people = [self.world.person("trap", name) for name in (one, other)]
        phone = people[0].mobile
        self.apart("a family's phone", *people, phones=(phone,), together=rng.random() < 0.5)

    def office(self) -> None:
        """Neighbours behind one switchboard, and a namesake of one of them behind it in another company."""
        one, neighbour = self.world.person("trap"), self.world.person("trap")
        other = self.world.person("trap", one.name)
        if one.name.likeness == neighbour.name.likeness:
            return
        here, there = self.world.places(one.name, 2)
        here.likenesses.add(neighbour.name.likeness)
        shared = {"phones": (here.switchboard,)}
        first = self.base(one, here, **shared)
        self.base(neighbour, here, **shared)
        self.world.trap("namesakes behind a switchboard", first, self.base(other, there, **shared))

    def two_fit(self) -> None:
        """A short form that fits two whole names: it joins nobody, and joins them no more than they were."""
        rng, one = self.rng, self.world.person("trap")
        while True:
            name = self.world.names.make(
                is_male=one.name.is_male, surname=(one.name.last, one.name.last), first=one.name.first
            )
            if name.second[0] != one.name.second[0]:
                break
        other = self.world.person("trap", name)
        (company,) = self.world.places(one.name, 1)
        kind = rng.randrange(3)  # on one mobile, on a mobile of each, in the company alone
        reach = (
            ((one.mobile,), (one.mobile,), (one.mobile,)),
            ((one.mobile,), (other.mobile,), (one.mobile, other.mobile)),
        )
        of_one, of_other, of_both = reach[kind] if kind < 2 else ((), (), ())
        records = [self.base(one, company, phones=of_one), self.base(other, company, phones=of_other)]
        order = rng.choice(("LF", "FL", "LF", "FL", "Lf") if kind < 2 else ("LF", "FL"))
        text = typed_name(rng, one.name, order)
        self.world.record(company, one, text, is_certain=False, phones=of_both)
        self.world.trap("two who fit", *records)

    def short_elsewhere(self) -> None:
        """Surname and given name in another company, nothing shared."""
        one = self.world.person("trap")
        other = self.world.person("trap", one.name)
        here, there = self.world.places(one.name, 2)
        text = typed_name(self.rng, one.name, self.rng.choice(("LF", "Lfp")))
        self.world.trap("a short form elsewhere", self.base(one, here), self.world.record(there, other, text))


SHARES: dict[Callable[[Cases], None], float] = {
    Cases.plain: 50, Cases.one_short: 10, Cases.outvoted: 8, Cases.two_slips: 3, Cases.in_company: 6, Cases.twofold: 4,
    Cases.nothing: 5, Cases.of_a_rejected_company: 1, Cases.at_the_switchboard: 4, Cases.namesakes: 2,
    Cases.recycled: 2, Cases.family: 2, Cases.office: 1, Cases.two_fit: 2, Cases.short_elsewhere: 1,
}  # fmt: skip


def lay(rng: Random, world: World, count: int) -> None:
    """Lay so many cases, drawn by their shares."""
    cases = Cases(world)
    for case in rng.choices(list(SHARES), list(SHARES.values()), k=count):
        case(cases)
