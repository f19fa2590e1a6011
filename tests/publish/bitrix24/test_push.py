"""Pushes as a whole: what ends up in the portal, and how little is sent for it."""

from tests.publish import marts


def test_a_first_push_creates_every_part_once(office):
    marts.fill(office.connection, 60, 130, 90)
    result = office.push()
    assert office.differences() == []
    assert result.created["company"] == 60
    assert result.dead_letters == 0


def test_a_second_push_sends_nothing(office):
    marts.fill(office.connection, 60, 130, 90)
    office.push()
    office.portal.clear_log()
    office.push()
    assert office.portal.request_log() == []


class TestLeaving:
    """States of records that left the marts; nothing is deleted in the portal."""

    def leave(self, office, state, merged_into=None):
        office.sql("delete from marts.crm_companies where company_id = company_id(1)")
        office.sql("insert into marts.departed_companies values (company_id(1), ?, ?)", state, merged_into)

    def state(self, office, n):
        held = {item["originId"]: item["UF_CRM_SVOD_STATE"] for item in office.portal.items("company")}
        return held[marts.company_id(n)]

    def test_an_inactive_company_keeps_its_card_its_people_and_its_deals(self, office):
        marts.fill(office.connection, 3, 9, 6)
        office.push()
        links, counts = office.portal.links(), office.portal.counts()
        self.leave(office, "inactive")
        office.sql("delete from marts.crm_deals where company_id = company_id(1)")
        office.sql("delete from marts.crm_company_contacts where company_id = company_id(1)")
        gone = "contact_id not in (select contact_id from marts.crm_company_contacts)"
        office.sql(
            f"""insert into marts.departed_contacts
                select contact_id, 'inactive', null from marts.crm_contacts where {gone}"""
        )
        office.sql(f"delete from marts.crm_contacts where {gone}")
        office.push()
        assert self.state(office, 1) == "inactive"
        assert (office.portal.links(), office.portal.counts()) == (links, counts)
        assert {item["UF_CRM_SVOD_STATE"] for item in office.portal.items("contact")} == {"active", "inactive"}

    def test_a_company_that_comes_back_is_active_again(self, office):
        marts.fill(office.connection, 3, 0)
        office.push()
        row = office.sql("select * from marts.crm_companies where company_id = company_id(1)")[0]
        self.leave(office, "source_removed")
        office.push()
        assert self.state(office, 1) == "source_removed"
        office.sql("delete from marts.departed_companies")
        office.connection.execute(f"insert into marts.crm_companies values ({', '.join('?' * len(row))})", row)
        office.portal.clear_log()
        office.push()
        assert self.state(office, 1) == "active"
        assert office.portal.writes() == {"crm.item.update": 1}

    def test_an_unknown_state_leaves_the_card_as_it_is(self, office):
        marts.fill(office.connection, 3, 0)
        office.push()
        self.leave(office, None)
        office.portal.clear_log()
        office.push()
        assert office.portal.request_log() == []

    def test_people_and_deals_of_a_merged_company_move_to_its_survivor(self, office):
        marts.fill(office.connection, 3, 6, 6)
        office.push()
        self.leave(office, "merged", marts.company_id(2))
        office.sql("update marts.crm_deals set company_id = company_id(2) where company_id = company_id(1)")
        office.sql(
            """update marts.crm_company_contacts set company_id = company_id(2)
               where company_id = company_id(1) and not exists (select 1 from marts.crm_company_contacts as other
                   where other.contact_id = crm_company_contacts.contact_id and other.company_id = company_id(2))"""
        )
        office.sql("delete from marts.crm_company_contacts where company_id = company_id(1)")
        office.push()
        ids = office.ids("company")
        assert self.state(office, 1) == "merged"
        assert not [contact for contact, company in office.portal.links() if company == ids[marts.company_id(1)]]
        assert ids[marts.company_id(1)] not in {item["companyId"] for item in office.portal.items("deal")}
        wanted = office.sql("select count(*) from marts.crm_company_contacts")[0][0]
        assert len(office.portal.links()) == wanted
