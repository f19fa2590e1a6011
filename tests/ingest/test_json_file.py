"""JSON documents land object by object: exact, in constant memory, once, and up to where they break."""

import gzip
import json
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest import json_split
from ingest.json_file import JSONFile, Position, land_json_file
from ingest.json_text import CHUNK_BYTES, DocumentText
from ingest.sources import JSONSource
from ingest.warehouse import journal
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.journal import Step
from tests.ingest.conftest import Ingest
from tests.installation import PeakMemory

HEADER = {"shop": "B", "exported_at": "2026-10-01T03:00:00+03:00"}


def company(number: int, **more: object) -> dict:
    return {"uid": f"b-{number:07}", "title": f"Общество «Василёк» №{number}", "persons": [{"fio": "Ёлкина Я."}]} | more


def document(*companies: object, after: dict | None = None, **dumps: object) -> str:
    return json.dumps(HEADER | {"companies": companies} | (after or {}), ensure_ascii=False, **dumps)


def json_file(path: Path, **declared: str) -> JSONFile:
    return JSONFile(path, path.name, JSONSource("shop_b", _env_file=None, **{"array": "companies.item", **declared}))


class Folder:
    """A folder of documents and the warehouse they land in."""

    def __init__(self, path: Path, warehouse: duckdb.DuckDBPyConnection, step: Step) -> None:
        self.path, self.warehouse, self.step = path, warehouse, step

    def write(self, content: str | bytes, name: str = "history-1.json") -> Path:
        path = self.path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def ingest(self, name: str = "history-1.json", *, full: bool = False, **options: str) -> JSONFile:
        file = json_file(self.path / name, **options)
        land_json_file(self.warehouse, file, self.step, is_full=full)
        return file

    def landed(self) -> list[dict]:
        rows = self.warehouse.execute("select payload from raw.shop_b__companies order by rowid").fetchall()
        return [json.loads(payload, parse_float=Decimal) for (payload,) in rows]

    def headers(self) -> list[dict]:
        rows = self.warehouse.execute("select payload from raw.shop_b__files order by rowid").fetchall()
        return [json.loads(payload) for (payload,) in rows]


@pytest.fixture
def folder(tmp_path: Path, warehouse: duckdb.DuckDBPyConnection, step: Step) -> Folder:
    return Folder(tmp_path, warehouse, step)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_any_encoding_plain_or_gzip_lands_the_same(folder, encoding: str, pack: Callable[[bytes], bytes]):
    companies = [company(number) for number in range(300)]
    folder.write(pack(document(*companies).encode(encoding)))
    folder.ingest()
    assert folder.landed() == companies
    assert folder.headers() == [HEADER]


def test_numbers_land_as_written(folder):
    numbers = (
        "[7707083893, 0.1, 15320.50, 1e400, 12345678901234567890.12345678901234567890, -0.0, 18446744073709551616]"
    )
    folder.write('{"companies": [{"uid": "b-1", "numbers": ' + numbers + "}]}")
    folder.ingest()
    (payload,) = folder.warehouse.execute("select payload from raw.shop_b__companies").fetchone()
    written = [Decimal(number) for number in numbers.strip("[]").split(", ")]
    assert json.loads(payload, parse_float=Decimal, parse_int=Decimal)["numbers"] == written
    assert "15320.50" in payload and "7707083893," in payload


def test_the_envelope_names_file_byte_and_object(folder):
    folder.write(document(company(1), company(2)))
    folder.ingest()
    text = (folder.path / "history-1.json").read_bytes()
    places = [text.index(b'{"uid": "b-000000%d"' % number) for number in (1, 2)]
    rows = folder.warehouse.execute(
        "select source_key, source_at, source_position, run_id from raw.shop_b__companies order by rowid"
    ).fetchall()
    assert rows == [(None, None, f"history-1.json@{place}#{n}", "run-1") for n, place in enumerate(places, 1)]


@pytest.mark.parametrize(
    "after", [{}, {"extra": [1, 2]}, {"extra": {"a": [{"b": "]}"}]}, "note": "]},{"}, {"companies_total": 2.50}]
)
def test_keys_before_and_after_the_array_make_the_header(folder, after):
    folder.write(document(company(1), company(2), after=after, indent=1))
    folder.ingest()
    assert folder.headers() == [HEADER | after]


def test_the_array_may_be_at_the_top_or_deep_inside(folder):
    folder.write(json.dumps([company(1)]), "top.json")
    folder.write(json.dumps({"a": 1, "data": {"v": 2, "rows": [company(2)], "w": [3]}, "z": 4}), "deep.json")
    folder.ingest("top.json", array="item")
    folder.ingest("deep.json", array="data.rows.item")
    assert folder.landed() == [company(1), company(2)]
    assert folder.headers() == [{}, {"a": 1, "data": {"v": 2, "w": [3]}, "z": 4}]


def test_what_is_no_object_is_a_dead_letter_and_the_rest_lands(folder):
    folder.write(document(company(1), "text", [1], None, company(2)))
    folder.ingest()
    assert folder.landed() == [company(1), company(2)]
    letters = folder.warehouse.execute("select source, reason, payload from raw.dead_letters order by rowid").fetchall()
    assert letters == [("shop_b:history-1.json", "not an object", text) for text in (b'"text"', b"[1]", b"null")]


