"""Creates that nobody needs to confirm: companies that waited for the registry when the portal was last filled.

A first load under a quota of verdicts a day comes in by the thousand a day, for weeks. What was going to come is no
surprise, so the change limit leaves it out. How much waited, the models measure after each full pass (ops.mart_sizes).
"""

import duckdb

from ingest.warehouse import journal


def awaited_creates(connection: duckdb.DuckDBPyConnection, published: int) -> int:
    """Of a kind of which so many parts are published: how many more were awaited at the last push that ended well.

    In proportion to companies: their people and orders come with them.
    """
    row = connection.execute(
        """select awaited_growth from ops.mart_sizes
           where mart = 'crm_companies' and measured_at < (
               select max(started_at) from ops.steps where step = ? and status = 'done'
           )
           order by measured_at desc limit 1""",
        [journal.PUBLISH_PUSH],
    ).fetchone()
    growth = float(row[0]) if row and row[0] is not None else 1.0
    return round((growth - 1) * published)
