"""The project as dbt compiles it: every statement in the order of the graph, and which of them make up each pass.

dbt compiles into an empty warehouse of its own, so that what it says depends on the project's files, on dbt's version
and on the variables of the environment that the files read, and on nothing else: by the hash of those it is kept in
dbt's target folder, and a program that finds it there needs no dbt.
"""

import contextlib
import gc
import hashlib
import io
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import yaml

from ingest.warehouse import journal
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.lock import one_after_the_other
from ingest.warehouse.terminal import say_aside
from publish.models import scopes as said
from publish.models.scopes import AskedAgain, Scope

RUN_ID = "the-run-that-builds"  # stands in the statements for the id of the run that executes them
_DATABASE = "warehouse_of_dbt"
_QUALIFIED = f'"{_DATABASE}".'
_FOLDERS = ("macros", "models", "seeds", "tests")
_FILES = ("dbt_project.yml", "profiles.yml", "selectors.yml", said.FILE)
_READ = re.compile(r"env_var\(\s*'(\w+)'")
_PARTS = "\n-- the next part --\n"
_PASSES = {False: (journal.DBT_BEFORE_REGISTRY, journal.DBT_AFTER_REGISTRY), True: (journal.DBT_TRANSFER,)}


class Column(msgspec.Struct, frozen=True):
    """A column as the project describes it; `data_type` and `is_required` are of a contract."""

    name: str
    description: str
    data_type: str
    is_required: bool = False


class Node(msgspec.Struct, frozen=True):
    """A model, a seed or a data test. `relation` is schema.name: of a test, where its failing rows are kept; it `reads`
    others of that form, seeds and raw tables among them."""

    unique_id: str
    name: str
    kind: str  # model, seed, test
    relation: str
    sql: str  # of a seed: the file it is read from; what is kept has its place in the project, which may be moved
    parents: tuple[str, ...]
    reads: tuple[str, ...] = ()
    description: str = ""
    columns: tuple[Column, ...] = ()
    materialized: str = "table"
    has_contract: bool = False
    unique_key: str = ""  # of an incremental model
    first_sql: str = ""  # of an incremental model that is not there yet
    is_warning: bool = False  # of a test: its rows stop nothing
    generic: str = ""  # of a test: the name of the generic one that it is
    first_column: str = ""  # of those that a generic test is about


class Pass(msgspec.Struct, frozen=True):
    """The nodes of one step of the journal in the order they are built in, and what is written when all went well."""

    node_ids: tuple[str, ...]
    last_sql: str


class Project(msgspec.Struct, frozen=True):
    """All that an executor needs. `digest` changes with any file, variable or version that counts."""

    digest: str
    nodes: dict[str, Node]
    passes: dict[str, Pass]  # by the name of the step
    first_sql: str  # makes the raw tables that no source has landed yet
    raw_tables: tuple[str, ...]  # schema.name of what is read
    settings: dict[str, str | bool | int]  # of DuckDB, from the profile
    scopes: dict[str, Scope]  # by the names of models
    asked_again: AskedAgain


_KNOWN: dict[tuple[Path, bool], Project] = {}


def project(folder: Path, environment: Mapping[str, str] = os.environ, *, is_move: bool = False) -> Project:
    """The compiled project in a folder: what is published, or, with `is_move`, the move to another portal.

    Raises OperatorError when dbt cannot compile it; dbt has printed why.
    """
    digest = digest_of(folder, environment, is_move=is_move)
    known = _KNOWN.get((folder, is_move))
    if known is None or known.digest != digest:
        cache = Path(environment.get("DBT_TARGET_PATH") or folder / "target") / f"compiled-{digest[:16]}.json"
        known = _cached(cache)
        if known is None:
            with one_after_the_other(cache.with_name("compiling.lock"), waits="another program compiles the models"):
                known = _cached(cache) or _compile(folder, environment, digest, is_move)
                _keep(cache, known)
        known = _KNOWN[folder, is_move] = _placed(known, folder)
    return known


def _placed(compiled: Project, folder: Path) -> Project:
    """With the seeds where they are in this folder."""
    nodes = {
        unique_id: msgspec.structs.replace(node, sql=str((folder / node.sql).absolute()))
        if node.kind == "seed"
        else node
        for unique_id, node in compiled.nodes.items()
    }
    return msgspec.structs.replace(compiled, nodes=nodes)


