"""ops.mart_stamps: is what would be published what a full pass left behind, with all its tests passed?

Each mart is stamped at the end of such a pass (dbt_project/macros/stamp_marts.sql): its number of rows and the sum of
their hashes, in which their order does not matter. Whatever changed a mart since then, the sum tells.
"""

from collections.abc import Collection, Iterable

import duckdb

from ingest.warehouse import journal
from ingest.warehouse.errors import OperatorError
from publish.parts import Part

_HINT = "`make incremental` builds and tests them all; nothing else may be published"


def check(connection: duckdb.DuckDBPyConnection, marts: Collection[str], hint: str = _HINT) -> None:
    """Return when every one of these marts is as its stamp says.

    Raises OperatorError with exit status 3 that names the marts that are not, and the model run that came after.
    """
    stamps = {mart: (rows, hashes) for mart, rows, hashes in _stamps(connection)}
    present = {mart: _content(connection, mart) for mart in sorted(marts)}
    unstamped = [mart for mart in present if mart not in stamps]
    if unstamped:
        problem = f"no full pass with all tests has left {', '.join(unstamped)} behind"
        raise OperatorError(problem, hint=hint, exit_status=3)
    differing = [mart for mart, content in present.items() if content != stamps[mart]]
    if differing:
        verb, them = ("is", "it") if len(differing) == 1 else ("are", "them")
        raise OperatorError(
            f"{', '.join(differing)} {verb} not what the last full pass left: {_culprit(connection)} changed {them}",
            hint=hint,
            exit_status=3,
        )


def still_right(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The marts that are as their stamps say."""
    return [mart for mart, rows, hashes in _stamps(connection) if _content(connection, mart) == (rows, hashes)]


def are_right(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether all marts that are published are as their stamps say."""
    sql = "select 'marts.' || mart, row_count, row_hash from ops.mart_stamps where step <> ?"
    stamped = connection.execute(sql, [journal.DBT_TRANSFER]).fetchall()
    return all(_content(connection, mart) == (rows, hashes) for mart, rows, hashes in stamped)


def stamp_again(connection: duckdb.DuckDBPyConnection, marts: Iterable[str]) -> None:
    """Stamp marts as they are now: of those that were right, after a change that may be published."""
    for mart in marts:
        rows, hashes = _content(connection, mart) or (0, 0)
        connection.execute(
            "update ops.mart_stamps set row_count = ?, row_hash = ? where mart = ?",
            [rows, hashes, mart.removeprefix("marts.")],
        )


def stamp_changes(connection: duckdb.DuckDBPyConnection, mart: str, changes: str, run_id: str, step: str) -> None:
    """Stamp a mart that was as its stamp says and has changed since: `changes` has the rows that went, and those that
    `came`. The sum of hashes is what it was but for theirs."""
    came, went = (
        f"""(select count(*), coalesce(sum(hash(mart_row)), 0)
            from (select * exclude (came) from {changes} where {which}) as mart_row)"""
        for which in ("came", "not came")
    )
    connection.execute(
        f"""update ops.mart_stamps as stamp
            set row_count = stamp.row_count + came.rows - went.rows,
                row_hash = stamp.row_hash + came.hashes - went.hashes, run_id = ?, step = ?, stamped_at = ?
            from {came} as came(rows, hashes), {went} as went(rows, hashes) where stamp.mart = ?""",
        [run_id, step, journal.utc_now(), mart.removeprefix("marts.")],
    )


def marts_of(parts: Iterable[Part]) -> set[str]:
    """The tables that a plan reads."""
    marts = set()
    for part in parts:
        marts.add(part.mart)
        if part.departed:
            marts |= {part.departed.mart, part.departed.words or part.departed.mart}
        marts |= {field.choices.mart for field in part.fields if field.choices and field.choices.mart}
    return marts


def _stamps(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, int, int]]:
    return connection.execute("select 'marts.' || mart, row_count, row_hash from ops.mart_stamps").fetchall()


def _content(connection: duckdb.DuckDBPyConnection, mart: str) -> tuple[int, int] | None:
    """Rows of a mart and the sum of their hashes; None when there is no such table."""
    try:
        ((rows, hashes),) = connection.execute(
            f"select count(*), coalesce(sum(hash(mart_row)), 0) from {mart} as mart_row"
        ).fetchall()
    except duckdb.CatalogException:
        return None
    return int(rows), int(hashes)


def _culprit(connection: duckdb.DuckDBPyConnection) -> str:
    """The model runs since the stamp, for people; the last of them did it, or somebody by hand."""
    later = connection.execute(
        """select step, detail ->> '$.command', started_at from ops.steps
           where (step = $1 or step like $1 || ' %') and started_at > (select max(stamped_at) from ops.mart_stamps)
           order by started_at desc limit 1""",
        [journal.DBT_ALL],
    ).fetchone()
    if later is None:
        return "somebody who wrote into the warehouse by hand"
    step, command, started_at = later
    return f"`{step}`{f' ({command})' if command else ''} of {started_at:%Y-%m-%d %H:%M} UTC"
