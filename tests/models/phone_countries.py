"""Which numbers each calling code has: the seed `phone_countries`, taken from the metadata of `phonenumbers`.

`python -m tests.models.phone_countries` writes the seed anew. Calling code 7 (Russia and Kazakhstan) is left out:
almost every number has it, so its plan stands in the macro `phone_is_in_plan_of_7`, where the engine compiles it once.
"""

import csv
from pathlib import Path

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

SEED = Path(__file__).parents[2] / "dbt_project" / "seeds" / "phone_countries.csv"
KINDS = (  # what makes a number valid to the library
    "fixed_line",
    "mobile",
    "toll_free",
    "premium_rate",
    "shared_cost",
    "personal_number",
    "voip",
    "pager",
    "uan",
    "voicemail",
)


def national_patterns() -> list[tuple[str, str]]:
    """(calling code, regular expression of a valid national number), in order of the code."""
    rows = []
    for code, regions in COUNTRY_CODE_TO_REGION_CODE.items():
        if code != 7 and "001" not in regions:
            rows.append((str(code), "|".join(sorted({p for r in regions for p in _patterns(r)}))))
    return sorted(rows)


def _patterns(region: str) -> set[str]:
    metadata = PhoneMetadata.metadata_for_region(region)
    kinds = (getattr(metadata, kind) for kind in KINDS)
    return {kind.national_number_pattern for kind in kinds if kind and kind.national_number_pattern}


if __name__ == "__main__":
    with SEED.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("country_code", "national_pattern"))
        writer.writerows(national_patterns())
