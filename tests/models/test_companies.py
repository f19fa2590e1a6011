"""The company rules against independent judges, and what must hold of them whatever is typed."""

import html
import re
from collections import Counter
from random import Random

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from stdnum.ru import inn as stdnum_inn
from stdnum.ru import ogrn as stdnum_ogrn

from publish.bitrix24.inns import readings
from tests.inns_as_typed import BESIDE_OTHER_NUMBERS, COULD_MEAN_SEVERAL, CUT_SHORT, READ_AS
from tests.models.compiled_models import CompiledModels
from tests.models.sql_rules import PROJECT, model_sql, sql
from tests.sample_data.companies import HONEST_LATIN, SPELLED_OUT
from tests.sample_data.identifiers import Identifiers
from tests.sample_data.typed_text import cp1251_read_as_latin1, utf8_read_as_cp1251, with_lookalikes
from tests.sample_data.vocabulary import COMMON_FEMALE, COMMON_MALE, POSTS, vocabulary

FOREIGN = (
    "Café Société Générale",
    "Müller & Söhne GmbH",
    "São Paulo Têxtil",
    "Ångström AB",
    "Crème Brûlée",
    "Łódź",
    "Nestlé S.A.",
    "naïve",
)
SIGNS = ("№ 5", "50 °C", "«Ёлки-палки»", "A&B", "R&D-центр", "3D Принт", "1С:Предприятие", "ВТБ24", "C++", "д/с № 7")
DIRTY = (
    "Pомашка",
    "ÎÎÎ",
    "Ðîìàøêà",
    "РћРћРћ",
    "Р\xa0РѕРјР°С€РєР°",
    "&quot;",
    "&amp;laquo;",
    "&#38;#34;",
    "\u200b",
    "\ufeffООО",
    "\xa0",
    "OOO",
    '""',
)
QUOTED = ('"{}"', "«{}»", "{}")


def computed(values: list, query: str) -> list:
    """`query` over a column `x` of table `given`, in the order of the values."""
    with duckdb.connect() as connection:
        connection.execute(
            "create table given as select unnest(?::varchar[]) as x, unnest(range(?)) as n", [values, len(values)]
        )
        return [row[0] for row in connection.execute(f"select y from ({query}) order by n").fetchall()]


STEPS = ("rightly_decoded", "without_entities", "plain_characters", "mixed_words_in_one_script")


def repaired_step_by_step(texts: list) -> list:
    query = "from given"
    for step in STEPS:
        query = f"select * replace ({sql(step, 'x')} as x) from ({query})"
    return computed(texts, f"select x as y, n from ({query})")


def repaired(texts: list) -> list:
    """As int_texts__repaired and the models that look texts up in it have it: what is plain is passed by."""
    plain = computed(texts, f"select {sql('is_plain_russian', 'x')} as y, n from given")
    return [
        text if is_plain else done
        for text, is_plain, done in zip(texts, plain, repaired_step_by_step(texts), strict=True)
    ]


# ----- numbers


def damaged(rng: Random, number: str) -> str:
    """The number as it is, or with one accident: a digit changed, lost, added, swapped, a letter, all one digit."""
    at = rng.randrange(len(number) - 1)
    return rng.choice(
        (
            number,
            number,
            number[:at] + str(rng.randrange(10)) + number[at + 1 :],
            number[:at] + number[at + 1 :],
            number[:at] + str(rng.randrange(10)) + number[at:],
            number[:at] + number[at + 1] + number[at] + number[at + 2 :],
            number[:at] + "О" + number[at + 1 :],
            number[0] * len(number),
            "00" + number[2:],
            number[1:],
        )
    )


