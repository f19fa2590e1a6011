"""Marts to publish, made up in the warehouse itself; their columns are those of the marts' contracts."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import yaml

from ingest.warehouse.connection import transaction
from publish.bitrix24.parts import PARTS
from publish.sandbox import Portal

CONTRACTS = Path(__file__).parents[2] / "dbt_project" / "models" / "marts"
PUBLISHED = ("crm_companies", "crm_contacts", "crm_company_contacts", "crm_deals", "crm_deal_stages",
             "crm_state_words", "departed_companies", "departed_contacts", "departed_deals")  # fmt: skip


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
    with transaction(connection):  # to commit each statement takes longer than the statements do
        _create_tables(connection)
        _fill(connection, companies, contacts, deals)
        stamp(connection)


def _fill(connection: duckdb.DuckDBPyConnection, companies: int, contacts: int, deals: int) -> None:
    connection.execute(
        """insert into marts.crm_companies by name
           select company_id(n) as company_id, inn(n) as inn, '77' as region, kpp,
               '10277' || lpad(n::varchar, 8, '0') as ogrn,
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
    connection.execute(
        f"""insert into marts.crm_state_words
            select entity, state, lang, word from read_csv('{CONTRACTS.parents[1] / "seeds" / "crm_states.csv"}')
            cross join lateral (values ('codes', state), ('ru', text_ru), ('en', text_en)) as words (lang, word)"""
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


def add_views(connection: duckdb.DuckDBPyConnection) -> None:
    """The models that tell what people have to decide, as views over the tables that are here."""
    models = CONTRACTS.parent
    macros = (models.parent / "macros" / "card_url.sql").read_text(encoding="utf-8")
    schemas = {"analysis": "analysis", "reports": "marts", "marts": "marts"}
    places = {file.stem: schemas[file.parent.name] for folder in schemas for file in (models / folder).glob("*.sql")}
    connection.execute("create schema if not exists analysis")
    for model in ("analysis/portal_published_to_last", "analysis/cards", "reports/report_waiting",
                  "reports/report_todos"):  # fmt: skip
        file = models / f"{model}.sql"
        sql = jinja2.Template(macros + file.read_text(encoding="utf-8")).render(
            ref=lambda name: f"{places[name]}.{name}", source=lambda schema, table: f"{schema}.{table}"
        )
        connection.execute(f"create or replace view {places[file.stem]}.{file.stem} as {sql}")


def stamp(connection: duckdb.DuckDBPyConnection) -> None:
    """Stamp the marts as they are, as a full pass of the models does at its end; those that are gone lose theirs."""
    there = connection.execute("select table_name from duckdb_tables() where schema_name = 'marts'").fetchall()
    stamps = " union all ".join(
        f"""select '{mart}', count(*), coalesce(sum(hash(mart_row)), 0), 'test', 'dbt after_registry',
                now() at time zone 'UTC' from marts.{mart} as mart_row"""
        for mart in PUBLISHED
        if (mart,) in there
    )
    with transaction(connection):
        connection.execute("delete from ops.mart_stamps")
        if stamps:
            connection.execute(f"insert into ops.mart_stamps {stamps}")


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Functions that `fill` names its records with, and the journal of a model run that passed."""
    connection.execute("create or replace macro company_id(n) as 'c-' || lpad(hex(n), 16, '0')")
    connection.execute("create or replace macro contact_id(n) as 'p-' || lpad(hex(n), 16, '0')")
    connection.execute("create or replace macro inn(n) as if(n % 4 = 0, '50', '') || (7700000000 + n)")
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
            f"""insert into sync.ledger
                select ?, ?, origin_id, row_number() over (), wanted, wanted, false, now(), now(), 0, 0
                from plan_{part.entity}""",
            [portal, part.entity],
        )


def company_id(n: int) -> str:
    return f"c-{n:016X}"


def contact_id(n: int) -> str:
    return f"p-{n:016X}"


@dataclass
class Apart:
    """What people took as theirs, which a portal need not have as the marts do. `cards` (entity, our key) were deleted
    by somebody; `fields` (what is compared, our key) edited; `values` are phones added; `typed_inns` those of company
    cards that somebody typed in, in a spelling and with a title of their own."""

    cards: set[tuple[str, str]] = field(default_factory=set)
    fields: set[tuple[str, str]] = field(default_factory=set)
    values: set[str] = field(default_factory=set)
    typed_inns: set[str] = field(default_factory=set)


@dataclass
class _Comparison:
    """The marts of a warehouse beside a portal; what differs goes to `disagreements`."""

    connection: duckdb.DuckDBPyConnection
    portal: Portal
    apart: Apart
    disagreements: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cards = {
            entity: [card for card in self.portal.items(entity) if card["originatorId"] == "svod"] for entity in _MARTS
        }
        self.origins = {
            entity: {card["id"]: card["originId"] for card in cards} for entity, cards in self.cards.items()
        }
        typed = "select company_id from marts.crm_companies where inn in (select unnest(?::varchar[]))"
        self.typed = {key for (key,) in self._rows(typed, [sorted(self.apart.typed_inns)])}
        self.gone = {entity: {key for kind, key in self.apart.cards if kind == entity} for entity in _MARTS}
        of_companies = """select contact_id from marts.crm_company_contacts group by 1
                          having list_has_all(?::varchar[], list(company_id))"""
        without = "select deal_id from marts.crm_deals where company_id in (select unnest(?::varchar[]))"
        companies = [sorted(self.gone["company"])]  # what they were needed for need not have come
        self.gone["contact"] |= {key for (key,) in self._rows(of_companies, companies)}
        self.gone["deal"] |= {key for (key,) in self._rows(without, companies)}

    def _rows(self, sql: str, parameters: list[Any] | None = None) -> list[tuple]:
        return self.connection.execute(sql, parameters or []).fetchall()

    def cards_and_ledger(self, entity: str) -> None:
        """Our keys in the mart, in the ledger and on cards, each once."""
        keys = Counter(self.origins[entity].values())
        self.disagreements += [f"{entity} {key} is there {number} times" for key, number in keys.items() if number > 1]
        gone = self.gone[entity]
        there = {key: card for card, key in self.origins[entity].items() if key not in gone}
        mart = {row[0] for row in self._rows(f"select {entity}_id from marts.{_MARTS[entity]}")} - gone
        present = "select origin_id, bitrix_id from sync.ledger where entity = ? and portal not like '% (until %'"
        ledger = {key: card for key, card in self._rows(present, [entity]) if key not in gone}
        if missing := mart - there.keys():
            self.disagreements.append(f"{entity}: {len(missing)} are missing, e.g. {min(missing)}")
        if ledger != there:
            example = sorted({*ledger.items()} ^ {*there.items()})[:2]
            self.disagreements.append(
                f"{entity}: the ledger holds {len(ledger)} and the portal {len(there)}, or ids differ, e.g. {example}"
            )

    def same(self, what: str, entity: str, sql: str, there: Iterable[tuple]) -> None:
        """Compare rows whose first column is our key of a card."""
        left_out = self.gone[entity] | {key for kind, key in self.apart.fields if kind == what}
        wanted = sorted((row for row in self._rows(sql) if row[0] not in left_out), key=str)
        found = sorted((row for row in there if row[0] not in left_out), key=str)
        if wanted != found:
            example = sorted({*wanted} ^ {*found}, key=str)[:2] or "one twice"
            self.disagreements.append(f"{what}: {len(wanted)} wanted, {len(found)} in the portal, e.g. {example}")


def differences(connection: duckdb.DuckDBPyConnection, portal: Portal, apart: Apart | None = None) -> list[str]:
    """What portal and ledger disagree about, what is there twice or not at all; empty when all is well.

    Compares every card of ours with its mart and ledger row: keys, titles, requisites by INN, bank accounts, addresses,
    phones and e-mails, links, the sums of deals; but for what people set apart, and what hangs on cards of others.
    """
    compared = _Comparison(connection, portal, apart or Apart())
    for entity in _MARTS:
        compared.cards_and_ledger(entity)
    companies, people = compared.origins["company"], compared.origins["contact"]
    others = {card["id"] for card in portal.items("company")} - companies.keys()
    typed = compared.typed
    compared.same(
        "title",
        "company",
        "select company_id, title from marts.crm_companies",
        [(card["originId"], card["title"]) for card in compared.cards["company"]],
    )
    requisites = [row for row in portal.requisites() if row["ENTITY_ID"] not in others]
    theirs = {row["ID"] for row in portal.requisites() if row["ENTITY_ID"] in others}
    owner = {row["ID"]: companies.get(row["ENTITY_ID"]) for row in requisites}
    bank_details = [row for row in portal.bank_details() if row["ENTITY_ID"] not in theirs]
    addresses = [row for row in portal.addresses() if row["ENTITY_ID"] not in theirs]
    compared.same(
        "requisite",
        "company",
        "select company_id, inn from marts.crm_companies",
        [
            (owner[row["ID"]], re.sub(r"\D", "", row["RQ_INN"]) if owner[row["ID"]] in typed else row["RQ_INN"])
            for row in requisites
        ],
    )
    compared.same(
        "bank detail",
        "company",
        "select company_id, account from marts.crm_companies where account is not null",
        [(owner.get(row["ENTITY_ID"]), row["RQ_ACC_NUM"]) for row in bank_details],
    )
    compared.same(
        "address",
        "company",
        "select company_id, legal_address from marts.crm_companies where legal_address is not null",
        [(owner.get(row["ENTITY_ID"]), row["ADDRESS_1"]) for row in addresses],
    )
    gone = compared.gone["company"]
    compared.same(
        "link",
        "contact",
        f"""select contact_id, company_id from marts.crm_company_contacts
            where company_id not in (select unnest({sorted(gone)}::varchar[]))""",
        [
            (people.get(contact), companies.get(company))
            for contact, company in portal.links()
            if (contact in people or company in companies) and companies.get(company) not in gone
        ],
    )
    compared.same(
        "phone or e-mail",
        "contact",
        "select contact_id, unnest(list_concat(phones, emails)) from marts.crm_contacts",
        [
            (card["originId"], entry["value"])
            for card in compared.cards["contact"]
            for entry in card["fm"]
            if entry["value"] not in compared.apart.values
        ],
    )
    compared.same(
        "deal",
        "deal",
        "select deal_id, amount::double from marts.crm_deals",
        [(card["originId"], float(card["opportunity"])) for card in compared.cards["deal"]],
    )
    return compared.disagreements


_MARTS = {"company": "crm_companies", "contact": "crm_contacts", "deal": "crm_deals"}
