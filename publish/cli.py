"""`publish run | push | retry | discard | forget | gate | sandbox`, and the commands of rooms of their own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ingest.warehouse import journal, log, terminal
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.terminal import say
from publish import after_run, forget, gate, pipeline, sending, set_aside, setting_names
from publish.bitrix24 import todos, trial
from publish.bitrix24.parts import PARTS
from publish.check_command import check_command
from publish.explain.command import explain_command
from publish.ledger import Ledger
from publish.looking import held_of
from publish.people import Asked
from publish.plan_command import plan_command
from publish.report.command import report_command
from publish.screen import PushProgress, warehouse
from publish.settings import read_settings
from publish.status_command import status_command
from publish.transfer import command as transfer

app = typer.Typer(
    help="Bring the marts to Bitrix24, only what changed.", no_args_is_help=True, pretty_exceptions_enable=False
)
app.add_typer(transfer.app, name="transfer")
app.command("plan")(plan_command)
app.command("report")(report_command)
app.command("explain")(explain_command)
app.command("status")(status_command)
app.command("check")(check_command)


@app.command("run")
def run_command(
    full: Annotated[bool, typer.Option("--full", help="All that the sources have since the period began.")] = False,
    move_period: Annotated[
        bool, typer.Option("--move-period", help="Let the period begin on 1 January of last year from now on.")
    ] = False,
    let_through: Annotated[bool, typer.Option("--let-through", help="Let a large plan through, this once.")] = False,
) -> None:
    """One cycle of everything: sources, registry, models, gates, portal. What fails stops nothing else."""
    log.keep()
    with after_run.telling_of_its_end():
        settings = pipeline.read_settings()
        setting_names.check_fields(settings, PARTS)
        if problem := trial.problem_of(settings):
            terminal.warn_once(problem)
        pipeline.run(
            settings,
            is_full=full,
            moves_period=move_period,
            let_through=let_through,
            portal_problem=trial.brief(problem),
        )


@app.command("follow")
def follow_command() -> None:
    """Stay up: events reach the portal as they come, tables and files on a schedule. Ends well on SIGTERM."""
    from publish import follow  # with it comes the client of Kafka, which no other command needs

    log.keep()
    with after_run.telling_of_its_end():
        settings = pipeline.read_settings()
        setting_names.check_fields(settings, PARTS)
        if problem := trial.problem_of(settings):
            terminal.warn_once(problem)
        follow.follow(settings, trial.brief(problem))


@app.command()
def push(
    let_through: Annotated[bool, typer.Option("--let-through", help="Let a large plan through, this once.")] = False,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Publish to a portal that another warehouse published to.")
    ] = False,
) -> None:
    """Send the changes to the portal. May be stopped at any moment and run again."""
    log.keep()
    settings = read_settings()
    with (
        warehouse(settings) as connection,
        journal.step(connection, journal.PUBLISH_PUSH) as step,  # keeps what refuses a push, whatever it is
        terminal.progress_bars() as bars,
    ):
        pace, wishes = sending.pace_of(settings), sending.Wishes(let_through, take_over)
        result = sending.push(connection, settings, step, pace, PushProgress(bars), wishes)
    for line in sending.lines(result):
        say(line)
    if result.dead_letters_now:
        raise OperatorError(
            f"{result.dead_letters_now} records are dead-lettered in sync.dead_letters",
            hint="`publish status --details` lists the errors; they are tried again with a growing delay, or by "
            "`publish retry`",
            exit_status=4,
        )
    if result.dead_letters:
        say(
            f"publish push: {result.dead_letters:,} dead letters of before wait for their next try: "
            "`publish status --details` says why, `publish retry --all` tries them with the next push"
        )


Kind = Annotated[str | None, typer.Option("--entity", help="All of a kind: company, contact, deal, requisite, …")]
Ids = Annotated[list[str] | None, typer.Option("--id", help="All of a record, by its id; may be repeated.")]
Everything = Annotated[bool, typer.Option("--all", help="All that was refused.")]


@app.command()
def retry(
    entity: Kind = None,
    origin_ids: Ids = None,
    everything: Everything = False,
    deleted: Annotated[bool, typer.Option("--deleted", help="Cards that managers deleted as well.")] = False,
) -> None:
    """Have the next push try again what the portal refused, and make a card again that a manager deleted."""
    with _chosen(entity, origin_ids, everything) as (ledger, choice):
        due, wanted_again = set_aside.retry(ledger, choice, also_deleted=deleted)
    say(
        f"publish retry: {due:,} dead letters are due, {wanted_again:,} deleted parts will be made again; "
        "`publish push` does it, or the next run"
    )


@app.command()
def discard(entity: Kind = None, origin_ids: Ids = None, everything: Everything = False) -> None:
    """Leave alone what the portal refused until the record changes."""
    with _chosen(entity, origin_ids, everything) as (ledger, choice):
        discarded = set_aside.discard(ledger, choice)
    say(f"publish discard: {discarded:,} dead letters rest until their records change, or `publish retry` wakes them")


@contextmanager
def _chosen(
    entity: str | None, origin_ids: list[str] | None, everything: bool
) -> Iterator[tuple[Ledger, set_aside.Choice]]:
    settings = read_settings()
    choice = set_aside.Choice(
        [*(part.entity for part in PARTS), todos.ENTITY], entity, tuple(origin_ids or ()), everything
    )
    with warehouse(settings) as connection:
        yield Ledger(connection, held_of(connection, settings).portal), choice


@app.command("forget")
def forget_command(
    phone: Annotated[str, typer.Option(help="Who has this phone, however it is written.")] = "",
    email: Annotated[str, typer.Option(help="Who has this e-mail.")] = "",
    inn: Annotated[str, typer.Option(help="The sole trader with this INN, where they are a contact as well.")] = "",
    ids: Annotated[list[str] | None, typer.Option("--id", help="A contact's id; may be repeated.")] = None,
    everyone: Annotated[bool, typer.Option("--everyone", help="All who are meant, where that are several.")] = False,
    cards: Annotated[forget.Cards, typer.Option(help="What becomes of their cards in the portal.")] = "list",
    yes: Annotated[bool, typer.Option("--yes", help="Erase; without it, only who is meant is said.")] = False,
) -> None:
    """Erase a person from the warehouse and its copies, for good, and print the act; without options, finish what was
    broken off."""
    settings = read_settings()
    asked = Asked(phone, email, inn, tuple(ids or ()))
    forget.run(settings, asked, is_sure=yes, everyone=everyone, cards=cards)


@app.command("gate")
def gate_command() -> None:
    """Say whether the marts may be published; exit 3 with what is against it, the tests and their rows, when not."""
    settings = read_settings()
    with warehouse(settings) as connection:
        gate.check(connection, PARTS, settings.source_max_age_hours)
    say("publish gate: the marts are what the last full pass left, and all its tests passed")


@app.command()
def sandbox(
    state: Annotated[str, typer.Option(help="File that keeps the portal's state, or :memory:")] = ":memory:",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 0,
    no_limits: Annotated[bool, typer.Option("--no-limits", help="As a self-hosted portal.")] = False,
    fault_rate: Annotated[float, typer.Option(min=0, max=1, help="Share of requests that go wrong.")] = 0.0,
    fault_seed: Annotated[int | None, typer.Option(help="The same seed, the same faults.")] = None,
) -> None:
    """Serve a stand-in portal on loopback; prints its webhook address and runs until interrupted."""
    try:
        from publish.sandbox import Faults, Limits, serve  # a web server that no other command needs
    except ModuleNotFoundError as error:
        problem = f"the sandbox needs packages that a server does without ({error.name} is missing)"
        raise OperatorError(problem, hint=".venv/bin/pip install -e '.[sandbox]'", exit_status=2) from None

    serve(
        state if state == ":memory:" else Path(state),
        port=port,
        limits=Limits.none() if no_limits else Limits.standard(),
        faults=Faults(rate=fault_rate, seed=fault_seed),
        on_ready=lambda webhook: print(webhook, flush=True),
    )


def main() -> None:
    """Entry point: an OperatorError is one line and a hint, and its exit status."""
    terminal.run(app)
