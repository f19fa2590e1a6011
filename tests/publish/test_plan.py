"""The plan: what it finds, and that it stays small at the mission's volume."""

import resource

from publish import changes, plan
from publish.bitrix24.parts import PARTS
from publish.ledger import Ledger
from tests.publish import marts


def test_the_plan_of_the_whole_base_is_made_within_its_memory(warehouse):
    """178,000 companies and 264,000 contacts, first all new, then all published but for one phone."""
    warehouse.execute("set memory_limit = '1500MB'")
    ledger = Ledger(warehouse, "portal.test")
    marts.fill(warehouse, 178_000, 264_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    plan.compute(ledger, PARTS)
    assert plan.count(warehouse, "company", "create") == plan.count(warehouse, "company") == 178_000
    assert plan.count(warehouse, "contact", "create") == plan.count(warehouse, "contact") == 264_000
    marts.take_over(warehouse)
    warehouse.execute("update marts.crm_contacts set phones = ['+79990000000'] where contact_id = contact_id(777)")
    plan.compute(ledger, PARTS)
    changed = {part.entity: number for part in PARTS if (number := plan.count(warehouse, part.entity))}
    assert changed == {"contact": 1}
    (phone,) = plan.page(warehouse, "contact", "update", "", 10)
    assert phone.key == ("contact", marts.contact_id(777))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 3 * 1024 * 1024


def test_links_are_removed_only_where_both_ends_are_published_or_merged(warehouse):
    ledger = Ledger(warehouse, "portal.test")
    marts.fill(warehouse, 3, 3)
    plan.compute(ledger, PARTS)
    marts.take_over(warehouse)
    warehouse.execute("delete from marts.crm_company_contacts")
    warehouse.execute("delete from marts.crm_companies where company_id in (company_id(1), company_id(2))")
    warehouse.execute("insert into marts.departed_companies values (company_id(1), 'inactive', null)")
    warehouse.execute("insert into marts.departed_companies values (company_id(2), 'merged', company_id(0))")
    plan.compute(ledger, PARTS)
    removed = warehouse.execute(
        "select origin_id from plan_company_contact where action = 'remove' order by 1"
    ).fetchall()
    of_first = [f"{marts.contact_id(0)}/{marts.company_id(0)}"]
    of_merged = [f"{marts.contact_id(2)}/{marts.company_id(2)}"]
    assert [row[0] for row in removed] == of_first + of_merged


def test_a_status_is_told_as_ours_for_the_portal_gets_a_stage_of_its_own(warehouse):
    ledger = Ledger(warehouse, "portal.test")
    marts.fill(warehouse, 1, 1, 1)
    plan.compute(ledger, PARTS)
    marts.take_over(warehouse)
    warehouse.execute("update marts.crm_deals set status = 'done', amount = 7")
    plan.compute(ledger, PARTS)
    (change,) = plan.examples(warehouse, PARTS, 1)
    assert change.fields["stageId (our status)"] == ("new", "done") and "opportunity" in change.fields
    (deals,) = changes.summary(ledger, PARTS)
    assert set(deals.fields) == {"stageId (our status)", "opportunity"}
