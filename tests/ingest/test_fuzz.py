"""Whatever bytes a source sends: no crash, and nothing is lost in silence. Each piece of input lands, or is told of.

Some seconds here; for longer, and with other examples each time: `make fuzz` (EXAMPLES=100000 ARGS="-k json").
"""

import asyncio
import functools
import io
import json
import os
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from ingest import kafka, mysql, relational
from ingest.json_file import BrokenDocument, JSONFile, land_json_file
from ingest.kafka_records import Message, PartitionRecords
from ingest.kafka_topic import Fetched
from ingest.registry_dump import Dump, land_dump
from ingest.registry_extract import Damage, companies
from ingest.registry_service import NoAnswer, Registry
from ingest.sources import JSONSource, MySQLSource
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.journal import Step
from tests.sample_data.registers import Entrepreneur, LegalEntity, register_file

EXAMPLES = int(os.environ.get("SVOD_TEST_FUZZ_EXAMPLES", "0"))


def examples(count: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """So many in the suite, or as many as the environment says; then with a line now and again that tells how many."""
    # One warehouse for all examples: each empties what it looks at.
    chosen = settings(
        max_examples=EXAMPLES or count,
        derandomize=not EXAMPLES,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    return lambda test: chosen(told(test) if EXAMPLES else test)


def told(test: Callable[..., None]) -> Callable[..., None]:
    """A test that says twice a minute how far it is, past pytest's capture (`--capture=sys`)."""
    began = said = time.monotonic()
    tried = 0

    @functools.wraps(test)
    def telling(*arguments: Any, **named: Any) -> None:
        nonlocal began, said, tried
        now = time.monotonic()
        began, said = (began, said) if tried else (now, now)
        if now - said >= 30:
            said = now
            print(f"\n{test.__name__}: {tried:,} examples, {now - began:.0f} s", file=sys.__stderr__, flush=True)
        tried += 1
        test(*arguments, **named)

    return telling


SPECIAL = [b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"<", b">", b"/", b"&", b"\0", b"\xff", b"\x98", b"\n",
           b"<!--", b"]]>", b"\\ud83d", b"</", b'"uid"', b"NaN", b"1e999"]  # fmt: skip
CHANGE = st.tuples(
    st.floats(0, 1), st.sampled_from(["insert", "delete", "replace", "cut"]),
    st.one_of(st.sampled_from(SPECIAL), st.binary(max_size=6)), st.integers(1, 40),
)  # fmt: skip


def changed(document: bytes, changes: list[tuple[float, str, bytes, int]]) -> bytes:
    """A document with bytes put in, taken away or exchanged somewhere, or without its end."""
    for where, how, what, length in changes:
        at = int(where * len(document))
        if how == "cut" and where > 0.5:
            document = document[:at]
        elif how == "insert":
            document = document[:at] + what + document[at:]
        elif how != "cut":
            document = document[:at] + (what if how == "replace" else b"") + document[at + length :]
    return document


def emptied(warehouse, *tables: str) -> Step:
    """A new step in a warehouse whose tables hold nothing of the example before."""
    for table in ("raw.dead_letters", "ops.watermarks", *tables):
        warehouse.execute(f"drop table if exists {table}" if table in tables else f"delete from {table}")
    return Step("run-1", "ingest test")


def told_of(warehouse) -> bytes:
    """The bytes of all dead letters."""
    return b"\n".join(
        letter or b"" for (letter,) in warehouse.execute("select payload from raw.dead_letters").fetchall()
    )


# ----- JSON


def shop_b_company(number: int) -> bytes:
    persons = [{"uid": f"p-{number}", "fio": "Ёлкина «Я»", "phones": ["+7 916"]}]
    return json.dumps({"uid": f"b-{number}", "title": f"ООО {number}", "persons": persons}, ensure_ascii=False).encode()


PLACES = "select source_position from raw.shop_b__companies union all select source_position from raw.dead_letters"


@given(st.lists(CHANGE, max_size=4), st.sampled_from(["auto", "utf-8", "cp1251"]))
@examples(60)
def test_json_of_any_bytes_lands_or_is_told_of(warehouse, tmp_path, changes, charset):
    step = emptied(warehouse, "raw.shop_b__companies", "raw.shop_b__files")
    whole = [shop_b_company(number) for number in range(12)]
    document = changed(b'{"shop": "B", "companies": [' + b", ".join(whole) + b"]}", changes)
    path = tmp_path / "history.json"
    path.write_bytes(document)
    file = JSONFile(path, "history.json", JSONSource("shop_b", _env_file=None, array="companies.item", charset=charset))
    problem = None
    try:
        land_json_file(warehouse, file, step)
    except OperatorError as error:
        problem = error
    landed = (
        warehouse.execute("select payload ->> '$.uid' from raw.shop_b__companies").fetchall() if file.is_read else []
    )
    letters = told_of(warehouse)
    if problem is None or isinstance(problem, BrokenDocument):
        read_until = len(document)
        if problem:  # what is behind the last element that was read is told of by the problem itself
            places = [place for (place,) in warehouse.execute(PLACES).fetchall()] if file.is_read else []
            read_until = max([0, *(int(place.split("@")[1].split("#")[0]) for place in places)])
        for number, company in enumerate(whole):
            if 0 <= document.find(company) < read_until:
                is_told_of = f'"b-{number}"'.encode() in letters  # a quote before it may take its first bracket
                assert (f"b-{number}",) in landed or is_told_of, (number, problem, file.warnings)


# ----- Kafka


class OneBatch:
    """A topic that gives these messages once."""

    def __init__(self, messages: list[Message]) -> None:
        self.name, self.place, self.topic_id = "events", "shop_b:events", None
        self.source = SimpleNamespace(name="shop_b")
        self._messages = messages

    def batches(self, next_offsets: dict[int, int], topic_id: None, *, is_made_anew: bool = False) -> Iterator[Fetched]:
        yield Fetched(self._messages, [], {0: len(self._messages)}, [])


EVENT = json.dumps(
    {"event": "company.upserted", "company": {"uid": "b-1", "title": "ООО"}}, ensure_ascii=False
).encode()
JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["uid", "company", "a"]), inner, max_size=3)
    ),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode())
