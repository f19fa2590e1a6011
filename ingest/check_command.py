"""The command `ingest check`; what it tries is in `check`, which is imported when it is asked for."""

from typing import Annotated

import typer

from ingest.settings import read_settings
from ingest.warehouse.findings import exit_status


def check_command(
    as_json: Annotated[bool, typer.Option("--json", help="For `publish check`, a line each.")] = False,
) -> None:
    """Try each source, the registry and the place of the warehouse; `publish check` tries the portal as well."""
    from ingest.check import findings

    told = []
    for finding in findings(read_settings()):
        if as_json:
            print(finding.to_json(), flush=True)
        else:
            finding.show()
        told.append(finding)
    raise typer.Exit(exit_status(told))
