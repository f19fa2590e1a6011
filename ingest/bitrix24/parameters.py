"""Parameters of a command inside a batch: a query as PHP reads it (page `settings/how-to-call-rest-api/batch`)."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote_plus


def query(params: Mapping[str, Any]) -> str:
    """Parameters as PHP reads them, `fields[PHONE][0][VALUE]=%2B7`; None and empty lists are empty texts."""

    def walk(name: str, value: Any) -> Iterable[str]:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                yield from walk(f"{name}[{key}]" if name else str(key), inner)
        elif isinstance(value, list | tuple) and value:
            for index, inner in enumerate(value):
                yield from walk(f"{name}[{index}]", inner)
        else:
            yield f"{quote_plus(name, safe='[]')}={quote_plus('' if value is None or value == [] else str(value))}"

    return "&".join(walk("", params))
