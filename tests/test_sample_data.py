"""The sample data are what they claim to be: repeatable, full of the documented defects, and rightly answered."""

import gzip
import hashlib
import json
from collections import defaultdict
from pathlib import Path

import duckdb
import httpx
import pymysql
import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, Consumer
from stdnum.ru import inn as stdnum_inn

from tests.bench import samples
from tests.installation import Installation
from tests.sample_data.embedded import EmbeddedKafka, EmbeddedMysql
from tests.sample_data.generate import generate
from tests.sample_data.identifiers import inn_is_valid
from tests.sample_data.loaders import TABLES, TOPIC, load_mysql, messages, produce_kafka
from tests.sample_data.quality import measure_quality
from tests.sample_data.registry_double import PATH, RunningRegistry
from tests.servers import Kafka, MariaDB

SCALE = 0.003
OUTCOMES = {
    "companies": """published deleted missing_inn invalid_inn unknown_to_registry not_active awaiting_verdict
        outside_period""",
    "contacts": "published deleted orphan empty gone company_rejected",
}
TRAPS = """bridge_one_phone bridge_two_phones family_email family_phone initials_other_company initials_same_company
    namesakes namesakes_one_switchboard opposite_sex recycled_phone"""
CHANGES = """bank_changed company_closed company_deleted company_revived company_wakes_up contact_deleted contact_moved
    email_added inn_corrected inn_filled_in new_company new_contact new_order order_cancelled order_done
    person_joins_company phone_changed"""


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    generate(folder, scale=SCALE, seed=3)
    return folder


def rows(query: str) -> list[tuple]:
    with duckdb.connect() as con:
        return con.execute(query).fetchall()


def digests(folder: Path) -> dict[str, str]:
    """Of every file but the answers, whose Parquet layout depends on DuckDB's threads."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "answers"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def mysql_rows(url: str, query: str) -> tuple[tuple, ...]:
    login, _, place = url.removeprefix("mysql://").rpartition("@")
    address, _, database = place.partition("/")
    host, _, port = address.partition(":")
    user, _, password = login.partition(":")
    password = password.replace("%40", "@").replace("%3A", ":").replace("%2F", "/")
    server = pymysql.connect(
        host=host, port=int(port), user=user, password=password, database=database, charset="utf8mb4"
    )
    with server, server.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def test_the_same_seed_gives_the_same_data_and_another_seed_other_data(sample: Path, tmp_path: Path):
    generate(tmp_path / "same", scale=SCALE, seed=3)
    assert digests(tmp_path / "same") == digests(sample)
    for answer in sample.rglob("answers/*.parquet"):
        again = tmp_path / "same" / answer.relative_to(sample)
        assert rows(f"from '{answer}' order by all") == rows(f"from '{again}' order by all"), answer.name
    generate(tmp_path / "other", scale=SCALE, seed=4)
    assert digests(tmp_path / "other")["shop_a/clients.parquet"] != digests(sample)["shop_a/clients.parquet"]


def test_sources_that_are_kept_are_those_of_the_present_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Answers of before a rule was known counted what was right as wrong."""

    def make(folder: Path, **_: float) -> None:
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")

    make.__module__ = "shop"
    (tmp_path / "shop.py").write_text("from truth import people\n")
    (tmp_path / "truth.py").write_text("people = 1\n")
    monkeypatch.setattr(samples, "ROOT", tmp_path)
    monkeypatch.setattr(samples, "FOLDER", tmp_path / "kept")
    monkeypatch.setattr(samples, "GENERATORS", {"first": make})
    kept = samples.sources(1)
    assert samples.sources(1) == kept
    (tmp_path / "truth.py").write_text("people = 2\n")
    assert samples.sources(1) != kept


@pytest.mark.parametrize("answer", OUTCOMES)
def test_every_outcome_occurs(sample: Path, answer: str):
    found = {outcome for (outcome,) in rows(f"select distinct outcome from '{sample}/answers/{answer}.parquet'")}
    assert found == set(OUTCOMES[answer].split())


def test_every_trap_and_every_kind_of_evidence_occurs(sample: Path):
    found = rows(f"select must_merge, list(distinct trap) from '{sample}/answers/traps.parquet' group by 1 order by 1")
    (_, traps), (_, evidence) = found
    assert set(traps) == set(TRAPS.split())
    assert {"same_phone", "same_email", "same_name_in_company"} <= set(evidence)


