"""A box over HTTP, and a warehouse with the mart of a move."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.warehouse.connection import open_warehouse
from publish.sandbox import Limits
from tests.publish.transfer import office
from tests.watched import WatchedSandbox, nothing_is_sent_or_started_and_the_cloud_is_not_written_to

__all__ = ["nothing_is_sent_or_started_and_the_cloud_is_not_written_to"]


@pytest.fixture(scope="session")
def running_box() -> Iterator[WatchedSandbox]:
    with WatchedSandbox(limits=Limits.none()) as running:
        yield running


@pytest.fixture
def mover(running_box, tmp_path, empty_warehouse) -> Iterator[office.Mover]:
    running_box.start_over(limits=Limits.none())
    connection = open_warehouse(Path(shutil.copy(empty_warehouse, tmp_path)))
    office.prepare(connection)
    yield office.Mover(connection, running_box, tmp_path)
    connection.close()
