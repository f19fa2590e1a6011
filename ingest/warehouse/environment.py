"""Reads the settings of all programs from the environment and from `.env`; says in one line what is wrong there."""

import ipaddress
import os
import re
from collections.abc import Callable, Collection
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import BeforeValidator, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from ingest.warehouse.errors import SettingsError, all_of

PREFIX = "SVOD_"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SETTING_INSIDE = re.compile(rf"^\s*(export\s+)?{PREFIX}\w+\s*=", re.MULTILINE)  # swallowed by a quote

_IN_OUR_WORDS = (  # what pydantic says
    (re.compile(r"^Input should be a valid (number|integer|boolean)\b.*"), r"has to be a \1"),
    (re.compile(r"^Input should be "), "has to be "),
    (re.compile(r"\ba integer"), "a whole number"),
    (re.compile(r"\ba boolean"), "true or false"),
)


class EnvironmentSettings(BaseSettings):
    """Frozen; an empty variable counts as unset; the description of a field is the form expected of its variable."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True)


SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def _written_as_a_day(value: object) -> object:
    """Pydantic would take a number of seconds too, and a moment at midnight; the models read the same text as a day."""
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise ValueError("not a date")
    return value


Day = Annotated[date, BeforeValidator(_written_as_a_day)]  # 2025-01-01 and no other form: as macro `period_start`


def env_file() -> Path:
    """Where settings are read from besides the environment: SVOD_ENV_FILE, or `.env` in the current directory."""
    return Path(os.environ.get("SVOD_ENV_FILE", ".env"))


def said_in_file() -> dict[str, str | None]:
    """The variables of that file; none where it is `.env` and there is none.

    Raises SettingsError, which names the line and never quotes it, where the file cannot be read to its last line: what
    a quote too many swallows would be read with its default, without a word.
    """
    file = env_file()
    if file.is_dir() or not (file.exists() or file == Path(".env")):  # `make` always names .env
        raise SettingsError(f"there is no file {file}, which is to be read for settings", hint="check SVOD_ENV_FILE")
    if not file.is_file():  # not there, or /dev/null
        return {}
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SettingsError(f"{file} is no UTF-8 text", hint="write it anew as UTF-8, its comments too") from None
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}", hint="check its owner and rights") from None
    said = dotenv_values(stream=StringIO(text))
    for line in parse_stream(StringIO(text)):
        value = said.get(line.key or "") or ""
        is_ours = (line.key or "").upper().startswith(PREFIX)
        if line.error or (is_ours and _CONTROL.search(value)) or _SETTING_INSIDE.search(value):
            raise SettingsError(
                f"{file}, line {line.original.line}: what begins there is not of the form NAME=value on one line",
                hint="is a quote too many there, or one missing?",
            )
    return said


def env_value(name: str) -> str:
    """One variable, of the environment or else of the file; '' when it is unset: for what is seldom asked for."""
    return os.environ.get(name) or said_in_file().get(name) or ""


def read_environment(
    settings: type[SettingsT], prefix: str = PREFIX, *, but: Collection[str] = (), **values: Any
) -> SettingsT:
    """Settings of a class from the environment and from SVOD_ENV_FILE (`.env` in the current directory unless set).

    A field is read from the variable of its name in capitals after `prefix`; its `description`, where it has one, is
    the form that is expected. Of the fields `but` which nothing is needed, a wrong one has its default. Raises
    SettingsError that names every wrong variable and its form, never its value.
    """
    said_in_file()
    _refuse_odd_characters()
    try:
        return settings(_env_file=env_file(), _env_prefix=prefix, **values)
    except ValidationError as error:
        wrong = {
            str(problem["loc"][0]): problem["msg"]
            for problem in reversed(error.errors(include_input=False, include_url=False, include_context=False))
        }
    unneeded = {field: settings.model_fields[field].get_default() for field in wrong if field in but}
    if len(unneeded) == len(wrong):
        return read_environment(settings, prefix, **values, **unneeded)
    raise all_of(
        _wrong(settings, prefix, field, problem) for field, problem in sorted(wrong.items()) if field not in unneeded
    )


def _wrong(settings: type[BaseSettings], prefix: str, field: str, problem: str) -> SettingsError:
    form = settings.model_fields[field].description if field in settings.model_fields else None
    if form:
        return SettingsError(f"{prefix}{field.upper()} is not usable", hint=f"expected: {form}")
    name, text = f"{prefix}{field.upper()}", problem.removeprefix("Value error, ")
    default = settings.model_fields[field].get_default() if field in settings.model_fields else None
    example = f"for example {default}; " if isinstance(default, str | int | float) and default != "" else ""
    for library, ours in _IN_OUR_WORDS:
        text = library.sub(ours, text)
    is_sentence = text.startswith(("is ", "has to ", "names "))
    return SettingsError(
        f"{name}{'' if is_sentence else ':'} {text}", hint=f"{example}see .env.example for every setting"
    )


def read_all(*readers: Callable[[], Any]) -> list[Any]:
    """What each of these reads. Raises SettingsError that tells what is wrong in any of them."""
    read, errors = [], []
    for reader in readers:
        try:
            read.append(reader())
        except SettingsError as error:
            errors.append(error)
    if errors:
        raise all_of(errors)
    return read


def _refuse_odd_characters() -> None:
    """Raise SettingsError for a variable of the environment that has a control character in it, or bytes that are no
    UTF-8: whoever sends it would send something else, or end in an error that quotes it."""
    for name, value in os.environ.items():
        if not name.upper().startswith(PREFIX):
            continue
        if _CONTROL.search(value) or any("\ud800" <= character <= "\udfff" for character in value):
            raise SettingsError(
                f"{name}, set in the environment, is not one line of UTF-8 text", hint="write it anew without line ends"
            )


def refuse_plain_http(variable: str, url: str) -> None:
    """Raise SettingsError for an address whose secret would cross a network in clear text; it is not in the text."""
    address = urlsplit(url)
    if address.scheme == "http" and not _is_loopback(address.hostname or ""):
        raise SettingsError(
            f"{variable} begins with http://: its key and all data would go to {address.hostname} in clear text",
            hint=f"use https://, or, on a network that you trust, set {PREFIX}ALLOW_HTTP=true",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")  # RFC 6761, section 6.3
