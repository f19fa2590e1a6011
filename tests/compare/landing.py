"""Lands both days of a sample from a real MariaDB, a real Kafka broker and files, by the code of several checkouts."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.installation import Ended, Installation
from tests.sample_data.loaders import load_mysql, produce_kafka
from tests.servers import kafka_server, mariadb_server

# The sample's second day joins no two golden records, so some are joined here: clients that turn out to have the INN of
# another, and colleagues that turn out to be one person typed twice.
MERGES = (
    """create temporary table valid as select id, inn, row_number() over (order by id) as place
       from clients where inn regexp '^[0-9]{10}$' and not is_deleted""",
    "create temporary table twin as select id as twin_id, inn as twin_inn, place - 1 as place from valid",
    """update clients inner join valid using (id) inner join twin using (place)
       set clients.inn = twin_inn, updated_at = updated_at + interval 1000 day where place % 50 = 1""",
    """create temporary table colleague as select client_id, min(id) as id, max(id) as twin_id
       from client_contacts where not is_deleted group by client_id having min(id) < max(id)""",
    "create temporary table double_card as select * from client_contacts where id in (select twin_id from colleague)",
    """update client_contacts as contact inner join colleague using (id) 
       inner join double_card on double_card.id = twin_id
       set contact.full_name = double_card.full_name, contact.phone = double_card.phone,
           contact.email = double_card.email, contact.updated_at = contact.updated_at + interval 1000 day
       where contact.id % 20 = 1""",
)


class StepFailed(RuntimeError):
    """A command of one of the sides ended with another status than 0; the text is what it printed."""


def succeeded(ended: Ended, what: str) -> Ended:
    if ended.status:
        raise StepFailed(f"{what} ended with status {ended.status}:\n{ended.output}")
    return ended


def settings_of(sources: Path) -> dict[str, str]:
    """What a run over this sample needs, but for the addresses of its servers."""
    return {
        "SVOD_SINCE": json.loads((sources / "manifest.json").read_text())["since"],
        "SVOD_SHOP_B_FILES": str(sources / "shop_b" / "history-*.json*"),
        "SVOD_REGISTRY_FILE": str(sources / "registry.csv"),
    }


def landed_copy(installation: Installation, day: int) -> Path:
    """Where `land` leaves the warehouse of an installation as it was after a day's landing."""
    return installation.folder / f"landed-{day}.duckdb"


def land(installations: Sequence[Installation], sources: Path) -> None:
    """Land day one, then day two's changes, in each installation by its own `ingest`; keep a copy after each day.

    All read the same servers, so that keys, positions and offsets are the same. The run ids are `day-1` and `day-2`.
    Raises StepFailed.
    """
    for installation in installations:
        shutil.rmtree(installation.folder, ignore_errors=True)
    with (
        mariadb_server() as mariadb,
        mariadb.database() as database,
        kafka_server() as kafka,
        kafka.topic(retention_ms="-1") as topic,
    ):
        addresses = {
            "SVOD_SHOP_A_URL": mariadb.url(database),
            "SVOD_SHOP_B_KAFKA": kafka.bootstrap,
            "SVOD_SHOP_B_KAFKA_TOPIC": topic,
        }
        for day in (1, 2):
            load_mysql(mariadb.url(database), sources, day=day)
            if day == 2:
                with mariadb.connect(database) as connection, connection.cursor() as cursor:
                    for statement in MERGES:
                        cursor.execute(statement)
            produce_kafka(kafka.bootstrap, topic, sources, day=day)
            full = ["--full"] if day == 1 else []
            for installation in installations:
                installation.settings = settings_of(sources) | addresses | {"SVOD_RUN_ID": f"day-{day}"}
                for command in (["mysql", *full], ["json", *full], ["kafka"]):
                    succeeded(installation.tool("ingest", *command), f"ingest {' '.join(command)}")
                shutil.copyfile(installation.warehouse, landed_copy(installation, day))
