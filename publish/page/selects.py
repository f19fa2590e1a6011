"""Tables of a page out of selects: as far as the page shows them, with the select that shows the rest."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from publish.page.content import Cell, Chart, Column, Row, Table
from publish.page.texts import Texts

MOST_ROWS = 1000  # of a list in the page

Values = Mapping[str, Any]


def rows_of(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """Rows by the names of their columns."""
    result = connection.execute(sql, parameters)
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


@dataclass(frozen=True, slots=True)
class Selects:
    """Makes tables. The texts of a page begin with its `prefix`: `<prefix>_column_<name>` is the title of a column."""

    connection: duckdb.DuckDBPyConnection
    texts: Texts
    prefix: str

    def rows(self, sql: str) -> list[dict[str, Any]]:
        return rows_of(self.connection, sql)

    def columns(self, columns: Sequence[str | Column]) -> list[Column]:
        """Columns, those that are texts by the names of their titles; one of numbers begins with `#`."""
        return [
            column
            if isinstance(column, Column)
            else Column(self.texts(f"{self.prefix}_column_{column.removeprefix('#')}"), column.startswith("#"))
            for column in columns
        ]

    def table(
        self,
        name: str,
        title: str,
        sql: str,
        columns: Sequence[str | Column],
        cells: Callable[[Values], Iterable[Cell]],
        *,
        is_marked: Callable[[Values], bool] = lambda row: False,
        is_counted: bool = False,
        is_folded: bool = False,
        note: str = "",
        chart: Chart | None = None,
    ) -> Table:
        """A table of a select; `is_counted` puts the number of its rows behind its title."""
        sql = " ".join(sql.split())
        shown = self.rows(f"{sql} limit {MOST_ROWS}")
        number = len(shown)
        if number == MOST_ROWS:
            ((number,),) = self.connection.execute(f"select count(*) from ({sql})").fetchall()
        counted = {"shown": self.texts.number(len(shown)), "all": self.texts.number(number)}
        return Table(
            name=name,
            title=f"{title}: {self.texts.number(number)}" if is_counted else title,
            columns=self.columns(columns),
            rows=[Row(list(cells(row)), is_marked(row)) for row in shown],
            note=note,
            more=self.texts("more_rows", select=sql, **counted) if number > len(shown) else "",
            is_folded=is_folded,
            chart=chart,
        )
