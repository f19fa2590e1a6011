"""True people with their own phones and e-mails, and the ways they were typed in.

A typed contact is a `Typed`: the strings for the source, and beside them what a careful reader can tell from those
strings alone. Nothing more is ever expected of the models.
"""

from dataclasses import dataclass, field
from random import Random

from .identifiers import Identifiers
from .typed_text import (
    cp1251_read_as_latin1,
    fits_cp1251,
    utf8_read_as_cp1251,
    with_lookalikes,
    with_stray_spaces,
    with_typo,
)
from .vocabulary import COMMON_FEMALE, COMMON_MALE, POSTS, Surname, Vocabulary, Weighted, folded

MAIL_HOSTS = ("mail.ru", "yandex.ru", "gmail.com", "bk.ru", "list.ru", "inbox.ru", "rambler.ru")
EXTENSIONS = (" доб. {}", " доб.{}", " (доб. {})", " доб {}", " ext. {}", " ext {}", " #{}", ", доб. {}")
GARBAGE_PHONES = (
    "123-45-67",
    "2-34-56",
    "нет",
    "-",
    "0",
    "+7",
    "8",
    "000000",
    "+7 (   )   -  -",
    "уточнить",
    "555-12-12",
)
GARBAGE_EMAILS = ("нет", "-", "ivanov@", "@mail.ru", "ivanov.mail.ru", "почта уточняется", "a@b", "info@@firma.ru")
SEPARATORS = (", ", "; ", " / ", ",", "\n", " и ")


@dataclass(slots=True)
class Human:
    person_id: str
    surname: Surname
    is_male: bool
    first: str
    second: str
    phones: list[str]  # personal, E.164
    emails: list[str]  # personal, lower case
    post: str

    @property
    def last(self) -> str:
        return self.surname.male if self.is_male else self.surname.female

    @property
    def full_name(self) -> str:
        return f"{self.last} {self.first} {self.second}"

    @property
    def likeness(self) -> tuple[int, str]:
        """Two people of one company never share it, so that no initials could mean both."""
        return self.surname.stem, folded(self.first[0])


@dataclass(slots=True)
class Typed:
    name: str | None
    phones: list[str]  # one or more numbers in each, as typed
    emails: list[str]
    form: str
    last: str | None = None  # what the name gives; None where it gives nothing or not surely
    first: str | None = None
    second: str | None = None
    given_phones: list[str] = field(default_factory=list)  # E.164
    given_emails: list[str] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        return self.form not in ("typo", "unparsed") and bool(self.first and self.second)


