"""Everything is broken at once: MySQL and Kafka are down, a file is damaged, the registry's quota is spent.

What is there goes to the CRM all the same, day after day, and each run says what is missing.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from publish.sandbox import Limits, RunningSandbox
from tests.failures_page import as_on_the_page
from tests.installation import Ended, Installation
from tests.sample_data.registry_double import RunningRegistry

QUOTA = 60
DAYS = 3


@dataclass(frozen=True)
class Day:
    """How a day's run ended, the INNs that the portal holds after it, and those that should be there."""

    ended: Ended
    held: list[str]
    wanted: set[str]
    waiting: int


@dataclass(frozen=True)
class Broken:
    svod: Installation
    days: list[Day]


@pytest.fixture(scope="module")
def broken(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broken]:
    """Runs with a quota of a few verdicts a day, until the quota is lifted on the last one."""
    folder = tmp_path_factory.mktemp("broken")
    files = folder / "files"
    files.mkdir()
    for path in (sample / "shop_b").glob("history-*"):
        shutil.copy(path, files)
    (files / "history-0.json").write_text('{"companies": [{"uid": "b-damaged", "na')
    with (
        RunningRegistry(sample, rate=2000, quota=QUOTA) as registry,
        RunningSandbox(folder / "portal.sqlite", limits=Limits.none()) as sandbox,
    ):
        svod = Installation(
            folder / "svod",
            {
                "SVOD_SHOP_A_URL": "mysql://root:s3cret@127.0.0.1:1/shop",
                "SVOD_SHOP_B_FILES": str(files / "history-*.json*"),
                "SVOD_SHOP_B_KAFKA": "127.0.0.1:1",
                "SVOD_REGISTRY_URL": registry.url,
                "SVOD_REGISTRY_TOKEN": registry.token,
                "SVOD_REGISTRY_RATE": "200",
                "SVOD_BITRIX24_WEBHOOK": sandbox.webhook,
                "SVOD_BITRIX24_RATE": "0",
                "SVOD_SINCE": "2025-01-01",
            },
        )
        days = []
        for number in range(DAYS):
            registry.quota = None if number == DAYS - 1 else QUOTA * (number + 1)
            ended = svod.tool("publish", "run", *(["--full"] if number == 0 else []))
            waiting = svod.query("select count(*) from marts.rejected_companies where reason = 'awaiting_verdict'")
            held = [one["RQ_INN"] for one in sandbox.portal.requisites()]
            days.append(Day(ended, held, registry.answered_as_active(), waiting[0][0]))
        yield Broken(svod, days)


def test_each_run_goes_on_and_says_in_one_line_what_failed(broken: Broken):
    for number, day in enumerate(broken.days):
        assert day.ended.status == 1, day.ended.output
        damaged = "ingest json (shop_b), " if number == 0 else ""  # told of once, until the file changes
        line = f"error: this run failed: {damaged}ingest kafka (shop_b), ingest mysql (shop_a)"
        assert line in day.ended.output.splitlines()
        assert "s3cret" not in day.ended.output


def test_just_the_companies_that_were_answered_for_are_in_the_portal_each_day(broken: Broken):
    for day in broken.days:
        assert len(day.held) == len(set(day.held))
        assert set(day.held) == day.wanted
    growing = [len(day.held) for day in broken.days]
    assert 0 < growing[0] < growing[1] < growing[2]
    assert [day.waiting > 0 for day in broken.days] == [True, True, False]


def test_the_registrys_step_says_how_many_wait(broken: Broken):
    assert as_on_the_page("the quota of today is spent; it goes on at … UTC", broken.days[0].ended.output)
    steps = broken.svod.query(
        """select status, (detail ->> '$.waiting')::int > 0 from ops.steps
           where step = 'ingest registry' order by started_at"""
    )
    assert steps == [("done", True), ("done", True), ("done", None)]


def test_what_is_whole_of_a_damaged_file_and_all_other_files_landed(broken: Broken):
    landed = broken.svod.query("select count(distinct split_part(source_position, '@', 1)) from raw.shop_b__companies")
    assert landed[0][0] >= 3


def test_each_source_is_known_to_fail_since_its_first_try(broken: Broken):
    failing = broken.svod.query(
        """select source, kind, problem is not null, read_at from ops.source_reads
           where failing_since is not null order by kind"""
    )
    assert failing == [(name, kind, True, None) for name, kind in (("shop_b", "Kafka"), ("shop_a", "MySQL"))]


def test_a_source_that_failed_for_three_days_stops_the_run_before_the_crm(broken: Broken):
    import duckdb

    with duckdb.connect(str(broken.svod.warehouse)) as connection:
        connection.execute(
            "update ops.source_reads set failing_since = failing_since - interval 73 hour where kind = 'MySQL'"
        )
    ended = broken.svod.tool("publish", "run")
    assert ended.status == 3
    assert (
        "shop_a (MySQL) since" in ended.output and "stopped before the portal by a gate: publish push" in ended.output
    )
