"""The comparison as a page, in a real browser: what it says is what the marts say, and nobody is shut out."""

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from ingest.warehouse.errors import OperatorError
from publish.page import selects
from publish.page.rendering import render
from publish.page.texts import Texts
from publish.transfer import report
from publish.transfer.report_cells import Sides

MODELS = Path(__file__).parents[3] / "dbt_project" / "models" / "transfer" / "_transfer__models.yml"
COLUMNS = {
    "transfer_verdict": "cloud_host varchar, box_host varchar, cloud_read_at timestamp, box_read_at timestamp, "
    "parts_read_at timestamp, "
    + ", ".join(
        f"{name} bigint" for name in (
            "compared_count", "equal_count", "missing_count", "different_count", "unwanted_count", "extra_count",
            "explained_count", "refused_count", "conflict_count", "unsupported_count", "count_differences",
            "sum_differences", "link_differences", "file_differences", "unreadable_count", "waiting_dates_count",
        )
    ) + ", is_exact boolean",
    "transfer_differences": "entity varchar, source_id varchar, target_id bigint, difference varchar, fields json, "
    "detail varchar, is_explained boolean",
    "transfer_outcomes": "entity varchar, source_id varchar, target_id bigint, outcome varchar, detail varchar, "
    "is_done boolean",
    "transfer_counts": "entity varchar, breakdown varchar, group_value varchar, group_name varchar, "
    "cloud_count bigint, box_count bigint, cloud_apart_count bigint, box_apart_count bigint, is_equal boolean",
    "transfer_sums": "entity varchar, currency varchar, stage varchar, stage_name varchar, cloud_sum decimal(38,4), "
    "box_sum decimal(38,4), cloud_apart_sum decimal(38,4), box_apart_sum decimal(38,4), is_equal boolean",
    "transfer_links": "entity varchar, source_id varchar, to_entity varchar, to_source_id varchar, side varchar, "
    "is_explained boolean, is_orphan_in_cloud boolean, is_orphan_in_box boolean",
    "transfer_files": "entity varchar, source_id varchar, field varchar, file_id varchar, file_name varchar, "
    "file_bytes bigint, sha256 varchar, difference varchar, is_explained boolean, detail varchar",
    "transfer_dates": "entity varchar, source_id varchar, target_id bigint, is_made_by_us boolean, "
    "cloud_created_at timestamp, created_at timestamp, "
    "updated_at timestamp, moved_at timestamp, created_by bigint, updated_by bigint, moved_by bigint",
}  # fmt: skip
TITLE = "<script>alert('ООО')</script> & \"сыновья\""
FORMULA = '=HYPERLINK("http://evil.test")'


@pytest.fixture(scope="module")
def marts() -> duckdb.DuckDBPyConnection:
    """Marts of a move with something of everything, and 1,200 leads that lack."""
    connection = duckdb.connect()
    connection.execute("create schema marts; create schema intermediate; create schema transfer")
    for table, at in (("ledger", "synced_at"), ("history", "sent_at")):
        connection.execute(f"create table transfer.{table} (entity varchar, origin_id varchar, {at} timestamp)")
    for mart, columns in COLUMNS.items():
        connection.execute(f"create table marts.{mart} ({columns})")
    connection.execute(
        """insert into marts.transfer_verdict values ('cloud.test', 'box.test', '2026-11-01 10:00:00',
               '2026-11-01 10:05:00', '2026-10-31 20:00:00',
               400000, 398793, 1200, 2, 1, 3, 4, 1, 1, 1, 2, 1, 1, 0, 1, 1, false)"""
    )
    fields = {"title": {"cloud": TITLE, "box": FORMULA, "state": "update"}}
    connection.execute(
        """insert into marts.transfer_differences
               select 'lead', i::varchar, null, 'missing', null, 'not sent yet', false from range(1, 1201) as t(i)
               union all select 'deal', '5', 50, 'different', ?, 'title', false
               union all select 'comments', 'deal:7', 70, 'different', null, 'comments that the box lacks: 1', false
               union all select 'company', null, 9, 'extra', null, 'a second one of: company 8', false""",
        [json.dumps(fields, ensure_ascii=False)],
    )
    connection.execute(
        """insert into marts.transfer_outcomes values
               ('deal', '5', 50, 'updated', null, false), ('lead', '6', null, 'refused', 'ERROR: занято', false),
               ('lead', '7', 7, 'conflict', 'changed in both: title', true),
               ('contact', '8', null, 'unsupported', 'left out by SVOD_TRANSFER_ENTITIES', true)"""
    )
    connection.execute(
        """insert into marts.transfer_counts values
               ('lead', 'all', '', null, 1234567, 1233367, 0, 0, false), ('deal', 'all', '', null, 3, 3, 0, 0, true),
               ('deal', 'stage', 'NEW', 'Новая', 2, 3, 0, 1, true), ('activity', 'type', '4', null, 5, 5, 0, 0, true),
               ('lead', 'day', '2026-10-31', null, 4, 2, 0, 0, false),
               ('deal', 'link', 'company', null, 3, 2, 0, 0, false)
        """
    )
    connection.execute(
        """insert into marts.transfer_sums values
               ('deal', 'RUB', 'NEW', 'Новая', 12345.5, 12345.5, 0, 0, true),
               ('deal', 'USD', 'NEW', 'Новая', 10, 9.75, 0, 0, false)"""
    )
    connection.execute(
        """insert into marts.transfer_files values
               ('activity', '9', 'FILES', '3', 'запись.mp3', 9, null, 'unreadable', true, 'larger than 50 MB')"""
    )
    connection.execute(
        """insert into marts.transfer_links values ('deal', '5', 'company', '99', 'both', true, true, true),
               ('deal', '5', 'contact', 'box:4', 'extra', false, false, false)"""
    )
    connection.execute(
        """insert into marts.transfer_dates values
               ('deal', '5', 50, true, '2024-01-01 07:00:00', '2024-01-01 07:00:00', null, null, 7, null, null)"""
    )
    connection.execute(
        """create table intermediate.int_transfer__fields as
               select 'deal' as entity, 'id' as field, false as is_compared, 'the key' as reason;
           create table intermediate.int_transfer__references as
               select 'user' as kind, '17' as source_value, '1' as target_value, 'fallback' as proof,
                   false as is_proven"""
    )
    return connection


