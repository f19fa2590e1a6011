"""`publish report` in a real browser: what it says is what the warehouse says, and nobody is shut out."""

import csv
import io
import re
import zipfile
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree

import duckdb
import pytest
from axe_playwright_python.sync_playwright import Axe

from ingest.warehouse.errors import OperatorError
from ingest.warehouse.period import MOSCOW
from publish.page import files as page_files
from publish.page.content import Cell, Column, Page, Row, Section, Table
from publish.page.texts import Texts
from publish.report.page import page as report_page
from tests.models.test_gates import Warehouse
from tests.publish import looked_into


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    return looked_into.make(tmp_path_factory.mktemp("looked_into"))


@pytest.fixture(scope="module")
def files(warehouse: Warehouse) -> dict[str, Path]:
    """The page in both languages, made by the command."""
    files = {language: warehouse.path.with_name(f"{language}.html") for language in ("ru", "en")}
    for language, file in files.items():
        made = warehouse.publish("report", "--out", str(file), SVOD_LANG=language)
        assert made.returncode == 0, made.stderr
    return files


def number(text: str) -> int:
    return int(re.sub(r"\D", "", text.partition(" (")[0]))


def test_how_many_one_can_sell_to_comes_first_and_since_when(watched, files, warehouse):
    page = watched(files["ru"])
    assert page.locator("h1.bad").inner_text() == "! Продавать можно сейчас: компаний 1, людей 1"
    facts = page.locator(".facts dd").all_inner_texts()
    today = f"{datetime.now(MOSCOW):%d.%m.%Y}"
    assert facts[:3] == [
        f"1 (±0 с {today}); карточек в CRM: 1", f"1 (±0 с {today}); карточек в CRM: 1",
        f"2 (±0 с {today}); карточек в CRM: 2",
    ]  # fmt: skip
    assert page.locator("header .more").inner_text().startswith("Людей и компаний становится меньше, когда")
    failed, *told = page.locator(".points li").all_inner_texts()
    assert re.fullmatch(r"последняя отправка в CRM \(.+ МСК\) не удалась: .+", failed), "the newest push was stopped"
    assert told == [
        "источник не читается: shop_a",
        "стоит позвонить, чтобы исправить ИНН: заказывали на 5\u00a0000 руб., компаний 1",
        "поля, которые изменил менеджер и которые в источниках другие: 1",
        "записи, которым подходит несколько карточек: 1",
        "отвергнуты порталом: 1", "удалены в портале: 1",
    ]  # fmt: skip
    for place in page.locator(".points a").evaluate_all("links => links.map(link => link.hash)"):
        assert page.locator(place).count() == 1


def test_the_numbers_of_the_page_are_those_of_selects_on_the_marts(watched, files, warehouse, cells):
    page = watched(files["ru"])
    ((records, rejected, published),) = warehouse.rows(
        """select count(*), count(reason), count(company_id) from intermediate.int_companies__outcomes"""
    )
    funnel = [(row[0], number(row[1])) for row in cells(page, "funnel-company")]
    assert funnel[0] == ("всего записей", records)
    assert sum(count for step, count in funnel if step.startswith("−")) == rejected
    assert dict(funnel)["= годятся для CRM"] == published
    assert dict(funnel)["из них разных компаний"] == 1
    ((orders, total),) = warehouse.rows(
        "select count(*), sum(amount)::bigint from intermediate.int_orders__outcomes where status <> 'cancelled'"
    )
    (month,) = cells(page, "months")
    assert (month[0], number(month[1]), number(month[2])) == ("02.2026", total, total)
    assert (number(month[3]), number(month[4]), number(month[5])) == (1000, orders, 1), "in the CRM, orders, cancelled"
    ((dirty, filled),) = warehouse.rows(
        "select dirty_count, filled_count from analysis.dirty_fields_by_shop where field = 'inn'"
    )
    (inn,) = [row for row in cells(page, "fields") if row[0] == "ИНН, shop_a"]
    assert (number(inn[3]), number(inn[4])) == (dirty, filled) == (1, 5)
    assert (inn[1], inn[2]) == ("20,0\u00a0%", "100,0\u00a0%"), "now, and on the day forty days ago"
    assert len(cells(page, "days")) == 2


def test_who_ordered_and_is_not_in_the_crm_is_told_with_the_reason_and_whom_to_call(watched, files, cells):
    page = watched(files["ru"])
    (wrong,) = cells(page, "buyers")
    assert wrong[:5] == [looked_into.NAME, "Петрова Анна", "+79267654321", "5\u00a0000", "ИНН с ошибкой"]
    assert page.get_by_role("link", name="+79267654321").get_attribute("href") == "tel:+79267654321"


