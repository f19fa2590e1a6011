"""In which pipeline of the portal new deals begin (SVOD_DEAL_PIPELINE), and what a status is called in each of them.

Stages of one pipeline mean nothing in another: in the main one, 0, they are called NEW, WON, …, in pipeline 5 C5:NEW,
C5:WON, … (pages `universal/import/crm-item-import`, deals, and `status/crm-status-list`). A deal that is there stays in
its pipeline, which is for managers to change, and goes on through the stages of that one.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ingest.bitrix24.answers import map_of, rows_of, whole
from ingest.bitrix24.client import Command
from publish.bitrix24.kinds import Card
from publish.settings import Settings

FIELD = "categoryId"
LIST = "crm.category.list"
MAIN = 0
_STAGE = re.compile(r"C(\d+):(.+)", re.DOTALL)


def of_new_cards(settings: Settings, card: Card) -> dict[str, Any]:
    """The field to send with each new card; nothing where the portal chooses the main pipeline by itself."""
    pipeline = settings.pipeline_of(card.entity)
    return {FIELD: pipeline} if pipeline != MAIN else {}


def look_up(settings: Settings, cards: Iterable[Card]) -> list[Command]:
    """What tells the pipelines of the kinds of card for which one is chosen: page `universal/category/
    crm-category-list`."""
    return [
        Command(LIST, {"entityTypeId": card.type_id}) for card in cards if settings.pipeline_of(card.entity) != MAIN
    ]


def named(answers: Iterable[Any]) -> list[str]:
    """The pipelines that the portal told, with their numbers; None stands for one that was not to be had."""
    rows = [row for answer in answers for row in rows_of(LIST, map_of(answer).get("categories", []))]
    return [f"{row.get('id')} ({row.get('name')})" for row in rows]


def of_card(current: Mapping[str, Any]) -> int:
    """The pipeline that a card of the portal is in; the main one for kinds that have none."""
    return whole(current.get(FIELD)) or MAIN


def those_of(stages: Iterable[str]) -> set[int]:
    """The pipelines that these stages belong to."""
    return {int(told[1]) if (told := _STAGE.fullmatch(stage)) else MAIN for stage in stages}


def book(name: str, pipeline: int) -> str:
    """The list of the stages of a pipeline."""
    return name if pipeline == MAIN else f"{name}_{pipeline}"


def stage_in(pipeline: int, stage: str) -> str:
    """What a stage is called in a pipeline, whether it was named with that or not."""
    return stage if pipeline == MAIN or _STAGE.fullmatch(stage) else f"C{pipeline}:{stage}"


def best_there(pipeline: int, preferred: Mapping[str, Collection[str]], there: Collection[str]) -> dict[str, str]:
    """For each status the first of its stages that a pipeline has; statuses that none stands for are missing."""
    named = {status: [stage_in(pipeline, stage) for stage in stages] for status, stages in preferred.items()}
    usable = {status: [stage for stage in stages if stage in there] for status, stages in named.items()}
    return {status: stages[0] for status, stages in usable.items() if stages}
