"""What the comparison of the two portals comes to: `marts.transfer_verdict`, one row, as the models made it."""

from dataclasses import dataclass

import duckdb

from ingest.warehouse.errors import OperatorError


@dataclass(frozen=True)
class Verdict:
    """Whether every record is as it should be, how many differ without a reason that the box gave, and the lines that
    tell it."""

    is_exact: bool
    refused: int
    unexplained: int
    lines: list[str]

    def check(self) -> None:
        """Raise OperatorError with exit status 3 unless the portals are one, apart from what has its reason. What the
        box refused has one: it is set aside."""
        if not self.is_exact and (self.unexplained or not self.refused):
            raise OperatorError(
                "the two portals differ without a reason",
                hint="select * from marts.transfer_differences where not is_explained; "
                "in marts.transfer_counts, transfer_sums and transfer_links the same of the totals",
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
    ((unexplained,),) = connection.execute(
        """select count(*) from marts.transfer_differences as difference
           left join marts.transfer_outcomes as fate using (entity, source_id)
           where not difference.is_explained and coalesce(fate.outcome, '') <> 'refused'"""
    ).fetchall()
    counted = {name: number for name, number in row.items() if name.endswith(("_count", "_differences"))}
    told = ", ".join(f"{name.removesuffix('_count').replace('_', ' ')} {number:,}" for name, number in counted.items())
    is_exact = bool(row["is_exact"] and row.get("compared_count", 1))  # of nothing at all, nothing is proven
    lines = [f"comparison: {'exact' if is_exact else 'not exact'} ({told})"]
    if row.get("cloud_read_at") and row.get("box_read_at"):
        lines.append(
            f"  {row['cloud_host']} as it was read on {row['cloud_read_at']:%Y-%m-%d %H:%M} UTC, {row['box_host']} "
            f"on {row['box_read_at']:%Y-%m-%d %H:%M}"
        )
    if (since := row.get("parts_read_at")) and since < min(row["cloud_read_at"], row["box_read_at"]):
        lines.append(
            f"  comments and bindings of cards and activities that have not changed are as they were read until "
            f"{since:%Y-%m-%d %H:%M} UTC; a stage with ARGS=--all-parts reads them all"
        )
    if conflicts := row.get("conflict_count"):
        lines.append(
            f"  {conflicts:,} records were changed in both portals and are left to people: "
            "select * from marts.transfer_outcomes where outcome = 'conflict'"
        )
    return Verdict(is_exact, row["refused_count"], int(unexplained), lines)
