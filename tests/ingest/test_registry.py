"""Verdicts: asked for once per INN, under the rate, kept whatever happens. Against a stand-in for the service."""

import asyncio
import gzip
import json
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import duckdb
import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import stamina

from ingest.raw import raw_table
from ingest.registry import land_verdicts, waiting_inns, wanted_inns
from ingest.registry_file import land_verdict_file
from ingest.registry_pacing import Doors, Pace
from ingest.registry_service import GIVE_UP_AFTER, Registry
from ingest.status import registry_tables
from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.journal import Step, utc_now
from tests.ingest.conftest import Ingest
from tests.sample_data.registry_double import RunningRegistry

KNOWN = [f"{number:010}" for number in range(1, 61)]
TTL = timedelta(days=30)


@pytest.fixture(autouse=True)
def _a_minute_later() -> None:
    """No test may open fewer connections for those before it."""
    Doors.opened.clear()


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


def queue(warehouse: duckdb.DuckDBPyConnection, inns: list[str]) -> None:
    """The model's table with these INNs, in this order."""
    warehouse.execute("create schema if not exists intermediate")
    warehouse.execute(
        """create or replace table intermediate.int_companies__registry_queue as
           select inn, min(place) as place, 'others' as reason, 1::double as ttl_factor
           from (select unnest(?::varchar[]) as inn, unnest(range(?)) as place) group by inn""",
        [inns, len(inns)],
    )


def ask_for_twenty(ingest: Ingest) -> None:
    connection = open_warehouse(ingest.warehouse)
    queue(connection, KNOWN[:20])
    connection.close()


@pytest.fixture
def wanted(warehouse: duckdb.DuckDBPyConnection) -> Callable[..., list[str]]:
    """Let the models ask for INNs; returns what is still to be asked."""

    def want(*inns: str) -> list[str]:
        queue(warehouse, list(inns))
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


def test_a_refused_key_is_shown_once_and_never_in_words(warehouse, step, sample, wanted):
    with RunningRegistry(sample, rate=1000, token="another") as double:
        registry = Registry(double.url, "registry-key-of-the-sample", 100)
        with pytest.raises(OperatorError, match=r"refuses the key \(401\); 60 of 60 INNs wait") as caught:
            land_verdicts(warehouse, registry, wanted(*KNOWN), step)
        assert "registry-key" not in caught.value.problem + caught.value.hint
        assert double.refused == {401: 1}  # one request finds out


def test_a_spent_quota_keeps_what_was_answered_and_is_no_failure(warehouse, step, sample, wanted):
    with RunningRegistry(sample, rate=1000, latency=0.01, quota=25) as double:
        spent = land_verdicts(warehouse, Registry(double.url, double.token, 100), wanted(*KNOWN), step)
        answered = double.requests.total()  # the quota counts answers given, so what is under way may go over it
        assert 25 <= answered < 60 and len(verdicts(warehouse)) == step.rows_out == answered
        assert step.detail["waiting"] == 60 - answered and step.detail["goes_on_at"] == spent.goes_on_at.isoformat()
        assert spent.goes_on_at.hour == 21 and timedelta() < spent.goes_on_at - utc_now() <= timedelta(days=1)
        refused = double.refused[403]
        assert land_verdicts(warehouse, Registry(double.url, double.token, 100), wanted(*KNOWN), step)
        assert double.refused[403] == refused + 1  # while it lasts, a run asks once
    assert waiting_inns(warehouse, TTL) == [("others", 60 - answered)]


@pytest.mark.parametrize(
    ("words", "is_quota"),
    [
        (b"{\"message\": \"Feature 'SUGGESTIONS' disabled for token 'x'\"}", True),
        ("Превышен дневной лимит".encode(), True),
        (b'{"message": "Forbidden"}', False),
    ],
)
def test_a_spent_quota_is_told_from_a_wrong_key_by_the_words(warehouse, step, wanted, words, is_quota):
    registry = Registry("http://registry.test", "key", 1000)
    refuse = httpx.MockTransport(lambda request: httpx.Response(403, content=words))
    registry.client = httpx.AsyncClient(transport=refuse, base_url="http://registry.test")
    if is_quota:
        assert land_verdicts(warehouse, registry, wanted(*KNOWN[:2]), step)
    else:
        with pytest.raises(OperatorError, match="refuses the key"):
            land_verdicts(warehouse, registry, wanted(*KNOWN[:2]), step)


