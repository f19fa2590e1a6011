"""Secrets planted in every setting that has one are in no output, log, table, file or list of processes of any command,
also where everything fails."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import duckdb
import pytest
import typer

from ingest.cli import app as ingest_app
from ingest.warehouse import variables
from ingest.warehouse.connection import open_warehouse
from publish.cli import app as publish_app
from publish.sandbox import Limits, RunningSandbox
from tests.publish import marts

PLANTED = "pl4nted"  # a part of every secret: looking for it finds all
SECRETS = {
    "SVOD_SHOP_A_URL": f"mysql://svod:{PLANTED}-mysql@127.0.0.1:1/shop",
    "SVOD_KAFKA_PASSWORD": f"{PLANTED}-kafka",
    "SVOD_KAFKA_KEY_PASSWORD": f"{PLANTED}-key",
    "SVOD_REGISTRY_TOKEN": f"{PLANTED}-token",
    "SVOD_REGISTRY_SECRET": f"{PLANTED}-secret",
    "SVOD_FORGET_KEY": f"{PLANTED}-forget-key-of-thirty-two-signs",
    "SVOD_NOTIFY_URL": f"http://127.0.0.1:1/bot{PLANTED}-notify/sendMessage?chat_id=1",
}
PORTALS = {"SVOD_BITRIX24_WEBHOOK", "SVOD_CLOUD_WEBHOOK", "SVOD_BOX_WEBHOOK"}  # of a sandbox
OTHERS = {
    "SVOD_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    "SVOD_KAFKA_USER": "svod",
    "SVOD_SHOP_B_FILES": "nowhere/*.json",
    "SVOD_REGISTRY_URL": "http://127.0.0.1:1",
    "SVOD_BITRIX24_RATE": "0",
    "SVOD_INSPECT_MASK": "true",
}
# Every command, with what it has to be told; those that write, serve or go on for long are told what ends them soon.
COMMANDS = {
    "ingest": {
        "mysql": [], "json": [], "kafka": [], "registry": [], "backup": ["--help"], "bitrix24": [],
        "status": [], "check": [],
        "copy": [], "inspect": ["--help"], "journal": ["list"],
    },
    "publish": {
        "push": [], "plan": ["--show", "2"], "status": ["--details"], "gate": [], "check": ["--notify"],
        "retry": ["--all"], "discard": ["--all"], "forget": ["--phone", "+79160000001"], "transfer": ["status"],
        "run": ["--help"], "sandbox": ["--help"], "follow": ["--help"], "report": [], "explain": ["c-1"],
    },
}  # fmt: skip
# Asked of a portal, a registry, a storage and a messenger that refuse, and repeat all they were sent in their answers.
OF_WHO_REPEATS = [
    "publish push", "publish run", "publish check --notify", "ingest check", "ingest registry", "ingest bitrix24",
    "ingest backup",
]  # fmt: skip
OF_A_MOVE = {
    "baseline": "--no-backup", "rehearsal": "--automation-is-off", "delta": "", "final": "--confirm frozen", "plan": "",
    "verify": "", "status": "", "push": "", "retry": "--all", "dates": "", "report": "",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("secrets")
    with open_warehouse(folder / "svod.duckdb") as connection:
        marts.prepare(connection)
        marts.fill(connection, 3, 3, 3)
        connection.execute("create schema if not exists intermediate")
        connection.execute(
            """create table intermediate.int_companies__registry_queue as
               select '7707083893' as inn, 0 as place, 'others' as reason, 1::double as ttl_factor"""
        )
    (folder / "links.txt").write_text(f"https://127.0.0.1:1/{PLANTED}-link/backup.tar.gz\n")
    return folder


# Runs commands one after another in one process, which is quick, and ends each one's output with a line.
DRIVER = """if True:
    import json, sys
    import stamina
    stamina.set_testing(True, attempts=2)  # tries again without waiting
    from ingest import cli as ingest
    from publish import cli as publish
    for program, *words in json.load(open(sys.argv[1])):
        sys.argv = [program, *words]
        try:
            {"ingest": ingest, "publish": publish}[program].main()
        except SystemExit:
            pass
        sys.stdout.flush()
        print(f"== {program} {' '.join(words)}", file=sys.stderr, flush=True)
