"""`publish follow`: one process that stays. Events land as they come, tables and files on a schedule; then the registry
is asked, the models are built, the gates are passed, the portal gets what changed, and all begins again.

Whatever fails pauses alone, longer from time to time: a source, the registry, the models, the portal. Each step is one
of the journal, like those of `publish run`: it may be killed at any moment, and whoever comes next goes on from there.
"""

import asyncio
import os
import time
import traceback
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any
from uuid import uuid4

import duckdb

from ingest import steps
from ingest.followed_topic import FollowedTopic
from ingest.landing import Landing, landing_on
from ingest.registry_command import land_registry
from ingest.settings import Settings as IngestSettings
from ingest.settings import read_settings as read_ingest_settings
from ingest.sources import JSONSource, KafkaSource, MySQLSource, Source, SourceT
from ingest.warehouse import journal, reads, running, storage
from ingest.warehouse.errors import OperatorError, WarehouseBusy
from ingest.warehouse.lock import only_run
from ingest.warehouse.service import Service, Stopped, tell_manager
from ingest.warehouse.snapshot import is_outdated
from ingest.warehouse.terminal import print_error, say, say_aside
from publish import after_run, lag, pauses, pipeline, sending, tidying
from publish.bitrix24.run import Result
from publish.cycle import PROJECT, copy_for_readers, environment
from publish.kept_open import KeptOpen
from publish.models import building, compiled
from publish.pauses import Part, Timer
from publish.screen import PushThatMayEnd, QuietScreen
from publish.settings import Settings

NAME = "publish follow"
LOOK_EVERY_S = 0.25  # at the topics, while there is nothing to do
LET_GO_AFTER_S = 2.0  # without work: people may look into the warehouse itself
SIGN_OF_LIFE_EVERY_S = 60.0
COPY_EVERY_S, COPY_SHARE = 60.0, 0.05  # the copy for readers: not more often, and for no larger share of the time
BUILD_EVERY_S = 3600.0  # the models, also when nothing landed: verdicts expire
RETENTION_EVERY_S = 86_400.0
QUOTA_S = 900.0  # between looks whether there is a quota again
ASKING_S = 5.0  # of the registry in a cycle: who waits for it must not hold up events for long


def follow(settings: Settings, portal_problem: str = "") -> None:
    """Go on until told to stop, which is a good end. `portal_problem`: why the portal could not be published to now.

    Raises OperatorError when settings are wrong, or, with status 75, when another run holds the warehouse.
    """
    ingest_settings = read_ingest_settings().comparing_every(settings.follow_reconcile_hours)
    os.environ.update(environment(settings))  # dbt reads no .env
    service, began_at = Service(), journal.utc_now()
    holder = (
        f"{NAME} (process {os.getpid()}, since {began_at:%Y-%m-%d %H:%M} UTC)\n"
        f"it does what this command does, again and again; to run this by hand, stop it first: kill {os.getpid()}, or "
        "`systemctl stop` the service that it is"
    )
    going_on = running.told.step(settings.warehouse, NAME, journal.current_run_id(), is_run=True)
    with only_run(settings.warehouse, holder), service.stopped_by_signals(), going_on, asyncio.Runner() as runner:
        pipeline.keep_answer(settings, portal_problem)
        runner.get_loop().set_exception_handler(partial(_unless_stopped, service))
        follower = Follower(settings, ingest_settings, service, runner, began_at)
        try:
            follower.run()
        except Stopped:
            say(f"{NAME}: stopped, as it was told to; the next start goes on from here")
        finally:
            follower.close()


