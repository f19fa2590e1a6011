"""A first load under the registry's quota: day after day, are just the companies in the portal that it answered for?

Real sources, reader of the registry, models and publisher; the registry and the portal are stand-ins without a pace.
A day is one `publish run`: the first one `--full`, none of them with `--let-through`. What should be there is told by
the registry's stand-in alone: the INNs that it has answered as active companies so far.
"""

import resource
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from publish.sandbox import RunningSandbox
from tests.bench.shops import shops
from tests.installation import Ended, Installation
from tests.sample_data.registry_double import RunningRegistry

PACE = 500  # requests a second: as fast as one process answers them


@dataclass(frozen=True)
class Day:
    """A day of the load: how its run ended; INNs answered, active among them, waiting, in the portal; and the faults:
    those answered for and not there, there and not answered for, there twice, and company cards beyond those. `steps`
    are those of its run that took a second, with their seconds; `processor` the seconds of it that the run took, and
    those of the registry and the portal beside it."""

    number: int
    ended: Ended
    steps: list[tuple[str, float]]
    processor: tuple[float, float]
    answered: int
    active: int
    waiting: int
    in_portal: int
    missing: int
    unasked: int
    twice: int
    other_cards: int

    @property
    def told(self) -> str:
        faults = f"{self.missing:,} missing, {self.unasked:,} not answered for, {self.twice:,} twice"
        return (
            f"day {self.number}: {self.answered:,} INNs answered, {self.waiting:,} wait; active {self.active:,}, "
            f"in the portal {self.in_portal:,} ({faults}, {self.other_cards:,} other cards); "
            f"{self.ended.seconds:.0f} s ({', '.join(f'{step} {seconds:.0f}' for step, seconds in self.steps)}), "
            f"{self.processor[0]:.0f} s of the processor and {self.processor[1]:.0f} of the stand-ins, "
            f"status {self.ended.status}"
        )

    @property
    def is_exact(self) -> bool:
        """Whether the portal holds just the companies answered for, each once, and the run ended well."""
        return not (self.missing + self.unasked + self.twice + self.other_cards or self.ended.status)


def load(folder: Path, sample: Path, per_day: int, *, with_orders: bool) -> Iterator[Day]:
    """Load a sample day by day until no INN waits. `folder` is emptied first."""
    with (
        RunningRegistry(sample, rate=10 * PACE) as registry,
        shops(folder, sample, with_orders=with_orders) as (svod, _, sandbox),
    ):
        svod.settings |= {
            "SVOD_REGISTRY_URL": registry.url,
            "SVOD_REGISTRY_TOKEN": registry.token,
            "SVOD_REGISTRY_RATE": str(PACE),
        }
        number, waiting = 0, 1
        while waiting:
            number += 1
            registry.quota = per_day * number
            before = _processor()
            ended = svod.tool("publish", "run", *(["--full"] if number == 1 else []))
            of_run, of_stand_ins = (now - then for now, then in zip(_processor(), before, strict=True))
            waiting = _waiting(svod)
            yield _compared(number, ended, _steps(svod), (of_run, of_stand_ins), waiting, registry, sandbox)
            if ended.status not in (0, 1):
                return


def _waiting(svod: Installation) -> int:
    """INNs that are asked for and have no answer."""
    sql = """select count(*) from intermediate.int_companies__registry_queue
             where inn not in (select source_key from raw.registry__companies)"""
    return svod.query(sql)[0][0]


def _steps(svod: Installation) -> list[tuple[str, float]]:
    sql = """select step, epoch(finished_at - started_at) as seconds from ops.steps
             where run_id = (select arg_max(run_id, started_at) from ops.steps) and seconds >= 1 order by started_at"""
    return svod.query(sql)


def _processor() -> tuple[float, float]:
    """Seconds that programs which have ended took so far, and those of this one."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime, time.process_time()


def _compared(
    number: int,
    ended: Ended,
    steps: list[tuple[str, float]],
    processor: tuple[float, float],
    waiting: int,
    registry: RunningRegistry,
    sandbox: RunningSandbox,
) -> Day:
    active = registry.answered_as_active()
    there = Counter(row["RQ_INN"] for row in sandbox.portal.requisites())
    return Day(
        number,
        ended,
        steps,
        processor,
        answered=len(registry.requests),
        active=len(active),
        waiting=waiting,
        in_portal=len(there),
        missing=len(active - there.keys()),
        unasked=len(there.keys() - active),
        twice=sum(count > 1 for count in there.values()),
        other_cards=abs(sandbox.portal.counts()["company"] - len(there)),
    )
