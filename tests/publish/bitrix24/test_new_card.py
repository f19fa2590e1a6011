"""A new kind of card is a mart, a part and its place in the order: leads, declared here and nowhere else."""

import pytest

from publish.bitrix24.kinds import Card, Catalogue
from publish.bitrix24.parts import PARTS
from publish.parts import Choices, Departed, Field
from tests.publish import marts

STATE = Field("UF_CRM_SVOD_STATE", "'active'", custom_type="string", label="Состояние")
LEAD = Card(
    entity="lead",
    mart="marts.crm_leads",
    key="lead_id",
    type_id=1,
    user_fields="crm.lead.userfield",
    departed=Departed("marts.departed_leads", STATE.name),
    fields=(
        Field("title", "title"),
        Field("stageId", "status", "choice", choices=Choices("STATUS", mart="marts.crm_lead_stages")),
        Field("companyId", "company_id", "reference", refers_to="company", is_required=True),
        Field("contactId", "contact_id", "reference", refers_to="contact", first_of="contactIds"),
        Field("PHONE", "phones", "phone"),
        STATE,
    ),
)


@pytest.fixture
def leads(office):
    marts.fill(office.connection, 4, 8, 4)
    office.connection.execute(
        """create table marts.crm_lead_stages (status varchar, stages varchar[]);
           insert into marts.crm_lead_stages values ('fresh', ['NEW']), ('called', ['NO_SUCH', 'IN_PROCESS']);
           create table marts.departed_leads (lead_id varchar, state varchar, merged_into varchar);
           create table marts.crm_leads as select 'l-' || n as lead_id, 'Заявка ' || n as title, 'fresh' as status,
               company_id(n) as company_id, contact_id(n) as contact_id, ['+7495000000' || n] as phones
           from range(5) as numbers(n)"""
    )
    office.parts = Catalogue(*PARTS, LEAD)
    return office


def cards(office) -> dict[str, dict]:
    return {card["originId"]: card for card in office.portal.items("lead")}


def test_leads_are_created_updated_and_left_alone(leads):
    result = leads.push()
    assert result.created["lead"] == 4  # the company of the fifth is not published: it waits
    ids, held = leads.ids("company"), cards(leads)
    assert {card["title"] for card in held.values()} == {f"Заявка {n}" for n in range(4)}
    assert {card["stageId"] for card in held.values()} == {"NEW"}
    assert held["l-1"]["companyId"] == ids[marts.company_id(1)]
    assert [entry["value"] for entry in held["l-1"]["fm"]] == ["+74950000001"]
    assert leads.differences() == []

    leads.portal.clear_log()
    leads.push()
    assert leads.portal.writes() == {}

    leads.sql("update marts.crm_leads set status = 'called', phones = ['+74951112233'] where lead_id = 'l-1'")
    leads.sql("insert into marts.departed_leads values ('l-2', 'source_removed', null)")
    leads.sql("delete from marts.crm_leads where lead_id = 'l-2'")
    leads.portal.clear_log()
    result = leads.push()
    assert result.updated == {"lead": 2}
    assert leads.portal.writes() == {"crm.item.update": 2}
    held = cards(leads)
    assert (held["l-1"]["stageId"], [entry["value"] for entry in held["l-1"]["fm"]]) == ("IN_PROCESS", ["+74951112233"])
    assert held["l-2"]["UF_CRM_SVOD_STATE"] == "source_removed"

    leads.portal.clear_log()
    leads.push()
    assert leads.portal.writes() == {}


def test_a_manager_keeps_what_he_typed_into_a_lead(leads):
    leads.push()
    leads.edit(1, leads.ids("lead")["l-1"], title="Звонил сам")
    leads.sql("update marts.crm_leads set title = title || '!'")
    leads.push()
    assert cards(leads)["l-1"]["title"] == "Звонил сам"
    assert leads.sql("select entity, origin_id, field from sync.conflicts") == [("lead", "l-1", "title")]


def test_lost_answers_create_no_lead_twice(leads):
    leads.faults.script(*[None] * 6, "lose_answer")
    leads.push()
    assert sorted(cards(leads)) == [f"l-{n}" for n in range(4)]
    assert len(leads.portal.items("lead")) == 4
