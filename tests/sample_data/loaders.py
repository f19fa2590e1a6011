"""Puts a generated sample where Svod will read it: tables on a MySQL or MariaDB server, messages in a Kafka topic."""

import base64
import json
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import duckdb
import pymysql
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

TOPIC = "shop-b.companies"
PARTITIONS = 6
ID = "INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY"
CHANGES = {"created_at": "DATETIME NOT NULL", "updated_at": "DATETIME NOT NULL"}
FLAG = {"is_deleted": "TINYINT(1) NOT NULL DEFAULT 0"}
TABLES = {  # as shop A's owner declared them
    "clients": {
        "id": ID,
        "name": "VARCHAR(255)",
        "inn": "VARCHAR(32)",
        "kpp": "VARCHAR(32)",
        "ogrn": "VARCHAR(32)",
        "legal_address": "VARCHAR(500)",
        "bank_name": "VARCHAR(255)",
        "bik": "VARCHAR(32)",
        "account": "VARCHAR(40)",
        "corr_account": "VARCHAR(40)",
        **FLAG,
        **CHANGES,
    },
    "client_contacts": {
        "id": ID,
        "client_id": "INT UNSIGNED NOT NULL",
        "full_name": "VARCHAR(255)",
        "position": "VARCHAR(255)",
        "phone": "VARCHAR(255)",
        "email": "VARCHAR(255)",
        **FLAG,
        **CHANGES,
    },
    "orders": {
        "id": ID,
        "client_id": "INT UNSIGNED NOT NULL",
        "contact_id": "INT UNSIGNED",
        "number": "VARCHAR(32) NOT NULL",
        "status": "VARCHAR(16) NOT NULL",
        "total": "DECIMAL(14,2) NOT NULL",
        **CHANGES,
    },
}


def day_folder(folder: Path, day: int) -> Path:
    """Where a day's sources lie: day one at the top, day two in `day_two`."""
    return folder if day == 1 else folder / "day_two"


def load_mysql(url: str, folder: Path, day: int = 1, *, latin1: Collection[str] = ()) -> dict[str, int]:
    """Load a day into the database of `url` (`mysql://user:password@host:port/database`); return rows per table.

    Day one makes the tables anew, CHARSET=cp1251; those named in `latin1` are declared latin1 and hold the bytes of
    Windows-1251, as after a careless migration. Day two replaces and adds rows. The account may create and load.
    Raises pymysql.MySQLError, also for a text that the column's charset cannot hold.
    """
    parts = urlsplit(url)
    server = pymysql.connect(
        host=parts.hostname,
        port=parts.port or 3306,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=parts.path.strip("/"),
        charset="utf8mb4",
        local_infile=True,
    )
    counts = {}
    with server, server.cursor() as cursor, tempfile.TemporaryDirectory() as scratch:
        cursor.execute("set sql_mode = 'TRADITIONAL'")
        for table, columns in TABLES.items():
            charset = "latin1" if table in latin1 else "cp1251"
            if day == 1:
                listed = ", ".join(f"`{name}` {declared}" for name, declared in columns.items())
                cursor.execute(f"drop table if exists `{table}`")
                cursor.execute(f"create table `{table}` ({listed}, key (updated_at)) default charset={charset}")
            csv = Path(scratch) / f"{table}.csv"
            source = day_folder(folder, day) / "shop_a" / f"{table}.parquet"
            _write_csv(source, csv, columns)
            if table in latin1:
                csv.write_bytes(csv.read_bytes().decode().encode("cp1251"))
            counts[table] = cursor.execute(
                f"load data local infile %s replace into table `{table}` "
                f"character set {'latin1' if table in latin1 else 'utf8mb4'} "
                """fields terminated by ',' optionally enclosed by '"' escaped by '' lines terminated by '\\n'""",
                [str(csv)],
            )
        server.commit()
    return counts


def _write_csv(parquet: Path, csv: Path, columns: dict[str, str]) -> None:
    """CSV as LOAD DATA takes it without an escape character: texts always quoted, so that a bare NULL is a null."""
    texts = ", ".join(f'"{name}"' for name, declared in columns.items() if "VARCHAR" in declared)
    with duckdb.connect() as con:
        con.execute(
            f"copy (from '{parquet}') to '{csv}' "
            f"(format csv, header false, nullstr 'NULL', force_quote ({texts}), timestampformat '%Y-%m-%d %H:%M:%S')"
        )


def messages(folder: Path, day: int = 1) -> Iterator[tuple[str | None, bytes | None, int]]:
    """(key, value, epoch milliseconds) of every message of a day in the order of sending; value None: a tombstone."""
    with (day_folder(folder, day) / "shop_b" / "events.ndjson").open(encoding="utf-8") as lines:
        for line in lines:
            message = json.loads(line)
            text = message.get("value")
            value = base64.b64decode(message["value_base64"]) if "value_base64" in message else text and text.encode()
            yield message["key"], b"" if text == "" else value, message["timestamp"]


def produce_kafka(bootstrap: str, topic: str, folder: Path, day: int = 1) -> int:
    """Send a day's messages, partitioned by key, to a topic that is made when it is missing; return their number.

    Messages carry the sample's own times, so the topic keeps them whatever their age. Raises KafkaException when the
    broker does not take a message.
    """
    _make_topic(bootstrap, topic)
    refused: list[KafkaError] = []

    def on_delivery(error: KafkaError | None, message: object) -> None:
        if error:
            refused.append(error)

    # Idempotence keeps a partition's messages in order and single when the client has to send one again.
    settings = {"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 20, "log_level": 2}
    producer = Producer(settings)
    count = 0
    for key, value, timestamp in messages(folder, day):
        while True:
            try:
                producer.produce(topic, key=key, value=value, timestamp=timestamp, on_delivery=on_delivery)
                break
            except BufferError:
                producer.poll(0.5)
        producer.poll(0)
        count += 1
    left = producer.flush(60)
    if refused or left:
        raise KafkaException(refused[0] if refused else KafkaError(KafkaError._MSG_TIMED_OUT))
    return count


def _make_topic(bootstrap: str, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 2})
    if topic in admin.list_topics(timeout=10).topics:
        return
    config = {"retention.ms": "-1", "message.timestamp.after.max.ms": str(2**63 - 1)}
    try:
        admin.create_topics([NewTopic(topic, PARTITIONS, 1, config=config)])[topic].result(30)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise
