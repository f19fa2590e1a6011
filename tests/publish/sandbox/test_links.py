"""Links between contacts and companies, deals and contacts, and which one is primary."""

import pytest


@pytest.fixture
def three(client):
    return [client.add(4, title=name)["id"] for name in "АБВ"]


def companies(client, contact_id):
    found = client.result("crm.contact.company.items.get", id=contact_id)
    return [(item["COMPANY_ID"], item["IS_PRIMARY"]) for item in found]


def test_adding_one_link_leaves_the_others(client, three):
    contact_id = client.add(3, name="Анна", companyIds=three[:2])["id"]
    assert client.result("crm.contact.company.add", id=contact_id, fields={"COMPANY_ID": three[2]}) is True
    assert companies(client, contact_id) == [(three[0], "Y"), (three[1], "N"), (three[2], "N")]
    assert client.result("crm.contact.company.add", id=contact_id, fields={"COMPANY_ID": three[2]}) is False


def test_the_list_of_companies_replaces_the_whole_set(client, three):
    contact_id = client.add(3, name="Анна", companyIds=three[:2])["id"]
    client.update(3, contact_id, companyIds=[three[2]])
    assert companies(client, contact_id) == [(three[2], "Y")]
    client.result("crm.contact.company.items.set", id=contact_id, items=[{"COMPANY_ID": three[0]}])
    assert companies(client, contact_id) == [(three[0], "Y")]


def test_the_primary_link_is_the_company_of_the_contact(client, three):
    contact_id = client.add(3, name="Анна", companyIds=three[:2])["id"]
    client.result("crm.contact.company.add", id=contact_id, fields={"COMPANY_ID": three[2], "IS_PRIMARY": "Y"})
    assert client.get(3, contact_id)["companyId"] == three[2]
    client.result("crm.contact.company.delete", id=contact_id, fields={"COMPANY_ID": three[2]})
    assert client.get(3, contact_id)["companyId"] == three[0]
    assert client.list(3, filter={"companyId": three[0]})


def test_both_sides_see_the_link(client, three):
    contact_id = client.result("crm.contact.add", fields={"NAME": "Анна"})
    client.result("crm.company.contact.add", id=three[0], fields={"CONTACT_ID": contact_id})
    assert companies(client, contact_id) == [(three[0], "Y")]
    assert client.get(4, three[0])["contactIds"] == [contact_id]
    assert client.result("crm.contact.get", id=contact_id)["COMPANY_ID"] == str(three[0])


def test_classic_methods_drop_a_link_to_nothing_in_silence(client):
    contact_id = client.result("crm.contact.add", fields={"NAME": "Анна", "COMPANY_ID": 99, "COMPANY_IDS": [98]})
    assert client.result("crm.contact.company.add", id=contact_id, fields={"COMPANY_ID": 99}) is True
    assert companies(client, contact_id) == []


def test_errors_of_links(client, three):
    assert client.error("crm.contact.company.add", id=0, fields={}) == (400, "")
    assert client.error("crm.contact.company.add", id=99, fields={"COMPANY_ID": three[0]}) == (400, "")
    contact_id = client.add(3, name="Анна")["id"]
    assert client.error("crm.contact.company.add", id=contact_id, fields={}) == (400, "")


def test_contacts_of_a_deal(client, three):
    first, second = (client.add(3, name=name)["id"] for name in ("Анна", "Олег"))
    deal = client.add(2, title="Заказ", companyId=three[0], contactIds=[first, second])
    assert (deal["companyId"], deal["contactId"], deal["contactIds"]) == (three[0], first, [first, second])
    client.result("crm.item.delete", entityTypeId=3, id=first)
    after = client.get(2, deal["id"])
    assert (after["contactId"], after["contactIds"]) == (second, [second])
