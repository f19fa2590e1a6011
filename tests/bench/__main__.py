"""`python -m tests.bench run | quality | refresh | follow | readers | quota | registry | registry-dump | transfer`."""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tests.bench import follow as following
from tests.bench import matching as matched
from tests.bench import peer_dlt
from tests.bench import quota as first_load
from tests.bench import readers as reading
from tests.bench import refresh as refreshing
from tests.bench import registry as registry_load
from tests.bench import transfer as moving
from tests.bench.samples import FOLDER, GENERATORS, sources
from tests.installation import ROOT, Ended, Installation
from tests.sample_data.loaders import TOPIC, load_mysql, produce_kafka
from tests.servers import kafka_server, mariadb_server

Scale = Annotated[float, typer.Option(help="1 is 178,000 companies, 675,000 contacts, 700,000 orders.")]
app = typer.Typer(no_args_is_help=True, add_completion=False)
console = Console()


@dataclass(frozen=True)
class Measured:
    """One stage: rows in and out of it, wall seconds, peak resident megabytes of its process."""

    stage: str
    rows: int
    seconds: float
    peak_mb: float
    note: str = ""


def succeeded(ended: Ended) -> Ended:
    if ended.status:
        sys.exit(f"a stage failed with status {ended.status}:\n{ended.output}")
    return ended


def measure(svod: Installation, stage: str, rows_of: str, *command: str) -> Measured:
    """Run a command of the project and count, by a query on the warehouse, the rows it worked on."""
    ended = succeeded(svod.tool(*command))
    return Measured(stage, svod.query(rows_of)[0][0], ended.seconds, ended.peak_mb)


MODELLED = "select (select count(*) from marts.xref_companies) + (select count(*) from marts.xref_contacts)"


PASSES = """
select step, epoch(finished_at - started_at) from ops.steps
where step in ('dbt before_registry', 'ingest registry', 'dbt after_registry') order by started_at desc limit 3
"""


def build_models(svod: Installation, when: str = "", *options: str) -> Measured:
    """Both passes with the registry's step between them, start-up and closing included; the note splits them."""
    measured = measure(svod, f"models{when}", MODELLED, "python", "dbt_project/passes.py", *options)
    steps = svod.query(PASSES)[::-1]
    steps.append(("else", measured.seconds - sum(seconds for _, seconds in steps)))
    return replace(measured, note=", ".join(f"{step.split()[-1]} {seconds:.1f}" for step, seconds in steps))


def landed_and_modelled(
    scale: float, *, generator: str = "first", with_peers: bool = False
) -> tuple[Installation, Path, list[Measured]]:
    """A new warehouse with everything landed and built; the stages on the way, with dlt's beside ours."""
    folder = sources(scale, generator)
    shutil.rmtree(FOLDER / f"run-{scale:g}", ignore_errors=True)
    manifest = json.loads((folder / "manifest.json").read_text())
    svod = Installation(
        FOLDER / f"run-{scale:g}",
        {
            "SVOD_SINCE": manifest["since"],
            "SVOD_SHOP_B_FILES": str(folder / "shop_b" / "history-*.json*"),
            "SVOD_REGISTRY_FILE": str(folder / "registry.csv"),
            "SVOD_BITRIX24_RATE": "2",
            "DBT_WRITE_JSON": "true",
        },
    )
    stages = []
    with mariadb_server() as mariadb, mariadb.database() as database:
        load_mysql(mariadb.url(database), folder, day=1)
        svod.settings["SVOD_SHOP_A_URL"] = mariadb.url(database)
        rows_of = " + ".join(
            f"(select count(*) from raw.shop_a__{t})" for t in ("clients", "client_contacts", "orders")
        )
        stages.append(measure(svod, "ingest mysql", f"select {rows_of}", "ingest", "mysql", "--full"))
        if with_peers:
            rows, ended = peer_dlt.land(mariadb.url(database), FOLDER / "dlt")
            stages.append(Measured("  dlt sql_database, pyarrow", rows, ended.seconds, ended.peak_mb, "for comparison"))
    megabytes = sum(path.stat().st_size for path in (folder / "shop_b").glob("history-*.json")) / 1e6
    plain = sorted((folder / "shop_b").glob("history-*.json"))
    one = measure(svod, "ingest json", "select count(*) from raw.shop_b__companies", "ingest", "json", *map(str, plain))
    stages.append(Measured(one.stage, one.rows, one.seconds, one.peak_mb, f"{megabytes / one.seconds:.0f} MB/s"))
    succeeded(svod.tool("ingest", "json"))  # the gzip file, which has no comparable size
    with kafka_server() as kafka:
        produce_kafka(kafka.bootstrap, TOPIC, folder, day=1)
        svod.settings["SVOD_SHOP_B_KAFKA"] = kafka.bootstrap
        stages.append(measure(svod, "ingest kafka", "select count(*) from raw.shop_b__events", "ingest", "kafka"))
    stages.append(build_models(svod))
    return svod, folder, stages


