"""The names of all settings, of whichever program: what begins with SVOD_ and is not here is a slip of the pen.

`ingest` may not import `publish`, and neither may know what dbt reads, so the names are a plain list. A test compares
it with the settings classes of both programs, with `env_var` of the models and with .env.example.
"""

import os
import re
from collections.abc import Iterable
from difflib import get_close_matches

from ingest.warehouse import private
from ingest.warehouse.environment import PREFIX, env_file, said_in_file
from ingest.warehouse.errors import SettingsError, all_of
from ingest.warehouse.terminal import WARNED, warn_once

SETTINGS = frozenset(
    {
        f"{PREFIX}WAREHOUSE",
        f"{PREFIX}SINCE",
        f"{PREFIX}MART_CHANGE_LIMIT",
        f"{PREFIX}SOURCE_MAX_AGE_HOURS",
        f"{PREFIX}REGISTRY_FILE",
        f"{PREFIX}REGISTRY_DUMP",
        f"{PREFIX}REGISTRY_URL",
        f"{PREFIX}REGISTRY_TOKEN",
        f"{PREFIX}REGISTRY_SECRET",
        f"{PREFIX}REGISTRY_RATE",
        f"{PREFIX}REGISTRY_TTL_DAYS",
        f"{PREFIX}KAFKA_SECURITY_PROTOCOL",
        f"{PREFIX}KAFKA_SASL_MECHANISM",
        f"{PREFIX}KAFKA_USER",
        f"{PREFIX}KAFKA_PASSWORD",
        f"{PREFIX}KAFKA_CA_FILE",
        f"{PREFIX}KAFKA_CERTIFICATE_FILE",
        f"{PREFIX}KAFKA_KEY_FILE",
        f"{PREFIX}KAFKA_KEY_PASSWORD",
        f"{PREFIX}KAFKA_API_VERSION",
        f"{PREFIX}BITRIX24_WEBHOOK",
        f"{PREFIX}BITRIX24_RATE",
        f"{PREFIX}BITRIX24_BURST",
        f"{PREFIX}BITRIX24_OPERATING",
        f"{PREFIX}BITRIX24_REQUEST_LIMIT",
        f"{PREFIX}BITRIX24_MERGE_CARDS",
        # The portals of a move, by their full names: other names that end like these are slips of the pen.
        f"{PREFIX}CLOUD_WEBHOOK",
        f"{PREFIX}CLOUD_RATE",
        f"{PREFIX}BOX_WEBHOOK",
        f"{PREFIX}BOX_RATE",
        f"{PREFIX}FOLLOW_RECONCILE_HOURS",
        f"{PREFIX}FOLLOW_SHOP_A_MINUTES",
        f"{PREFIX}FIELD_OWNERS",
        f"{PREFIX}CRM_LANG",
        f"{PREFIX}DEAL_DEPARTED_STAGE",
        f"{PREFIX}DEAL_PIPELINE",
        f"{PREFIX}DEAL_STAGES",
        f"{PREFIX}FUSE_SHARE",
        f"{PREFIX}INN_FIELD",
        f"{PREFIX}INSPECT_MASK",
        f"{PREFIX}FUSE_FLOOR",
        f"{PREFIX}LAG_LIMIT_SECONDS",
        f"{PREFIX}LANG",
        f"{PREFIX}LOG_TIMES",
        f"{PREFIX}METRICS_FILE",
        f"{PREFIX}NOTIFY_URL",
        f"{PREFIX}PUBLISH_MAX_AGE_HOURS",
        f"{PREFIX}MACHINE",
        f"{PREFIX}READERS_GROUP",
        f"{PREFIX}FORGET_KEY",
        f"{PREFIX}RESPONSIBLE",
        f"{PREFIX}RETENTION_DAYS",
        f"{PREFIX}ALLOW_HTTP",
        f"{PREFIX}SOURCE_NAMES",
        f"{PREFIX}TODOS",
        f"{PREFIX}TODOS_A_DAY",
        f"{PREFIX}TRANSFER_BACKUP_LINKS",
        f"{PREFIX}TRANSFER_BACKUP_STREAMS",
        f"{PREFIX}TRANSFER_DELETIONS",
        f"{PREFIX}TRANSFER_ENTITIES",
        f"{PREFIX}TRANSFER_FILE_MB",
        f"{PREFIX}TRANSFER_PARTS",
        f"{PREFIX}TRANSFER_USERS",
        f"{PREFIX}TRANSFER_FALLBACK_USER",
        f"{PREFIX}TRANSFER_WINNER",
    }
)
# Not for .env: which file that is, and what `make` and the tests tell the programs.
OF_THE_CALLER = frozenset({f"{PREFIX}ENV_FILE", f"{PREFIX}RUN_ID", WARNED})
_OF_THE_TESTS = f"{PREFIX}TEST_"
# What a source may be told, after its own name: a program that does not know the sources takes any name before these.
SOURCE_FIELDS = ("URL", "TABLES", "CHANGED_COLUMN", "OVERLAP_MINUTES", "RECONCILE_HOURS", "CHARSETS", "FILES", "ARRAY",
                 "CHARSET", "KAFKA", "KAFKA_TOPIC", "CA_FILE")  # fmt: skip
