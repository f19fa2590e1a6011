"""Generate both days with their answers."""

import json
from datetime import date
from pathlib import Path

import duckdb

from .answers import write_answers
from .crm_changes import write_crm_changes
from .day_two import PER_SCENARIO, DayTwo
from .shop_b import TRUNCATED, write_truncated_copy
from .staff import Staff
from .traps import Traps
from .world import World

TODAY = date(2026, 10, 2)
TRAP_EVERY = 25  # published groups


def generate(out: Path, *, scale: float = 0.01, seed: int = 1, today: date = TODAY) -> dict:
    """Write a sample into `out` (see the package's documentation) and return its manifest: counts and settings.

    The same arguments give the same bytes. Raises ValueError when the scale is too small for every kind of record.
    """
    world = World(out, scale=scale, seed=seed, today=today)
    staff = world.staff = Staff(world)
    traps = Traps(staff)
    published = 0
    for in_a, in_b, fate in world.groups():
        group = world.make_group(in_a, in_b, fate)
        for record in group.records:
            staff.fill(record)
            if group.is_published and record.fault is None:
                published += 1
                if published % TRAP_EVERY == 1:
                    traps.lay(record)
                traps.place_waiting(record)
        for record in group.records:
            world.write(record)
    world.topic.break_some(max(2, round(10 * scale)), world.morning)
    messages = world.topic.write(out / "shop_b" / "events.ndjson")
    world.close()
    write_truncated_copy(out / "shop_b" / "history-1.json", out / "shop_b" / TRUNCATED)
    _as_csv(out / "registry.parquet", out / "registry.csv")
    write_answers(out, since=world.since)
    manifest = {
        "scale": scale,
        "seed": seed,
        "today": today.isoformat(),
        "since": world.since.date().isoformat(),
        "shop_a": {name: table.count for name, table in world.shop_a.items()},
        "shop_b": {name: file.count for name, file in world.history.items()} | {"messages": messages},
        "dead_letters": len(world.topic.broken),
    }
    manifest["day_two"] = _second_day(world)
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return manifest


def _second_day(world: World) -> dict:
    folder = world.out / "day_two"
    world.begin_second_day()
    day_two = DayTwo(world)
    day_two.happen(max(2, round(PER_SCENARIO * world.scale)))
    messages = world.topic.write(folder / "shop_b" / "events.ndjson")
    world.close()
    _as_csv(folder / "registry.parquet", folder / "registry.csv")
    write_answers(world.out, since=world.since, day=2)
    changes = write_crm_changes(world.out, day_two.scenarios)
    return {
        "shop_a": {name: table.count for name, table in world.shop_a.items()},
        "shop_b": {"messages": messages},
        "dead_letters": len(world.topic.broken),
        "crm_changes": changes,
    }


def _as_csv(parquet: Path, csv: Path) -> None:
    duckdb.sql(f"select * from '{parquet}'").write_csv(str(csv))
