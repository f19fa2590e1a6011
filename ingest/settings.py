"""The sources, declared, and what `ingest` is told of them: environment variables, or the same names in `.env`."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, SecretStr, field_validator

from ingest.sources import (
    JSONSource,
    KafkaLogin,
    KafkaSource,
    MySQLSource,
    PortalSource,
    RelationalSource,
    Source,
    SourceT,
    prefix_of,
)
from ingest.warehouse import variables
from ingest.warehouse.environment import (
    PREFIX,
    Day,
    EnvironmentSettings,
    env_file,
    read_all,
    read_environment,
    refuse_plain_http,
)
from ingest.warehouse.errors import SettingsError
from ingest.warehouse.period import MOSCOW
from ingest.warehouse.place import WarehousePath
from ingest.warehouse.variables import known_names_hint


class Declaration(NamedTuple):
    """A source's name and kind, and what is known of it before any variable is read."""

    name: str
    kind: type[Source]
    values: dict[str, Any]


def declare(name: str, kind: type[Source], **values: Any) -> Declaration:
    """A source of a kind; its variables are SVOD_<NAME>_<FIELD>, its raw tables raw.<name>__…"""
    return Declaration(name, kind, values)


# One line a source. One more of a kind that is here needs no more than a line: `declare("shop_c", MySQLSource)`.
DECLARATIONS = (
    declare("shop_a", MySQLSource, tables="clients:whole,client_contacts:whole,orders"),
    declare("shop_b", JSONSource, array="companies.item"),
    declare("shop_b", KafkaSource, kafka_topic="shop-b.companies"),
    declare("cloud", PortalSource),  # a company moves from it
    declare("box", PortalSource, rate=0),  # to its own server
)