_OF_A_SOURCE = re.compile(f"{PREFIX}[A-Z0-9_]+_({'|'.join(SOURCE_FIELDS)})")
_MOST_LISTED = 12


def refuse_unknown(of_sources: Iterable[str] | None = None) -> None:
    """Raise SettingsError for each SVOD_ name, of the environment or of the file, that no program reads; warn of a
    file that everybody can read.

    `of_sources` are the variables of the sources; whoever does not know these lets everything pass that looks like one.
    """
    variables = None if of_sources is None else frozenset(of_sources)
    known = SETTINGS | OF_THE_CALLER | (variables or frozenset())
    file = env_file()
    if private.is_open_to_others(file):
        warn_once(f"everybody on this machine can read {file}, which has passwords in it: chmod 600 {file}")
    unknown = []
    for place, names in (("the environment", os.environ), (str(file), said_in_file())):
        for name in names:
            wanted = name.upper()  # settings are read whatever their case is
            if not wanted.startswith(PREFIX) or wanted in known or wanted.startswith(_OF_THE_TESTS):
                continue
            if variables is None and _OF_A_SOURCE.fullmatch(wanted):
                continue
            short = wanted.removeprefix(PREFIX)
            of_portal = f"BITRIX24_{short}"  # SVOD_WEBHOOK is like those of a move too, and is seldom one of these
            alike = of_portal if PREFIX + of_portal in known else most_alike(short, map(_without_prefix, known))
            hint = f"did you mean {PREFIX}{alike}?" if alike else "see .env.example for every setting"
            unknown.append(SettingsError(f"{name}, set in {place}, is no setting", hint=hint))
    if unknown:
        raise all_of(unknown)


def _without_prefix(name: str) -> str:
    return name.removeprefix(PREFIX)


def most_alike(name: str, known: Iterable[str]) -> str:
    """The known name that this one was most likely meant to be, whatever its case; '' when none is like it."""
    by_folded = {other.casefold(): other for other in sorted(known)}
    return next((by_folded[folded] for folded in get_close_matches(name.casefold(), by_folded, n=1)), "")


def known_names_hint(name: str, known: Iterable[str]) -> str:
    """A hint for a name that is not there: the one most like it, else those that are."""
    names = sorted(known)
    if alike := most_alike(name, names):
        return f"did you mean {alike}?"
    listed = ", ".join([*names[:_MOST_LISTED], *(["…"] if len(names) > _MOST_LISTED else [])])
    return f"there {'is' if len(names) == 1 else 'are'} {listed or 'none'}"
