"""The comparison of two editions sees what differs, and lets pass what may be new."""

from pathlib import Path

import duckdb
import pytest

from tests.compare.differences import Comparison, Difference, renamed

OLD = (
    "select 'c-1' as company_id, 'ООО' as opf, timestamp '2026-01-01' as ingested_at union all select 'c-2', null, null"
)


def compared(tmp_path: Path, new: str, *renames: str) -> Difference:
    """How `marts.crm` differs where the old edition gives OLD and the new one what the query `new` gives."""
    for name, query in (("old", OLD), ("new", new)):
        with duckdb.connect(str(tmp_path / f"{name}.duckdb")) as connection:
            connection.execute(f"create schema marts; create table marts.crm as {query}")
    with Comparison(tmp_path / "old.duckdb", tmp_path / "new.duckdb", renamed(renames), show=3) as comparison:
        (difference,) = comparison.marts()
    return difference


def test_what_tells_of_the_runs_themselves_is_shown_and_makes_no_difference(tmp_path: Path):
    for name in ("old", "new"):
        with duckdb.connect(str(tmp_path / f"{name}.duckdb")) as connection:
            connection.execute(f"create schema marts; create table marts.report_steps as select '{name}' as status")
    with Comparison(tmp_path / "old.duckdb", tmp_path / "new.duckdb", {}, show=3) as comparison:
        (difference,) = comparison.marts()
    assert not difference.is_equal and not difference.is_binding


def test_order_new_columns_and_the_moment_of_a_row_do_not_count(tmp_path: Path):
    new = "select 'c-2' as company_id, 1 as is_new, null::varchar as opf, now()::timestamp as ingested_at"
    difference = compared(tmp_path, f"{new} union all select 'c-1', 2, 'ООО', null")
    assert difference.is_equal
    assert difference.notes == ["new columns: is_new"]


def test_a_row_more_or_another_value_is_a_difference(tmp_path: Path):
    difference = compared(tmp_path, f"from ({OLD}) union all select 'c-2', 'ИП', null")
    assert (difference.only_old, difference.only_new) == (0, 1)
    assert not difference.is_equal
    assert difference.examples == ["only new: company_id=c-2, opf=ИП"]


def test_a_row_twice_is_not_the_row_once(tmp_path: Path):
    assert compared(tmp_path, f"from ({OLD}) union all from ({OLD})").only_new == 2


def test_a_column_that_is_gone_is_a_difference_unless_it_was_renamed(tmp_path: Path):
    new = f"select company_id, opf as legal_form from ({OLD})"
    assert compared(tmp_path, new).broken == ["columns gone: opf, ingested_at"]


def test_a_renamed_column_is_compared_under_its_new_name(tmp_path: Path):
    new = f"select company_id, opf as legal_form, ingested_at from ({OLD})"
    difference = compared(tmp_path, new, "marts.crm.opf=legal_form")
    assert difference.is_equal
    assert difference.notes == ["opf is legal_form"]


def test_another_type_is_a_difference_though_the_values_are_equal(tmp_path: Path):
    difference = compared(tmp_path, f"select * replace ([opf] as opf) from ({OLD})")
    assert difference.broken == ["opf was VARCHAR, is VARCHAR[]"]


def test_a_rename_has_an_old_and_a_new_name():
    with pytest.raises(ValueError, match="relation"):
        renamed(["opf"])
