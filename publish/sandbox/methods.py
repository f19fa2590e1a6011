"""The register of REST methods, and what a handler receives and raises."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from publish.sandbox import php
from publish.sandbox.store import Store


class ApiError(Exception):
    """An error answer: `error` as the portal writes it (a code, a number, or often an empty text), with its status."""

    def __init__(self, error: str | int, description: str, status: int = 400):
        super().__init__(description)
        self.error, self.description, self.status = error, description, status

    @property
    def body(self) -> dict[str, Any]:
        return {"error": self.error, "error_description": self.description}


@dataclass(frozen=True, slots=True)
class Page:
    """A list answer: `total` and `next` travel beside `result`, not in it."""

    result: Any
    total: int
    next: int | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One method call with decoded parameters."""

    method: str
    params: dict[str, Any]
    store: Store
    now: float
    user: int
    scopes: frozenset[str]
    webhook: str  # the path of the webhook's address, `/rest/1/secret`

    def get(self, name: str, default: Any = None) -> Any:
        """A parameter of the classic methods, which take names in any case."""
        if name in self.params:
            return self.params[name]
        wanted = name.lower()
        return next((value for key, value in self.params.items() if key.lower() == wanted), default)

    def identifier(self, name: str = "id") -> int:
        """A positive id, or the error every classic method answers without one."""
        value = php.integer(self.get(name))
        if value <= 0:
            raise ApiError("", "ID is not defined or invalid.")
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        """An object parameter of a classic method; empty when it is missing, an error when it is no object."""
        value = self.get(name)
        if value is None or value == [] or value == "":
            return {}
        if isinstance(value, list):
            return dict(php.pairs(value))
        if not isinstance(value, dict):
            raise ApiError("", f"Parameter '{name}' must be array.")
        return value

    def fields(self) -> dict[str, Any]:
        """The `fields` object of a classic method, which must be there."""
        value = self.get("fields")
        if not php.is_array(value):
            raise ApiError("", "Parameter 'fields' must be array.")
        return dict(php.pairs(value))

    def required(self, name: str) -> Any:
        """A parameter of the universal methods: exact case, and it must be there."""
        if name not in self.params:
            raise ApiError("100", f"Could not find value for parameter {{{name}}}")
        return self.params[name]

    def required_array(self, name: str) -> dict[str, Any]:
        value = self.required(name)
        if not php.is_array(value):
            raise ApiError(
                "100", f"Invalid value {{{value}}} to match with parameter {{{name}}}. Should be value of type array."
            )
        return dict(php.pairs(value))


Handler = Callable[[Call], Any]


@dataclass(frozen=True, slots=True)
class Method:
    name: str
    handler: Handler
    writes: bool
    scope: str | None  # other than `crm` and `basic`, which every webhook here has


METHODS: dict[str, Method] = {}


def method(name: str, *, writes: bool = False, scope: str | None = None) -> Callable[[Handler], Handler]:
    """Register a handler under a method name (names are not case-sensitive on the wire)."""

    def register(handler: Handler) -> Handler:
        METHODS[name.lower()] = Method(name, handler, writes, scope)
        return handler

    return register
