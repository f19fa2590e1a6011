"""The tax service's bulk files: every company's verdict, whatever is broken beside it, in bounded memory, once."""

import io
import json
import zipfile
from pathlib import Path

import pytest

from ingest import registry_dump
from ingest.registry_dump import Dump, dumps_of, land_dump
from ingest.registry_extract import CHUNK_BYTES, Damage, companies
from ingest.warehouse.errors import OperatorError
from tests.ingest.conftest import Ingest
from tests.sample_data.registers import Entrepreneur, LegalEntity, register_file

INNS = [f"77{number:08}" for number in range(40)]


def extracts(content: bytes, **options) -> dict[str | None, dict]:
    return {
        company.inn: company.extract and json.loads(registry_dump.msgspec.json.encode(company.extract))
        for company in companies(io.BytesIO(content), **options)
    }


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.XML", content)
    return path


def land(warehouse, step, path: Path, wanted: set[str] | None = None, **options) -> dict[str, int] | None:
    return land_dump(warehouse, Dump(path, path.name), wanted, step, **options)


def landed(rows) -> list[tuple[str, str]]:
    return rows("select source_key, source_at::date::varchar from raw.registry__companies order by all")


@pytest.mark.parametrize(
    ("root", "encoding"), [("Файл", "windows-1251"), ("EGRUL", "windows-1251"), ("ЕГРЮЛ", "utf-8"), ("Файл", "koi8-r")]
)
def test_a_company_is_told_with_its_states_end_and_address_whatever_the_root_and_the_encoding(root, encoding):
    told = extracts(
        register_file(
            [
                LegalEntity("7707083893", states=["112", "101", "112"], reorganizations=["124"], address="fias"),
                LegalEntity("7736050003", states=["201"], ceased=("2026-09-30", "201")),
                Entrepreneur("500100732259", ceased=("2026-09-29", "202")),
            ],
            root=root,
            encoding=encoding,
        )
    )
    assert told["7707083893"] == {
        "type": "LEGAL",
        "extracted_on": "2026-10-01",
        "ogrn": "1027700132195",
        "registered_on": "2018-08-14",
        "kpp": "770701001",
        "full_name": 'ОБЩЕСТВО С ОГРАНИЧЕННОЙ ОТВЕТСТВЕННОСТЬЮ "РОМАШКА"',
        "short_name": 'ООО "РОМАШКА"',
        "legal_form": "Общества с ограниченной ответственностью",
        "director_name": "ИВАНОВА МАРИЯ",
        "director_post": "ДИРЕКТОР",
        "address": "150030, ЯРОСЛАВСКАЯ ОБЛАСТЬ, Г ЯРОСЛАВЛЬ, ПР-КТ МОСКОВСКИЙ, Д. 125, К. 2",
        "status_codes": ["112", "101", "124"],
    }
    closed, trader = told["7736050003"], told["500100732259"]
    assert (closed["ceased_on"], closed["ceased_code"], closed["status_codes"]) == ("2026-09-30", "201", ["201"])
    assert closed["address"] == "192007, Г.САНКТ-ПЕТЕРБУРГ, УЛ. ТАМБОВСКАЯ, Д. 16, ЛИТЕР А, ОФИС 8"
    assert trader == {
        "type": "INDIVIDUAL",
        "extracted_on": "2026-10-01",
        "ogrn": "304500116000157",
        "registered_on": "2025-07-24",
        "full_name": "Индивидуальный предприниматель ПЕТРОВ ПЁТР",
        "short_name": "ИП ПЕТРОВ ПЁТР",
        "legal_form": "Индивидуальный предприниматель",
        "ceased_on": "2026-09-29",
        "ceased_code": "202",
    }


def test_whatever_chunks_a_file_comes_in_the_same_companies_come_out(monkeypatch):
    content = register_file([*(LegalEntity(inn) for inn in INNS[:5]), Entrepreneur("500100732259")])
    whole = list(companies(io.BytesIO(content)))
    assert [content[company.start : company.end][-7:] for company in whole] == ["</СвЮЛ>".encode("cp1251")] * 5 + [
        "</СвИП>".encode("cp1251")
    ]
    for size in (1, 7, 64, 1000, len(content)):
        monkeypatch.setattr("ingest.registry_extract.CHUNK_BYTES", size)
        assert list(companies(io.BytesIO(content))) == whole
    for company in whole:
        assert list(companies(io.BytesIO(content), start=company.end)) == whole[whole.index(company) + 1 :]


def test_one_broken_company_is_told_of_with_its_place_and_the_others_follow():
    good = [LegalEntity(inn).xml() for inn in INNS[:5]]
    good[1] = good[1].replace("</СвНаимЮЛ>", "")
    good[3] = good[3].removesuffix("</СвЮЛ>")
    content = f'<?xml version="1.0" encoding="windows-1251"?><Файл>{"".join(good)}</Файл>'.encode("cp1251")
    told = list(companies(io.BytesIO(content)))
    assert [bool(company.problem) for company in told] == [False, True, False, True, False]
    assert [company.inn for company in told] == INNS[:5]
    assert "is no XML" in told[1].problem and "does not end" in told[3].problem
    assert content[told[3].start :].startswith(b"<" + "СвЮЛ".encode("cp1251"))