def test_every_change_of_day_two_has_a_consequence_but_noise_and_old_events(sample: Path):
    found = rows(f"select distinct scenario from '{sample}/day_two/answers/crm_changes.parquet'")
    assert {scenario for (scenario,) in found} == set(CHANGES.split())


def test_numbers_of_published_companies_pass_an_independent_check(sample: Path):
    inns = [inn for (inn,) in rows(f"select inn from '{sample}/answers/golden_companies.parquet'")]
    assert inns
    assert all(stdnum_inn.is_valid(inn) and inn_is_valid(inn) for inn in inns)


def test_history_files_are_in_the_encodings_they_claim(sample: Path):
    folder = sample / "shop_b"
    texts = {
        "utf-8-sig": (folder / "history-1.json").read_bytes(),
        "utf-8": gzip.decompress((folder / "history-2.json.gz").read_bytes()),
        "cp1251": (folder / "history-3-cp1251.json").read_bytes(),
    }
    assert texts["utf-8-sig"].startswith(b"\xef\xbb\xbf")
    with pytest.raises(UnicodeDecodeError):
        texts["cp1251"].decode("utf-8")
    for charset, text in texts.items():
        document = json.loads(text.decode(charset))
        assert len(document["companies"]) == document["total"] > 0
    with pytest.raises(json.JSONDecodeError):
        json.loads((folder / "broken" / "history-truncated.json").read_text("utf-8-sig", errors="ignore"))


def test_mariadb_gives_back_what_was_generated(sample: Path, mariadb: MariaDB, database: str):
    load_mysql(mariadb.url(database), sample)
    for table in TABLES:
        wanted = rows(f"from '{sample}/shop_a/{table}.parquet' order by id")
        assert list(mysql_rows(mariadb.url(database), f"select * from {table} order by id")) == wanted
    load_mysql(mariadb.url(database), sample, day=2)
    for table in TABLES:
        changed = rows(f"from '{sample}/day_two/shop_a/{table}.parquet' order by id")
        ids = ", ".join(str(row[0]) for row in changed)
        found = mysql_rows(mariadb.url(database), f"select * from {table} where id in ({ids}) order by id")
        assert list(found) == changed != []


def test_a_table_declared_latin1_holds_the_bytes_of_windows_1251(sample: Path, mariadb: MariaDB, database: str):
    load_mysql(mariadb.url(database), sample, latin1=["clients"])
    wanted = [name for (name,) in rows(f"select name from '{sample}/shop_a/clients.parquet' order by id")]
    url = mariadb.url(database)
    names = "convert(cast(name as binary) using cp1251)"
    assert [name for (name,) in mysql_rows(url, f"select {names} from clients order by id")] == wanted
    assert [name for (name,) in mysql_rows(url, "select name from clients order by id")] != wanted


def test_the_embedded_mysql_answers_like_mariadb(sample: Path, mariadb: MariaDB, database: str):
    load_mysql(mariadb.url(database), sample)
    catalogue = """select column_name, data_type, column_key, is_nullable from information_schema.columns
        where table_schema = '{}' and table_name = 'orders' order by ordinal_position"""
    page = "select `id`, `total`, `updated_at` from `orders` where `updated_at` >= '2025-06-01' order by `id`"
    with EmbeddedMysql(sample) as embedded:
        assert mysql_rows(embedded.url, page) == mysql_rows(mariadb.url(database), page) != ()
        there = mysql_rows(mariadb.url(database), catalogue.format(database))
        assert mysql_rows(embedded.url, catalogue.format("shop_a")) == there
        before = mysql_rows(embedded.url, "select count(*) from orders")
        embedded.apply(sample, day=2)
        assert mysql_rows(embedded.url, "select count(*) from orders") > before
        with pytest.raises(pymysql.OperationalError, match="Access denied"):
            mysql_rows(embedded.url.replace("read-only", "wrong"), "select 1")
        with pytest.raises(pymysql.MySQLError, match="read-only"):
            mysql_rows(embedded.url, "delete from orders")


