"""How things stand: what the last runs did, what was published, what waits for whom, and what is wrong with it.

The verdict, the screen, the figures for a monitor and the messages are all made of this. What is wrong has a key, by
which it is known again the next time: the step, or the source, that fails.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

import duckdb

from ingest.warehouse import journal
from ingest.warehouse.clock import ago
from ingest.warehouse.journal import utc_now
from ingest.warehouse.running import Running
from publish import unsaid
from publish.following import Following, following
from publish.held import Held
from publish.portals import Answers, PortalRow, answers_of, portal_row
from publish.settings import Settings

MODELS = (journal.DBT_BEFORE_REGISTRY, journal.DBT_AFTER_REGISTRY, journal.DBT_ALL)
STEPS = (
    journal.INGEST_MYSQL, journal.INGEST_JSON, journal.INGEST_KAFKA, journal.DBT_BEFORE_REGISTRY,
    journal.INGEST_REGISTRY, journal.DBT_AFTER_REGISTRY, journal.DBT_ALL, journal.PUBLISH_PUSH,
)  # fmt: skip
_READERS = {f"ingest {kind.lower()}": kind for kind in ("MySQL", "JSON", "Kafka")}
_AGAIN = "`make incremental` goes on from there"
_LAST = """
select step, status, run_id, started_at, finished_at, coalesce(rows_in, 0), coalesce(rows_out, 0), detail ->> '$.error',
    detail ->> '$.hint', coalesce(
        detail ->> '$.skipped', if((detail ->> '$.nothing_new')::boolean, 'nothing landed since the last pass', null)
    ), len(json_keys(coalesce(detail, '{}'))) = 1 or (detail ->> '$.nothing_new')::boolean,
    array_to_string(detail ->> '$.broken[*]', ', '), array_to_string(detail ->> '$.gates[*].test', ', '),
    coalesce((detail ->> '$.dead_letters_now')::bigint, 0)
from ops.steps where step in (select unnest(?))
qualify row_number() over (partition by step order by started_at desc) = 1
"""


class Ended(NamedTuple):
    """The last run of a step. `status` is that of ops.steps, or `skipped`, or `killed`; `why` it was skipped, gated or
    failed, in a line, with what to do; `refused` are records that a push had refused."""

    step: str
    status: str
    started_at: datetime
    finished_at: datetime | None
    rows_in: int
    rows_out: int
    why: str
    todo: str
    refused: int
    is_idle: bool = False  # a push that had nothing to send: it asked no portal

    @property
    def seconds(self) -> float | None:
        return (self.finished_at - self.started_at).total_seconds() if self.finished_at else None

    @property
    def at(self) -> datetime:
        return self.finished_at or self.started_at


class SourceRead(NamedTuple):
    """A source: when it was last read whole, since when it fails and why, how far it has been read."""

    source: str
    kind: str
    read_at: datetime | None
    failing_since: datetime | None
    problem: str | None
    reached: str
    unset_since: datetime | None = None  # it was read before, and is set no longer


class Problem(NamedTuple):
    """What is wrong, what to do about it, and by what it is known again."""

    key: str
    text: str
    todo: str

    def __str__(self) -> str:
        return f"{self.text}; {self.todo}" if self.todo else self.text


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand at `now` (UTC). `waiting` and `for_people` are counts by what they are of."""

    now: datetime
    portal: str
    portal_row: PortalRow | None
    running: Running | None
    steps: list[Ended]
    sources: list[SourceRead]
    published: Mapping[str, int]
    last_publish: Ended | None  # the last push that ended well
    answers: Answers
    waiting: Mapping[str, int]
    for_people: Mapping[str, int]
    following: Following
    problems: list[Problem] = field(default_factory=list)

    @property
    def is_ok(self) -> bool:
        return not self.problems

    @property
    def verdict(self) -> str:
        """One line: all is well, or what is not and what to do."""
        if self.problems:
            others = len(self.problems) - 1
            return f"NOT OK: {self.problems[0]}" + (f" (and {others} more, see below)" if others else "")
        last = self.last_publish
        if last is None:  # else there is a problem
            return "OK: a run goes on, nothing was published before it"
        if last.is_idle:
            heard = self.answers.heard_at
            told = f", the portal answered {ago(self.now - heard)}" if heard else ""
            return f"OK: nothing was to be sent {ago(self.now - last.at)}{told}, {self.waiting[REFUSED]:,} refused"
        changes = f"{last.rows_out:,} change{'' if last.rows_out == 1 else 's'}"
        return f"OK: last publish {ago(self.now - last.at)}, {changes}, {self.waiting[REFUSED]:,} refused"


REFUSED, DISCARDED, UNSEEN, VERDICTS, INPUT = "refused", "discarded", "answers", "verdicts", "input"
CONFLICTS, DUPLICATES, DELETED = "conflicts", "duplicates", "deleted"


