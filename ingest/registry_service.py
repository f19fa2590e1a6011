"""The registry's service: DaData `findById/party`, paced, tried again when it is busy or unwell, left when it refuses.

What it says of a quota that is spent is 403 with "Feature 'SUGGESTIONS' disabled for token '…'", and it goes on at
midnight in Moscow (DaData, "Что будет, если превысить 10 000 бесплатных запросов в день"); of a wrong key 401, or 403
with other words.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic
from urllib.parse import urlsplit

import httpx
import msgspec
import stamina

from ingest.raw import DeadLetter, RawRecord
from ingest.registry_pacing import MOST_AT_ONCE, Flow
from ingest.warehouse import journal
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.period import in_moscow

FIND_PARTY = "/suggestions/api/4_1/rs/findById/party"
ATTEMPTS = 6  # for one INN
SAY_EVERY_S = 8.0
TIMEOUT_S = 30
GIVE_UP_AFTER = 20  # INNs in a row without an answer: the service is down
OF_THIS_INN = (400, 413, 422)  # the request is what is not liked; other statuses below 500 say that of the address
_SPENT = re.compile(rb"disabled for token|quota|limit|\xd0\xbb\xd0\xb8\xd0\xbc\xd0\xb8\xd1\x82", re.IGNORECASE)  # лимит


class Answer(msgspec.Struct):
    """What the service says, its suggestions untouched."""

    suggestions: list[msgspec.Raw]


class Verdict(msgspec.Struct):
    """The payload of a verdict from the service."""

    inn: str
    found: bool
    asked_at: str
    suggestions: list[msgspec.Raw]


class QuotaSpent(OperatorError):
    """The service answers no more today; `goes_on_at` (UTC) is when it will."""

    def __init__(self) -> None:
        super().__init__("the registry's quota of today is spent", hint="verdicts got so far are kept")
        midnight = (in_moscow(journal.utc_now()) + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        self.goes_on_at = midnight.astimezone(UTC).replace(tzinfo=None)


class TryAgain(Exception):
    """The service is unwell (5xx)."""


class TooFast(TryAgain):
    """The service answers 429."""


class NoAnswer(Exception):
    """One INN got no usable answer; the text says why."""


class Registry:
    """The service under its limits. `refused` counts its answers 429."""

    def __init__(self, url: str, token: str, rate: float, say: Callable[[str], None] = lambda text: None) -> None:
        """`rate`: requests a second that are allowed. `say` is told, every few seconds, what is waited for."""
        self.url, self._say = url.rstrip("/"), say
        self._said_at = -SAY_EVERY_S
        self.flow = Flow(rate, self._closes_connections)
        self.refused = 0
        self.refusal: OperatorError | None = None  # once the service refuses, nothing more is asked
        self.client = httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Token {token}", "Accept": "application/json"},
            timeout=httpx.Timeout(TIMEOUT_S, connect=5, pool=None),
            limits=httpx.Limits(
                max_connections=MOST_AT_ONCE, max_keepalive_connections=MOST_AT_ONCE, keepalive_expiry=60
            ),
        )

    @property
    def address(self) -> str:
        """Where the service is, for messages: without a user and a password."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    async def ask(self, inn: str) -> RawRecord:
        """One INN's verdict.

        Raises OperatorError when the key is refused or the address is not the service's, QuotaSpent for the rest of the
        day, NoAnswer when this INN gets no answer or one that is not as documented.
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
            suggestions = msgspec.json.decode(content.decode(), type=Answer).suggestions
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
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

    def _closes_connections(self, seconds: float) -> None:
        self._say_now_and_then(
            f"the registry closes connections and allows so many new ones a minute: waiting {seconds:.0f} s for one"
        )

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
        sent_at = 0.0

        def sent() -> None:
            nonlocal sent_at
            sent_at = monotonic()

        if self.refusal:
            raise self.refusal
        with self._said_when_slow():
            try:
                response = await self.client.post(
                    FIND_PARTY,
                    json={"query": inn, "branch_type": "MAIN"},
                    extensions={"trace": partial(self.flow.on_event, sent=sent)},
                )
            except httpx.TransportError:
                self.flow.go_ahead()
                raise
        status = response.status_code
        if status in (401, 403):
            self.refusal = QuotaSpent() if status == 403 and _SPENT.search(response.content) else _wrong_key(status)
            raise self.refusal
        self.flow.go_ahead()
        if status == 429:
            self.refused += 1
            pause = response.headers.get("Retry-After", "")
            self.flow.pace.refused(min(float(pause), 60) if pause.isdecimal() else 1)
            raise TooFast
        if status == 200:
            self.flow.answered(monotonic() - sent_at)
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
                while (
                    not self.refusal and len(under_way) < self.flow.at_once and (inn := next(waiting, None)) is not None
                ):
                    under_way.add(asyncio.create_task(self._verdict(inn)))
                if not under_way:
                    break
                done, under_way = await asyncio.wait(under_way, timeout=0.1, return_when=asyncio.FIRST_COMPLETED)
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


def _wrong_key(status: int) -> OperatorError:
    return OperatorError(
        f"the registry refuses the key ({status})",
        hint="check SVOD_REGISTRY_TOKEN, and that its account may ask for companies",
    )


def _why(error: TryAgain | httpx.TransportError) -> str:
    """In a word, without the address and the key."""
    return str(error) if isinstance(error, TryAgain) else type(error).__name__