def test_ingest_lands_the_tables_of_the_embedded_mysql_and_what_changed_on_day_two(sample: Path, tmp_path: Path):
    """The demo reads nothing else: what it cannot answer, the demo cannot show."""
    with EmbeddedMysql(sample) as embedded:
        settings = {"SVOD_SHOP_A_URL": embedded.url, "SVOD_SHOP_A_RECONCILE_HOURS": "0", "SVOD_SINCE": "2000-01-01"}
        svod = Installation(tmp_path / "svod", settings)
        for day, arguments in enumerate((["--full"], []), 1):
            ended = svod.tool("ingest", "mysql", *arguments)
            assert ended.status == 0, ended.output
            for table in TABLES:
                newest = f"""select count(distinct (payload ->> '$.id', payload ->> '$.updated_at'))
                    from raw.shop_a__{table}"""
                parts = [f"select id, updated_at from '{folder}/shop_a/{table}.parquet'"
                         for folder in (sample, sample / "day_two")[:day]]  # fmt: skip
                assert svod.query(newest) == rows(f"select count(*) from ({' union '.join(parts)})"), table
            embedded.apply(sample, day=2)


def by_key(sent: list[tuple[str | None, bytes | None, int]]) -> dict[str | None, list[tuple[bytes | None, int]]]:
    """Values and times per key in their order; those without a key go to any partition and have none."""
    found = defaultdict(list)
    for key, value, at in sent:
        found[key].append((value, at))
    found[None].sort()
    return found


def read_topic(bootstrap: str, topic: str, count: int) -> list[tuple[str | None, bytes | None, int]]:
    settings = {"bootstrap.servers": bootstrap, "group.id": topic, "auto.offset.reset": "earliest"}
    consumer = Consumer(settings | {"enable.auto.commit": False})
    consumer.subscribe([topic])
    found = []
    while len(found) < count and (message := consumer.poll(20)) is not None:
        assert not message.error(), message.error()
        kind, at = message.timestamp()
        assert kind == TIMESTAMP_CREATE_TIME
        found.append((message.key().decode() if message.key() else None, message.value(), at))
    consumer.close()
    return found


def test_kafka_gives_back_the_messages_in_the_order_of_their_keys(sample: Path, kafka: Kafka):
    topic = "shop-b.companies.of-the-sample"
    wanted = [*messages(sample), *messages(sample, day=2)]
    assert produce_kafka(kafka.bootstrap, topic, sample) + produce_kafka(kafka.bootstrap, topic, sample, day=2) == len(
        wanted
    )
    assert by_key(read_topic(kafka.bootstrap, topic, len(wanted))) == by_key(wanted)
    assert {None, b""} <= {value for _, value, _ in wanted}


def test_the_embedded_kafka_takes_and_gives_the_same_messages(sample: Path):
    with EmbeddedKafka() as embedded:
        wanted = list(messages(sample))
        assert produce_kafka(embedded.bootstrap, TOPIC, sample) == len(wanted)
        assert by_key(read_topic(embedded.bootstrap, TOPIC, len(wanted))) == by_key(wanted)


def ask(registry: RunningRegistry, inn: str, token: str | None = None) -> httpx.Response:
    headers = {"Authorization": f"Token {token or registry.token}"}
    return httpx.post(registry.url + PATH, json={"query": inn, "branch_type": "MAIN"}, headers=headers)


def test_the_registry_double_answers_as_the_service_does(sample: Path):
    verdicts = f"'{sample}/registry.parquet'"
    ((known,),) = rows(f"select inn from {verdicts} where status = 'ACTIVE' and ogrn is not null limit 1")
    ((unknown,),) = rows(f"select inn from {verdicts} where status = 'UNKNOWN' limit 1")
    ((closed,),) = rows(
        f"""select inn from '{sample}/day_two/registry.parquet' two join {verdicts} one using (inn)
            where two.status = 'LIQUIDATED' and one.status = 'ACTIVE' limit 1"""
    )
    with RunningRegistry(sample, rate=1000) as registry:
        (suggestion,) = ask(registry, known).json()["suggestions"]
        assert (suggestion["data"]["inn"], suggestion["data"]["state"]["status"]) == (known, "ACTIVE")
        assert ask(registry, unknown).json() == {"suggestions": []}
        registry.apply(sample, day=2)
        assert ask(registry, closed).json()["suggestions"][0]["data"]["state"]["status"] == "LIQUIDATED"
        assert registry.requests == {known: 1, unknown: 1, closed: 1}


