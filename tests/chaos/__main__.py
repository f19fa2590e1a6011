"""`python -m tests.chaos`: one run, its figures, and exit status 1 where something differs at the end."""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests import chaos


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--companies", type=int, default=2000)
    parser.add_argument("--contacts", type=int, default=4000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--fault-rate", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--folder", type=Path, help="keep warehouse, portals and log there")
    chosen = parser.parse_args()
    print(f"chaos: seed {chosen.seed}", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        outcome = chaos.run(
            chosen.companies,
            chosen.contacts,
            chosen.kills,
            seed=chosen.seed,
            fault_rate=chosen.fault_rate,
            folder=chosen.folder or Path(temporary),
        )
    print(
        f"chaos: {outcome.kills} kills, {outcome.with_open_intents} with creates unanswered, {outcome.faults} requests "
        f"spoiled, {outcome.days} days of changes, {outcome.failed_sources} without a source, "
        f"{time.monotonic() - started:.0f} s"
    )
    print(
        f"chaos: {outcome.older_warehouses} older warehouses, {outcome.backups} backups of a portal and "
        f"{outcome.restored_portals} put back, {outcome.swaps} swaps with another portal"
    )
    for event, number in sorted(outcome.events.items()):
        ended = {how: pushes for (last, how), pushes in sorted(outcome.pushes.items()) if last == event}
        told = ", ".join(f"{how} {pushes}" for how, pushes in ended.items())
        print(f"chaos: {event}: {number}; pushes after it by exit status: {told}; confirmed {outcome.confirmed[event]}")
    print("chaos: people: " + ", ".join(f"{deed} {number}" for deed, number in sorted(outcome.people.items())))
    print("chaos: in the portal " + ", ".join(f"{name} {number}" for name, number in outcome.counts.items()))
    for difference in outcome.differences:
        print(f"chaos: {difference}")
    sys.exit(1 if outcome.differences else 0)


if __name__ == "__main__":
    main()