def test_the_documented_rate_is_used_up_and_hardly_ever_refused(warehouse, step, sample, wanted):
    inns = [f"{number:010}" for number in range(120)]
    with RunningRegistry(sample, rate=30, latency=0.4) as double:
        land_verdicts(warehouse, Registry(double.url, double.token, 30), wanted(*inns), step)
    # A machine with nothing else to do is never refused, and has 28 a second: `python -m tests.bench registry`.
    assert double.refused.total() <= 2
    assert 6 < len(double.connections) < 30  # as many at once as the latency needs, which are twelve


def test_a_service_without_a_pace_is_not_asked_over_hundreds_of_connections(warehouse, step, sample, wanted):
    inns = [f"{number:010}" for number in range(200)]
    with RunningRegistry(sample, rate=2000, latency=0.1) as double:
        land_verdicts(warehouse, Registry(double.url, double.token, 2000), wanted(*inns), step)
    assert len(double.connections) <= 55 and double.requests.total() == 200


def test_no_more_connections_are_opened_in_a_minute_than_the_service_lets(monkeypatch):
    monkeypatch.setattr("ingest.registry_pacing.CONNECTIONS_A_MINUTE", 3)
    monkeypatch.setattr("ingest.registry_pacing.SPARE_CONNECTIONS", 0)
    now, waits = [1000.0], []

    async def sleep(seconds: float) -> None:
        now[0] += seconds + 0.001

    async def open_some(doors: Doors, count: int) -> None:
        for _ in range(count):
            now[0] += 1
            await doors.open()

    monkeypatch.setattr("ingest.registry_pacing.asyncio.sleep", sleep)
    monkeypatch.setattr("ingest.registry_pacing.monotonic", lambda: now[0])
    first, second = Doors(waits.append), Doors(waits.append)
    assert first.most == 3
    asyncio.run(open_some(first, 2))
    assert (first.most, second.most) == (3, 1)  # what a client before opened counts
    asyncio.run(open_some(second, 2))
    assert [round(seconds) for seconds in waits] == [57] and now[0] > 1061
    now[0] += 100
    assert (first.most, second.most) == (5, 5)


def test_a_refusal_for_pace_makes_the_pace_slower_and_answers_make_it_as_fast_again():
    pace = Pace(30)
    allowed = pace.rate
    for _ in range(100):
        pace.refused(0)
    assert pace.rate == pytest.approx(allowed / 2)
    for _ in range(1000):
        pace.answered()
    assert pace.rate == allowed < 30


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
        double.fail_next(60, 400)
        with pytest.raises(OperatorError, match=r"does not answer \(status 400\); 60 of 60 INNs wait"):
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
    assert warehouse.execute("from ops.registry_failures").fetchall() == []


