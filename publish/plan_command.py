"""`publish plan`: what a push would create, update and leave, field by field; nothing is sent, nothing is asked."""

import json
import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table

from ingest.warehouse.terminal import console, say
from publish import again, change_limit, changes, forecast, gate, setting_names
from publish import plan as plans
from publish.bitrix24 import costs, todos
from publish.bitrix24.labels import labels
from publish.bitrix24.parts import PARTS
from publish.change_limit import Limit
from publish.changes import PartChanges
from publish.looking import held_of, reading
from publish.parts import shown
from publish.settings import read_settings


def plan_command(
    show: Annotated[
        int, typer.Option("--show", min=0, max=10_000, help="Changes of each kind to show, field by field.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show what push would create, update and leave; sends nothing and asks the portal nothing."""
    settings = read_settings(to_send=False)
    setting_names.check_fields(settings, PARTS)
    with reading(settings) as connection:
        held = held_of(connection, settings)
        wanted_again = again.foresee(held, PARTS)
        plans.compute(held, PARTS, merges=settings.bitrix24_merge_cards, owners=settings.field_owners)
        setting_names.check_known(settings, connection, PARTS)
        limits = costs.limits(settings.bitrix24_rate, settings.bitrix24_burst, settings.operating_limit)
        figures = forecast.summary(held, PARTS, limits)
        examples = list(plans.examples(connection, PARTS, show))
        named = labels(held, PARTS, examples)
        summary = changes.summary(held, PARTS)
        limit = change_limit.reason_to_stop(held, list(PARTS), Limit(settings.fuse_share, settings.fuse_floor))
        told = todos.foresee(held, settings)
        stopped = gate.reason_to_stop(connection, PARTS, settings.source_max_age_hours)
    if as_json:
        whole = _as_json(figures, summary, limit, examples, named) | {"gate": stopped, "wanted_again": wanted_again}
        sys.stdout.write(json.dumps(whole | {"todos": told._asdict()}, ensure_ascii=False) + "\n")
        return
    _print_plan(figures, held.portal)
    if wanted_again:
        say(f"{wanted_again:,} of these were deleted in the portal and are made again: `publish retry` asked for that")
    if any(told):
        say(
            f"to-dos for people (SVOD_TODOS): {told.to_make:,} to make, {told.to_complete:,} whose reason is over to "
            "complete; what this plan itself leaves to people comes on top"
        )
    for line in changes.lines(summary):
        say(line)
    for change, cards in zip(examples, named, strict=True):
        say(f"{change.action} {change.entity} {change.origin_id}{f'  {cards}' if cards else ''}")
        for name, (old, new) in change.fields.items():
            say(f"    {name}: {shown(old) or '(empty)'} -> {shown(new) or '(empty)'}")
    if limit:
        say(f"the change limit will stop a push: {limit}; if it is meant, `publish push --let-through`")
    if stopped:
        say(f"nothing of it may be published now: {stopped}")


def _as_json(
    figures: forecast.Forecast,
    summary: list[PartChanges],
    limit: str,
    examples: list[plans.Example],
    named: list[str],
) -> dict[str, Any]:
    return {
        "counts": figures.counts,
        "published": figures.published,
        "dead_letters": figures.dead_letters,
        "commands": figures.commands,
        "requests": figures.requests,
        "requests_least": figures.requests_least,
        "seconds": round(figures.seconds, 1),
        "summary": {kind.entity: asdict(kind) for kind in summary},
        "change_limit": limit,
        "changes": [change._asdict() | {"cards": cards} for change, cards in zip(examples, named, strict=True)],
    }


def _print_plan(figures: forecast.Forecast, portal: str) -> None:
    title = f"plan for {portal or 'a portal that holds nothing of ours yet'}"
    table = Table("part", "published", "create", "update", "remove", "merge", title=title, title_justify="left")
    for entity, actions in figures.counts.items():
        numbers = [
            figures.published.get(entity, 0),
            *(actions.get(name, 0) for name in ("create", "update", "remove", "merge")),
        ]
        table.add_row(entity, *(f"{number:,}" for number in numbers))
    console.print(table)
    if figures.is_empty:
        say("nothing to send")
    else:
        say(
            f"about {figures.requests:,} requests (the least possible: {figures.requests_least:,}), "
            f"about {_duration(figures.seconds)} under both limits of the portal"
        )
        say("cards that managers have typed in are looked for when pushing; this plan counts them as new")
    if figures.dead_letters:
        say(f"{figures.dead_letters:,} records are in sync.dead_letters: `publish status --details` says why")


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"
