"""Settings: forms, and what is made of them."""

import pytest
from pydantic import ValidationError

from publish.settings import Settings


def settings(**values) -> Settings:
    return Settings(_env_file=None, **values)


@pytest.mark.parametrize(
    ("webhook", "portal"),
    [
        ("https://romashka.bitrix24.ru/rest/1/secret/", "romashka.bitrix24.ru"),
        ("https://Romashka.Bitrix24.ru:443/rest/1/secret/", "romashka.bitrix24.ru"),
        ("http://crm.local:80/rest/1/secret", "crm.local"),
        ("http://127.0.0.1:8080/rest/1/secret/", "127.0.0.1:8080"),
        ("https://crm.local:80/rest/1/secret/", "crm.local:80"),
        (None, ""),
    ],
)
def test_a_portal_is_named_by_its_host_and_an_unusual_port(webhook, portal):
    assert settings(bitrix24_webhook=webhook).portal == portal


@pytest.mark.parametrize(
    "webhook",
    [
        "https://portal/secret",
        "https://portal:abc/rest/1/s/",
        "https://p:99999/rest/1/s/",
        "https://portal/rest/1/s\x01/",
        "https://[v1.a]/rest/1/s/",
    ],
)
def test_a_webhook_of_another_form_is_refused(webhook):
    with pytest.raises(ValidationError, match="is not of the form"):
        settings(bitrix24_webhook=webhook)


@pytest.mark.parametrize("hours", ["inf", "nan", "1e12", "-1"])
def test_an_age_that_no_source_can_have_is_refused(hours):
    with pytest.raises(ValidationError, match="source_max_age_hours"):
        settings(source_max_age_hours=hours)


def test_a_portal_without_a_request_limit_has_none_for_operating_time():
    assert settings(bitrix24_rate=0).operating_limit == 0
    assert settings(bitrix24_rate=2, bitrix24_operating=300).operating_limit == 300


def test_stages_are_chosen_for_deals():
    chosen = settings(deal_stages="paid=EXECUTING, new=NEW")
    assert chosen.stages_of("deal") == {"paid": "EXECUTING", "new": "NEW"}
    assert chosen.stages_of("lead") == {}
