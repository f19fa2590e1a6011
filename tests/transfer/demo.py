"""`make transfer-demo`: a company of 30,000 cards moves from a cloud portal to its own server, all on this machine.

The backup in 60 parts, some of them broken; two days of work in the cloud meanwhile; a box restored from the parts, and
somebody who tries it out; deltas, the final run, and once more, when nothing is written. Everything stays in
./transfer-demo for a look afterwards.
"""

import shutil
import sys
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .story import DEMO, Story

FOLDER = Path("transfer-demo").resolve()
OUTCOMES = {
    "unchanged": "are as the backup had them",
    "created": "were made in the cloud since, and are in the box now",
    "updated": "were changed in the cloud since, and are so in the box now",
    "box_kept": "were changed in the box only: that stays",
    "conflict": "were changed in both: listed for people to decide",
    "deleted_in_cloud": "were deleted in the cloud, and here too",
    "refused": "were refused by the box",
    "unsupported": "no webhook can make",
}
console = Console(highlight=False, width=100)


def main() -> None:
    started = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    with Story(FOLDER, DEMO) as story:
        tell(story)
    console.print(
        f"\nThat took {time.monotonic() - started:.0f} s. Look around: "
        f"[bold]make inspect SVOD_WAREHOUSE={story.svod.warehouse.relative_to(Path.cwd())}[/bold]"
    )


def tell(story: Story) -> None:
    heading(f"A cloud portal with {story.scale.cards:,} cards makes its backup, in {story.scale.parts} parts")
    story.years_go_by()
    story.backup_is_made()

    heading("make transfer-backup: over a line that breaks, from a storage that spoils some parts")
    run(story, "transfer-backup", shown=4)

    heading(
        f"Meanwhile, in the cloud: {story.scale.new_leads:,} leads, {story.scale.changes:,} changes, "
        "deletions, a new colleague"
    )
    story.people_go_on_working()
    story.server_is_set_up()
    story.forget_requests()

    heading("make transfer-baseline: the restored box, before anybody works in it")
    run(story, "transfer-baseline")

    heading("Somebody tries the box: a test lead, a card changed there, one changed in both portals")
    story.somebody_tries_the_box()
    story.forget_requests()

    heading("make transfer-delta: what the cloud has since the backup, while people work there")
    run(story, "transfer-delta", "ARGS=--automation-is-off")

    heading("One more lead in the cloud, then nobody works there any more: make transfer-final CONFIRM=frozen")
    story.last_hour()
    story.forget_requests()
    run(story, "transfer-final", "CONFIRM=frozen")
    show_outcomes(story)
    to_cloud, box = story.written_to_cloud, story.box.portal
    console.print(
        f"written to the cloud: [bold]{to_cloud.total()}[/bold]; e-mails sent: [bold]{box.mail_sent()}[/bold]; "
        f"workflows that the {new_cards(story):,} new cards started: [bold]{box.automation_started()}[/bold]"
    )

    heading("make transfer-final once more: nothing is left to do")
    story.forget_requests()
    run(story, "transfer-final", "CONFIRM=frozen")
    again = story.written_to_box
    console.print(f"write commands sent: [bold]{again.total()}[/bold]")

    heading("make transfer-status: what people have to do")
    run(story, "transfer-status")
    if again or to_cloud or box.mail_sent() or box.automation_started():
        sys.exit("nothing of these should have been sent or started")


def heading(text: str) -> None:
    console.print(f"\n[bold]== {text}[/bold]")


def run(story: Story, target: str, *arguments: str, shown: int = 0) -> None:
    """Run a make target; of a long output the first and last lines are shown."""
    ended = story.make(target, *arguments, echo=not shown)
    lines = ended.output.splitlines()
    if shown:
        for line in [*lines[:shown], "…", *lines[-shown:]]:
            print(f"  {line}")
    if ended.status:
        sys.exit(f"make {target} failed with status {ended.status}")


def new_cards(story: Story) -> int:
    sql = """select count(*) from transfer.ledger
             where entity in ('company', 'contact', 'lead', 'deal') and sent ->> '$.created' = 'true'"""
    return int(story.svod.query(sql)[0][0])


def show_outcomes(story: Story) -> None:
    table = Table(title="Every record of the cloud", title_justify="left", show_header=False, box=None)
    table.add_column(justify="right", style="bold")
    table.add_column()
    counts = Counter(dict(story.svod.query("select outcome, count(*) from marts.transfer_outcomes group by 1")))
    for outcome, text in OUTCOMES.items():
        if counts[outcome]:
            table.add_row(f"{counts[outcome]:,}", text)
    console.print(table)


if __name__ == "__main__":
    main()
