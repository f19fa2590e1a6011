"""Marts to publish, made up in the warehouse itself: the columns are those of the public interface."""

from collections.abc import Sequence

import duckdb

from publish.mapping import PARTS

SCHEMA = """
create schema if not exists marts;
create or replace table marts.crm_companies (
    company_id varchar, inn varchar, kpp varchar, ogrn varchar, title varchar, full_name varchar, opf varchar,
    director_name varchar, director_post varchar, legal_address varchar, bank_name varchar, bik varchar,
    account varchar, corr_account varchar, registry_status varchar, sources varchar[], order_count bigint,
    order_total decimal(18, 2), last_order_at timestamp
);
create or replace table marts.crm_contacts (
    contact_id varchar, last_name varchar, first_name varchar, second_name varchar, post varchar, phones varchar[],
    emails varchar[], sources varchar[]
);
create or replace table marts.crm_company_contacts (company_id varchar, contact_id varchar, is_primary boolean);
create or replace table marts.crm_deals (
    deal_id varchar, company_id varchar, contact_id varchar, title varchar, status varchar, amount decimal(14, 2),
    currency varchar, ordered_at timestamp, closed_at timestamp
);
create or replace table marts.departed_companies (company_id varchar, state varchar, merged_into varchar);
create or replace table marts.departed_contacts (contact_id varchar, state varchar, merged_into varchar);
"""