def test_inn_verdicts_agree_with_python_stdnum_on_a_million_values():
    rng = Random(1)
    valid = [Identifiers(rng).inn(legal=n % 2 == 0) for n in range(20_000)]
    values = [damaged(rng, rng.choice(valid)) for _ in range(700_000)]
    values += [
        "".join(rng.choices("0123456789", k=rng.choice((9, 10, 10, 10, 11, 12, 12, 12)))) for _ in range(300_000)
    ]
    ours = computed(values, f"select {sql('inn_is_valid', 'x')} as y, n from given")
    # stdnum lets pass what agrees by accident: region 00 and one digit over and over
    theirs = [stdnum_inn.is_valid(v) and not v.startswith("00") and len(set(v)) > 1 for v in values]
    assert [v for v, a, b in zip(values, ours, theirs, strict=True) if a != b] == []
    assert 100_000 < sum(ours) < 900_000


def test_inns_are_read_however_they_were_typed_and_as_the_publisher_reads_them():
    read = sql("inn_padded", "(" + sql("inn_digits", "(" + sql("inn_without_labels", "x") + ")") + ")")
    assert computed(list(READ_AS), f"select {read} as y, n from given") == list(READ_AS.values())


def test_an_inn_that_a_spreadsheet_cut_short_is_flagged_and_none():
    texts = [*CUT_SHORT, "165700000000.0", *READ_AS, "7,707083893E+09"]
    cut = computed(texts, f"select {sql('inn_is_cut', 'x')} as y, n from given")
    assert [text for text, is_cut in zip(texts, cut, strict=True) if is_cut] == [*CUT_SHORT, "165700000000.0"]
    read = computed(texts, f"select {sql('inn_without_labels', 'x')} as y, n from given")
    assert {text for text, inn in zip(texts, read, strict=True) if inn is None} == {*CUT_SHORT, "165700000000.0"}


def test_the_models_read_no_other_inn_beside_other_numbers_than_the_publisher():
    texts = BESIDE_OTHER_NUMBERS | COULD_MEAN_SEVERAL
    read = sql("inn_padded", "(" + sql("inn_digits", "(" + sql("inn_without_labels", "x") + ")") + ")")
    inns = computed(list(texts), f"select {read} as y, n from given")
    are_valid = computed(inns, f"select {sql('inn_is_valid', 'x')} as y, n from given")
    inns = [inn if is_valid else None for inn, is_valid in zip(inns, are_valid, strict=True)]
    assert [text for text, inn in zip(texts, inns, strict=True) if inn and inn not in readings(text)] == []
    sure = list(BESIDE_OTHER_NUMBERS.values())
    assert [inn for inn, wanted in zip(inns, sure, strict=False) if inn not in (None, wanted)] == []


def test_a_lost_zero_is_restored_exactly_where_python_stdnum_then_agrees():
    rng = Random(2)
    valid = [Identifiers(rng).inn(legal=n % 2 == 0) for n in range(50_000)]
    values = [v[1:] if v[0] == "0" else damaged(rng, v) for v in valid]
    ours = computed(values, f"select {sql('inn_padded', 'x')} as y, n from given")
    theirs = [
        "0" + v if len(v) in (9, 11) and stdnum_inn.is_valid("0" + v) and v[0] != "0" and len(set(v)) > 1 else v
        for v in values
    ]
    assert [v for v, a, b in zip(values, ours, theirs, strict=True) if a != b] == []
    assert sum(a != v for v, a in zip(values, ours, strict=True)) > 3_000


def test_ogrn_agrees_with_python_stdnum_and_ogrnip_with_the_rule():
    rng = Random(3)
    makes = Identifiers(rng)
    values = [damaged(rng, makes.ogrn(legal=n % 2 == 0, region="77")) for n in range(100_000)]
    ours = computed(values, f"select {sql('ogrn_is_valid', 'x')} as y, n from given")

    def right(value: str) -> bool:
        if (
            len(value) == 15 and value.isascii() and value.isdigit()
        ):  # stdnum leaves out the last digit of the remainder
            return value[0] != "0" and int(value[:-1]) % 13 % 10 == int(value[-1])
        return len(value) == 13 and stdnum_ogrn.is_valid(value)

    assert [v for v, a in zip(values, ours, strict=True) if a != right(v)] == []


