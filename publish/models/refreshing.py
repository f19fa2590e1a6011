"""One pass over what has changed: the same statements, over the rows that a change can touch, in the same transaction.

The tables are brought up to date in the order of the graph. What changed in the tables that a model reads tells which
of its keys are affected (dbt_project/refresh.yml says how, once a model); its statement runs over the rows that those
need, and what comes out differently takes the place of what was there. What comes out as it was goes no further. A
model of which refresh.yml says nothing, or most of whose keys are affected, is built as a whole.

Rows that changed, as they were and as they are, stand in schema `refresh` until the pass after the registry has used
them; which keys of which model were worked out anew, and why, in refresh.scope.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import duckdb

from ingest.warehouse import journal
from publish.models.compiled import RUN_ID, Node, Project
from publish.models.scopes import Scope

SCHEMA = "refresh"
SCOPE = f"{SCHEMA}.scope"
_FEW = 1000  # so many keys are worth it whatever the size of a model
_SHARE = 0.3  # a model of which more is affected is quicker built as a whole
_OF, _WAITING = "__of__", "waiting_"  # in the names of tables of schema `refresh`
_NAMED = re.compile(r"\{(\w+)\}")
_NOTHING = "nothing"
_ALL = "all"


class Refresh:
    """What has changed so far, by relation."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, project: Project, step: str, run_id: str, seen: Mapping[str, int]
    ) -> None:
        self._connection, self._project, self._run_id = connection, project, run_id
        self._by_relation = {node.relation: node for node in project.nodes.values() if node.kind != "test"}
        self._own = {project.nodes[unique_id].relation for unique_id in project.passes[step].node_ids}
        self._read = {table for node in self._by_relation.values() for table in self._read_by(node)}
        self._changed: set[str] = set()
        self._anew: set[str] = set()  # those of which nobody knows what has changed
        self._do(f"create schema if not exists {SCHEMA}")
        self._do(f"create table if not exists {SCOPE} (model varchar, key varchar, why varchar, run_id varchar)")
        if step == journal.DBT_BEFORE_REGISTRY:
            self._do(f"delete from {SCOPE}")
        for name in _left(self._connection):
            relation = name.replace(_OF, ".", 1)
            if relation in self._own:  # a pass of before, whose changes the pass after it has not used, left it
                self._do(f"alter table {SCHEMA}.{name} rename to {_WAITING}{name}")
            elif relation in self._by_relation:
                self._changed.add(relation)
        for raw_table, last_row in seen.items():
            self._landed(raw_table, last_row)

    def finish(self) -> None:
        """Leave what changed to the pass after this one, with what it has not used yet."""
        for waiting in _left(self._connection):
            if waiting.startswith(_WAITING):
                name = waiting.removeprefix(_WAITING)
                self._do(f"create table if not exists {SCHEMA}.{name} as from {SCHEMA}.{waiting} limit 0")
                self._do(f"insert into {SCHEMA}.{name} from {SCHEMA}.{waiting}")
                self._do(f"drop table {SCHEMA}.{waiting}")

    def _landed(self, raw_table: str, last_row: int) -> None:
        """Note the rows of a raw table behind the last one that this pass has seen before."""
        changes = _changes_of(raw_table)
        self._do(
            f"create or replace table {changes} as select *, true as came from {raw_table} where rowid > {last_row}"
        )
        self._changed.discard(raw_table)
        if self._count(changes):
            self._changed.add(raw_table)

    def is_touched(self, node: Node) -> bool:
        """Whether anything changed that a node reads, directly or through views."""
        return any(relation in self._changed for relation in self._tables(node))

    def statement(self, test: Node) -> str:
        """What a test asks, of the rows alone that landed where it is known that the others pass."""
        landed = self._project.asked_again.landed.get(test.name, ())
        return self._flat(test, {table: f"(select * exclude (came) from {_changes_of(table)})" for table in landed})

    def first_question(self, test: Node) -> str:
        """What a test that passed asks of the rows that came, or of those with their keys: no row of an answer, and it
        passes still. '' where that does not tell."""
        touched = [relation for relation in self._tables(test) if relation in self._changed]
        keys = self._project.asked_again.by_key.get(test.name, {})
        if keys.keys() >= {*touched} and not self._anew & {*touched}:
            changed = " union all ".join(f"select {keys[table]} from {_changes_of(table)}" for table in touched)
            of_them = {table: f"(from {table} where {key} in ({changed}))" for table, key in keys.items()}
            return self._flat(test, of_them)
        if len(touched) != 1 or touched[0] not in test.reads or touched[0] in self._anew:
            return ""
        came = f"(select * exclude (came) from {_changes_of(touched[0])} where came)"
        if {test.name, test.generic} & {*self._project.asked_again.each_row}:
            return self._flat(test, {touched[0]: came})
        if test.generic in self._project.asked_again.each_key:
            column = test.first_column
            with_key = f"(from {touched[0]} where {column} in (select {column} from {came}) or {column} is null)"
            return self._flat(test, {touched[0]: with_key})
        return ""

    def changed_marts(self) -> list[str]:
        """Tables of schema `marts` in which anything changed."""
        return sorted(relation for relation in self._changed if relation.startswith("marts."))

    def changes_of(self, relation: str) -> str:
        """Where the rows of a changed table are that went, and those that `came`."""
        return _changes_of(relation)

    def put_in_place(self, node: Node) -> bool:
        """Bring a table up to date where that can be done by its keys; whether it could."""
        scope = self._project.scopes.get(node.name)
        touched = [relation for relation in self._tables(node) if relation in self._changed]
        if scope is None or not all(scope.affects.get(relation) for relation in touched):
            return False
        keys = self._affected(node, scope, touched)
        if keys > max(_FEW, _SHARE * self._count(node.relation)):
            return False
        if keys:
            self._do(f"insert into {SCOPE} select ?, key, why, ? from temp.scope", [node.name, self._run_id])
            self._work_out(node, scope)
        return True

    def compare(self, node: Node, was: str) -> int:
        """Note what has changed in a model that was built as a whole, and how many rows: they are in temp.differing.
        `was` is a copy of it as it was."""
        return self._differences(node.relation, was, node.relation)

    def is_nobodys_business(self, node: Node) -> bool:
        """Whether no model reads a table, and no stamp changes with it: what changed in it need not be known."""
        return node.relation not in self._read and not node.relation.startswith("marts.")

    def note_anew(self, node: Node) -> None:
        """Note that anything may have changed in a table that is nobody's business."""
        self._changed.add(node.relation)
        self._anew.add(node.relation)

    def _affected(self, node: Node, scope: Scope, touched: Iterable[str]) -> int:
        """Make temp.scope, the keys of a model that may come out differently; how many they are."""
        affected = [
            f"select key, '{relation}' as why from ({self._filled(scope.affects[relation], relation)}) as affected(key)"
            for relation in touched
            if scope.affects[relation] != _NOTHING
        ]
        if not affected:
            return 0
        self._do(
            f"""create or replace temporary table scope as
                select key, min(why) as why from ({" union all ".join(affected)}) where key is not null group by key"""
        )
        if scope.expand and self._count("temp.scope"):
            self._do(
                f"""insert into temp.scope
                    select distinct key, 'together with others'
                    from ({self._filled(scope.expand, node.relation)}) as more(key)
                    where key is not null and key not in (select key from temp.scope)"""
            )
        return self._count("temp.scope")

    def _work_out(self, node: Node, scope: Scope) -> None:
        """Run the statement of a model for the keys in temp.scope, and put what differs in its place."""
        for name, sql in scope.given.items():
            self._do(f"create or replace temporary table given_{name} as {self._filled(sql, node.relation)}")
        parts = {}
        for number, relation in enumerate(self._tables(node)):
            rows = scope.rows.get(relation, _ALL)
            if rows != _ALL:
                parts[relation] = f"temp.part_{number}"
                where = self._filled(rows, relation)
                self._do(f"create or replace temporary table part_{number} as from {relation} where {where}")
        statement = self._flat(node, parts).replace(RUN_ID, self._run_id)
        is_memory = node.materialized == "incremental"  # its statement answers what differs, and nothing else
        within = "" if is_memory else f"where {scope.key} in (select key from temp.scope)"
        self._do(f"create or replace temporary table fresh as from {node.relation} limit 0")
        self._do(f"insert into temp.fresh by name select * from (\n{statement}\n) {within}")
        keys = f"select {scope.key} from temp.fresh" if is_memory else "select key from temp.scope"
        self._do(f"create or replace temporary table was as from {node.relation} where {scope.key} in ({keys})")
        if self._differences(node.relation, "temp.was", "temp.fresh"):
            is_changed = f"{scope.key} in (select {scope.key} from temp.differing)"
            self._do(f"delete from {node.relation} where {is_changed}")
            self._do(f"insert into {node.relation} by name from temp.fresh where {is_changed}")
        for table in (*parts.values(), "temp.fresh", "temp.was", "temp.scope"):
            self._do(f"drop table {table}")

    def _differences(self, relation: str, was: str, now: str) -> int:
        """Add the rows that went and those that came to what changed; how many they are. Leaves temp.differing.

        Rows are known by their hashes, as the marts' stamps know them, and equal ones are counted: `except all` takes
        three times as long for a few rows, and most of what is worked out anew comes out as it was.
        """
        sums = "select count(*), coalesce(sum(hash(of_table)), 0) from {} as of_table"
        if self._rows(sums.format(was)) == self._rows(sums.format(now)):
            self._do(f"create or replace temporary table differing as select *, false as came from {was} limit 0")
            return 0
        told_apart = """
            select of_table.*, hash(of_table) as row_hash__,
                row_number() over (partition by hash(of_table)) as row_copy__
            from {} as of_table"""
        self._do(
            f"""create or replace temporary table differing as
                with before as ({told_apart.format(was)}), afterwards as ({told_apart.format(now)})
                select * exclude (row_hash__, row_copy__), false as came
                from before anti join afterwards using (row_hash__, row_copy__)
                union all
                select * exclude (row_hash__, row_copy__), true as came
                from afterwards anti join before using (row_hash__, row_copy__)"""
        )
        differing = self._count("temp.differing")
        if differing:
            changes = _changes_of(relation)
            self._do(f"create table if not exists {changes} as from temp.differing limit 0")
            self._do(f"insert into {changes} from temp.differing")
            self._changed.add(relation)
        return differing

    def _tables(self, node: Node) -> Iterator[str]:
        """What a node reads once its views are taken apart: tables of models, of seeds and of raw, each once."""
        seen = set()
        for relation in node.reads:
            view = self._view(relation)
            for table in self._tables(view) if view else (relation,):
                if table not in seen:
                    seen.add(table)
                    yield table

    def _read_by(self, node: Node) -> Iterator[str]:
        return iter(()) if node.materialized == "view" else self._tables(node)

    def _view(self, relation: str) -> Node | None:
        node = self._by_relation.get(relation)
        return node if node and node.materialized == "view" else None

    def _flat(self, node: Node, parts: Mapping[str, str]) -> str:
        """The statement of a node with parts in the place of tables, also within the views that it reads."""
        replaced = dict(parts)
        for relation in node.reads:
            view = self._view(relation)
            if view and any(table in parts for table in self._tables(view)):
                replaced[relation] = f"(\n{self._flat(view, parts)}\n)"
        by_name = {_as_compiled(relation): part for relation, part in replaced.items()}
        if not by_name:
            return node.sql
        return re.sub("|".join(map(re.escape, by_name)), lambda name: by_name[name[0]], node.sql)

    def _filled(self, sql: str, relation: str) -> str:
        changes = (
            _changes_of(relation) if relation in self._changed else f"(select *, true as came from {relation} limit 0)"
        )
        sql = sql.replace("{changed}", changes).replace("{scope}", "temp.scope")
        return _NAMED.sub(r"temp.given_\1", sql)

    def _count(self, table: str) -> int:
        ((rows,),) = self._rows(f"select count(*) from {table}")
        return int(rows)

    def _do(self, sql: str, parameters: list[Any] | None = None) -> None:
        self._connection.execute(sql, parameters)

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql).fetchall()


def clear(connection: duckdb.DuckDBPyConnection) -> None:
    """Let go of what changed: every model has seen it."""
    for table in _left(connection):
        connection.execute(f"drop table {SCHEMA}.{table}")


def _left(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The tables of what changed that are there now."""
    sql = f"select table_name from duckdb_tables() where schema_name = '{SCHEMA}' and contains(table_name, '{_OF}')"
    return [name for (name,) in connection.execute(sql).fetchall()]


def _changes_of(relation: str) -> str:
    return f"{SCHEMA}.{relation.replace('.', _OF, 1)}"


def _as_compiled(relation: str) -> str:
    schema, _, name = relation.partition(".")
    return f'"{schema}"."{name}"'
