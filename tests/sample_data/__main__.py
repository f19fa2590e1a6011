"""Command line of the sample data: `python -m tests.sample_data generate | quality`."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich import print, print_json
from rich.table import Table

from .generate import TODAY, generate
from .quality import measure_classes, measure_quality

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.command("generate")
def generate_command(
    out: Annotated[Path, typer.Option(help="Folder to write into.")],
    scale: Annotated[float, typer.Option(help="1 is 53,000 + 125,000 companies.", min=0.002)] = 0.01,
    seed: int = 1,
    today: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help=f"The first day: {TODAY}.")] = None,
) -> None:
    """Write both shops, the register's verdicts, a second day, and the known answers."""
    print_json(data=generate(out, scale=scale, seed=seed, today=today.date() if today else TODAY))


@app.command("quality")
def quality_command(
    answers: Annotated[Path, typer.Option(help="Folder of the sample.")],
    warehouse: Annotated[Path, typer.Option(help="DuckDB file with the marts built from it.")],
    day: Annotated[int, typer.Option(min=1, max=2)] = 1,
    show: Annotated[int, typer.Option(help="List so many misses of every measure.")] = 0,
) -> None:
    """Compare the marts with the known answers; exit 1 when a figure is under its bar."""
    figures = measure_quality(answers, warehouse, day=day, show=show)
    table = Table("measure", "figure", "at least", "", box=None)
    for figure in figures:
        share = "nothing to measure" if figure.share is None else f"{figure.share:.5f}"
        bar = f"{figure.measure.at_least:g}"
        table.add_row(figure.measure.name, share, bar, "" if figure.is_good else "[red]under the bar[/red]")
    print(table)
    table = Table("class of defect", "count", "should be", "are", box=None)
    for one in measure_classes(answers, warehouse, day=day):
        table.add_row(one.name, f"{one.count:,}", one.should_be, f"{one.share:.5f}")
    print(table)
    for figure in figures:
        if figure.misses:
            print(f"\n[bold]{figure.measure.name}[/bold]: {', '.join(figure.columns)}")
            for miss in figure.misses:
                typer.echo("  " + " | ".join(map(str, miss)))
    if not all(figure.is_good for figure in figures):
        raise typer.Exit(1)


@app.callback()
def main() -> None:
    """Sample data with known answers."""


if __name__ == "__main__":
    app()
