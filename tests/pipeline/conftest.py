"""The whole story, told once for all tests of this folder: day one, day two, a repeat, and a rebuild beside it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from publish.sandbox import Limits, RunningSandbox
from tests.demo import SCALE, SEED
from tests.installation import Ended, Installation
from tests.sample_data.generate import generate
from tests.sample_data.loaders import load_mysql, produce_kafka
from tests.sample_data.registry_double import RunningRegistry
from tests.servers import Kafka, MariaDB

# A full run up to the marts: a portal has no part in what those are.
REBUILD = (("ingest", "mysql", "--full"), ("ingest", "json", "--full"), ("ingest", "kafka"),
           ("python", "dbt_project/passes.py", "--full"))  # fmt: skip


@dataclass(frozen=True)
class Chapter:
    """What one run left behind: its end, what the portal holds, what was written there, what the registry was asked."""

    ended: Ended
    portal: dict[str, list[dict[str, Any]]]
    writes: Counter[str]
    asked: Counter[str]


@dataclass(frozen=True)
class Story:
    sample: Path
    svod: Installation
    rebuilt: Installation
    first: Chapter
    second: Chapter
    repeat: Chapter
    refresh: Chapter


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both days of the sources with their known answers."""
    folder = tmp_path_factory.mktemp("sources")
    generate(folder, scale=SCALE, seed=SEED)
    return folder


@pytest.fixture(scope="session")
def story(sample: Path, mariadb: MariaDB, kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Real MariaDB, real Kafka, files, the registry double, and the sandbox portal over HTTP."""
    folder = tmp_path_factory.mktemp("installation")
    with (
        mariadb.database() as database,
        kafka.topic(retention_ms="-1") as topic,
        RunningRegistry(sample, rate=2000) as registry,
        RunningSandbox(folder / "portal.sqlite", limits=Limits.none()) as sandbox,
    ):

        def installation(name: str) -> Installation:
            return Installation(
                folder / name,
                {
                    "SVOD_SHOP_A_URL": mariadb.url(database),
                    "SVOD_SHOP_B_FILES": str(sample / "shop_b" / "history-*.json*"),
                    "SVOD_SHOP_B_KAFKA": kafka.bootstrap,
                    "SVOD_SHOP_B_KAFKA_TOPIC": topic,
                    "SVOD_REGISTRY_URL": registry.url,
                    "SVOD_REGISTRY_TOKEN": registry.token,
                    "SVOD_REGISTRY_RATE": "200",
                    "SVOD_REGISTRY_TTL_DAYS": "0",  # day two's verdicts are asked for on day two
                    "SVOD_BITRIX24_WEBHOOK": sandbox.webhook,
                    "SVOD_BITRIX24_RATE": "0",
                    "SVOD_SINCE": "2025-01-01",
                },
            )

        def chapter(target: str) -> Chapter:
            registry.requests.clear()
            view = sandbox.portal
            before = view.writes()
            ended = svod.make(target)
            cards = {name: view.items(name) for name in ("company", "contact", "deal")}
            cards["requisite"] = view.requisites()
            return Chapter(ended, cards, view.writes() - before, Counter(registry.requests))

        svod, rebuilt = installation("svod"), installation("rebuilt")
        load_mysql(mariadb.url(database), sample, day=1)
        produce_kafka(kafka.bootstrap, topic, sample, day=1)
        first = chapter("full")
        load_mysql(mariadb.url(database), sample, day=2)
        produce_kafka(kafka.bootstrap, topic, sample, day=2)
        registry.apply(sample, day=2)
        second = chapter("incremental")
        repeat = chapter("incremental")
        refresh = chapter("full")
        for command in REBUILD:
            ended = rebuilt.tool(*command)
            assert ended.status == 0, ended.output
        yield Story(sample, svod, rebuilt, first, second, repeat, refresh)
