"""`publish explain`: every kind of key leads to the story, and what is not in the CRM is told why."""

import shutil
from collections.abc import Callable

import duckdb
import pytest
from axe_playwright_python.sync_playwright import Axe

from publish.explain.keys import subjects
from publish.explain.story import Story
from publish.page.content import Page, Table
from publish.page.texts import Texts
from tests.failures_page import as_on_the_page
from tests.models.test_gates import Warehouse
from tests.publish import looked_into
from tests.publish.looked_into import CLOSED, EMAIL, NAME, NEW, PORTAL, ROMASHKA, WRONG


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    return looked_into.make(tmp_path_factory.mktemp("looked_into"))


@pytest.fixture(scope="module")
def connection(warehouse: Warehouse):
    with duckdb.connect(str(warehouse.path), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection


@pytest.fixture
def told(connection) -> Callable[[str], Page]:
    def page(key: str) -> Page:
        (subject,) = subjects(connection, key)
        return Story(connection, Texts("ru"), subject).page()

    return page


def rows(page: Page, name: str) -> list[list[str]]:
    tables: list[Table] = [table for section in page.sections for table in section.tables if table.name == name]
    return [[cell.text for cell in row.cells] for table in tables for row in table.rows]


def ids(connection) -> tuple[str, str]:
    return connection.execute("select company_id, contact_id from marts.crm_company_contacts").fetchone()


@pytest.mark.parametrize(
    "key",
    [ROMASHKA, f"ИНН {ROMASHKA}", f" {ROMASHKA[:4]} {ROMASHKA[4:]} ", "shop_a:2", "ромашка", "ООО РОМАШКА",
     f"https://{PORTAL}/crm/company/details/501/", "/crm/company/show/501/?x=1", "501"],
)  # fmt: skip
def test_a_company_is_found_by_whatever_names_it(told, key):
    page = told(key)
    assert page.title == 'Компания: ООО "РОМАШКА"'
    assert (page.is_good, page.verdict) == (True, "В CRM: карточка 501 с 02.03.2026")


@pytest.mark.parametrize(
    "key",
    ["8 (916) 123-45-67", "+79161234567", "9161234567", EMAIL, EMAIL.upper(), "Иванов Иван", "иванов ИВАН", "shop_a:12",
     f"https://{PORTAL}/crm/contact/details/601/"],
)  # fmt: skip
def test_a_person_is_found_by_whatever_names_them(told, key):
    page = told(key)
    assert page.title == "Человек: Иванов Иван Иванович" and page.is_good


@pytest.mark.parametrize("key", ["Петрова Анна", "анна петрова", looked_into.LETTERS_LOST])
def test_a_person_whose_letters_were_lost_is_found_by_the_name_that_was_meant(told, key):
    assert told(key).title == "Человек: Петрова Анна"


@pytest.mark.parametrize("key", ["A-21", "a-21", "Заказ A-21", "shop_a:21", f"https://{PORTAL}/crm/deal/details/701/"])
def test_an_order_is_found_by_its_number_its_record_or_its_deal(told, key):
    page = told(key)
    assert page.title == "Заказ: A-21" and page.verdict.startswith("В CRM: карточка 701")
    assert rows(page, "companies")[0][:2] == ["shop_a:1", 'ООО "Ромашка"']
    assert ["shop_a:21", "статус", "done", "выполнен", "выполнен"] in rows(page, "cleaned")


def test_our_own_ids_lead_there_too(connection, told):
    company, person = ids(connection)
    assert told(company).title == 'Компания: ООО "РОМАШКА"'
    assert told(person).title == "Человек: Иванов Иван Иванович"


def test_the_story_goes_from_what_was_typed_to_what_was_sent_and_what_a_manager_changed(told):
    page = told(ROMASHKA)
    assert rows(page, "entered") == [
        ["shop_a:1", 'ООО "Ромашка"', f"ИНН {ROMASHKA}", "годится", "01.03.2026 10:00 МСК"],
        ["shop_a:2", "Ромашка, ООО", ROMASHKA, "годится", "01.03.2026 10:00 МСК"],
    ]
    assert ["shop_a:1", "ИНН", f"ИНН {ROMASHKA}", ROMASHKA, ROMASHKA] in rows(page, "cleaned")
    assert rows(page, "verdicts")[0][:3] == [ROMASHKA, "действует", 'ООО "РОМАШКА"']
    ((left, right, rule, evidence, _),) = rows(page, "edges")
    assert (left, right) == ('shop_a:1\nООО "Ромашка"', "shop_a:2\nРомашка, ООО")
    assert (rule, evidence) == ("один ИНН", ROMASHKA)
    assert ["название", 'ООО "РОМАШКА"', "реестр"] in rows(page, "values")
    assert ["ИНН", ROMASHKA, "все записи: он их и объединил"] in rows(page, "values")
    assert all(row[2] for row in rows(page, "values")), "each value has somebody that gave it"
    assert rows(page, "held")[0][1:4] == ["компания", "501", "сделана нами"]
    assert [row[1] for row in rows(page, "people")] == ["Иванов Иван Иванович", "Иванов И."]
    assert [row[1:3] for row in rows(page, "orders")] == [["A-21", "годится"], ["A-22", "годится"]]
    assert rows(page, "sent") == [
        ["03.03.2026 12:00 МСК", "компания", "title", "Ромашка", 'ООО "РОМАШКА"', "r2"],
    ]
    assert rows(page, "waiting") == [
        ["Подходит несколько карточек: объединить", "RQ_INN", "", "501, 502", "04.03.2026 03:00 МСК"]
    ]
    conflict = rows(told(EMAIL), "waiting")
    assert conflict[0][:4] == ["Изменено менеджером, в источниках другое", "post", "бухгалтер", "директор"]
    assert rows(told(EMAIL), "edges")[0][2:4] == ["один телефон, и имена при нём не спорят", "+79161234567"]


@pytest.mark.parametrize(
    ("key", "verdict"),
    [
        (WRONG, "Не в CRM: ИНН с ошибкой"),
        (CLOSED, "Не в CRM: ликвидирована или в процессе ликвидации"),
        (NEW, "Не в CRM: ждёт ответа реестра"),
        ("+7 926 765 43 21", "Не в CRM: компания не публикуется (ИНН с ошибкой)"),
        ("A-23", "Не в CRM: компания не публикуется (ИНН с ошибкой)"),
    ],
)
def test_what_is_not_in_the_crm_is_told_why(told, key, verdict):
    page = told(key)
    assert (page.is_good, page.verdict) == (False, verdict)


def test_the_day_on_which_the_registry_spoke_is_told(told):
    told_by_registry = dict(told(CLOSED).facts)["Реестр спрошен"]
    assert told_by_registry == rows(told(CLOSED), "verdicts")[0][4] != ""


def test_several_are_listed_and_nobody_is_told_of_what_no_source_has(warehouse):
    several = warehouse.publish("explain", "ООО")
    assert several.returncode == 0 and "По «ООО» найдено несколько: 3." in several.stdout
    assert "shop_a:3" not in several.stdout and CLOSED not in several.stdout
    unknown = warehouse.publish("explain", "+7 999 000-00-00")
    assert unknown.returncode == 1
    assert as_on_the_page("nothing is known by …: no source has it, right or wrong", unknown.stderr)


def test_the_terminal_and_the_page_tell_the_same(warehouse, watched, cells):
    file = warehouse.path.with_name("explain.html")
    said = warehouse.publish("explain", WRONG, SVOD_LANG="en", COLUMNS="200")
    made = warehouse.publish("explain", WRONG, "--html", str(file), SVOD_LANG="en")
    assert (said.returncode, made.returncode) == (0, 0), said.stderr + made.stderr
    assert f"Company: {NAME}" in said.stdout and "Not in the CRM: INN fails its control digits" in said.stdout
    page = watched(file, viewport={"width": 390, "height": 844})
    assert page.locator("h1").inner_text() == "✗ Not in the CRM: INN fails its control digits"
    assert ["shop_a:3", "INN", WRONG, WRONG, "— dropped by its rule"] in cells(page, "cleaned")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert Axe().run(page).violations_count == 0


def test_while_a_run_goes_on_the_copy_is_read(warehouse, tmp_path):
    held = tmp_path / "svod.duckdb"
    for file in (held, tmp_path / "svod.duckdb.snapshot"):
        shutil.copy(warehouse.path, file)
    with duckdb.connect(str(held)):
        said = warehouse.publish("explain", ROMASHKA, SVOD_WAREHOUSE=str(held))
    assert (said.returncode, "В CRM: карточка 501" in said.stdout) == (0, True), said.stderr
    assert "this is its copy of" in said.stderr
