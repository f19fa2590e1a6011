"""Kinds of sources: what has to be known of a MySQL server, JSON files, a Kafka topic, a portal. None by its name."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import BeforeValidator, Field, PrivateAttr, SecretStr, field_validator
from pydantic_settings import NoDecode, PydanticBaseSettingsSource

from ingest.bitrix24.webhook import FORM, has_its_form, portal_of
from ingest.warehouse.environment import PREFIX, EnvironmentSettings
from ingest.warehouse.errors import SettingsError
from ingest.warehouse.variables import known_names_hint

TABLE_ENTRY = re.compile(r"[A-Za-z0-9_$]+(:whole)?")
CHARSET_ENTRY = re.compile(r"[A-Za-z0-9_$]+(\.[A-Za-z0-9_$]+)?=[A-Za-z0-9]+")


class Source(EnvironmentSettings):
    """A source under its name. What its declaration says holds unless its variables, SVOD_<NAME>_…, say otherwise."""

    kind: ClassVar[str]
    place_field: ClassVar[str]  # a source whose place is not set is skipped
    _name: str = PrivateAttr()

    def __init__(self, name: str, **values: Any) -> None:
        super().__init__(**{"_env_prefix": prefix_of(name), **values})
        self._name = name

    @classmethod
    def settings_customise_sources(cls, *_: Any, **sources: Any) -> tuple[PydanticBaseSettingsSource, ...]:
        """What was declared comes last."""
        return sources["env_settings"], sources["dotenv_settings"], sources["init_settings"]

    @property
    def name(self) -> str:
        """What its tables, watermarks and variables begin with."""
        return self._name

    @property
    def is_set(self) -> bool:
        """Whether it is known where the source is."""
        return getattr(self, self.place_field) is not None

    def variable(self, field: str) -> str:
        """The environment variable of a field."""
        return f"{prefix_of(self.name)}{field.upper()}"


SourceT = TypeVar("SourceT", bound=Source)


def prefix_of(source_name: str) -> str:
    """What the environment variables of a source begin with."""
    return f"{PREFIX}{source_name.upper()}_"


def table_list(text: object) -> object:
    """`clients:whole,orders` as table -> whether full runs take it whole."""
    if not isinstance(text, str):
        return text
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    if not entries or not all(TABLE_ENTRY.fullmatch(entry) for entry in entries):
        raise ValueError("not a list of tables")
    return {entry.removesuffix(":whole"): entry.endswith(":whole") for entry in entries}


def charset_list(text: object) -> object:
    """`clients=cp1251,orders.number=cp1251` as table, or table.column -> charset."""
    if not isinstance(text, str):
        return text
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    if not all(CHARSET_ENTRY.fullmatch(entry) for entry in entries):
        raise ValueError("not a list of charsets")
    return dict(entry.split("=") for entry in entries)


class RelationalSource(Source):
    """Tables of a relational server: those that land, and how a row that changed is told."""

    tables: Annotated[dict[str, bool], NoDecode, BeforeValidator(table_list)] = Field(
        {}, description="clients:whole,orders (`:whole` = full runs take the table whole, not only since SVOD_SINCE)"
    )
    charsets: Annotated[dict[str, str], NoDecode, BeforeValidator(charset_list)] = Field(
        {}, description="table=cp1251 or table.column=cp1251, separated by commas"
    )
    changed_column: str = Field("updated_at", pattern=r"^[A-Za-z0-9_$]+$", description="a column name")
    overlap_minutes: int = Field(10, ge=0, description="a whole number of minutes, 0 or more")
    reconcile_hours: int = Field(24, ge=0, description="a whole number of hours, 0 for never")

    def check_charsets(self, tables: Iterable[str]) -> None:
        """Raise SettingsError for a charset of a table that is not among these."""
        known = list(tables)
        for entry in self.charsets:
            table = entry.partition(".")[0]
            if table not in known:
                problem = f"{self.variable('charsets')}: table {table} is not among those that land"
                raise SettingsError(problem, hint=known_names_hint(table, known))


@dataclass(frozen=True)
class MySQLAddress:
    """One database on one MySQL or MariaDB server. The password stays out of the `repr`."""

    host: str
    port: int
    user: str
    password: SecretStr
    database: str

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}/{self.database}"

    @classmethod
    def from_url(cls, url: str) -> "MySQLAddress":
        """Take a URL apart. Raises ValueError, which is not for printing, when the form is wrong."""
        parts = urlsplit(url)
        database = parts.path.strip("/")
        is_mysql = parts.scheme.partition("+")[0] in {"mysql", "mariadb"}
        # A slash, a # or a ? of a password that was not encoded ends up behind the host.
        is_whole = not (set("/@") & set(database) or parts.query or parts.fragment)
        if not (is_mysql and parts.hostname and parts.username and database and is_whole):
            raise ValueError("not a MySQL address")
        return cls(
            host=parts.hostname,
            port=parts.port or 3306,
            user=unquote(parts.username, errors="strict"),
            password=SecretStr(unquote(parts.password or "", errors="strict")),
            database=unquote(database, errors="strict"),
        )


class MySQLSource(RelationalSource):
    """Tables of a MySQL or MariaDB database."""

    kind = "MySQL"
    place_field = "url"
    url: SecretStr | None = Field(
        None,
        description="mysql://user:password@host:3306/database, with special characters of the password percent-encoded",
    )
    # Set, the server has to offer TLS, with a certificate that these CAs vouch for, made out to the host.
    ca_file: Path | None = Field(None, description="a path")

    @field_validator("url")
    @classmethod
    def _is_mysql_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            MySQLAddress.from_url(url.get_secret_value())
        return url

    @cached_property
    def address(self) -> MySQLAddress:
        """The database. Raises SettingsError when the source is not set."""
        if self.url is None:
            raise SettingsError(f"{self.variable('url')} is not set", hint="see .env.example")
        return MySQLAddress.from_url(self.url.get_secret_value())


class JSONSource(Source):
    """Files of one JSON document each, whose array of companies lands object by object."""

    kind = "JSON"
    place_field = "files"
    files: str | None = Field(None, description="a path or a pattern like data/history-*.json*")
    array: str = Field(
        "item",
        pattern=r"^([^.]+\.)*item$",
        description="the path of the array with .item at its end, like companies.item",
    )
    charset: Literal["auto", "utf-8", "cp1251"] = Field("auto", description="auto, utf-8 or cp1251")


class KafkaSource(Source):
    """A topic of company events. How to log in to its brokers is in KafkaLogin."""

    kind = "Kafka"
    place_field = "kafka"
    kafka: str | None = Field(  # bootstrap servers
        None, pattern=r"^[^\s,:/]+:\d+(,[^\s,:/]+:\d+)*$", description="host:port, or host:port,host:port"
    )
    kafka_topic: str = Field("", description="the name of a topic")

    @property
    def brokers(self) -> list[str]:
        """Bootstrap servers as host:port; none when the source is not set."""
        return self.kafka.split(",") if self.kafka else []


class PortalSource(Source):
    """A Bitrix24 portal that is read whole, through the webhook of an administrator."""

    kind = "Bitrix24"
    place_field = "webhook"
    webhook: SecretStr | None = Field(None, description=FORM)
    rate: float = Field(2, ge=0, description="requests per second, 0 for no limit")

    @field_validator("webhook")
    @classmethod
    def _is_webhook(cls, webhook: SecretStr | None) -> SecretStr | None:
        if webhook is not None and not has_its_form(webhook.get_secret_value()):
            raise ValueError("not a webhook")
        return webhook

    @property
    def address(self) -> SecretStr:
        """The webhook. Raises SettingsError when the source is not set."""
        if self.webhook is None:
            raise SettingsError(
                f"{self.variable('webhook')} is not set",
                hint="create an inbound webhook of an administrator with the rights crm, user and bizproc",
            )
        return self.webhook

    @property
    def portal(self) -> str:
        """The portal's name, `host` or `host:port`. Raises SettingsError when the source is not set."""
        return portal_of(self.address.get_secret_value())


class KafkaLogin(EnvironmentSettings):
    """How to log in to the brokers: SVOD_KAFKA_…"""

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"
    )
    user: str | None = None
    password: SecretStr | None = None
    ca_file: Path | None = Field(None, description="a path")
    certificate_file: Path | None = Field(None, description="a path")  # the client's own, and its key
    key_file: Path | None = Field(None, description="a path")
    key_password: SecretStr | None = None
    api_version: str | None = Field(None, pattern=r"^\d+(\.\d+)+$", description="like 2.0")

    @property
    def has_password(self) -> bool:
        """Whether brokers ask for user and password."""
        return "SASL" in self.security_protocol
