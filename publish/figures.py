"""How things stand, for machines: as JSON, and as a text file that Prometheus' node exporter collects.

Form of the file: https://prometheus.io/docs/instrumenting/exposition_formats; it is written whole or not at all, as the
exporter's page on its textfile collector asks.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from publish.standing import Standing

_READABLE = 0o644  # the exporter is another user


def as_json(standing: Standing) -> dict[str, Any]:
    """For machines: times in UTC as ISO 8601, ages in seconds."""

    def moment(at: datetime | None) -> str | None:
        return f"{at:%Y-%m-%dT%H:%M:%S}Z" if at else None

    def age(at: datetime | None) -> int | None:
        return round((standing.now - at).total_seconds()) if at else None

    last, running = standing.last_publish, standing.running
    return {
        "ok": standing.is_ok,
        "verdict": standing.verdict,
        "problems": [problem._asdict() for problem in standing.problems],
        "portal": standing.portal or None,
        "portal_answered": moment(standing.answers.heard_at),
        "last_publish": last
        and {"at": moment(last.at), "age": age(last.at), "changes": last.rows_out, "refused": last.refused,
             "is_idle": last.is_idle},
        "running": running
        and {
            "step": running.step, "run_id": running.run_id, "seconds": round(running.seconds),
            "what": running.what, "done": running.done, "total": running.total,
        },
        "steps": [
            {
                "step": step.step, "status": step.status, "at": moment(step.at), "age": age(step.at),
                "seconds": step.seconds, "in": step.rows_in, "out": step.rows_out, "why": step.why or None,
            }
            for step in standing.steps
        ],
        "sources": [
            {
                "source": source.source, "kind": source.kind, "read_age": age(source.read_at),
                "failing_for": age(source.failing_since), "problem": source.problem, "reached": source.reached,
                "unset_for": age(source.unset_since),
            }
            for source in standing.sources
        ],
        "follows_for": age(standing.following.since),
        "lag": [lag._asdict() for lag in standing.following.lags],
        "paused": [{"part": pause.part, "problem": pause.problem} for pause in standing.following.pauses],
        "published": dict(standing.published),
        "waiting": dict(standing.waiting),
        "for_people": dict(standing.for_people),
    }  # fmt: skip


def write_metrics(standing: Standing, file: Path) -> None:
    """Write the figures as a file for Prometheus. Raises OSError."""
    new = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        new.write_text("".join(f"{line}\n" for line in metrics(standing)), encoding="utf-8")
        new.chmod(_READABLE)
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)


def metrics(standing: Standing) -> Iterator[str]:
    """The lines of that file."""
    last = standing.last_publish
    yield from _metric("ok", "1 when nothing is wrong", [({}, int(standing.is_ok))])
    yield from _metric("problems", "what is wrong", [({}, len(standing.problems))])
    yield from _metric("running", "1 while a step goes on", [({}, int(standing.running is not None))])
    if last:
        yield from _metric("last_publish_timestamp_seconds", "when a push last ended well", [({}, _epoch(last.at))])
        yield from _metric("last_publish_changes", "parts it created or updated", [({}, last.rows_out)])
        yield from _metric("last_publish_refused", "records it had refused", [({}, last.refused)])
    steps = standing.steps
    of_step = [{"step": step.step} for step in steps]
    done = [int(step.status in ("done", "skipped", "running")) for step in steps]
    yield from _metric("step_ok", "1 when the last run of a step ended well", zip(of_step, done, strict=True))
    times = [_epoch(step.at) for step in steps]
    yield from _metric("step_timestamp_seconds", "when it ended", zip(of_step, times, strict=True))
    lasted = [({"step": step.step}, step.seconds) for step in steps if step.seconds is not None]
    yield from _metric("step_duration_seconds", "how long it took", lasted)
    rows = [({"step": step.step}, step.rows_out) for step in steps]
    yield from _metric("step_rows", "rows it landed, or parts it sent", rows)
    failing = [
        (
            {"source": source.source, "kind": source.kind},
            (standing.now - source.failing_since).total_seconds() if source.failing_since else 0,
        )
        for source in standing.sources
    ]
    yield from _metric("source_failing_seconds", "for how long a source could not be read, 0: it could", failing)
    lags = standing.following.lags
    messages = [({"source": lag.source}, lag.messages) for lag in lags if lag.messages is not None]
    yield from _metric("lag_messages", "messages of a topic that have not landed", messages)
    seconds = [({"source": lag.source}, lag.seconds) for lag in lags]
    yield from _metric("lag_seconds", "age of the oldest event that is not in the portal", seconds)
    for name, told, numbers in (
        ("published", "parts that the portal holds of ours", standing.published),
        ("waiting", "what waits for the portal, the registry or a source's owner", standing.waiting),
        ("for_people", "what waits for a person", standing.for_people),
    ):
        yield from _metric(name, told, [({"what": what}, number) for what, number in numbers.items()])


def _metric(name: str, told: str, samples: Iterable[tuple[Mapping[str, str], float]]) -> Iterator[str]:
    yield f"# HELP svod_{name} {told}"
    yield f"# TYPE svod_{name} gauge"
    for labels, value in samples:
        text = ",".join(f"{label}={json.dumps(said, ensure_ascii=False)}" for label, said in labels.items())
        yield f"svod_{name}{{{text}}} {value:.15g}" if text else f"svod_{name} {value:.15g}"


def _epoch(at: datetime) -> float:
    return at.replace(tzinfo=UTC).timestamp()
