"""Verdicts of the company registry, as they land, and those of its service, each INN once per time to live.

Rows of raw.registry__companies: source_key = the INN as asked (text, zeros kept), source_at = when the verdict was
given (UTC; a file's time of modification), source_position = `service` or the file's name @ INN, and one of two
payloads:

    {"inn": "7707083893", "found": true, "asked_at": "2026-10-02T10:00:00", "suggestions": [ …as answered… ]}
    {"inn": "7707083893", "found": true, "verdict": { …the file's row, by its column names… }}

An INN the service does not know is a verdict as well: `found` false, `suggestions` empty. The newest source_at wins.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic
from urllib.parse import urlsplit

import duckdb
import httpx
import msgspec
import stamina

from ingest import raw
from ingest.raw import DeadLetter, RawRecord
from ingest.warehouse import journal
from ingest.warehouse.connection import transaction
from ingest.warehouse.errors import OperatorError

TABLE = "registry__companies"
DESCRIPTION = "Verdicts of the company registry, one row each, unknown INNs too."
FIND_PARTY = "/suggestions/api/4_1/rs/findById/party"  # DaData, method findById/party
EXPECTED_LATENCY_S = 1.0  # requests in flight = rate times this; an answer takes about 0.4 s
COMMIT_EVERY = 200
ATTEMPTS = 6  # for one INN
SAY_EVERY_S = 8.0
TIMEOUT_S = 30
GIVE_UP_AFTER = 20  # INNs in a row without an answer: the service is down
OF_THIS_INN = (400, 413, 422)  # the request is what is not liked; other statuses below 500 say that of the address
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
    """The service is unwell (5xx)."""


class TooFast(TryAgain):
    """The service answers 429."""


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
    """The same, without creating anything. Raises duckdb.CatalogException when a table is missing.

    Those that got no answer before come last: some that never get one must not keep the others from being asked.
    """
    unanswered = connection.execute(
        f"""with wanted as (
                select distinct inn from {QUEUE} where inn is not null
                    and inn not in (select source_key from raw.{TABLE} where source_at > ?)
            ),
            failures as (
                select source_position.split_part('@', 2) as inn, count(*) as times
                from raw.dead_letters where source = 'registry' group by all
            )
            select inn from wanted left join failures using (inn) order by coalesce(times, 0), inn""",
        [journal.utc_now() - ttl],
    ).fetchall()
    return [inn for (inn,) in unanswered]


class Registry:
    """The service: paced, tried again when it is busy or unwell, stopped when it refuses the key."""

    def __init__(self, url: str, token: str, rate: float, say: Callable[[str], None] = lambda text: None) -> None:
        """`say` is told, every few seconds, that the service does not answer and is asked again."""
        self.url, self.rate, self._say = url.rstrip("/"), rate, say
        self._said_at = -SAY_EVERY_S
        self.next_slot = 0.0
        self.refusal: OperatorError | None = None  # once the key is refused, nothing more is asked
        self.client = httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Token {token}", "Accept": "application/json"},
            timeout=httpx.Timeout(TIMEOUT_S, connect=5),
            limits=httpx.Limits(max_connections=self.in_flight, max_keepalive_connections=self.in_flight),
        )

    @property
    def address(self) -> str:
        """Where the service is, for messages: without a user and a password."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

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
                on=(TryAgain, httpx.TransportError), attempts=ATTEMPTS, timeout=120, wait_initial=0.5, wait_max=20
            ):
                with attempt, self._said_when_it_fails(attempt.num):
                    content = await self._post(inn)
        except TooFast:  # after minutes of waiting: it is no matter of pace any more, and of no single INN
            self.refusal = OperatorError(
                "the registry takes no more requests (429): today's quota is spent, or SVOD_REGISTRY_RATE is too high",
                hint="verdicts got so far are kept, the next run asks for the rest",
            )
            raise self.refusal from None
        except (TryAgain, httpx.TransportError) as error:
            raise NoAnswer(_why(error)) from None
        try:
            suggestions = msgspec.json.decode(content, type=Answer).suggestions
        except msgspec.DecodeError:
            raise NoAnswer("the answer is not as documented") from None
        asked_at = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
        verdict = Verdict(inn, bool(suggestions), asked_at.isoformat(), suggestions)
        return RawRecord(msgspec.json.encode(verdict), inn, asked_at, f"service@{inn}")

    @contextmanager
    def _said_when_it_fails(self, attempt: int) -> Iterator[None]:
        try:
            yield
        except (TryAgain, httpx.TransportError) as error:
            if attempt < ATTEMPTS:
                why = "asks us to be slower (429)" if isinstance(error, TooFast) else f"does not answer ({_why(error)})"
                self._say_now_and_then(f"the registry {why}: trying again ({attempt} of {ATTEMPTS})")
            raise

    def _say_now_and_then(self, text: str) -> None:
        """Dozens of requests are under way at a time."""
        if monotonic() - self._said_at >= SAY_EVERY_S:
            self._said_at = monotonic()
            self._say(text)

    @contextmanager
    def _said_when_slow(self) -> Iterator[None]:
        text = f"the registry has not answered for {SAY_EVERY_S:g} s: waiting, {TIMEOUT_S} s at the most"
        timer = asyncio.get_running_loop().call_later(SAY_EVERY_S, self._say_now_and_then, text)
        try:
            yield
        finally:
            timer.cancel()

    async def _post(self, inn: str) -> bytes:
        await self._slot()
        if self.refusal:
            raise self.refusal
        with self._said_when_slow():
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
            raise TooFast
        if status >= 500:
            raise TryAgain(f"status {status}")
        if status in OF_THIS_INN:
            raise NoAnswer(f"status {status}")
        if status != 200:
            place = f"{self.address}{FIND_PARTY}"
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
        unanswered: list[DeadLetter] = []  # one after another
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
                    unanswered = [*unanswered, verdict] if isinstance(verdict, DeadLetter) else []
                    yield verdict
                if len(unanswered) >= GIVE_UP_AFTER:
                    raise OperatorError(
                        f"the registry at {self.address} does not answer ({unanswered[-1].reason})",
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


def _why(error: TryAgain | httpx.TransportError) -> str:
    """In a word, without the address and the key."""
    return str(error) if isinstance(error, TryAgain) else type(error).__name__


def land_verdicts(
    connection: duckdb.DuckDBPyConnection,
    registry: Registry,
    inns: list[str],
    step: journal.Step,
    on_progress: Callable[[int], None] = lambda verdicts: None,
) -> None:
    """Ask the service for `inns` and append the verdicts as they come, some hundreds a transaction.

    Raises OperatorError when the service refuses or some INN got no answer, saying how many INNs wait; whatever was
    answered is landed by then.
    """
    table = raw.raw_table(connection, TABLE, DESCRIPTION)

    async def ask_and_land() -> list[DeadLetter]:
        records: list[RawRecord] = []
        letters: list[DeadLetter] = []

        def land() -> None:
            with transaction(connection):
                step.rows_out += raw.append(connection, table, records, step.run_id)
            on_progress(len(records))
            records.clear()

        try:
            async for verdict in registry.verdicts(inns):
                if isinstance(verdict, DeadLetter):
                    letters.append(verdict)
                    continue
                records.append(verdict)
                if len(records) >= COMMIT_EVERY:
                    land()
        finally:
            land()
            raw.append_dead_letters(connection, letters, step.run_id)
        return letters

    landed_before = step.rows_out
    step.rows_in += len(inns)
    try:
        unanswered = asyncio.run(ask_and_land())
    except OperatorError as error:
        waiting = len(inns) - (step.rows_out - landed_before)
        step.detail["waiting"] = waiting
        raise OperatorError(f"{error.problem}; {waiting} of {len(inns)} INNs wait", hint=error.hint) from None
    if unanswered:
        step.detail["waiting"] = len(unanswered)
        raise OperatorError(
            f"{len(unanswered)} of {len(inns)} INNs got no answer from the registry ({unanswered[0].reason}) and wait",
            hint="the others are landed; the next run asks for these again",
        )
