"""The pages name only what there is: targets of make, commands with their options, settings, files, links."""

import ast
import configparser
import importlib.util
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from ingest.cli import app as ingest_app
from ingest.warehouse import variables
from publish.cli import app as publish_app
from tests.failures_page import as_on_the_page, failures
from tests.installation import ROOT

PAGES = [*sorted(ROOT.glob("README*.md")), ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = {"ingest": typer.main.get_command(ingest_app), "publish": typer.main.get_command(publish_app)}
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def said(page: Path) -> Iterator[str]:
    """What a page shows as typed: lines of code blocks, and code within the text."""
    text = page.read_text("utf-8")
    for block in FENCED.findall(text):
        yield from block.splitlines()[1:-1]
    prose = FENCED.sub("", text)
    yield from (line.strip() for line in prose.splitlines() if line.startswith("    "))
    yield from re.findall(r"`([^`\n]+)`", prose)


def commands(page: Path) -> Iterator[list[str]]:
    """Commands of the product and targets of make on a page, as words without what the shell does with them."""
    for line in said(page):
        words = shlex.split(line.replace("…", "").replace("'", '"') if line.count('"') % 2 == 0 else "", comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*|cd|&&|/\S+|\*\S*|docker|compose|run|--rm", words[0]):
            words = words[1:]
        is_output = any(word.endswith(":") for word in words[:3])
        if words and not is_output and Path(words[0]).name in {"make", "ingest", "publish", "svod"}:
            yield [Path(words[0]).name, *words[1:]]


def wrong(program: str, words: list[str]) -> str:
    """What there is not of a command line; '' when all of it is there."""
    if program == "svod":
        program = words[0] if words and words[0] in PROGRAMS else "publish"
        words = words[1:] if words and words[0] == program else words
    command: Any = PROGRAMS[program]
    for word in words:
        options = {name for parameter in command.params for name in [*parameter.opts, *parameter.secondary_opts]}
        if word.startswith("--"):
            if word.partition("=")[0] not in options | {"--help", "--version"}:
                return word
        elif hasattr(command, "commands") and re.fullmatch(r"[a-z0-9-]+", word):
            if word not in command.commands:
                return word
            command = command.commands[word]
    return ""


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_option_on_a_page_is_there(page: Path):
    there_is_not = []
    for program, *words in commands(page):
        if program != "make":
            missing = wrong(program, words)
        else:
            named = [word for word in words if re.fullmatch(r"[a-z][a-z-]*", word)]
            missing = " ".join(set(named) - targets())
        if missing:
            there_is_not.append(f"{program} {' '.join(words)}: {missing}")
    assert there_is_not == []


def test_the_pages_have_commands_to_look_at():
    assert sum(1 for page in PAGES for _ in commands(page)) > 60
    assert wrong("publish", ["push", "--let-trough"]) == "--let-trough"
    assert wrong("svod", ["ingest", "mysqld"]) == "mysqld"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_on_a_page_is_one(page: Path):
    named = set(re.findall(r"\bSVOD_[A-Z0-9_]*[A-Z0-9]\b", page.read_text("utf-8")))
    of_sources = re.compile(rf"SVOD_[A-Z0-9]+(_[A-Z])?_({'|'.join(variables.SOURCE_FIELDS)})")
    known = variables.SETTINGS | variables.OF_THE_CALLER
    begun = {name for name in named if any(other.startswith(f"{name}_") for other in known)}  # `SVOD_KAFKA_*`
    assert sorted(name for name in named - known - begun if not of_sources.fullmatch(name)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_file_on_a_page_leads_somewhere(page: Path):
    text = page.read_text("utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if not link.startswith("http")]
    files = [name for name in re.findall(r"`((?:docs|tests|dbt_project|publish|ingest)/[\w./]+\.\w+)`", text)]
    places = [*((page.parent / link) for link in links), *((ROOT / name) for name in files)]
    assert [str(place) for place in places if not place.exists()] == []


def test_every_failure_on_the_page_of_operations_is_provoked_by_a_test():
    """Those who call `as_on_the_page` have its words as they are on the page; it refuses others."""
    named = set()
    for file in (ROOT / "tests").rglob("test_*.py"):
        if as_on_the_page.__name__ in (text := file.read_text("utf-8")) and file != Path(__file__):
            named |= {node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)}
    assert len(failures()) > 40
    assert [words for words in failures() if words not in named] == []
    with pytest.raises(ValueError, match="has no failure"):
        as_on_the_page("it rains", "it rains")
    assert not as_on_the_page("… is no DuckDB file", "error: x is damaged")


def test_the_line_for_cron_runs_as_it_is_written_and_starts_no_second_run_beside_one(tmp_path):
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    (line,) = re.findall(r"^\*/15 \* \* \* \*  (.+)$", text, re.MULTILINE)
    (tmp_path / "Makefile").write_text("incremental:\n\t@echo landed; sleep 0.5\n")
    command = ["/bin/sh", "-c", line.replace("/opt/svod", str(tmp_path))]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(2)]
    assert sorted((run.communicate(timeout=30)[0], run.returncode) for run in runs) == [(b"", 0), (b"", 1)]
    assert (tmp_path / "svod.log").read_text() == "landed\n"


def test_unit_files_for_systemd_are_whole_and_start_commands_that_there_are():
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    units = [block for block in re.findall(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL) if "[Service]" in block]
    assert len(units) == 3
    for unit in units:
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(unit)
        program, *words = shlex.split(parser["Service"]["ExecStart"])
        if program.endswith("publish"):
            assert wrong("publish", words) == ""
        elif program.endswith("make"):
            assert words[-1] in targets()
        else:
            assert (program, words[0]) == ("/bin/sh", "-c")


def test_every_target_on_a_page_calls_commands_and_modules_that_there_are():
    named = {word for page in PAGES for program, *words in commands(page) if program == "make" for word in words}
    named &= targets()
    assert len(named) > 25
    done = ("--old-file=.venv/.ready", "--old-file=.venv/.dev")
    made = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", *done, *sorted(named)], cwd=ROOT, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    called = [shlex.split(line) for line in made.stdout.replace("\\\n", " ").splitlines() if ".venv/bin/" in line]
    there_is_not = []
    for words in called:
        words = [word for word in words if word != "exec" and not re.fullmatch(r"[A-Z_]+=.*", word)]
        program = Path(words[0]).name
        is_module = words[1:2] == ["-m"] and words[2].startswith("tests")
        if wrong(program, words[1:]) if program in PROGRAMS else is_module and not importlib.util.find_spec(words[2]):
            there_is_not.append(words)
    assert there_is_not == [] and len(called) > 20