def digest_of(folder: Path, environment: Mapping[str, str], *, is_move: bool = False) -> str:
    """Changes with each file of the project, and with each variable of the environment that one of them reads."""
    digest, read = hashlib.sha256(), set()
    digest.update(f"{is_move} {version('dbt-core')} {version('dbt-duckdb')}".encode())
    digest.update(Path(__file__).read_bytes() + Path(said.__file__).read_bytes())
    paths = [folder / name for name in _FILES]
    for name in _FOLDERS:
        paths += sorted(path for path in (folder / name).rglob("*") if path.is_file())
    for path in paths:
        content = path.read_bytes()
        digest.update(f"\0{path.relative_to(folder)}\0{len(content)}\0".encode() + content)
        read.update(_READ.findall(content.decode(errors="replace")))
    for name in sorted(read - {"SVOD_WAREHOUSE", "SVOD_RUN_ID"}):
        digest.update(f"\0{name}={environment.get(name, '')}".encode())
    return digest.hexdigest()


def _cached(cache: Path) -> Project | None:
    with contextlib.suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode(cache.read_bytes(), type=Project)
    return None


def _keep(cache: Path, compiled: Project) -> None:
    """For the next program. Where it cannot be written, that one compiles again."""
    with contextlib.suppress(OSError):
        if cache.exists():
            return
        cache.parent.mkdir(parents=True, exist_ok=True)
        by_age = sorted(cache.parent.glob("compiled-*.json"), key=lambda path: path.stat().st_mtime)
        for old in by_age[: -_KEPT + 1]:
            old.unlink(missing_ok=True)
        beside = cache.with_suffix(f".{os.getpid()}")
        beside.write_bytes(msgspec.json.encode(compiled))
        beside.replace(cache)


def _compile(folder: Path, environment: Mapping[str, str], digest: str, is_move: bool) -> Project:
    with tempfile.TemporaryDirectory(prefix="svod-models-") as scratch:
        warehouse = Path(scratch, f"{_DATABASE}.duckdb")
        of_dbt = {"SVOD_WAREHOUSE": str(warehouse), "SVOD_RUN_ID": RUN_ID, "DBT_WRITE_JSON": "false"}
        with _environment({**environment, **of_dbt}):
            return _Compiler(folder, warehouse).project(digest, is_move)


@contextlib.contextmanager
def _environment(environment: Mapping[str, str]) -> Iterator[None]:
    before, threshold = dict(os.environ), gc.get_threshold()
    os.environ.clear()
    os.environ.update(environment)
    gc.set_threshold(100_000)  # dbt makes many objects and few cycles: looking for some took a fortieth of the time
    try:
        yield
    finally:
        gc.set_threshold(*threshold)
        os.environ.clear()
        os.environ.update(before)


