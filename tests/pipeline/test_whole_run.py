"""Three sources in, Bitrix24 out: two days, a repeat, a full run over it all, and a rebuild from nothing."""

import re
import sys

import duckdb
import pytest

from publish.explain.keys import subjects
from tests.installation import ROOT
from tests.pipeline.conftest import Chapter, Story
from tests.test_second_sample import QUESTIONS

MARTS_BY_NATURAL_KEY = {
    "companies": "select * exclude (company_id) from {db}.marts.crm_companies",
    "contacts": "select * exclude (contact_id) from {db}.marts.crm_contacts",
    "links": """select inn, last_name, first_name, second_name, phones, emails, is_primary
                from {db}.marts.crm_company_contacts join {db}.marts.crm_companies using (company_id)
                join {db}.marts.crm_contacts using (contact_id)""",
    "deals": """select inn, deals.* exclude (company_id, contact_id), last_name, first_name
                from {db}.marts.crm_deals as deals join {db}.marts.crm_companies using (company_id)
                left join {db}.marts.crm_contacts using (contact_id)""",
    "rejected companies": "select * from {db}.marts.rejected_companies",
    "rejected contacts": "select * from {db}.marts.rejected_contacts",
}


@pytest.mark.parametrize("name", ["first", "second", "repeat", "refresh"])
def test_every_run_ends_well(story: Story, name: str):
    chapter: Chapter = getattr(story, name)
    assert chapter.ended.status == 0, chapter.ended.output


@pytest.mark.parametrize(("name", "answers"), [("first", "answers"), ("second", "day_two/answers")])
def test_the_portal_holds_just_the_companies_that_should_be_there(story: Story, name: str, answers: str):
    wanted = {
        inn for (inn,) in duckdb.sql(f"select inn from '{story.sample}/{answers}/golden_companies.parquet'").fetchall()
    }
    chapter: Chapter = getattr(story, name)
    state = {card["id"]: card["UF_CRM_SVOD_STATE"] for card in chapter.portal["company"]}
    held = [one["RQ_INN"] for one in chapter.portal["requisite"] if state[one["ENTITY_ID"]] == "active"]
    assert len(held) == len(set(held))
    assert set(held) == wanted


def test_the_first_run_brings_contacts_with_phones_and_their_companies(story: Story):
    (wanted,) = duckdb.sql(
        f"""select count(distinct person_key), count(distinct person_key) filter (len(phones) > 0)
            from '{story.sample}/answers/contacts.parquet' where outcome = 'published'"""
    ).fetchall()
    cards = story.first.portal["contact"]
    with_phone = [card for card in cards if any(value["typeId"] == "PHONE" for value in card["fm"])]
    assert len(cards) == pytest.approx(wanted[0], rel=0.01)
    assert len(with_phone) == pytest.approx(wanted[1], rel=0.01)
    assert all(card["companyIds"] for card in cards)


def test_orders_become_deals_of_their_companies(story: Story):
    wanted = {
        origin: float(amount) for origin, amount in story.svod.query("select deal_id, amount from marts.crm_deals")
    }
    cards = story.repeat.portal["deal"]
    held = {card["originId"]: float(card["opportunity"]) for card in cards}
    assert len(held) == len(cards)
    assert {origin: held.get(origin) for origin in wanted} == wanted  # deals of companies that left stay beside them
    assert all(card["companyId"] for card in cards)


def test_a_repeat_sends_nothing(story: Story):
    assert story.repeat.writes.total() == 0
    assert story.repeat.portal == story.second.portal


def test_a_full_run_over_a_kept_warehouse_changes_nothing(story: Story):
    assert story.refresh.writes.total() == 0


def test_the_registry_is_asked_once_a_run_and_only_about_numbers_that_can_be_real(story: Story):
    from stdnum.ru import inn

    assert story.first.asked
    assert set(story.first.asked.values()) == {1}
    assert all(inn.is_valid(number) for number in story.first.asked)


def test_a_rebuild_from_nothing_gives_the_same_marts(story: Story):
    with duckdb.connect() as connection:
        connection.execute(f"attach '{story.svod.warehouse}' as kept (read_only)")
        connection.execute(f"attach '{story.rebuilt.warehouse}' as rebuilt (read_only)")
        for mart, query in MARTS_BY_NATURAL_KEY.items():
            one, other = query.format(db="kept"), query.format(db="rebuilt")
            count = connection.execute(f"select count(*) from ({one})").fetchone()[0]
            differing = connection.execute(
                f"(from ({one}) except all from ({other})) union all (from ({other}) except all from ({one}))"
            ).fetchall()
            assert count, mart
            assert differing == [], mart