def test_who_ordered_and_cannot_be_won_by_a_call_is_told_apart(watched, files, cells):
    (closed,) = cells(watched(files["ru"]), "lost")
    assert closed[4] == "ликвидирована или в процессе ликвидации" and closed[8].startswith("ликвидирована ")


def test_what_waits_has_a_link_to_each_card_and_what_was_sent_is_told(watched, files, cells):
    page = watched(files["ru"])
    links = page.eval_on_selector_all("#duplicate-rows a", "links => links.map(link => link.href)")
    assert links == [f"https://{looked_into.PORTAL}/crm/company/details/{card}/" for card in (501, 502)]
    (conflict,) = cells(page, "conflict")
    assert conflict[:6] == ["человек", "Иванов Иван Иванович", "post", "бухгалтер", "директор", "601"]
    (refused,) = cells(page, "refused")
    assert refused[2] == "ERROR_CORE: нет прав" and refused[5] == "больше не пробуем"
    stopped, sent = cells(page, "runs")
    assert sent[2:5] == ["3", "1", "создано: компании 1, сделки 2\nизменено: компании 1"]
    assert stopped[1] == "остановлено проверкой"
    (shop,) = cells(page, "freshness")
    assert shop[0] == "shop_a" and shop[8] == "is down"


def test_a_chart_is_drawn_of_each_tables_own_numbers(watched, files):
    page = watched(files["ru"])
    drawn = page.evaluate(
        """[...document.querySelectorAll('figure.chart')].map(figure => [
               figure.dataset.table,
               Chart.getChart(figure.querySelector('canvas')).data.datasets.map(series => series.data)])"""
    )
    assert dict(drawn)["months-rows"] == [[6300]]
    assert dict(drawn)["funnel-company-rows"][0][0] == 5
    assert all(figure.is_visible() for figure in page.locator("figure.chart").all())
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(  # drawn anew in the colours of the night
        """[...document.querySelectorAll('canvas')].every(
               canvas => Chart.getChart(canvas).options.plugins.legend.labels.color === '#e6edf3')"""
    )


def test_a_list_is_searched_and_saved_and_no_formula_gets_out(watched, files, cells):
    page = watched(files["en"])
    for wanted, shown in (("петрова", 1), ("сидорова", 0), ("8 (926) 765-43-21", 1), ("+7 926 765 43 20", 0)):
        page.locator("#buyers input").fill(wanted)
        assert page.locator("#buyers output").inner_text() == f"{shown} of 1 shown"
    page.locator("#buyers input").fill("")
    with page.expect_download() as saved:
        page.locator("#buyers [data-save$=csv]").click()
    (_, petrova) = csv.reader(io.StringIO(Path(saved.value.path()).read_text(encoding="utf-8-sig")))
    assert (petrova[2], petrova[7]) == ("\t+79267654321", f"\t{looked_into.WRONG}"), "no number, to a spreadsheet"
    with page.expect_download() as saved:
        page.locator("#runs [data-save$=csv]").click()
    rows = [*csv.reader(io.StringIO(Path(saved.value.path()).read_text(encoding="utf-8-sig")))]
    assert rows[0][0] == "Began" and rows[1][8] == "'=HYPERLINK(1)"


