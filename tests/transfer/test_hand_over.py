"""After a move the first job goes on in the box: what it had published in the cloud it finds there, each once."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from ingest.warehouse.connection import open_warehouse
from publish.sandbox import RunningSandbox
from publish.transfer.hand_over import copy_ledger
from tests.installation import Ended
from tests.publish import marts

from .story import Scale, Story
from .test_stages import restore

NOTHING = Scale(0, 0, 0, 0, 0, 0, 0, 0, parts=1, new_leads=0, changes=0)


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    with Story(tmp_path / "move", NOTHING) as story:
        yield story


def publish(story: Story, sandbox: RunningSandbox, companies: int = 0, sql: str = "") -> Ended:
    """The first job's push to a portal, of so many companies with people and orders."""
    with closing(open_warehouse(story.svod.warehouse)) as connection:
        if companies:
            marts.prepare(connection)
            marts.fill(connection, companies, 2 * companies, companies)
        if sql:
            connection.execute(sql)
        marts.stamp(connection)
    story.svod.settings["SVOD_BITRIX24_WEBHOOK"] = sandbox.webhook
    story.svod.settings["SVOD_BITRIX24_RATE"] = "0"
    ended = story.svod.tool("publish", "push", "--let-through")
    assert ended.status == 0, ended.output
    return ended


def test_the_next_run_in_the_box_makes_nothing_twice_and_changes_the_right_cards(story):
    publish(story, story.cloud, 6)
    restore(story)
    ended = story.make("transfer-baseline")
    assert ended.status == 0, ended.output
    for _ in range(3):  # numbers that the cloud gives to cards of its own
        story.ask(story.box, "crm.item.add", entityTypeId=4, fields={"title": "Чужая"})
        story.ask(story.box, "crm.item.add", entityTypeId=3, fields={"name": "Чужой"})
    publish(story, story.cloud, 9)
    gone = story.cloud.portal.items("company")[1]["id"]
    story.ask(story.cloud, "crm.item.delete", entityTypeId=4, id=gone)
    ended = story.make("transfer-final", "CONFIRM=frozen", "ARGS=--automation-is-off")
    assert ended.status == 0, ended.output
    assert "is known of" in ended.output and "stay away" in ended.output
    counts = story.box.portal.counts()
    story.box.portal.clear_log()
    ended = publish(story, story.box)
    assert "created nothing; updated nothing" in ended.output
    assert (story.box.portal.writes(), story.box.portal.counts()) == ({}, counts)

    publish(story, story.box, sql="update marts.crm_companies set title = title || ', новое имя'")
    assert story.box.portal.counts() == counts
    titles = [card["title"] for card in story.box.portal.items("company")]
    assert (sum("новое имя" in title for title in titles), titles.count("Чужая")) == (8, 3)


def test_what_is_moved_later_gets_its_id_and_stays_away_no_longer(tmp_path):
    with closing(open_warehouse(tmp_path / "svod.duckdb")) as connection:
        for origin_id, cloud_id in (("c-1", 1), ("c-2", 2)):
            connection.execute(
                """insert into sync.ledger by name
                   select 'cloud.test' as portal, 'company' as entity, ? as origin_id, ? as bitrix_id, '{}' as sent,
                       '{}' as wanted, false as is_adopted, now()::timestamp as synced_at""",
                [origin_id, cloud_id],
            )
        connection.execute("create schema marts")
        connection.execute(
            """create table marts.transfer_outcomes as select * from (values
                   ('company', '1', 11, 'unchanged'), ('company', '2', null, 'refused')
               ) as outcomes (entity, source_id, target_id, outcome)"""
        )
        copy_ledger(connection, "cloud.test", "box.test")
        assert lines(connection) == [("c-1", 11, False), ("c-2", None, True)]
        connection.execute("update marts.transfer_outcomes set target_id = 900 where source_id = '2'")
        copy_ledger(connection, "cloud.test", "box.test")
        assert lines(connection) == [("c-1", 11, False), ("c-2", 900, False)]


def test_what_the_first_job_has_settled_in_the_box_since_stays_settled(tmp_path):
    with closing(open_warehouse(tmp_path / "svod.duckdb")) as connection:
        connection.execute(
            """insert into sync.ledger by name
               select 'cloud.test' as portal, 'company' as entity, 'c-1' as origin_id, 1 as bitrix_id, '{}' as sent,
                   '{}' as wanted, false as is_adopted, now()::timestamp as synced_at"""
        )
        connection.execute("insert into sync.deletions values ('cloud.test', 'company', 'c-1', 1, now(), false)")
        connection.execute(
            """insert into sync.dead_letters
               select 'cloud.test', 'company', 'c-1', 'REFUSED', '', 1, now(), now(), '{}'"""
        )
        connection.execute("create schema marts")
        connection.execute(
            """create table marts.transfer_outcomes as select * from (values
                   ('company', '1', 11, 'unchanged')) as outcomes (entity, source_id, target_id, outcome)"""
        )
        copy_ledger(connection, "cloud.test", "box.test")
        assert lines(connection) == [("c-1", 11, True)]
        for table in ("deletions", "dead_letters"):  # it was asked for again, and made
            connection.execute(f"delete from sync.{table} where portal = 'box.test'")
        copy_ledger(connection, "cloud.test", "box.test")
        assert lines(connection) == [("c-1", 11, False)]
        assert connection.execute("select portal from sync.dead_letters").fetchall() == [("cloud.test",)]


def lines(connection: duckdb.DuckDBPyConnection) -> list[tuple]:
    """What the box holds of ours: key, id, whether it stays away."""
    return connection.execute(
        """select origin_id, ledger.bitrix_id, deletions.origin_id is not null from sync.ledger
           left join sync.deletions using (portal, entity, origin_id) where portal = 'box.test' order by 1"""
    ).fetchall()
