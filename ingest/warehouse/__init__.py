"""The one DuckDB file all stages share: opening it, the journal of what ran, and errors an operator can act on."""