def fill(connection: duckdb.DuckDBPyConnection, companies: int, contacts: int, deals: int = 0) -> None:
    """Marts with so many records. Contact n works at company n modulo their number, every tenth at two; every fourth
    company is a person in business, every fifth has no bank account, every seventh no address."""
    connection.execute(SCHEMA)
    connection.execute(
        """insert into marts.crm_companies
           select company_id(n), inn(n), if(n % 4 = 0, null, '770701001'), '10277' || lpad(n::varchar, 8, '0'),
               'ООО "Ромашка & Ко" № ' || n, 'Общество с ограниченной ответственностью "Ромашка" № ' || n, 'ООО',
               'Иванов Иван', 'директор', if(n % 7 = 0, null, '117997, г Москва, ул Вавилова, д ' || n),
               'ПАО СБЕРБАНК', '044525225', if(n % 5 = 0, null, '407028109' || lpad(n::varchar, 11, '0')),
               '30101810400000000225', 'ACTIVE', if(n % 3 = 0, ['shop_a', 'shop_b'], ['shop_a']), n % 9,
               (n % 9) * 1000.50, if(n % 9 = 0, null, timestamp '2026-03-01 22:30:00' + to_days((n % 90)::integer))
           from range(?) as numbers(n)""",
        [companies],
    )
    connection.execute(
        """insert into marts.crm_contacts
           select contact_id(n), 'Петров' || n, if(n % 11 = 0, null, 'Пётр'), null, if(n % 2 = 0, 'бухгалтер', null),
               ['+7916' || lpad(n::varchar, 7, '0')], if(n % 3 = 0, [], ['petrov' || n || '@example.ru']), ['shop_b']
           from range(?) as numbers(n)""",
        [contacts],
    )
    if companies:
        connection.execute(
            """insert into marts.crm_company_contacts
               select company_id(n % $1), contact_id(n), true from range($2) as numbers(n)
               union all
               select company_id((n + 1) % $1), contact_id(n), false from range($2) as numbers(n)
               where n % 10 = 0 and $1 > 1""",
            [companies, contacts],
        )
        connection.execute(
            """insert into marts.crm_deals
               select 'shop_a:' || lpad(n::varchar, 7, '0'), company_id(n % $1), if($2 = 0, null, contact_id(n % $2)),
                   'Заказ ' || n, ['new', 'paid', 'shipped', 'done', 'cancelled'][1 + n % 5], n * 10.10, 'RUB',
                   timestamp '2026-02-01 10:00:00', if(n % 5 >= 3, timestamp '2026-02-05 10:00:00', null)
               from range($3) as numbers(n)""",
            [companies, max(contacts, 0) or 1, deals],
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


def take_over(connection: duckdb.DuckDBPyConnection) -> None:
    """Write the ledger as a push of the whole plan would."""
    for entity in PARTS:
        connection.execute(
            f"""insert into sync.ledger select '', '{entity}', origin_id, row_number() over (), wanted, wanted, false,
                    now()
                from plan_{entity}"""
        )


def company_id(n: int) -> str:
    return f"c-{n:016X}"


def contact_id(n: int) -> str:
    return f"p-{n:016X}"


def ledger_counts(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    return dict(connection.execute("select entity, count(*) from sync.ledger group by 1").fetchall())


def differences(connection: duckdb.DuckDBPyConnection, portal) -> list[str]:
    """What portal and ledger disagree about, what is there twice or not at all; empty when all is well.

    Compares every card with its mart and ledger row: keys, titles, requisites by INN, bank accounts, addresses, phones
    and e-mails, links, the sums of deals.
    """
    found: list[str] = []
    ids: dict[str, dict[str, int]] = {}
    cards = {entity: portal.items(entity) for entity in ("company", "contact", "deal")}
    for entity, items in cards.items():
        ours = [item for item in items if item["originatorId"] == "svod"]
        keys = [item["originId"] for item in ours]
        found += [f"{entity} {key} is there {keys.count(key)} times" for key in {*keys} if keys.count(key) > 1]
        ids[entity] = {item["originId"]: item["id"] for item in ours}
        mart = {row[0] for row in connection.execute(f"select {entity}_id from marts.{_MARTS[entity]}").fetchall()}
        held = dict(
            connection.execute("select origin_id, bitrix_id from sync.ledger where entity = ?", [entity]).fetchall()
        )
        if mart - ids[entity].keys():
            found.append(
                f"{entity}: {len(mart - ids[entity].keys())} are missing, e.g. {min(mart - ids[entity].keys())}"
            )
        if held != ids[entity]:
            found.append(f"{entity}: the ledger holds {len(held)} and the portal {len(ids[entity])}, or ids differ")
    found += _same(
        "title",
        connection.execute("select company_id, title from marts.crm_companies").fetchall(),
        [(item["originId"], item["title"]) for item in cards["company"]],
    )
    origin = {card: key for key, card in ids["company"].items()}
    requisites = portal.requisites()
    owner = {row["ID"]: origin.get(row["ENTITY_ID"]) for row in requisites}
    found += _same(
        "requisite",
        connection.execute("select company_id, inn from marts.crm_companies").fetchall(),
        [(owner[row["ID"]], row["RQ_INN"]) for row in requisites],
    )
    found += _same(
        "bank detail",
        connection.execute("select company_id, account from marts.crm_companies where account is not null").fetchall(),
        [(owner[row["ENTITY_ID"]], row["RQ_ACC_NUM"]) for row in portal.bank_details()],
    )
    found += _same(
        "address",
        connection.execute(
            "select company_id, legal_address from marts.crm_companies where legal_address is not null"
        ).fetchall(),
        [(owner[row["ENTITY_ID"]], row["ADDRESS_1"]) for row in portal.addresses()],
    )
    people = {card: key for key, card in ids["contact"].items()}
    found += _same(
        "link",
        connection.execute("select contact_id, company_id from marts.crm_company_contacts").fetchall(),
        [(people.get(contact), origin.get(company)) for contact, company in portal.links()],
    )
    values = [(item["originId"], one["value"]) for item in cards["contact"] for one in item["fm"]]
    found += _same(
        "phone or e-mail",
        connection.execute("select contact_id, unnest(list_concat(phones, emails)) from marts.crm_contacts").fetchall(),
        values,
    )
    found += _same(
        "deal",
        [
            (key, float(amount))
            for key, amount in connection.execute("select deal_id, amount from marts.crm_deals").fetchall()
        ],
        [(item["originId"], float(item["opportunity"])) for item in cards["deal"]],
    )
    return found


_MARTS = {"company": "crm_companies", "contact": "crm_contacts", "deal": "crm_deals"}


def _same(what: str, wanted: Sequence[tuple], held: Sequence[tuple]) -> list[str]:
    if sorted(wanted, key=str) == sorted(held, key=str):
        return []
    return [
        f"{what}: {len(wanted)} wanted, {len(held)} in the portal, e.g. {next(iter({*wanted} ^ {*held}), 'one twice')}"
    ]