@pytest.fixture(scope="module")
def file(marts, tmp_path_factory) -> Callable[[str], Path]:
    def written(language: str) -> Path:
        texts = Texts(language)
        path = tmp_path_factory.mktemp("page") / f"{language}.html"
        path.write_text(render(report.page(marts, texts, Sides(), []), texts), encoding="utf-8")
        return path

    return written


@pytest.fixture
def opened(watched, file) -> Callable[..., Page]:
    """Opens the page in a language."""
    return lambda language="ru", **how: watched(file(language), **how)


def test_the_verdict_comes_first_and_every_number_is_that_of_the_marts(opened, marts, cells):
    page = opened()
    assert page.locator("h1").inner_text() == "≠ Есть расхождения"
    points = page.locator(".points li").all_inner_texts()
    assert points[0] == "не хватает в коробке: 1\u00a0200" and "не сходятся суммы: 1" in points
    assert [row[0] for row in cells(page, "totals")] == ["лиды", "сделки"], "what does not agree comes first"
    counted = marts.execute(
        "select cloud_count, box_count from marts.transfer_counts where breakdown = 'all' order by is_equal"
    ).fetchall()
    shown = [tuple(int(re.sub(r"\D", "", cell)) for cell in row[2:4]) for row in cells(page, "totals")]
    assert shown == counted
    assert [row[3:6] for row in cells(page, "sums")] == [
        ["≠ нет", "10,00", "9,75"], ["да", "12\u00a0345,50", "12\u00a0345,50"],
    ]  # fmt: skip
    assert cells(page, "by-stage")[0][1] == "Новая (NEW)" and cells(page, "by-type")[0][1] == "письмо"
    assert cells(page, "refused") == [["лиды", "6", "нет", "ERROR: занято"]]
    assert cells(page, "unsupported")[0][3] == "исключено настройкой SVOD_TRANSFER_ENTITIES"
    assert cells(page, "files") == [["дела", "9", "FILES: запись.mp3", "не читается; larger than 50 MB"]]
    assert cells(page, "unproven") == [["user", "17", "1", "замещающий пользователь"]]


def test_the_times_of_the_readings_are_moscows_and_what_was_sent_since_is_told(opened, marts):
    facts = opened().locator(".facts dd").all_inner_texts()
    assert facts[1] == "01.11.2026 13:00 МСК" and facts[3] == "01.11.2026 13:05 МСК"
    before, since = "2026-11-01 10:04:59", "2026-11-01 21:30:00"
    marts.execute(f"insert into transfer.ledger values ('lead', '1', '{before}'), ('deal', '5', '{since}')")
    marts.execute(f"insert into transfer.ledger values ('undated', 'deal:5', '{since}')")  # no record, but told of one
    marts.execute(f"insert into transfer.history values ('deal', '5', '{since}'), ('lead', '2', '{before}')")
    first = opened().locator(".points li").first.inner_text()
    marts.execute("delete from transfer.ledger; delete from transfer.history")
    assert first.startswith("после чтения порталов в коробку отправлено, последнее 02.11.2026 00:30 МСК: записей 1;")
    assert "отправлено" not in "".join(opened().locator(".points li").all_inner_texts())


def test_a_long_list_is_cut_and_the_select_that_shows_the_rest_works(opened, marts, cells):
    page = opened()
    assert len(cells(page, "missing")) == selects.MOST_ROWS
    told = page.locator("#missing .more").inner_text()
    assert told.startswith("Показано 1\u00a0000 из 1\u00a0200.")
    assert len(marts.execute(told.partition("Все: ")[2]).fetchall()) == 1200