def test_a_company_whose_opening_tag_is_damaged_is_told_of_and_its_neighbours_are_there(monkeypatch):
    parts = [LegalEntity(inn).xml() for inn in INNS[:3]]
    parts[1] = parts[1].replace("<СвЮЛ ", "<СвЮX ")
    content = register_file([]).replace("</Файл>".encode("cp1251"), ("".join(parts) + "</Файл>").encode("cp1251"))
    for size in (64, 1000, 5000, len(content)):
        monkeypatch.setattr("ingest.registry_extract.CHUNK_BYTES", size)
        told = list(companies(io.BytesIO(content)))
        assert [(company.inn, company.problem) for company in told if company.extract] == [
            (inn, "") for inn in (INNS[0], INNS[2])
        ]
        (damaged,) = [company for company in told if not company.extract]
        assert damaged.problem == "does not begin" and parts[1].encode("cp1251").endswith(damaged.content[-64:])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is no XML"),
        (b"PK nonsense", "is no XML"),
        ("<?xml version='1.0' encoding='utf-16'?><Файл>".encode(), "encoding utf-16"),
        (b"<?xml version='1.0' encoding='no-such'?><a>", "encoding no-such"),
        (register_file([]), "has no company in it"),
        (register_file([LegalEntity(INNS[0])])[:-9], "is cut off"),
        (register_file([LegalEntity(INNS[0])]).removesuffix("</Файл>".encode("cp1251")), "is cut off"),
    ],
)
def test_a_file_that_is_none_or_is_cut_off_is_said_to_be_so(content, problem):
    with pytest.raises(Damage) as caught:
        list(companies(io.BytesIO(content)))
    assert problem in caught.value.problem and caught.value.offset <= len(content)


def test_only_companies_that_are_wanted_land_and_a_file_lands_once(warehouse, step, rows, tmp_path):
    path = zipped(tmp_path / "EGRUL_FULL.zip", a=register_file([LegalEntity(inn) for inn in INNS[:20]]),
                  b=register_file([LegalEntity(inn) for inn in INNS[20:]] + [LegalEntity(None)]))  # fmt: skip
    counts = land(warehouse, step, path, {INNS[3], INNS[30]})
    assert counts == {"companies": 41, "landed": 2, "refused": 0, "without_inn": 1}
    assert landed(rows) == [(INNS[3], "2026-10-01"), (INNS[30], "2026-10-01")]
    assert land(warehouse, step, path, {INNS[3], INNS[30]}) is None
    assert land(warehouse, step, path, {*INNS}, is_again=True)["landed"] == 38
    assert land(warehouse, step, path)["landed"] == 0  # all: more than was asked of it before
    assert land(warehouse, step, path) is None
    assert len(landed(rows)) == 40


def test_what_changed_by_the_day_lands_beside_what_was_and_a_file_with_another_content_is_read_anew(
    warehouse, step, rows, tmp_path
):
    path = zipped(tmp_path / "EGRUL.zip", a=register_file([LegalEntity(inn) for inn in INNS[:3]]))
    assert land(warehouse, step, path)["landed"] == 3
    changed = LegalEntity(INNS[1], extracted_on="2026-10-02", states=["101"])
    zipped(path, a=register_file([LegalEntity(INNS[0]), changed]))
    assert land(warehouse, step, path)["landed"] == 1
    assert landed(rows) == [
        *((inn, "2026-10-01") for inn in INNS[:2]),
        (INNS[1], "2026-10-02"),
        (INNS[2], "2026-10-01"),
    ]


def test_a_broken_member_and_broken_companies_are_dead_letters_and_the_rest_lands(warehouse, step, rows, tmp_path):
    broken = register_file([LegalEntity(inn) for inn in INNS[:3]]).replace("</СвНаимЮЛ>".encode("cp1251"), b"", 1)
    undated = register_file([LegalEntity(INNS[30], extracted_on="9999-01-01")])
    path = zipped(tmp_path / "EGRUL.zip", a=broken, b=register_file([LegalEntity(i) for i in INNS[3:20]]), c=undated,
                  d=register_file([LegalEntity(INNS[39])]))  # fmt: skip
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        start = archive.infolist()[1].header_offset
    content[start + 200 : start + 260] = bytes(60)
    path.write_bytes(content)
    counts = land(warehouse, step, path)
    there = {inn for inn, _ in landed(rows)}
    assert {INNS[1], INNS[2], INNS[39]} <= there and INNS[0] not in there and INNS[30] not in there
    letters = rows(
        "select split_part(source_position, '@', 1), reason, octet_length(payload) > 0 from raw.dead_letters order by 1"
    )
    assert counts["refused"] == len(letters) == 3
    assert {place for place, _, _ in letters} == {f"EGRUL.zip/{name}.XML" for name in "abc"}
    assert letters[0][2]  # the company's own bytes
    assert ("EGRUL.zip/c.XML", "is of no day, or of one to come", False) in letters
    assert land(warehouse, step, path) is None  # told once