def standing(held: Held, settings: Settings, running: Running | None) -> Standing:
    """All of it. The warehouse may be one that no step has run in, and the models may not have been built."""
    connection, now = held.connection, utc_now()
    is_alive = running is not None and running.is_alive
    steps = _steps(connection, is_alive=is_alive)
    sources = list(_sources(connection))
    last = _last_publish(connection)
    followed = following(connection, now)
    answers = answers_of(connection, held.portal)
    waiting = {
        REFUSED: _count(connection, "portal_dead_letters where not isinf(next_at)"),
        DISCARDED: _count(connection, "portal_dead_letters where isinf(next_at)"),
        UNSEEN: _count(connection, "portal_intents"),
        VERDICTS: _count(connection, "marts.rejected_companies where reason = 'awaiting_verdict'"),
        INPUT: _count(connection, "raw.dead_letters"),
    }
    for_people = {
        CONFLICTS: _count(connection, "portal_conflicts"),
        DUPLICATES: _count(connection, "portal_adoption_duplicates"),
        DELETED: _count(connection, "portal_deletions"),
    }
    published = dict(connection.execute("select entity, count(*) from portal_ledger group by 1 order by 1").fetchall())
    problems = [*_of_steps(steps, sources, now), *_of_sources(sources, now), *_of_gaps(connection)]
    problems += [Problem(*wrong) for wrong in unsaid.wrong(sources, answers, held.portal, now)]
    if running and not is_alive and not any(step.status == "killed" for step in steps):  # else the step says it
        problems += [Problem(*wrong) for wrong in unsaid.of_killed_run(running, now)]
    # While it follows there may be nothing to publish for days.
    problems += _of_publishing(steps, last, is_alive, 0 if followed.since else settings.publish_max_age_hours, now)
    problems += [Problem(*wrong) for wrong in followed.wrong(settings.lag_limit_seconds, now)]
    return Standing(
        now,
        held.portal,
        portal_row(connection, held.portal),
        running if is_alive else None,
        steps,
        sources,
        published,
        last,
        answers,
        waiting,
        for_people,
        followed,
        sorted(problems, key=_gravity),
    )


def _steps(connection: duckdb.DuckDBPyConnection, *, is_alive: bool) -> list[Ended]:
    """The last run of each step, in the order of a run; a build of all models at once stands for their passes."""
    ended: dict[str, Ended] = {}
    for row in connection.execute(_LAST, [list(STEPS)]).fetchall():
        step, status, _, started_at, finished_at, rows_in, rows_out, error, hint, skipped, is_all, *more = row
        broken, gates, refused = more
        why, todo = error or "", hint or ""
        if broken:
            why, todo = error or f"broken: {broken}", hint or "dbt said why when it was run by hand: its log has it"
        elif gates:
            why, todo = f"did not pass: {gates}", "`publish gate` shows the rows"
        if status == "running" and not is_alive:
            status, why, todo = "killed", "it was killed before it ended", _AGAIN
        elif status == "done" and skipped and is_all:
            status, why = "skipped", skipped
        ended[step] = Ended(step, status, started_at, finished_at, rows_in, rows_out, why, todo, refused)
    if passes := [ended[step] for step in MODELS if step in ended]:
        newest = max(passes, key=lambda step: step.started_at)
        outdated = MODELS[:2] if newest.step == journal.DBT_ALL else MODELS[2:]
        ended = {step: row for step, row in ended.items() if step not in outdated}
    return [ended[step] for step in STEPS if step in ended]


def _sources(connection: duckdb.DuckDBPyConnection) -> Iterator[SourceRead]:
    positions = connection.execute("select source, position from ops.watermarks order by source").fetchall()
    rows = connection.execute(
        "select source, kind, read_at, failing_since, problem from ops.source_reads order by source, kind"
    ).fetchall()
    for source, kind, read_at, failing_since, problem in rows:
        of_it = [position for name, position in positions if name.startswith((f"{source}.", f"{source}:"))]
        yield SourceRead(source, kind, read_at, failing_since, problem, _reached(kind, of_it))
    unset = connection.execute("select source, kind, read_at, unset_since from ops.unset_sources order by all")
    for source, kind, read_at, unset_since in unset.fetchall():
        yield SourceRead(source, kind, read_at, None, None, "", unset_since)


def _reached(kind: str, positions: list[str]) -> str:
    """How far a source has been read, by its watermarks: the last time of change, files, messages."""
    if kind == "MySQL" and positions:
        return f"rows changed up to {max(positions)[:16]}, its time"
    if kind == "Kafka":
        offsets = [int(position) for position in positions if position.isdecimal()]
        return f"up to offset {', '.join(f'{offset:,}' for offset in offsets)}" if offsets else ""
    files = [position for position in positions if position.startswith("{")]
    return f"{len(files)} file{'' if len(files) == 1 else 's'}" if files else ""


