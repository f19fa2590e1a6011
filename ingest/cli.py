"""`ingest mysql | json | kafka | registry | bitrix24 | backup | journal | status | copy`."""

import logging
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from ingest import steps
from ingest.check_command import check_command
from ingest.inspect_command import inspect_command
from ingest.landing import landing
from ingest.settings import portals_of, read_settings
from ingest.warehouse import checklist, journal, log
from ingest.warehouse.connection import open_for_reading, open_warehouse
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.snapshot import make_snapshot
from ingest.warehouse.terminal import print_table, run, say, say_aside
from ingest.warehouse.variables import known_names_hint

app = typer.Typer(
    help="Land the sources in the warehouse's schema raw, as they are.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

people = typer.Typer(help="What people do for a move, with its times.", no_args_is_help=True)
app.add_typer(people, name="journal")
app.command("check")(check_command)
app.command("inspect")(inspect_command)

SourceName: TypeAlias = Annotated[
    str | None, typer.Option("--source", help="Just this source; all that are set unless named.")
]


@app.command("mysql")
def mysql_command(
    tables: Annotated[list[str] | None, typer.Argument(help="Tables; those of SVOD_<SOURCE>_TABLES if none.")] = None,
    source_name: SourceName = None,
    full: Annotated[bool, typer.Option("--full", help="From SVOD_SINCE, not from the high-water mark.")] = False,
    reconcile: Annotated[
        bool,
        typer.Option("--reconcile", help="Compare with the server by checksums, whenever that was done last."),
    ] = False,
) -> None:
    """Land tables of MySQL sources: what changed since the last run, or everything."""
    with landing(journal.INGEST_MYSQL) as work:
        steps.land_mysql(work, source_name, tables or (), is_full=full, is_compared=reconcile)


@app.command("json")
def json_command(
    files: Annotated[list[Path] | None, typer.Argument(help="Files; those of SVOD_<SOURCE>_FILES if none.")] = None,
    source_name: SourceName = None,
    full: Annotated[
        bool, typer.Option("--full", help="Read files again that look unchanged, by size and time.")
    ] = False,
) -> None:
    """Land JSON files of companies, object by object; files that are landed already are skipped."""
    with landing(journal.INGEST_JSON) as work:
        steps.land_json(work, source_name, files or (), is_full=full)


@app.command("kafka")
def kafka_command(source_name: SourceName = None) -> None:
    """Land topics of company events from the stored offsets to their present ends."""
    with landing(journal.INGEST_KAFKA) as work:
        steps.land_kafka(work, source_name)


@app.command("registry")
def registry_command(
    dump: Annotated[
        str | None,
        typer.Option("--dump", help="Just the tax service's bulk files: a path, a folder or a pattern."),
    ] = None,
    is_all: Annotated[
        bool, typer.Option("--all", help="With --dump: every company, not only those that the models ask for.")
    ] = False,
    is_again: Annotated[bool, typer.Option("--again", help="With --dump: files that were read before, too.")] = False,
) -> None:
    """Land the registry's verdicts on the companies the models ask for: of the files, then the service's."""
    from ingest import registry_command

    if dump is None and (is_all or is_again):
        raise OperatorError("--all and --again go with --dump", hint="name the files: --dump PATH", exit_status=2)
    with landing(journal.INGEST_REGISTRY) as work:
        if dump is None:
            registry_command.land_registry(work)
        else:
            registry_command.land_dumps(work, dump, is_all=is_all, is_again=is_again)


@app.command("backup")
def backup_command() -> None:
    """Fetch the parts of a portal's backup and prove them; goes on where it stopped. The links are in a file."""
    from ingest.backup.run import fetch_backup

    logging.getLogger("stamina").setLevel(logging.ERROR)
    log.keep()
    settings = read_settings()
    fetch_backup(
        settings.general.warehouse,
        settings.parts_folder,
        settings.transfer.backup_links,
        streams=settings.transfer.backup_streams,
        allow_http=settings.general.allow_http,
    )


@app.command("bitrix24")
def bitrix24_command(
    names: Annotated[
        list[str] | None, typer.Option("--portal", help="cloud or box; both that are set, at once, unless named.")
    ] = None,
    label: Annotated[str, typer.Option("--label", help="What this snapshot is called, such as baseline.")] = "",
    since: Annotated[
        datetime | None,
        typer.Option(
            "--active-since", formats=["%Y-%m-%d"], help="Comments and bindings only of what was active since."
        ),
    ] = None,
    gone: Annotated[
        list[str] | None,
        typer.Option("--gone", help="What really is no longer there, as funnel:7 or leads; it counts as deleted."),
    ] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Go on with no reading that broke off.")] = False,
    all_parts: Annotated[
        bool,
        typer.Option(
            "--all-parts", help="Comments and bindings of all cards and activities, not of changed ones alone."
        ),
    ] = False,
) -> None:
    """Land Bitrix24 portals whole, as snapshots, of which only what changed lands; nothing is written to them."""
    from ingest.portal.landing import land_portals
    from ingest.portal.source import Wishes

    with landing(journal.INGEST_BITRIX24) as work:
        sources = portals_of(work.settings, names)
        wishes = Wishes(since.date() if since else None, tuple(gone or ()), anew, all_parts)
        land_portals(work, sources, label, wishes)


_LONGEST, _FIRST_YEAR = timedelta(days=31), 2000
When: TypeAlias = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"], help="Local time; now unless said."),
]


