"""The plan: what it finds, what it costs, and that it stays small at the mission's volume."""

import resource

from publish import changes
from publish.ledger import Ledger
from tests.publish import marts

STANDARD = (2, 50, 480)


def test_the_plan_of_the_whole_base_is_made_within_its_memory(warehouse):
    """178,000 companies and 264,000 contacts, first all new, then all published but for one phone."""
    warehouse.execute("set memory_limit = '1500MB'")
    Ledger(warehouse)
    marts.fill(warehouse, 178_000, 264_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    changes.compute(warehouse)
    first = changes.summary(warehouse, *STANDARD)
    assert first.counts["company"] == {"create": 178_000}
    assert first.counts["contact"] == {"create": 264_000}
    marts.take_over(warehouse)
    warehouse.execute("update marts.crm_contacts set phones = ['+79990000000'] where contact_id = contact_id(777)")
    changes.compute(warehouse)
    second = changes.summary(warehouse, *STANDARD)
    assert {entity: counts for entity, counts in second.counts.items() if counts} == {"contact": {"update": 1}}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 3 * 1024 * 1024


def test_requests_and_duration_are_told_beforehand(warehouse):
    Ledger(warehouse)
    marts.fill(warehouse, 8000, 12000)
    changes.compute(warehouse)
    plan = changes.summary(warehouse, *STANDARD)
    assert plan.elements["crm.item.batchImport"] == 20_000
    assert plan.requests_least <= plan.requests <= plan.requests_least * 1.05
    assert plan.seconds == 600  # 880 s of imports: 480 at once, the rest when the first window is over


def test_a_plan_of_nothing_costs_nothing(warehouse):
    Ledger(warehouse)
    changes.compute(warehouse)
    plan = changes.summary(warehouse, *STANDARD)
    assert (plan.is_empty, plan.requests, plan.seconds) == (True, 0, 0)


def test_links_are_removed_only_where_both_ends_are_published_or_merged(warehouse):
    Ledger(warehouse)
    marts.fill(warehouse, 3, 3)
    changes.compute(warehouse)
    marts.take_over(warehouse)
    warehouse.execute("delete from marts.crm_company_contacts")
    warehouse.execute("delete from marts.crm_companies where company_id in (company_id(1), company_id(2))")
    warehouse.execute("insert into marts.departed_companies values (company_id(1), 'inactive', null)")
    warehouse.execute("insert into marts.departed_companies values (company_id(2), 'merged', company_id(0))")
    changes.compute(warehouse)
    removed = warehouse.execute(
        "select origin_id from plan_company_contact where action = 'remove' order by 1"
    ).fetchall()
    of_first = [f"{marts.contact_id(0)}/{marts.company_id(0)}"]
    of_merged = [f"{marts.contact_id(2)}/{marts.company_id(2)}"]
    assert [row[0] for row in removed] == of_first + of_merged
