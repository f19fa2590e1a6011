"""The sources that are measured, made once for all that measures them."""

import hashlib
import shutil
from collections.abc import Callable
from modulefinder import ModuleFinder
from pathlib import Path

from rich.console import Console

from tests.installation import ROOT
from tests.sample_data.generate import generate
from tests.second_sample.generate import generate as generate_second

FOLDER = ROOT / ".cache" / "bench"
GENERATORS: dict[str, Callable[..., object]] = {"first": generate, "second": generate_second}


def sources(scale: float, generator: str = "first") -> Path:
    """The sources of a scale that a generator makes, made once by each edition of it."""
    make = GENERATORS[generator]
    edition = edition_of(make.__module__)
    folder = FOLDER / f"{'sources' if generator == 'first' else generator}-{scale:g}-{edition}"
    if not (folder / "manifest.json").exists():
        Console().print(f"generating the {generator} sources at scale {scale:g} (seed 1, edition {edition})")
        shutil.rmtree(folder, ignore_errors=True)
        make(folder, scale=scale, seed=1)
    return folder


def edition_of(module: str) -> str:
    """Eight digits that change with a module of ours and with any that it imports: sources of before may be other
    ones, and answers of before may not know yet what the models are judged by."""
    finder = ModuleFinder(path=[str(ROOT)])
    finder.import_hook(module)
    files = sorted(found.__file__ for found in finder.modules.values() if found.__file__)
    return hashlib.sha256(b"\0".join(Path(file).read_bytes() for file in files)).hexdigest()[:8]
