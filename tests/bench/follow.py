"""`publish follow` under a steady stream: from the event's time to the changed card, second by second.

Real MariaDB, Kafka and sources; the portal is a stand-in without limits. All is filled by one `publish run --full`,
then events come at a rate: each gives one person of a company of shop B another e-mail, which the person's card shows.
When a card changed is what the publisher wrote down on the portal's answer (sync.history); at the end the portal itself
is looked at. An event that a later one of the same person overtook is over when that is.
"""

import json
import re
import sqlite3
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from tests.bench.shops import PORTAL, shops
from tests.following import Following
from tests.installation import Installation
from tests.killing import computed
from tests.sample_data.loaders import TOPIC

Beside = Callable[[Installation], AbstractContextManager[object]]
COMPANIES = 2_000  # of which events tell
PLACE = re.compile(r"e(\d+)@follow\.example")
NEWEST = """
with versions as (
    select payload ->> '$.uid' as uid, payload, ingested_at, source_position from raw.shop_b__companies
    union all
    select payload ->> '$.company.uid', payload -> '$.company', ingested_at, source_position from raw.shop_b__events
    where payload ->> '$.event' = 'company.upserted'
),
published as (
    select source_id as published_uid, contact_id from marts.xref_contacts
    join sync.ledger on entity = 'contact' and origin_id = contact_id
    where source = 'shop_b' and contact_id in (
        select contact_id from marts.xref_contacts group by 1 having count(*) = 1)
)
select uid, company, person_uid, contact_id from (
    select uid, max_by(payload, (payload ->> '$.changed_at')::timestamptz) as company from versions group by uid
)
join marts.xref_companies as xref on xref.source = 'shop_b' and xref.source_id = uid
cross join unnest(json_extract_string(company, '$.persons[*].uid')) as person(person_uid)
join published on published_uid = person_uid
qualify row_number() over (partition by uid order by person_uid) = 1
order by hash(uid) limit ?
"""
STEPS = """
with timed as (
    select step, status, started_at, epoch(finished_at - started_at) as seconds from ops.steps
    where run_id like 'follow-%' and status != 'running' and epoch(started_at) >= ?
)
select step, count(*), median(seconds), max(seconds), count(*) filter (status != 'done') from timed
group by all order by min(started_at)
"""


