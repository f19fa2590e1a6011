"""`batch`: references between commands, what fails alone and what stops the rest, and PHP's arrays on the way out."""

from tests.publish.sandbox.conftest import command


def company(title, **fields):
    return command("crm.item.add", entityTypeId=4, fields={"title": title, **fields})


def test_a_command_uses_the_result_of_an_earlier_one(client, sandbox):
    requisite = {"ENTITY_TYPE_ID": 4, "ENTITY_ID": "$result[c][item][id]", "PRESET_ID": 1, "NAME": "Р"}
    bank = {"ENTITY_ID": "$result[r]", "NAME": "Банк"}
    imported = command("crm.item.batchImport", entityTypeId=3, data=[{"name": "Анна"}, {"name": "Олег"}])
    link = command(
        "crm.contact.company.add", id="$result[i][items][1][item][id]", fields={"COMPANY_ID": "$result[c][item][id]"}
    )
    answer = client.batch(
        {
            "c": company("ООО Ромашка"),
            "r": command("crm.requisite.add", fields=requisite),
            "b": command("crm.requisite.bankdetail.add", fields=bank),
            "i": imported,
            "l": link,
        }
    )
    assert answer["result_error"] == [] and answer["result"]["l"] is True
    assert sandbox.portal.bank_details()[0]["ENTITY_ID"] == 1
    assert sandbox.portal.links() == {(2, 1)}


def test_values_are_encoded_once_more(client, sandbox):
    client.batch({"a": company('Рога & копыта + "100%" #1 = ?')})
    assert sandbox.portal.items("company")[0]["title"] == 'Рога & копыта + "100%" #1 = ?'


def test_the_result_of_a_failed_command_reads_as_company_1(client, sandbox):
    stranger = client.add(4, title="Чужая")["id"]
    contact = client.add(3, name="Анна")["id"]
    commands = {
        "ok": "crm.item.get?entityTypeId=4&id=1",
        "c": command("crm.item.add", entityTypeId=4, fields={"revenue": "много"}),
        "l": command("crm.contact.company.add", id=contact, fields={"COMPANY_ID": "$result[c][item][id]"}),
    }
    answer = client.batch(commands)
    assert "c" in answer["result_error"] and stranger == 1
    assert sandbox.portal.links() == {(contact, stranger)}


def test_halt_stops_at_the_first_error(client, sandbox):
    commands = {"a": company("А"), "bad": "crm.item.get?entityTypeId=4&id=99", "b": company("Б")}
    answer = client.batch(commands, halt=1)
    assert list(answer["result"]) == ["a"] and list(answer["result_error"]) == ["bad"]
    assert sandbox.portal.counts()["company"] == 1


def test_the_batch_is_ok_though_every_command_failed(client):
    answer = client.full("batch", halt=0, cmd={"a": "crm.company.get?id=9", "b": "no.such.method"})
    assert answer["result"]["result"] == []
    assert answer["result"]["result_error"]["a"] == {"error": "", "error_description": "Not found"}
    assert answer["result"]["result_error"]["b"]["error"] == "ERROR_METHOD_NOT_FOUND"
    assert answer["time"]["operating"] == 0


def test_the_51st_command_fails_alone(client, sandbox):
    answer = client.batch({f"k{number}": company(f"ООО {number}") for number in range(51)})
    assert answer["result_error"]["k50"]["error"] == "ERROR_BATCH_LENGTH_EXCEEDED"
    assert sandbox.portal.counts()["company"] == 50


def test_a_batch_in_a_batch_is_refused(client):
    answer = client.batch({"a": "batch?cmd[0]=crm.item.fields"})
    assert answer["result_error"]["a"]["error"] == "ERROR_BATCH_METHOD_NOT_ALLOWED"


def test_numeric_keys_come_back_as_lists_and_as_maps_where_one_is_missing(client):
    both = client.batch([company("А"), company("Б")])
    assert isinstance(both["result"], list) and both["result_error"] == []
    one = client.batch([company("А"), "crm.company.get?id=99", company("Б")])
    assert set(one["result"]) == {"0", "2"} and set(one["result_error"]) == {"1"}
    first = client.batch(["crm.company.get?id=99"])
    assert isinstance(first["result_error"], list)


def test_totals_pages_and_times_travel_beside_the_results(client):
    for start in (0, 20, 40):
        data = [{"title": f"ООО {start + number}"} for number in range(20)]
        client.result("crm.item.batchImport", entityTypeId=4, data=data)
    answer = client.batch({"all": "crm.company.list?select[]=ID", "one": "crm.company.get?id=1"})
    assert answer["result_total"] == {"all": 60} and answer["result_next"] == {"all": 50}
    assert set(answer["result_time"]) == {"all", "one"}
    assert answer["result_time"]["all"]["operating"] > 0


def test_a_failed_command_leaves_nothing_behind(client, sandbox):
    # The phone is kept before the company turns out not to exist: both must go.
    fields = {"name": "Анна", "fm": [{"typeId": "PHONE", "value": "+7"}], "companyIds": [99]}
    client.batch({"a": command("crm.item.add", entityTypeId=3, fields=fields), "b": company("Б")})
    counts = sandbox.portal.counts()
    assert (counts["contact"], counts["multifield"], counts["company"]) == (0, 0, 1)