@app.command()
def run(scale: Scale = 0.02) -> None:
    """Every stage: rows, seconds, rows a second, peak memory; Splink and dlt beside ours; also as bench.json."""
    svod, folder, stages = landed_and_modelled(scale, with_peers=True)
    matching = matched.by_both(svod, folder)
    stages.append(build_models(svod, ", all anew", "--full"))  # dbt has compiled them, the registry's file is read
    stages.append(build_models(svod, ", nothing landed"))
    cards = "select (select count(*) from marts.crm_companies) + (select count(*) from marts.crm_contacts)"
    stages.append(measure(svod, "publish plan (diff)", cards, "publish", "plan"))
    show(stages, matching)
    result = {
        "scale": scale,
        "stages": [asdict(stage) for stage in stages],
        "contacts": [asdict(one) for one in matching],
    }
    (ROOT / "bench.json").write_text(json.dumps(result, indent=2) + "\n")


def show(stages: list[Measured], matching: list[matched.Matching]) -> None:
    table = Table("stage", "rows", "seconds", "rows/s", "peak MB", "", box=None)
    for column in table.columns[1:5]:
        column.justify = "right"
    for stage in stages:
        speed = f"{stage.rows / stage.seconds:,.0f}"
        table.add_row(stage.stage, f"{stage.rows:,}", f"{stage.seconds:.1f}", speed, f"{stage.peak_mb:.0f}", stage.note)
    console.print(table, matched.table(matching))


@app.command()
def quality(
    scale: Scale = 0.02,
    generator: Annotated[list[str] | None, typer.Option(help="first | second; both when not given.")] = None,
    with_splink: Annotated[bool, typer.Option(help="Splink, trained on the same contacts, beside the models.")] = False,
) -> None:
    """Golden records against the generators' answers, also by class of defect; exit status 1 under the thresholds."""
    statuses = []
    for name in generator or GENERATORS:
        svod, folder, _ = landed_and_modelled(scale, generator=name)
        console.print(f"[bold]{name} generator, scale {scale:g}[/bold]")
        ended = svod.run(
            sys.executable,
            *("-m", "tests.sample_data", "quality", "--answers", str(folder), "--warehouse", str(svod.warehouse)),
            echo=True,
        )
        statuses.append(ended.status)
        if with_splink:
            matching = matched.by_both(svod, folder)
            console.print(matched.table(matching), matched.table_of_classes(matching))
    raise typer.Exit(max(statuses))