def workbook(file: Path) -> list[list[str | float]]:
    """The cells of the only sheet of a workbook, texts and numbers; what the zip says of its parts is true."""
    space = {"": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
    with zipfile.ZipFile(file) as zipped:
        assert zipped.testzip() is None
        parts = {name: ElementTree.fromstring(zipped.read(name)) for name in zipped.namelist()}
    assert {"[Content_Types].xml", "_rels/.rels", "xl/workbook.xml", "xl/_rels/workbook.xml.rels"} < parts.keys()
    rows = parts["xl/worksheets/sheet1.xml"].findall("sheetData/row", space)
    return [[_content(cell, space) for cell in row] for row in rows]


def _content(cell: ElementTree.Element, space: dict[str, str]) -> str | float:
    if cell.get("t") == "inlineStr":
        return cell.findtext("is/t", "", space)
    return float(cell.findtext("v", "", space))


def test_a_list_is_saved_as_a_workbook_with_what_selects_say(watched, files, warehouse):
    page = watched(files["ru"])
    with page.expect_download() as saved:
        page.locator("#buyers [data-save$=xlsx]").click()
    assert saved.value.suggested_filename == "buyers.xlsx"
    head, *rows = workbook(saved.value.path())
    assert head[:4] == ["Компания", "Кому звонить", "Телефон, почта", "Сумма, руб."]
    wanted = warehouse.rows(
        """select company_name, person_name, phones[1], order_total::double, coalesce(inn, inn_raw)
           from marts.report_buyers_not_in_crm where is_repairable"""
    )
    assert [(*row[:4], row[7]) for row in rows] == wanted


def test_in_a_workbook_an_inn_keeps_its_zero_and_no_text_becomes_a_formula(watched, tmp_path):
    typed = ["0940137798", "+79169281217", "=HYPERLINK(1)", 'a\x01 <b>"Ромашка" & Ко</b>', "две\nстроки", ""]
    numbers = [
        ("1\u00a0000,5", "1000.5"),
        ("0", "0"),
        ("−7", "-7"),
        ("2,0 с", "2.000"),
        ("12,5\u00a0%", "12.5"),
        ("", ""),
    ]
    rows = [Row([Cell(text), Cell(*number)]) for text, number in zip(typed, numbers, strict=True)]
    columns = [Column("ИНН"), Column("Сумма", is_number=True)]
    made = Page("x", "x", is_good=True, sections=[Section("s", "s", [Table("t", "t", columns, rows)])])
    page_files.write(made, Texts("ru"), tmp_path / "x.html")
    page = watched(tmp_path / "x.html")
    with page.expect_download() as saved:
        page.locator("[data-save$=xlsx]").click()
    kept = [text.replace("\x01", "") for text in typed]
    told = [1000.5, 0.0, -7.0, "2,0 с", "12,5\u00a0%", ""]
    assert workbook(saved.value.path()) == [["ИНН", "Сумма"], *map(list, zip(kept, told, strict=True))]


@pytest.mark.parametrize(("language", "scheme", "width"), [("ru", "light", 1280), ("en", "dark", 390)])
def test_nobody_is_shut_out_of_the_report_and_a_phone_shows_it_whole(watched, files, language, scheme, width):
    page = watched(files[language], viewport={"width": width, "height": 844}, color_scheme=scheme)
    assert page.locator("html").get_attribute("lang") == language
    assert page.evaluate("document.documentElement.scrollWidth") == width, "the page does not scroll sideways"
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    shown = page.evaluate(
        """[...document.querySelectorAll('figure[data-lying]')].map(figure => [
               Chart.getChart(figure.querySelector('canvas')).scales.y.ticks.length,
               document.getElementById(figure.dataset.table).tBodies[0].rows.length])"""
    )
    assert shown and all(labels == rows for labels, rows in shown), "no bar is without its label"
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert bool(re.search("[а-яё]", page.locator("nav").inner_text())) == (language == "ru")


def test_the_page_is_the_callers_alone_and_is_made_again_in_its_place(warehouse, files):
    assert files["ru"].stat().st_mode & 0o777 == 0o600
    assert files["ru"].stat().st_size < 400_000
    again = warehouse.publish("report")
    assert (again.returncode, (warehouse.path.parent / "report.html").exists()) == (0, True)


def test_the_page_goes_where_a_file_may_be(tmp_path):
    for place, problem in ((tmp_path / "nowhere" / "x.html", "there is no folder"), (tmp_path, "is a folder")):
        with pytest.raises(OperatorError, match=problem):
            page_files.write(Page("x", "", is_good=True), Texts("ru"), place)
    assert list(tmp_path.iterdir()) == []


def test_without_models_there_is_nothing_to_report():
    with pytest.raises(OperatorError, match="its models were built by an older version, or never"):
        report_page(duckdb.connect(), Texts("ru"), {})


def test_every_view_for_people_is_described_column_by_column(warehouse):
    undescribed = warehouse.rows(
        """select table_name, column_name from duckdb_columns()
           where (schema_name = 'analysis' or schema_name = 'marts' and starts_with(table_name, 'report_'))
               and coalesce(comment, '') = ''"""
    )
    assert undescribed == []


def test_every_match_rule_has_its_words(warehouse):
    rules = set(re.findall(r"'(same_\w+)'", "".join(
        file.read_text() for file in (looked_into.MODELS / "intermediate").rglob("*match_*.sql"))))  # fmt: skip
    kinds = {f"same_{kind}{where}" for kind in ("phone", "email") for where in ("", "_in_company")}
    told = {rule for (rule,) in warehouse.rows("select rule from intermediate.match_rules")}
    assert {rule for rule in rules if not rule.endswith("_")} - {"same_shared"} <= told
    assert kinds | {"same_shared_phone", "same_shared_email"} <= told
    assert warehouse.rows("select rule_ru from analysis.why_merged where entity = 'contact'") == [
        ("один телефон, и имена при нём не спорят",)
    ]


def test_a_full_pass_writes_down_how_dirty_the_fields_are_that_day(warehouse):
    newest = "from ops.dirty_fields where day = (select max(day) from ops.dirty_fields)"
    assert warehouse.rows(f"select source, field, filled_count, dirty_count {newest} order by all") == warehouse.rows(
        "select source, field, filled_count, dirty_count from analysis.dirty_fields_by_shop order by all"
    )