def _unless_stopped(service: Service, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What nobody waited for any more is no news when a push was told to end."""
    if not service.is_stopping:
        loop.default_exception_handler(context)


class Follower:
    """What there is to follow, when each of it is due, and what is left to do."""

    def __init__(
        self,
        settings: Settings,
        ingest_settings: IngestSettings,
        service: Service,
        runner: asyncio.Runner,
        began_at: datetime,
    ) -> None:
        self.settings, self.ingest_settings = settings, ingest_settings
        self.service, self.runner, self.began_at = service, runner, began_at
        self.screen = QuietScreen(service)
        self.held, self.pace = KeptOpen(settings.warehouse), sending.pace_of(settings)
        login, every_s = ingest_settings.kafka_login, settings.follow_shop_a_minutes * 60
        self.topics = [(FollowedTopic(source, login), Timer(every_s)) for source in self._sources(KafkaSource)]
        tables, files = self._sources(MySQLSource), self._sources(JSONSource)
        self.scheduled: list[tuple[Source, Timer]] = [(source, Timer(every_s)) for source in [*tables, *files]]
        self.part_of = {source.name + source.kind: _part_of(source) for source in self._sources(Source)}
        self.registry, self.building, self.portal = Part("registry"), Part("models"), Part("portal")
        self.build_timer, self.push_timer = Timer(BUILD_EVERY_S), Timer(every_s)
        self.copy_timer, self.life_timer = Timer(COPY_EVERY_S), Timer(SIGN_OF_LIFE_EVERY_S)
        self.retention_timer, self.tell_timer = Timer(RETENTION_EVERY_S), Timer(SIGN_OF_LIFE_EVERY_S)
        self.is_unbuilt = self.is_unpublished = True  # whoever was killed may have left anything
        self.has_inns_left = False  # that the registry was not asked for, or did not answer for
        self.is_uncopied = is_outdated(settings.warehouse)
        self.built_through: datetime | None = None  # what had landed by then is in the marts
        self.has_paused = False  # something has, or works again, since that was last told
        self.worked_at = time.monotonic()

    def _sources(self, kind: type[SourceT]) -> list[SourceT]:
        followed = (KafkaSource, MySQLSource, JSONSource)
        return [
            source for source in self.ingest_settings.sources_of(kind) if isinstance(source, followed) and source.is_set
        ]

    def run(self) -> None:
        """Cycles until Stopped is raised."""
        say(f"{NAME}: {', '.join(part.name for part in self.part_of.values()) or 'no source is set'}")
        tell_manager("READY=1")
        self._copy_when_due()
        busy_since = ""
        while True:
            self.service.alive()
            try:
                self._cycle()
                busy_since = ""
            except WarehouseBusy as busy:
                if not busy_since:
                    say_aside(f"{NAME}: {busy.problem}: waiting for it, trying again every few seconds")
                busy_since = busy.problem
                time.sleep(LOOK_EVERY_S)

    def close(self) -> None:
        """Leave brokers and warehouse."""
        self.held.release()
        for topic, _ in self.topics:
            topic.close()

    def _cycle(self) -> None:
        os.environ["SVOD_RUN_ID"] = f"follow-{journal.utc_now():%Y%m%dT%H%M%S}-{uuid4().hex[:6]}"
        began = time.monotonic()
        self._tidy_when_due()
        landed = self._land()
        self.is_unbuilt |= landed > 0 or self.build_timer.is_due
        is_building = (self.is_unbuilt or (self.has_inns_left and self.registry.is_due)) and self.building.is_due
        if is_building:
            self._build()
        result = None
        if not self.is_unbuilt and (self.is_unpublished or self.push_timer.is_due) and self._may_push():
            self._copy_when_due()  # a first push takes hours
            result = self._push()
        if landed or (result and result.requests):
            say(_line(landed, result, time.monotonic() - began))
        has_worked = bool(landed or is_building or (result and result.requests))
        if has_worked:
            self.worked_at = time.monotonic()
            self.is_uncopied = True
        if has_worked or self.has_paused or self.life_timer.is_due:
            self._sign_of_life()
        self._copy_when_due()
        if not has_worked:
            self._rest()

    def _rest(self) -> None:
        if self.held.is_open and time.monotonic() - self.worked_at > LET_GO_AFTER_S:
            self.held.release()
        time.sleep(LOOK_EVERY_S)

    # Landing ---------------------------------------------------------------------------------------------------------

    def _land(self) -> int:
        """Whatever is due; how many rows, messages and objects landed."""
        landed = 0
        for topic, timer in self.topics:
            part = self._part(topic.source)
            if part.is_due and (topic.has_news() or timer.is_due):
                step = partial(steps.land_kafka, source_name=topic.source.name, opened=topic.opened)
                landed += _rows(self._landed(part, journal.INGEST_KAFKA, step))
                timer.done()
        for source, timer in self.scheduled:
            part = self._part(source)
            if part.is_due and (timer.is_due or part.failures):
                name, land = (
                    (journal.INGEST_MYSQL, steps.land_mysql)
                    if isinstance(source, MySQLSource)
                    else (journal.INGEST_JSON, steps.land_json)
                )
                landed += _rows(self._landed(part, name, partial(land, source_name=source.name)))
                timer.done()
        return landed

    def _part(self, source: Source) -> Part:
        return self.part_of[source.name + source.kind]

    def _landed(self, part: Part, step_name: str, land: Callable[[Landing], None]) -> journal.Step:
        """A landing step of a part, as it ended."""
        ended = journal.Step("", step_name)

        def try_it() -> None:
            nonlocal ended
            connection = self.held.connection()
            with landing_on(connection, self.ingest_settings, step_name, self.screen, is_patient=False) as work:
                ended = work.step
                land(work)

        self._try(part, try_it)
        return ended

    # Models, gates, portal -------------------------------------------------------------------------------------------

    def _build(self) -> None:
        """Both passes with the registry between them; a registry that fails keeps nobody from the second."""
        began_at = journal.utc_now()
        if not self._try(self.building, partial(self._build_pass, journal.DBT_BEFORE_REGISTRY), is_all=False):
            return
        settings = self.ingest_settings.registry
        if (settings.file or settings.token or settings.dump) and self.registry.is_due:
            most = max(20, round(settings.rate * ASKING_S))
            asking = partial(land_registry, most_inns=most)
            asked = self._landed(self.registry, journal.INGEST_REGISTRY, asking)
            self.has_inns_left = asked.rows_in >= most or self.registry.failures > 0
            if "goes_on_at" in asked.detail:  # the quota of today is spent
                self.registry.rest(QUOTA_S)
        if not self._try(self.building, partial(self._build_pass, journal.DBT_AFTER_REGISTRY)):
            return
        self.is_unbuilt, self.is_unpublished = False, True
        self.built_through = began_at
        self.build_timer.done()
        tidying.keep_an_hours_sizes(self.held.connection())

    def _build_pass(self, step_name: str) -> None:
        project = compiled.project(PROJECT)  # in no time while no file of it has changed
        building.build(self.held.connection(), project, step_name, tell=self.screen.say)

    def _may_push(self) -> bool:
        return self.settings.bitrix24_webhook is not None and self.portal.is_due

    def _push(self) -> Result | None:
        """Through the gates to the portal; None where something is against it."""
        results: list[Result] = []

        def try_it() -> None:
            connection = self.held.connection()
            told, run = PushThatMayEnd(self.service), self.runner.run
            with journal.step(connection, journal.PUBLISH_PUSH) as step:
                results.append(sending.push(connection, self.settings, step, self.pace, told, run=run))

        if not self._try(self.portal, try_it):
            return None
        self.is_unpublished = False
        self.push_timer.done()
        for topic, _ in self.topics:
            lag.published(self.held.connection(), topic.source.name, self.built_through)
        (result,) = results
        if result.dead_letters_now:
            say(f"publish push: {result.dead_letters_now} dead letters: `publish status --details` says why")
        return result

    # All that may fail -----------------------------------------------------------------------------------------------

    def _try(self, part: Part, do: Callable[[], None], *, is_all: bool = True) -> bool:
        """Whether it went well. A part that failed pauses, which is said with what was wrong; one that failed before
        works again when that `is_all` of it."""
        try:
            do()
        except (WarehouseBusy, Stopped):
            self.held.release()
            raise
        except OperatorError as error:
            failure = error
        except (Exception, SystemExit) as error:
            told = storage.told(error, self.settings.warehouse) if isinstance(error, duckdb.Error | OSError) else None
            if told is None:
                traceback.print_tb(error.__traceback__)  # without its text, which may quote a record
            failure = told or OperatorError(
                f"{part.name}: unexpected {type(error).__name__}", hint="the lines above say where"
            )
        else:
            if is_all and part.worked():
                self.has_paused = True
                say(f"{NAME}: {part.name} works again")
            return True
        self.has_paused = True
        self.held.release()
        seconds = part.failed(failure.problem)
        print_error(failure)
        say_aside(f"{NAME}: {part.name} pauses for {seconds:.0f} s, all else goes on")
        return False

    # What people see -------------------------------------------------------------------------------------------------

    def _sign_of_life(self) -> None:
        connection = self.held.connection()
        others = [self.registry, self.building, self.portal]
        pauses.keep(connection, [*self.part_of.values(), *others], self.began_at)
        for topic, _ in self.topics:
            lag.measure(connection, topic.source.name, topic.messages, topic.waiting_since)
        self.has_paused = False
        self.life_timer.done()
        if self.tell_timer.is_due and (self.settings.metrics_file or self.settings.notify_url):
            self.held.release()
            began = time.monotonic()
            after_run.tell(self.settings)
            self.tell_timer.done((time.monotonic() - began) / COPY_SHARE)

    def _copy_when_due(self) -> None:
        if self.is_uncopied and self.copy_timer.is_due and self.settings.warehouse.exists():
            self.held.release()
            began = time.monotonic()
            self.is_uncopied = not copy_for_readers(self.settings)
            self.copy_timer.done((time.monotonic() - began) / COPY_SHARE)

    def _tidy_when_due(self) -> None:
        if self.retention_timer.is_due:
            connection = self.held.connection()
            if not self.ingest_settings.general.since:
                pipeline.say_where_period_begins(connection, moves_period=False)
            for kind in (KafkaSource, MySQLSource, JSONSource):  # one that is no longer read cannot fail
                reads.forget_others(connection, kind.kind, [source.name for source in self._sources(kind)])
            tidying.forget_old_steps(connection)
            self.held.release()
            if self.settings.retention_days:
                self.is_uncopied |= pipeline.let_old_versions_go(self.settings)
            self.retention_timer.done()


def _part_of(source: Source) -> Part:
    return Part(f"{source.name} ({source.kind})")


def _rows(step: journal.Step) -> int:
    """What landed, with those rows of tables that were found to be gone."""
    gone = (told.get("gone", 0) for told in step.detail.values() if isinstance(told, dict))
    return step.rows_out + sum(map(int, gone))


def _line(landed: int, result: Result | None, seconds: float) -> str:
    told = f"{NAME}: {landed:,} landed; "
    if result is None:
        return f"{told}nothing sent; {seconds:.1f} s"
    return (
        f"{told}created {sending.counted(result.created)}; updated {sending.counted(result.updated)}; {seconds:.1f} s"
    )
