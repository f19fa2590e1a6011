"""`python -m tests.chaos.follow --kills 100`: `publish follow`, killed at random moments while events come.

After each kill no watermark may be ahead of the rows or behind them; at the end every message is there once, and the
portal is as the last event of each company says.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

from ingest.warehouse.connection import open_warehouse
from tests.following import Following, following
from tests.killing import Killer, computed
from tests.servers import Kafka, kafka_server

COMPANIES = 12
START_S = 1.5  # of the processor
UNEVEN = """
select coalesce(topic, mark), rows_landed, positions, next_offset
from (
    select split_part(source_position, '/', 2)::int as topic, count(*) as rows_landed,
        count(distinct source_position) as positions
    from raw.shop_b__events group by 1
)
full join (
    select split_part(source, '/', 2)::int as mark, position::bigint as next_offset from ops.watermarks
    where source like 'shop_b:%/%' and position <> '0'
) on mark = topic
where next_offset is distinct from rows_landed or positions is distinct from rows_landed
"""


@dataclass
class Outcome:
    """How many kills hit, in which step each of them, events sent, and what was wrong at any time."""

    kills: int = 0
    steps: Counter[str] = field(default_factory=Counter)
    events: int = 0
    differences: list[str] = field(default_factory=list)


def uneven(warehouse: Path) -> list[tuple]:
    """Partitions of which not each message up to the stored offset is there once."""
    with closing(open_warehouse(warehouse)) as connection:
        is_there = connection.execute("from duckdb_tables() where table_name = 'shop_b__events'").fetchone()
        return connection.execute(UNEVEN).fetchall() if is_there else []


def step_under_way(warehouse: Path) -> str:
    """Which step was killed, or `between` them."""
    with closing(open_warehouse(warehouse)) as connection:
        row = connection.execute(
            "select step from ops.steps where status = 'running' order by started_at desc limit 1"
        ).fetchone()
    return row[0] if row else "between steps"


def send(ours: Following, dice: random.Random, outcome: Outcome) -> None:
    """Events of some companies, one of them perhaps twice."""
    outcome.events += 1
    word = f"n{outcome.events}"
    ours.send(dice.sample(range(COMPANIES), dice.randint(1, 3)), word)


def kill(process: BaseProcess, after: float, keep_busy: Callable[[], object]) -> None:
    """Kill a process that has work all the time when it has computed for so many seconds."""
    until = computed(process.pid) + after
    while process.is_alive() and computed(process.pid) < until:
        keep_busy()
        time.sleep(0.01)
    assert process.is_alive(), f"it ended by itself, with {process.exitcode}"
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def run(kafka: Kafka, folder: Path, kills: int, seed: int) -> Outcome:
    """One run in a folder of its own. Raises AssertionError where it does not come to an end."""
    dice, outcome = random.Random(seed), Outcome()
    with following(folder, kafka, COMPANIES) as ours:
        killer = Killer(ours.svod.environment, ours.log, dice)
        ours.send(range(COMPANIES), "first")
        process = killer.start("publish", "follow")
        ours.wait_until("all are there", lambda: len(ours.emails()) == COMPANIES, process=process)
        send(ours, dice, outcome)
        before = computed(process.pid)
        ours.wait_until("the first change is there", lambda: ours.is_right(), process=process)
        life = computed(process.pid) - before + START_S
        while outcome.kills < kills:
            kill(process, dice.uniform(0.0, life), lambda: ours.is_right() and send(ours, dice, outcome))
            outcome.kills += 1
            outcome.steps[step_under_way(ours.svod.warehouse)] += 1
            for rows in uneven(ours.svod.warehouse):
                outcome.differences.append(f"after kill {outcome.kills}: partition, rows, positions, offset {rows}")
            process = killer.start("publish", "follow")
        send(ours, dice, outcome)
        ours.wait_until("all is right in the end", ours.is_right, process=process)
        process.terminate()
        process.join(120)
        if process.exitcode:
            outcome.differences.append(f"it ended with {process.exitcode}")
        outcome.differences += [f"in the end: {rows}" for rows in uneven(ours.svod.warehouse)]
        outcome.differences += ours.differences()
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--folder", type=Path, help="keep warehouse, portal and log there")
    chosen = parser.parse_args()
    print(f"follow: seed {chosen.seed}", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary, kafka_server() as kafka:
        outcome = run(kafka, chosen.folder or Path(temporary), chosen.kills, chosen.seed)
    hit = ", ".join(f"{step} {number}" for step, number in outcome.steps.most_common())
    print(f"follow: {outcome.kills} kills ({hit}), {outcome.events} times events, {time.monotonic() - started:.0f} s")
    for difference in outcome.differences:
        print(f"follow: {difference}")
    sys.exit(1 if outcome.differences else 0)


if __name__ == "__main__":
    main()
