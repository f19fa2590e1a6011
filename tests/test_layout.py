"""The code keeps to what is said of it: how long a file may be, and which rooms there are."""

import re
from fnmatch import fnmatch
from pathlib import Path

from tests.installation import ROOT

LAYERS = ("staging", "intermediate", "marts", "analysis", "reports")  # each reads itself and those before it


def lengths(folder: Path, pattern: str) -> dict[str, int]:
    return {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in folder.rglob(pattern)}


def test_a_file_of_python_has_less_than_350_lines_and_a_model_less_than_120():
    python = {file: lines for name in ("ingest", "publish") for file, lines in lengths(ROOT / name, "*.py").items()}
    models = lengths(ROOT / "dbt_project" / "models", "*.sql")
    assert len(python) > 100 and len(models) > 100
    assert {file: lines for file, lines in python.items() if lines >= 350 and "/sandbox/" not in file} == {}
    assert {file: lines for file, lines in models.items() if lines >= 120} == {}


def test_no_model_of_what_is_published_reads_one_of_a_later_layer():
    folder = ROOT / "dbt_project" / "models"
    models = [path for layer in LAYERS for path in (folder / layer).rglob("*.sql")]
    layer = {path.stem: LAYERS.index(next(part for part in path.parts if part in LAYERS)) for path in models}
    assert {*layer.values()} == {*range(len(LAYERS))}
    upwards = [
        f"{path.stem} reads {read}"
        for path in models
        for read in re.findall(r"ref\('(\w+)'\)", path.read_text("utf-8"))
        if layer.get(read, 0) > layer[path.stem]  # a seed is read by all
    ]
    assert upwards == []


def test_the_readme_names_every_room():
    """In its table: a folder by its path, a module by its name or by a pattern."""
    rooms = re.findall(r"^\| (.*?) \|", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    unnamed = []
    for program in ("ingest", "publish"):
        of_program = [set(re.findall("`([^`]+)`", room)) for room in rooms if f"`{program}/" in room]
        named = set().union(*of_program)
        for path in (ROOT / program).iterdir():
            if path.suffix == ".py" and path.stem != "__init__":
                unnamed += [] if any(fnmatch(path.stem, name) for name in named) else [f"{program}/{path.name}"]
            elif (path / "__init__.py").exists() and f"{program}/{path.name}/" not in named:
                unnamed.append(f"{program}/{path.name}/")
    assert unnamed == []
