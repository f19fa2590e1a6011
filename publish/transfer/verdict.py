"""What the comparison of the two portals comes to: `marts.transfer_verdict`, one row, as the models made it."""

from dataclasses import dataclass

import duckdb

from ingest.warehouse.errors import OperatorError


@dataclass(frozen=True)
class Verdict:
    """Whether every record is as it should be, and the lines that tell it."""

    is_exact: bool
    lines: list[str]

    def check(self) -> None:
        """Raise OperatorError with exit status 3 unless the portals are one, apart from what has its reason."""
        if not self.is_exact:
            raise OperatorError(
                "the two portals differ without a reason",
                hint="select * from marts.transfer_differences where not is_explained; make transfer-report shows it",
                exit_status=3,
            )


def read(connection: duckdb.DuckDBPyConnection) -> Verdict:
    """The comparison as it was made last. Raises OperatorError where there is none."""
    try:
        columns = connection.execute("select * from marts.transfer_verdict")
    except duckdb.CatalogException:
        raise OperatorError("nothing has been compared so far", hint="make transfer-rehearsal") from None
    names = [column[0] for column in columns.description or []]
    row = dict(zip(names, columns.fetchall()[0], strict=True))
    told = [f"{name.removesuffix('_count')} {number:,}" for name, number in row.items() if name.endswith("_count")]
    exact = "exact" if row["is_exact"] else "not exact"
    return Verdict(bool(row["is_exact"]), [f"comparison: {exact} ({', '.join(told)})"])