def test_account_keys_agree_with_the_bank_of_russia_procedure():
    rng = Random(4)
    makes, rows = Identifiers(rng), []
    for _ in range(20_000):
        bik, corr = makes.bank()
        rows.append((bik, damaged(rng, makes.account(bik, legal=True)), damaged(rng, corr)))
    connection = duckdb.connect()
    connection.execute(
        "create table given as select unnest(?) as bik, unnest(?) as account, unnest(?) as corr",
        list(map(list, zip(*rows, strict=True))),
    )
    ours = connection.execute(
        f"select bik, account, {sql('account_key_agrees', 'bik', 'account')}, corr,"
        f" {sql('account_key_agrees', 'bik', 'corr', True)} from given"
    ).fetchall()

    def agrees(prefix: str, account: str) -> bool:
        digits = prefix + account
        return (
            len(digits) == 23
            and digits.isascii()
            and digits.isdigit()
            and sum(int(d) * (7, 1, 3)[i % 3] for i, d in enumerate(digits)) % 10 == 0
        )

    assert [r for r in ours if r[2] != agrees(r[0][-3:], r[1]) or r[4] != agrees("0" + r[0][4:6], r[3])] == []


# ----- text


def right_texts() -> list[str]:
    words, rng = vocabulary(), Random(5)
    people = [
        f"{rng.choice(words.surnames).male} {rng.choice(COMMON_MALE)} {rng.choice(words.patronymics)[0]}"
        for _ in range(20_000)
    ]
    women = [
        f"{rng.choice(words.surnames).female}-{rng.choice(words.surnames).female} {rng.choice(COMMON_FEMALE)}"
        for _ in range(10_000)
    ]
    firms = [
        f"{rng.choice([*SPELLED_OUT, *SPELLED_OUT.values()])} {rng.choice(QUOTED)}".format(
            rng.choice((rng.choice(words.words), rng.choice(HONEST_LATIN), rng.choice(FOREIGN), rng.choice(SIGNS)))
        )
        for _ in range(40_000)
    ]
    places = [
        f"{rng.randrange(101000, 692999)}, г {rng.choice(words.cities)}, ул {rng.choice(words.streets)}, д {n}"
        for n in range(30_000)
    ]
    listed = [*words.words, *words.cities, *words.streets, *words.banks, *words.occupations]
    return [*people, *women, *firms, *places, *listed, *POSTS, *HONEST_LATIN, *FOREIGN, *SIGNS]


def test_right_text_is_never_changed():
    texts = [text for text in right_texts() if text == " ".join(text.split())]
    changed = [(a, b) for a, b in zip(texts, repaired(texts), strict=True) if a != b]
    assert len(texts) > 100_000
    assert changed == []


@pytest.mark.parametrize(
    "damage",
    [
        utf8_read_as_cp1251,
        cp1251_read_as_latin1,
        html.escape,
        lambda t: html.escape(html.escape(t)),
        lambda t: with_lookalikes(Random(t), t),
    ],
    ids=["utf8_as_cp1251", "cp1251_as_latin1", "entities", "entities_twice", "lookalikes"],
)
def test_damaged_text_comes_back_as_it_was(damage):
    rng, words = Random(6), vocabulary()
    texts = [
        f'{rng.choice(("ООО", "ПАО", "ЗАО"))} "{a} {b}"'
        for a, b in zip(words.words, reversed(words.words), strict=True)
    ]
    assert repaired([damage(text) for text in texts]) == texts


TYPED_WORD = st.sampled_from([*HONEST_LATIN, *FOREIGN, *SIGNS, *DIRTY]) | st.text(max_size=8)


@settings(max_examples=60, deadline=None)
@example(["РћРћРћ \u200b", "РћРћРћ\u2003", "РћРћРћ\x85", "\ufeffРџРђРћ"])
@given(st.lists(st.lists(TYPED_WORD, max_size=5).map(" ".join), min_size=1, max_size=40))
def test_repairing_twice_equals_once(texts):
    once = repaired(texts)
    assert repaired(once) == once


