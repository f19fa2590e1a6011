"""`python -m tests.compare --against REVISION_OR_CHECKOUT --scale 0.2`: does this code do what that code did, as fast?

Both days of a sample are landed; each side runs its own models and makes its own plan over copies of the same raw rows.
Ends with status 1 on any difference in marts, ids, plan or raw rows. `--timed 5` measures the models instead.
"""

import statistics
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tests.bench.samples import sources as made_sources
from tests.compare.differences import Comparison, Difference, renamed
from tests.compare.landing import StepFailed, land, landed_copy
from tests.compare.sides import Side, checkout_of
from tests.installation import ROOT, Ended, Installation

FOLDER = ROOT / ".cache" / "compare"
PASSES: dict[str, tuple[str, ...]] = {"first": (), "all anew": ("--full",), "nothing landed": ()}
console = Console(width=None if sys.stdout.isatty() else 160)


def compare(
    against: Annotated[str, typer.Option(help="A git revision, or the folder of a checkout with its .venv.")],
    scale: Annotated[float, typer.Option(help="1 is 178,000 companies, 675,000 contacts, 700,000 orders.")] = 0.2,
    timed: Annotated[int, typer.Option(help="Measure so many rounds of old and new in turns, compare nothing.")] = 0,
    renames: Annotated[
        list[str] | None, typer.Option("--renamed", help="[relation.]old=new column, repeatable.")
    ] = None,
    show: Annotated[int, typer.Option(help="Differing rows to show of each relation and side.")] = 3,
    sources: Annotated[Path | None, typer.Option(help="A generated sample, instead of one of that scale.")] = None,
) -> None:
    """Compare the present checkout (new) with another revision (old)."""
    try:
        names = renamed(renames or [])
        folder = FOLDER / f"scale-{scale:g}"
        sample = sources or made_sources(scale)
        old = Side("old", checkout_of(against, FOLDER / "checkouts"), sample, folder)
        new = Side("new", ROOT, sample, folder)
        landed = [Installation(folder / f"landed by {side.name}", checkout=side.checkout) for side in (old, new)]
        land(landed[1:] if timed else landed, sample)
        if timed:
            measure(old, new, landed_copy(landed[1], 1), timed)
            return
        is_same = landed_alike(*landed, names, show)
        for day in (1, 2):
            is_same = alike(day, old, new, landed_copy(landed[1], day), names, show) and is_same
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    except StepFailed as error:
        console.print(str(error), markup=False, highlight=False)
        raise typer.Exit(1) from None
    console.print("nothing differs" if is_same else "[red]the two differ[/red]")
    raise typer.Exit(0 if is_same else 1)


def landed_alike(old: Installation, new: Installation, renames: dict[str, dict[str, str]], show: int) -> bool:
    with Comparison(landed_copy(old, 2), landed_copy(new, 2), renames, show) as comparison:
        return report("raw: landed by either side, both days", comparison.raw())


def alike(day: int, old: Side, new: Side, landed: Path, renames: dict[str, dict[str, str]], show: int) -> bool:
    """Run both sides over what was landed until a day, show the differences; whether nothing binding differs."""
    plans = []
    for side in (old, new):
        if day == 1:
            side.take(landed)
        else:
            side.take_day_two(landed)
        ended = side.passes(day)
        console.print(f"day {day}, {side.name}: models {ended.seconds:.1f} s, {ended.peak_mb:.0f} MB", highlight=False)
        plans.append(side.planned(day))
    with Comparison(old.warehouse, new.warehouse, renames, show) as comparison:
        same = [
            report(f"day {day}: marts", comparison.marts()),
            report(f"day {day}: ids", comparison.ids()),
            report(f"day {day}: plan", comparison.plans(*plans)),
        ]
        report(f"day {day}: models of the same name, for information", comparison.models())
    return all(same)


def report(title: str, differences: Iterable[Difference]) -> bool:
    """Print a table; whether all binding relations in it are equal."""
    table = Table(
        "relation", "rows old", "rows new", "only old", "only new", "", title=title, title_justify="left", box=None
    )
    for column in table.columns[1:5]:
        column.justify = "right"
    shown = list(differences)
    for difference in shown:
        style = None if difference.is_equal else "red" if difference.is_binding else "yellow"
        numbers = (difference.old_rows, difference.new_rows, difference.only_old, difference.only_new)
        cells = ("" if number is None else f"{number:,}" for number in numbers)
        table.add_row(difference.relation, *cells, "; ".join([*difference.broken, *difference.notes]), style=style)
    console.print(table)
    for difference in shown:
        if difference.is_binding:
            for example in difference.examples:
                console.print(f"  {difference.relation} {example}", markup=False, highlight=False, soft_wrap=True)
    return all(difference.is_equal or not difference.is_binding for difference in shown)


def measure(old: Side, new: Side, landed: Path, rounds: int) -> None:
    """The models in a new warehouse, all anew in the same, and where nothing has landed since; old and new in turns, a
    process each, seen from outside."""
    table = Table("round", "side", *(f"{pass_} {unit}" for pass_ in PASSES for unit in ("s", "MB")), box=None)
    ended: dict[str, list[list[Ended]]] = {"old": [], "new": []}
    for number in range(1, rounds + 1):
        for side in (old, new):
            side.take(landed)
            passes = [replace(side.passes(1, *options), output="") for options in PASSES.values()]
            ended[side.name].append(passes)
            figures = [figure for run in passes for figure in (run.seconds, run.peak_mb)]
            table.add_row(str(number), side.name, *(f"{figure:.1f}" for figure in figures))
            told = ", ".join(f"{pass_} {run.seconds:.1f} s" for pass_, run in zip(PASSES, passes, strict=True))
            console.print(f"round {number}, {side.name}: {told}")
    medians = {
        side: [
            statistics.median(getattr(passes[place], figure) for passes in runs)
            for place in range(len(PASSES))
            for figure in ("seconds", "peak_mb")
        ]
        for side, runs in ended.items()
    }
    for side, figures in medians.items():
        table.add_row("median", side, *(f"{figure:.1f}" for figure in figures))
    ratios = [after / before for before, after in zip(medians["old"], medians["new"], strict=True)]
    table.add_row("new / old", "", *(f"{ratio:.3f}" for ratio in ratios))
    console.print(table)


if __name__ == "__main__":
    typer.run(compare)
