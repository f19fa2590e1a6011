"""What the sources bring from day to day, worked out on the marts themselves; the same day twice brings the same."""

from pathlib import Path
from typing import NamedTuple

import duckdb

from ingest.warehouse import reads
from tests.publish import marts

KINDS = {"shop_a": "MySQL", "shop_b": "Kafka"}
DAYS = 499  # a new company's INN begins with its day

_COMPANIES_AND_DEALS = """
update marts.crm_companies set title = title || ' +{day}' where hash(company_id || {day}) % 10 = 0;
update marts.crm_companies set legal_address = legal_address || ', к {day}' where hash(company_id || {day}) % 17 = 0;
update marts.crm_companies set account = '407028{day:03}' || right(account, 11)
    where hash(company_id || {day}) % 23 = 0;
insert into marts.crm_companies by name
    select * replace ('c-{day:04}' || right(company_id, 12) as company_id, {inn} as inn)
    from marts.crm_companies where {is_copied};
update marts.crm_deals set amount = amount + {day} where hash(deal_id || {day}) % 10 = 0;
insert into marts.crm_deals by name
    select * replace ('shop_a:{day:03}' || right(deal_id, 4) as deal_id)
    from marts.crm_deals where hash(deal_id || {day}) % 8 = 0 and deal_id like 'shop_a:000%';
"""
_PEOPLE = """
update marts.crm_contacts set phones = ['+7495' || lpad((hash(contact_id || {day}) % 10000000)::varchar, 7, '0')]
    where hash(contact_id || {day}) % 10 = 1;
delete from marts.crm_company_contacts where not is_primary and hash(contact_id || {day}) % 5 = 0;
insert into marts.crm_contacts by name
    select * replace (
        'p-{day:04}' || right(contact_id, 12) as contact_id, ['+7{day:03}' || right(contact_id, 7)] as phones)
    from marts.crm_contacts where {is_copied};
insert into marts.crm_company_contacts by name
    select * replace ('p-{day:04}' || right(contact_id, 12) as contact_id)
    from marts.crm_company_contacts where {is_copied};
"""
_INN = "'{prefix}' || right(inn, 7)"
_COPIED_COMPANY = "length(inn) = 10 and hash(company_id || {day}) % 8 = 0 and company_id like 'c-0000%'"
_COPIED_PERSON = "hash(contact_id || {day}) % 12 = 0 and contact_id like 'p-0000%'"


class Day(NamedTuple):
    """A day by its number, and the source that could not be read on it ('' for none)."""

    number: int
    failing: str = ""


def happens(connection: duckdb.DuckDBPyConnection, day: Day) -> None:
    """Changes of every kind, a different set each day, and stamped marts. Of a source that fails, the marts keep what
    they had, and its failure is in the journal. What waited for its next try has waited long enough."""
    number = day.number
    connection.execute("update sync.dead_letters set next_at = last_at where not isinf(next_at)")
    for source, kind in KINDS.items():
        reads.attempt(connection, source, kind)
        reads.settle(connection, source, kind, "it is down" if source == day.failing else None)
    if day.failing != "shop_a":
        inn, is_copied = _INN.format(prefix=500 + number), _COPIED_COMPANY.format(day=number)
        connection.execute(_COMPANIES_AND_DEALS.format(day=number, inn=inn, is_copied=is_copied))
    if day.failing != "shop_b":
        connection.execute(_PEOPLE.format(day=number, is_copied=_COPIED_PERSON.format(day=number)))
    marts.stamp(connection)


def inns_to_come(connection: duckdb.DuckDBPyConnection, number: int) -> list[str]:
    """The INNs of the companies that a day will bring."""
    inn, is_copied = _INN.format(prefix=500 + number), _COPIED_COMPANY.format(day=number)
    rows = connection.execute(f"select {inn} from marts.crm_companies where {is_copied} order by 1").fetchall()
    return [row[0] for row in rows]


def put_back(copy: Path, warehouse: Path) -> None:
    """Put a copy of the warehouse in its place, without the log of changes that belongs to what was there."""
    warehouse.with_name(f"{warehouse.name}.wal").unlink(missing_ok=True)
    warehouse.write_bytes(copy.read_bytes())
