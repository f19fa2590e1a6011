"""How people type: each habit alone changes a text in one way; a typed value is a permutation of some of them."""

import re
from collections.abc import Callable
from random import Random

from .names import Name

WHOLE = ("LFP", "LFP", "LFP", "FPL")
SHORT = {
    "no_surname": ("FP",),
    "no_patronymic": ("LF", "FL"),
    "initials": ("Lfp", "fpL", "L fp", "Lf", "LFp"),
}
TWINS = str.maketrans("АВЕКМНОРСТаеорсх", "ABEKMHOPCTaeopcx")
LATIN = dict(zip("абвгдезийклмнопрстуфхцыэ", "abvgdeziyklmnoprstufhcye", strict=True)) | {
    "ё": "e",
    "я": "ya",
    "ю": "yu",
}
LATIN |= {"ж": "zh", "ч": "ch", "ш": "sh", "щ": "sch", "ь": "", "ъ": ""}

PHONE_FORMS = (
    *("+7{}{}{}{}", "8{}{}{}{}", "8 ({}) {}-{}-{}", "+7 {} {} {} {}"),
    *("8-{}-{}-{}-{}", "7{}{}{}{}", "{}{}{}{}"),
)


def in_order(name: Name, order: str) -> str:
    """`L`, `F`, `P` are the parts, in small letters their initials: "Lfp" is Иванов И.П., "L fp" has spaces."""
    gap = " " if " " in order else ""
    parts = {"L": name.last, "F": name.first, "P": name.second, "f": f"{name.first[0]}.", "p": f"{name.second[0]}."}
    text = " ".join(parts[letter] for letter in order.replace(" ", ""))
    return re.sub(r"(?<=\b[А-ЯЁ]\.) (?=[А-ЯЁ]\.)", gap, text)


def _one_twin(rng: Random, text: str) -> str:
    """One Cyrillic letter of a word that keeps others becomes its Latin twin."""
    places = [m.start() for m in re.finditer("[АВЕКМНОРСТаеорсх]", text) if len(re.split(r"\s", text)[0]) > 5]
    if not places or places[0] > 4:
        return text
    return text[: places[0]] + text[places[0]].translate(TWINS) + text[places[0] + 1 :]


HABITS: dict[str, tuple[float, Callable[[Random, str], str]]] = {  # how many have it, and what it does
    "capitals": (0.08, lambda rng, text: text.upper()),
    "no capitals": (0.05, lambda rng, text: text.lower() if "." not in text else text),
    "no yo": (0.6, lambda rng, text: text.replace("ё", "е").replace("Ё", "Е")),
    "wide spaces": (0.06, lambda rng, text: text.replace(" ", rng.choice(("  ", " \xa0", "\xa0")), 1)),
    "a space at the end": (0.08, lambda rng, text: text + rng.choice((" ", "  ", "\t"))),
    "a comma": (0.02, lambda rng, text: re.sub(r"^(\w{3,}) (?=\w{2,} \w{3,})", r"\1, ", text)),
    "a remark": (0.03, lambda rng, text: text + rng.choice((" (директор)", " (гл. бухгалтер)", " (после 14:00)"))),
    "an address": (0.02, lambda rng, text: rng.choice(("г-н ", "г-жа ")) + text),
    "a Latin letter": (0.03, _one_twin),
}


def typed_name(rng: Random, name: Name, order: str, *, plainly: bool = False) -> str:
    """The name in that order, by somebody with habits drawn at random and applied in an order drawn at random."""
    text = in_order(name, order)
    taken = [habit for share, habit in HABITS.values() if rng.random() < share and not plainly]
    rng.shuffle(taken)
    for habit in taken:
        text = habit(rng, text)
    return text


def with_slip(rng: Random, word: str, *, at: int) -> str:
    """One slip of the pen at a place of a word: a letter left out, doubled, changed, or two swapped."""
    kind = rng.randrange(4)
    if kind == 0 and word[at] != word[at + 1]:
        return word[:at] + word[at + 1 :]
    if kind == 1 and word[at] != word[at + 1]:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind == 2:
        return word[:at] + rng.choice([c for c in "аоеинтрслк" if c != word[at]]) + word[at + 1 :]
    return word[:at] + word[at] * 2 + word[at + 1 :]


def typed_phone(rng: Random, phone: str) -> str:
    """A number in E.164 of Russia as people write it."""
    a, b, c, d = phone[2:5], phone[5:8], phone[8:10], phone[10:]
    return rng.choice(PHONE_FORMS).format(a, b, c, d)


def typed_email(rng: Random, email: str) -> str:
    return rng.choice((email, email, email, email.upper(), f" {email}", email.capitalize(), f"{email} "))


def latin(word: str) -> str:
    """A word in Latin letters, for a mailbox."""
    return "".join(LATIN.get(letter, "") for letter in word.lower())
