"""Values of three worlds compared, and which parts are sent together."""

from decimal import Decimal

import pytest

from publish.bitrix24.parts import PARTS
from publish.parts import canonical, decoded, encoded, lanes, same_value, shown


@pytest.mark.parametrize(
    ("kind", "ours", "in_portal"),
    [
        ("number", "1000.50", 1000.5),
        ("number", 7, "7"),
        ("date", "2026-03-03", "2026-03-03T03:00:00+03:00"),
        ("text", None, ""),
        ("text", "ООО  Ромашка", " ООО Ромашка"),
        ("reference", None, 0),
        ("reference", 12, "12"),
        ("phone", None, []),
    ],
)
def test_what_we_want_and_what_the_portal_shows_have_one_form(kind, ours, in_portal):
    assert canonical(kind, ours) == canonical(kind, in_portal)


def test_what_is_no_number_is_compared_as_text():
    assert (canonical("number", "2.50"), canonical("number", "many")) == (Decimal("2.5"), "many")


def test_spellings_of_one_phone_or_email_are_one_value():
    assert same_value("phone", "8 (916) 000-00-01") == same_value("phone", "+79160000001")
    assert same_value("email", " Petrov@Example.RU") == same_value("email", "petrov@example.ru")


def test_fields_are_encoded_as_the_warehouse_does_it(warehouse):
    fields = {"title": 'ООО "Ромашка"', "PHONE": ["+7"], "EMAIL": [], "post": None, "count": 3}
    sql = "select json_object('title', ?, 'PHONE', ['+7'], 'EMAIL', []::varchar[], 'post', null, 'count', 3)::varchar"
    (text,) = warehouse.execute(sql, [fields["title"]]).fetchone()
    assert encoded(fields) == text
    assert decoded(text) == fields
    assert decoded(None) == {}


def test_a_value_is_shown_as_a_person_reads_it():
    assert [shown(value) for value in (None, "ООО", ["+7"], 3)] == ["", "ООО", '["+7"]', "3"]


def test_what_hangs_on_one_owner_is_created_together_unless_more_hangs_on_it():
    assert [[part.entity for part in lane] for lane in lanes(PARTS)] == [
        ["company"],
        ["requisite"],
        ["bank_detail", "address"],
        ["contact"],
        ["deal"],
    ]
