"""The Parquet tables of a sample: shop A's three, the register's verdicts, and the truths behind the answers."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

TEXT, WHEN, TEXTS = pa.string(), pa.timestamp("us"), pa.list_(pa.string())


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(list(columns.items()))


CLIENTS = _schema(
    id=pa.uint32(),
    name=TEXT,
    inn=TEXT,
    kpp=TEXT,
    ogrn=TEXT,
    legal_address=TEXT,
    bank_name=TEXT,
    bik=TEXT,
    account=TEXT,
    corr_account=TEXT,
    is_deleted=pa.int8(),
    created_at=WHEN,
    updated_at=WHEN,
)
CLIENT_CONTACTS = _schema(
    id=pa.uint32(),
    client_id=pa.uint32(),
    full_name=TEXT,
    position=TEXT,
    phone=TEXT,
    email=TEXT,
    is_deleted=pa.int8(),
    created_at=WHEN,
    updated_at=WHEN,
)
ORDERS = _schema(
    id=pa.uint32(),
    client_id=pa.uint32(),
    contact_id=pa.uint32(),
    number=TEXT,
    status=TEXT,
    total=pa.decimal128(14, 2),
    created_at=WHEN,
    updated_at=WHEN,
)
SHOP_A = {"clients": CLIENTS, "client_contacts": CLIENT_CONTACTS, "orders": ORDERS}

REGISTRY = _schema(
    inn=TEXT,
    status=TEXT,
    kpp=TEXT,
    ogrn=TEXT,
    type=TEXT,
    full_name=TEXT,
    short_name=TEXT,
    opf=TEXT,
    director_name=TEXT,
    director_post=TEXT,
    address=TEXT,
    registration_date=pa.date32(),
    liquidation_date=pa.date32(),
    actuality_date=pa.date32(),
)

# What is true of each source record; the answers are derived from these in SQL. Times are UTC.
TRUE_COMPANIES = _schema(
    source=TEXT,
    source_id=TEXT,
    inn=TEXT,  # what a careful reader gets from the typed INN; null when nothing or nothing valid
    fault=TEXT,  # null | deleted | missing_inn | invalid_inn
    is_in_period=pa.bool_(),
    changed_at=WHEN,
    title=TEXT,
    kpp=TEXT,
    address=TEXT,
    bank_name=TEXT,
    bik=TEXT,
    account=TEXT,
    corr_account=TEXT,
)
TRUE_PERSONS = _schema(
    source=TEXT,
    source_id=TEXT,
    person_id=TEXT,  # the true person; null where the data cannot tell which of several
    fault=TEXT,  # null | deleted | orphan | empty | gone
    full_name=TEXT,  # folded; only of records that give surname, name and patronymic
    last_name=TEXT,
    first_name=TEXT,
    second_name=TEXT,
    is_typo=pa.bool_(),
    is_named=pa.bool_(),
    phones=TEXTS,
    emails=TEXTS,
    are_values_known=pa.bool_(),  # false where a record that cannot be told may bring phones along
    changed_at=WHEN,
)
TRUE_EMPLOYMENTS = _schema(source=TEXT, source_id=TEXT, company_source_id=TEXT)
TRUE_ORDERS = _schema(
    source=TEXT,
    source_id=TEXT,
    company_source_id=TEXT,
    person_source_id=TEXT,
    status=TEXT,
    amount=pa.decimal128(14, 2),
    currency=TEXT,
    ordered_at=WHEN,
    changed_at=WHEN,
    fault=TEXT,  # null | gone
)
TRAPS = _schema(trap=TEXT, source_1=TEXT, source_id_1=TEXT, source_2=TEXT, source_id_2=TEXT)
TRUTH = {
    "companies": TRUE_COMPANIES,
    "persons": TRUE_PERSONS,
    "employments": TRUE_EMPLOYMENTS,
    "orders": TRUE_ORDERS,
    "traps": TRAPS,
}
# What day two is expected to do to the CRM.
CHANGES = _schema(
    scenario=TEXT,
    entity=TEXT,  # company | contact | deal
    action=TEXT,  # create | update
    inn=TEXT,  # of a company after the change
    source=TEXT,  # a source record of the entity
    source_id=TEXT,
    fields=TEXTS,  # mart columns that change; `state` and `companies` stand for the CRM's state field and links
)


class ParquetTable:
    """Rows appended one by one, written in groups of 100,000: memory stays flat."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer, self._schema, self._rows, self.count = pq.ParquetWriter(path, schema), schema, [], 0

    def add(self, row: Sequence) -> None:
        self._rows.append(row)
        self.count += 1
        if len(self._rows) >= 100_000:
            self._flush()

    def _flush(self) -> None:
        columns = zip(*self._rows, strict=True) if self._rows else [()] * len(self._schema)
        arrays = [pa.array(c, f.type) for c, f in zip(columns, self._schema, strict=True)]
        self._writer.write_table(pa.table(arrays, schema=self._schema))
        self._rows = []

    def close(self) -> None:
        if self._rows or not self.count:
            self._flush()
        self._writer.close()