PIECES = st.sampled_from(
    ["РЁ", "Р№", "Рё", "Сё", "СЂ", "Ёж", "я", "О", " ", "  ", "№ 5", "&amp;", "«", "x", "Х", "(1)", "."]
)


@settings(max_examples=20, deadline=None)
@example(["РЁРЁ", "Р№Р№", "Ёлка № 5"])
@given(st.lists(st.lists(PIECES, max_size=5).map("".join), min_size=1, max_size=40))
def test_text_is_passed_by_as_plain_only_where_no_step_would_change_it(texts):
    assert repaired(texts) == repaired_step_by_step(texts)


# ----- golden records

INNS = ["7707083893", "0278000229", "500100732259"]
INN_FORMS = ("{}", " {} ", "ИНН {}", "{}.0", "{}/770701001")


@pytest.fixture(scope="module")
def models():
    return CompiledModels("crm_companies")


@st.composite
def clients(draw) -> dict:
    """A client of shop A; few INNs and few moments, so that records meet and times tie."""
    hour = draw(st.integers(0, 3))
    return {
        "name": draw(st.sampled_from(['ООО "Ромашка"', "Василёк, АО", "ИП Иванов И.И.", None, "ооо лютик"])),
        "inn": draw(
            st.sampled_from([form.format(inn) for inn in INNS for form in INN_FORMS] + ["нет", "7707083894", None])
        ),
        "kpp": draw(st.sampled_from(["770701001", "540602001", "-", None])),
        "legal_address": draw(st.sampled_from(["г Москва", "г Уфа", None])),
        "bik": "044525225",
        "account": draw(st.sampled_from(["40702810938000000001", "40702810038000000001", None])),
        "is_deleted": draw(st.sampled_from([0, 0, 0, 1])),
        "created_at": f"2024-01-01 0{draw(st.integers(0, 3))}:00:00",
        "updated_at": f"2026-01-01 0{hour}:00:00",
    }


def golden(models: CompiledModels, rows: list[tuple[int, dict]]) -> dict[str, tuple]:
    """crm_companies by INN, out of clients (id, columns) landed in this order; every INN is active but the last."""
    landed = [({"id": key, **row}, str(key), row["updated_at"], f"clients/id={key}") for key, row in rows]
    verdicts = [
        ({"found": True, "verdict": {"status": status, "ogrn": None}}, inn, "2026-10-01", f"v@{inn}")
        for inn, status in zip([*INNS, "7728168971"], ("ACTIVE", "REORGANIZING", "ACTIVE", "LIQUIDATED"), strict=True)
    ]
    with models.build({"shop_a__clients": landed, "registry__companies": verdicts}) as connection:
        return {row[1]: row for row in connection.execute("select * from marts.crm_companies").fetchall()}


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(clients(), min_size=2, max_size=12), st.randoms())
def test_the_order_of_the_sources_changes_no_golden_record(models, drawn, rng):
    rows = list(enumerate(drawn, start=1))
    shuffled = rng.sample(rows, len(rows))
    assert golden(models, shuffled) == golden(models, rows)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(clients(), min_size=1, max_size=12), clients())
def test_an_unrelated_record_changes_no_other_golden_record(models, drawn, other):
    rows = list(enumerate(drawn, start=1))
    unrelated = (len(rows) + 1, other | {"inn": "7728168971"})
    assert golden(models, [*rows, unrelated]) == golden(models, rows)


# ----- titles

FORMS = {"Общество с ограниченной ответственностью": "ООО", "Муниципальное бюджетное учреждение культуры": "МБУК"}
TITLE_WORDS = (
    "Ромашка",
    "Торговый",
    "дом",
    "города",
    "Кургана",
    "№",
    "3",
    "им.",
    "Глинки",
    "плюс",
    "школа",
    "ООО",
    "МБУК",
)
MARKS = ('"', "«", "»", "“", "„", "''")


