"""Pairs of contacts that look alike and are not one person; whoever merges them, merges strangers.

Each trap is laid in companies that will be published, all its people have distinct ids, and the text of the records
alone shows that they must stay apart:

- `family_phone`, `family_email`: relatives of one surname and different given names share a phone or a box;
- `opposite_sex`: Александр and Александра of one surname and one father share a phone, every word one letter apart;
- `recycled_phone`: the number of one person is later given to another, in another company;
- `namesakes`: one full name in two companies, nothing shared;
- `namesakes_one_switchboard`: the same, and both companies sit behind one switchboard that a third person has too;
- `initials_same_company`, `initials_other_company`: initials that would fit, and no phone or e-mail to prove it;
- `bridge_one_phone`: two full names and initials that fit both, all on one phone;
- `bridge_two_phones`: initials that share one phone with one full name and another phone with the other.
"""

from collections.abc import Callable
from difflib import SequenceMatcher

from .people import Human
from .staff import Staff
from .vocabulary import COMMON_FEMALE, COMMON_MALE
from .world import Group, Record

PAIRS_BY_SEX = (("Александр", "Александра"), ("Евгений", "Евгения"), ("Валерий", "Валерия"))
FULL_FORMS = ("full", "full", "full", "full_last", "upper", "lower")


def _far(one: str, other: str, likeness: float) -> bool:
    return SequenceMatcher(None, one.lower(), other.lower()).ratio() < likeness


