"""Verdicts of the company registry, from a file or from the service, each INN once per time to live.

Rows of raw.registry__companies: source_key = the INN as asked (text, zeros kept), source_at = when the verdict was
given (UTC; a file's time of modification), source_position = `service` or the file's name @ INN, and one of two
payloads:

    {"inn": "7707083893", "found": true, "asked_at": "2026-10-02T10:00:00", "suggestions": [ …as answered… ]}
    {"inn": "7707083893", "found": true, "verdict": { …the file's row, by its column names… }}

An INN the service does not know is a verdict as well: `found` false, `suggestions` empty. The newest source_at wins.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import duckdb
import httpx
import msgspec
import stamina

from ingest import raw
from ingest.raw import DeadLetter, RawRecord
from ingest.warehouse import journal
from ingest.warehouse.errors import OperatorError

TABLE = "registry__companies"
DESCRIPTION = "Verdicts of the company registry, one row each, unknown INNs too."
FIND_PARTY = "/suggestions/api/4_1/rs/findById/party"  # DaData, method findById/party
EXPECTED_LATENCY_S = 1.0  # requests in flight = rate times this; an answer takes about 0.4 s
COMMIT_EVERY = 200
GIVE_UP_AFTER = 20  # INNs in a row without an answer: the service is down
QUEUE = "intermediate.int_companies__registry_queue"


class Answer(msgspec.Struct):
    """What the service says, its suggestions untouched."""

    suggestions: list[msgspec.Raw]


class Verdict(msgspec.Struct):
    """The payload of a verdict from the service."""

    inn: str
    found: bool
    asked_at: str
    suggestions: list[msgspec.Raw]


class TryAgain(Exception):
    """The service is busy (429) or unwell (5xx)."""


class NoAnswer(Exception):
    """One INN got no usable answer; the text says why."""


def wanted_inns(connection: duckdb.DuckDBPyConnection, ttl: timedelta) -> list[str]:
    """The INNs the models ask for that have no verdict younger than `ttl`, in their order.

    Raises OperatorError when the models that ask have not been built.
    """
    raw.raw_table(connection, TABLE, DESCRIPTION)
    try:
        return unanswered_inns(connection, ttl)
    except duckdb.CatalogException:
        raise OperatorError(
            f"there is no table {QUEUE} that says which INNs to ask for",
            hint="build the models before the registry first: dbt build --selector before_registry (make full does)",
        ) from None


def unanswered_inns(connection: duckdb.DuckDBPyConnection, ttl: timedelta) -> list[str]:
    """The same, without creating anything. Raises duckdb.CatalogException when a table is missing."""
    rows = connection.execute(
        f"""select distinct inn from {QUEUE} where inn is not null
              and inn not in (select source_key from raw.{TABLE} where source_at > ?)
            order by inn""",
        [journal.utc_now() - ttl],
    ).fetchall()
    return [inn for (inn,) in rows]


class Registry:
    """The service: paced, tried again when it is busy or unwell, stopped when it refuses the key."""

    def __init__(self, url: str, token: str, rate: float) -> None:
        self.url, self.rate = url.rstrip("/"), rate
        self.next_slot = 0.0
        self.refusal: OperatorError | None = None  # once the key is refused, nothing more is asked
        self.client = httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Token {token}", "Accept": "application/json"},
            timeout=30,
            limits=httpx.Limits(max_connections=self.in_flight, max_keepalive_connections=self.in_flight),
        )

    @property
    def in_flight(self) -> int:
        """Requests under way at a time."""
        return max(1, round(self.rate * EXPECTED_LATENCY_S))

    async def _slot(self) -> None:
        """Wait for this request's turn: turns are 1/rate seconds apart, so no second holds more than `rate` of them."""
        now = monotonic()
        turn = max(now, self.next_slot)
        self.next_slot = turn + 1 / self.rate
        await asyncio.sleep(turn - now)

    async def ask(self, inn: str) -> RawRecord:
        """One INN's verdict.

        Raises OperatorError when the key is refused or the address is not the service's, NoAnswer when this INN
        gets no answer or one that is not as documented.
        """
        try:
            async for attempt in stamina.retry_context(
                on=(TryAgain, httpx.TransportError), attempts=6, timeout=120, wait_initial=0.5, wait_max=20
            ):
                with attempt:
                    content = await self._post(inn)
        except TryAgain as error:
            raise NoAnswer(str(error)) from None
        except httpx.TransportError as error:
            raise NoAnswer(type(error).__name__) from None
        try:
            suggestions = msgspec.json.decode(content, type=Answer).suggestions
        except msgspec.DecodeError:
            raise NoAnswer("the answer is not as documented") from None
        asked_at = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
        verdict = Verdict(inn, bool(suggestions), asked_at.isoformat(), suggestions)
        return RawRecord(msgspec.json.encode(verdict), inn, asked_at, f"service@{inn}")

    async def _post(self, inn: str) -> bytes:
        await self._slot()
        if self.refusal:
            raise self.refusal
        response = await self.client.post(FIND_PARTY, json={"query": inn, "branch_type": "MAIN"})
        status = response.status_code
        if status in (401, 403):
            self.refusal = OperatorError(
                f"the registry refuses the key ({status}): it is wrong, or today's quota is spent",
                hint="check SVOD_REGISTRY_TOKEN; verdicts got so far are kept, the next run asks for the rest",
            )
            raise self.refusal
        if status == 429:
            pause = response.headers.get("Retry-After", "")
            self.next_slot = max(self.next_slot, monotonic() + (min(float(pause), 60) if pause.isdecimal() else 1))
        if status == 429 or status >= 500:
            raise TryAgain(f"status {status}")
        if status != 200:
            place = f"{self.url}{FIND_PARTY}"
            self.refusal = OperatorError(f"the registry answers {status} at {place}", hint="check SVOD_REGISTRY_URL")
            raise self.refusal
        return response.content

    async def verdicts(self, inns: Iterable[str]) -> AsyncIterator[RawRecord | DeadLetter]:
        """Ask for every INN, as many at once as the pace needs; yield in order of arrival.

        An INN that gets no answer is yielded as a dead letter. Raises OperatorError as `ask` does, and when one INN
        after another gets no answer.
        """
        waiting = iter(inns)
        under_way: set[asyncio.Task[RawRecord | DeadLetter]] = set()
        failures = 0
        try:
            while True:
                while not self.refusal and len(under_way) < self.in_flight and (inn := next(waiting, None)) is not None:
                    under_way.add(asyncio.create_task(self._verdict(inn)))
                if not under_way:
                    break
                done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    if isinstance(task.exception(), OperatorError):
                        continue  # a refusal: what others were answered meanwhile is waited for and kept
                    verdict = task.result()
                    failures = failures + 1 if isinstance(verdict, DeadLetter) else 0
                    yield verdict
                if failures >= GIVE_UP_AFTER:
                    raise OperatorError(
                        f"the registry at {self.url} does not answer ({verdict.reason})",
                        hint="is SVOD_REGISTRY_URL right? verdicts got so far are kept, the next run asks for the rest",
                    )
            if self.refusal:
                raise self.refusal
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
            await self.client.aclose()

    async def _verdict(self, inn: str) -> RawRecord | DeadLetter:
        try:
            return await self.ask(inn)
        except NoAnswer as error:
            return DeadLetter("registry", f"service@{inn}", str(error), None)