def test_what_people_typed_is_text_and_cards_of_both_portals_are_links(opened, cells):
    page = opened()
    (row,) = [row for row in cells(page, "different") if row[0] == "сделки"]
    assert row[3] == f"title: {TITLE} → {FORMULA} (ещё не отправлено)"
    links = page.eval_on_selector_all("#different-rows a", "links => links.map(link => link.href)")
    assert "https://cloud.test/crm/deal/details/5/" in links and "https://box.test/crm/deal/details/50/" in links
    assert "https://box.test/crm/deal/details/70/" in links, "comments are on their card"
    targets = page.eval_on_selector_all("#links-rows a", "links => links.map(link => link.href)")
    assert "https://box.test/crm/contact/details/4/" in targets


def test_a_list_is_searched_and_sorted_by_keyboard_and_saved_without_formulas(opened, cells):
    page = opened()
    page.locator("#missing input").fill("119")
    assert page.locator("#missing output").inner_text() == "показано 1 из 1000", "1119 and others are cut"
    page.locator("#missing input").fill("")
    button = page.locator("#missing th button").nth(1)
    button.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert page.locator("#missing th").nth(1).get_attribute("aria-sort") == "descending"
    assert cells(page, "missing")[0][1] == "1000", "as numbers, not as texts"
    with page.expect_download() as saved:
        page.locator("#different [data-save$=csv]").click()
    assert saved.value.suggested_filename == "different.csv"
    text = Path(saved.value.path()).read_text(encoding="utf-8-sig")
    head, *rows = csv.reader(io.StringIO(text), delimiter=";")
    assert head[0] == "Вид" and [f"title: {TITLE} → {FORMULA} (ещё не отправлено)"] == [
        row[3] for row in rows if row[0] == "сделки"
    ]


def test_a_cell_that_begins_like_a_formula_is_saved_as_text(opened, marts):
    marts.execute("insert into marts.transfer_outcomes values ('lead', '9', null, 'refused', ?, false)", [FORMULA])
    marts.execute("insert into marts.transfer_outcomes values ('lead', '10', null, 'refused', '+7 495 1', false)")
    page = opened()
    with page.expect_download() as saved:
        page.locator("#refused [data-save$=csv]").click()
    marts.execute("delete from marts.transfer_outcomes where source_id in ('9', '10')")
    rows = csv.reader(io.StringIO(Path(saved.value.path()).read_text(encoding="utf-8-sig")), delimiter=";")
    told = [row[3] for row in rows]
    assert f"'{FORMULA}" in told and "+7 495 1" in told


@pytest.mark.parametrize(("language", "scheme"), [("ru", "light"), ("en", "dark")])
def test_nobody_is_shut_out_and_a_phone_shows_it_whole(opened, monkeypatch, language, scheme):
    monkeypatch.setattr(selects, "MOST_ROWS", 20)
    page = opened(language, viewport={"width": 390, "height": 844}, color_scheme=scheme)
    assert page.locator("html").get_attribute("lang") == language
    assert page.evaluate("document.documentElement.scrollWidth") == 390, "the page itself does not scroll sideways"
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert bool(re.search("[а-яё]", page.locator("h1").inner_text())) == (language == "ru")


def test_a_place_that_is_named_is_unfolded_and_print_shows_everything(opened):
    page = opened()
    assert page.locator("#by-day").get_attribute("open") is None
    page.evaluate("location.hash = 'by-day'")
    page.wait_for_selector("#by-day[open]")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    assert not page.locator("nav").is_visible() and not page.locator("#missing .tools").is_visible()


def test_both_languages_say_everything():
    texts = Texts("ru")
    english = Texts("en")
    assert texts.number(1234567.5, 2) == "1\u00a0234\u00a0567,50" and english.number(1234567.5, 2) == "1,234,567.50"
    assert texts.known("transfer_entity", "deal") != english.known("transfer_entity", "deal")
    assert texts.known("transfer_entity", "unheard of") == "unheard of"


def test_the_columns_of_this_test_are_those_of_the_models():
    said = MODELS.read_text(encoding="utf-8")
    for mart, columns in COLUMNS.items():
        _, _, of_mart = said.partition(f"  - name: {mart}\n")
        of_mart = of_mart.partition("\n  - name: ")[0]
        named = re.findall(r"^      - (?:\{name: (\w+)|name: (\w+))", of_mart, flags=re.M)
        assert [one or other for one, other in named] == re.findall(
            r"(\w+) (?:varchar|bigint|timestamp|json|decimal|boolean)", columns
        )


def test_without_marts_there_is_nothing_to_compare():
    with pytest.raises(OperatorError, match="the models of the move have not been built"):
        report.page(duckdb.connect(), Texts("ru"), Sides(), [])
