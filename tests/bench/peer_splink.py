"""Splink, the free standard of probabilistic record linkage, on the contacts the models match: same input, same judge.

It gets what our matching gets (names taken apart, phones and e-mails already normalised, the company), blocks on the
same keys, and is trained as its own documentation advises: u by random sampling, m by expectation maximisation.
It takes comparisons for independent; colleagues share switchboards, so company, phone and e-mail make one of them.
"""

import logging
import time
from pathlib import Path

import duckdb
import splink.comparison_level_library as cll
import splink.comparison_library as cl
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

THRESHOLD = 0.99  # match probability; of 0.99, 0.999 and 0.9999 the best F1 by the answers

SAME_LAST = "last_name_l = last_name_r"
SIMILAR_LAST = "jaro_winkler_similarity(last_name_l, last_name_r) > 0.92"
SAME_FIRST = "first_name_l = first_name_r"
SECOND_AGREES = "coalesce(second_initial_l = second_initial_r, true)"
INITIALS_AGREE = f"coalesce(first_initial_l = first_initial_r, true) and {SECOND_AGREES}"
ONE_SHORTENED = "(first_name_l is null or first_name_r is null)"
PHONE = "list_has_any(phones_l, phones_r)"
EMAIL = "list_has_any(emails_l, emails_r)"
COMPANY = "company_id_l = company_id_r"
NAME = [
    cll.NullLevel("last_name"),
    cll.ExactMatchLevel("full_name", term_frequency_adjustments=True),
    cll.CustomLevel(f"{SAME_LAST} and {SAME_FIRST} and {SECOND_AGREES}", "last and first name"),
    cll.CustomLevel(f"{SAME_LAST} and {ONE_SHORTENED} and {INITIALS_AGREE}", "last name and initials"),
    cll.CustomLevel(f"{SIMILAR_LAST} and {SAME_FIRST} and {SECOND_AGREES}", "misspelt"),
    cll.ElseLevel(),
]
REACHED = [
    cll.NullLevel("company_id"),
    cll.CustomLevel(f"{PHONE} and {EMAIL}", "phone and e-mail"),
    cll.CustomLevel(f"{EMAIL} and {COMPANY}", "e-mail in one company"),
    cll.CustomLevel(f"{PHONE} and {COMPANY}", "phone in one company"),
    cll.CustomLevel(f"{PHONE} or {EMAIL}", "phone or e-mail elsewhere"),
    cll.CustomLevel(COMPANY, "company"),
    cll.ElseLevel(),
]
SETTINGS = SettingsCreator(
    link_type="dedupe_only",
    comparisons=[cl.CustomComparison(NAME, "name"), cl.CustomComparison(REACHED, "reached")],
    blocking_rules_to_generate_predictions=[
        *(block_on(column, arrays_to_explode=[column]) for column in ("phones", "emails")),
        block_on("company_id", "last_name"),
    ],
)

PEOPLE = """
    select
        record_key as unique_id, last_key as last_name, first_key as first_name, first_initial, second_initial,
        case when name_kind = 'full' then concat_ws(' ', last_key, first_key, second_key) end as full_name,
        phones, emails, company_id
    from intermediate.int_contacts__validated
    left join (
        select appearances.record_key, min(company_id) as company_id
        from intermediate.int_company_contacts__appearances as appearances
        join intermediate.int_companies__outcomes as companies on companies.record_key = appearances.company_key
        group by all
    ) using (record_key)
    where reason is null
"""  # the cleaned contacts that int_contacts__match_keys starts from


def cluster(warehouse: Path, select: str) -> tuple[list[tuple[str, str]], float]:
    """Cluster with Splink the records that `select` reads from the warehouse; it yields the columns of PEOPLE.

    Returns (unique_id, cluster_id) pairs and the seconds from the read table to the clusters.
    """
    logging.getLogger("splink").setLevel(logging.ERROR)
    with duckdb.connect() as connection:
        connection.execute(f"attach '{warehouse}' as warehouse (read_only); use warehouse")
        connection.execute(f"create temp table people as {select}; use memory")
        started = time.monotonic()
        linker = Linker(DuckDBAPI(connection).register("people"), SETTINGS, log_level=None)
        linker.training.estimate_probability_two_random_records_match([block_on("full_name", "company_id")], recall=0.7)
        linker.training.estimate_u_using_random_sampling(max_pairs=2e7, seed=1)
        for rule in (block_on("full_name"), block_on("company_id")):
            linker.training.estimate_parameters_using_expectation_maximisation(rule)
        predictions = linker.inference.predict(threshold_match_probability=THRESHOLD)
        clusters = linker.clustering.cluster_pairwise_predictions_at_threshold(predictions, THRESHOLD)
        seconds = time.monotonic() - started
        return connection.execute(f"select unique_id, cluster_id from {clusters.physical_name}").fetchall(), seconds
