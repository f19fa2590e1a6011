"""Marts to publish, made up in the warehouse itself; their columns are those of the marts' contracts."""

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import duckdb
import yaml

from publish.bitrix24.parts import PARTS
from publish.sandbox import Portal

CONTRACTS = Path(__file__).parents[2] / "dbt_project" / "models" / "marts"
PUBLISHED = ("crm_companies", "crm_contacts", "crm_company_contacts", "crm_deals", "crm_deal_stages",
             "departed_companies", "departed_contacts", "departed_deals")  # fmt: skip


@cache
def contracts() -> dict[str, dict[str, str]]:
    """Columns and types of every mart with a contract, as its YAML says."""
    marts = {}
    for path in sorted(CONTRACTS.glob("*.yml")):
        for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", []):
            if model.get("config", {}).get("contract", {}).get("enforced"):
                marts[model["name"]] = {column["name"]: column["data_type"] for column in model["columns"]}
    return marts


def _create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("create schema if not exists marts")
    declared = contracts()
    for mart in PUBLISHED:
        columns = ", ".join(f"{name} {data_type}" for name, data_type in declared[mart].items())
        connection.execute(f"create or replace table marts.{mart} ({columns})")


def fill(connection: duckdb.DuckDBPyConnection, companies: int, contacts: int, deals: int = 0) -> None:
    """Marts with so many records. Contact n works at company n modulo their number, every tenth at two; every fourth
    company is a person in business, every fifth has no bank account, every seventh no address. A test that changes a
    value changes those that the models would have made of it too: nothing here knows their rules."""
    _create_tables(connection)
    connection.execute(
        """insert into marts.crm_companies by name
           select company_id(n) as company_id, inn(n) as inn, kpp, '10277' || lpad(n::varchar, 8, '0') as ogrn,
               requisite_preset, requisite_name, if(is_person, null, ogrn) as requisite_ogrn,
               if(is_person, ogrn, null) as requisite_ogrnip,
               'ООО "Ромашка & Ко" № ' || n as title,
               'Общество с ограниченной ответственностью "Ромашка" № ' || n as full_name, 'ООО' as opf,
               'Иванов Иван' as director_name, 'директор' as director_post,
               if(n % 7 = 0, null, '117997, г Москва, ул Вавилова, д ' || n) as legal_address,
               'ПАО СБЕРБАНК' as bank_name, 'ПАО СБЕРБАНК' as bank_detail_name, '044525225' as bik,
               if(n % 5 = 0, null, '407028109' || lpad(n::varchar, 11, '0')) as account,
               '30101810400000000225' as corr_account, 'ACTIVE' as registry_status,
               if(n % 3 = 0, 'shop_a, shop_b', 'shop_a') as sources, n % 9 as order_count,
               (n % 9) * 1000.50 as order_total,
               if(n % 9 = 0, null, timestamp '2026-03-01 22:30:00' + to_days((n % 90)::integer)) as last_order_at,
               if(n % 9 = 0, null, date '2026-03-02' + (n % 90)::integer) as last_order_on
           from range(?) as numbers(n)
           inner join (values (false, 'COMPANY', 'Организация', '770701001'), (true, 'INDIVIDUAL', 'ИП', null))
               as kinds(is_person, requisite_preset, requisite_name, kpp) on is_person = (n % 4 = 0)
           order by n""",
        [companies],
    )
    connection.execute(
        """insert into marts.crm_contacts by name
           select contact_id(n) as contact_id, 'Петров' || n as last_name, 'Петров' || n as card_last_name,
               if(n % 11 = 0, null, 'Пётр') as first_name, if(n % 2 = 0, 'бухгалтер', null) as post,
               ['+7916' || lpad(n::varchar, 7, '0')] as phones,
               if(n % 3 = 0, [], ['petrov' || n || '@example.ru']) as emails, 'shop_b' as sources
           from range(?) as numbers(n)""",
        [contacts],
    )
    connection.execute(
        """insert into marts.crm_deal_stages by name
           select * from (values ('new', ['NEW']), ('paid', ['PREPARATION', 'PREPAYMENT_INVOICE', 'NEW']),
               ('shipped', ['EXECUTING', 'PREPARATION', 'NEW']), ('done', ['WON']), ('cancelled', ['LOSE'])
           ) as statuses(status, stages)"""
    )
    if companies:
        connection.execute(
            """insert into marts.crm_company_contacts by name
               select company_id(n % $1) as company_id, contact_id(n) as contact_id, true as is_primary
               from range($2) as numbers(n)
               union all
               select company_id((n + 1) % $1), contact_id(n), false from range($2) as numbers(n)
               where n % 10 = 0 and $1 > 1""",
            [companies, contacts],
        )
        connection.execute(
            """insert into marts.crm_deals by name
               select 'shop_a:' || lpad(n::varchar, 7, '0') as deal_id, company_id(n % $1) as company_id,
                   if($2 = 0, null, contact_id(n % $2)) as contact_id, 'Заказ ' || n as title,
                   ['new', 'paid', 'shipped', 'done', 'cancelled'][1 + n % 5] as status, n * 10.10 as amount,
                   'RUB' as currency, timestamp '2026-02-01 10:00:00' as ordered_at, date '2026-02-01' as ordered_on,
                   if(n % 5 >= 3, timestamp '2026-02-05 10:00:00', null) as closed_at,
                   if(n % 5 >= 3, date '2026-02-05', null) as closed_on
               from range($3) as numbers(n)""",
            [companies, max(contacts, 0) or 1, deals],
        )
    stamp(connection)