def test_what_is_no_xml_in_a_zip_is_told_of_and_so_is_a_zip_with_nothing_in_it(warehouse, step, rows, tmp_path):
    path = zipped(tmp_path / "EGRUL.zip", a=register_file([LegalEntity(INNS[0])]))
    path.write_bytes(path.read_bytes().replace(b"a.XML", b"a.XM/"))  # as a folder's
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("b.XML", register_file([LegalEntity(INNS[1])]))
    assert land(warehouse, step, path)["refused"] == 1
    assert land(warehouse, step, zipped(tmp_path / "none.zip"))["refused"] == 1
    assert landed(rows) == [(INNS[1], "2026-10-01")]
    assert rows("select source_position, reason from raw.dead_letters order by 1") == [
        ("EGRUL.zip/a.XM/@0", "has no .xml in it"),
        ("none.zip@0", "has no .xml in it"),
    ]


def test_a_truncated_zip_is_one_line_and_a_dead_letter(warehouse, step, rows, tmp_path):
    path = zipped(tmp_path / "EGRUL.zip", a=register_file([LegalEntity(inn) for inn in INNS]))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(OperatorError, match=r"EGRUL.zip is no whole zip") as caught:
        land(warehouse, step, path)
    assert "\n" not in caught.value.problem and "copy it anew" in caught.value.hint
    assert rows("select source, source_position from raw.dead_letters") == [("registry:EGRUL.zip", "EGRUL.zip@0")]


def test_a_run_that_is_killed_goes_on_at_the_company_where_it_was(ingest: Ingest, tmp_path):
    inns = [f"77{number:08}" for number in range(6000)]
    folder = tmp_path / "files" / "day"
    folder.mkdir(parents=True)
    zipped(folder / "EGRUL.zip", a=register_file(LegalEntity(inn, entries=1) for inn in inns[:5500]),
           b=register_file(LegalEntity(inn, entries=1) for inn in inns[5500:]))  # fmt: skip
    command = ("registry", "--dump", str(tmp_path / "files"), "--all")
    was_killed = ingest.run_killed(*command, committed=100_000)
    found = "select count(*), count(distinct source_key) from raw.registry__companies"
    position = "select position ->> '$.offset' from ops.watermarks where source = 'registry:day/EGRUL.zip'"
    was_killed = was_killed and bool(ingest.query(position))  # else before its first batch, or after its end
    if was_killed:
        assert ingest.query(found) == [(5000, 5000)] and int(ingest.query(position)[0][0]) > CHUNK_BYTES
    finished = ingest.run(*command)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert f"day/EGRUL.zip: {1000 if was_killed else 6000} companies" in finished.stdout
    assert ingest.query(found) == [(6000, 6000)]
    assert "1 files of the registers: landed before, unchanged" in ingest.run(*command).stdout


def test_the_command_says_what_it_needs_and_a_broken_file_keeps_no_other_out(ingest: Ingest, tmp_path):
    missing = ingest.run("registry", "--dump", "no/such/*.zip")
    assert missing.returncode == 1 and "there is no file at no/such/*.zip" in missing.stderr
    assert ingest.run("registry", "--all").returncode == 2
    (tmp_path / "EGRUL_1.xml").write_bytes(b"<no>")
    (tmp_path / "EGRUL_2.xml").write_bytes(register_file([LegalEntity(INNS[0])]))
    pattern = str(tmp_path / "EGRUL_*.xml")
    unbuilt = ingest.run("registry", "--dump", pattern)
    assert unbuilt.returncode == 1 and "or add --all" in unbuilt.stderr
    ended = ingest.run("registry", "--dump", pattern, "--all")
    assert ended.returncode == 1 and "EGRUL_1.xml cannot be read in 1 places" in ended.stderr
    assert ingest.query("select source_key from raw.registry__companies") == [(INNS[0],)]


def test_the_files_that_are_set_land_before_the_service_is_asked(ingest: Ingest, tmp_path):
    ingest.query("create schema intermediate")
    ingest.query(f"create table intermediate.int_companies__registry_queue as select '{INNS[0]}' as inn")
    (tmp_path / "EGRUL.xml").write_bytes(register_file([LegalEntity(inn) for inn in INNS]))
    ingest.set(registry_dump=str(tmp_path))
    finished = ingest.run("registry")
    assert finished.returncode == 0 and "EGRUL.xml: 40 companies, 1 new verdicts landed" in finished.stdout
    assert "SVOD_REGISTRY_TOKEN is not set" in finished.stdout


def test_a_file_that_is_no_register_is_named(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(OperatorError, match=r"notes.txt is no file of the registers"):
        dumps_of(str(tmp_path / "*.txt"))