@app.command()
def refresh(scale: Scale = 0.02, rounds: Annotated[int, typer.Option(min=1)] = 10) -> None:
    """A refresh after changes of three sizes, in a process that stays, and a build of all: medians, peak memory."""
    svod, _, _ = landed_and_modelled(scale)
    table = Table("what", "seconds", "of the processor", "slowest", "peak MB", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for one in refreshing.measure(svod, rounds, console.print):
        seconds = (f"{figure:.1f}" for figure in (one.seconds, one.processor_seconds, one.slowest_processor_seconds))
        table.add_row(one.what, *seconds, f"{one.peak_mb:.0f}")
    console.print(table)


@app.command()
def registry(
    inns: Annotated[int, typer.Option(help="How many; 20,000 take eleven and a half minutes at 30 a second.")] = 20_000,
    rate: Annotated[float, typer.Option(help="Requests a second that the registry allows.")] = 30,
    latency: Annotated[float, typer.Option(help="Seconds that an answer takes.")] = 0.4,
) -> None:
    """How near `ingest registry` comes to the registry's rate, and how often it is refused."""
    asked = registry_load.ask(FOLDER / "registry", inns, rate, latency)
    console.print(asked.told)
    succeeded(asked.ended)


@app.command("registry-dump")
def registry_dump(
    megabytes: Annotated[int, typer.Option(help="Of XML, unpacked.")] = 1_000,
    wanted: Annotated[float, typer.Option(help="The share of companies that the models ask for.")] = 0.05,
) -> None:
    """How fast `ingest registry --dump` reads a file of the tax service, made."""
    read = registry_load.read_dump(FOLDER / "registry-dump", megabytes, wanted)
    console.print(read.told)
    succeeded(read.ended)


@app.command()
def follow(
    scale: Scale = 0.02,
    rate: Annotated[float, typer.Option(min=0.1, help="Events a second.")] = 50,
    seconds: Annotated[float, typer.Option(min=1)] = 600,
) -> None:
    """`publish follow` under a stream of events: from an event to its card, memory, processor; a plot beside it. Exit
    status 1 where a card never changed or is wrong at the end."""
    folder = FOLDER / f"follow-{scale:g}"
    figures = following.run(folder, sources(scale), rate, seconds, console.print)
    for line in figures.told():
        console.print(line, soft_wrap=True)
    console.print(f"plot: {folder / 'follow.svg'}")
    raise typer.Exit(1 if figures.lost or figures.wrong else 0)


@app.command()
def readers(
    scale: Scale = 0.02,
    rate: Annotated[float, typer.Option(min=0.1, help="Events a second.")] = 5,
    minutes: Annotated[float, typer.Option(min=0.1, help="How long to follow, after a full run.")] = 60,
) -> None:
    """Analysts' queries, `status`, `plan`, `report` and others in a loop through a full run and `publish follow`. Exit
    status 1 where a query failed, an answer was half of one, a run was disturbed or a card is wrong at the end."""
    folder, seen = FOLDER / f"readers-{scale:g}", []

    @contextmanager
    def beside(svod: Installation) -> Iterator[None]:
        with reading.reading(svod, seen.append):
            yield
        seconds, spent, megabytes = reading.cost_of_a_copy(svod)
        console.print(f"a copy: {megabytes:,.0f} MB in {seconds:.1f} s, {spent:.1f} s of the processor")

    figures = following.run(folder, sources(scale), rate, 60 * minutes, console.print, beside)
    for line in [*figures.told(), *seen[0].told()]:
        console.print(line, soft_wrap=True, markup=False)
    raise typer.Exit(1 if figures.lost or figures.wrong or seen[0].wrong else 0)


@app.command()
def quota(
    scale: Scale = 0.02,
    per_day: Annotated[int, typer.Option(min=1, help="Verdicts that the registry gives a day.")] = 200,
    without_orders: Annotated[
        bool, typer.Option("--without-orders", help="Shop A has none: the same companies, fewer deals to send.")
    ] = False,
) -> None:
    """A first load under a daily quota; exit status 1 when a day's end finds other companies in the portal than those
    answered for."""
    is_exact = True
    for day in first_load.load(FOLDER / f"quota-{scale:g}", sources(scale), per_day, with_orders=not without_orders):
        is_exact &= day.is_exact
        console.print(day.told, soft_wrap=True)
        if not day.is_exact:
            typer.echo(day.ended.output, err=True)
    raise typer.Exit(0 if is_exact else 1)


@app.command()
def transfer(cards: Annotated[int, typer.Option(min=1000, help="Cards of the cloud.")] = 100_000) -> None:
    """A move without a backup at the standard plan, on a clock that jumps over waits; exit status 1 where it takes more
    than 1.05 of what the limits allow, or the comparison is not exact."""
    folder = FOLDER / f"transfer-{cards}"
    shutil.rmtree(folder, ignore_errors=True)
    figures, verdict = moving.run(folder, cards, lambda text: console.print(str(text), soft_wrap=True))
    console.print(f"exact: {verdict['is_exact']}")
    raise typer.Exit(0 if verdict["is_exact"] and all(figure.ratio <= 1.05 for figure in figures) else 1)


if __name__ == "__main__":
    app()