def land_verdicts(
    connection: duckdb.DuckDBPyConnection,
    registry: Registry,
    inns: list[str],
    step: journal.Step,
    on_progress: Callable[[int], None] = lambda verdicts: None,
) -> None:
    """Ask the service for `inns` and append the verdicts as they come, some hundreds a transaction.

    Raises OperatorError when the service refuses or some INN got no answer; whatever was answered is landed by then.
    """
    table = raw.raw_table(connection, TABLE, DESCRIPTION)

    async def ask_and_land() -> list[DeadLetter]:
        records: list[RawRecord] = []
        letters: list[DeadLetter] = []

        def land() -> None:
            with raw.transaction(connection):
                step.rows_out += raw.append(connection, table, records, step.run_id)
            on_progress(len(records))
            records.clear()

        try:
            async for verdict in registry.verdicts(inns):
                (records if isinstance(verdict, RawRecord) else letters).append(verdict)
                if len(records) >= COMMIT_EVERY:
                    land()
        finally:
            land()
            raw.append_dead_letters(connection, letters, step.run_id)
        return letters

    step.rows_in += len(inns)
    unanswered = asyncio.run(ask_and_land())
    if unanswered:
        raise OperatorError(
            f"{len(unanswered)} of {len(inns)} INNs got no answer from the registry ({unanswered[0].reason})",
            hint="the others are landed; the next run asks for these again",
        )