def test_every_source_record_is_accounted_for(story: Story):
    landed = duckdb.sql(
        f"""select 'company', count(*) from '{story.sample}/day_two/answers/companies.parquet'
            union all select 'contact', count(*) from '{story.sample}/day_two/answers/contacts.parquet' order by 1"""
    ).fetchall()
    accounted = story.svod.query(
        """select kind, count(*) from (
               select 'company' as kind from marts.xref_companies
               union all select 'company' from marts.rejected_companies
               union all select 'contact' from marts.xref_contacts
               union all select 'contact' from marts.rejected_contacts
           ) group by kind order by kind"""
    )
    assert accounted == landed


WRITTEN = """
with pushes as (select started_at, lead(started_at) over (order by started_at) as next_at
                from ops.steps where step = 'publish push' order by started_at limit 1 offset 1)
select distinct
    case when entity in ('requisite', 'bank_detail', 'address') then 'company'
         when entity = 'company_contact' then 'contact' else entity end,
    split_part(origin_id, '/', 1)
from sync.ledger, pushes where synced_at >= started_at and synced_at < next_at
"""
CHANGED = """
with members as (
    select 'company' as entity, company_id as origin_id, unnest(members) as record_key
    from intermediate.int_companies__identities
    union all
    select 'contact', contact_id, unnest(members) from intermediate.int_contacts__identities
)
select distinct entity, coalesce(origin_id, record_key)
from (select entity, source || ':' || source_id as record_key from '{answers}/crm_changes.parquet')
left join members using (entity, record_key)
"""


def test_the_second_day_writes_just_the_cards_that_the_second_day_changed(story: Story):
    written = set(story.svod.query(WRITTEN))
    changed = set(story.svod.query(CHANGED.format(answers=story.sample / "day_two" / "answers")))
    assert len(changed) > 50
    assert written - changed == set(), "written without need"
    assert changed - written == set(), "changed at the sources and not written"


def test_the_known_answers_agree_with_the_marts_of_both_days(story: Story):
    ended = story.svod.run(
        sys.executable,
        *("-m", "tests.sample_data", "quality", "--answers", str(story.sample)),
        *("--warehouse", str(story.svod.warehouse), "--day", "2"),
    )
    assert ended.status == 0, ended.output


def test_every_view_for_people_answers_and_every_join_is_told_in_words(story: Story):
    views = story.svod.query(
        """select schema_name || '.' || view_name from duckdb_views()
           where schema_name = 'analysis' or schema_name = 'marts' and starts_with(view_name, 'report_')"""
    )
    empty = [view for (view,) in views if not story.svod.query(f"select 1 from {view} limit 1")]
    assert len(views) > 20 and {*empty} <= {"marts.report_waiting", "marts.report_todos"}
    assert story.svod.query("select distinct rule from analysis.why_merged where rule_ru is null") == []


def test_what_the_pages_say_of_the_demo_is_so(story: Story):
    """The demo plays this story, on servers of its own."""
    readme, in_russian, identity = (
        (ROOT / name).read_text("utf-8") for name in ("README.md", "README.ru.md", "docs/identity.md")
    )
    with duckdb.connect(str(story.svod.warehouse), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        for key in ("0682168099", "8 (983) 038-80-92", "Вишневская Кристина", "A-711", "8888888888"):
            assert key in readme and key in in_russian and len(subjects(connection, key)) == 1
        connection.execute(re.findall(r"```\n(set variable .*?)```", identity, re.DOTALL)[0])
        assert [question for question, query in QUESTIONS if not connection.execute(query).fetchall()] == []
    said = story.first.ended.output + story.second.ended.output
    shown = re.findall(r"^  ((?:shop_|ingest json|publish push: created company).+?)(?: …)?$", readme, re.MULTILINE)
    assert len(shown) == 9 and [line for line in shown if line not in said] == []


def test_the_models_own_unit_tests_pass(story: Story):
    at = ("--project-dir", "dbt_project", "--profiles-dir", "dbt_project")
    ended = story.rebuilt.tool(
        "dbt", "--quiet", "test", "--select", "test_type:unit", "--exclude", "fqn:svod.transfer", *at
    )
    assert ended.status == 0, ended.output
