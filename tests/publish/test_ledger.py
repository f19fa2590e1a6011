"""The ledger: one portal at a time, rows of before that are claimed, and dead letters that come back."""

from datetime import timedelta

import pytest
from pydantic import SecretStr

from ingest.bitrix24.client import Client
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.journal import utc_now
from publish import plan, portals
from publish.bitrix24.parts import PARTS
from publish.entries import Conflict, Duplicates, Entry, Intent, Merge, Refusal
from publish.ledger import Ledger
from publish.parts import Key
from publish.portals import TABLES, last_portal
from publish.sandbox import Limits, create_app
from tests.publish import marts


def write_something_everywhere(ledger: Ledger, origin_id: str = "c-1") -> None:
    ledger.settle(
        [Entry("company", origin_id, 7, sent_before='{"title": "a"}')],
        [Refusal("contact", origin_id, "{}", "CODE", "text")],
        conflicts=[Conflict("deal", origin_id, 9, "title", "a", "b", "c")],
    )
    ledger.intend([Intent("deal", origin_id, "{}", links=("c-2",))])
    ledger.intend_updates([Entry("requisite", origin_id, 7)])
    ledger.list_duplicates([Duplicates("company", origin_id, "RQ_INN 1", [1, 2])])
    ledger.mark_deleted({Key("contact", origin_id): 8})
    ledger.begin_merges([Merge(Entry("company", origin_id, 7), "2026-01-01")])
    ledger.remember_choices("deal", "stageId", {"paid": origin_id})
    ledger.connection.execute(
        "insert into sync.confirmed_plans values (?, '{}', current_timestamp::timestamp)", [ledger.portal]
    )


def test_what_one_portal_holds_is_not_seen_by_another(warehouse):
    other, one = Ledger(warehouse, "other.bitrix24.ru"), Ledger(warehouse, "one.bitrix24.ru")
    write_something_everywhere(other)
    assert warehouse.execute("select count(*) from portal_ledger").fetchone() == (0,)
    assert [one.count(table) for table in TABLES] == [0] * len(TABLES)
    assert (one.ids("company", ["c-1"]), one.origins("company", [7]), one.published()) == ({}, {}, {})
    assert one.open_intents() == []
    write_something_everywhere(one)
    one.settle(gone=[Key("company", "c-1")], absent=[Key("deal", "c-1")])
    one.settle([Entry("contact", "c-1", 8), Entry("deal", "c-1", 9)])
    assert [other.count(table) for table in TABLES] == [1] * len(TABLES)
    assert other.ids("company", ["c-1"]) == {"c-1": 7}


def test_rows_of_before_the_portal_was_kept_belong_to_the_first_portal(warehouse):
    write_something_everywhere(Ledger(warehouse, ""))
    first = Ledger(warehouse, "one.bitrix24.ru:8443")
    portals.claim(warehouse, first.portal)
    assert [first.count(table) for table in TABLES] == [1] * len(TABLES)
    second = Ledger(warehouse, "other.bitrix24.ru")
    assert [second.count(table) for table in TABLES] == [0] * len(TABLES)


def test_a_whole_ledger_of_before_is_claimed_and_nothing_is_sent_again(warehouse):
    ledger = Ledger(warehouse, "")
    marts.fill(warehouse, 3000, 6000)
    plan.compute(ledger, PARTS)
    marts.take_over(warehouse, portal="")
    claimed = Ledger(warehouse, "one.bitrix24.ru")
    portals.claim(warehouse, claimed.portal)
    plan.compute(claimed, PARTS)
    assert sum(plan.count(warehouse, part.entity) for part in PARTS) == 0


