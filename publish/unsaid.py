"""What is wrong though no step says so: a run that was killed between two steps, a source that is read no longer, a
portal that nobody has asked for anything. Each is (key, what is wrong, what to do)."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Protocol

from ingest.warehouse import journal
from ingest.warehouse.clock import ago
from ingest.warehouse.running import Running
from publish.portals import Answers

UNSET_IS_NEWS = timedelta(days=7)  # who has not set it again by then has meant it


class Unset(Protocol):
    """A source; since when it is set no longer."""

    @property
    def source(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def unset_since(self) -> datetime | None: ...


def wrong(sources: Iterable[Unset], answers: Answers, portal: str, now: datetime) -> Iterator[tuple[str, str, str]]:
    """Sources that were set, and the portal that did not answer."""
    for source in sources:
        if source.unset_since and now - source.unset_since < UNSET_IS_NEWS:
            yield (
                f"source:{source.source}:{source.kind}",
                f"{source.source} ({source.kind}) was read before and is set no longer; its records stay as they were",
                f"set it again; if it is meant, this goes by itself after {UNSET_IS_NEWS.days} days",
            )
    if answers.silent_since:
        heard = f"; it last answered {ago(now - answers.heard_at)}" if answers.heard_at else ""
        text = f"{portal} could not be published to when the last run began{heard}: {answers.problem}"
        yield "portal", text, "`make check` tries it"


def of_killed_run(running: Running, now: datetime) -> Iterator[tuple[str, str, str]]:
    """A process that is gone and told of no end; a step within a run has its row in the journal."""
    began = ago(now - datetime.fromtimestamp(running.started_at, UTC).replace(tzinfo=None))
    if running.is_run:
        yield "run", f"{running.step} was killed between its steps: it began {began}", "the next one goes on from there"
    elif running.step == journal.COMPILING:
        yield "run", f"a run was killed {running.step}: it began that {began}", "`make incremental` goes on from there"
