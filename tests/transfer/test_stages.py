"""A whole move by its make targets: what each stage does, refuses, and ends with."""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from publish.sandbox import Limits

from .story import SUITE, Story


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    with Story(tmp_path / "move", SUITE, watched=True) as story:
        story.years_go_by()
        yield story


def restore(story: Story) -> Path:
    """The box becomes what the cloud is now; the file of its state."""
    state = story.folder / f"box-{len(list(story.folder.glob('box-*')))}.sqlite"
    story.cloud.portal.copy_to(state)
    story.box.start_over(state, limits=Limits.none(), clock=story.clock)
    story.ask(story.cloud, "crm.item.update", entityTypeId=2, id=5, fields={"title": f"Иначе {state.name}"})
    return state


def status_of(story: Story, target: str, *arguments: str) -> tuple[int, str]:
    """The step's exit status, which make tells in its last line, and the output."""
    ended = story.make(target, *arguments)
    told = re.search(r"Error (\d+)", ended.output)
    return int(told[1]) if told else ended.status, ended.output


def test_a_company_moves_and_a_second_final_run_writes_nothing(story):
    story.backup_is_made()
    assert status_of(story, "transfer-backup")[0] == 0
    story.people_go_on_working()
    story.server_is_set_up()
    assert status_of(story, "transfer-baseline")[0] == 0
    story.somebody_tries_the_box()
    story.forget_requests()
    assert status_of(story, "transfer-delta")[0] == 2  # nobody has said that automation is off
    status, output = status_of(story, "transfer-delta", "ARGS=--automation-is-off")
    assert status == 0, output
    story.last_hour()
    story.forget_requests()
    status, output = status_of(story, "transfer-final", "CONFIRM=frozen")
    assert status == 0, output
    assert "comparison: exact" in output
    # what a push has done is told at once
    assert story.svod.query("select count(*) from duckdb_views() where view_name = 'transfer_outcomes'") == [(1,)]
    assert story.written_to_cloud.total() == 0
    story.forget_requests()
    status, output = status_of(story, "transfer-final", "CONFIRM=frozen")
    assert (status, story.written_to_box.total()) == (0, 0), output


def test_a_box_that_is_not_the_clouds_or_was_worked_in_is_no_baseline_and_one_is_enough(story):
    with sqlite3.connect(restore(story)) as box:
        box.execute("update lead set ID = ID + 100")
    status, output = status_of(story, "transfer-baseline")
    assert status == 3 and "the restore gave out others" in output, output

    restore(story)
    story.ask(story.box, "crm.item.add", entityTypeId=1, fields={"title": "Проверка"})
    story.ask(story.box, "crm.item.update", entityTypeId=2, id=7, fields={"title": "Проверка"})
    status, output = status_of(story, "transfer-baseline")
    assert status == 3 and "somebody has worked in" in output, output
    assert "lead 61 made" in output and "deal 7 changed" in output
    assert story.svod.query("select * from ops.snapshots where source = 'box' and label = 'baseline'") == []
    assert status_of(story, "transfer-delta")[0] == 3

    restore(story)
    assert status_of(story, "transfer-baseline")[0] == 0
    assert status_of(story, "transfer-baseline")[0] == 3
    restore(story)  # once more: it carries no mark, so it is another box
    assert status_of(story, "transfer-delta")[0] == 3
    assert status_of(story, "transfer-baseline")[0] == 0
