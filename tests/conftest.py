"""Fixtures all tests share: an empty warehouse, and real servers that are started once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import hypothesis
import pytest

from ingest.warehouse.connection import open_warehouse
from tests.servers import Kafka, MariaDB, kafka_server, mariadb_server

# The same examples every time: a suite that guards the way to the CRM says the same thing twice. To search further:
# `pytest --hypothesis-profile=default`.
hypothesis.settings.register_profile("repeatable", derandomize=True)
hypothesis.settings.load_profile("repeatable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole runs first: they take minutes, and one that began last would keep all other workers waiting."""
    whole_runs = {Path(__file__).parent / name for name in ("pipeline", "transfer")}
    items.sort(key=lambda item: item.path.parent not in whole_runs)


@pytest.fixture(scope="session")
def empty_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a new warehouse, for tests to copy: to make one takes as long as many a test."""
    path = tmp_path_factory.mktemp("empty") / "svod.duckdb"
    open_warehouse(path).close()
    return path


@pytest.fixture
def warehouse(tmp_path: Path, empty_warehouse: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty warehouse at tmp_path/svod.duckdb, open for writing."""
    connection = open_warehouse(Path(shutil.copy(empty_warehouse, tmp_path)))
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """A real MariaDB server."""
    with mariadb_server() as server:
        yield server


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    """A real Kafka broker."""
    with kafka_server() as server:
        yield server


@pytest.fixture
def database(mariadb: MariaDB) -> Iterator[str]:
    """A new empty MariaDB database."""
    with mariadb.database() as name:
        yield name
