"""The models, built: dbt compiles the project once, this executes what it compiled.

    project = compiled.project(folder, environment)       # seconds the first time, then milliseconds, from a cache
    with open_warehouse(path) as connection:               # any connection that may write
        building.build(connection, project, journal.DBT_BEFORE_REGISTRY)
    ...                                                    # the registry's step lands its verdicts
    with open_warehouse(path) as connection:
        building.build(connection, project, journal.DBT_AFTER_REGISTRY)

Each call is one step of the journal and one transaction: readers see all of it or nothing. `build` raises OperatorError
with exit status 3 when a data test of severity error did not pass (the marts of before stay), 1 when a statement broke;
it builds nothing, and says so, where nothing landed since the last pass that passed all its tests; else what can have
changed by what landed (refreshing.py), or all, when asked to (`is_anew`) or when that cannot be told (landed.py).
A process that stays calls `compiled.project` in every cycle: it looks at the files and answers the same object while
none has changed.

dbt itself remains for people (`dbt build`, `make docs`), and proves this: tests/models/test_building.py.
"""
