"""`ingest check`: one try at each source, at the registry and at the place of the warehouse. Nothing is landed.

Each try ends by itself within some seconds; one that fails keeps no other from being made.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import httpx
import stamina

from ingest.bitrix24.pacing import Pace
from ingest.bitrix24.reading import Read, ReadingClient, ReadMethod
from ingest.settings import RegistrySettings, Settings
from ingest.sources import JSONSource, KafkaSource, MySQLSource, PortalSource, Source
from ingest.warehouse import private
from ingest.warehouse.clock import ago
from ingest.warehouse.connection import open_for_reading
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.findings import Finding
from ingest.warehouse.storage import free_at

PATIENCE_S = 15.0
KNOWN_INN = "7707083893"  # every registry knows it: Sberbank's
USAGE = "https://dadata.ru/api/v2/stat/daily"  # dadata.ru/api/stat: what is left of today, by service
_SERVICE = "suggestions.dadata.ru"


def findings(settings: Settings) -> Iterator[Finding]:
    """What came of each try, in the order in which a run goes."""
    yield from _tried("warehouse", lambda: _warehouse(settings))
    for source in settings.sources:
        what = f"{source.name} {source.kind}"
        if source.is_set:
            yield from _tried(what, lambda source=source: _source(settings, source))  # type: ignore[misc]
        elif not isinstance(source, PortalSource):  # those are for a move alone
            yield Finding(what, "skipped", f"{source.variable(source.place_field)} is not set")
    if not settings.is_any_source_set:
        yield Finding.of("sources", settings.no_source())
    yield from _registry(settings.registry)


def _tried(what: str, attempt: Callable[[], str]) -> Iterator[Finding]:
    try:
        yield Finding(what, "ok", attempt())
    except OperatorError as error:
        yield Finding.of(what, error)
    except Exception as error:  # whatever it is, the other tries are made
        yield Finding(what, "wrong", f"unexpected {type(error).__name__}", "please report this", 1)


def _warehouse(settings: Settings) -> str:
    path, group = settings.general.warehouse, settings.general.readers_group
    if group:
        private.check_group(group)
    if not path.exists():
        return f"{path} is not there yet, a run makes it; {free_at(path)} free there"
    open_for_reading(path).connection.close()
    return f"{path}, {path.stat().st_size / 1e6:,.1f} MB; {free_at(path)} free there"


def _source(settings: Settings, source: Source) -> str:
    match source:
        case MySQLSource():
            return _mysql(source)
        case JSONSource():
            return _files(source)
        case KafkaSource():
            return _topic(settings, source)
        case PortalSource():
            return asyncio.run(_portal(source))
    raise TypeError(type(source).__name__)


def _mysql(source: MySQLSource) -> str:
    from ingest import mysql

    source.check_charsets(source.tables)
    with mysql.connect(source, timeout_s=PATIENCE_S) as server:
        for table in source.tables:
            names = {column.name for column in server.columns(table, {})}
            if not names:
                raise OperatorError(
                    f"{source.address} shows no table {table} to this account",
                    hint=f"check {source.variable('tables')}, and grant select on it",
                )
            if source.changed_column not in names:
                raise OperatorError(
                    f"{source.address}: {table} has no column {source.changed_column}",
                    hint=f"check {source.variable('changed_column')}",
                )
    return f"{source.address}: logs in; {', '.join(source.tables) or 'no table'} there"


def _files(source: JSONSource) -> str:
    from ingest.json_file import files_of

    files = files_of(source)
    for file in files:
        try:
            with file.open("rb") as opened:
                opened.read(1)
        except OSError as error:
            raise OperatorError(f"{file} cannot be read: {error.strerror}", hint="check its rights") from None
    size = sum(file.stat().st_size for file in files)
    newest = datetime.now(UTC).timestamp() - max(file.stat().st_mtime for file in files)
    number = f"{len(files)} file{'' if len(files) == 1 else 's'}"
    return f"{number}, {size / 1e6:,.1f} MB, the newest {ago(timedelta(seconds=newest))}"


def _topic(settings: Settings, source: KafkaSource) -> str:
    from ingest.kafka_topic import Topic

    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    with closing(Topic(source, settings.kafka_login)) as topic:
        return f"{topic.brokers}: {topic.name} has {len(topic.partitions)} partitions"


async def _portal(source: PortalSource) -> str:
    tried: list[str] = []
    pace = Pace(source.rate, 50, 0, on_pause=tried.append)
    try:
        client = ReadingClient(source.address, pace, variable=source.variable("webhook"))
        async with client, asyncio.timeout(PATIENCE_S):
            (answer,) = await client.read([Read(ReadMethod.IS_ADMIN)])
    except TimeoutError:
        told = tried[-1].partition(": trying again")[0] if tried else "does not answer"
        raise OperatorError(f"{source.portal}: {told}", hint=f"is {source.variable('webhook')} right?") from None
    if answer.result is not True:
        raise OperatorError(
            f"{source.portal}: the webhook's user is no administrator",
            hint="create the webhook as an administrator: lists leave out what the user may not read",
            exit_status=2,
        )
    return f"{source.portal}: answers, its user is an administrator"


def _registry(settings: RegistrySettings) -> Iterator[Finding]:
    if settings.file:
        file = settings.file
        if file.is_file():
            yield Finding("registry file", "ok", f"{file}, {file.stat().st_size / 1e6:,.1f} MB")
        else:
            yield Finding("registry file", "wrong", f"there is no file {file}", "check SVOD_REGISTRY_FILE", 1)
    if settings.dump:
        from ingest.registry_dump import dumps_of

        yield from _tried("registry dump", lambda: f"{settings.dump}: {len(dumps_of(settings.dump or ''))} files")
    if settings.token is None:
        told = "SVOD_REGISTRY_TOKEN is not set: companies without a verdict wait"
        yield Finding("registry", "skipped", told)
        return
    yield from _tried("registry", lambda: asyncio.run(_service(settings)))


async def _service(settings: RegistrySettings) -> str:
    from ingest import registry_service as registry

    stamina.set_active(False)  # one try
    token = settings.token.get_secret_value() if settings.token else ""
    service = registry.Registry(settings.url, token, settings.rate)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await service.ask(KNOWN_INN)
    except (TimeoutError, registry.NoAnswer) as error:
        why = str(error) or f"no answer within {PATIENCE_S:g} s"
        raise OperatorError(f"{service.address} does not answer: {why}", hint="check SVOD_REGISTRY_URL") from None
    finally:
        await service.client.aclose()
    return f"{service.address}: answers; {await _left(settings)}"


async def _left(settings: RegistrySettings) -> str:
    """What is left of today's quota, which the service tells to whoever has the second key as well."""
    if settings.secret is None or settings.token is None:
        return "what is left of today's quota is told with SVOD_REGISTRY_SECRET"
    keys = {
        "Authorization": f"Token {settings.token.get_secret_value()}",
        "X-Secret": settings.secret.get_secret_value(),
    }
    usage = USAGE if _SERVICE in settings.url else f"{settings.url.rstrip('/')}/api/v2/stat/daily"
    try:
        async with httpx.AsyncClient(timeout=PATIENCE_S, headers=keys) as client:
            answer = await client.get(usage)
        left = answer.json()["remaining"]["suggestions"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return "what is left of today's quota was not told: is SVOD_REGISTRY_SECRET right?"
    return f"{left:,} requests left today"
