"""How long a move takes under a portal's limits; the large one is `python -m tests.bench transfer`."""

from contextlib import closing

from ingest.warehouse import journal
from ingest.warehouse.connection import open_warehouse
from publish.sandbox import Limits
from publish.settings import Settings
from tests.bench.transfer import Site, move
from tests.publish.conftest import JumpingClock
from tests.publish.transfer import office
from tests.publish.transfer.office import ref, wants

CARDS = 400  # of each kind
# An import of a card takes 0.044 seconds, so one kind of card at a time; what hangs on companies is no faster.
LIMITS = Limits(operating_seconds=18, costs={"crm.requisite.add": 0.1, "crm.requisite.bankdetail.add": 0.1})


def fill(connection) -> None:
    """Cards that point to each other, and something that hangs on each: on the last ones there is only little."""
    for number in range(CARDS):
        wants(connection, "company", number, {"title": f"ООО {number}"}, second_pass={"leadId": ref("lead", number)})
        wants(connection, "contact", number, {"name": "Анна", "companyIds": [ref("company", number)]})
        wants(connection, "lead", number, {"title": "Заявка", "companyId": ref("company", number)})
        wants(connection, "deal", number, {"title": "Заказ", "leadId": ref("lead", number)})
        owner = {"ENTITY_TYPE_ID": 4, "ENTITY_ID": ref("company", number), "PRESET_ID": 1, "NAME": "Реквизиты"}
        wants(connection, "requisite", number, owner)
        wants(connection, "bank_detail", number, {"ENTITY_ID": ref("requisite", number), "NAME": f"Счёт {number}"})
        wants(connection, "product_rows", f"D:{number}", {"productRows": [{"productName": "Кабель", "price": 1}]})


def test_a_move_takes_hardly_longer_than_the_limits_allow(tmp_path):
    clock = JumpingClock()
    box = Site(tmp_path / "box.sqlite", clock, LIMITS, "box")
    settings = Settings(_env_file=None, box_webhook=box.webhook.get_secret_value(), warehouse=tmp_path / "svod.duckdb")
    with closing(open_warehouse(settings.warehouse)) as connection:
        office.prepare(connection)
        fill(connection)
        with journal.step(connection, journal.TRANSFER_PUSH):
            figure, result = box.timed("a move", move(connection, box, settings))
    assert (result.dead_letters, box.portal.counts()["deal"]) == (0, CARDS)
    assert box.portal.items("company")[CARDS - 1]["leadId"] == CARDS
    assert figure.least == 1800
    assert figure.ratio <= 1.05, figure
    assert box.portal.refused() == []
