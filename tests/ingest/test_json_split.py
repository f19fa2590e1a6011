"""A broken element of a document is a dead letter with its place, and hides nothing that comes after it."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest import json_split
from ingest.json_element import Element
from ingest.json_split import NoArray, Splitter
from ingest.json_text import DocumentText

BEFORE, AFTER = b'{"shop": "B", "companies": [', b'], "total": 1}'


def company(number: int, persons: int = 2) -> bytes:
    listed = [{"uid": f"p-{number}-{n}", "fio": "Ёлкина Я.", "phones": ["+7 916"]} for n in range(persons)]
    fields = {"uid": f"b-{number}", "title": f"ООО «Василёк» {number}", "persons": listed, "bank": {"bik": "044"}}
    return json.dumps(fields, ensure_ascii=False).encode()


def split(path: Path, document: bytes, charset: str = "utf-8") -> tuple[list[Element], Splitter]:
    path.write_bytes(document)
    with DocumentText(path, charset) as text:
        splitter = Splitter(text, ["companies"])
        splitter.find_array()
        return list(splitter.elements()), splitter


def uids(elements: list[Element]) -> list[str]:
    return [json.loads(element.payload).get("uid") for element in elements if element.payload]


BROKEN = {
    b'{"uid": "x", "total": NaN}': "not JSON: invalid character",
    b'{"uid": "x", "title": "two\nlines"}': "not JSON: invalid character",
    b'{"uid": "x", "title": "nul \0"}': "not JSON: invalid character",
    b'{"uid": "x", "title": "\\ud83d"}': "half a surrogate pair",
    b'{"uid": "x", "title": "\\ude00 a"}': "half a surrogate pair",
    b'{"uid": "x", "total": 01}': "not JSON: invalid number",
    b'{"uid": "x", "title": "C:\\x"}': "not JSON: invalid escape character in string",
    b'{"uid": "x", "title" "y"}': "not JSON: expected ':'",
    b'{"uid": "x", "title": "y"\v}': "not JSON: expected ',' or '}'",
    b'{"uid": "x",\f"title": "y"}': "not JSON: object keys must be strings",
    b'{"uid": "x", "title": "y" "inn": 1}': "not JSON: expected ',' or '}'",
    b'{"uid": "x", "persons": [{"uid": "p", "fio": "y"}, {"uid": "q", "fio": "z"}}': "not JSON: expected ',' or ']'",
    b'{"uid": "x", "deep": ' + b"[" * 3000 + b"]" * 3000 + b"}": "nested too deeply",
    b'{"uid": "x", "inn": ' + b"1" * 5000 + b"}": "a number with too many digits",
    b'{"uid": "x", "total": 1e99999999999999999999}': "a number out of any range",
    b'{"uid": "x", "title: "y", "persons": []}': None,
    b'{"uid": "x", "persons": [{"uid": "p", "fio": "y"}, {"uid": "q", "fio": "z"}': "not JSON: it does not end",
    b'{"uid": "x", "title": "y': None,
    b"oops": "not JSON: invalid character",
    b"\0\0\0\0": None,
    b"}": "not JSON: between two elements",
    b"]": "not JSON: between two elements",
    b'"text"': "not an object",
    b"[1, 2]": "not an object",
    b"null": "not an object",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda text: text[:40].decode(errors="replace"))
@pytest.mark.parametrize("place", [0, 1, 3, 5])
def test_a_broken_element_is_told_with_its_byte_and_all_others_land(tmp_path, broken, place):
    companies = [company(number) for number in range(6)]
    elements, splitter = split(
        tmp_path / "a.json", BEFORE + b", ".join([*companies[:place], broken, *companies[place:]]) + AFTER
    )
    assert uids(elements) == [f"b-{number}" for number in range(6)]
    (letter,) = [element for element in elements if element.payload is None]
    assert letter.text.startswith(broken[: json_split.KEPT_BYTES].rstrip())
    assert letter.start == len(BEFORE) + sum(len(text) + 2 for text in companies[:place])
    assert BROKEN[broken] in (None, letter.problem)
    assert splitter.problem == "" and splitter.header() == {"shop": "B", "total": 1}


def test_a_last_element_that_does_not_end_is_told_as_a_document_that_does_not(tmp_path):
    for broken in b'{"uid": "x", "title": "y', b'{"uid": "x", "persons": [':
        elements, splitter = split(tmp_path / "a.json", BEFORE + company(1) + b", " + broken + AFTER)
        assert uids(elements)[0] == "b-1" and splitter.problem == "is cut off"


def test_many_broken_elements_leave_all_others(tmp_path):
    broken = [text for text, problem in BROKEN.items() if problem and text not in (b"]", b"}")]
    texts, wanted = [], []
    for number, text in enumerate(broken * 3):
        texts += [company(number), text]
        wanted.append(f"b-{number}")
    elements, splitter = split(tmp_path / "a.json", BEFORE + b",".join(texts) + AFTER)
    assert uids(elements) == wanted and splitter.problem == ""
    assert len([element for element in elements if element.problem]) == len(broken) * 3


def test_ijson_reads_what_is_in_order_and_the_splitter_would_read_the_same(tmp_path, monkeypatch):
    numbers = (
        b'{"uid": "b-9", "numbers": [-0, 1E5, 15320.50, 1e400, 18446744073709551616, -0.0, 0.1e-7], "a": "\\u0416"}'
    )
    ordinary = [company(1), numbers, b"{}", company(2)] * 200
    broken = [text for text in BROKEN if len(text) < 10_000 and not text.startswith((b"]", b"}"))]
    for texts in ordinary, [text for pair in zip(broken, ordinary, strict=False) for text in pair] + ordinary:
        document = BEFORE + b", ".join(texts) + AFTER
        with monkeypatch.context() as patch:
            if texts is ordinary:
                patch.setattr(Splitter, "_element", None)
            read, _ = split(tmp_path / "a.json", document)
        with monkeypatch.context() as patch:
            patch.setattr(json_split, "read", lambda texts: [])
            assert split(tmp_path / "a.json", document)[0] == read
        assert len(read) >= len(ordinary)


@pytest.mark.parametrize("end", [b"", b"\n", b" \r\n"])
def test_an_element_that_takes_the_brackets_of_the_document_for_its_own_hides_nothing(tmp_path, end):
    companies = [company(number) for number in range(6)]
    companies[2] = companies[2].removesuffix(b'], "bank": {"bik": "044"}}')
    elements, splitter = split(tmp_path / "a.json", BEFORE + b", ".join(companies) + AFTER + end)
    assert uids(elements) == ["b-0", "b-1", "b-3", "b-4", "b-5"] and splitter.problem == ""
    assert [element.text for element in elements if element.problem] == [companies[2]]


def test_a_comma_too_few_or_too_many_costs_nothing(tmp_path):
    elements, splitter = split(
        tmp_path / "a.json", BEFORE + company(1) + company(2) + b",," + company(3) + b"," + AFTER
    )
    assert uids(elements) == ["b-1", "b-2", "b-3"] and splitter.problem == ""


def test_a_name_twice_lands_with_its_last_value_and_is_told_of(tmp_path):
    twice = b'{"uid": "b-1", "title": "first", "bank": {"bik" : 1}, "title": "second"}'
    escaped = b'{"uid": "b-2", "title": "a \\": b", "note": "\\u0022:", "\\u0441": 1, "x\\\\": {"y" : 2}}'
    elements, _ = split(tmp_path / "a.json", BEFORE + twice + b"," + escaped + AFTER)
    assert json.loads(elements[0].payload)["title"] == "second"
    assert [(element.problem, element.text) for element in elements] == [
        ("a name twice: its last value landed", twice),
        ("", escaped),
    ]


def test_an_escaped_nul_lands(tmp_path):
    (element,), _ = split(tmp_path / "a.json", BEFORE + b'{"uid": "b\\u0000"}' + AFTER)
    assert json.loads(element.payload) == {"uid": "b\0"} and not element.problem


def test_an_element_too_large_is_told_with_its_beginning_and_the_next_one_lands(tmp_path, monkeypatch):
    monkeypatch.setattr(json_split, "ELEMENT_BYTES", 1 << 20)
    monkeypatch.setattr(json_split, "KEPT_BYTES", 1000)
    large = company(2, persons=60_000)
    document = BEFORE + b", ".join([company(1), large, company(3)]) + AFTER
    elements, splitter = split(tmp_path / "a.json", document)
    assert uids(elements) == ["b-1", "b-3"] and splitter.problem == ""
    assert elements[1] == (document.index(large), large[:1000], None, "larger than 1 MB")
    elements, splitter = split(tmp_path / "a.json", BEFORE + large + b"," + company(3) + AFTER)
    assert uids(elements) == ["b-3"]


def test_a_bracket_missing_in_a_long_document_hides_one_element(tmp_path):
    texts = [company(number) for number in range(8000)]
    texts[100] = texts[100].replace(b"]", b"")
    texts[7000] = texts[7000].replace(b'"p-7000-0"', b'p-7000-0"')
    elements, _ = split(tmp_path / "a.json", BEFORE + b",\n".join(texts) + AFTER)
    assert uids(elements) == [f"b-{number}" for number in range(8000) if number not in (100, 7000)]
    assert [element.text for element in elements if element.problem] == [texts[100], texts[7000]]


def test_bytes_are_counted_in_the_file_whatever_its_charset(tmp_path):
    texts = [company(number, persons=300).decode() for number in range(30)]
    for charset, mark in (("utf-8", b""), ("utf-8", b"\xef\xbb\xbf"), ("cp1251", b"")):
        document = mark + (BEFORE.decode() + ",".join(texts) + AFTER.decode()).encode(charset)
        elements, _ = split(tmp_path / "a.json", document, charset)
        assert [element.start for element in elements] == [document.index(text.encode(charset)) for text in texts]


def test_the_array_is_looked_for_by_its_path_alone(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b'{"a": {"companies": [1]}, "b": "[{", "companies": [{"uid": 2}]}')
    with DocumentText(path) as text:
        splitter = Splitter(text, ["companies"])
        splitter.find_array()
        assert uids(list(splitter.elements())) == [2]
    for document in (b'{"a": 1}', b"[1]", b'{"companies": {"a": []}}', b"null"):
        path.write_bytes(document)
        with DocumentText(path) as text, pytest.raises(NoArray):
            Splitter(text, ["companies"]).find_array()


@pytest.mark.parametrize("depth", [5, 9, 100, 400, 700, 850, 900, 950, 980, 1500, 100_000])
def test_any_depth_lands_or_is_a_dead_letter(tmp_path, depth):
    for opening, closing in (b"[", b"]"), (b'{"a":', b"}"):
        deep = b'{"uid": "x", "deep": ' + opening * depth + b"1" + closing * depth + b"}"
        elements, splitter = split(tmp_path / "a.json", BEFORE + company(1) + b"," + deep + b"," + company(2) + AFTER)
        assert [uid for uid in uids(elements) if uid != "x"] == ["b-1", "b-2"] and splitter.problem == ""
        (element,) = [element for element in elements if element.text == deep[: json_split.KEPT_BYTES]]
        assert bool(element.payload) != (element.problem in ("nested too deeply", "not JSON: it does not end"))


changes = st.tuples(
    st.integers(0, 10_000),
    st.sampled_from(["delete", "insert", "replace"]),
    st.sampled_from(list(b'"\\{}[],:0n \n\0\xff')),
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(changed=st.lists(changes, min_size=1, max_size=3))
def test_whatever_bytes_change_every_other_company_is_landed_or_among_the_dead_letters(tmp_path, changed):
    companies = [company(number) for number in range(12)]
    document = bytearray(BEFORE + b", ".join(companies) + AFTER)
    first, last = len(BEFORE), len(document) - len(AFTER)
    touched = set()
    for place, what, byte in changed:
        at = first + place % (last - first)
        before = bytes(document)[:at].count(b'"uid": "b-')
        touched |= {before - 1, before}  # or the next one, of which its first bracket changed
        document[at : at + (what != "insert")] = b"" if what == "delete" else bytes([byte])
    elements, splitter = split(tmp_path / "a.json", bytes(document))
    landed = set(uids([element for element in elements if element.payload and b'"persons"' in element.payload]))
    refused = b"".join(element.text for element in elements if element.problem)
    for number in range(12):
        if number not in touched:
            is_kept = f'"b-{number}"'.encode() in refused
            assert f"b-{number}" in landed or is_kept or splitter.problem, (number, splitter.problem)
