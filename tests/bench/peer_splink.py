"""Splink, the free standard of probabilistic record linkage, on the contacts the models match: same input, same judge.

It gets what our matching gets (names taken apart, phones and e-mails already normalised, the company), blocks on the
same keys, and is trained as its own documentation advises: u by random sampling, m by expectation maximisation.
"""

import time
from pathlib import Path

import duckdb
import splink.comparison_library as cl
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

THRESHOLD = 0.95  # match probability; Splink's tutorials use 0.9 to 0.99
TRAINED_ON = ("last_name", "first_name")

SETTINGS = SettingsCreator(
    link_type="dedupe_only",
    comparisons=[
        cl.JaroWinklerAtThresholds("last_name", [0.94, 0.88]).configure(term_frequency_adjustments=True),
        cl.JaroWinklerAtThresholds("first_name", [0.94, 0.88]).configure(term_frequency_adjustments=True),
        cl.JaroWinklerAtThresholds("second_name", [0.94, 0.88]),
        cl.ArrayIntersectAtSizes("phones", [1]),
        cl.ArrayIntersectAtSizes("emails", [1]),
        cl.ExactMatch("company_id"),
    ],
    blocking_rules_to_generate_predictions=[
        block_on("phones", arrays_to_explode=["phones"]),
        block_on("emails", arrays_to_explode=["emails"]),
        block_on("company_id", "last_name"),
    ],
)

PEOPLE = """
    select
        record_key as unique_id, last_key as last_name, first_key as first_name, second_key as second_name,
        list_distinct([phone.number for phone in phones if phone.number is not null]) as phones,
        list_distinct([email.address for email in emails if email.address is not null]) as emails, company_id
    from intermediate.int_contacts__validated
    left join (
        select source, source_contact_id, min(company_id) as company_id
        from intermediate.int_company_contacts__appearances
        join intermediate.int_companies__outcomes using (source, source_company_id)
        group by all
    ) using (source, source_contact_id)
    where reason is null
"""  # the cleaned contacts that int_contacts__match_candidates starts from


def cluster(warehouse: Path, select: str) -> tuple[list[tuple[str, str]], float]:
    """Cluster the records that `select` reads from the warehouse with Splink.

    `select` yields unique_id, last_name, first_name, second_name, phones (list), emails (list), company_id. Returns
    (unique_id, cluster_id) pairs and the seconds from the read table to the clusters.
    """
    with duckdb.connect() as connection:
        connection.execute(f"attach '{warehouse}' as warehouse (read_only)")
        connection.execute("use warehouse")
        connection.execute(f"create temp table people as {select}")
        connection.execute("use memory")
        started = time.monotonic()
        api = DuckDBAPI(connection)
        linker = Linker(api.register("people"), SETTINGS, log_level=None)
        linker.training.estimate_probability_two_random_records_match([block_on(*TRAINED_ON, "company_id")], recall=0.7)
        linker.training.estimate_u_using_random_sampling(max_pairs=2e6, seed=1)
        for rule in (block_on(*TRAINED_ON), block_on("company_id")):
            linker.training.estimate_parameters_using_expectation_maximisation(rule)
        predictions = linker.inference.predict(threshold_match_probability=THRESHOLD)
        clusters = linker.clustering.cluster_pairwise_predictions_at_threshold(predictions, THRESHOLD)
        seconds = time.monotonic() - started
        rows = connection.execute(f"select unique_id, cluster_id from {clusters.physical_name}").fetchall()
    return rows, seconds
