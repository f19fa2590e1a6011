"""Verdicts: asked for once per INN, under the rate, kept whatever happens. Against a stand-in for the service."""

import asyncio
import gzip
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import duckdb
import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import stamina

from ingest.registry import GIVE_UP_AFTER, Registry, land_verdicts, wanted_inns
from ingest.registry_file import land_verdict_file
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.journal import Step
from tests.ingest.conftest import Ingest
from tests.sample_data.registry_double import RunningRegistry

KNOWN = [f"{number:010}" for number in range(1, 61)]
TTL = timedelta(days=30)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Verdicts on sixty companies."""
    folder = tmp_path_factory.mktemp("registry")
    texts = [
        "inn",
        "kpp",
        "ogrn",
        "type",
        "full_name",
        "short_name",
        "opf",
        "director_name",
        "director_post",
        "address",
    ]
    rows = [dict.fromkeys(texts, "x") | {"inn": inn, "status": "ACTIVE", "type": "LEGAL"} for inn in KNOWN]
    table = pa.Table.from_pylist(rows)
    for name in ("registration_date", "liquidation_date", "actuality_date"):
        table = table.append_column(name, pa.nulls(len(rows), pa.date32()))
    pq.write_table(table, folder / "registry.parquet")
    return folder


@pytest.fixture
def wanted(warehouse: duckdb.DuckDBPyConnection) -> Callable[..., list[str]]:
    """Let the models ask for INNs; returns what is still to be asked."""

    def want(*inns: str) -> list[str]:
        warehouse.execute("create schema if not exists intermediate")
        warehouse.execute("create or replace table intermediate.int_companies__registry_queue (inn varchar)")
        warehouse.executemany(
            "insert into intermediate.int_companies__registry_queue values (?)", [[inn] for inn in inns]
        )
        return wanted_inns(warehouse, TTL)

    return want


def verdicts(warehouse: duckdb.DuckDBPyConnection) -> dict[str, dict]:
    rows = warehouse.execute("select source_key, payload from raw.registry__companies order by rowid").fetchall()
    return {inn: json.loads(payload) for inn, payload in rows}


def test_each_inn_is_asked_once_and_an_unknown_one_is_a_verdict_too(warehouse, step, sample, wanted):
    with RunningRegistry(sample, rate=1000, latency=0.01) as double:
        land_verdicts(warehouse, Registry(double.url, double.token, 500), wanted(*KNOWN, KNOWN[0], "9999999999"), step)
        assert set(double.requests.values()) == {1} and double.requests.total() == 61
    landed = verdicts(warehouse)
    assert landed["9999999999"] | {"asked_at": ""} == {
        "inn": "9999999999",
        "found": False,
        "asked_at": "",
        "suggestions": [],
    }
    known = landed[KNOWN[0]]
    assert known["found"] and known["suggestions"][0]["data"]["inn"] == KNOWN[0]
    assert wanted(*KNOWN, "9999999999", "8888888888") == ["8888888888"]
    warehouse.execute("update raw.registry__companies set source_at = source_at - interval 31 day")
    assert len(wanted(*KNOWN)) == 60


def test_the_pace_stays_under_the_rate_and_too_fast_is_asked_again(warehouse, step, sample, wanted):
    with RunningRegistry(sample, rate=20, latency=0.05) as double:
        land_verdicts(warehouse, Registry(double.url, double.token, 15), wanted(*KNOWN[:30]), step)
        assert double.refused[429] == 0
        land_verdicts(warehouse, Registry(double.url, double.token, 60), wanted(*KNOWN[:60]), step)
        assert double.refused[429] > 0
    assert len(verdicts(warehouse)) == 60


def test_a_service_that_stumbles_is_asked_again(warehouse, step, sample, wanted):
    with RunningRegistry(sample, rate=1000) as double:
        double.fail_next(3, 503)
        land_verdicts(warehouse, Registry(double.url, double.token, 500), wanted(*KNOWN[:5]), step)
    assert sorted(verdicts(warehouse)) == KNOWN[:5]


@pytest.mark.parametrize("options", [{"token": "another"}, {"quota": 25}])
def test_a_refused_key_stops_and_keeps_what_was_answered(warehouse, step, sample, wanted, options):
    with RunningRegistry(sample, rate=1000, latency=0.01, **options) as double:
        registry = Registry(double.url, "registry-key-of-the-sample", 100)
        with pytest.raises(OperatorError, match="refuses the key") as caught:
            land_verdicts(warehouse, registry, wanted(*KNOWN), step)
        assert "registry-key" not in caught.value.problem + caught.value.hint
    answered = double.requests.total()  # the quota counts answers given, so what is under way may go over it
    assert answered == 0 if "token" in options else 25 <= answered < 60
    assert len(verdicts(warehouse)) == step.rows_out == answered


def test_one_inn_without_an_answer_is_a_dead_letter_and_the_rest_lands(warehouse, step, sample, wanted):
    with stamina.set_testing(True, attempts=1), RunningRegistry(sample, rate=1000) as double:
        double.fail_next(1, 500)
        with pytest.raises(OperatorError, match="1 of 10 INNs got no answer"):
            land_verdicts(warehouse, Registry(double.url, double.token, 500), wanted(*KNOWN[:10]), step)
    assert len(verdicts(warehouse)) == 9
    assert warehouse.execute("select source, reason from raw.dead_letters").fetchall() == [("registry", "status 500")]
    assert len(wanted(*KNOWN[:10])) == 1


def test_inns_that_the_service_dislikes_are_asked_for_last_the_next_time(warehouse, step, sample, wanted):
    with stamina.set_testing(True, attempts=1), RunningRegistry(sample, rate=1000) as double:
        registry = Registry(double.url, double.token, 20)
        double.fail_next(GIVE_UP_AFTER + registry.in_flight, 400)  # no answer can overtake the last of these
        with pytest.raises(OperatorError, match=r"does not answer \(status 400\); \d+ of 60 INNs wait"):
            land_verdicts(warehouse, registry, wanted(*KNOWN), step)
        refused = {
            inn for (inn,) in warehouse.execute("select right(source_position, 10) from raw.dead_letters").fetchall()
        }
        asked = wanted(*KNOWN)
        assert GIVE_UP_AFTER <= len(refused) < len(KNOWN)
        assert {*asked[-len(refused) :]} == refused
        assert step.detail["waiting"] == len(asked)
        double.fail_next(0, 400)
        land_verdicts(warehouse, Registry(double.url, double.token, 500), asked, step)
    assert sorted(verdicts(warehouse)) == KNOWN


def test_a_quota_that_is_told_as_too_many_requests_ends_the_step_and_is_no_fault_of_an_inn(
    warehouse, step, sample, wanted
):
    with stamina.set_testing(True, attempts=1), RunningRegistry(sample, rate=1000) as double:
        double.fail_next(1000, 429)
        with pytest.raises(OperatorError, match=r"takes no more requests \(429\).*; 60 of 60 INNs wait"):
            land_verdicts(warehouse, Registry(double.url, double.token, 20), wanted(*KNOWN), step)
    assert double.refused[429] < 60  # nothing more is asked
    assert warehouse.execute("select count(*) from raw.dead_letters").fetchall() == [(0,)]


def test_a_service_that_is_down_is_given_up_soon(warehouse, step, wanted):
    with (
        stamina.set_testing(True, attempts=1),
        pytest.raises(OperatorError, match=r"does not answer \(ConnectError\)"),
    ):
        land_verdicts(warehouse, Registry("http://127.0.0.1:1", "key", 1000), wanted(*KNOWN), step)
    assert verdicts(warehouse) == {}


def test_a_service_that_is_asked_again_and_again_is_told_of_meanwhile(warehouse, step, wanted):
    said: list[str] = []
    registry = Registry("http://127.0.0.1:1", "key", 1000, said.append)
    with stamina.set_testing(True, attempts=3), pytest.raises(OperatorError, match="does not answer"):
        land_verdicts(warehouse, registry, wanted(*KNOWN), step)
    assert said == ["the registry does not answer (ConnectError): trying again (1 of 6)"]  # once in eight seconds


def test_a_service_that_keeps_silent_is_told_of_before_a_person_wonders(warehouse, step, wanted, monkeypatch):
    monkeypatch.setattr("ingest.registry.SAY_EVERY_S", 0.05)
    said: list[str] = []
    registry = Registry("http://registry.test", "key", 1000, said.append)

    async def answer(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.08)
        return httpx.Response(200, json={"suggestions": []})

    registry.client = httpx.AsyncClient(base_url=registry.url, transport=httpx.MockTransport(answer))
    land_verdicts(warehouse, registry, wanted(KNOWN[0]), step)
    assert said == ["the registry has not answered for 0.05 s: waiting, 30 s at the most"]


@pytest.mark.parametrize(("answer", "problem"), [(404, "answers 404 at"), (None, "does not answer")])
def test_a_password_in_the_address_is_in_no_error(warehouse, step, wanted, answer, problem):
    url = "http://user:s3cr3tw0rd@127.0.0.1:1"
    registry = Registry(url, "key", 1000)
    if answer:
        transport = httpx.MockTransport(lambda request: httpx.Response(answer))
        registry.client = httpx.AsyncClient(base_url=url, transport=transport)
    with stamina.set_testing(True, attempts=1), pytest.raises(OperatorError, match=problem) as caught:
        land_verdicts(warehouse, registry, wanted(*KNOWN), step)
    assert "http://127.0.0.1:1" in caught.value.problem
    assert "s3cr3tw0rd" not in caught.value.problem + caught.value.hint


def test_models_that_are_not_built_are_named(warehouse):
    with pytest.raises(OperatorError, match="int_companies__registry_queue") as caught:
        wanted_inns(warehouse, TTL)
    assert "before_registry" in caught.value.hint


@pytest.mark.parametrize("suffix", ["csv", "ndjson", "parquet"])
def test_a_verdict_file_of_any_kind_lands_once_with_its_zeros(warehouse, step, tmp_path, suffix):
    path = tmp_path / f"verdicts.{suffix}"
    rows = [
        {"inn": "0012345678", "status": "ACTIVE", "kpp": "001234567"},
        {"inn": "7707083893", "status": "LIQUIDATED"},
    ]
    if suffix == "csv":
        path.write_text("inn;status;kpp\n0012345678;ACTIVE;001234567\n7707083893;LIQUIDATED;\n")
    elif suffix == "ndjson":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    assert land_verdict_file(warehouse, path, step) == 2
    assert land_verdict_file(warehouse, path, step) is None
    landed = verdicts(warehouse)
    assert landed["0012345678"] == {"inn": "0012345678", "found": True, "verdict": rows[0]}
    assert landed["7707083893"]["verdict"]["status"] == "LIQUIDATED"


def test_a_new_version_of_the_file_lands_only_what_changed(warehouse, step, tmp_path):
    path = tmp_path / "verdicts.csv"
    for status, landed in ("ACTIVE", 2), ("LIQUIDATED", 1), ("ACTIVE", 1):
        path.write_text(f"inn,status\n1,{status}\n2,ACTIVE\n")
        assert land_verdict_file(warehouse, path, step) == landed


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("no.csv", None, "there is no verdict file"),
        ("v.xlsx", b"PK", "is no verdict file"),
        ("v.csv", b"status\nACTIVE\n", "has no column inn"),
        ("v.parquet", b"not parquet", "cannot be read"),
        ("v.ndjson", gzip.compress(b"{}", mtime=0), "cannot be read"),
    ],
)
def test_an_unusable_verdict_file_is_one_line(warehouse, step: Step, tmp_path, name, content, problem):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OperatorError, match=problem) as caught:
        land_verdict_file(warehouse, path, step)
    assert caught.value.hint and "\n" not in caught.value.problem


def test_a_broken_verdict_file_does_not_keep_the_service_from_being_asked(ingest: Ingest, sample, tmp_path):
    ingest.query("create schema intermediate")
    queue = "intermediate.int_companies__registry_queue"
    ingest.query(f"create table {queue} as select inn from '{sample}/registry.parquet' limit 20")
    with RunningRegistry(sample, rate=1000) as double:
        ingest.set(registry_url=double.url, registry_token=double.token, registry_rate="500", registry_file="no.csv")
        finished = ingest.run("registry")
    assert finished.returncode == 1 and "there is no verdict file" in finished.stderr
    assert ingest.query("select count(*) from raw.registry__companies") == [(20,)]


def test_the_command_takes_the_file_first_and_asks_the_service_for_the_rest(ingest: Ingest, sample, tmp_path):
    ingest.query("create schema intermediate")
    queue = "intermediate.int_companies__registry_queue"
    ingest.query(f"create table {queue} as select inn from '{sample}/registry.parquet' limit 20")
    (tmp_path / "verdicts.csv").write_text("inn,status\n0000000001,ACTIVE\n0000000002,LIQUIDATED\n")
    with RunningRegistry(sample, rate=1000) as double:
        ingest.set(
            registry_url=double.url,
            registry_token=double.token,
            registry_rate="500",
            registry_file=str(tmp_path / "verdicts.csv"),
        )
        finished = ingest.run("registry")
        assert (finished.returncode, finished.stderr) == (0, "")
        assert double.requests.total() == 18
    assert "18 of 18 INNs" in finished.stdout
    assert ingest.query("select count(*) from raw.registry__companies") == [(20,)]