class Traps:
    """Lays the kinds in turn; the half of a trap that needs another company waits for the next one."""

    def __init__(self, staff: Staff) -> None:
        self.staff, self.people, self.rng, self.world = staff, staff.people, staff.rng, staff.world
        self._waiting: list[tuple[Group, Human, Callable[[Record], None]]] = []
        self._laid = 0
        self._kinds = (
            self._family_phone,
            self._namesakes,
            self._bridge_one_phone,
            self._initials_same_company,
            self._family_email,
            self._recycled_phone,
            self._bridge_two_phones,
            self._namesakes_one_switchboard,
            self._opposite_sex,
            self._initials_other_company,
        )

    def lay(self, record: Record) -> None:
        self._kinds[self._laid % len(self._kinds)](record)
        self._laid += 1

    def place_waiting(self, record: Record) -> None:
        """Put the oldest waiting half into this record, unless its company is the one it must differ from."""
        if not self._waiting:
            return
        origin, human, put = self._waiting[0]
        if origin is not record.group and human.likeness not in record.group.likenesses:
            self._waiting.pop(0)
            record.group.likenesses.add(human.likeness)
            put(record)

    # ----- pieces

    def _someone(self, record: Record) -> Human:
        human = self.staff.new_human(record.group)
        if not human.phones:
            human.phones.append(self.people.phone())
        return human

    def _relative(self, record: Record, of: Human, *, same_initials: bool = False) -> Human | None:
        """A new person of the same surname whose given name could not be a slip of the pen for the other one's.

        None when no common name fits: few given names begin with some letters.
        """
        for _ in range(400):
            human = self.people.make()
            human.surname = of.surname
            pool = COMMON_MALE if human.is_male else COMMON_FEMALE
            fitting = [name for name in pool if (name[0] == of.first[0]) == same_initials and _far(name, of.first, 0.6)]
            if not fitting or (human.second[0] == of.second[0]) != same_initials:
                continue
            human.first = self.rng.choice(fitting)
            is_free = human.likeness == of.likeness or human.likeness not in record.group.likenesses
            if is_free and (not same_initials or _far(human.second, of.second, 0.8)):
                record.group.likenesses.add(human.likeness)
                return human
        return None

    def _with_double(self, record: Record) -> tuple[Human, Human]:
        """Two people of one surname and the same initials."""
        while True:
            first = self._someone(record)
            if second := self._relative(record, first, same_initials=True):
                return first, second

    def _add(
        self, record: Record, human: Human, *, form: str | None = None, certain=True, known=True, **given
    ) -> tuple:
        form = form or self.rng.choice(FULL_FORMS)
        typed = self.people.typed(human, narrow=record.source == "shop_a", form=form, **given)
        source_id = self.staff.add_person(record, human, typed, is_certain=certain, are_values_known=known)
        return record.source, source_id

    def _mark(self, trap: str, first: tuple, second: tuple) -> None:
        self.world.truth["traps"].add((trap, *first, *second))

    def _elsewhere(self, record: Record, human: Human, put: Callable[[Record], None]) -> None:
        self._waiting.append((record.group, human, put))

    # ----- kinds

    def _family_phone(self, record: Record) -> None:
        first = self._someone(record)
        second = self._relative(record, first, same_initials=self.rng.random() < 0.3) or self._relative(record, first)
        second.phones = [first.phones[0]]
        self._mark("family_phone", self._add(record, first), self._add(record, second))

    def _family_email(self, record: Record) -> None:
        first = self._someone(record)
        if not first.emails:
            first.emails.append(self.people.email(first, None))
        second = self._relative(record, first)
        second.emails = [first.emails[0]]
        self._mark("family_email", self._add(record, first), self._add(record, second))

    def _opposite_sex(self, record: Record) -> None:
        brother, sister = self._someone(record), self.people.make()
        brother.is_male, sister.is_male, sister.surname = True, False, brother.surname
        brother.first, sister.first = self.rng.choice(PAIRS_BY_SEX)
        brother.second, sister.second = self.rng.choice(self.people.words.patronymics)
        sister.phones = [brother.phones[0]]
        if not (brother.surname.is_clear and brother.likeness not in record.group.likenesses):
            return
        record.group.likenesses.add(brother.likeness)
        self._mark("opposite_sex", self._add(record, brother), self._add(record, sister))

    def _recycled_phone(self, record: Record) -> None:
        first, second = self._someone(record), self.people.make()
        second.phones = [first.phones[0]]
        laid = self._add(record, first)
        if second.surname.stem != first.surname.stem:
            self._elsewhere(record, second, lambda other: self._mark("recycled_phone", laid, self._add(other, second)))

    def _namesakes(self, record: Record) -> None:
        first = self._someone(record)
        second = self.people.make(like=first)
        laid = self._add(record, first)
        self._elsewhere(record, second, lambda other: self._mark("namesakes", laid, self._add(other, second)))

    def _namesakes_one_switchboard(self, record: Record) -> None:
        switchboard = self.people.phone("landline")
        first, neighbour = self._someone(record), self._someone(record)
        second = self.people.make(like=first)
        second.phones = []
        laid = self._add(record, first, phones=[], emails=[], shared_phone=switchboard)
        self._add(record, neighbour, shared_phone=switchboard)
        self._elsewhere(
            record,
            second,
            lambda other: self._mark(
                "namesakes_one_switchboard", laid, self._add(other, second, shared_phone=switchboard)
            ),
        )

    def _initials_same_company(self, record: Record) -> None:
        first = self._someone(record)
        second = self.people.make(like=first)
        self._mark("initials_same_company", self._add(record, first), self._add(record, second, form="initials"))

    def _initials_other_company(self, record: Record) -> None:
        first = self._someone(record)
        second = self.people.make(like=first)
        laid = self._add(record, first)
        self._elsewhere(
            record,
            second,
            lambda other: self._mark("initials_other_company", laid, self._add(other, second, form="initials")),
        )

    def _bridge_one_phone(self, record: Record) -> None:
        first, second = self._with_double(record)
        second.phones = first.phones = first.phones[:1]
        bridge = self.people.make(like=first)
        self._add(record, bridge, form="initials", certain=False, phones=first.phones, emails=[])
        self._mark("bridge_one_phone", self._add(record, first), self._add(record, second))

    def _bridge_two_phones(self, record: Record) -> None:
        first, second = self._with_double(record)
        second.phones = [self.people.phone()]
        bridge = self.people.make(like=first)
        both = [first.phones[0], second.phones[0]]
        self._add(record, bridge, form="initials", certain=False, phones=both, emails=[])
        laid = self._add(record, first, known=False), self._add(record, second, known=False)
        self._mark("bridge_two_phones", *laid)
