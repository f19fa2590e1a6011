"""Russian names as frequent as they are: the tables of the `russiannames` package (BSD-3-Clause)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import accumulate
from random import Random

import duckdb

WORD = "regexp_full_match(text, '[А-ЯЁ][а-яё][а-яё]+')"
QUERIES = {
    # the package has some boys' names among the girls' and the other way round, but the frequent ones are right
    "given": f"select text, count, gender from '{{names}}' where {WORD} and gender in ('m', 'f') and count >= 2000",
    "patronymics": f"""
        select text, count, gender from '{{midnames}}' where {WORD} and gender in ('m', 'f') and count >= 200""",
    "surnames": f"""
        select text, f_form, count from '{{surnames}}'
        where {WORD} and gender = 'm' and f_form <> '' and count >= 10""",
    # surnames that are given names as well, the same for a man and a woman
    "twofold": f"""
        select text, text, surnames.count from '{{surnames}}' as surnames
        join (
            select text, max(count) as count from '{{names}}' where gender in ('m', 'f') group by text
        ) as names using (text)
        where {WORD} and names.count >= 300 and surnames.count >= 10""",
}


@cache
def table(name: str) -> list[tuple]:
    """Rows of one of QUERIES, in an order of their own."""
    folder = files("russiannames") / "data"
    places = {path: str(folder / f"{path}.parquet") for path in ("names", "midnames", "surnames")}
    with duckdb.connect() as connection:
        return connection.execute(QUERIES[name].format(**places) + " order by all").fetchall()


class ByFrequency:
    """Draws values as often as their weights say."""

    def __init__(self, rng: Random, values: Sequence, weights: Sequence[float]) -> None:
        self.rng, self.values, self.weights = rng, values, list(accumulate(weights))

    def __call__(self):
        return self.rng.choices(self.values, cum_weights=self.weights)[0]


@dataclass(frozen=True)
class Name:
    """Surname, given name and patronymic of somebody, as in the passport."""

    last: str
    first: str
    second: str
    is_male: bool

    @property
    def likeness(self) -> tuple[str, str]:
        """Two people of one company never share it, so that no short form could mean both."""
        return self.last[:3].lower().replace("ё", "е"), self.first[0]

    @property
    def whole(self) -> str:
        return f"{self.last} {self.first} {self.second}"


class Names:
    """Draws names; `rng` makes every choice."""

    def __init__(self, rng: Random) -> None:
        def drawn(rows: list[tuple], weight: int) -> ByFrequency:
            return ByFrequency(
                rng, rows, [row[weight] ** 0.7 for row in rows]
            )  # a sample this small knows rare ones too

        self.rng = rng
        self._given = {s: drawn([r for r in table("given") if r[2] == s], 1) for s in "mf"}
        self._patronymics = {s: drawn([r for r in table("patronymics") if r[2] == s], 1) for s in "mf"}
        self._surnames = {False: drawn(table("surnames"), 2), True: drawn(table("twofold"), 2)}

    def surname(self, *, is_twofold: bool = False) -> tuple[str, str]:
        """A man's and a woman's form."""
        return self._surnames[is_twofold]()[:2]

    def make(
        self,
        *,
        is_male: bool | None = None,
        surname: tuple[str, str] | None = None,
        first: str | None = None,
        second: str | None = None,
        is_twofold: bool = False,
    ) -> Name:
        """A name; what is given is kept."""
        is_male = self.rng.random() < 0.5 if is_male is None else is_male
        sex = "m" if is_male else "f"
        last = (surname or self.surname(is_twofold=is_twofold))[0 if is_male else 1]
        return Name(last, first or self._given[sex]()[0], second or self._patronymics[sex]()[0], is_male)
