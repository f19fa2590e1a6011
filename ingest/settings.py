"""Where the sources are and how to log in: environment variables, or the same names in `.env`."""

import os
import re
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ingest.warehouse.errors import SettingsError

MYSQL_URL_FORM = "mysql://user:password@host:3306/database, with special characters of the password percent-encoded"
TABLE_NAME = re.compile(r"[A-Za-z0-9_$]+(:whole)?")
CHARSET_ENTRY = re.compile(r"[A-Za-z0-9_$]+(\.[A-Za-z0-9_$]+)?=[A-Za-z0-9]+")


@dataclass(frozen=True)
class MySQLAddress:
    """One database on one MySQL or MariaDB server. The password stays out of the `repr`."""

    host: str
    port: int
    user: str
    password: SecretStr
    database: str
    ca_file: str | None = None

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}/{self.database}"

    @classmethod
    def from_url(cls, url: str) -> "MySQLAddress":
        """Take a URL apart. Raises ValueError, without a word of the URL in it, when the form is wrong."""
        parts = urlsplit(url)
        database = parts.path.strip("/")
        if parts.scheme.partition("+")[0] not in {"mysql", "mariadb"} or not (parts.hostname and parts.username):
            raise ValueError("not a MySQL address")
        if not database or "/" in database:
            raise ValueError("names no database")
        return cls(
            host=parts.hostname,
            port=parts.port or 3306,
            user=unquote(parts.username),
            password=SecretStr(unquote(parts.password or "")),
            database=unquote(database),
            ca_file=parse_qs(parts.query).get("ssl_ca", [None])[0],
        )


class Settings(BaseSettings):
    """Everything `ingest` is told from outside; read once, then passed in. An empty variable counts as unset."""

    model_config = SettingsConfigDict(
        env_prefix="SVOD_",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    warehouse: Path = Path("warehouse/svod.duckdb")
    since: date = Field(default_factory=lambda: date(date.today().year - 1, 1, 1))

    shop_a_url: SecretStr | None = None
    shop_a_tables: Annotated[tuple[str, ...], NoDecode] = ("clients:whole", "client_contacts:whole", "orders")
    shop_a_charsets: Annotated[dict[str, str], NoDecode] = {}
    shop_a_changed_column: str = Field("updated_at", pattern=r"^[A-Za-z0-9_$]+$")
    shop_a_overlap_minutes: int = Field(10, ge=0)

    shop_b_files: str | None = None
    shop_b_array: str = Field("companies.item", pattern=r"^([^.]+\.)*item$")
    shop_b_charset: Literal["auto", "utf-8", "cp1251"] = "auto"
    shop_b_kafka: str | None = Field(None, pattern=r"^[^\s,:/]+:\d+(,[^\s,:/]+:\d+)*$")
    shop_b_kafka_topic: str = "shop-b.companies"

    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_user: str | None = None
    kafka_password: SecretStr | None = None
    kafka_ca_file: Path | None = None
    kafka_api_version: str | None = Field(None, pattern=r"^\d+(\.\d+)+$")

    registry_file: Path | None = None
    registry_url: str = Field("https://suggestions.dadata.ru", pattern=r"^https?://\S+$")
    registry_token: SecretStr | None = None
    registry_rate: float = Field(30, gt=0)
    registry_ttl_days: int = Field(30, ge=0)

    @field_validator("shop_a_url")
    @classmethod
    def _mysql_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            MySQLAddress.from_url(url.get_secret_value())
        return url

    @field_validator("shop_a_tables", mode="before")
    @classmethod
    def _table_list(cls, text: object) -> object:
        names = tuple(name.strip() for name in text.split(",") if name.strip()) if isinstance(text, str) else text
        if not names or not all(TABLE_NAME.fullmatch(name) for name in names):
            raise ValueError("not a list of tables")
        return names

    @field_validator("shop_a_charsets", mode="before")
    @classmethod
    def _charset_map(cls, text: object) -> object:
        if not isinstance(text, str):
            return text
        entries = [entry.strip() for entry in text.split(",") if entry.strip()]
        if not all(CHARSET_ENTRY.fullmatch(entry) for entry in entries):
            raise ValueError("not a list of charsets")
        return dict(entry.split("=") for entry in entries)

    @cached_property
    def shop_a(self) -> MySQLAddress | None:
        """Shop A's server, None when the source is not set."""
        return MySQLAddress.from_url(self.shop_a_url.get_secret_value()) if self.shop_a_url else None

    @property
    def since_at(self) -> datetime:
        """Midnight of `since`, in the source's own local time."""
        return datetime.combine(self.since, datetime.min.time())


FORMS = {
    "since": "a date like 2025-01-01",
    "shop_a_url": MYSQL_URL_FORM,
    "shop_a_tables": "clients:whole,orders (`:whole` = full runs take the table whole, not only since SVOD_SINCE)",
    "shop_a_charsets": "table=cp1251 or table.column=cp1251, separated by commas",
    "shop_a_changed_column": "a column name",
    "shop_a_overlap_minutes": "a whole number of minutes, 0 or more",
    "shop_b_array": "the path of the array with .item at its end, like companies.item",
    "shop_b_charset": "auto, utf-8 or cp1251",
    "shop_b_kafka": "host:port, or host:port,host:port",
    "kafka_security_protocol": "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL",
    "kafka_sasl_mechanism": "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
    "kafka_api_version": "like 2.0",
    "registry_url": "https://host",
    "registry_rate": "requests per second, more than 0",
    "registry_ttl_days": "a whole number of days, 0 or more",
}


def read_settings() -> Settings:
    """Read the settings from the environment and from SVOD_ENV_FILE (`.env` in the current directory unless set).

    Raises SettingsError that names the first wrong variable and the expected form, never its value.
    """
    try:
        return Settings(_env_file=os.environ.get("SVOD_ENV_FILE", ".env"))
    except ValidationError as error:
        name = str(error.errors(include_input=False)[0]["loc"][0])
    raise SettingsError(f"SVOD_{name.upper()} is not usable", hint=f"expected: {FORMS.get(name, 'a path')}")