@pytest.fixture(scope="module")
def titled():
    """Titles of names, by the models as they are."""
    connection = duckdb.connect()
    connection.execute("create schema intermediate")
    for seed in ("legal_forms", "institution_words"):
        connection.execute(f"create table intermediate.{seed} as from '{PROJECT}/seeds/{seed}.csv'")
    connection.execute(
        f"create table intermediate.int_companies__legal_forms as {model_sql('int_companies__legal_forms')}"
    )

    def titles(names: list[str]) -> list[tuple[str | None, str | None]]:
        connection.execute(
            """create or replace table intermediate.int_companies__validated as
               select unnest(range(?)) as record_key, unnest(?::varchar[]) as company_name""",
            [len(names), names],
        )
        return connection.execute(
            f"select title, legal_form from ({model_sql('int_companies__titled')}) order by record_key"
        ).fetchall()

    yield titles
    connection.close()


@st.composite
def company_names(draw) -> str:
    """A form before or behind some words, quotation marks of any kind wherever a word begins or ends."""
    words = draw(st.lists(st.sampled_from(TITLE_WORDS), min_size=1, max_size=6))
    marks = st.sampled_from(("", "", "", *MARKS))
    rest = " ".join(f"{draw(marks)}{word}{draw(marks)}" for word in words)
    form = draw(st.sampled_from(("", "АО", *FORMS, *FORMS.values())))
    return draw(st.sampled_from((f"{form} {rest}", f"{form} {rest}", f"{rest}, {form}"))).strip()


def words_of(text: str) -> Counter:
    """The words of a name, every form in it as its abbreviation."""
    folded = re.sub(r"[^А-ЯЁA-Z0-9№.]+", " ", text.upper().replace("''", " "))
    for spelled, abbreviation in FORMS.items():
        folded = folded.replace(spelled.upper(), abbreviation)
    return Counter(folded.split())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(company_names(), min_size=1, max_size=30))
def test_a_title_never_gains_or_loses_a_word_and_closes_its_quotation_marks(titled, names):
    for name, (title, _) in zip(names, titled(names), strict=True):
        if title is None:
            assert words_of(name).total() <= 1, name  # a form and nothing else
        else:
            assert words_of(title) == words_of(name), (name, title)
            assert title.count('"') % 2 == 0, (name, title)


REAL_TITLES = {  # as such institutions stand in public lists of customers
    "Муниципальное бюджетное дошкольное образовательное учреждение «Детский сад № 12 «Сказка»": (
        'МБДОУ "Детский сад № 12 "Сказка""'
    ),
    "ГБУЗ «ГКБ им. С.П. Боткина ДЗМ»": 'ГБУЗ "ГКБ им. С.П. Боткина ДЗМ"',
    "Государственное автономное учреждение здравоохранения Свердловской области «Станция переливания крови»": (
        'ГАУЗ Свердловской области "Станция переливания крови"'
    ),
    "МБОУ СОШ № 5 г. Пензы": 'МБОУ "СОШ № 5 г. Пензы"',
    "Федеральное государственное автономное образовательное учреждение высшего образования "
    "«Уральский федеральный университет имени первого Президента России Б.Н. Ельцина»": (
        'ФГАОУ ВО "Уральский федеральный университет имени первого Президента России Б.Н. Ельцина"'
    ),
    "Администрация муниципального образования «Город Глазов»": (
        'Администрация муниципального образования "Город Глазов"'
    ),
    "Государственное казённое учреждение службы занятости населения «Центр»": (
        'ГКУ службы занятости населения "Центр"'
    ),
}


def test_names_of_institutions_are_abbreviated_as_the_registry_does(titled):
    assert dict(zip(REAL_TITLES, (title for title, _ in titled(list(REAL_TITLES))), strict=True)) == REAL_TITLES
