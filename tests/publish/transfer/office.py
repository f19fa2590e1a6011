"""A cloud's records as the models leave them, made by hand, and a box to move them to over HTTP."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from pydantic import SecretStr

from ingest.bitrix24.client import Client
from ingest.bitrix24.pacing import Pace
from ingest.warehouse import journal
from publish.bitrix24.run import Result, Silent
from publish.sandbox import Portal
from publish.settings import Settings
from publish.transfer.ledger import TransferLedger
from publish.transfer.push import Word, push
from tests.watched import WatchedSandbox

CLOUD = "cloud.test"
OFF = Word(automation_is_off=True)


def ref(entity: str, source_id: object) -> dict[str, list[str]]:
    return {"ref": [entity, str(source_id)]}


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """The mart, empty."""
    connection.execute("create schema if not exists marts")
    connection.execute(
        """create or replace table marts.transfer_records (
               entity varchar, source_id varchar, action varchar, outcome varchar, detail varchar, target_id bigint,
               fields json, second_pass json, position bigint)"""
    )
    connection.execute(
        """create or replace table marts.transfer_bindings (
               source_id varchar, binding_key varchar, fields json, position bigint)"""
    )


def wants(
    connection: duckdb.DuckDBPyConnection,
    entity: str,
    source_id: object,
    fields: dict[str, Any] | None = None,
    *,
    action: str = "create",
    target: int | None = None,
    second_pass: dict[str, Any] | None = None,
) -> None:
    """A row of the mart, in the place of one that was there."""
    key = str(source_id)
    for bound in (fields or {}).get("BINDINGS", ()):  # which the models compare on their own
        if bound["entityId"] != (fields or {})["OWNER_ID"]:
            row = [key, json.dumps(bound, sort_keys=True)]
            connection.execute("delete from marts.transfer_bindings where (source_id, binding_key) = (?, ?)", row)
            connection.execute("insert into marts.transfer_bindings values (?, ?, ?, 0)", [*row, row[1]])
    connection.execute("delete from marts.transfer_records where entity = ? and source_id = ?", [entity, key])
    connection.execute(
        """insert into marts.transfer_records
           select ?, ?, ?, '', '', ?, ?, ?, (select count(*) from marts.transfer_records)""",
        [
            entity,
            key,
            action,
            target,
            json.dumps(fields or {}, ensure_ascii=False),
            json.dumps(second_pass, ensure_ascii=False) if second_pass else None,
        ],
    )


def fill(connection: duckdb.DuckDBPyConnection, companies: int, first: int = 0) -> None:
    """So many companies from the first on, each with everything that a move takes along.

    Ids are 1000 and more, so that none is the box's by accident; some records are equal but for their ids.
    """
    for number in range(first, first + companies):
        at, company, lead = f"2024-01-{1 + number % 28:02}T10:00:00+03:00", 1000 + number, 3000 + number
        past = {"createdTime": f"2024-0{1 + number // 100}-01T{number % 100 // 60:02}:{number % 60:02}:00+03:00"}
        past |= {"createdBy": 1, "updatedTime": "2024-06-01T10:00:00+03:00", "updatedBy": 1}
        wants(
            connection, "company", company, past | {"title": f"ООО {number}"}, second_pass={"leadId": ref("lead", lead)}
        )
        phone = {"typeId": "PHONE", "valueType": "MOBILE", "value": f"+7495{number:07}"}
        person = past | {"name": "Анна", "companyIds": [ref("company", company)], "fm": [phone]}
        wants(connection, "contact", 2000 + number, person)
        wants(connection, "lead", lead, past | {"title": "Заявка", "movedTime": "2024-05-01T10:00:00+03:00"})
        order = {"title": "Заказ", "companyId": ref("company", company), "contactId": ref("contact", 2000 + number)}
        wants(connection, "deal", 4000 + number, past | order | {"leadId": ref("lead", lead), "closedate": None})
        for twin in (0, 1):  # equal to the last letter
            texts = {"ENTITY_TYPE_ID": 4, "ENTITY_ID": ref("company", company), "PRESET_ID": 1, "NAME": "Реквизиты"}
            wants(connection, "requisite", 5000 + 2 * number + twin, texts | {"RQ_INN": "7707083893"})
        account = {"ENTITY_ID": ref("requisite", 5000 + 2 * number), "NAME": "Счёт", "RQ_ACC_NUM": "40702810"}
        wants(connection, "bank_detail", 6000 + number, account)
        for kind in (1, 6):
            place = {"TYPE_ID": kind, "ENTITY_TYPE_ID": 8, "ENTITY_ID": ref("requisite", 5000 + 2 * number)}
            wants(connection, "address", f"{kind}:8:{5000 + 2 * number}", place | {"CITY": "Москва"})
        goods = {"productRows": [{"productName": "Кабель", "price": 10.5, "quantity": 2}]}
        wants(connection, "product_rows", f"D:{4000 + number}", goods)
        chosen = {"ENTITY_TYPE_ID": 2, "ENTITY_ID": ref("deal", 4000 + number), "MC_REQUISITE_ID": 0}
        chosen |= {"REQUISITE_ID": ref("requisite", 5000 + 2 * number), "MC_BANK_DETAIL_ID": 0}
        link = chosen | {"BANK_DETAIL_ID": ref("bank_detail", 6000 + number)}
        wants(connection, "requisite_link", f"2:{4000 + number}", link)
        partner = {"ENTITY_TYPE_ID": 3, "ENTITY_ID": ref("contact", 2000 + number)}
        common = {"OWNER_TYPE_ID": 2, "OWNER_ID": ref("deal", 4000 + number), "RESPONSIBLE_ID": 1, "AUTHOR": "Ира"}
        common |= {"CREATED": at, "START_TIME": at, "COMPLETED": "Y"}
        bound = [{"entityTypeId": 2, "entityId": ref("deal", 4000 + number)}]
        bound += [{"entityTypeId": 4, "entityId": ref("company", company)}]
        call = common | {
            "TYPE_ID": 2,
            "SUBJECT": "Звонок",
            "BINDINGS": bound,
            "COMMUNICATIONS": [partner | {"VALUE": "+7495"}],
        }
        wants(connection, "activity", 7000 + 3 * number, call)
        letter = common | {"TYPE_ID": 4, "SUBJECT": "Письмо", "DIRECTION": 1}
        letter |= {"COMMUNICATIONS": [partner | {"VALUE": "anna@example.ru"}]}
        wants(connection, "activity", 7001 + 3 * number, letter)
        chat = common | {"TYPE_ID": 6, "PROVIDER_ID": "REST_APP", "SUBJECT": "Чат"}
        wants(connection, "activity", 7002 + 3 * number, chat)
        said = [
            {"ID": str(9000 + 2 * number + twin), "CREATED": at, "AUTHOR": "Ира", "COMMENT": "Позвонить 'завтра'"}
            for twin in (0, 1)
        ]
        wants(connection, "comments", f"deal:{4000 + number}", {"parts": said})


def stamp(connection: duckdb.DuckDBPyConnection) -> None:
    """The mart is as a run of the models with all its tests passed has left it: the command line sends no other."""
    now = journal.utc_now()
    connection.execute(
        "insert into ops.steps (run_id, step, started_at, status) values ('models', ?, ?, 'done')",
        [journal.DBT_TRANSFER, now],
    )
    connection.execute("delete from ops.mart_stamps")
    connection.execute(
        """insert into ops.mart_stamps
           select 'transfer_records', count(*), coalesce(sum(hash(mart_row)), 0), 'models', ?, ?
           from marts.transfer_records as mart_row""",
        [journal.DBT_TRANSFER, now],
    )


def counts_of(companies: int) -> dict[str, int]:
    """Rows that a box has of `fill` once, table by table."""
    once = ("company", "contact", "lead", "deal", "bank_detail", "product_row", "requisite_link")
    return dict.fromkeys(once, companies) | {
        "requisite": 2 * companies, "address": 2 * companies, "activity": 2 * companies, "comment": 3 * companies,
    }  # fmt: skip


def held(portal: Portal) -> dict[str, int]:
    """The same rows as a box has them."""
    tables = ("activity", "comment", "product_row", "requisite_link")
    return portal.counts() | {table: len(portal.rows(table)) for table in tables}


@dataclass
class Mover:
    """A warehouse with the mart, a box, and pushes from one to the other."""

    connection: duckdb.DuckDBPyConnection
    box: WatchedSandbox
    folder: Path
    cloud: str = CLOUD

    @property
    def portal(self) -> Portal:
        return self.box.portal

    @property
    def dates(self) -> Path:
        return self.folder / "transfer" / "dates.sql"

    def push(self, word: Word = OFF, **settings: Any) -> Result:
        where = {"box_webhook": self.box.webhook, "warehouse": self.folder / "svod.duckdb"}
        chosen = Settings(_env_file=None, bitrix24_request_limit=0.3, **where, **settings)
        with journal.step(self.connection, journal.TRANSFER_PUSH):
            return asyncio.run(self._push(chosen, word))

    async def _push(self, settings: Settings, word: Word) -> Result:
        webhook, name = settings.box()
        async with Client(SecretStr(webhook.get_secret_value()), Pace(0, 50, 0)) as client:
            ledger = TransferLedger(self.connection, name, self.cloud)
            return await push(ledger, client, settings, self.dates, Silent(), word)

    def wants(self, entity: str, source_id: object, fields: dict[str, Any] | None = None, **more: Any) -> None:
        wants(self.connection, entity, source_id, fields, **more)

    def sql(self, statement: str, *params: Any) -> list[tuple]:
        return self.connection.execute(statement, list(params)).fetchall()

    def call(self, method: str, **params: Any) -> Any:
        """What a manager of the box does by hand."""
        return self.box.ask(method, params)

    def target(self, entity: str, source_id: object) -> int:
        """The id that the map has of a record."""
        sql = "select target_id from transfer.id_map where entity = ? and source_id = ?"
        ((target,),) = self.sql(sql, entity, str(source_id))
        return target