VALUE = st.one_of(
    st.none(),
    st.binary(max_size=40),
    JSON_LIKE,
    st.lists(CHANGE, max_size=3).map(lambda changes: changed(EVENT, changes)),
)
KEY = st.one_of(st.none(), st.binary(max_size=10))


@given(st.lists(st.tuples(KEY, VALUE, st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))), max_size=30))
@examples(40)
def test_a_message_of_any_bytes_lands_or_is_a_dead_letter(warehouse, given_ones):
    step = emptied(warehouse, "raw.shop_b__events")
    messages = [Message(0, offset, at, key, value) for offset, (key, value, at) in enumerate(given_ones)]
    kafka.land_topic(warehouse, OneBatch(messages), step)
    places = "select source_position from {}"
    landed = {place for (place,) in warehouse.execute(places.format("raw.shop_b__events")).fetchall()}
    refused = {place for (place,) in warehouse.execute(places.format("raw.dead_letters")).fetchall()}
    assert not landed & refused and landed | refused == {f"events/0/{offset}" for offset in range(len(messages))}
    for place, payload in warehouse.execute("select source_position, payload from raw.shop_b__events").fetchall():
        assert payload is None or json.loads(payload) is not None, place


HEADERS = st.lists(st.tuples(st.text(max_size=5), st.one_of(st.none(), st.binary(max_size=10))), max_size=4)


@given(st.lists(st.tuples(KEY, st.one_of(st.none(), st.binary(max_size=60)), HEADERS), min_size=1, max_size=20))
@examples(100)
def test_headers_of_any_kind_change_no_message(given_ones):
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=False, producer_id=-1, producer_epoch=-1, base_sequence=-1,
        batch_size=1 << 20,
    )  # fmt: skip
    for offset, (key, value, headers) in enumerate(given_ones):
        builder.append(offset, timestamp=1_700_000_000_000 + offset, key=key, value=value, headers=headers)
    batch = DefaultRecordBatch(bytes(builder.build()))
    read = list(PartitionRecords._messages(None, batch, 0))
    assert [(message.key, message.value, message.damage) for message in read] == [
        (key, value, None) for key, value, _ in given_ones
    ]


# ----- MySQL


@pytest.fixture(scope="module")
def texts(mariadb) -> Iterator[Callable[[list[bytes], list[str]], None]]:
    """A table whose rows are these texts: in Windows-1251, declared so or as latin1, in UTF-8, as bytes."""
    with mariadb.database() as database, mariadb.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(
            """create table texts (id int primary key, cyrillic varchar(200) charset cp1251,
                latin varchar(200) charset latin1, bytes varbinary(200), unicode_ varchar(200) charset utf8mb4,
                document json, updated_at datetime not null)"""
        )

        def fill(binaries: list[bytes], unicode: list[str]) -> MySQLSource:
            cursor.execute("truncate table texts")
            for number, (binary, text) in enumerate(zip(binaries, unicode, strict=True)):
                cursor.execute(
                    "insert into texts values (%s, %s, %s, %s, %s, json_quote(%s), now())",
                    [number, binary, binary, binary, text, text],
                )
            connection.commit()
            return MySQLSource("shop_a", _env_file=None, url=mariadb.url(database), tables="texts")

        yield fill


