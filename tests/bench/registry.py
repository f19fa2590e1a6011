"""The registry at its documented rate and latency: requests a second, refusals and connections of `ingest registry`.

The double counts requests of any one second as they arrive, as the service does, and refuses what is over its rate.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ingest.warehouse.connection import open_warehouse
from tests.installation import Ended, Installation
from tests.sample_data.registry_double import RunningRegistry

TEXTS = ("kpp", "ogrn", "full_name", "short_name", "opf", "director_name", "director_post", "address")
DATES = ("registration_date", "liquidation_date", "actuality_date")


@dataclass(frozen=True)
class Asked:
    """How a load of INNs went: answers a second from the first request to the last answer, and what was refused."""

    ended: Ended
    inns: int
    seconds: float
    refused: int
    connections: int

    @property
    def told(self) -> str:
        return (
            f"{self.inns:,} INNs in {self.seconds:,.0f} s: {self.inns / self.seconds:.2f} a second, "
            f"{self.refused} refused, {self.connections} connections, {self.ended.peak_mb:.0f} MB"
        )


def write_verdicts(folder: Path, inns: list[str]) -> None:
    """A sample of active companies for the double."""
    columns = {"inn": inns, "status": ["ACTIVE"] * len(inns), "type": ["LEGAL"] * len(inns)}
    table = pa.table(columns | dict.fromkeys(TEXTS, ["ООО «Ромашка»"] * len(inns)))
    for name in DATES:
        table = table.append_column(name, pa.nulls(len(inns), pa.date32()))
    pq.write_table(table, folder / "registry.parquet")


def ask(folder: Path, count: int, rate: float, latency: float) -> Asked:
    """Let `ingest registry` ask for so many INNs. `folder` is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    inns = [f"{number:010}" for number in range(count)]
    write_verdicts(folder, inns)
    svod = Installation(folder / "svod", {"SVOD_REGISTRY_TOKEN": "x", "SVOD_REGISTRY_RATE": str(rate)})
    svod.folder.mkdir()
    with open_warehouse(svod.warehouse) as connection:
        connection.execute(
            """create schema intermediate; create table intermediate.int_companies__registry_queue as
               select unnest(?::varchar[]) as inn, unnest(range(?)) as place, 'others' as reason, 1 as ttl_factor""",
            [inns, count],
        )
    with RunningRegistry(folder, rate=rate, latency=latency, token="x") as double:
        svod.settings["SVOD_REGISTRY_URL"] = double.url
        ended = svod.tool("ingest", "registry")
    ((seconds,),) = svod.query("select epoch(finished_at - started_at) from ops.steps where step = 'ingest registry'")
    return Asked(ended, double.requests.total(), seconds, double.refused.total(), len(double.connections))