def test_an_inn_that_fails_again_and_again_waits_longer_each_time_and_the_others_do_not(
    warehouse, step, sample, wanted
):
    delays = "select epoch(next_at - failed_at) / 3600 from ops.registry_failures"
    waited = []
    with stamina.set_testing(True, attempts=1), RunningRegistry(sample, rate=1000) as double:
        for _ in range(13):
            double.fail_next(1, 422)
            with pytest.raises(OperatorError, match="1 of 1 INNs got no answer"):
                land_verdicts(warehouse, Registry(double.url, double.token, 500), [KNOWN[0]], step)
            waited += [hours for (hours,) in warehouse.execute(delays).fetchall()]
            is_late = waited[-1] > 0
            assert wanted(*KNOWN[:3]) == [*KNOWN[1:3], *([] if is_late else KNOWN[:1])]
        assert waited == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 720, 720]
        assert waiting_inns(warehouse, TTL) == [("others", 2), ("no answer so far, asked again later", 1)]
        warehouse.execute("update ops.registry_failures set next_at = next_at - interval 30 day")
        assert wanted(*KNOWN[:3]) == [*KNOWN[1:3], KNOWN[0]]


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
    monkeypatch.setattr("ingest.registry_service.SAY_EVERY_S", 0.05)
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
    ask_for_twenty(ingest)
    with RunningRegistry(sample, rate=1000) as double:
        ingest.set(registry_url=double.url, registry_token=double.token, registry_rate="500", registry_file="no.csv")
        finished = ingest.run("registry")
    assert finished.returncode == 1 and "there is no verdict file" in finished.stderr
    assert ingest.query("select count(*) from raw.registry__companies") == [(20,)]


def test_the_command_takes_the_file_first_and_asks_the_service_for_the_rest(ingest: Ingest, sample, tmp_path):
    ask_for_twenty(ingest)
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


def told_of_registry(warehouse: duckdb.DuckDBPyConnection, rate: float = 30) -> dict[str, object]:
    ((_, _, facts),) = registry_tables(warehouse, TTL, rate)
    return {what.strip(): count for what, count in facts}


def test_the_status_tells_how_many_wait_until_when_and_what_the_control_digits_saved(warehouse, wanted):
    assert list(registry_tables(warehouse, TTL, 30)) == []  # before the models
    wanted(*KNOWN)
    warehouse.execute(
        """create table intermediate.int_companies__validated as from (values
               ('a', '1', false, true, false), ('b', '12', false, false, false), ('c', '12', false, false, false),
               ('d', '34', false, false, false), ('e', '-', true, false, false), ('f', '56', false, false, true)
           ) as given(record_key, inn_raw, is_inn_missing, is_inn_valid, is_deleted);
           create table intermediate.int_companies__activity as
               select record_key, true as is_in_period from intermediate.int_companies__validated"""
    )
    assert told_of_registry(warehouse) == {
        "INNs that wait for a verdict of the registry": 60,
        "others": 60,
        "at this rate all are answered": "0:00:02 after the next run begins, 28.6 a second",
        "requests saved by the control digits: INNs that cannot be": 2,
    }
    last = (
        "insert into ops.steps (run_id, step, started_at, status, detail) values ('r', 'ingest registry', ?, 'done', ?)"
    )
    warehouse.execute(last, ["2026-11-01", '{"answered": 2000, "a_second": 6.0}'])
    assert told_of_registry(warehouse)["at this rate all are answered"].startswith("0:00:10 after")
    quota = {"answered": 25, "a_second": 28.0, "goes_on_at": "2026-11-02T21:00:00"}
    warehouse.execute(last, ["2026-11-02", json.dumps(quota)])
    by_quota = "2026-11-04 UTC, 25 a day, as many as the quota lets"
    assert told_of_registry(warehouse)["at this rate all are answered"] == by_quota


def test_verdicts_of_one_day_expire_spread_over_a_third_of_their_time_to_live(warehouse, wanted):
    wanted(*KNOWN)
    raw_table(warehouse, "registry__companies", "")
    warehouse.execute(
        "update intermediate.int_companies__registry_queue set ttl_factor = 1 + (inn::bigint * 48271 % 1000) / 3000"
    )
    warehouse.execute(
        """insert into raw.registry__companies select '{}', inn, ?, 'service@' || inn, 'r', now()
           from intermediate.int_companies__registry_queue""",
        [utc_now()],
    )
    left = []
    for _ in range(41):
        left.append(len(wanted_inns(warehouse, TTL)))
        warehouse.execute("update raw.registry__companies set source_at = source_at - interval 1 day")
    assert left[30] == 0 and left[40] == 60  # none before its time
    assert max(later - sooner for sooner, later in pairwise(left)) < 20
