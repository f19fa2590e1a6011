"""Settings that name fields and statuses, checked against what there is, with the nearest right name as the hint."""

from collections.abc import Iterable

import duckdb

from ingest.warehouse.errors import SettingsError, all_of
from ingest.warehouse.variables import known_names_hint
from publish.parts import Part
from publish.settings import Settings


def check_fields(settings: Settings, parts: Iterable[Part]) -> None:
    """Raise SettingsError for each field of SVOD_FIELD_OWNERS that no part has."""
    wrong = []
    fields = {part.entity: [field.name for field in part.fields] for part in parts}
    for name in settings.field_owners:
        entity, _, field = name.partition(".")
        if entity not in fields:
            problem, hint = f"there is no kind {entity}", known_names_hint(entity, (e for e, f in fields.items() if f))
        elif field not in fields[entity]:
            problem, hint = f"{entity} has no field {field}", known_names_hint(field, fields[entity])
        else:
            continue
        wrong.append(SettingsError(f"SVOD_FIELD_OWNERS: {problem}", hint=hint))
    if wrong:
        raise all_of(wrong)


def check_known(settings: Settings, connection: duckdb.DuckDBPyConnection, parts: Iterable[Part]) -> None:
    """Raise SettingsError for each source of SVOD_SOURCE_NAMES that was never read, where any was, and for each status
    of SVOD_DEAL_STAGES that the models do not know. The marts must be there; the stages are the portal's, and checked
    when it is asked for them."""
    read = connection.execute("select source from ops.source_reads union select source from ops.unset_sources")
    sources = [source for (source,) in read.fetchall()]
    wrong = [
        SettingsError(f"SVOD_SOURCE_NAMES: there is no source {name}", hint=known_names_hint(name, sources))
        for name in settings.source_names
        if sources and name not in sources
    ]
    for part in parts:
        for field in part.fields:
            chosen = settings.stages_of(part.entity)
            if not chosen or not field.choices or not field.choices.mart:
                continue
            known = connection.execute(f"select distinct status from {field.choices.mart}").fetchall()
            statuses = [status for (status,) in known]
            for status in chosen:
                if status not in statuses:
                    problem = f"SVOD_{part.entity.upper()}_STAGES: no {part.entity} has the status {status}"
                    wrong.append(SettingsError(problem, hint=known_names_hint(status, statuses)))
    if wrong:
        raise all_of(wrong)
