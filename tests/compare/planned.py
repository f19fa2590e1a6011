"""Run by the interpreter of either side: its plan of a warehouse as Parquet files, one a part, and then as published.

    python planned.py WAREHOUSE FOLDER PORTAL

Imports nothing of these tests, for the other side's checkout has others. Each edition of the publisher is asked in its
own way; when its modules move again, a way is added here.
"""

import sys
from pathlib import Path

import duckdb

from ingest.warehouse.connection import open_warehouse

WRITTEN = "copy (select origin_id, action, wanted::varchar as wanted, sent::varchar as sent from {plan}) to '{path}'"
# The portal's answers are not there: every part gets a number as its id, and what was wanted counts as sent.
PUBLISHED = """
insert into sync.ledger ({portal_column} entity, origin_id, bitrix_id, sent, wanted, is_adopted, synced_at)
select {portal} '{entity}', origin_id, row_number() over (order by origin_id), wanted, wanted, false, '2026-01-01'
from {plan} where action = 'create'
"""


def compute(connection: duckdb.DuckDBPyConnection, portal: str) -> None:
    """Leave the plan in temporary tables `plan_<entity>`."""
    try:
        from publish.bitrix24.parts import PARTS
    except ModuleNotFoundError:  # 0.1.0
        from publish import changes
        from publish.ledger import Ledger

        Ledger(connection)
        changes.compute(connection)
        return
    from publish import plan
    from publish.ledger import Ledger

    plan.compute(Ledger(connection, portal), PARTS)


def main(warehouse: str, folder: str, portal: str) -> None:
    connection = open_warehouse(Path(warehouse))
    compute(connection, portal)
    has_portals = connection.execute(
        "from duckdb_columns() where schema_name = 'sync' and table_name = 'ledger' and column_name = 'portal'"
    ).fetchone()
    plans = connection.execute("select table_name from duckdb_tables() where temporary and table_name like 'plan_%'")
    Path(folder).mkdir(parents=True)
    for (plan,) in plans.fetchall():
        connection.execute(WRITTEN.format(plan=plan, path=Path(folder, f"{plan}.parquet")))
        connection.execute(
            PUBLISHED.format(
                plan=plan,
                entity=plan.removeprefix("plan_"),
                portal_column="portal," if has_portals else "",
                portal=f"'{portal}'," if has_portals else "",
            )
        )
    connection.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
