"""The project's rule macros as SQL text, outside dbt: what a model would compile to for one expression."""

from functools import lru_cache
from pathlib import Path

import jinja2

PROJECT = Path(__file__).parents[2] / "dbt_project"


@lru_cache
def _macros() -> str:
    return "".join(path.read_text() for path in sorted((PROJECT / "macros").glob("*.sql")))


def sql(macro: str, *arguments: str | list[str] | bool) -> str:
    """The SQL of a rule: `sql("inn_is_valid", "inn")` is the expression over a column `inn`.

    For rules that need no database and no dbt context. Raises jinja2.UndefinedError when there is no such macro.
    """
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, extensions=["jinja2.ext.do"])
    template = environment.from_string(_macros() + "{{ " + macro + "(*arguments) }}")
    return template.render(arguments=arguments).strip()
