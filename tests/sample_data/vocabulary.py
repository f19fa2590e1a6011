"""Word pools drawn once from mimesis' Russian data: names, surnames, streets, cities, posts, company words.

mimesis gives every exotic name the weight of the common ones, so `first_name` prefers a short list of names that
a Russian client base is really full of.
"""

# ruff: noqa: SIM905 - a list of a hundred names is read as a sentence, not as a hundred literals
import re
from bisect import bisect
from functools import lru_cache
from random import Random
from typing import NamedTuple

from mimesis import Address, Finance, Person, Text
from mimesis.enums import Gender
from mimesis.locales import Locale

CYRILLIC_WORD = re.compile(r"[А-ЯЁ][а-яё]+")
CLEAR_SURNAME = re.compile(r".*(?:ов|ев|ёв|ин|ын|ский|цкий|енко)$")

COMMON_MALE = (
    "Александр Алексей Анатолий Андрей Антон Артём Борис Вадим Валентин Валерий Василий Виктор Виталий Владимир "
    "Владислав Вячеслав Геннадий Георгий Григорий Даниил Денис Дмитрий Евгений Егор Иван Игорь Илья Кирилл Константин "
    "Леонид Максим Михаил Никита Николай Олег Павел Пётр Роман Руслан Сергей Станислав Степан Тимур Фёдор Юрий Яков"
).split()
COMMON_FEMALE = (
    "Александра Алина Алла Анастасия Анна Антонина Валентина Валерия Вера Вероника Виктория Галина Дарья Евгения "
    "Екатерина Елена Елизавета Жанна Зинаида Инна Ирина Кристина Ксения Лариса Лидия Любовь Людмила Маргарита Марина "
    "Мария Надежда Наталья Нина Оксана Ольга Полина Раиса Светлана София Тамара Татьяна Ульяна Юлия Яна"
).split()
POSTS = (
    "менеджер по закупкам",
    "директор",
    "генеральный директор",
    "главный бухгалтер",
    "бухгалтер",
    "начальник отдела снабжения",
    "кладовщик",
    "секретарь",
    "логист",
    "инженер",
    "коммерческий директор",
    "офис-менеджер",
)


class Surname(NamedTuple):
    """`stem` is the same number for a man's and a woman's form of one surname and for its ё and е spellings."""

    stem: int
    male: str
    female: str
    is_clear: bool  # by its ending a surname, also without a patronymic beside it


class Vocabulary(NamedTuple):
    surnames: list[Surname]
    male: list[str]
    female: list[str]
    patronymics: list[tuple[str, str]]  # (of a man, of a woman), by the same father
    cities: list[str]
    streets: list[str]
    words: list[str]
    banks: list[str]
    occupations: list[str]


def _drawn(draw, times: int) -> list[str]:
    return sorted({draw() for _ in range(times)})


def _female_surname(male: str) -> str:
    if male.endswith(("ский", "цкий")):
        return male[:-2] + "ая"
    if male.endswith(("ов", "ев", "ёв", "ин", "ын")):
        return male + "а"
    return male


def folded(text: str) -> str:
    """Lower case, ё as е."""
    return text.lower().replace("ё", "е")


@lru_cache(maxsize=1)
def vocabulary() -> Vocabulary:
    person, address = Person(Locale.RU, seed=7), Address(Locale.RU, seed=7)
    finance, text = Finance(Locale.RU, seed=7), Text(Locale.RU, seed=7)
    male = [n for n in _drawn(lambda: person.first_name(gender=Gender.MALE), 4000) if _is_plain(n)]
    female = [n for n in _drawn(lambda: person.first_name(gender=Gender.FEMALE), 8000) if _is_plain(n)]
    given = {folded(n) for n in [*male, *female, *COMMON_MALE, *COMMON_FEMALE]}
    surnames: dict[str, Surname] = {}
    for surname in _drawn(lambda: person.last_name(gender=Gender.MALE), 40_000):
        key = folded(surname)
        # A surname like Адамович cannot be told from a patronymic, nor Роман from a given name.
        if _is_plain(surname) and key not in given and not key.endswith("ич") and key not in surnames:
            surnames[key] = Surname(
                len(surnames), surname, _female_surname(surname), bool(CLEAR_SURNAME.fullmatch(surname))
            )
    patronymics = [
        (p, p[:-2] + "на")
        for p in _drawn(lambda: person.patronymic(gender=Gender.MALE), 4000)
        if p.endswith(("ович", "евич")) and _is_plain(p)
    ]
    words = [w.capitalize() for w in _drawn(text.word, 60_000) if 5 <= len(w) <= 12]
    return Vocabulary(
        surnames=list(surnames.values()),
        male=male,
        female=female,
        patronymics=patronymics,
        cities=[c for c in _drawn(address.city, 20_000) if len(c) > 3],
        streets=_drawn(address.street_name, 40_000),
        words=[w for w in words if CYRILLIC_WORD.fullmatch(w)],
        banks=_drawn(finance.bank, 2000),
        occupations=[o.lower() for o in _drawn(person.occupation, 8000)],
    )


def _is_plain(name: str) -> bool:
    return len(name) >= 4 and bool(CYRILLIC_WORD.fullmatch(name))


class Weighted:
    """A choice among options by weight, quick enough to be asked a million times."""

    def __init__(self, rng: Random, options: dict[str, float]) -> None:
        self._random = rng.random
        self._options = list(options)
        total, self._bounds = 0.0, []
        for weight in options.values():
            total += weight
            self._bounds.append(total)
        self._total = total

    def __call__(self) -> str:
        return self._options[bisect(self._bounds, self._random() * self._total)]