@dataclass
class Figures:
    """Seconds from each event to its card, by event; megabytes and processor seconds of the process by the second."""

    latencies: list[tuple[float, float]] = field(default_factory=list)  # since the first event, latency
    memory: list[tuple[float, float]] = field(default_factory=list)
    cpu_seconds: float = 0.0
    seconds: float = 0.0
    cycles: int = 0
    steps: list[tuple[str, int, float, float, int]] = field(default_factory=list)  # how many, median, longest, not done
    lost: int = 0  # events whose card never changed
    wrong: int = 0  # persons whose card does not show the last event

    def percentile(self, share: float) -> float:
        ordered = sorted(latency for _, latency in self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")

    def told(self) -> Iterator[str]:
        shares = ", ".join(f"p{share} {self.percentile(share / 100):.1f} s" for share in (50, 95, 99, 100))
        yield (
            f"{len(self.latencies):,} events in {self.seconds:.0f} s, to the changed card: {shares}; "
            f"{self.lost} never, {self.wrong} cards wrong at the end"
        )
        quarter = max(1, len(self.memory) // 4)
        parts = (self.memory[quarter : 2 * quarter], self.memory[-quarter:])
        early, late = (statistics.mean(mb for _, mb in part) if part else float("nan") for part in parts)
        peak = max((mb for _, mb in self.memory), default=float("nan"))
        yield (
            f"memory: second quarter {early:.0f} MB, last quarter {late:.0f} MB, peak {peak:.0f} MB; "
            f"{self.cycles} cycles that sent, {self.cpu_seconds:.0f} s of the processor"
        )
        for step, count, median, longest, failed in self.steps:
            yield f"{step}: {count} times, median {median:.2f} s, longest {longest:.2f} s, {failed} failed or stopped"


class Watched(threading.Thread):
    """Follows a process's resident memory."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.samples: list[tuple[float, float]] = []
        self._status, self._began, self.is_over = Path(f"/proc/{pid}/status"), time.monotonic(), threading.Event()
        self.start()

    def run(self) -> None:
        while not self.is_over.wait(1.0):
            try:
                resident = re.search(r"VmRSS:\s+(\d+) kB", self._status.read_text())
            except OSError:
                return
            if resident:
                self.samples.append((time.monotonic() - self._began, int(resident[1]) / 1024))


@contextmanager
def filled(folder: Path, sample: Path, say: Callable[[str], None], beside: Beside) -> Iterator[Following]:
    """Everything up, everything published."""
    with shops(folder, sample) as (svod, kafka, sandbox), beside(svod):
        svod.settings["SVOD_REGISTRY_FILE"] = str(sample / "registry.csv")
        ended = svod.tool("publish", "run", "--full")
        (svod.folder / "full.log").write_text(ended.output)
        if ended.status:
            raise RuntimeError(ended.output)
        say(f"filled in {ended.seconds:.0f} s")
        ours = Following(svod, kafka, TOPIC, sandbox, [])
        try:
            yield ours
        finally:
            ours.close()


def run(
    folder: Path,
    sample: Path,
    rate: float,
    seconds: float,
    say: Callable[[str], None],
    beside: Beside = lambda svod: nullcontext(),
) -> Figures:
    """Fill, follow, send, look, all of it beside what is handed in. Raises AssertionError where it does not come to an
    end."""
    with filled(folder, sample, say, beside) as ours:
        people = ours.svod.query(NEWEST, [COMPANIES])
        ours.start()
        ours.wait_until("it follows", lambda: ours.said(" landed; ") or _is_idle(ours), seconds=900)
        figures, watched = Figures(), Watched(ours.pid)
        cpu_before, began = computed(ours.pid), time.time()
        sent = list(_send(ours, people, rate, seconds))
        last = {contact: number for number, contact, _ in sent}
        portal = folder / PORTAL
        ours.wait_until("the last card has changed", lambda: _shown(portal) >= {*last.values()}, seconds=900)
        figures.seconds, figures.cpu_seconds = time.time() - began, computed(ours.pid) - cpu_before
        watched.is_over.set()
        figures.memory = watched.samples
        if ours.stop():
            raise AssertionError(f"it did not end well: {ours.log.read_text()[-2000:]}")
        figures.wrong = len({*last.values()} - _shown(portal))
        _measure(ours, sent, began, figures)
    (folder / "follow.svg").write_text(plot(figures))
    return figures


def _is_idle(ours: Following) -> bool:
    return ours.look("select count(*) from ops.follow") != [(0,)]


def _send(
    ours: Following, people: list[tuple[str, str, str, str]], rate: float, seconds: float
) -> Iterator[tuple[int, str, float]]:
    """Send events at a rate; yields number, contact and time of each."""
    dice, began = Random(1), time.time()
    for number in range(round(rate * seconds)):
        uid, text, person_uid, contact = dice.choice(people)
        time.sleep(max(0.0, began + number / rate - time.time()))
        now = time.time()
        yield number, contact, now
        ours.send_raw(uid, _event(json.loads(text), person_uid, number, now), now)


def _event(company: dict[str, Any], person_uid: str, number: int, now: float) -> bytes:
    at = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
    for person in company["persons"]:
        if person["uid"] == person_uid:
            emails = person.get("emails") or []
            kept = emails if isinstance(emails, list) else [emails]
            person |= {"emails": [*kept, f"e{number}@follow.example"], "changed_at": at}
    event = {"event": "company.upserted", "occurred_at": at, "company": company | {"changed_at": at}}
    return json.dumps(event, ensure_ascii=False).encode()


def _shown(portal: Path) -> set[int]:
    """Numbers of the events that contacts of the portal show. Looks past it into its file, where an index leads to
    them: all its cards, read again and again, would slow the portal and what is measured."""
    with closing(sqlite3.connect(f"{portal.absolute().as_uri()}?mode=ro", uri=True)) as file:
        emails = file.execute(
            """select value from multifield where type_id = 'EMAIL' and value >= 'e0' and value < 'e:'
               and card = 'CONTACT'"""
        ).fetchall()
    return {int(match[1]) for (email,) in emails if (match := PLACE.fullmatch(email))}


def _measure(ours: Following, sent: list[tuple[int, str, float]], began: float, figures: Figures) -> None:
    rows = ours.svod.query(
        r"""select origin_id, epoch(sent_at), regexp_extract(sent::varchar, 'e(\d+)@follow\.example', 1)::int
            from sync.history where entity = 'contact' and sent::varchar like '%@follow.example%' order by sent_at"""
    )
    changes: dict[str, list[tuple[float, int]]] = {}
    for contact, at, number in rows:
        changes.setdefault(contact, []).append((at, number))
    for number, contact, at in sent:
        changed = next((when for when, shown in changes.get(contact, ()) if shown >= number), None)
        if changed is None:
            figures.lost += 1
        else:
            figures.latencies.append((at - began, changed - at))
    figures.steps = ours.svod.query(STEPS, [began])
    ((figures.cycles,),) = ours.svod.query(
        "select count(*) from ops.steps where step = 'publish push' and run_id like 'follow-%' and rows_out > 0"
    )


def plot(figures: Figures) -> str:
    """Latency of each event, and memory, over time, as one SVG."""
    width, height = 900, 300
    end = max(figures.seconds, 1.0)

    def line(points: list[tuple[float, float]], top: float, colour: str) -> str:
        places = " ".join(f"{at / end * width:.1f},{height - value / top * height:.1f}" for at, value in points)
        return f'<polyline fill="none" stroke="{colour}" points="{places}"/>'

    slowest = max((latency for _, latency in figures.latencies), default=1.0)
    largest = max((mb for _, mb in figures.memory), default=1.0)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-10 -30 {width + 20} {height + 60}" '
        f'font-family="sans-serif" font-size="13">'
        f'<text y="-10" fill="#1f5fa8">event to card, at most {slowest:.1f} s</text>'
        f'<text x="{width / 2}" y="-10" fill="#b3541e">memory, at most {largest:.0f} MB</text>'
        f'<path d="M0,0V{height}H{width}" fill="none" stroke="#888"/>'
        f"{line(figures.latencies, slowest, '#1f5fa8')}{line(figures.memory, largest, '#b3541e')}"
        f'<text x="{width}" y="{height + 18}" text-anchor="end">{end:.0f} s</text></svg>\n'
    )
