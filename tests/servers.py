"""Real servers for tests: MariaDB and Apache Kafka (KRaft), each on a private folder and port of its own.

`python -m tests.servers install` brings what is missing: MariaDB and a Java runtime as Debian packages, Kafka's jars by
Maven. `python -m tests.servers around COMMAND` runs a command with one of each for all its processes. A started server
dies with the process that started it, however that ends.
"""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, unquote, urlsplit
from uuid import uuid4

import pymysql
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic
from kafka.errors import KafkaError

ROOT = Path(__file__).parent.parent
KAFKA_JARS = ROOT / ".cache" / "kafka"
HINT = "run `make services` (or start compose.yaml and set SVOD_TEST_MYSQL_URL and SVOD_TEST_KAFKA)"
DEBIAN_PACKAGES = {
    "mariadbd": "mariadb-server", "java": "default-jre-headless", "mvn": "maven", "chromium": "chromium",
}  # fmt: skip
STARTUP_SECONDS = 60


class ServerMissing(RuntimeError):
    """A server's binaries are not on this machine, or it did not come up."""


def binary(name: str) -> str | None:
    """Path of a program; Debian keeps servers in /usr/sbin, which is not on every PATH."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def die_with_parent() -> None:
    """Ask Linux to kill this child when its parent is gone: a test run that was killed leaves no server behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG, prctl(2)


@contextmanager
def running(command: list[str], log: Path, is_up: Callable[[], bool]) -> Iterator[None]:
    """Start a server, wait until it answers, kill it at the end: its folder is thrown away, nothing need be saved."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, preexec_fn=die_with_parent)
    try:
        deadline = time.monotonic() + STARTUP_SECONDS
        while not is_up():
            if process.poll() is not None or time.monotonic() > deadline:
                raise ServerMissing(f"{command[0]} did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


class MariaDB:
    """A server one may create databases on."""

    def __init__(self, host: str, port: int, user: str, password: str) -> None:
        self.host, self.port, self.user, self.password = host, port, user, password
        self.restart: Callable[[], None] = lambda: None  # where it was started here

    def url(self, database: str) -> str:
        """The address in the form of SVOD_SHOP_A_URL."""
        return f"mysql://{quote(self.user)}:{quote(self.password, safe='')}@{self.host}:{self.port}/{database}"

    def connect(self, database: str | None = None, **options: object) -> pymysql.Connection:
        """A new connection; it commits by itself."""
        login = {"host": self.host, "port": self.port, "user": self.user, "password": self.password}
        return pymysql.connect(**login, database=database, autocommit=True, charset="utf8mb4", **options)

    def answers(self) -> bool:
        """Whether one can log in."""
        try:
            self.connect().close()
        except pymysql.MySQLError:
            return False
        return True

    @contextmanager
    def database(self) -> Iterator[str]:
        """A new empty database, dropped at the end."""
        name = f"svod_{uuid4().hex[:8]}"
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"create database {name} character set utf8mb4")
            yield name
            cursor.execute(f"drop database {name}")


@contextmanager
def mariadb_server(*more_options: str) -> Iterator[MariaDB]:
    """The server at SVOD_TEST_MYSQL_URL, else one started here, which gets `more_options` and is started in any case
    when there are some. Raises ServerMissing when there is neither."""
    if not more_options and (address := os.environ.get("SVOD_TEST_MYSQL_URL")):
        parts = urlsplit(address)
        yield MariaDB(parts.hostname, parts.port or 3306, unquote(parts.username), unquote(parts.password or ""))
        return
    server, install = binary("mariadbd"), binary("mariadb-install-db")
    if not (server and install):
        raise ServerMissing(f"MariaDB is not installed: {HINT}")
    with TemporaryDirectory(prefix="svod-mariadb-", ignore_cleanup_errors=True) as folder:
        user = ["--user=root"] if os.geteuid() == 0 else []
        data = f"--datadir={folder}/data"
        subprocess.run(
            [install, "--no-defaults", *user, data, "--auth-root-authentication-method=normal", "--skip-test-db"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        mariadb = MariaDB("127.0.0.1", free_port(), "root", "")
        options = ["--bind-address=127.0.0.1", f"--port={mariadb.port}", f"--socket={folder}/socket"]
        options += [f"--pid-file={folder}/pid", "--skip-log-bin", "--innodb-flush-log-at-trx-commit=0"]
        options += ["--local-infile=1", "--innodb-buffer-pool-size=256M", "--max-allowed-packet=64M"]
        options += more_options
        with ExitStack() as stack:

            def start() -> None:
                stack.close()
                command = [server, "--no-defaults", *user, data, *options]
                stack.enter_context(running(command, Path(folder, "log"), mariadb.answers))

            start()
            mariadb.restart = start
            with mariadb.connect() as connection, connection.cursor() as cursor:
                cursor.execute("alter user root@localhost identified by 'p@ss:word/1'")
            mariadb.password = "p@ss:word/1"
            yield mariadb


class Kafka:
    """A broker one may create topics on; with TLS, `ssl` wants a client's certificate, `sasl` a login."""

    def __init__(self, bootstrap: str, ssl: str = "", sasl: str = "") -> None:
        self.bootstrap, self.ssl, self.sasl = bootstrap, ssl, sasl
        self.restart: Callable[[], None] = lambda: None  # kills it and starts it again, where it was started here

    def admin(self) -> KafkaAdminClient:
        """A connected admin client."""
        return KafkaAdminClient(bootstrap_servers=self.bootstrap)

    def producer(self, **options: object) -> KafkaProducer:
        """A connected producer."""
        return KafkaProducer(bootstrap_servers=self.bootstrap, **options)

    def answers(self) -> bool:
        """Whether the broker takes requests."""
        try:
            KafkaAdminClient(bootstrap_servers=self.bootstrap, bootstrap_timeout_ms=1000).close()
        except (KafkaError, OSError):
            return False
        return True

    @contextmanager
    def topic(self, partitions: int = 3, **config: str) -> Iterator[str]:
        """A new topic, deleted at the end; `config` as in cleanup_policy="compact"."""
        name = f"shop-b.companies.{uuid4().hex[:8]}"
        configs = {key.replace("_", "."): value for key, value in config.items()}
        admin = self.admin()
        try:
            admin.create_topics(
                [NewTopic(name, num_partitions=partitions, replication_factor=1, topic_configs=configs)]
            )
            yield name
            admin.delete_topics([name])
        finally:
            admin.close()


