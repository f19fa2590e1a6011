"""A whole move by its make targets: what each stage does, refuses, and ends with."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from publish.sandbox import Limits

from .story import SUITE, Story


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    with Story(tmp_path / "move", SUITE) as story:
        story.years_go_by()
        yield story


def restore(story: Story) -> None:
    """The box becomes what the cloud is now."""
    state = story.folder / "copy.sqlite"
    story.cloud.portal.copy_to(state)
    story.box.start_over(state, limits=Limits.none(), clock=story.clock)


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
    assert status_of(story, "transfer-delta", "ARGS=--automation-is-off")[0] == 0
    story.last_hour()
    story.cloud.portal.clear_log()
    status, output = status_of(story, "transfer-final", "CONFIRM=frozen")
    assert status == 0, output
    assert "comparison: exact" in output
    assert story.written_to_cloud.total() == 0
    assert (story.box.portal.mail_sent(), story.box.portal.automation_started()) == (0, 0)
    story.forget_requests()
    status, output = status_of(story, "transfer-final", "CONFIRM=frozen")
    assert (status, story.written_to_box.total()) == (0, 0), output
