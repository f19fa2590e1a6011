"""Two public clients, as they are installed, against a running portal: the official SDK and fast-bitrix24."""

from urllib.parse import urlsplit

import pytest
import trustme
from b24pysdk import BitrixWebhook, Client
from b24pysdk.errors import BitrixAPIError
from fast_bitrix24 import Bitrix


@pytest.fixture
def sdk(run_sandbox, tmp_path, monkeypatch):
    """The official SDK over TLS: it speaks nothing else."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    (tmp_path / "cert.pem").write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    sandbox = run_sandbox(certfile=tmp_path / "cert.pem", keyfile=tmp_path / "key.pem")
    return Client(BitrixWebhook(domain=urlsplit(sandbox.webhook).netloc, webhook_token="1/sandbox"))


def test_the_official_sdk_adds_reads_changes_lists_and_deletes(sdk):
    company = sdk.crm.item.add(entity_type_id=4, fields={"title": "ООО Ромашка"}).response.result["item"]
    contact_id = sdk.crm.contact.add(fields={"NAME": "Анна", "PHONE": [{"VALUE": "+7495"}]}).response.result
    assert sdk.crm.contact.company.add(bitrix_id=contact_id, fields={"COMPANY_ID": company["id"]}).response.result
    sdk.crm.item.update(bitrix_id=company["id"], entity_type_id=4, fields={"title": "ООО Василёк"}).call()
    listed = sdk.crm.company.list(filter={"TITLE": "ООО Василёк"}, select=["ID"]).response.result
    assert listed == [{"ID": str(company["id"])}]
    fields = {"ENTITY_TYPE_ID": 4, "ENTITY_ID": company["id"], "PRESET_ID": 1, "NAME": "Р", "RQ_INN": "7707083893"}
    assert sdk.crm.requisite.add(fields=fields).response.result == 1
    assert sdk.crm.company.delete(bitrix_id=company["id"]).response.result is True
    gone = sdk.crm.company.get(bitrix_id=company["id"])
    with pytest.raises(BitrixAPIError):
        gone.call()


def test_the_official_sdk_calls_batches_and_walks_through_pages(sdk):
    requests = {f"k{n}": sdk.crm.company.add(fields={"TITLE": f"ООО & {n}"}) for n in range(60)}
    created = sdk.call_batches(requests).response.result.result
    assert len(created) == 60
    pages = sdk.crm.company.list(select=["ID"]).as_list().response.result
    fast = list(sdk.crm.company.list(select=["ID"]).as_list_fast().response.result)
    assert len(pages) == len(fast) == 60
    assert len({item["ID"] for item in fast}) == 60
    items = list(sdk.crm.item.list(entity_type_id=4, select=["id"]).as_list_fast().response.result)
    assert len({item["id"] for item in items}) == 60


def test_fast_bitrix24_adds_in_batches_and_reads_everything(sandbox):
    bitrix = Bitrix(sandbox.webhook)
    wanted = [{"fields": {"TITLE": f"ООО «Ромашка & К» {n}"}} for n in range(120)]
    ids = bitrix.call("crm.company.add", wanted)
    assert len(set(ids)) == 120
    bitrix.call("crm.company.update", [{"ID": ids[0], "fields": {"TITLE": "ООО Василёк"}}])
    everything = bitrix.get_all("crm.company.list", {"select": ["ID", "TITLE"]})
    assert len(everything) == 120
    assert {"ООО Василёк", "ООО «Ромашка & К» 7"} <= {item["TITLE"] for item in everything}
    items = bitrix.get_all("crm.item.list", {"entityTypeId": 4, "select": ["id"]})
    assert len(items) == 120
    by_id = bitrix.get_by_ID("crm.company.get", ids[:3])
    assert set(map(str, by_id)) == set(map(str, ids[:3]))
