"""How things stand, on one screen of a terminal: the verdict, the steps of the last runs, the sources, what waits.

Ages instead of times, at most forty lines; in a terminal what does not fit into its width is left out at the end of a
line, in a file or a mail nothing is.
Names of companies and people stay in the warehouse.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from textwrap import wrap

from ingest.warehouse import journal
from ingest.warehouse.clock import ago, duration
from publish import standing as facts
from publish.standing import Ended, SourceRead, Standing

WIDTH = 100  # what is folded, is to this
_LONGEST_VERDICT = 160
_MOST_SOURCES, _MOST_PROBLEMS = 8, 5
_CARDS = ("company", "contact", "deal")  # before what hangs on them
_WAITING = {
    facts.REFUSED: "refused by the portal, tried again by themselves (`publish status --details`)",
    facts.DISCARDED: "discarded until the record changes (`publish retry` wakes them)",
    facts.UNSEEN: "creates whose answer was not seen; the next push looks for them",
    facts.VERDICTS: "companies wait for a verdict of the registry",
    facts.INPUT: "pieces of input could not be landed (`ingest status` says why)",
}
_FOR_PEOPLE = {
    facts.CONFLICTS: "fields left to managers (SVOD_FIELD_OWNERS says whose value stands)",
    facts.DUPLICATES: "records could be several cards of the portal: join those",
    facts.DELETED: "parts deleted in the portal (`publish retry --id` makes one again)",
}


def lines(standing: Standing, note: str = "", width: int = 0) -> Iterator[str]:
    """The screen, the verdict first, whole; `note` says of what it was read, where that is a copy; `width` is that of
    the terminal, 0 where there is none."""
    yield from _verdict(standing)
    below = chain([""], _top(standing, note), _tables(standing), _lists(standing))
    yield from (line if not width or len(line) <= width else f"{line[: width - 1]}…" for line in below)


def _verdict(standing: Standing) -> Iterator[str]:
    """One line; the reasons of a long one below it."""
    if len(standing.verdict) <= _LONGEST_VERDICT or standing.is_ok:
        yield standing.verdict
        return
    problem, *others = standing.problems
    what, _, why = problem.text.partition(": ") if len(problem.text) > WIDTH else (problem.text, "", "")
    yield f"NOT OK: {what}" + (f" (and {len(others)} more, see below)" if others else "")
    for name, text in (("why", why), ("to do", problem.todo)):
        yield from _folded(f"  {name:<6}", text)


def _folded(name: str, text: str) -> list[str]:
    return wrap(text, WIDTH, initial_indent=f"{name} ", subsequent_indent=" " * (len(name) + 1), break_on_hyphens=False)


def _top(standing: Standing, note: str) -> Iterator[str]:
    known = standing.portal_row
    told = [standing.portal or "none yet"]
    if known and known.first_seen_at:
        pushes = f"{known.pushes:,} push{'' if known.pushes == 1 else 'es'} that sent"
        told.append(f"known for {_age(standing, known.first_seen_at)}, {pushes}")
    elif standing.portal:
        told.append("no push has reached it since portals are told apart")
    if standing.answers.heard_at:
        told.append(f"answered {ago(standing.now - standing.answers.heard_at)}")
    yield f"portal     {', '.join(told)}"
    if running := standing.running:
        so_far = f"; {running.progress}" if running.progress else ""
        yield f"running    {running.step} for {duration(running.seconds)}{so_far}"
    if (following := standing.following).since:
        lags = [
            f"{lag.source} {'?' if lag.messages is None else f'{lag.messages:,}'} messages, {lag.seconds:,.0f} s behind"
            for lag in following.lags
        ]
        yield f"follows    for {_age(standing, following.since)}; {'; '.join(lags) or 'no topic'}"
        for pause in following.pauses:
            yield f"  pauses   {pause.part} for {_age(standing, pause.since)}: {pause.problem}"
    if note:
        yield f"read from  {note}"


def _tables(standing: Standing) -> Iterator[str]:
    if standing.steps:
        yield ""
        yield _step_row("step", "ended", "took", "in", "out", "result")
        yield from (_of_step(standing, step) for step in standing.steps)
    if standing.sources:
        yield ""
        yield _source_row("source", "read whole", "how far")
        yield from (_of_source(standing, source) for source in standing.sources[:_MOST_SOURCES])
        if (left := len(standing.sources) - _MOST_SOURCES) > 0:
            yield f"  and {left} more: `ingest status`"


def _of_step(standing: Standing, step: Ended) -> str:
    took = duration(step.seconds) if step.seconds is not None else ""
    result = f"{step.status}: {step.why}" if step.why else step.status
    rows = (f"{step.rows_in:,}", f"{step.rows_out:,}") if step.step.startswith("ingest") else ("", "")
    if step.step == journal.PUBLISH_PUSH and step.status == "done":
        rows = ("", f"{step.rows_out:,}")
    if step.status == "skipped":
        rows = ("", "")
    return _step_row(step.step, ago(standing.now - step.at), took, *rows, result)


def _step_row(step: str, ended: str, took: str, rows_in: str, rows_out: str, result: str) -> str:
    return f"{step:<20} {ended:<15} {took:>10} {rows_in:>10} {rows_out:>10}  {result}".rstrip()


def _of_source(standing: Standing, source: SourceRead) -> str:
    read = ago(standing.now - source.read_at) if source.read_at else "never"
    told = source.reached
    if source.unset_since:
        told = f"set no longer for {_age(standing, source.unset_since)}: its records stay as they were"
    if source.failing_since:
        told = f"fails for {_age(standing, source.failing_since)}: {source.problem or 'killed while it was read'}"
    return _source_row(f"{source.source} {source.kind}", read, told)


def _source_row(source: str, read: str, told: str) -> str:
    return f"{source:<20} {read:<15} {told}".rstrip()


def _lists(standing: Standing) -> Iterator[str]:
    yield ""
    by_kind = sorted(standing.published.items(), key=lambda kind: (kind[0] not in _CARDS, kind[0]))
    there = ", ".join(f"{entity} {number:,}" for entity, number in by_kind) or "nothing"
    yield from _folded("in the portal ", there)
    for numbers, texts in ((standing.waiting, _WAITING), (standing.for_people, _FOR_PEOPLE)):
        for what, number in numbers.items():
            if number:
                yield f"{number:>13,}  {texts[what]}"
    if len(standing.problems) > 1:
        yield ""
        yield from (f"also: {problem}" for problem in standing.problems[1:_MOST_PROBLEMS])


def _age(standing: Standing, since: datetime) -> str:
    return facts.lasted_since(since, standing.now)
