"""Kills the publisher at random moments over a bad connection, then compares portal, ledger and marts (`make chaos`).

The sandbox portal runs as a process of its own and spoils a share of the requests. Whenever all is published before the
kills are used up, the sources change: new companies and people, other titles, phones and links.
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
from publish.sandbox import Portal
from tests.publish import marts


@dataclass
class Outcome:
    """What a chaos run came to: kills that hit a living publisher, those that left creates unanswered, differences."""

    kills: int = 0
    with_open_intents: int = 0
    days: int = 1
    counts: dict[str, int] = field(default_factory=dict)
    faults: int = 0
    differences: list[str] = field(default_factory=list)


def _publish(environment: dict[str, str], log: Path) -> None:
    from ingest.warehouse import terminal
    from publish import cli

    os.environ.update(environment)
    sys.argv = ["publish", "push", "--let-through"]
    with log.open("a") as out, contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        terminal.console.file = out
        terminal.errors.file = out
        cli.main()


def _start_portal(state: Path, fault_rate: float, seed: int) -> tuple[subprocess.Popen, str]:
    command = [sys.executable, "-c", "from publish.cli import main; main()", "sandbox", "--state", str(state)]
    command += ["--no-limits", "--fault-rate", str(fault_rate), "--fault-seed", str(seed)]
    portal = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    return portal, portal.stdout.readline().strip()


def _next_day(warehouse: Path, day: int) -> None:
    """Changes of every kind, a different set each day."""
    with contextlib.closing(open_warehouse(warehouse)) as connection:
        connection.execute(
            f"""
            update marts.crm_companies set title = title || ' +{day}' where hash(company_id || {day}) % 10 = 0;
            update marts.crm_companies set legal_address = legal_address || ', к {day}'
                where hash(company_id || {day}) % 17 = 0;
            update marts.crm_contacts
                set phones = ['+7495' || lpad((hash(contact_id || {day}) % 10000000)::varchar, 7, '0')]
                where hash(contact_id || {day}) % 10 = 1;
            delete from marts.crm_company_contacts where not is_primary and hash(contact_id || {day}) % 5 = 0;
            insert into marts.crm_companies by name
                select * replace (
                    'c-{day:04}' || right(company_id, 12) as company_id, '{500 + day}' || right(inn, 7) as inn)
                from marts.crm_companies where length(inn) = 10 and hash(company_id || {day}) % 8 = 0
                    and company_id like 'c-0000%';
            """
        )
        marts.stamp(connection)


def run(companies: int, contacts: int, kills: int, *, seed: int, fault_rate: float, folder: Path) -> Outcome:
    """One chaos run in a folder of its own. Raises RuntimeError when the publisher does not end by itself."""
    dice, outcome = random.Random(seed), Outcome()
    warehouse, state, log = folder / "svod.duckdb", folder / "portal.sqlite", folder / "publish.log"
    with contextlib.closing(open_warehouse(warehouse)) as connection:
        marts.prepare(connection)
        marts.fill(connection, companies, contacts, contacts // 4)
    portal, webhook = _start_portal(state, fault_rate, seed)
    environment = {
        "SVOD_ENV_FILE": os.devnull,
        "SVOD_WAREHOUSE": str(warehouse),
        "SVOD_BITRIX24_WEBHOOK": webhook,
        "SVOD_BITRIX24_RATE": "0",
        # The sandbox answers in milliseconds: what it has not created a second after a request, it never will.
        "SVOD_BITRIX24_REQUEST_LIMIT": "1",
    }
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["publish.cli", "publish.sandbox", "tests.publish.marts"])
    try:
        _kill_many(context, environment, log, warehouse, kills, dice, outcome)
        for _ in range(3):  # a run may give up after many faults in a row; a person or cron starts the next one
            last = context.Process(target=_publish, args=(environment, log))
            last.start()
            last.join(600)
            if last.exitcode == 0:
                break
        else:
            raise RuntimeError(f"the publisher does not end, see {log}")
    finally:
        portal.terminate()
        portal.wait()
    view = Portal.of(state)
    outcome.counts, outcome.faults = view.counts(), sum(view.stats()["faults"].values())
    with contextlib.closing(open_warehouse(warehouse)) as connection:
        outcome.differences = marts.differences(connection, view)
        open_intents = connection.execute("select count(*) from sync.intents").fetchone()[0]
        if open_intents:
            outcome.differences.append(f"{open_intents} intents are open")
    return outcome


def _kill_many(
    context: ForkServerContext,
    environment: dict[str, str],
    log: Path,
    warehouse: Path,
    kills: int,
    dice: random.Random,
    outcome: Outcome,
) -> None:
    longest = 3.0
    while outcome.kills < kills:
        process = context.Process(target=_publish, args=(environment, log))
        process.start()
        process.join(dice.uniform(0.05, longest))
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            outcome.kills += 1
            with contextlib.closing(open_warehouse(warehouse)) as connection:
                tables = connection.execute(
                    "select count(*) from duckdb_tables() where table_name = 'intents'"
                ).fetchone()
                if tables[0]:
                    left = connection.execute("select count(*) from sync.intents").fetchone()[0]
                    outcome.with_open_intents += left > 0
        elif process.exitcode == 0:
            outcome.days += 1
            _next_day(warehouse, outcome.days)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--companies", type=int, default=2000)
    parser.add_argument("--contacts", type=int, default=4000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--fault-rate", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    chosen = parser.parse_args()
    print(f"chaos: seed {chosen.seed}", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        outcome = run(
            chosen.companies,
            chosen.contacts,
            chosen.kills,
            seed=chosen.seed,
            fault_rate=chosen.fault_rate,
            folder=Path(folder),
        )
    print(
        f"chaos: {outcome.kills} kills, {outcome.with_open_intents} with creates unanswered, {outcome.faults} requests "
        f"spoiled, {outcome.days} days of changes, {time.monotonic() - started:.0f} s"
    )
    print("chaos: in the portal " + ", ".join(f"{name} {number}" for name, number in outcome.counts.items()))
    for difference in outcome.differences:
        print(f"chaos: {difference}")
    sys.exit(1 if outcome.differences else 0)


if __name__ == "__main__":
    main()
