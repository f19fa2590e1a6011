"""What dbt does with a warehouse it opens: the same as `open_warehouse`, so that dbt by hand needs nothing run before.

Named in dbt_project/profiles.yml; see dbt.adapters.duckdb.plugins.
"""

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin

from ingest.warehouse import private
from ingest.warehouse.schema import ensure_schema


class Plugin(BasePlugin):
    """Brings the schemas that programs write to up to date."""

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Called with each connection that dbt opens, before any model is built."""
        private.keep_new_files_private()  # DuckDB makes its log when something is first written
        ensure_schema(conn)