def _last_publish(connection: duckdb.DuckDBPyConnection) -> Ended | None:
    row = connection.execute(
        """select step, status, started_at, finished_at, coalesce(rows_in, 0), coalesce(rows_out, 0), '', '',
               coalesce((detail ->> '$.dead_letters_now')::bigint, 0),
               coalesce((detail ->> '$.requests')::bigint = 0, false)
           from ops.steps where step = ? and status = 'done' order by started_at desc limit 1""",
        [journal.PUBLISH_PUSH],
    ).fetchone()
    return Ended(*row) if row else None


def _count(connection: duckdb.DuckDBPyConnection, what: str) -> int:
    with suppress(duckdb.CatalogException):  # the models have not been built
        ((number,),) = connection.execute(f"select count(*) from {what}").fetchall()
        return int(number)
    return 0


# What is wrong --------------------------------------------------------------------------------------------------------

_GATED, _PUSH, _MODELS, _STEP, _SOURCE, _LAG, _REFUSED, _AGE, _GAP = range(9)


def _gravity(problem: Problem) -> int:
    """What keeps everything from the portal comes first, then what keeps some of it."""
    step = problem.key.removesuffix(" gated")
    if step == journal.PUBLISH_PUSH:
        return _GATED if problem.key != step else _PUSH
    if step in MODELS:
        return _MODELS
    kinds = {
        "run": _PUSH,
        "portal": _PUSH,
        "source": _SOURCE,
        "lag": _LAG,
        "follow": _LAG,
        "refused": _REFUSED,
        "age": _AGE,
        "gap": _GAP,
    }
    return kinds.get(problem.key.partition(":")[0], _STEP)


def _of_steps(steps: list[Ended], sources: list[SourceRead], now: datetime) -> Iterator[Problem]:
    failing_kinds = {source.kind for source in sources if source.failing_since}
    for step in steps:
        if step.status not in ("failed", "gated", "killed") or _READERS.get(step.step) in failing_kinds:
            continue
        is_gated = step.status == "gated"
        how = {"gated": "was stopped", "killed": "was killed"}.get(step.status, "failed")
        why = "" if step.status == "killed" else f": {step.why or 'see ops.steps'}"
        key = f"{step.step} gated" if is_gated else step.step
        yield Problem(key, f"{step.step} {how} {ago(now - step.at)}{why}", step.todo or _AGAIN)
    models = max((step for step in steps if step.step in MODELS), key=lambda step: step.started_at, default=None)
    if models and models.step == journal.DBT_BEFORE_REGISTRY and models.status == "done":
        yield Problem(models.step, f"the models stopped half-way {ago(now - models.at)}", _AGAIN)


def _of_sources(sources: list[SourceRead], now: datetime) -> Iterator[Problem]:
    for source in sources:
        if source.failing_since:
            why = f": {source.problem}" if source.problem else ", killed while it was read"
            text = (
                f"{source.source} ({source.kind}) could not be read for {lasted_since(source.failing_since, now)}{why}"
            )
            yield Problem(f"source:{source.source}:{source.kind}", text, "all else goes on; the next run tries again")


def _of_gaps(connection: duckdb.DuckDBPyConnection) -> Iterator[Problem]:
    rows = connection.execute(
        "select source, count(*), min(place) from ops.gaps where repaired_at is null group by 1 order by 1"
    ).fetchall()
    for source, number, place in rows:
        text = f"messages of {source} were lost before they were read ({number} gaps, {place})"
        yield Problem(f"gap:{source}", text, "have the shop export a whole file")


def _of_publishing(
    steps: list[Ended], last: Ended | None, is_alive: bool, max_age_hours: float, now: datetime
) -> Iterator[Problem]:
    push = next((step for step in steps if step.step == journal.PUBLISH_PUSH), None)
    if last is None:
        if push is None and not is_alive:
            yield Problem("age", "nothing was published so far", "`make full` does it")
    elif push and push.started_at == last.started_at and last.refused:
        text = f"the portal refused {last.refused:,} records {ago(now - last.at)}"
        yield Problem("refused", text, "`publish status --details` says why; they are tried again by themselves")
    if last and max_age_hours and now - last.at > timedelta(hours=max_age_hours) and not is_alive:
        text = f"nothing was published for {lasted_since(last.at, now)}"
        yield Problem("age", text, "does cron run `make incremental`? What failed is told below")


def lasted_since(since: datetime, now: datetime) -> str:
    """`3 hours`, as in `for 3 hours`."""
    return ago(now - since).removesuffix(" ago")
