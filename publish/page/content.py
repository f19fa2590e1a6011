"""What a page is made of. Whoever makes one chooses the words (`texts`) and rows; how it looks is the template's."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal


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
class Chart:
    """A drawing of a table's own numbers: those of `series` (numbers of columns) over the column `label`. Bars that lie
    (`is_lying`) have room for long labels."""

    kind: Literal["bar", "line"]
    label: int
    series: Sequence[int]
    is_lying: bool = False
    is_stacked: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table that can be searched, sorted and saved. `more` is what there is to say of rows that it does not show; one
    that `is_folded` is opened by the reader. A `chart` shows its numbers above it, and nothing else."""

    name: str  # of the saved file, and of the place in the page
    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    note: str = ""
    more: str = ""
    is_folded: bool = False
    chart: Chart | None = None


@dataclass(frozen=True, slots=True)
class Section:
    name: str
    title: str
    tables: Sequence[Table]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its verdict first, then what it rests on. `sign` stands before the verdict."""

    title: str
    verdict: str
    is_good: bool
    sign: str = ""
    points: Sequence[tuple[str, str]] = ()  # (what is to be looked at, name of its place in the page)
    facts: Sequence[tuple[str, str]] = ()
    note: str = ""  # what there is to say of the facts
    sections: Sequence[Section] = field(default_factory=tuple)

    @property
    def has_charts(self) -> bool:
        return any(table.chart and table.rows for section in self.sections for table in section.tables)
