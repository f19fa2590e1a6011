"""Who is meant by a phone, an e-mail, an INN or an id: people as the models know them.

A person is a golden record with all records it ever had, or a record of its own where none was made of it.
"""

import re
from dataclasses import dataclass

import duckdb

from ingest.warehouse.errors import OperatorError, SettingsError
from ingest.warehouse.forgotten import values_of

MAILBOX = re.compile(r"[^\s@]+@[^\s@]+")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person is looked for by; of several, all have to be theirs. An id is that of a golden record or of a
    source's record (`shop_a:17`)."""

    phone: str = ""
    email: str = ""
    inn: str = ""
    ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.phone and not re.fullmatch(r"[0-9]{10}", self.phone_value):
            raise SettingsError("this is no phone number", hint="with its area code: +7 916 123-45-67")
        if self.email and not MAILBOX.fullmatch(self.email.strip()):
            raise SettingsError("this is no e-mail")
        if self.inn and not re.fullmatch(r"[0-9]{12}", self.inn):
            hint = "10 digits are an organisation's: its data is no person's; a person's has 12"
            raise SettingsError("this is no person's INN", hint=hint)

    @property
    def is_empty(self) -> bool:
        return not (self.phone or self.email or self.inn or self.ids)

    @property
    def phone_value(self) -> str:
        """The phone in the form that is remembered."""
        return next(iter(values_of(self.phone)), "")

    @property
    def email_value(self) -> str:
        return self.email.strip().lower()

    @property
    def masked(self) -> str:
        """For people who read an act or a log: enough to find the request again, too little to find the person."""
        told = [f"phone …{self.phone_value[-2:]}"] if self.phone else []
        told += [f"e-mail {self.email_value[0]}…@…"] if self.email else []
        told += [f"INN …{self.inn[-2:]}"] if self.inn else []
        return ", ".join([*told, *(f"id {key}" for key in self.ids)])


@dataclass(frozen=True, slots=True)
class Person:
    """`ids` are those that the golden record has had, its own first; `initials` and companies tell people apart."""

    id: str
    ids: tuple[str, ...]
    record_keys: tuple[str, ...]
    initials: str
    companies: tuple[str, ...]

    @property
    def told(self) -> str:
        at = f" at {', '.join(self.companies)}" if self.companies else ""
        return f"{self.id} ({self.initials or 'no name'}{at}, {len(self.record_keys)} source records)"


def find(connection: duckdb.DuckDBPyConnection, asked: Asked) -> list[Person]:
    """The people whose all of this is. Raises OperatorError when the models have not been built."""
    try:
        _gather(connection)
        conditions = {
            _BY_PHONE: asked.phone_value if asked.phone else None,
            _BY_EMAIL: asked.email_value if asked.email else None,
            _BY_INN: asked.inn or None,
            _BY_ID: list(asked.ids) or None,
        }
        chosen = [(sql, value) for sql, value in conditions.items() if value]
        meant = " intersect ".join(sql for sql, _ in chosen)
        rows = connection.execute(f"{_TOLD} where person_id in ({meant}) {_GROUPED}", [v for _, v in chosen]).fetchall()
    except duckdb.CatalogException:
        if is_only_moved(connection) and not (asked.inn or asked.ids):
            return []  # whoever is known by it in a portal is looked for there
        raise OperatorError(
            "the models that tell one person from another have not been built", hint="run `make full` first"
        ) from None
    return [
        Person(id, tuple(dict.fromkeys([id, *aliases])), tuple(keys), initials or "", tuple(companies))
        for id, aliases, keys, initials, companies in rows
    ]


def is_only_moved(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether this warehouse has read portals to move from and to, and no shop."""
    rows = connection.execute(
        """select 1 from ops.snapshots where completed_at is not null and not exists (
               from duckdb_tables() where schema_name = 'intermediate' and table_name = 'int_contacts__outcomes')
           limit 1"""
    ).fetchall()
    return bool(rows)


def _gather(connection: duckdb.DuckDBPyConnection) -> None:
    """Temp tables: whose each record is, and which ids became another one's."""
    connection.execute(
        """create or replace temp table records_of_people as
           select distinct record_key, person_id from (
               select record_key, coalesce(contact_id, record_key) as person_id
               from intermediate.int_contacts__outcomes
               union all
               select unnest(members), coalesce(merged_into, contact_id) from intermediate.int_contacts__identities
           )"""
    )
    connection.execute(
        """create or replace temp table former_ids as
           select contact_id, coalesce(merged_into, contact_id) as person_id
           from intermediate.int_contacts__identities"""
    )


# A phone and an e-mail of the models in the form that is remembered, as `values_of` has them.
PHONE_VALUE = "right(regexp_replace(coalesce(number, phone_raw), '[^0-9]', '', 'g'), 10)"
EMAIL_VALUE = "coalesce(address, lower(trim(email_raw)))"
_BY_PHONE = f"""(select person_id from records_of_people
    inner join intermediate.int_contacts__phones using (record_key)
    where {PHONE_VALUE} = ?)"""
_BY_EMAIL = f"""(select person_id from records_of_people
    inner join intermediate.int_contacts__emails using (record_key)
    where {EMAIL_VALUE} = ?)"""
_BY_ID = """(select person_id from (
        select person_id, record_key as id from records_of_people union all
        select person_id, person_id from records_of_people union all
        select person_id, contact_id from former_ids)
    where id in (select unnest(?::varchar[])))"""
# A sole trader's own contact card: of the company with this INN, and called like the trader.
_BY_INN = r"""(select person_id from records_of_people
    inner join intermediate.int_contacts__validated using (record_key)
    inner join (
        select companies.record_key as company_key, list_distinct(flatten(list(
            regexp_extract_all(lower(replace(concat_ws(' ', full_name, director_name, company_name), 'ё', 'е')), '\pL+')
        ))) as words
        from intermediate.int_companies__validated as companies
        left join intermediate.int_companies__registrations as registered using (inn)
        where inn = ? group by 1
    ) as traders using (company_key)
    where list_contains(words, last_key) and (first_key is null or list_contains(words, first_key)))"""
_TOLD = """
    select
        person_id,
        coalesce((select list(contact_id order by contact_id) from former_ids as former
            where former.person_id = people.person_id), []),
        list(distinct record_key order by record_key),
        min(concat_ws(' ', last_name[1] || '.', first_name[1] || '.', second_name[1] || '.')),
        coalesce(list(distinct coalesce(company_id, company_key) order by coalesce(company_id, company_key))
            filter (company_key is not null), [])
    from records_of_people as people
    left join intermediate.int_contacts__validated as contacts using (record_key)
    left join (select record_key as company_key, company_id from intermediate.int_companies__outcomes)
        using (company_key)"""
_GROUPED = "group by person_id order by person_id"