class RegistrySettings(EnvironmentSettings):
    """Where verdicts on companies come from: SVOD_REGISTRY_…"""

    file: Path | None = Field(None, description="a path")
    dump: str | None = Field(None, description="a path, a folder or a pattern like data/EGRUL_*.zip")
    url: str = Field("https://suggestions.dadata.ru", pattern=r"^https?://\S+$", description="https://host")
    token: SecretStr | None = Field(None, description="the key as its owner's page shows it, without spaces")
    secret: SecretStr | None = None  # DaData's second key: `make check` tells what is left of today
    rate: float = Field(30, gt=0, description="requests per second, more than 0")
    ttl_days: int = Field(30, ge=0, description="a whole number of days, 0 or more")

    @field_validator("token", "secret")
    @classmethod
    def _fits_a_header(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and not re.fullmatch(r"[!-~]+", token.get_secret_value()):
            raise ValueError("not a key")
        return token


class TransferSettings(EnvironmentSettings):
    """The move from a cloud portal to one's own server: SVOD_TRANSFER_…"""

    backup_links: Path | None = Field(None, description="a path")
    backup_streams: int = Field(4, ge=1, le=16, description="a whole number from 1 to 16")  # parts fetched at once
    parts: Path | None = Field(None, description="a path")  # unset: transfer/parts beside the warehouse
    file_mb: float = Field(50, ge=0, description="a number")  # larger files of records are not moved; 0: none is


class General(EnvironmentSettings):
    """What belongs to no source: SVOD_…"""

    warehouse: WarehousePath = Path("warehouse/svod.duckdb")
    readers_group: str = ""  # who may read the copy that readers use; '': whoever may read the warehouse
    inspect_mask: bool = False  # nobody's names, phones and e-mails in the copy that people look into
    allow_http: bool = False  # a registry on another machine in clear text
    log_times: bool | None = None  # lines begin with time and run; None: where they go into a file
    since: Day | None = Field(None, description="a date like 2025-01-01, not in the future")  # unset: ops.period

    @field_validator("since")
    @classmethod
    def _has_begun(cls, value: date | None) -> date | None:
        if value is not None and value > datetime.now(MOSCOW).date():
            raise ValueError("is in the future")
        return value


@dataclass(frozen=True)
class Settings:
    """Everything `ingest` is told from outside; read once, then passed in."""

    general: General
    registry: RegistrySettings
    kafka_login: KafkaLogin
    sources: tuple[Source, ...]
    transfer: TransferSettings

    @property
    def is_any_source_set(self) -> bool:
        """Whether a run has anything to read; portals are read for a move alone."""
        return any(source.is_set for source in self.sources if not isinstance(source, PortalSource))

    def no_source(self) -> SettingsError:
        """That it has not, with the settings that would be one."""
        names = [source.variable(source.place_field) for source in self.sources if not isinstance(source, PortalSource)]
        return SettingsError(
            f"no source is set: a run has nothing to read ({', '.join(names)})",
            hint=f"is {env_file()} the file that was meant? .env.example has all settings",
        )

    @property
    def parts_folder(self) -> Path:
        """Where the parts of a backup are."""
        return self.transfer.parts or self.general.warehouse.parent / "transfer" / "parts"

    @property
    def files_folder(self) -> Path:
        """Where files of records wait to be sent."""
        return self.general.warehouse.parent / "transfer" / "files"

    def sources_of(self, kind: type[SourceT]) -> Iterator[SourceT]:
        """The sources of a kind in the order of their declarations."""
        return (source for source in self.sources if isinstance(source, kind))

    def comparing_every(self, hours: int | None) -> "Settings":
        """The same, with tables compared with their servers after so many hours; None: as each source says."""
        if hours is None:
            return self
        change = {"reconcile_hours": hours}
        sources = (
            source.model_copy(update=change) if isinstance(source, RelationalSource) else source
            for source in self.sources
        )
        return replace(self, sources=tuple(sources))


def portals_of(settings: Settings, names: Collection[str] | None) -> list[PortalSource]:
    """The portals of these names, or all that are set. Raises SettingsError when there is none, when one that is named
    is not set, or when two are one portal: what is read there would be compared with itself."""
    declared = {source.name: source for source in settings.sources_of(PortalSource)}
    for name in names or ():
        if name not in declared:
            raise SettingsError(f"there is no portal {name}", hint=known_names_hint(name, declared))
    chosen = [source for name, source in declared.items() if name in (names or declared)]
    there = [source for source in chosen if names or source.is_set]
    if not there:
        variables_of = " nor ".join(source.variable("webhook") for source in chosen)
        raise SettingsError(f"neither {variables_of} is set", hint="see .env.example")
    by_portal: dict[str, PortalSource] = {}
    for source in declared.values():
        if source.is_set and not settings.general.allow_http:
            refuse_plain_http(source.variable("webhook"), source.address.get_secret_value())
        if source.is_set and (other := by_portal.setdefault(source.portal, source)) is not source:
            ours, theirs = source.variable("webhook"), other.variable("webhook")
            raise SettingsError(f"{theirs} and {ours} name one portal", hint="a company moves from one to another")
    return there


def read_settings() -> Settings:
    """Read every setting. Raises SettingsError that names all wrong and unknown variables, never a value."""
    of_sources = [f"{prefix_of(name)}{field.upper()}" for name, kind, _ in DECLARATIONS for field in kind.model_fields]
    _, general, registry, kafka_login, transfer, *sources = read_all(
        partial(variables.refuse_unknown, of_sources),
        partial(read_environment, General),
        partial(read_environment, RegistrySettings, f"{PREFIX}REGISTRY_"),
        partial(read_environment, KafkaLogin, f"{PREFIX}KAFKA_"),
        partial(read_environment, TransferSettings, f"{PREFIX}TRANSFER_"),
        *(partial(read_environment, kind, prefix_of(name), name=name, **values) for name, kind, values in DECLARATIONS),
    )
    if not general.allow_http:
        refuse_plain_http(f"{PREFIX}REGISTRY_URL", registry.url)
    return Settings(general, registry, kafka_login, tuple(sources), transfer)
