"""dbt_project/refresh.yml: how the rows of each model hang together, and what need be asked of a test again."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import yaml

from ingest.warehouse.errors import OperatorError

FILE = "refresh.yml"


class Scope(msgspec.Struct, frozen=True):
    """How the rows of a model hang together, as refresh.yml says it; by schema.name of the tables that it reads."""

    key: str = ""
    affects: dict[str, str] = {}
    rows: dict[str, str] = {}
    expand: str = ""
    given: dict[str, str] = {}


class AskedAgain(msgspec.Struct, frozen=True):
    """What need be asked again of a test that passed, by its name or the generic test's, as refresh.yml says it."""

    each_row: tuple[str, ...]
    each_key: tuple[str, ...]
    landed: dict[str, tuple[str, ...]]
    by_key: dict[str, dict[str, str]]  # of the tables that a test reads, directly or through views: what its keys are


def read(file: Path, relations: Mapping[str, str]) -> tuple[dict[str, Scope], AskedAgain]:
    """What is said of models, the short forms written out, and of tests; `relations` are the models by their names.

    None are those of the move, of which nothing is said. Raises OperatorError where a name is no model's.
    """
    said = yaml.safe_load(file.read_text(encoding="utf-8"))
    asked_again = msgspec.convert(said.pop("tests"), AskedAgain)
    scopes: dict[str, Scope] = {}
    if not relations:
        return scopes, asked_again

    def relation_of(table: str) -> str:
        if "." not in table and table not in relations:
            raise OperatorError(f"{file}: {table} is no model", hint="name the models as their files are")
        return relations.get(table, table)

    for keys in asked_again.by_key.values():
        for table in [*keys]:
            keys[relation_of(table)] = keys.pop(table)
    for name, of_model in said.items():
        relation_of(name)
        affects, rows = {}, {}
        for table, how in of_model["reads"].items():
            relation = relation_of(table)
            if isinstance(how, str):
                how = {"affects": f"select {how} from {{changed}}", "rows": f"{how} in (select key from {{scope}})"}
            rows[relation] = how["rows"]
            if "affects" in how:
                affects[relation] = how["affects"]
        scopes[name] = Scope(of_model["key"], affects, rows, of_model.get("expand", ""), of_model.get("given", {}))
    return scopes, asked_again