@given(st.lists(st.tuples(st.binary(max_size=30), st.text(max_size=20)), min_size=1, max_size=25))
@examples(15)
def test_mysql_text_of_any_bytes_lands_as_it_is_there(warehouse, texts, given_ones):
    step = emptied(warehouse, "raw.shop_a__texts")
    source = texts([binary for binary, _ in given_ones], [text for _, text in given_ones])
    with mysql.connect(source) as server:
        relational.land_table(warehouse, relational.Table(server, source, "texts"), step, since=None, is_full=True)
    rows = warehouse.execute("select payload from raw.shop_a__texts").fetchall()
    landed = {row["id"]: row for row in (json.loads(payload) for (payload,) in rows)}
    assert sorted(landed) == list(range(len(given_ones)))
    for number, (binary, text) in enumerate(given_ones):
        row = landed[number]
        assert row["unicode_"] == text
        assert row["cyrillic"] == "".join("\x98" if byte == 0x98 else bytes([byte]).decode("cp1251") for byte in binary)
        assert json.loads(row["document"]) == text if isinstance(row["document"], str) else True


# ----- the registry


@given(st.lists(CHANGE, max_size=4), st.sampled_from(["windows-1251", "utf-8"]), st.booleans())
@examples(150)
def test_registers_of_any_bytes_give_each_company_or_tell_of_it(changes, encoding, is_wrapped):
    given_ones = [LegalEntity(f"77{number:08}", entries=1) for number in range(6)] + [Entrepreneur("500100732259")]
    whole = [one.xml().encode(encoding) for one in given_ones]
    document = register_file(given_ones, encoding=encoding)
    if not is_wrapped:
        document = f"<?xml version='1.0' encoding='{encoding}'?><a>".encode() + b"".join(whole) + b"</a>"
    document = changed(document, changes)
    found, told, damage = set(), b"", None
    try:
        for company in companies(io.BytesIO(document)):
            told += company.content + b"\n"
            if company.extract:
                found.add(document[company.start : company.end])
    except Damage as error:
        damage = error
    if damage is None or damage.problem == "is cut off":
        for company in whole:
            assert company not in document or company in found or company in told, damage


@given(st.lists(CHANGE, min_size=1, max_size=3))
@example([(0.0, "insert", b'"', 1), (0.953125, "replace", b"NaN", 3)])  # as if nothing were in it
@examples(25)
def test_a_zip_of_any_bytes_lands_or_is_told_of(warehouse, tmp_path, changes):
    step = emptied(warehouse, "raw.registry__companies")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in ("a.xml", "b.xml"):
            archive.writestr(
                member, register_file([LegalEntity(f"{n}{ord(member[0]):09}", entries=1) for n in range(3)])
            )
    path = tmp_path / "EGRUL.zip"
    path.write_bytes(changed(packed.getvalue(), changes))
    try:
        counts = land_dump(warehouse, Dump(path, path.name), None, step)
    except OperatorError:
        counts = {"refused": 1}
    ((landed,),) = (
        warehouse.execute("select count(*) from raw.registry__companies").fetchall() if step.rows_out else [(0,)]
    )
    ((letters,),) = warehouse.execute("select count(*) from raw.dead_letters").fetchall()
    assert landed == 6 or (letters and counts["refused"])


ANSWER = b'{"suggestions": [{"data": {"inn": "7707083893", "state": {"status": "ACTIVE"}}}]}'


@given(
    st.one_of(
        st.binary(max_size=40), JSON_LIKE, st.lists(CHANGE, max_size=3).map(lambda changes: changed(ANSWER, changes))
    )
)
@example(b'{"suggestions": [], "a": "\x80"}')  # what is passed over is bytes of the answer, too
@examples(25)
def test_an_answer_of_any_bytes_is_a_verdict_or_none(answer):
    async def ask() -> bytes:
        registry = Registry("http://registry.test", "key", 1e6)
        respond = httpx.MockTransport(lambda request: httpx.Response(200, content=answer))
        registry.client = httpx.AsyncClient(transport=respond, base_url="http://registry.test")
        return (await registry.ask("7707083893")).payload

    try:
        verdict = json.loads(asyncio.run(ask()))
    except NoAnswer:
        return
    assert verdict["found"] == bool(verdict["suggestions"])
