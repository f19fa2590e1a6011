"""Reads the settings of all programs from the environment and from `.env`; says in one line what is wrong there."""

import os
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from ingest.warehouse.errors import SettingsError

PREFIX = "SVOD_"

SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def read_environment(settings: type[SettingsT], prefix: str = PREFIX, **values: Any) -> SettingsT:
    """Settings of a class from the environment and from SVOD_ENV_FILE (`.env` in the current directory unless set).

    A field is read from the variable of its name in capitals after `prefix`; its `description`, where it has one, is
    the form that is expected. Raises SettingsError that names the first wrong variable and that form, never its value.
    """
    try:
        return settings(_env_file=os.environ.get("SVOD_ENV_FILE", ".env"), _env_prefix=prefix, **values)
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False, include_context=False)[0]
    field = str(wrong["loc"][0])
    form = settings.model_fields[field].description if field in settings.model_fields else None
    if form:
        raise SettingsError(f"{prefix}{field.upper()} is not usable", hint=f"expected: {form}")
    problem = wrong["msg"].removeprefix("Value error, ")
    raise SettingsError(f"{prefix}{field.upper()}: {problem}", hint="see .env.example for every setting")