def test_a_document_without_the_array_is_refused_by_the_path(folder):
    folder.write(json.dumps({"clients": [company(1)]}))
    with pytest.raises(OperatorError, match="no array at companies") as caught:
        folder.ingest()
    assert "SVOD_SHOP_B_ARRAY" in caught.value.hint
    assert journal.watermark(folder.warehouse, "shop_b:history-1.json") is None


def test_an_empty_array_is_a_whole_document(folder):
    folder.write(document())
    folder.ingest()
    assert (folder.landed(), folder.headers()) == ([], [HEADER])


def test_a_stray_byte_in_utf8_is_read_as_windows_1251_and_reported(folder):
    text = document(company(1), {"uid": "b-2", "title": "@"}).encode()
    folder.write(text.replace(b"@", "Ромашка".encode("cp1251")))
    file = folder.ingest()
    assert folder.landed()[1]["title"] == "Ромашка"
    assert f"first at byte {text.index(b'@')}" in file.warnings[0]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_cut_off_file_keeps_what_was_read_and_goes_on_when_it_is_whole(folder, pack):
    companies = [company(number, filler="я" * 500) for number in range(1000)]
    whole = pack(document(*companies).encode())
    folder.write(whole[: len(whole) // 2])
    with pytest.raises(OperatorError, match=r"is cut off at byte \d+ .* after \d+ elements"):
        folder.ingest()
    read = folder.landed()
    assert 400 < len(read) < 600 and read == companies[: len(read)]
    folder.write(whole)
    folder.ingest()
    assert folder.landed() == companies
    assert folder.headers()[-1] == HEADER


def test_the_header_lands_again_when_it_is_not_the_one_that_landed_last(folder):
    for day in ("01", "01", "02", "01"):
        folder.write(json.dumps({"exported_at": f"2026-10-{day}", "companies": [company(int(day))]}))
        folder.ingest(full=True)
    assert [header["exported_at"][-2:] for header in folder.headers()] == ["01", "02", "01"]


def test_a_cut_off_file_fails_once_and_is_told_of_until_it_changes(folder):
    whole = document(company(1), company(2)).encode()
    path = folder.write(whole[:-30])
    with pytest.raises(OperatorError, match="is cut off at byte"):
        folder.ingest()
    again = folder.ingest()
    assert not again.is_read and "is cut off at byte" in again.warnings[0]
    with pytest.raises(OperatorError, match="is cut off at byte"):
        folder.ingest(full=True)
    path.write_bytes(whole)
    assert folder.ingest().is_read
    assert folder.landed() == [company(1), company(2)]


def test_what_follows_the_array_and_is_no_json_fails_and_every_object_lands(folder):
    folder.write(document(company(1)) + " garbage")
    with pytest.raises(OperatorError, match="stops being JSON after its array"):
        folder.ingest()
    assert (folder.landed(), folder.headers()) == ([company(1)], [HEADER])


def test_what_is_no_json_before_the_array_fails_and_every_object_lands(folder):
    folder.write(document(company(1)).replace('"B"', "oops").replace('"shop"', '"sh\\qop"'))
    with pytest.raises(OperatorError, match="has no JSON before its array"):
        folder.ingest()
    assert (folder.landed(), folder.headers()) == ([company(1)], [])


def test_a_file_of_the_same_size_and_time_with_another_end_is_read_again(folder):
    path = folder.write(document(company(1)))
    status = path.stat()
    folder.ingest()
    folder.write(document(company(2)))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert folder.ingest().is_read
    assert folder.landed() == [company(1), company(2)]


def test_a_landed_file_is_skipped_and_a_touched_or_grown_one_lands_only_what_is_new(folder):
    path = folder.write(document(company(1), company(2)))
    folder.ingest()
    assert not folder.ingest().is_read
    path.touch()
    assert folder.ingest(full=True).is_read
    assert len(folder.landed()) == 2
    folder.write(document(company(1), company(2), company(3)))
    folder.ingest()
    assert folder.landed() == [company(1), company(2), company(3)]


def test_a_replaced_file_lands_anew_and_says_so(folder):
    folder.write(document(company(1), company(2)))
    folder.ingest()
    folder.write(document(company(1), company(2, title="other"), company(3)))
    file = folder.ingest()
    assert "replaced" in file.warnings[0]
    assert folder.landed()[2:] == [company(1), company(2, title="other"), company(3)]


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts | st.decimals(allow_nan=False, allow_infinity=False, places=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(texts, values, max_size=4)


def encode(value: object) -> str:
    """JSON text with each Decimal as a plain number."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {encode(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(encode(inner) for inner in value) + "]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)


def read(path: Path) -> tuple[list[dict], dict]:
    batches = list(json_file(path).batches(Position()))
    records = [json.loads(record.payload, parse_float=Decimal) for batch in batches for record in batch.records]
    return records, json.loads(batches[-1].header, parse_float=Decimal)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(before=objects, companies=st.lists(objects, max_size=5), after=objects)
def test_any_document_comes_out_as_it_went_in(tmp_path, before, companies, after):
    before.pop("companies", None)
    after = {key: value for key, value in after.items() if key != "companies" and key not in before}
    path = tmp_path / "any.json"
    path.write_text(encode(before | {"companies": companies} | after), encoding="utf-8")
    assert read(path) == (companies, before | after)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(companies=st.lists(objects, min_size=1, max_size=3), data=st.data())
def test_cut_anywhere_a_document_yields_a_prefix_and_an_error(tmp_path, companies, data):
    text = encode({"companies": companies}).encode()
    path = tmp_path / "cut.json"
    path.write_bytes(text[: data.draw(st.integers(0, len(text) - 1))])
    found = []
    with pytest.raises(OperatorError):
        for batch in json_file(path, charset="utf-8").batches(Position()):
            found += [json.loads(record.payload, parse_float=Decimal) for record in batch.records]
    assert found == companies[: len(found)]


@pytest.mark.parametrize("offset", range(-3, 4))
def test_characters_and_marks_on_the_edge_of_a_chunk_survive(tmp_path, offset):
    filler = "x" * (CHUNK_BYTES - 2 + offset)
    path = tmp_path / "edge.json"
    path.write_text("\ufeff" + filler + "Ёж😀" + filler + "Ёж", encoding="utf-8")
    with DocumentText(path) as text:
        read = b"".join(iter(text.read, b""))
    assert read.decode() == filler + "Ёж😀" + filler + "Ёж"


@pytest.mark.parametrize("encoding", ["utf-8", "cp1251"])
def test_the_charset_is_told_from_the_first_letters_even_if_a_chunk_ends_in_them(tmp_path, encoding):
    written = "x" * (CHUNK_BYTES - 1) + "Объём" * CHUNK_BYTES
    path = tmp_path / "edge.json"
    path.write_text(written, encoding=encoding)
    with DocumentText(path) as text:
        assert b"".join(iter(text.read, b"")).decode() == written
        assert text.charset == encoding


def test_a_header_that_never_ends_is_no_reason_to_read_everything(tmp_path, monkeypatch):
    monkeypatch.setattr("ingest.json_split.AROUND_BYTES", CHUNK_BYTES)
    path = tmp_path / "other.json"
    path.write_text(json.dumps({"clients": ["x" * 100] * 20_000}))
    with DocumentText(path) as head:
        with pytest.raises(json_split.NoArray):
            json_split.Splitter(head, ["companies"]).find_array()
        assert head.bytes_read <= 4 * CHUNK_BYTES


def test_a_killed_run_goes_on_and_lands_every_object_once(ingest: Ingest):
    path = ingest.folder / "history-1.json.gz"
    companies = [company(number, filler="х" * 1500) for number in range(16_000)]
    path.write_bytes(gzip.compress(document(*companies).encode(), 1))
    ingest.set(shop_b_files=str(path))
    for _ in range(2):
        assert ingest.run_killed("json", committed=12_000_000)
        assert 0 < ingest.query("select count(*) from raw.shop_b__companies")[0][0] < 16_000
    finished = ingest.run("json")
    assert finished.returncode == 0, finished.stderr
    payloads = ingest.query("select payload from raw.shop_b__companies order by rowid")
    assert [json.loads(payload)["uid"] for (payload,) in payloads] == [c["uid"] for c in companies]
    assert ingest.query("select count(*) from raw.shop_b__files") == [(1,)]


def test_one_broken_file_does_not_stop_the_others(ingest: Ingest):
    (ingest.folder / "a.json").write_text(document(company(1))[:-40])
    (ingest.folder / "b.json").write_text(document(company(2)))
    ingest.set(shop_b_files=str(ingest.folder / "*.json"))
    finished = ingest.run("json")
    assert finished.returncode == 1
    assert "a.json is cut off at byte" in finished.stderr and "hint:" in finished.stderr
    assert "b.json: 1 objects landed" in finished.stdout
    detail = "detail ->> '$.\"shop_b:a.json\".error' like 'a.json is cut off%'"
    assert ingest.query(f"select status, {detail} from ops.steps") == [("failed", True)]


def test_memory_does_not_grow_with_the_file(ingest: Ingest):
    path = ingest.folder / "history-1.json.gz"
    filler = "".join(chr(0x430 + number % 32) for number in range(4000))
    with gzip.open(path, "wt", compresslevel=1, encoding="utf-8") as file:
        file.write('{"companies": [')
        for number in range(15_000):  # 130 MB of text
            file.write(f'{"," if number else ""}{{"uid": "b-{number}", "title": "{number}{filler}"}}')
        file.write("]}")
    ingest.set(shop_b_files=str(path))
    process = ingest.start("json")
    peak = PeakMemory(process.pid)
    errors = process.stderr.read()
    assert process.wait() == 0, errors
    assert 50 < peak.mb < 400
    assert ingest.query("select count(*), sum(strlen(payload)) > 120e6 from raw.shop_b__companies") == [(15_000, True)]