def land_verdict_file(connection: duckdb.DuckDBPyConnection, path: Path, step: journal.Step) -> int | None:
    """Append the verdicts of a CSV, NDJSON or Parquet file that differ from the last landed; return their number.

    None for a file that was loaded before and looks unchanged. Raises OperatorError when the file is missing, is none
    of these or has no column `inn`.
    """
    if not path.is_file():
        raise OperatorError(f"there is no verdict file {path}", hint="check SVOD_REGISTRY_FILE")
    readers = {
        ".csv": "select to_json(f) as verdict from read_csv(?, all_varchar = true, header = true) as f",
        ".ndjson": "select json as verdict from read_json_objects(?, format = 'newline_delimited')",
        ".parquet": "select to_json(f) as verdict from read_parquet(?) as f",
    }
    suffix = {".jsonl": ".ndjson", ".json": ".ndjson"}.get(path.suffix.lower(), path.suffix.lower())
    if suffix not in readers:
        raise OperatorError(f"{path} is no verdict file", hint="SVOD_REGISTRY_FILE is a .csv, .ndjson or .parquet file")
    table = raw.raw_table(connection, TABLE, DESCRIPTION)
    status = path.stat()
    version = f"{status.st_size} bytes of {datetime.fromtimestamp(status.st_mtime, UTC):%Y-%m-%d %H:%M:%S.%f}"
    place = f"registry file {path.name}"
    if journal.watermark(connection, place) == version:
        return None
    given_at = datetime.fromtimestamp(status.st_mtime, UTC).replace(tzinfo=None)
    try:
        with raw.transaction(connection):
            connection.execute(f"create or replace temp table verdicts as {readers[suffix]}", [str(path)])
            (rows, without_inn) = connection.execute(
                "select count(*), count(*) filter (coalesce(trim(verdict ->> '$.inn'), '') = '') from verdicts"
            ).fetchone()
            if rows and rows == without_inn:
                raise OperatorError(f"{path} has no column inn", hint="name the column that holds the INN `inn`")
            (landed,) = connection.execute(
                f"""insert into {table}
                    with read as (
                        select trim(verdict ->> '$.inn') as inn,
                               json_object('inn', inn, 'found', true, 'verdict', verdict) as payload
                        from verdicts where inn <> ''
                    ),
                    last_version as (
                        select source_key, arg_max(payload::varchar, rowid) as payload from {table} group by source_key
                    )
                    select payload, inn, ?, ? || '@' || inn, ?, ? from read
                    where not exists (
                        from last_version as last
                        where last.source_key = read.inn and last.payload = read.payload::varchar)""",
                [given_at, path.name, step.run_id, journal.utc_now()],
            ).fetchone()
            journal.set_watermark(connection, place, version, step.run_id)
    except duckdb.Error as error:
        raise OperatorError(
            f"{path} cannot be read: {str(error).splitlines()[0]}",
            hint="UTF-8 CSV with a header line, NDJSON or Parquet",
        ) from None
    step.rows_in += rows
    step.rows_out += landed
    return landed
