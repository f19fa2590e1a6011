"""The comparison of two portals as a page: what the marts of the move say, with links to the cards of both.

Nothing is compared here: which differences there are, and which of them have a reason, marts.transfer_verdict,
transfer_differences, transfer_counts, transfer_sums, transfer_links and transfer_dates say.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import duckdb

from ingest.warehouse.errors import OperatorError
from publish.page.content import Cell, Page, Section, Table
from publish.page.selects import Selects, Values
from publish.page.texts import Texts
from publish.transfer.kinds import MISSED, UNDATED
from publish.transfer.report_cells import Cells, Sides

_POINTS = {
    "missing": "missing_count",
    "different": "different_count",
    "unwanted": "unwanted_count",
    "refused": "refused_count",
    "counts": "count_differences",
    "sums": "sum_differences",
    "links": "link_differences",
    "files": "file_differences",
    "unreadable": "unreadable_count",
    "conflicts": "conflict_count",
    "dates": "waiting_dates_count",
}
_PLACES = {"counts": "totals", "sums": "sums", "unreadable": "files"}  # of a point that is no list
_IN_ORDER = "order by entity, try_cast(source_id as bigint), source_id, target_id"
_BREAKDOWNS = ("stage", "funnel", "assignee", "source", "type", "link", "day")


def page(connection: duckdb.DuckDBPyConnection, texts: Texts, schemes: Sides, entities: Sequence[str]) -> Page:
    """The comparison as the marts have it. `entities`: the kinds that move, none where all do.

    Raises OperatorError when the models of the move have not been built.
    """
    try:
        selects = Selects(connection, texts, "transfer")
        (verdict,) = selects.rows("select * from marts.transfer_verdict")
        hosts = (f"{schemes.cloud}://{verdict['cloud_host']}", f"{schemes.box}://{verdict['box_host']}")
        sections = _Sections(selects, texts, Cells(texts, Sides(*hosts)))
        return Page(
            title=texts("transfer_title"),
            verdict=_verdict(texts, verdict),
            is_good=bool(verdict["is_exact"]),
            points=[*_sent_since(selects, verdict), *_points(texts, verdict)],
            facts=_facts(texts, verdict, entities),
            sections=[
                sections.totals(),
                sections.lists(),
                sections.outcomes(),
                sections.groups(),
                sections.left_out(),
            ],
        )
    except duckdb.CatalogException:
        raise OperatorError(
            "there is nothing to compare: the models of the move have not been built",
            hint="dbt build --selector transfer, once both portals have been read",
        ) from None


# The verdict ----------------------------------------------------------------------------------------------------------


def _verdict(texts: Texts, verdict: Values) -> str:
    if verdict["cloud_read_at"] is None or verdict["box_read_at"] is None:
        return texts("transfer_unread")
    return texts("transfer_exact" if verdict["is_exact"] else "transfer_not_exact")


def _sent_since(selects: Selects, verdict: Values) -> list[tuple[str, str]]:
    """That the box has got something since it was read: what is compared is older than that."""
    if verdict["box_read_at"] is None:
        return []
    (sent,) = selects.rows(
        f"""select count(distinct (entity, origin_id)) as number, max(sent_at) as sent_at
            from (select entity, origin_id, synced_at as sent_at from transfer.ledger
                  union all select entity, origin_id, sent_at from transfer.history)
            where sent_at > '{verdict["box_read_at"]}' and entity not in ('{UNDATED}', '{MISSED}')"""
    )
    texts = selects.texts
    told = {"number": texts.number(sent["number"]), "moment": texts.moment(sent["sent_at"]) if sent["number"] else ""}
    return [(texts("transfer_point_sent", **told), "")] if sent["number"] else []


def _points(texts: Texts, verdict: Values) -> list[tuple[str, str]]:
    return [
        (texts(f"transfer_point_{name}", number=texts.number(verdict[column])), _PLACES.get(name, name))
        for name, column in _POINTS.items()
        if verdict[column]
    ]


def _facts(texts: Texts, verdict: Values, entities: Sequence[str]) -> list[tuple[str, str]]:
    def moment(name: str) -> str:
        return texts.moment(verdict[name]) if verdict[name] else texts("transfer_none")

    chosen = ", ".join(texts.known("transfer_entity", name) for name in entities)
    return [
        (texts("transfer_cloud"), verdict["cloud_host"] or texts("transfer_none")),
        (texts("transfer_cloud_read"), moment("cloud_read_at")),
        (texts("transfer_box"), verdict["box_host"] or texts("transfer_none")),
        (texts("transfer_box_read"), moment("box_read_at")),
        (texts("transfer_parts_read"), moment("parts_read_at")),
        (texts("transfer_compared"), texts.number(verdict["compared_count"])),
        (texts("transfer_equal"), texts.number(verdict["equal_count"])),
        (texts("transfer_explained"), texts.number(verdict["explained_count"])),
        (texts("transfer_extra"), texts.number(verdict["extra_count"])),
        (texts("transfer_entities"), chosen or texts("transfer_all_entities")),
    ]


# The sections ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Sections:
    selects: Selects
    texts: Texts
    cells: Cells

    def totals(self) -> Section:
        counts = self._counts("totals", "transfer_totals", "breakdown = 'all'")
        sums = self._table(
            "sums",
            "transfer_sums",
            "select * from marts.transfer_sums order by is_equal, entity, currency, stage",
            ["entity", "currency", "stage", "agrees", "#cloud", "#box", "#cloud_apart", "#box_apart"],
            lambda row: [
                self.cells.entity(row),
                Cell(row["currency"]),
                Cell(row["stage_name"] or row["stage"] or self.texts("transfer_empty")),
                self.cells.agrees(row),
                *(self.cells.number(row[f"{name}_sum"], 2) for name in ("cloud", "box", "cloud_apart", "box_apart")),
            ],
            is_marked=lambda row: not row["is_equal"],
        )
        title = self.texts("transfer_section_totals")
        return Section("section-totals", title, [counts, sums], self.texts("transfer_apart_note"))

    def groups(self) -> Section:
        tables = [
            self._counts(f"by-{name}", f"transfer_breakdown_{name}", f"breakdown = '{name}'", is_folded=True)
            for name in _BREAKDOWNS
        ]
        return Section("groups", self.texts("transfer_section_groups"), [table for table in tables if table.rows])

    def _counts(self, name: str, title: str, where: str, *, is_folded: bool = False) -> Table:
        return self._table(
            name,
            title,
            f"select * from marts.transfer_counts where {where} order by is_equal, entity, group_value",
            ["entity", *(["group"] if is_folded else []), "agrees", "#cloud", "#box", "#cloud_apart", "#box_apart"],
            lambda row: [
                self.cells.entity(row),
                *([Cell(self.cells.group(row))] if is_folded else []),
                self.cells.agrees(row),
                *(self.cells.number(row[f"{name}_count"]) for name in ("cloud", "box", "cloud_apart", "box_apart")),
            ],
            is_marked=lambda row: not row["is_equal"],
            is_folded=is_folded,
        )

    def outcomes(self) -> Section:
        table = self._table(
            "outcomes",
            "transfer_outcomes",
            "select entity, outcome, count(*) as number from marts.transfer_outcomes group by all order by all",
            ["entity", "outcome", "#number"],
            lambda row: [
                self.cells.entity(row),
                Cell(self.texts.known("transfer_outcome", row["outcome"])),
                self.cells.number(row["number"]),
            ],
            is_marked=lambda row: row["outcome"] in ("refused", "conflict"),
        )
        return Section("section-outcomes", self.texts("transfer_section_outcomes"), [table])

    def lists(self) -> Section:
        """Those that must be empty first; of the others, those that have something in them."""

        def differences(of: str) -> str:
            return f"select * from marts.transfer_differences where {of} {_IN_ORDER}"

        def outcomes(of: str) -> str:
            return f"select * from marts.transfer_outcomes where outcome = '{of}' {_IN_ORDER}"

        must_be_empty = [
            self._records("missing", differences("difference = 'missing' and not is_explained")),
            self._records("different", differences("difference = 'different' and not is_explained")),
            self._records("unwanted", differences("difference = 'extra' and not is_explained")),
            self._records("refused", outcomes("refused")),
        ]
        others = [
            self._records("conflicts", outcomes("conflict")),
            self._links(),
            self._files(),
            self._dates(),
            self._records("explained", differences("difference in ('missing', 'different') and is_explained")),
            self._records("deleted", outcomes("deleted_in_cloud")),
            self._records("unsupported", outcomes("unsupported")),
            self._records("extra", differences("difference = 'extra' and is_explained")),
            self._unproven(),
        ]
        tables = [*must_be_empty, *(table for table in others if table.rows)]
        return Section("section-lists", self.texts("transfer_section_lists"), tables)

    def left_out(self) -> Section:
        table = self._table(
            "fields",
            "transfer_fields",
            """select entity, field, reason from intermediate.int_transfer__fields
               where not is_compared order by entity, field""",
            ["entity", "field", "reason"],
            lambda row: [self.cells.entity(row), Cell(row["field"]), Cell(row["reason"] or "")],
            is_folded=True,
        )
        return Section("section-left-out", self.texts("transfer_section_left_out"), [table])

    # Lists -----------------------------------------------------------------------------------------------------------

    def _records(self, name: str, sql: str) -> Table:
        has_fields = "transfer_differences" in sql
        return self._table(
            name,
            f"transfer_list_{name}",
            sql,
            ["entity", "cloud", "box", "fields" if name == "different" else "detail"],
            lambda row: [
                self.cells.entity(row),
                self.cells.card(row["entity"], row["source_id"], self.cells.sides.cloud),
                self.cells.card(row["entity"], self.cells.box_key(row), self.cells.sides.box),
                Cell(
                    self.cells.fields(row["fields"])
                    if has_fields and row["fields"]
                    else self.cells.detail(row["detail"])
                ),
            ],
        )

    def _links(self) -> Table:
        def orphan(row: Values) -> str:
            places = [name for name in ("cloud", "box") if row[f"is_orphan_in_{name}"]]
            where = "both" if len(places) == 2 else "".join(places)
            return self.texts(f"transfer_orphan_{where}") if where else ""

        return self._table(
            "links",
            "transfer_list_links",
            "select * from marts.transfer_links order by is_explained, entity, source_id, to_entity, to_source_id",
            ["entity", "cloud", "to", "where", "orphan", "agrees"],
            lambda row: [
                self.cells.entity(row),
                self.cells.card(row["entity"], row["source_id"], self.cells.sides.cloud),
                self.cells.card(row["to_entity"], row["to_source_id"], self.cells.sides.cloud, with_kind=True),
                Cell(self.texts(f"transfer_side_{row['side']}")),
                Cell(orphan(row)),
                Cell(self.texts("transfer_explained" if row["is_explained"] else "transfer_no")),
            ],
            is_marked=lambda row: not row["is_explained"],
        )

    def _files(self) -> Table:
        return self._table(
            "files",
            "transfer_list_files",
            """select * from marts.transfer_files where difference <> 'equal'
               order by is_explained, difference, entity, source_id, file_id""",
            ["entity", "cloud", "value", "reason"],
            lambda row: [
                self.cells.entity(row),
                self.cells.card(row["entity"], row["source_id"], self.cells.sides.cloud),
                Cell(f"{row['field']}: {row['file_name'] or row['file_id']}"),
                Cell("; ".join(filter(None, [self.texts(f"transfer_file_{row['difference']}"), row["detail"]]))),
            ],
            is_marked=lambda row: not row["is_explained"],
        )

    def _dates(self) -> Table:
        columns = ("created_at", "updated_at", "moved_at", "created_by", "updated_by", "moved_by")
        return self._table(
            "dates",
            "transfer_list_dates",
            "select * from marts.transfer_dates order by entity, target_id",
            ["entity", "cloud", "box", "detail"],
            lambda row: [
                self.cells.entity(row),
                self.cells.card(row["entity"], row["source_id"], self.cells.sides.cloud),
                self.cells.card(row["entity"], str(row["target_id"]), self.cells.sides.box),
                Cell("\n".join(f"{name}: {row[name]}" for name in columns if row[name] is not None)),
            ],
        )

    def _unproven(self) -> Table:
        return self._table(
            "unproven",
            "transfer_list_unproven",
            """select kind, source_value, target_value, proof from intermediate.int_transfer__references
               where not is_proven and coalesce(proof, '') not in ('to_create', 'deleted_in_box', 'not_moved')
               order by all""",
            ["entity", "cloud", "box", "proof"],
            lambda row: [
                Cell(self.texts.known("transfer_entity", row["kind"])),
                Cell(row["source_value"]),
                Cell(row["target_value"] or self.texts("transfer_none")),
                Cell(self.texts.known("transfer_proof", row["proof"] or self.texts("transfer_none"))),
            ],
        )

    def _table(
        self,
        name: str,
        title: str,
        sql: str,
        columns: Sequence[str],
        cells: Callable[[Values], Iterable[Cell]],
        *,
        is_marked: Callable[[Values], bool] = lambda row: False,
        is_folded: bool = False,
    ) -> Table:
        return self.selects.table(
            name,
            self.texts(title),
            sql,
            columns,
            cells,
            is_marked=is_marked,
            is_counted=title.startswith("transfer_list"),
            is_folded=is_folded,
        )
