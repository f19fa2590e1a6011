"""How long the sales floor will stand still: what steps of a move took, by row and kind, and how many rows there are.

Everything is taken from the journal: of programs in ops.steps, of people in transfer.journal, of the backup's parts in
transfer.parts. Times of tables are UTC; what people are told is the local time of this machine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import duckdb

from ingest.bitrix24.pacing import BATCH
from ingest.warehouse import checklist, journal
from ingest.warehouse.journal import utc_now

LAND, BUILD, PUSH = "land", "models", "push"  # steps of a stage, as its `took` names them
PORTALS = ("cloud", "box")
_STAGES = [journal.TRANSFER_REHEARSAL, journal.TRANSFER_DELTA, journal.TRANSFER_FINAL]
_PASSES = 2  # of a final run: one that finds something, one that finds nothing
_LONG_ENOUGH = timedelta(hours=1)  # between two readings, for what changed between them to tell anything
_WEEKS = 4  # so many weeks back it is looked how many leads come at that time of the week
# Lists of a portal -> kinds of records that a move writes.
_KINDS = {
    "companies": "company", "contacts": "contact", "leads": "lead", "deals": "deal", "requisites": "requisite",
    "bank_details": "bank_detail", "addresses": "address", "requisite_links": "requisite_link",
    "activities": "activity", "product_rows": "product_rows", "comments": "comments",
}  # fmt: skip


class Took(NamedTuple):
    """What a step took, and for how many rows."""

    step: str
    rows: int
    seconds: float


@dataclass(frozen=True)
class Standstill:
    """What a final run will take, step by step."""

    steps: Sequence[Took]

    @property
    def seconds(self) -> float:
        return sum(step.seconds for step in self.steps)


def records_there(connection: duckdb.DuckDBPyConnection, portals: Sequence[str]) -> int:
    """Records of these portals, as they were read last."""
    ((number,),) = connection.execute(
        "select count(*) from ops.snapshot_keys where to_snapshot is null and source in (select unnest(?))",
        [list(portals)],
    ).fetchall()
    return int(number)


def standstill(
    connection: duckdb.DuckDBPyConnection,
    planned: Mapping[str, int],
    *,
    ahead: timedelta = timedelta(),
    changed: Mapping[str, int] | None = None,
    parts_seconds: float = 0.0,
) -> Standstill | None:
    """A final run that begins so much later than now, with what is planned now and what comes until then: as much as
    has `changed` in the cloud since it was read, where that was asked, else as much as came before. `parts_seconds`:
    what a pass takes more where the parts of all owners are read. None before any stage has been measured."""
    measured = _measured(connection)
    if LAND not in measured or BUILD not in measured:
        return None
    wanted = dict(planned)
    for kind, number in (_growth(connection, ahead) if changed is None else changed).items():
        wanted[kind] = wanted.get(kind, 0) + number
    rows = records_there(connection, PORTALS)
    passes = 1 if changed is not None and not any(wanted.values()) else _PASSES  # people who work change something
    steps = [Took(step, passes * rows, passes * rows * measured[step]) for step in (LAND, BUILD)]
    if parts_seconds:
        steps.append(Took("all parts", 0, passes * parts_seconds))
    rates, fixed = _push_rates(connection)
    if passes > 1:
        usual = rates.pop("", 0.0)
        steps.append(Took(PUSH, 0, fixed))
        steps += [
            Took(f"{PUSH} {kind}", number, number * rates.get(kind, usual)) for kind, number in wanted.items() if number
        ]
    return Standstill(steps)


def all_parts_seconds(connection: duckdb.DuckDBPyConnection, rates: Mapping[str, float]) -> float:
    """What it takes at least to read comments and bindings of all cards and activities of both portals, at once: a
    command each, fifty a request, so many requests a second; 0 is no limit."""
    owners = connection.execute(
        """select source, count(*) from ops.snapshot_keys where to_snapshot is null
               and entity in ('companies', 'contacts', 'leads', 'deals', 'activities') group by source"""
    ).fetchall()
    return max((number / BATCH / rates[name] for name, number in owners if rates.get(name)), default=0.0)


def _measured(connection: duckdb.DuckDBPyConnection) -> dict[str, float]:
    """Seconds a row of the steps of a pass, as the last stage that had them measured it."""
    rows = connection.execute(
        """with stages as (
               select started_at, unnest(from_json(detail -> '$.took',
                   '[{"step": "VARCHAR", "rows": "BIGINT", "seconds": "DOUBLE"}]'), recursive := true)
               from ops.steps where step in (select unnest(?))
           )
           select step, sum(seconds) / sum(rows) from stages where rows > 0
           group by step, started_at qualify row_number() over (partition by step order by started_at desc) = 1""",
        [_STAGES],
    ).fetchall()
    return dict(rows)


def _push_rates(connection: duckdb.DuckDBPyConnection) -> tuple[dict[str, float], float]:
    """Seconds a row by kind, of all pushes so far ('': of any kind), and what a push takes besides."""
    rows = connection.execute(
        """with pushes as (
               select key as kind, (value ->> '$[0]')::bigint as number, (value ->> '$[1]')::double as seconds
               from ops.steps, json_each(detail -> '$.kinds') where step = ?
           )
           select kind, sum(number), sum(seconds) from pushes group by kind having sum(number) > 0""",
        [journal.TRANSFER_PUSH],
    ).fetchall()
    rates = {kind: seconds / number for kind, number, seconds in rows}
    number, seconds = sum(row[1] for row in rows), sum(row[2] for row in rows)
    ((pushes, whole),) = connection.execute(
        """with stages as (
               select unnest(from_json(detail -> '$.took',
                   '[{"step": "VARCHAR", "rows": "BIGINT", "seconds": "DOUBLE"}]'), recursive := true)
               from ops.steps where step in (select unnest(?))
           )
           select count(*), coalesce(sum(seconds), 0) from stages where step = ?""",
        [_STAGES, PUSH],
    ).fetchall()
    fixed = max(0.0, whole - seconds) / pushes if pushes else 0.0
    return rates | {"": seconds / number if number else 0.0}, fixed


def _growth(connection: duckdb.DuckDBPyConnection, ahead: timedelta) -> dict[str, int]:
    """Records that will be new or changed in the cloud by then, as many an hour as between its first reading and its
    last, from the last on."""
    row = connection.execute(
        """with readings as (
               select *, max_by(portal, snapshot_id) over () as cloud from ops.snapshots
               where source = 'cloud' and completed_at is not null
           )
           select min_by(snapshot_id, completed_at), min(completed_at), max(completed_at) from readings
           where portal = cloud"""
    ).fetchone()
    if not row or row[1] is None or row[2] - row[1] < _LONG_ENOUGH:
        return {}
    first, first_at, last_at = row
    found = connection.execute(
        """select entity, count(*) from ops.snapshot_keys
           where source = 'cloud' and from_snapshot > ? group by entity""",
        [first],
    ).fetchall()
    share = (utc_now() + ahead - last_at) / (last_at - first_at)
    return {_KINDS[name]: round(number * share) for name, number in found if name in _KINDS}


def preparations(connection: duckdb.DuckDBPyConnection, portal: str) -> list[tuple[str, float]]:
    """What is to be done before the freeze, and its seconds: the rest of the backup, the restore, the baseline."""
    ((is_ready,),) = connection.execute(
        """select count(*) > 0 from transfer.boxes inner join sync.portals using (portal, mark)
           where portal = ? and baseline_at is not null""",
        [portal],
    ).fetchall()
    if is_ready:
        return []
    told = []
    if rest := backup_rest(connection):
        told.append(("the rest of the backup", rest))
    if restored := checklist.last_work(connection).get("restore"):
        told.append(("restore", restored.seconds))
    row = connection.execute(
        """select epoch(finished_at - started_at) from ops.steps where step = ? and status = 'done'
           order by started_at desc limit 1""",
        [journal.TRANSFER_BASELINE],
    ).fetchone()
    return [*told, ("baseline", float(row[0]))] if row else told


def backup_rest(connection: duckdb.DuckDBPyConnection) -> float:
    """Seconds until the parts of the backup are there, at the rate of the run that fetches them or did last; 0 where
    all are, or nothing is known."""
    row = connection.execute(
        """select (detail ->> '$.bytes')::double - (detail ->> '$.proven_bytes')::double,
               (detail ->> '$.fetched_bytes')::double / greatest(1, epoch(coalesce(finished_at, ?) - started_at))
           from ops.steps where step = ? order by started_at desc limit 1""",
        [utc_now(), journal.INGEST_BACKUP],
    ).fetchone()
    return row[0] / row[1] if row and row[0] and row[1] else 0.0


def leads_meanwhile(connection: duckdb.DuckDBPyConnection, begins_at: datetime, seconds: float) -> float | None:
    """Leads that will come between two moments (UTC), as many as in the same hours of the last weeks; None where the
    cloud has not been read."""
    try:
        counted = [
            connection.execute(
                """select count(*) from staging.stg_portals__records
                   where side = 'cloud' and entity = 'lead'
                       and (payload ->> '$.createdTime')::timestamptz at time zone 'UTC' between ? and ?""",
                [begins_at - timedelta(weeks=weeks), begins_at - timedelta(weeks=weeks) + timedelta(seconds=seconds)],
            ).fetchall()[0][0]
            for weeks in range(1, _WEEKS + 1)
        ]
    except duckdb.CatalogException:
        return None
    return float(sum(counted)) / _WEEKS


# For people -----------------------------------------------------------------------------------------------------------


def lines(
    connection: duckdb.DuckDBPyConnection,
    planned: Mapping[str, int],
    portal: str,
    freeze_at: datetime | None = None,
) -> list[str]:
    """When to freeze, when the floor is back, how many leads come meanwhile, and what that is made of. `freeze_at` is
    local; as soon as all is prepared unless it is said."""
    now = utc_now()
    before = preparations(connection, portal)
    earliest = now + timedelta(seconds=sum(seconds for _, seconds in before))
    begins_at = freeze_at.astimezone(UTC).replace(tzinfo=None) if freeze_at else earliest
    run = standstill(connection, planned, ahead=begins_at - now)
    if run is None:
        return ["no forecast before a rehearsal"]
    done = checklist.last_work(connection)
    of_people = [item.step for item in checklist.items() if item.phase == checklist.STANDSTILL]
    people = [(step, done[step].seconds) for step in of_people if step in done and done[step].seconds]
    untimed = [step for step in of_people if step not in dict(people)]
    seconds = run.seconds + sum(took for _, took in people)
    leads = leads_meanwhile(connection, begins_at, seconds)
    come = "" if leads is None else f", about {leads:.0f} leads will come meanwhile"
    told = [
        f"freeze at {_local(begins_at)}, back at {_local(begins_at + timedelta(seconds=seconds))}: "
        f"{'at least ' if untimed else ''}{duration(seconds)}{come}"
    ]
    if untimed:
        told.append(f"  without people's steps of which no time is in the journal: {', '.join(untimed)}")
    if begins_at - now > _LONG_ENOUGH and not _growth(connection, begins_at - now):
        told.append("  without what comes until then: no two readings of the cloud tell how much that is")
    if begins_at < earliest:
        told.append(f"not before {_local(earliest)}, for until then there is to do:")
    told += [f"  before it: {what}, {duration(took)}" for what, took in before]
    told += [
        f"  {step.step}{f', {step.rows:,} rows' if step.rows else ''}: {duration(step.seconds)}"
        for step in run.steps
        if step.seconds >= 1
    ]
    return told + [f"  {step} (people): {duration(took)}" for step, took in people]


def against_fact(expected: float | None, took: float) -> str:
    """A forecast beside what it was about."""
    if not expected:
        return f"that took {duration(took)}; there was no forecast"
    off = took / expected - 1
    return f"that took {duration(took)}; the forecast was {duration(expected)} ({off:+.0%})"


def listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} {number:,}" for kind, number in counts.items())


def duration(seconds: float) -> str:
    """For people: 3 h 05 min, 12 min 40 s, 8 s."""
    hours, rest = divmod(round(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _local(at: datetime) -> str:
    return f"{at.replace(tzinfo=UTC).astimezone():%Y-%m-%d %H:%M %Z}"