"""


class Repeats(BaseHTTPRequestHandler):
    """Knows nobody, and says what it was asked: address, headers and body."""

    def do_GET(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode(errors="replace")
        told = f"nobody at http://{self.headers['Host']}{self.path} {dict(self.headers)} {sent}"
        body = json.dumps({"error": "INVALID_CREDENTIALS", "error_description": told, "message": told}).encode()
        self.send_response(401, told.replace("\n", " ")[:300].encode("ascii", "replace").decode())
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def repeating() -> Iterator[str]:
    """The address of a server that repeats what it is sent."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Repeats) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def said(folder):
    """What every command said, by its name, and under `processes` the command lines of all processes meanwhile."""
    with RunningSandbox(limits=Limits.none(), secret=f"{PLANTED}-portal") as sandbox:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SVOD_")}
        environment |= OTHERS | SECRETS | {
            "SVOD_ENV_FILE": os.devnull,
            "SVOD_WAREHOUSE": str(folder / "svod.duckdb"),
            "SVOD_METRICS_FILE": str(folder / "svod.prom"),
            "SVOD_BITRIX24_WEBHOOK": sandbox.webhook,
            "SVOD_CLOUD_WEBHOOK": sandbox.webhook.replace("-portal", "-cloud"),  # refused
            "SVOD_BOX_WEBHOOK": sandbox.webhook.replace("-portal", "-box").replace("127.0.0.1", "localhost"),
            "SVOD_TRANSFER_BACKUP_LINKS": str(folder / "links.txt"),
        }  # fmt: skip
        there = {program: names(program) for program in COMMANDS}
        told = run(
            [
                [program, command, *arguments]
                for program, commands in COMMANDS.items()
                for command, arguments in commands.items()
                if command in there[program]
            ],
            folder,
            environment,
        )
        wrong = environment | dict.fromkeys(("SVOD_SHOP_A_URL", "SVOD_BITRIX24_WEBHOOK", "SVOD_NOTIFY_URL"), PLANTED)
        of_wrong = run([["publish", "push"], ["publish", "run"], ["ingest", "mysql"]], folder, wrong)
    with repeating() as address:
        (folder / "links.txt").write_text(f"{address}/{PLANTED}-link/backup.tar.gz\n")
        portals = {
            "SVOD_BITRIX24_WEBHOOK": f"{address}/rest/1/{PLANTED}-portal/",
            "SVOD_CLOUD_WEBHOOK": f"{address}/rest/1/{PLANTED}-cloud/",
            "SVOD_BOX_WEBHOOK": f"{address.replace('127.0.0.1', 'localhost')}/rest/1/{PLANTED}-box/",
        }
        others = {"SVOD_REGISTRY_URL": address, "SVOD_NOTIFY_URL": f"{address}/bot{PLANTED}/sendMessage?chat_id=1"}
        moves = [f"publish transfer {command} {words}" for command, words in OF_A_MOVE.items()]
        commands = [command.split() for command in OF_WHO_REPEATS + moves]
        of_repeated = run(commands, folder, environment | portals | others)
    told |= {f"{command}, repeated": text for command, text in of_repeated.items()}
    return told | {f"{command} with wrong settings": text for command, text in of_wrong.items()}


def names(program: str) -> set[str]:
    return set(typer.main.get_command(ingest_app if program == "ingest" else publish_app).commands)


def run(commands: list[list[str]], folder: Path, environment: dict[str, str]) -> dict[str, str]:
    (folder / "commands.json").write_text(json.dumps(commands))
    words, seen = [sys.executable, "-c", DRIVER, str(folder / "commands.json")], set()
    with (folder / "said.txt").open("w+") as file:
        process = subprocess.Popen(words, cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT)
        while process.poll() is None:
            seen |= {read(line) for line in Path("/proc").glob("[0-9]*/cmdline")}
            time.sleep(0.1)
        file.seek(0)
        *parts, rest = re.split(r"^== (.+)$", file.read(), flags=re.MULTILINE)
    assert process.returncode == 0, rest
    return dict(zip(parts[1::2], parts[::2], strict=True)) | {"processes": "\n".join(seen)}


def read(file: Path) -> str:
    try:
        return file.read_text("utf-8", errors="replace").replace("\0", " ")
    except OSError:
        return ""


def test_every_secret_setting_is_planted_and_every_command_is_run(said):
    secret = re.compile(r"PASSWORD|TOKEN|SECRET|WEBHOOK|_KEY$|NOTIFY_URL")
    assert {name for name in variables.SETTINGS if secret.search(name)} - SECRETS.keys() == PORTALS
    for program, commands in COMMANDS.items():
        assert names(program) <= commands.keys(), "name a new command here"
    assert set(typer.main.get_command(publish_app).commands["transfer"].commands) == OF_A_MOVE.keys()


def test_no_secret_is_said_by_any_command_nor_in_the_list_of_processes(said):
    for command, told in said.items():
        assert PLANTED not in told, f"{command}: {told[max(0, told.find(PLANTED) - 200) :][:400]}"
        assert "Traceback (most recent call last)" not in told, command


def test_the_failures_were_met(said):
    assert "MySQL svod@127.0.0.1:1/shop" in said["ingest mysql"]
    assert "created company 3" in said["publish push"]
    assert "no message was taken: ConnectError" in said["publish check --notify"]
    assert "3 settings are wrong" in said["publish run with wrong settings"]
    for command in ("publish push", "publish run", "ingest bitrix24", "publish transfer delta"):
        assert "nobody at http://" in said[f"{command}, repeated"], said[f"{command}, repeated"]
    assert "no message was taken: HTTP 401" in said["publish check --notify, repeated"]
    assert "401" in said["ingest registry, repeated"] and "401" in said["ingest backup, repeated"]
    assert "ConnectError" in said["ingest registry"]


def test_no_secret_is_in_any_file_or_table(said, folder):
    files = [file for file in folder.rglob("*") if file.is_file() and file.name not in ("links.txt", "said.txt")]
    assert {"svod.duckdb", "svod.prom"} <= {file.name for file in files}
    for file in files:
        assert PLANTED.encode() not in file.read_bytes(), file
    with duckdb.connect(str(folder / "svod.duckdb"), read_only=True) as connection:
        for schema, table in connection.execute("select schema_name, table_name from duckdb_tables()").fetchall():
            found = f"""select count(*) from "{schema}"."{table}" as t where contains(t::varchar, '{PLANTED}')"""
            assert connection.execute(found).fetchall() == [(0,)], (schema, table)
