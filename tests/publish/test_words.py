"""States and sources in the words of those who look at cards: another word is a change like any other."""

import pytest

from ingest.warehouse.errors import SettingsError
from publish import change_limit
from publish.setting_names import check_known
from publish.settings import Settings
from tests.publish import marts

NAMES = {"shop_a": "Опт", "shop_b": "Сайт «Б»'"}
RUSSIAN = {"crm_lang": "ru", "source_names": NAMES}


@pytest.fixture
def told(open_office):
    """An office that tells its cards in Russian: company 3 left, company 2 is neither there nor known to be gone."""
    office = open_office()
    marts.fill(office.connection, 4, 8, 4)
    office.push()
    office.sql("delete from marts.crm_companies where company_id in (company_id(2), company_id(3))")
    office.sql(
        "insert into marts.departed_companies values (company_id(3), 'inactive', null), (company_id(2), null, null)"
    )
    office.sql("delete from marts.crm_deals where deal_id = 'shop_a:0000002'")
    office.sql("insert into marts.departed_deals values ('shop_a:0000002', 'source_removed', null)")
    marts.stamp(office.connection)
    office.push()
    return office


def values(office, kind: str, field: str) -> list:
    return [card.get(field) for card in sorted(office.portal.items(kind), key=lambda card: card["originId"])]


def states(office, kind: str = "company") -> list:
    return values(office, kind, "UF_CRM_SVOD_STATE")


def test_without_a_setting_cards_tell_the_codes(told):
    assert states(told) == ["active", "active", "active", "inactive"]
    assert values(told, "company", "UF_CRM_SVOD_SOURCES")[:2] == ["shop_a, shop_b", "shop_a"]


def test_another_language_reaches_every_card_and_is_taken_back(told):
    assert told.push(**RUSSIAN).updated == {"company": 4, "contact": 8, "deal": 1}
    assert states(told) == ["действующая"] * 3 + ["недействующая"], "also the one that stays as it is"
    assert set(states(told, "contact")) == {"действующий"}
    assert states(told, "deal") == [None, None, "заказа нет в магазине", None]
    assert values(told, "company", "UF_CRM_SVOD_SOURCES")[:2] == ["Опт, Сайт «Б»'", "Опт"]
    told.portal.clear_log()
    told.push(**RUSSIAN)
    assert told.portal.writes() == {}
    told.push()
    assert states(told) == ["active", "active", "active", "inactive"]
    assert values(told, "company", "UF_CRM_SVOD_SOURCES")[:2] == ["shop_a, shop_b", "shop_a"]
    assert told.sql("from sync.conflicts") == []


def test_records_that_come_back_say_so_in_the_language_of_now(told):
    told.push(**RUSSIAN)
    marts.fill(told.connection, 4, 8, 4)
    told.push(**RUSSIAN)
    assert states(told) == ["действующая"] * 4
    assert states(told, "deal") == [None, None, "заказ снова в магазине", None]
    told.push(crm_lang="en")
    assert states(told, "deal") == [None, None, "order is back", None]


def test_a_change_of_words_waits_for_a_person_and_is_no_new_source(office):
    marts.fill(office.connection, 30, 0)
    office.push()
    with pytest.raises(change_limit.ChangeLimitReached, match="lets less through") as stopped:
        office.push(fuse_floor=1, **RUSSIAN)
    assert "    UF_CRM_SVOD_STATE 30; active -> действующая 30" in stopped.value.details
    assert "    UF_CRM_SVOD_SOURCES 30; shop_a -> Опт 20" in stopped.value.details
    office.push(fuse_floor=1, let_through=True, **RUSSIAN)
    marts.fill(office.connection, 90, 0)
    office.sql("update marts.crm_companies set sources = 'shop_c' where company_id not in (select origin_id from "
               "sync.ledger where entity = 'company')")  # fmt: skip
    marts.stamp(office.connection)
    with pytest.raises(change_limit.ChangeLimitReached, match="first filling from shop_c"):
        office.push(fuse_floor=1, **RUSSIAN)


def test_a_ledger_that_lost_its_cards_finds_them_again_in_any_language(told):
    told.push(**RUSSIAN)
    told.sql("delete from sync.ledger where entity in ('company', 'contact')")
    told.push(**RUSSIAN)
    assert len(told.portal.items("company")) == 4
    assert states(told) == ["действующая"] * 3 + ["недействующая"]


@pytest.mark.parametrize("names", ["shop_a=Опт,shop_b=Опт", "shop_a="])
def test_sources_are_told_apart_by_their_names(names):
    with pytest.raises(ValueError, match="one name, or a source none"):
        Settings(_env_file=None, source_names=names)


def test_a_source_that_was_never_read_is_named_with_the_nearest_right_one(office):
    settings = Settings(_env_file=None, source_names={"shop_aa": "Опт"})
    check_known(settings, office.connection, ())
    office.sql("insert into ops.source_reads (source, kind, attempted_at) values ('shop_a', 'MySQL', now())")
    with pytest.raises(SettingsError, match="there is no source shop_aa") as wrong:
        check_known(settings, office.connection, ())
    assert wrong.value.hint == "did you mean shop_a?"
