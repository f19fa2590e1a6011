"""What dbt does with a table, a view, an incremental model, a seed and a contract, done as dbt does it
(dbt_project/macros/materializations.sql)."""

from collections.abc import Iterable

import duckdb

from publish.models.compiled import RUN_ID, Node

# How texts are kept, by the names of their columns. To try all ways out on each takes a quarter of the time of building
# all. Few values again and again: as a dictionary, for which nothing is paid. Long ones, or ones that begin alike: as
# zstd, for little. What is left stays as it is: what differs, or would cost more than it gives.
_BY_COMPRESSION = {
    "dict_fsst": """bank_detail_name bank_name bank_name_raw belongs_to bik bik_raw card_last_name company_reason
        corr_account corr_account_raw currency currency_raw director_post extension first_initial first_key first_name
        kind last_key last_name legal_form merged_into minted_run_id name_kind opf party_type post post_raw reason
        registry_status requisite_name requisite_preset run_id second_initial second_key second_name source sources
        status status_raw""",
    "zstd": """company_key company_name company_name_raw deal_id full_name legal_address legal_address_raw name_text
        record_key short_name title""",
}
COMPRESSION = {name: how for how, names in _BY_COMPRESSION.items() for name in names.split()}


def kinds_there(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """`table` or `view` of each relation that is there."""
    return dict(
        connection.execute(
            """select schema_name || '.' || table_name, 'table' from duckdb_tables()
               where database_name = current_database()
               union all
               select schema_name || '.' || view_name, 'view' from duckdb_views()
               where database_name = current_database() and not internal"""
        ).fetchall()
    )


def put_in_place(connection: duckdb.DuckDBPyConnection, node: Node, kinds: dict[str, str], run_id: str) -> None:
    schema = node.relation.partition(".")[0]
    kind, there = "view" if node.materialized == "view" else "table", kinds.get(node.relation)
    if there is None:
        connection.execute(f"create schema if not exists {schema}")
    elif there != kind:
        connection.execute(f"drop {there} {node.relation}")
    sql = node.sql.replace(RUN_ID, run_id)
    if node.kind == "seed":
        columns = ", ".join(f"{column.name} {column.data_type}" for column in node.columns)
        connection.execute(f"create or replace table {node.relation} ({columns})")
        connection.execute(f"copy {node.relation} from '{sql}' (format csv, header true, delimiter ',')")
    elif node.materialized == "incremental" and there == "table":
        _merge(connection, node, sql)
    elif node.materialized == "incremental":
        _create(connection, node, node.first_sql.replace(RUN_ID, run_id))
    elif kind == "view":
        connection.execute(f"create or replace view {node.relation} as (\n{sql}\n)")
    elif node.has_contract:
        _create_by_contract(connection, node, sql)
    else:
        _create(connection, node, sql)
    kinds[node.relation] = kind
    connection.execute(_comments(node, kind))


def _merge(connection: duckdb.DuckDBPyConnection, node: Node, sql: str) -> None:
    connection.execute(f"create or replace temporary table changed as (\n{sql}\n)")
    connection.execute(
        f"delete from {node.relation} where {node.unique_key} in (select {node.unique_key} from changed)"
    )
    connection.execute(f"insert into {node.relation} by name from changed")
    connection.execute("drop table temp.changed")


def _create(connection: duckdb.DuckDBPyConnection, node: Node, sql: str) -> None:
    columns = connection.execute(f"select column_name, column_type from (describe (\n{sql}\n))").fetchall()
    connection.execute(f"create or replace table {node.relation} ({_defined(columns)})")
    connection.execute(f"insert into {node.relation} from (\n{sql}\n)")


def _defined(columns: Iterable[tuple[str, str]]) -> str:
    """The columns of a table, by their names and types, with how they are kept."""
    return ", ".join(f'"{name}" {type_}{_compression(name, type_)}' for name, type_ in columns)


def _compression(name: str, type_: str) -> str:
    return f" using compression {COMPRESSION.get(name, 'uncompressed')}" if type_ == "VARCHAR" else ""


def _create_by_contract(connection: duckdb.DuckDBPyConnection, node: Node, sql: str) -> None:
    """Raises duckdb.Error where the statement has other columns than the contract, or a null where it allows none."""
    names = ", ".join(column.name for column in node.columns)
    columns = (
        f"{column.name} {column.data_type}{_compression(column.name, column.data_type.upper())}"
        f"{' not null' * column.is_required}"
        for column in node.columns
    )
    connection.execute(f"create or replace table {node.relation} ({', '.join(columns)})")
    described = "select column_name, column_type from (describe {})"
    promised, made = (
        dict(connection.execute(described.format(what)).fetchall()) for what in (node.relation, f"(\n{sql}\n)")
    )
    if promised != made:
        differing = sorted(name for name, _ in promised.items() ^ made.items())
        raise duckdb.BinderException(f"the contract has other columns or types: {', '.join(dict.fromkeys(differing))}")
    connection.execute(f"insert into {node.relation} ({names}) select {names} from (\n{sql}\n)")


def _comments(node: Node, kind: str) -> str:
    told = [f"comment on {kind} {node.relation} is {_quoted(node.description)};"] if node.description else []
    told += [
        f"comment on column {node.relation}.{column.name} is {_quoted(column.description)};"
        for column in node.columns
        if column.description
    ]
    return "\n".join(told)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