class _Compiler:
    """dbt in this process, asked for one thing after the other; it reads the project once."""

    def __init__(self, folder: Path, warehouse: Path) -> None:
        from dbt.cli.main import dbtRunner  # a second to import, and nobody needs it who finds the project compiled

        self._runner, self._folder, self._warehouse = dbtRunner, folder, warehouse
        self._manifest: Any = None
        self._manifest = self._ask("parse")

    def project(self, digest: str, is_move: bool) -> Project:
        steps = {step: step.removeprefix("dbt ") for step in _PASSES[is_move]}
        selector = "transfer" if is_move else "all_but_the_move"
        whole = [result.node for result in self._ask("compile", "--selector", selector).results]
        nodes = {node.unique_id: self._node(node) for node in whole if node.resource_type in ("model", "seed", "test")}
        nodes |= self._when_they_are_there(nodes)
        macros = [f"create_missing_raw_tables({str(is_move).lower()})", f"end_of_pass('{_PASSES[is_move][-1]}')"]
        inline = _PARTS.join(f"{{{{ {macro} }}}}" for macro in macros)
        rendered = self._ask("compile", "--inline", inline).results[0].node.compiled_code
        first_sql, last_sql = (_plain(part) for part in rendered.split(_PARTS))
        passes = {}
        for step, name in steps.items():
            listed = self._ask("ls", "--selector", name, "--output", "json", "--output-keys", "unique_id")
            chosen = {msgspec.json.decode(line)["unique_id"] for line in listed} & nodes.keys()
            is_last = step == _PASSES[is_move][-1]
            passes[step] = Pass(tuple(_in_order(nodes, chosen)), last_sql if is_last else "")
        sources = {source for node in whole for source in node.depends_on_nodes}
        tables = [
            source
            for source in self._manifest.sources.values()
            if source.unique_id in sources and source.schema == "raw"
        ]
        profile = yaml.safe_load((self._folder / "profiles.yml").read_text(encoding="utf-8"))["svod"]
        relations = {} if is_move else {node.name: node.relation for node in nodes.values()}
        return Project(
            digest,
            nodes,
            passes,
            first_sql,
            tuple(sorted(f"{table.schema}.{table.identifier}" for table in tables)),
            profile["outputs"][profile["target"]]["settings"],
            *said.read(self._folder / said.FILE, relations),
        )

    def _when_they_are_there(self, nodes: Mapping[str, Node]) -> dict[str, Node]:
        """The incremental models as dbt compiles them when their tables are there."""
        grown = {node.unique_id: node for node in nodes.values() if node.materialized == "incremental"}
        if not grown:
            return {}
        with duckdb.connect(str(self._warehouse)) as connection:
            for node in grown.values():
                schema = node.relation.partition(".")[0]
                connection.execute(f"create schema if not exists {schema}; create table {node.relation} (nothing int)")
        again = self._ask("compile", "--select", *(node.name for node in grown.values())).results
        later = {result.node.unique_id: _plain(result.node.compiled_code) for result in again}
        return {
            unique_id: msgspec.structs.replace(node, first_sql=node.sql, sql=later[unique_id])
            for unique_id, node in grown.items()
        }

    def _node(self, node: Any) -> Node:
        parents = tuple(parent for parent in node.depends_on_nodes if parent.partition(".")[0] in ("model", "seed"))
        relation, config = f"{node.schema}.{node.alias}", node.config
        reads = [self._relation(parent) for parent in node.depends_on_nodes]
        if config.materialized == "incremental":
            reads.append(relation)
        if node.resource_type == "seed":
            told, of_columns = _descriptions(node)
            file = str(node.original_file_path)
            typed = tuple(Column(name, of_columns.get(name, ""), type_) for name, type_ in config.column_types.items())
            return Node(node.unique_id, node.name, "seed", relation, file, parents, description=told, columns=typed)
        sql = _plain(node.compiled_code)
        if node.resource_type == "test":
            if (config.fail_calc, config.warn_if, config.error_if, config.limit) != _AS_DBT_DOES:
                raise OperatorError(
                    f"test {node.name} counts in a way of its own", hint="count rows, stop at the first"
                )
            is_warning = config.severity.lower() == "warn"
            generic = getattr(node, "test_metadata", None)
            about = generic.kwargs.get("columns") or [generic.kwargs.get("column_name") or ""] if generic else [""]
            return Node(
                node.unique_id, node.name, "test", relation, sql, parents, tuple(reads),
                is_warning=is_warning,
                generic=generic.name if generic else "",
                first_column=about[0],
            )  # fmt: skip
        told, of_columns = _descriptions(node)
        columns = tuple(
            Column(
                column.name,
                of_columns.get(column.name, ""),
                column.data_type or "",
                any(constraint.type == "not_null" for constraint in column.constraints),
            )
            for column in node.columns.values()
        )
        return Node(
            node.unique_id, node.name, "model", relation, sql, parents, tuple(reads),
            description=told,
            columns=columns,
            materialized=config.materialized,
            has_contract=config.contract.enforced,
            unique_key=config.unique_key or "",
        )  # fmt: skip

    def _relation(self, unique_id: str) -> str:
        source = self._manifest.sources.get(unique_id)
        node = self._manifest.nodes.get(unique_id)
        return f"{source.schema}.{source.identifier}" if source else f"{node.schema}.{node.alias}"

    def _ask(self, *command: str) -> Any:
        at = ["--project-dir", str(self._folder), "--profiles-dir", str(self._folder)]
        with contextlib.redirect_stdout(io.StringIO()) as printed:  # all that it compiles
            answer = self._runner(manifest=self._manifest).invoke(["--quiet", command[0], *at, *command[1:]])
        self._let_go()
        if not answer.success:
            say_aside(printed.getvalue())
            raise OperatorError("dbt cannot compile the models", hint="what it says is above")
        return answer.result

    @staticmethod
    def _let_go() -> None:
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager

        DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]


_AS_DBT_DOES = ("count(*)", "!= 0", "!= 0", None)
_KEPT = 8  # editions of the project that are kept compiled: tests and shells with other settings beside the runs


def _descriptions(node: Any) -> tuple[str, dict[str, str]]:
    """What the warehouse is to say of a model or a seed, and of its columns."""
    is_told = node.config.persist_docs.get
    columns = {name: column.description for name, column in node.columns.items()} if is_told("columns") else {}
    return node.description if is_told("relation") else "", columns


def _plain(sql: str) -> str:
    """A statement without the name of the warehouse that it was compiled in."""
    return sql.replace(_QUALIFIED, "").strip()


def _in_order(nodes: Mapping[str, Node], chosen: set[str]) -> Iterator[str]:
    """Each node after those that it reads; a test as soon as it can be asked."""
    left, built = sorted(chosen, key=lambda unique_id: (nodes[unique_id].kind != "test", unique_id)), set[str]()
    while left:
        ready = next(
            unique_id
            for unique_id in left
            if all(parent in built or parent not in chosen for parent in nodes[unique_id].parents)
        )
        left.remove(ready)
        built.add(ready)
        yield ready