def stamp(connection: duckdb.DuckDBPyConnection) -> None:
    """Stamp the marts as they are, as a full pass of the models does at its end; those that are gone lose theirs."""
    connection.execute("delete from ops.mart_stamps")
    for mart in PUBLISHED:
        with suppress(duckdb.CatalogException):
            connection.execute(
                f"""insert into ops.mart_stamps
                    select ?, count(*), coalesce(sum(hash(mart_row)), 0), 'test', 'dbt after_registry',
                        now() at time zone 'UTC' from marts.{mart} as mart_row""",
                [mart],
            )


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Functions that `fill` names its records with, and the journal of a model run that passed."""
    connection.execute("create or replace macro company_id(n) as 'c-' || lpad(hex(n), 16, '0')")
    connection.execute("create or replace macro contact_id(n) as 'p-' || lpad(hex(n), 16, '0')")
    connection.execute("create or replace macro inn(n) as lpad((7700000000 + n)::varchar, if(n % 4 = 0, 12, 10), '0')")
    model_run(connection, "done")


def model_run(connection: duckdb.DuckDBPyConnection, status: str, step: str = "dbt after_registry") -> None:
    """One more model run in the journal."""
    connection.execute(
        "insert into ops.steps (run_id, step, started_at, finished_at, status) values ('test', ?, now(), now(), ?)",
        [step, status],
    )


def take_over(connection: duckdb.DuckDBPyConnection, portal: str = "portal.test") -> None:
    """Write the ledger as a push of the whole plan would."""
    for part in PARTS:
        connection.execute(
            f"""insert into sync.ledger select ?, ?, origin_id, row_number() over (), wanted, wanted, false, now()
                from plan_{part.entity}""",
            [portal, part.entity],
        )


def company_id(n: int) -> str:
    return f"c-{n:016X}"


def contact_id(n: int) -> str:
    return f"p-{n:016X}"


def differences(connection: duckdb.DuckDBPyConnection, portal: Portal) -> list[str]:
    """What portal and ledger disagree about, what is there twice or not at all; empty when all is well.

    Compares every card of ours with its mart and ledger row: keys, titles, requisites by INN, bank accounts, addresses,
    phones and e-mails, links, the sums of deals.
    """
    disagreements: list[str] = []
    ids: dict[str, dict[str, int]] = {}
    cards = {entity: portal.items(entity) for entity in ("company", "contact", "deal")}
    for entity, items in cards.items():
        ours = [item for item in items if item["originatorId"] == "svod"]
        keys = [item["originId"] for item in ours]
        disagreements += [f"{entity} {key} is there {keys.count(key)} times" for key in {*keys} if keys.count(key) > 1]
        ids[entity] = {item["originId"]: item["id"] for item in ours}
        mart = {row[0] for row in connection.execute(f"select {entity}_id from marts.{_MARTS[entity]}").fetchall()}
        ledger = dict(
            connection.execute(
                "select origin_id, bitrix_id from sync.ledger where entity = ? and portal not like '% (until %'",
                [entity],
            ).fetchall()
        )
        if mart - ids[entity].keys():
            disagreements.append(
                f"{entity}: {len(mart - ids[entity].keys())} are missing, e.g. {min(mart - ids[entity].keys())}"
            )
        if ledger != ids[entity]:
            disagreements.append(
                f"{entity}: the ledger holds {len(ledger)} and the portal {len(ids[entity])}, or ids differ"
            )
    disagreements += _same(
        "title",
        connection.execute("select company_id, title from marts.crm_companies").fetchall(),
        [(item["originId"], item["title"]) for item in cards["company"] if item["originatorId"] == "svod"],
    )
    origin = {card: key for key, card in ids["company"].items()}
    requisites = portal.requisites()
    owner = {row["ID"]: origin.get(row["ENTITY_ID"]) for row in requisites}
    disagreements += _same(
        "requisite",
        connection.execute("select company_id, inn from marts.crm_companies").fetchall(),
        [(owner[row["ID"]], row["RQ_INN"]) for row in requisites],
    )
    disagreements += _same(
        "bank detail",
        connection.execute("select company_id, account from marts.crm_companies where account is not null").fetchall(),
        [(owner[row["ENTITY_ID"]], row["RQ_ACC_NUM"]) for row in portal.bank_details()],
    )
    disagreements += _same(
        "address",
        connection.execute(
            "select company_id, legal_address from marts.crm_companies where legal_address is not null"
        ).fetchall(),
        [(owner[row["ENTITY_ID"]], row["ADDRESS_1"]) for row in portal.addresses()],
    )
    people = {card: key for key, card in ids["contact"].items()}
    disagreements += _same(
        "link",
        connection.execute("select contact_id, company_id from marts.crm_company_contacts").fetchall(),
        [(people.get(contact), origin.get(company)) for contact, company in portal.links()],
    )
    values = [
        (item["originId"], entry["value"])
        for item in cards["contact"]
        if item["originatorId"] == "svod"
        for entry in item["fm"]
    ]
    disagreements += _same(
        "phone or e-mail",
        connection.execute("select contact_id, unnest(list_concat(phones, emails)) from marts.crm_contacts").fetchall(),
        values,
    )
    disagreements += _same(
        "deal",
        [
            (key, float(amount))
            for key, amount in connection.execute("select deal_id, amount from marts.crm_deals").fetchall()
        ],
        [(item["originId"], float(item["opportunity"])) for item in cards["deal"] if item["originatorId"] == "svod"],
    )
    return disagreements


_MARTS = {"company": "crm_companies", "contact": "crm_contacts", "deal": "crm_deals"}


def _same(what: str, wanted: Sequence[tuple], there: Sequence[tuple]) -> list[str]:
    if sorted(wanted, key=str) == sorted(there, key=str):
        return []
    example = next(iter({*wanted} ^ {*there}), "one twice")
    return [f"{what}: {len(wanted)} wanted, {len(there)} in the portal, e.g. {example}"]
