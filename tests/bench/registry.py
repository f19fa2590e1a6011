"""The registry at its documented rate and latency: requests a second, refusals and connections of `ingest registry`.

The double counts requests of any one second as they arrive, as the service does, and refuses what is over its rate.
"""

import os
import shutil
import zipfile
from dataclasses import dataclass
from itertools import count as numbers
from itertools import takewhile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ingest.warehouse.connection import open_warehouse
from tests.installation import Ended, Installation
from tests.sample_data.registers import LegalEntity, register_parts
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


@dataclass(frozen=True)
class Read:
    """How the tax service's file was read: companies of it, verdicts that landed, and what that took."""

    ended: Ended
    companies: int
    landed: int
    megabytes: float
    cpu_seconds: float

    @property
    def told(self) -> str:
        return (
            f"{self.megabytes:,.0f} MB of XML, {self.companies:,} companies, {self.landed:,} verdicts: "
            f"{self.ended.seconds:.1f} s, {self.cpu_seconds:.1f} s of the processor with the start, of which "
            f"{self.companies / self.cpu_seconds:,.0f} companies, {self.megabytes / self.cpu_seconds:.0f} MB a second; "
            f"{self.ended.peak_mb:.0f} MB of memory"
        )


def make_dump(path: Path, megabytes: int) -> tuple[int, float]:
    """A zip of one register file, whose companies are as large as those of the public sample; how many, how large."""
    count, size = 0, 0
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("VO_RUGFO.XML", "w", force_zip64=True) as file,
    ):
        companies = (
            LegalEntity(f"{number:010}", ogrn=f"{number:013}", entries=24, states=["101"] if number % 9 else ["112"])
            for number in takewhile(lambda _: size < megabytes * 1_000_000, numbers())
        )
        for part in register_parts(companies):
            size += file.write(part)
            count += part.startswith(b"  <")
    return count, size / 1e6


def read_dump(folder: Path, megabytes: int, wanted: float) -> Read:
    """Let `ingest registry --dump` read so many megabytes, of whose companies a share is wanted."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"EGRUL-{megabytes}.zip"
    count, size = make_dump(path, megabytes)
    shutil.rmtree(folder / "svod", ignore_errors=True)
    svod = Installation(folder / "svod")
    svod.folder.mkdir()
    with open_warehouse(svod.warehouse) as connection:
        connection.execute(
            """create schema intermediate; create table intermediate.int_companies__registry_queue as
               select format('{:010}', range) as inn from range(?) where range % 100 < ?""",
            [count, round(100 * wanted)],
        )
    before = os.times()
    ended = svod.tool("ingest", "registry", "--dump", str(path))
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    ((landed,),) = svod.query("select count(*) from raw.registry__companies")
    path.unlink()
    return Read(ended, count, landed, size, cpu)
