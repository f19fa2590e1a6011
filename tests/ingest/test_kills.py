"""The harnesses that kill each ingester and send a topic as bad as they come (`tests.chaos`), small."""

import pytest

from tests.chaos import events, sources
from tests.ingest.conftest import Ingest


@pytest.mark.parametrize("name", ["json", "registry-dump"])
def test_whoever_is_killed_and_started_again_lands_every_version_once(tmp_path, monkeypatch, name):
    monkeypatch.setattr(sources.SOURCES[name], "records", 4000)
    outcome = sources.run(name, tmp_path, kills=2, seed=1)
    assert outcome.kills == 2 and not outcome.differences


def test_versions_that_are_missing_and_watermarks_that_are_not_at_their_rows_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(sources.Files, "records", 10)
    with sources.made("json", tmp_path) as source:
        ingest = Ingest(tmp_path)
        ingest.environment |= source.settings
        assert ingest.run("json").returncode == 0
        assert source.differences() == source.ahead() == []
        source.query("delete from raw.shop_b__companies where source_position like '%#3'")
        assert source.differences() == ["rows and versions [(9, 9)], 10 of each wanted"]
        assert source.ahead() == ["file, objects by its watermark, rows ('history-000.json', 10, 9)"]


def test_a_topic_with_all_that_goes_wrong_is_staged_as_its_newest_events_say(tmp_path):
    assert events.run(tmp_path, 2000, seed=1, is_calm=True).differences == []
