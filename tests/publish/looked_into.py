"""A small warehouse to look into: shop A with a handful of companies of every fate, built by the models, and a portal
that holds some of them. What is in it:

| client | what becomes of it |
| --- | --- |
| 1, 2 | Ромашка: one company by its INN, in the CRM; Иванов works there, twice, by one phone |
| 3 | Опечатка: a wrong INN, with orders and somebody to call |
| 4 | Закрытая: closed down, says the registry, with an order |
| 5 | Новая: the registry has not been asked |
"""

import json
from pathlib import Path

from tests.models.sql_rules import PROJECT
from tests.models.test_gates import Warehouse

MODELS = PROJECT / "models"
ROMASHKA, CLOSED, NEW = "7707083893", "7736050003", "7702070139"
WRONG = "7707083890"
PHONE, EMAIL = "+79161234567", "ivanov@romashka.ru"
PORTAL = "portal.test"
NAME = "<b>Опечатка</b> & Ко"  # as somebody typed it
LETTERS_LOST = "Петрова Анна".encode("cp1251").decode("latin-1")  # as a shop holds it that read one as the other


def make(folder: Path) -> Warehouse:
    """The warehouse after a full pass, with a ledger, a change that was sent, and something of each kind that waits."""
    warehouse = Warehouse(folder)
    for table in ("shop_a__client_contacts", "shop_a__orders"):
        warehouse.sql(f"create table raw.{table} as from raw.envelope")
    _land_shop(warehouse)
    _land_verdicts(warehouse)
    passed = warehouse.passes()
    assert passed.returncode in (0, 2), passed.stdout + passed.stderr  # 2: nobody may be asked for the last verdict
    _fill_portal(warehouse)
    return warehouse


def _land_shop(warehouse: Warehouse) -> None:
    clients = {
        1: ('ООО "Ромашка"', f"ИНН {ROMASHKA}"), 2: ("Ромашка, ООО", ROMASHKA), 3: (NAME, WRONG),
        4: ("ООО Закрытая", CLOSED), 5: ("ООО Новая", NEW),
    }  # fmt: skip
    times = {"created_at": "2025-02-01 10:00:00", "updated_at": "2026-03-01 10:00:00"}
    warehouse.land(
        "shop_a__clients",
        [(str(n), {"id": n, "name": name, "inn": inn, "is_deleted": 0, **times}) for n, (name, inn) in clients.items()],
    )
    people = {
        11: (1, "Иванов Иван Иванович", "8 (916) 123-45-67", EMAIL), 12: (2, "Иванов И.", "+7 916 123 45 67", "нет"),
        13: (3, LETTERS_LOST, "8 926 765-43-21", ""),
    }  # fmt: skip
    warehouse.land(
        "shop_a__client_contacts",
        [
            (
                str(n),
                {"id": n, "client_id": c, "full_name": name, "position": None, "phone": phone, "email": email, **times},
            )
            for n, (c, name, phone, email) in people.items()
        ],
    )
    orders = {21: (1, 11, "done", 1000), 22: (2, None, "cancelled", 70), 23: (3, 13, "paid", 5000),
              24: (4, None, "done", 300)}  # fmt: skip
    warehouse.land(
        "shop_a__orders",
        [
            (
                str(n),
                {"id": n, "client_id": client, "contact_id": person, "number": f"A-{n}", "status": status,
                 "total": f"{total}.00", **times, "created_at": "2026-02-03 10:00:00"},
            )
            for n, (client, person, status, total) in orders.items()
        ],
    )  # fmt: skip


def _land_verdicts(warehouse: Warehouse) -> None:
    def verdict(status: str, name: str) -> dict:
        return {"found": True, "verdict": {"status": status, "short_name": name}}

    warehouse.land(
        "registry__companies",
        [(ROMASHKA, verdict("ACTIVE", 'ООО "РОМАШКА"')), (CLOSED, verdict("LIQUIDATED", "ООО ЗАКРЫТАЯ"))],
    )


def _fill_portal(warehouse: Warehouse) -> None:
    sent = json.dumps({"title": 'ООО "РОМАШКА"', "UF_CRM_SVOD_STATE": "active"}, ensure_ascii=False)
    before = json.dumps({"title": "Ромашка", "UF_CRM_SVOD_STATE": "active"}, ensure_ascii=False)
    warehouse.sql(
        f"""
        insert into sync.portals (portal, url, counter, intended, first_seen_at, last_seen_at)
        values ('{PORTAL}', 'https://{PORTAL}', 4, 4, '2026-03-02', '2026-03-03');
        insert into sync.ledger (portal, entity, origin_id, bitrix_id, sent, wanted, is_adopted, synced_at, known_since)
        select '{PORTAL}', 'company', company_id, 501, '{sent}', '{sent}', false, '2026-03-03', '2026-03-02'
        from marts.crm_companies
        union all
        select '{PORTAL}', 'contact', contact_id, 601, '{{}}', '{{}}', true, '2026-03-02', '2026-03-02'
        from marts.crm_contacts
        union all
        select '{PORTAL}', 'deal', deal_id, 700 + row_number() over (order by deal_id), '{{}}', '{{}}', false,
            '2026-03-02', '2026-03-02'
        from marts.crm_deals;
        insert into sync.history
        select '{PORTAL}', 'company', company_id, 'update', '{before}', '{sent}', 4, 'r2', '2026-03-03 09:00:00'
        from marts.crm_companies;
        insert into sync.conflicts
        select '{PORTAL}', 'contact', contact_id, 'post', 601, null, 'директор', 'бухгалтер', '2026-03-04'
        from marts.crm_contacts;
        insert into sync.adoption_duplicates
        select '{PORTAL}', 'company', company_id, 'RQ_INN', [501, 502], '2026-03-04' from marts.crm_companies;
        insert into sync.dead_letters
        values ('{PORTAL}', 'deal', 'shop_a:22', 'ERROR_CORE', 'нет прав', 1, '2026-03-04', 'infinity', '{{}}');
        insert into sync.deletions values ('{PORTAL}', 'contact', 'p-gone', 602, '2026-03-05', false);
        insert into ops.steps values
            ('r2', 'publish push', '2026-03-03 09:00:00', '2026-03-03 09:00:05', 'done', 0, 3,
             '{{"created": {{"company": 1, "deal": 2}}, "updated": {{"company": 1}}, "adopted": 1, "requests": 9,
                "dead_letters_now": 1}}'),
            ('r3', 'publish push', '2026-03-04 09:00:00', '2026-03-04 09:00:01', 'gated', 0, 0,
             '{{"error": "=HYPERLINK(1)"}}');
        insert into ops.source_reads values ('shop_a', 'MySQL', '2026-03-04', '2026-03-03', '2026-03-04', 'is down');
        insert into ops.dirty_fields
        select day - interval 40 day, source, field, filled_count, filled_count from ops.dirty_fields
        """
    )