@people.command("add")
def journal_add_command(
    step: Annotated[str, typer.Argument(help="A step of the checklist, which it ticks, or any other.")],
    started: When = None,
    finished: When = None,
    note: Annotated[str, typer.Option("--note", help="Anything worth remembering.")] = "",
) -> None:
    """Write down what somebody did for a move, and when; the forecast of the standstill reckons with it."""
    now = journal.utc_now().replace(microsecond=0)
    ended_at = _utc(finished) if finished else now
    began_at = _utc(started) if started else ended_at
    if not step.strip() or began_at > ended_at or ended_at > now or ended_at - began_at > _LONGEST:
        raise OperatorError(
            f"{step} cannot have been from {began_at:%Y-%m-%d %H:%M} to {ended_at:%Y-%m-%d %H:%M} UTC: what is over by "
            f"now is written down, of {_LONGEST.days} days at the most",
            hint="check the name and the two times",
            exit_status=2,
        )
    known = [item.step for item in checklist.items()]
    if step not in known:
        say_aside(f"{step} is not on the checklist: {known_names_hint(step, known)}")
    with closing(open_warehouse(read_settings().general.warehouse)) as connection:
        checklist.add(connection, checklist.Work(step, began_at, ended_at, note))
    say(f"ingest journal: {step}, {ended_at - began_at}")


@people.command("remove")
def journal_remove_command(step: Annotated[str, typer.Argument(help="A step that was written down.")]) -> None:
    """Take back what was written down last of a step."""
    with closing(open_warehouse(read_settings().general.warehouse)) as connection:
        taken = checklist.take_back(connection, step)
    if not taken:
        raise OperatorError(f"nothing is written down of {step}", hint="ingest journal list", exit_status=2)
    say(f"ingest journal: the last entry of {step} is taken back")


def _utc(local: datetime) -> datetime:
    if local.year < _FIRST_YEAR:
        raise OperatorError(f"{local:%Y-%m-%d} is no day of a move", hint="check the year", exit_status=2)
    return local.astimezone(UTC).replace(tzinfo=None)


@people.command("list")
def journal_list_command() -> None:
    """What people did, in the order of time."""
    connection, note = open_for_reading(read_settings().general.warehouse)
    with closing(connection):
        if note:
            say_aside(note)
        rows = [(work.step, work.started_at, work.finished_at, work.note) for work in checklist.all_work(connection)]
    print_table("What people did", ["step", "started (UTC)", "finished (UTC)", "note"], rows)


@app.command("status")
def status_command() -> None:
    """What the last runs did, how far each source has been read, what waits, what was refused."""
    from ingest.status import status_tables

    settings = read_settings()
    connection, note = open_for_reading(settings.general.warehouse)
    try:
        if note:
            say_aside(note)
        for table in status_tables(connection, timedelta(days=settings.registry.ttl_days), settings.registry.rate):
            print_table(*table)
    finally:
        connection.close()


@app.command("copy")
def copy_command() -> None:
    """Make the copy that is read while a step holds the warehouse."""
    settings = read_settings().general
    path = settings.warehouse
    if not path.exists():
        raise OperatorError(f"there is no warehouse at {path}", hint="run `make full` first, or set SVOD_WAREHOUSE")
    if not make_snapshot(path, settings.readers_group, mask=settings.inspect_mask):
        say_aside(f"a step holds {path}: the copy stays as it is")


def main() -> None:
    """Run the command line; an OperatorError becomes two lines and its exit status."""
    run(app)


if __name__ == "__main__":
    main()
