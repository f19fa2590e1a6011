"""What the commands that land sources do, each on a landing step: callable from a process that goes on after it."""

import gc
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.landing import Landing
from ingest.sources import JSONSource, KafkaSource, MySQLSource, RelationalSource
from ingest.warehouse.errors import SettingsError
from ingest.warehouse.terminal import warn_once

if TYPE_CHECKING:
    from ingest.json_file import JSONFile
    from ingest.kafka_topic import Topic
    from ingest.relational import Server

# Each step imports its own source only: kafka's client takes as long to import as everything else together.


def land_mysql(
    work: Landing,
    source_name: str | None = None,
    tables: Sequence[str] = (),
    *,
    is_full: bool = False,
    is_compared: bool = False,
) -> None:
    """Tables of MySQL sources: what changed since the last run, or everything."""
    from ingest import mysql

    sources = work.sources_of(MySQLSource, source_name, only_one=bool(tables))
    for source in sources:
        with work.going_on(source), mysql.connect(source) as server:
            land_tables(work, server, source, tables, is_full=is_full, is_compared=is_compared)
    if sources:
        step = work.step
        work.screen.say(f"{step.name}: {step.rows_out} of {step.rows_in} rows read were new and are landed")


def land_tables(
    work: Landing,
    server: "Server",
    source: RelationalSource,
    tables: Sequence[str],
    *,
    is_full: bool,
    is_compared: bool,
) -> None:
    """Land the tables named, or all of a source; compare them with the server when that is due, or when it or a table
    has changed. Raises OperatorError when no table is known."""
    from ingest.reconciliation import changes_of, is_due, reconcile
    from ingest.relational import Table, land_table

    if not tables and not source.tables:
        raise SettingsError(f"{source.variable('tables')} is not set", hint="see .env.example")
    source.check_charsets([*tables, *source.tables])
    screen = work.screen
    changed_server = changes_of(work.connection, source.name, "", server.identity())
    if changed_server:
        screen.say(f"warning: the server of {source.name} is not the one of before: {'; '.join(changed_server)}")
    for name in tables or source.tables:
        table = Table(server, source, name)
        with screen.progress_of(table.place) as advance:
            is_whole = source.tables.get(name, False)
            since = None if is_whole else work.since_at
            read, landed = land_table(
                work.connection,
                table,
                work.step,
                since=since,
                is_full=is_full,
                on_progress=advance,
                on_wait=screen.say_aside,
                is_patient=work.is_patient,
            )
        detail = work.step.detail[table.place] = {"read": read, "landed": landed}
        screen.say(f"{table.place}: {read} rows read, {landed} landed")
        columns = {column.name: column.declared_type for column in table.columns}
        changed = changes_of(work.connection, source.name, table.name, columns)
        if changed:
            screen.say(f"warning: {table.place}: columns have changed: {'; '.join(changed)}")
        if is_compared or changed or changed_server or is_due(work.connection, table):
            outcome = reconcile(
                work.connection,
                table,
                work.step,
                since=since,
                may_lose_most=is_compared,
                on_wait=screen.say_aside,
                is_patient=work.is_patient,
            )
            detail |= {"found": outcome.rows_landed, "gone": outcome.rows_gone}
            screen.say(
                f"{table.place}: compared with the server, {outcome.rows_landed} rows found, {outcome.rows_gone} gone"
            )
        for note in table.notes():
            screen.say(f"warning: {note}")


def land_json(
    work: Landing, source_name: str | None = None, files: Sequence[Path] = (), *, is_full: bool = False
) -> None:
    """JSON files of companies, object by object; files that are landed already are skipped."""
    from ingest.json_file import JSONFile, files_of, names_of

    gc.set_threshold(100_000)  # parsing makes millions of containers and no cycles: looking for some took a fifth of it
    sources = work.sources_of(JSONSource, source_name, only_one=bool(files), also_unset=bool(files))
    for source in sources:
        with work.going_on(source):
            paths = files or files_of(source)
            for path, name in zip(paths, names_of(paths), strict=True):
                land_file(work, JSONFile(path, name, source), is_full=is_full)
    if sources:
        work.screen.say(f"{work.step.name}: {work.step.rows_out} objects landed")


def land_file(work: Landing, file: "JSONFile", *, is_full: bool) -> None:
    """Land one file; one that is missing or broken is told of at the end of the step."""
    from ingest.json_file import land_json_file

    landed_before = work.step.rows_out
    detail: dict[str, Any] = work.step.detail.setdefault(file.place, {})
    with work.going_on(file.source, detail), work.screen.progress_of(file.name, file.size(), "bytes") as advance:
        land_json_file(work.connection, file, work.step, is_full=is_full, on_progress=advance)
    landed = work.step.rows_out - landed_before
    detail |= {"landed": landed, "warnings": file.warnings}
    for warning in file.warnings:
        work.screen.say(f"warning: {warning}")
    if file.is_read or "error" not in detail:
        work.screen.say(
            f"{file.place}: {landed} objects landed" + ("" if file.is_read else " (landed before, unchanged)")
        )


def open_topic(work: Landing, source: KafkaSource) -> "AbstractContextManager[Topic]":
    """Connect to a topic for as long as it is read."""
    from ingest.kafka_topic import Topic

    return closing(Topic(source, work.settings.kafka_login))


def land_kafka(
    work: Landing,
    source_name: str | None = None,
    opened: "Callable[[Landing, KafkaSource], AbstractContextManager[Topic]]" = open_topic,
) -> None:
    """Topics of company events from the stored offsets to their present ends."""
    from ingest.kafka import land_topic

    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what matters of it comes as an error, in one line
    sources = work.sources_of(KafkaSource, source_name)
    if sources and work.settings.kafka_login.security_protocol == "SASL_PLAINTEXT":
        warn_once("SVOD_KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT sends password and data in clear text: use SASL_SSL")
    for source in sources:
        with (
            work.going_on(source),
            opened(work, source) as topic,
            work.screen.progress_of(topic.name) as advance,
        ):
            land_topic(work.connection, topic, work.step, on_progress=advance)
    if sources:
        refused = work.step.rows_in - work.step.rows_out
        dead_lettered = f", {refused} refused as dead letters: `ingest status` says why" if refused else ""
        work.screen.say(f"{work.step.name}: {work.step.rows_out} messages landed{dead_lettered}")