BROKER = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{more_listeners}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL
controller.listener.names=CONTROLLER
log.dirs={folder}/data
num.partitions=3
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
offsets.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.retention.hours=168
"""
KAFKA_LOGIN = ("svod", "p@ss: word")
TLS = """
ssl.keystore.type=PEM
ssl.keystore.location={tls}/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location={tls}/ca.pem
listener.name.ssl.ssl.client.auth=required
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config={jaas}.plain.PlainLoginModule required user_{user}="{password}";
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config={jaas}.scram.ScramLoginModule required;
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={jaas}.scram.ScramLoginModule required;
"""


@contextmanager
def kafka_server(tls: Path | None = None) -> Iterator[Kafka]:
    """The broker at SVOD_TEST_KAFKA, else one started here, as always with `tls`: a folder with broker.pem (key and
    certificate for localhost) and ca.pem (who signs clients). Raises ServerMissing when there is neither."""
    if not tls and (address := os.environ.get("SVOD_TEST_KAFKA")):
        yield Kafka(address)
        return
    java = binary("java")
    if not java or not any(KAFKA_JARS.glob("kafka_2.13-*.jar")):
        raise ServerMissing(f"Java or Kafka's jars are not installed: {HINT}")
    with TemporaryDirectory(prefix="svod-kafka-", ignore_cleanup_errors=True) as folder:
        port, ssl, sasl = free_port(), free_port(), free_port()
        properties = Path(folder, "server.properties")
        more_listeners = f",SSL://localhost:{ssl},SASL_SSL://localhost:{sasl}" if tls else ""
        text = BROKER.format(port=port, controller=free_port(), folder=folder, more_listeners=more_listeners)
        accounts = []
        if tls:
            user, password = KAFKA_LOGIN
            text += TLS.format(tls=tls, jaas="org.apache.kafka.common.security", user=user, password=password)
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
                accounts += ["--add-scram", f"{mechanism}=[name={user},password={password}]"]
        properties.write_text(text)
        jvm = [java, "-Xmx384m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{KAFKA_JARS}/*"]
        subprocess.run(
            [
                *jvm,
                "kafka.tools.StorageTool",
                "format",
                "-t",
                "c3ZvZC10ZXN0cy1rYWZrYQ",
                "-c",
                str(properties),
                *accounts,
            ],
            check=True,
            capture_output=True,
        )
        kafka = Kafka(f"127.0.0.1:{port}", f"localhost:{ssl}", f"localhost:{sasl}")
        with ExitStack() as stack:

            def start() -> None:
                stack.close()
                stack.enter_context(running([*jvm, "kafka.Kafka", str(properties)], Path(folder, "log"), kafka.answers))

            start()
            kafka.restart = start
            yield kafka


def install() -> None:
    """Install what is missing. Raises CalledProcessError when the package manager or Maven fails."""
    packages = [package for program, package in DEBIAN_PACKAGES.items() if not binary(program)]
    has_jars = any(KAFKA_JARS.glob("kafka_2.13-*.jar"))
    if has_jars and "maven" in packages:
        packages.remove("maven")
    if packages and os.geteuid():
        sys.exit(f"these packages are missing, and only root can install them: apt-get install {' '.join(packages)}")
    if packages:
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], check=True, env=environment)
        # Debian starts a server's service as it installs it; this says no, as policy-rc.d(8) lets one do.
        policy = Path("/usr/sbin/policy-rc.d")
        had_policy = policy.exists()
        if not had_policy:
            policy.write_text("#!/bin/sh\nexit 101\n")
            policy.chmod(0o755)
        try:
            subprocess.run(
                ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages], check=True, env=environment
            )
        finally:
            if not had_policy:
                policy.unlink()
    if not has_jars:
        pom = ROOT / "tests" / "kafka-pom.xml"
        partly = KAFKA_JARS.with_name("kafka.part")
        subprocess.run(
            [
                *("mvn", "-q", "-B", "-Dstyle.color=never", "-f", str(pom)),
                *("dependency:copy-dependencies", f"-DoutputDirectory={partly}"),
            ],
            check=True,
        )
        shutil.rmtree(KAFKA_JARS, ignore_errors=True)
        partly.rename(KAFKA_JARS)
    print("MariaDB, Kafka and Chromium for tests are installed")


def around(command: list[str]) -> int:
    """Run a command while both servers are up, which its environment tells it of; its exit status."""
    with mariadb_server() as mariadb, kafka_server() as kafka:
        addresses = {"SVOD_TEST_MYSQL_URL": mariadb.url(""), "SVOD_TEST_KAFKA": kafka.bootstrap}
        return subprocess.run(command, env=os.environ | addresses, check=False).returncode


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["install"]:
            install()
        case ["around", *command] if command:
            sys.exit(around(command))
        case _:
            sys.exit("usage: python -m tests.servers install | around COMMAND")
