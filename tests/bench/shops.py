"""Both shops on servers of their own, filled with the first day of a sample, and a portal without limits to fill."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from publish.sandbox import Limits, RunningSandbox
from tests.installation import Installation
from tests.sample_data.loaders import TOPIC, load_mysql, produce_kafka
from tests.servers import Kafka, kafka_server, mariadb_server

PORTAL = "portal.sqlite"  # its state, in the folder
# A company is in the period when anything of it has changed since that began: it tells itself what its orders told.
WITHOUT_ORDERS = (
    """update clients
       inner join (select client_id, max(updated_at) as ordered_at from orders group by client_id) as last
           on last.client_id = clients.id
       set clients.updated_at = greatest(clients.updated_at, ordered_at)""",
    "delete from orders",
)


class Shops(NamedTuple):
    """What is up, and an installation that reads the one and fills the other; it knows no registry."""

    svod: Installation
    kafka: Kafka
    sandbox: RunningSandbox


@contextmanager
def shops(folder: Path, sample: Path, *, with_orders: bool = True) -> Iterator[Shops]:
    """`folder` is emptied first. Without orders, shop A has none, and the same companies in the period."""
    shutil.rmtree(folder, ignore_errors=True)
    with (
        mariadb_server() as mariadb,
        mariadb.database() as database,
        kafka_server() as kafka,
        RunningSandbox(folder / PORTAL, limits=Limits.none()) as sandbox,
    ):
        load_mysql(mariadb.url(database), sample, day=1)
        if not with_orders:
            with mariadb.connect(database) as server, server.cursor() as cursor:
                for statement in WITHOUT_ORDERS:
                    cursor.execute(statement)
        produce_kafka(kafka.bootstrap, TOPIC, sample, day=1)
        settings = {
            "SVOD_SHOP_A_URL": mariadb.url(database),
            "SVOD_SHOP_B_FILES": str(sample / "shop_b" / "history-*.json*"),
            "SVOD_SHOP_B_KAFKA": kafka.bootstrap,
            "SVOD_BITRIX24_WEBHOOK": sandbox.webhook,
            "SVOD_BITRIX24_RATE": "0",
            "SVOD_SINCE": json.loads((sample / "manifest.json").read_text())["since"],
        }
        yield Shops(Installation(folder / "svod", settings), kafka, sandbox)