def test_the_registry_double_refuses_as_the_service_does(sample: Path):
    with RunningRegistry(sample, rate=3, quota=3) as registry:
        assert ask(registry, "7707083893", token="wrong").status_code == 401
        registry.fail_next(1, 502)
        assert [ask(registry, "7707083893").status_code for _ in range(4)] == [502, 200, 200, 429]
        registry.rate = 1000
        assert [ask(registry, "7707083893").status_code for _ in range(2)] == [200, 403]
        assert registry.refused == {401: 1, 502: 1, 429: 1, 403: 1}


MARTS_AS_ANSWERED = """
create schema marts;
create table marts.crm_companies as
select 'c-' || inn as company_id, * replace (array_to_string(sources, ', ') as sources) from {golden_companies};
create table marts.xref_companies as
select source, source_id, 'c-' || company_key as company_id from {companies} where outcome = 'published';
create table marts.rejected_companies as
select source, source_id, outcome as reason from {companies} where outcome <> 'published';
create table marts.xref_contacts as
select source, source_id, 'p-' || coalesce(person_key, source_id) as contact_id
from {contacts} where outcome = 'published';
create table marts.rejected_contacts as
select source, source_id, if(outcome = 'gone', 'deleted', outcome) as reason
from {contacts} where outcome <> 'published';
create table marts.crm_contacts as select 'p-' || person_key as contact_id, * from {golden_contacts};
create table marts.crm_company_contacts as
select 'c-' || company_key as company_id, 'p-' || person_key as contact_id,
       row_number() over (partition by person_key order by company_key) = 1 as is_primary from {links};
create table marts.crm_deals as
select deal_id, status, amount, currency, ordered_at,
       'c-' || company_key as company_id, 'p-' || person_key as contact_id
from {deals} where is_in_period;
"""
DAMAGES = {
    "contact pairs: precision": "update marts.xref_contacts set contact_id = 'p-1' where source = 'shop_a'",
    "contact pairs: recall": "update marts.xref_contacts set contact_id = source_id where source = 'shop_a'",
    "traps not merged": "update marts.xref_contacts set contact_id = 'p-1'",
    "companies: recall": "delete from marts.crm_companies where inn = (select min(inn) from marts.crm_companies)",
    "companies: precision": "insert into marts.crm_companies (inn) values ('7707083893')",
    "companies: no INN twice": "insert into marts.crm_companies from marts.crm_companies limit 1",
    "source companies: placed or rejected rightly": "update marts.rejected_companies set reason = 'deleted'",
    "source contacts: placed or rejected rightly": "delete from marts.rejected_contacts",
    "phones: exact sets": "update marts.crm_contacts set phones = list_append(phones, '+79990000000')",
    "names: first": "update marts.crm_contacts set first_name = last_name",
    "links: recall": "delete from marts.crm_company_contacts where hash(contact_id) % 20 = 0",
    "company title": "update marts.crm_companies set title = lower(title)",
    "company account": "update marts.crm_companies set account = null",
    "company order_total": "update marts.crm_companies set order_total = order_total + 1",
    "deals: company, status, sum, contact": "update marts.crm_deals set amount = 0",
}


@pytest.fixture(scope="module")
def perfect(sample: Path) -> Path:
    """A warehouse whose marts are just the answers."""
    path = sample / "perfect.duckdb"
    files = {file.stem: f"'{file}'" for file in (sample / "answers").glob("*.parquet")}
    with duckdb.connect(str(path)) as con:
        con.execute(MARTS_AS_ANSWERED.format(**files))
    return path


def test_marts_that_equal_the_answers_are_of_full_quality(sample: Path, perfect: Path):
    assert {figure.measure.name: figure.share for figure in measure_quality(sample, perfect) if figure.share != 1} == {}


@pytest.mark.parametrize("measure", DAMAGES)
def test_a_damaged_mart_falls_under_the_bar(sample: Path, perfect: Path, tmp_path: Path, measure: str):
    damaged = tmp_path / "damaged.duckdb"
    damaged.write_bytes(perfect.read_bytes())
    with duckdb.connect(str(damaged)) as con:
        con.execute(DAMAGES[measure])
    figures = {figure.measure.name: figure for figure in measure_quality(sample, damaged, show=1)}
    assert not figures[measure].is_good
    assert figures[measure].misses
