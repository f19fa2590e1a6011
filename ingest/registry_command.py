"""What `ingest registry` does, part after part: the tax service's files, the file of verdicts, then the service."""

import logging
from datetime import timedelta

from ingest import registry, registry_file
from ingest.landing import Landing
from ingest.registry_service import Registry
from ingest.settings import RegistrySettings
from ingest.warehouse.errors import OperatorError


def land_registry(work: Landing, most_inns: int | None = None) -> None:
    """Land what is set: new files, then what the service says of the INNs that are left, of so many at the most."""
    logging.getLogger("stamina").setLevel(logging.ERROR)
    settings, step = work.settings.registry, work.step
    if settings.dump:
        land_dumps(work, settings.dump)
    if settings.file:
        with work.going_on():
            landed = registry_file.land_verdict_file(work.connection, settings.file, step)
            what = "loaded before, unchanged" if landed is None else f"{landed} new verdicts landed"
            work.screen.say(f"{settings.file.name}: {what}")
    if settings.token:
        with work.going_on():
            _ask_service(work, settings, settings.token.get_secret_value(), most_inns)
        return
    if not (settings.file or settings.dump):
        step.detail["skipped"] = "SVOD_REGISTRY_TOKEN is not set"
    others = "" if settings.file or settings.dump else ", or SVOD_REGISTRY_FILE or SVOD_REGISTRY_DUMP"
    work.screen.say(
        f"{step.name}: SVOD_REGISTRY_TOKEN is not set, the service is not asked; verdicts held are used, and a "
        f"company without one waits until it is set{others}"
    )


def _ask_service(work: Landing, settings: RegistrySettings, token: str, most_inns: int | None) -> None:
    step, ttl = work.step, timedelta(days=settings.ttl_days)
    landed_before = step.rows_out
    inns = registry.wanted_inns(work.connection, ttl)[:most_inns]
    service = Registry(settings.url, token, settings.rate, lambda text: work.screen.say_aside(f"{step.name}: {text}"))
    with work.screen.progress_of("registry", len(inns)) as advance:
        spent = registry.land_verdicts(work.connection, service, inns, step, advance)
    work.screen.say(f"{step.name}: {step.rows_out - landed_before} of {len(inns)} INNs asked for, verdicts landed")
    if spent:
        next_ones = registry.waiting_inns(work.connection, ttl)
        work.screen.say(
            f"{step.name}: the quota of today is spent; it goes on at {spent.goes_on_at:%Y-%m-%d %H:%M} UTC, next come "
            + ", then ".join(f"{count} INNs ({reason})" for reason, count in next_ones)
        )


def land_dumps(work: Landing, place: str, *, is_all: bool = False, is_again: bool = False) -> None:
    """Land the tax service's files at a path, in a folder or of a pattern; one that is broken keeps no other out."""
    from ingest.registry_dump import Dump, dumps_of, land_dump, wanted_by_models  # and the parser: most runs have none

    dumps: list[Dump] = []
    wanted = None
    with work.going_on():
        dumps = dumps_of(place)
        wanted = None if is_all else wanted_by_models(work.connection)
    unchanged = 0
    for dump in dumps if is_all or wanted is not None else ():
        with work.going_on(), work.screen.progress_of(dump.name, None, "bytes") as advance:
            counts = land_dump(work.connection, dump, wanted, work.step, is_again=is_again, on_progress=advance)
            if counts is None:
                unchanged += 1
                continue
            work.step.detail[dump.place] = counts
            work.screen.say(f"{dump.name}: {counts['companies']} companies, {counts['landed']} new verdicts landed")
            if counts["refused"]:
                raise OperatorError(
                    f"{dump.name} cannot be read in {counts['refused']} places, which raw.dead_letters names",
                    hint="the rest is landed; `make status` says why; the file is read anew once it has changed",
                )
    if unchanged:
        work.screen.say(f"{unchanged} files of the registers: landed before, unchanged")
