"""What a page is made of. Whoever makes one chooses the words (`texts`) and rows; how it looks is the template's."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table. `sort` is what it is sorted by where that is not its text; `links` lead away from the page:
    (text, address)."""

    text: str = ""
    sort: str = ""
    links: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table. One that `is_marked` has something for people to look at."""

    cells: Sequence[Cell]
    is_marked: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table that can be searched, sorted and saved. `more` is what there is to say of rows that it does not show; one
    that `is_folded` is opened by the reader."""

    name: str  # of the saved file, and of the place in the page
    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    note: str = ""
    more: str = ""
    is_folded: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    name: str
    title: str
    tables: Sequence[Table]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its verdict first, then what it rests on."""

    title: str
    verdict: str
    is_good: bool
    points: Sequence[tuple[str, str]] = ()  # (what is to be looked at, name of its place in the page)
    facts: Sequence[tuple[str, str]] = ()
    sections: Sequence[Section] = field(default_factory=tuple)