class People:
    """Makes people and their typed forms; every random choice comes from `rng`."""

    def __init__(self, rng: Random, words: Vocabulary, identifiers: Identifiers) -> None:
        self.rng, self.words, self.identifiers = rng, words, identifiers
        self.count = 0
        self._form = Weighted(
            rng,
            {
                "full": 52,
                "full_last": 8,
                "surname_first": 9,
                "first_surname": 5,
                "upper": 5,
                "lower": 3,
                "initials": 5,
                "initials_first": 3,
                "one_initial": 1,
                "typo": 1.5,
                "lookalikes": 1,
                "spaces": 3,
                "yo_lost": 2,
                "mojibake": 0.5,
                "latin1": 0.3,
                "commas": 0.5,
                "unparsed": 0.7,
            },
        )
        self._phone_kind = Weighted(rng, {"mobile": 89, "landline": 5, "kazakh": 3, "foreign": 2, "none": 1})

    # ----- true people

    def phone(self, kind: str = "mobile") -> str:
        return getattr(self.identifiers, kind)()

    def make(self, domain: str | None = None, *, like: Human | None = None) -> Human:
        """A new person; `like` gives the full name of another one (a namesake)."""
        rng, words = self.rng, self.words
        self.count += 1
        is_male = like.is_male if like else rng.random() < 0.45
        surname = like.surname if like else rng.choice(words.surnames)
        common, rare = (COMMON_MALE, words.male) if is_male else (COMMON_FEMALE, words.female)
        first = like.first if like else rng.choice(common if rng.random() < 0.93 else rare)
        second = like.second if like else rng.choice(words.patronymics)[0 if is_male else 1]
        human = Human(f"h{self.count}", surname, is_male, first, second, [], [], "")
        kind = self._phone_kind()
        if kind != "none":
            human.phones.append(self.phone(kind))
        if rng.random() < 0.12:
            human.phones.append(self.phone())
        if rng.random() < 0.70 or not human.phones:
            human.emails.append(self.email(human, domain if rng.random() < 0.6 else None))
        if rng.random() < 0.05:
            human.emails.append(self.email(human, None))
        human.post = rng.choice(POSTS if rng.random() < 0.8 else words.occupations)
        return human

    def email(self, human: Human, domain: str | None) -> str:
        # Addresses in ASCII; the running number keeps two people from one box.
        local = folded(human.last).translate(_ASCII) + str(self.count)
        return f"{local}@{domain or self.rng.choice(MAIL_HOSTS)}"

    # ----- as typed

    def typed(
        self,
        human: Human,
        *,
        narrow: bool,
        form: str | None = None,
        phones: list[str] | None = None,
        emails: list[str] | None = None,
        shared_phone: str | None = None,
        shared_email: str | None = None,
    ) -> Typed:
        """One record of a person. `phones` and `emails` limit what of the person's own is given (default: all).

        `narrow` keeps the name to what a cp1251 column can hold.
        """
        rng = self.rng
        given_phones = list(human.phones if phones is None else phones)
        given_emails = list(human.emails if emails is None else emails)
        typed_phones = [self.typed_phone(p) for p in given_phones]
        if shared_phone:
            given_phones.append(shared_phone)
            extension = rng.choice(EXTENSIONS).format(rng.randrange(10, 999)) if rng.random() < 0.5 else ""
            typed_phones.append(self.typed_phone(shared_phone) + extension)
        if rng.random() < 0.02:
            typed_phones.append(rng.choice(GARBAGE_PHONES))
        typed_emails = [self.typed_email(e) for e in given_emails]
        if shared_email:
            given_emails.append(shared_email)
            typed_emails.append(self.typed_email(shared_email))
        if rng.random() < 0.02:
            typed_emails.append(rng.choice(GARBAGE_EMAILS))
        form = form or self._form()
        if form == "unparsed" and (shared_phone or shared_email):
            form = "full"  # a department beside a switchboard would be no trap: nothing says whom it may join
        name, last, first, second, form = self._name(human, form, narrow=narrow)
        return Typed(name, typed_phones, typed_emails, form, last, first, second, given_phones, given_emails)

    def _name(self, human: Human, form: str, *, narrow: bool) -> tuple:
        rng = self.rng
        last, first, second = human.last, human.first, human.second
        full = human.full_name
        if form == "full_last":
            return f"{first} {second} {last}", last, first, second, form
        if form in ("surname_first", "first_surname") and human.surname.is_clear and first in _COMMON:
            typed = f"{last} {first}" if form == "surname_first" else f"{first} {last}"
            return typed, last, first, None, form
        if form == "upper":
            return full.upper(), last, first, second, form
        if form == "lower":
            return full.lower(), last, first, second, form
        if form == "initials":
            typed = rng.choice(("{} {}.{}.", "{} {}. {}.", "{} {}.{}", "{} {} {}")).format(last, first[0], second[0])
            return typed, last, None, None, form
        if form == "initials_first":
            typed = rng.choice(("{}.{}. {}", "{}. {}. {}", "{}.{}.{}")).format(first[0], second[0], last)
            return typed, last, None, None, form
        if form == "one_initial":
            return f"{last} {first[0]}.", last, None, None, form
        if form == "typo" and len(last) > 5:
            return f"{with_typo(rng, last)} {first} {second}", None, first, second, form
        if form == "lookalikes":
            return with_lookalikes(rng, full), last, first, second, form
        if form == "spaces":
            return with_stray_spaces(rng, full, narrow=narrow), last, first, second, form
        if form == "yo_lost":
            return full.replace("ё", "е").replace("Ё", "Е"), last, first, second, form
        if form == "commas":
            return f"{last}, {first} {second}", last, first, second, form
        if form == "mojibake" and len(full) < 100:
            typed = utf8_read_as_cp1251(full)
            if not narrow or fits_cp1251(typed):
                return typed, last, first, second, form
        if form == "latin1" and not narrow:
            return cp1251_read_as_latin1(full), last, first, second, form
        if form == "unparsed":
            typed = rng.choice(("отдел закупок", "Бухгалтерия", "склад №2", "приёмная директора", "охрана, проходная"))
            return typed, typed, None, None, form
        return full, last, first, second, "full"

    def typed_phone(self, phone: str) -> str:
        """One number as typed; Russian and Kazakh ones also without +7, others always in the international form."""
        rng = self.rng
        if not phone.startswith("+7"):
            digits = phone[1:]
            style = rng.randrange(4)
            if style == 0:
                return f"+{digits[:3]} {digits[3:5]} {digits[5:]}"
            if style == 1:
                return f"8-10-{digits[:3]}-{digits[3:]}"
            return phone if style == 2 else f"+{digits[:3]} ({digits[3:5]}) {digits[5:]}"
        d = phone[2:]
        a, b, c, e = d[:3], d[3:6], d[6:8], d[8:]
        style = rng.randrange(12)
        if style == 0:
            return phone
        if style == 1:
            return f"8{d}"
        if style == 2:
            return f"7{d}"
        if style == 3 and a[0] in "489" and a != "800":
            return d
        if style == 4:
            return f"8 ({a}) {b}-{c}-{e}"
        if style == 5:
            return f"8-{a}-{b}-{c}-{e}"
        if style == 6:
            return f"+7 {a} {b} {c} {e}"
        if style == 7 and a[0] in "489" and a != "800":
            return f"({a}) {b}-{c}-{e}"
        if style == 8:
            return f"8 {a} {b}{c}{e}"
        if style == 9:
            return f"+7({a}){b}{c}{e}"
        if style == 10:
            return f"т. 8 ({a}) {b} {c} {e}"
        return f"+7 ({a}) {b}-{c}-{e}"

    def typed_email(self, email: str) -> str:
        rng, chance = self.rng, self.rng.random()
        if chance < 0.80:
            return email
        if chance < 0.86:
            return email.upper() if rng.random() < 0.5 else email.capitalize()
        if chance < 0.92:
            return f" {email} "
        if chance < 0.95:
            return f"{email}."
        return f"mailto:{email}" if chance < 0.98 else f"{email}\xa0"

    def one_field(self, values: list[str], *, for_emails: bool = False) -> str | None:
        """Several values in one field, as in shop A; `и` and line feeds part phones only."""
        if not values:
            return self.rng.choice((None, None, ""))
        return self.rng.choice(SEPARATORS[:4] if for_emails else SEPARATORS).join(values)


_COMMON = frozenset(COMMON_MALE + COMMON_FEMALE)
_ASCII = str.maketrans(
    dict(
        zip(
            "абвгдезийклмнопрстуфхцчшщъыьэюя",
            "a b v g d e z i y k l m n o p r s t u f h c ch sh sch _ y _ e u ya".split(),  # noqa: SIM905
            strict=True,
        )
    )
    | {"ъ": "", "ь": "", "ж": "zh", "-": ""}
)