def test_only_a_push_that_the_portal_answers_says_whose_a_ledger_of_before_is(office, monkeypatch):
    async def unanswered(client, commands):
        raise OperatorError("typo.test cannot be reached")

    marts.fill(office.connection, 5, 10, 5)
    office.push()
    office.connection.execute("update sync.ledger set portal = ''")
    with monkeypatch.context() as away, pytest.raises(OperatorError):
        away.setattr(Client, "read", unanswered)
        office.push(bitrix24_webhook=SecretStr("http://typo.test/rest/1/sandbox/"))
    assert office.sql("select distinct portal from sync.ledger") == [("",)]
    office.push()
    assert office.sql("select count(*) from sync.ledger where portal = ''") == [(0,)]
    assert office.portal.counts()["company"] == 5


def test_without_a_webhook_the_portal_is_the_one_published_to_last(warehouse):
    assert last_portal(warehouse) == ""
    for portal in ("one.bitrix24.ru", "other.bitrix24.ru"):
        Ledger(warehouse, portal).settle([Entry("company", "c-1", 7)])
    assert last_portal(warehouse) == "other.bitrix24.ru"


def test_a_second_portal_is_filled_from_the_start_and_the_first_is_left_alone(office):
    marts.fill(office.connection, 5, 10, 5)
    office.push()
    first, counts = office.app, office.portal.counts()
    office.app = create_app(":memory:", limits=Limits.none(), clock=office.clock)
    office.push(bitrix24_webhook=SecretStr("http://other.test/rest/1/sandbox/"))
    assert office.portal.counts() == counts
    first.state.portal.clear_log()
    office.push(bitrix24_webhook=SecretStr("http://other.test/rest/1/sandbox/"))
    office.app = first
    office.push()
    assert office.portal.request_log() == []
    parts = office.sql("select portal, count(*) from sync.ledger group by 1 order by 1")
    assert parts == [("other.test", parts[0][1]), ("portal.test", parts[0][1])]


def test_a_broken_write_leaves_nothing_behind(warehouse):
    ledger = Ledger(warehouse, "one.bitrix24.ru")
    with pytest.raises(Exception, match="NOT NULL"):
        ledger.settle([Entry("company", "c-1", 7), Entry("company", None, 8)])
    assert ledger.count("ledger") == 0


def test_dead_letters_are_tried_again_with_a_growing_delay_and_at_once_when_they_change(office):
    marts.fill(office.connection, 1, 1)
    office.sql("update marts.crm_contacts set emails = ['not an address']")
    delays = []
    for _ in range(5):
        office.push()
        delays += [row[0] for row in office.sql("select date_diff('minute', last_at, next_at) from sync.dead_letters")]
        office.portal.clear_log()
        office.push()
        assert office.portal.writes() == {}
        office.sql("update sync.dead_letters set next_at = now()::timestamp")
    assert delays == [15, 60, 240, 1440, 1440]
    office.push()
    office.sql("update marts.crm_contacts set emails = ['petrov@example.ru']")
    office.push()
    assert office.differences() == []


@pytest.mark.parametrize("hours", [0, -1])
def test_parts_made_since_a_portal_was_copied_are_compared_once_more_as_those_changed_since(
    warehouse, monkeypatch, hours
):
    ledger = Ledger(warehouse, "one.bitrix24.ru")
    (company,) = [part for part in PARTS if part.entity == "company"]
    changed = {"sent_before": "{}", "sent": '{"title": "a"}', "wanted": '{"title": "a"}'}
    for push, entries in (
        (1, [Entry("company", "c-1", 1, **changed)]),
        (3, [Entry("company", "c-2", 2, **changed), Entry("company", "c-3", 3, wanted='{"title": "a"}')]),
    ):
        ledger.push = push
        ledger.settle(entries)
        monkeypatch.setattr("publish.ledger.utc_now", lambda: utc_now() + timedelta(hours=hours))
    ledger.decide_anew(company, 3)
    anew = "select origin_id from sync.ledger where wanted ->> '$.anew' is not null order by 1"
    assert warehouse.execute(anew).fetchall() == [("c-2",), ("c-3",)]
