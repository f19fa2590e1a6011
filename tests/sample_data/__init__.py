"""Two shops' client bases made from a seed, with every defect their owners know of, and with known answers.

    python -m tests.sample_data generate --scale 0.01 --seed 1 --out DIR
    python -m tests.sample_data quality --answers DIR --warehouse FILE [--day 2] [--show 10]

Scale 1 is 53,000 clients, 75,000 contacts and 400,000 orders of shop A, 125,000 companies, 600,000 persons and 300,000
orders of shop B. The same scale, seed and date give the same data. The first day is `--today` (2026-10-02, fixed), the
period begins on 1 January of the year before (`since` in manifest.json: the value for SVOD_SINCE).

What it writes
    shop_a/clients, client_contacts, orders     .parquet: rows as in shop A's tables, times in Moscow time
    shop_b/history-1.json (UTF-8 with a BOM), history-2.json.gz, history-3-cp1251.json      about 90 % of the companies
    shop_b/broken/history-truncated.json        a copy cut inside a company; not to be landed with the others
    shop_b/events.ndjson                        messages of the topic in the order of sending, one a line: `key`,
        `value` (text, or null for a tombstone) or `value_base64`, `timestamp` (epoch milliseconds)
    registry.parquet, registry.csv              verdicts; status UNKNOWN = the register knows no such INN
    truth/                                      what is true of each record, the answers' source; times in UTC
    answers/                                    what the marts should hold, see below
    day_two/                                    the next day: shop_a/*.parquet are rows to insert or replace by id,
        shop_b/events.ndjson more messages, registry.* the verdicts that changed, truth/ and answers/ as above
    manifest.json                               counts

Answers. `company_key` is the INN; `person_key` is the smallest `source:source_id` of the person's records.
    companies           (source, source_id): true_inn, company_key, outcome = `published` or the reason of rejection
    golden_companies    the mart's columns by the rules of survivorship, `sources` as a list
    contacts            (source, source_id): person_key, outcome = `published`, a reason, or `gone` (was in an earlier
        document of its company only: `deleted` in the mart), company_reason; names, phones and e-mails that this record
        gives; is_certain = false where the data cannot tell which of several people it is
    golden_contacts     names (null where no record settles them), phones in E.164 and e-mails as sorted lists (null
        where an uncertain record may add to them), sources, number of records
    links               person_key, company_key; is_primary where the person has that company only, else null
    deals               deal_id, company_key, person_key, status, amount, …; is_contact_known = false where the order's
        person is not certain; is_in_period = false: whether such an old order is a deal is left open
    traps               pairs of source contacts; must_merge = false: merging them merges strangers (the kinds are told
        in traps.py), true: the evidence is there, `trap` names it
    day_two/answers/crm_changes     all that day two does to the CRM: scenario, entity, action, source record (source,
        source_id), inn of a company after the change, `fields` = mart columns that change; `companies` stands for a
        contact's links, `state` for a company or person that left the marts. Deals of a company that leaves stay as
        they are. Scenarios `noise` and `old_event` change the sources and must not show up.

Decisions where the contracts leave room
    Two records are one person only where the text proves it: a phone or an e-mail that no other person has, with names
    that fit; or one full name typed twice under one company. Nobody else is demanded to be merged.
    A phone is personal when all records that give it are of one person.
    INNs of fate `awaiting` are absent from the verdicts file. The registry double, which always answers, does not know
    them, so `unknown_to_registry` is right too when the models were fed from the service.
    Orders of before the period are all unchanged since, so no sum depends on them.
    Byte 0x98 of a text read in the wrong charset occurs in shop B only: a MySQL cp1251 column cannot hold it.
    Two golden records that become one do not occur on day two: which id is the older is no fact of the sources.
"""
