"""`make demo`: the whole job on sample data, with embedded servers that speak the sources' own protocols.

A full run, then a second day at the sources and an increment that pushes only what changed, then a third run that
has nothing to send. Everything stays in ./demo for a look afterwards.
"""

import shutil
import sys
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from publish.sandbox import Limits, Portal, RunningSandbox
from tests.installation import Installation
from tests.sample_data.embedded import EmbeddedKafka, EmbeddedMysql
from tests.sample_data.generate import generate
from tests.sample_data.loaders import TOPIC, produce_kafka
from tests.sample_data.registry_double import RunningRegistry

FOLDER = Path("demo").resolve()
SCALE, SEED = 0.004, 7  # 712 company cards, 2,700 contact cards, 2,800 orders
console = Console(highlight=False, width=100)


def main() -> None:
    started = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    sample = FOLDER / "sources"
    heading(f"Two shops make their client bases (sample data, seed {SEED})")
    manifest = generate(sample, scale=SCALE, seed=SEED)
    with (
        EmbeddedMysql(sample) as shop_a,
        EmbeddedKafka() as kafka,
        RunningRegistry(sample, rate=1000, latency=0.01) as registry,
        RunningSandbox(FOLDER / "portal.sqlite", limits=Limits.standard()) as sandbox,
    ):
        produce_kafka(kafka.bootstrap, TOPIC, sample, day=1)
        svod = Installation(
            FOLDER,
            {
                "SVOD_SHOP_A_URL": shop_a.url,
                "SVOD_SHOP_B_FILES": str(sample / "shop_b" / "history-*.json*"),
                "SVOD_SHOP_B_KAFKA": kafka.bootstrap,
                "SVOD_KAFKA_API_VERSION": "2.0",
                "SVOD_SHOP_A_RECONCILE_HOURS": "0",  # the embedded server sums no MD5s
                "SVOD_REGISTRY_URL": registry.url,
                "SVOD_REGISTRY_TOKEN": registry.token,
                "SVOD_REGISTRY_RATE": "100",
                "SVOD_REGISTRY_TTL_DAYS": "0",  # none is kept: day two asks for day two's verdicts
                "SVOD_BITRIX24_WEBHOOK": sandbox.webhook,
                "SVOD_SINCE": manifest["since"],
            },
        )
        heading("make full: everything the shops have, into an empty portal")
        run(svod, "full")
        show_summary(svod)
        show_portal(sandbox.portal)

        heading("A day later: new orders, changed phones, a corrected INN, a company that closed down")
        shop_a.apply(sample, day=2)
        registry.apply(sample, day=2)
        produce_kafka(kafka.bootstrap, TOPIC, sample, day=2)
        before = sandbox.portal.writes()
        run(svod, "incremental")
        show_sent("What the increment sent", sandbox.portal.writes() - before)

        heading("make incremental once more: nothing changed at the sources")
        before = sandbox.portal.writes()
        run(svod, "incremental")
        sent = sandbox.portal.writes() - before
        console.print(f"write commands sent: [bold]{sent.total()}[/bold]")
    console.print(
        f"\nThat took {time.monotonic() - started:.0f} s. Look around: "
        f"[bold]make inspect SVOD_WAREHOUSE={svod.warehouse.relative_to(Path.cwd())}[/bold]"
    )
    if sent:
        sys.exit("the third run should have sent nothing")


def heading(text: str) -> None:
    console.print(f"\n[bold]== {text}[/bold]")


def run(svod: Installation, target: str) -> None:
    ended = svod.make(target, echo=True)
    if ended.status:
        sys.exit(f"make {target} failed with status {ended.status}")


def show_summary(svod: Installation) -> None:
    """What a sales director asks: what came in, what was left out and why, what the sales team gets."""
    table = Table(title="From the shops to one base", title_justify="left", show_header=False, box=None)
    table.add_column(justify="right", style="bold")
    table.add_column()
    for count, label in svod.query(
        """
        select count(*), 'company cards at the two shops' from intermediate.int_companies__outcomes
        union all select count(*), 'contact cards' from intermediate.int_contacts__outcomes
        """
    ):
        table.add_row(f"{count:,}", label)
    for count, reason in svod.query(
        """
        select count(*), coalesce(text_en, reason) from marts.rejected_companies
        left join (from intermediate.rejection_reasons where entity = 'company') using (reason)
        group by reason, text_en order by count(*) desc, reason
        """
    ):
        table.add_row(f"{count:,}", f"  company cards left out: {reason}")
    for count, label in svod.query(
        """
        select count(*), 'companies, each once' from marts.crm_companies
        union all select count(*), '  of them known to both shops' from marts.crm_companies
        where sources = 'shop_a, shop_b'
        union all select count(*), 'people to call, each once' from marts.crm_contacts
        union all select count(*), '  of them with a phone that dials' from marts.crm_contacts where len(phones) > 0
        union all select count(*), 'orders as deals' from marts.crm_deals
        """
    ):
        table.add_row(f"{count:,}", label)
    console.print(table)


def show_portal(portal: Portal) -> None:
    counts = portal.counts()
    console.print("In the CRM now: " + ", ".join(f"{count:,} {name}" for name, count in counts.items() if count))


def show_sent(title: str, sent: Counter[str]) -> None:
    table = Table(title=title, title_justify="left", show_header=False, box=None)
    for method, count in sorted(sent.items()):
        table.add_row(f"{count:,}", method)
    console.print(table)


if __name__ == "__main__":
    main()
