"""Kills `publish transfer push` at random moments over a bad connection, then looks what the box has.

`python -m tests.publish.transfer.kills --kills 100` is the large one.
"""

import argparse
import contextlib
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from pathlib import Path

from ingest.warehouse.connection import open_warehouse
from publish.sandbox import Portal, create_app
from tests.publish.transfer import office


@dataclass
class Outcome:
    """Kills that hit a living push, those that left creates unanswered, requests that the box spoiled, differences."""

    kills: int = 0
    with_open_intents: int = 0
    faults: int = 0
    mail: int = 0
    automation: int = 0
    differences: list[str] = field(default_factory=list)


def _push(environment: dict[str, str], log: Path) -> None:
    from ingest.warehouse import terminal
    from publish import cli

    os.environ.update(environment)
    sys.argv = ["publish", "transfer", "push", "--automation-is-off"]
    with log.open("a") as out, contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        terminal.console.file = out
        terminal.errors.file = out
        cli.main()


def run(companies: int, kills: int, *, seed: int, fault_rate: float, folder: Path) -> Outcome:
    """One move in a folder of its own, killed that often: so many companies at first, and as many more whenever all are
    there. Raises RuntimeError when it does not end by itself."""
    dice, outcome = random.Random(seed), Outcome()
    warehouse, state, log = folder / "svod.duckdb", folder / "box.sqlite", folder / "push.log"
    with contextlib.closing(open_warehouse(warehouse)) as connection:
        office.prepare(connection)
        office.fill(connection, companies)
        office.stamp(connection)
    fresh = create_app(state).state.portal
    fresh.add_template("DEAL", auto_execute=1)
    fresh.close()
    command = [sys.executable, "-c", "from publish.cli import main; main()", "sandbox", "--state", str(state)]
    command += ["--no-limits", "--fault-rate", str(fault_rate), "--fault-seed", str(seed)]
    box = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    environment = {
        "SVOD_ENV_FILE": os.devnull,
        "SVOD_WAREHOUSE": str(warehouse),
        "SVOD_CLOUD_WEBHOOK": f"https://{office.CLOUD}/rest/1/secret/",
        "SVOD_BOX_WEBHOOK": box.stdout.readline().strip(),
        # The sandbox answers in milliseconds: what it has not created a second after a request, it never will.
        "SVOD_BITRIX24_REQUEST_LIMIT": "1",
    }
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["publish.cli", "publish.sandbox", "tests.publish.transfer.office"])
    try:
        companies = _kill_many(context, environment, log, warehouse, kills, companies, dice, outcome)
        for _ in range(20):  # a run gives up after many faults in a row, or one that only a person could end
            last = context.Process(target=_push, args=(environment, log))
            last.start()
            last.join(600)
            if last.exitcode == 0:
                break
        else:
            raise RuntimeError(f"the push does not end, see {log}")
    finally:
        box.terminate()
        box.wait()
    view = Portal.of(state)
    outcome.faults = sum(view.stats()["faults"].values())
    outcome.mail, outcome.automation = view.mail_sent(), view.automation_started()
    there = office.held(view)
    outcome.differences = [
        f"{there[table]} rows of {table}, not {number}"
        for table, number in office.counts_of(companies).items()
        if there[table] != number
    ]
    marks = [card["UF_CRM_SVOD_SOURCE"] for kind in ("company", "contact", "lead", "deal") for card in view.items(kind)]
    if len(set(marks)) != 4 * companies:
        outcome.differences.append(f"{len(set(marks))} marks of {4 * companies}")
    with contextlib.closing(open_warehouse(warehouse)) as connection:
        for what in ("intents", "dead_letters"):
            (number,) = connection.execute(f"select count(*) from transfer.{what}").fetchone()
            if number:
                outcome.differences.append(f"{number} {what} are left")
        known = dict(
            connection.execute("select source_id, target_id from transfer.id_map where entity = 'lead'").fetchall()
        )
        if known != {card["UF_CRM_SVOD_SOURCE"].partition(":")[2]: card["id"] for card in view.items("lead")}:
            outcome.differences.append("the map of ids is not what the box says")
    return outcome


def _kill_many(
    context: ForkServerContext,
    environment: dict[str, str],
    log: Path,
    warehouse: Path,
    kills: int,
    companies: int,
    dice: random.Random,
    outcome: Outcome,
) -> int:
    """How many companies there are in the end."""
    each = companies
    while outcome.kills < kills:
        process = context.Process(target=_push, args=(environment, log))
        process.start()
        process.join(dice.uniform(0.05, 3.0))
        if not process.is_alive():
            if process.exitcode == 0:
                with contextlib.closing(open_warehouse(warehouse)) as connection:
                    office.fill(connection, each, first=companies)
                    office.stamp(connection)
                companies += each
            continue
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        outcome.kills += 1
        with contextlib.closing(open_warehouse(warehouse)) as connection:
            (left,) = connection.execute("select count(*) from transfer.intents").fetchone()
            outcome.with_open_intents += left > 0
    return companies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--companies", type=int, default=60)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--fault-rate", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    chosen = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        outcome = run(
            chosen.companies, chosen.kills, seed=chosen.seed, fault_rate=chosen.fault_rate, folder=Path(folder)
        )
    print(f"kills: seed {chosen.seed}, {outcome}, {time.monotonic() - started:.0f} s")
    sys.exit(1 if outcome.differences else 0)


if __name__ == "__main__":
    main()
