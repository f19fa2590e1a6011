"""Generate the second sample: sources, verdicts and answers."""

from pathlib import Path
from random import Random

from .cases import lay
from .world import World


def generate(out: Path, *, scale: float = 0.01, seed: int = 1) -> None:
    """Write a sample into `out`; scale 1 is about 190,000 company cards and 840,000 contacts.

    The same arguments give the same bytes.
    """
    rng = Random(seed)
    world = World(rng, max(60, round(150_000 * scale)))
    lay(rng, world, max(200, round(350_000 * scale)))
    world.write(out)
