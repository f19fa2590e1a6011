"""The project's rule macros and models as SQL text, outside dbt: what dbt would compile them to."""

from functools import lru_cache
from pathlib import Path

import jinja2

PROJECT = Path(__file__).parents[2] / "dbt_project"


# Read once: compiling all the macros takes a tenth of a second, and a property asks for its rules at every example.
ENVIRONMENT = jinja2.Environment(undefined=jinja2.StrictUndefined, extensions=["jinja2.ext.do"])


@lru_cache
def _macros() -> str:
    texts = [path.read_text() for path in sorted((PROJECT / "macros").glob("*.sql"))]
    return "".join(text for text in texts if "{% materialization" not in text)  # a tag of dbt's own


@lru_cache
def _template(text: str) -> jinja2.Template:
    return ENVIRONMENT.from_string(_macros() + text)


def sql(macro: str, *arguments: str | list[str] | bool) -> str:
    """The SQL of a rule: `sql("inn_is_valid", "inn")` is the expression over a column `inn`.

    For rules that need no database and no dbt context. Raises jinja2.UndefinedError when there is no such macro.
    """
    return _template("{{ " + macro + "(*arguments) }}").render(arguments=arguments).strip()


@lru_cache
def model_sql(name: str) -> str:
    """The SQL of an intermediate model, which reads its inputs from schema `intermediate`."""
    (path,) = (PROJECT / "models" / "intermediate").rglob(f"{name}.sql")
    return _template(path.read_text()).render(ref="intermediate.{}".format, config=lambda **_: "").strip()
