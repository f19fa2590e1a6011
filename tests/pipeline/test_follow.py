"""`publish follow` on a real broker and a real MariaDB, with the sandbox portal: one process for most of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chaos import follow as chaos
from tests.failures_page import as_on_the_page
from tests.following import Following, following
from tests.pipeline.test_third_shop import fill
from tests.servers import Kafka, MariaDB

COMPANIES = 60


@dataclass
class Followed:
    """Who follows, and what can be done to shop A."""

    follow: Following
    server: MariaDB
    database: str

    def sql(self, statement: str) -> None:
        with self.server.connect(self.database) as connection, connection.cursor() as cursor:
            cursor.execute(statement)

    def add_client(self, number: int) -> None:
        """A company of shop A, with a person."""
        inn, times = self.follow.inns[COMPANIES + number], "now(), now()"
        self.sql(
            f"insert into clients (id, name, inn, created_at, updated_at) values ({number}, 'x', '{inn}', {times})"
        )
        self.sql(
            f"""insert into client_contacts (id, client_id, full_name, email, created_at, updated_at)
                values ({number}, {number}, 'Кротов Пётр Ильич', 'a-{number}@klyon.example', {times})"""
        )
        self.follow.wanted[COMPANIES + number] = f"a-{number}@klyon.example"


@pytest.fixture(scope="module")
def followed(kafka: Kafka, mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    with mariadb.database() as database:
        fill(mariadb, database)
        settings = {"SVOD_SHOP_A_URL": mariadb.url(database), "SVOD_FOLLOW_SHOP_A_MINUTES": "0.05"}
        with following(tmp_path_factory.mktemp("follow"), kafka, COMPANIES, **settings) as follow:
            follow.start()
            follow.send(range(5), "first")
            follow.wait_until("the first cards are there", follow.is_right)
            yield Followed(follow, mariadb, database)


def landed(follow: Following) -> int:
    ((events,),) = follow.look("select count(*) from raw.shop_b__events")
    return events


def test_an_event_reaches_the_card_of_its_person(followed: Followed):
    follow = followed.follow
    follow.send([1], "second")
    follow.wait_until("the card has changed", follow.is_right)
    assert follow.differences() == []


def test_tables_are_read_on_their_schedule_in_the_same_process(followed: Followed):
    followed.add_client(1)
    followed.follow.wait_until("shop A's company is there", followed.follow.is_right)
    assert followed.follow.differences() == []


def test_another_run_beside_it_is_refused_and_told_who_is_at_work(followed: Followed):
    ended = followed.follow.svod.tool("publish", "run")
    assert ended.status == 75
    assert as_on_the_page("publish follow (process …, since …", ended.output)
    assert f"publish follow (process {followed.follow.pid}, since 20" in ended.output
    assert f"stop it first: kill {followed.follow.pid}" in ended.output


def test_what_fails_of_a_source_pauses_that_source_alone(followed: Followed):
    follow = followed.follow
    followed.sql("rename table clients to away")
    follow.wait_until("it pauses", lambda: follow.said("shop_a (MySQL) pauses for 5 s, all else goes on"))
    assert as_on_the_page("… pauses for … s, all else goes on", follow.log.read_text())
    follow.send([2], "meanwhile")
    follow.wait_until("events go on", follow.is_right)
    assert not follow.said("shop_a (MySQL) works again")
    followed.sql("rename table away to clients")
    followed.add_client(2)
    follow.wait_until("it works again", lambda: follow.said("shop_a (MySQL) works again") and follow.is_right())


def test_a_gate_that_stops_the_models_pauses_publishing_and_not_landing(followed: Followed):
    """A mart that grows by more than twenty rows at once does not pass."""
    follow = followed.follow
    held = follow.emails()
    follow.send(range(10, 40), "many")
    follow.wait_until("it pauses", lambda: follow.said("models pauses"))
    before = landed(follow)
    follow.send([3], "behind")
    follow.wait_until("events land", lambda: landed(follow) > before)
    assert follow.emails() == held
    assert follow.look("select state from ops.follow where part = 'models'") == [("paused",)]
    follow.delete(range(10, 40))
    follow.wait_until("the gate is open again", follow.is_right)
    assert follow.log.read_text().count("models works again") == 1


def test_it_ends_well_when_it_is_told_to_with_its_lag_kept_for_status_and_goes_on_from_there(followed: Followed):
    follow = followed.follow
    follow.wait_until("nothing waits", lambda: follow.look("select messages, seconds from ops.lag") == [(0, 0.0)])
    assert follow.stop() == 0
    assert follow.said("publish follow: stopped, as it was told to")
    assert follow.svod.query("select count(*) from ops.steps where status = 'running'") == [(0,)]
    told = follow.svod.tool("ingest", "status").output
    assert "What `make follow` follows" in told and "Ahead of the portal" in told
    follow.send([4], "later")
    follow.start()
    follow.wait_until("it goes on", follow.is_right)


def test_killed_at_any_moment_it_lands_each_message_once_and_the_portal_is_right_in_the_end(
    kafka: Kafka, tmp_path: Path
):
    outcome = chaos.run(kafka, tmp_path, kills=2, seed=3)
    assert outcome.kills == 2
    assert outcome.differences == []
