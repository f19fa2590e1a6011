"""A whole move that is killed at random moments: its backup, its readings, its pushes, its stages, while a part of all
requests to either portal goes wrong and people work in the cloud. Then the portals are compared, by the models and past
them. Of a stage either all is killed, as when a machine stops, or the stage alone, whose step then goes on.

`python -m tests.transfer.kills` is the large one: 200 kills, 5 % of the requests.
"""

import argparse
import contextlib
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import duckdb
import httpx

from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.lock import OVERLAPS
from publish.sandbox import Portal, create_app
from publish.sandbox.methods import METHODS
from tests.chaos.portals import Address, Site
from tests.installation import Installation
from tests.killing import Killer
from tests.watched import watch

from . import kills_backup

_CARDS = {"company": 100, "contact": 120, "lead": 80, "deal": 150, "activity": 120, "comment": 90, "product_row": 90,
          "requisite_link": 60}  # fmt: skip
_TABLES = ("activity", "comment", "product_row", "requisite_link")
_A_ROUND = {"reading": 15, "push": 20, "stage": 10}
_LONGEST = {"reading": 1.5, "push": 0.5, "stage": 8.0}  # seconds of the processor until a kill; a step takes about that
_OFF = "--automation-is-off"
_STAGES = (("delta", _OFF), ("rehearsal", _OFF))
_FINAL = ("final", "--confirm", "frozen", _OFF)
_PATIENCE = 30  # runs that faults end, in a row
_MOST_ROUNDS = 20


@dataclass
class Outcome:
    """Kills that hit a living program, by step; those that left a snapshot half read or creates unanswered; requests
    that went wrong; what must not have happened; differences."""

    kills: Counter[str] = field(default_factory=Counter)
    half_read: int = 0
    with_open_intents: int = 0
    rounds: int = 0
    faults: int = 0
    mail: int = 0
    automation: int = 0
    differences: list[str] = field(default_factory=list)


@dataclass
class Mover:
    """The two portals, the warehouse between them, and who kills."""

    svod: Installation
    cloud: Address
    box: Address
    killer: Killer
    dice: random.Random
    outcome: Outcome
    people: Counter[str] = field(default_factory=Counter)  # what they did in the cloud, by method

    def until_done(self, step: str, kills: int, program: str, *arguments: str) -> int:
        """Run a step again and again, killed at random moments, at most so often, until it has ended by itself; how
        often it was not killed then."""
        failed = 0
        while True:
            process: ForkServerProcess = self.killer.start(program, *arguments)
            spares_steps = step == "stage" and self.dice.random() < 0.3
            if kills and self.killer.kill(process, self.dice.uniform(0.05, _LONGEST[step]), spares_steps=spares_steps):
                kills -= 1
                self.outcome.kills[step] += 1
                self._look_at_what_is_left()
                continue
            process.join(900)
            if process.exitcode == 0:
                return kills
            if process.exitcode == OVERLAPS:  # a step that was spared goes on
                time.sleep(0.2)
                continue
            failed += 1
            if failed == _PATIENCE:
                raise RuntimeError(f"{program} {' '.join(arguments)} does not end, see {self.killer.log}")

    def _look_at_what_is_left(self) -> None:
        try:
            opened = open_warehouse(self.svod.warehouse)
        except OperatorError:  # a step that was spared has it
            return
        with contextlib.closing(opened) as connection:
            ((half_read, intents),) = connection.execute(
                "select (select count(*) from ops.snapshot_rows) > 0, (select count(*) from transfer.intents) > 0"
            ).fetchall()
            self.outcome.half_read += half_read
            self.outcome.with_open_intents += intents

    def build(self) -> None:
        ended = self.svod.tool("python", "dbt_project/passes.py", "transfer")
        if ended.status:
            raise RuntimeError(f"the models failed: {ended.output}")

    def people_work(self, number: int) -> None:
        """New cards in the cloud with what hangs on them, and changes of old ones."""
        with self.cloud.without_faults() as client:
            leads = self._ask(client, "crm.item.batchImport", entityTypeId=1, data=_titles("Заявка", number))
            deals = self._ask(client, "crm.item.batchImport", entityTypeId=2, data=_titles("Заказ", number))
            lead_ids, deal_ids = ([item["item"]["id"] for item in made["items"]] for made in (leads, deals))
            for lead_id in lead_ids:
                comment = {"ENTITY_TYPE": "lead", "ENTITY_ID": lead_id, "COMMENT": f"Перезвонить {lead_id}"}
                self._ask(client, "crm.timeline.comment.add", fields=comment)
            for lead_id in lead_ids[:2]:
                self._ask(client, "crm.item.add", entityTypeId=4, fields={"title": f"По {lead_id}", "leadId": lead_id})
            letter = _letter(deal_ids[0])
            letter_id = self._ask(client, "crm.activity.add", fields=letter)
            self._ask(client, "crm.activity.update", id=letter_id, fields=letter | {"COMPLETED": "Y"})
            for deal_id in deal_ids:
                rows = [{"productName": "Кабель", "price": deal_id, "quantity": 2}]
                self._ask(client, "crm.item.productrow.set", ownerType="D", ownerId=deal_id, productRows=rows)
                self._ask(client, "crm.activity.add", fields=_call(deal_id))
                old = self.dice.randint(1, _CARDS["deal"])
                changed = {"title": f"Заказ {old}, правка {number}"}
                self._ask(client, "crm.item.update", entityTypeId=2, id=old, fields=changed)

    def _ask(self, client: httpx.Client, method: str, **params: Any) -> Any:
        answer = client.post(method, json=params)
        answer.raise_for_status()
        self.people[method] += 1
        return answer.json()["result"]


def _titles(what: str, number: int) -> list[dict[str, str]]:
    return [{"title": f"{what} {number}-{one}"} for one in range(20)]


def _call(deal_id: int) -> dict[str, Any]:
    partner = {"VALUE": "+7495", "ENTITY_TYPE_ID": 3, "ENTITY_ID": 1 + deal_id % _CARDS["contact"]}
    return {"OWNER_TYPE_ID": 2, "OWNER_ID": deal_id, "TYPE_ID": 2, "RESPONSIBLE_ID": 1, "SUBJECT": f"Звонок {deal_id}",
            "COMPLETED": "Y", "COMMUNICATIONS": [partner]}  # fmt: skip


def _letter(deal_id: int) -> dict[str, Any]:
    partner = {"VALUE": "anna@example.ru", "ENTITY_TYPE_ID": 3, "ENTITY_ID": 1}
    return {"OWNER_TYPE_ID": 2, "OWNER_ID": deal_id, "TYPE_ID": 4, "RESPONSIBLE_ID": 1, "SUBJECT": f"Письмо {deal_id}",
            "DIRECTION": 2, "COMPLETED": "N", "COMMUNICATIONS": [partner]}  # fmt: skip


def run(kills: int, *, seed: int, fault_rate: float, folder: Path) -> Outcome:
    """One move in a folder of its own, killed that often. Raises RuntimeError when it does not end by itself."""
    dice, outcome = random.Random(seed), Outcome()
    left = {"reading": 2 * kills // 10, "push": 3 * kills // 10, "stage": 2 * kills // 10}
    backup = kills_backup.run(kills - sum(left.values()), seed=seed, folder=folder)
    outcome.kills["backup"] = backup.kills
    outcome.differences += backup.differences
    sites = {name: Site(folder / name) for name in ("cloud", "box")}
    for name, site in sites.items():
        site.folder.mkdir()
        with contextlib.closing(create_app(site.state).state.portal) as portal:
            watch(portal)
            if name == "cloud":
                portal.fill(now=time.time() - 86_400, **_CARDS)
    svod = Installation(folder)
    killer = Killer({}, folder / "move.log", dice)
    cloud, box = (Address(killer.context, fault_rate, dice) for _ in sites)
    mover = Mover(svod, cloud, box, killer, dice, outcome)
    try:
        cloud.open(sites["cloud"])
        box.open(sites["box"])
        svod.settings |= {
            "SVOD_CLOUD_WEBHOOK": cloud.webhook,
            "SVOD_CLOUD_RATE": "0",
            "SVOD_BOX_WEBHOOK": box.webhook,
            "SVOD_TRANSFER_FALLBACK_USER": "1",
            # The sandbox answers in milliseconds: what it has not created a second after a request, it never will.
            "SVOD_BITRIX24_REQUEST_LIMIT": "1",
        }
        killer.environment = svod.environment
        _move(mover, left)
    finally:
        cloud.close()
        box.close()
    _compare(mover, sites, outcome)
    return outcome


def _move(mover: Mover, left: dict[str, int]) -> None:
    """Rounds of reading, building and pushing, each by itself or as a stage, until all kills are used; then a final
    run."""

    def step(name: str, program: str, *arguments: str) -> None:
        kills = min(left[name], _A_ROUND[name])
        left[name] -= kills - mover.until_done(name, kills, program, *arguments)

    while True:
        step("reading", "ingest", "bitrix24")
        if not mover.outcome.rounds:
            mover.until_done("stage", 0, "publish", "transfer", "baseline", "--no-backup")
        mover.outcome.rounds += 1
        mover.build()
        step("push", "publish", "transfer", "push", _OFF)
        mover.people_work(mover.outcome.rounds)
        if not (left["reading"] or left["push"]) and left["stage"] <= _A_ROUND["stage"]:
            break
        if mover.outcome.rounds == _MOST_ROUNDS:
            break
        step("stage", "publish", "transfer", *mover.dice.choice(_STAGES))
        mover.people_work(100 + mover.outcome.rounds)
    step("stage", "publish", "transfer", *_FINAL)


def _compare(mover: Mover, sites: dict[str, Site], outcome: Outcome) -> None:
    with contextlib.closing(duckdb.connect(str(mover.svod.warehouse), read_only=True)) as connection:
        cursor = connection.execute("from marts.transfer_verdict")
        verdict = dict(zip([column[0] for column in cursor.description], cursor.fetchone(), strict=True))
        if not verdict["is_exact"]:
            outcome.differences.append(f"the models say: {verdict}")
        for what in ("intents", "dead_letters"):
            ((number,),) = connection.execute(f"select count(*) from transfer.{what}").fetchall()
            if number:
                outcome.differences.append(f"{number} {what} are left")
        ((undone,),) = connection.execute(
            "select count(*) from marts.transfer_records where action <> 'none'"
        ).fetchall()
        if undone:
            outcome.differences.append(f"{undone} records are still to be sent")
    cloud, box = (Portal.of(sites[name].state) for name in ("cloud", "box"))
    with contextlib.closing(cloud), contextlib.closing(box):
        outcome.faults = sum(sum(portal.stats()["faults"].values()) for portal in (cloud, box))
        outcome.mail = cloud.mail_sent() + box.mail_sent()
        outcome.automation = box.automation_started()
        written = Counter({name: number for name, number in cloud.calls().items() if METHODS[name.lower()].writes})
        if written != mover.people:
            outcome.differences.append(f"written to the cloud: {written - mover.people}")
        there = [portal.counts() | {name: len(portal.rows(name)) for name in _TABLES} for portal in (cloud, box)]
        outcome.differences += [
            f"{there[1][table]} rows of {table}, not {number}" for table, number in there[0].items()
            if there[1][table] != number
        ]  # fmt: skip
        for kind in ("company", "contact", "lead", "deal"):
            marks = {card["UF_CRM_SVOD_SOURCE"].rpartition(":")[2] for card in box.items(kind)}
            if marks != {str(card["id"]) for card in cloud.items(kind)}:
                outcome.differences.append(f"the marks of {kind} are not the ids of the cloud")
        of_leads = [sum(bool(card["leadId"]) for card in portal.items("company")) for portal in (cloud, box)]
        if of_leads[0] != of_leads[1]:
            outcome.differences.append(f"{of_leads[1]} companies of leads, not {of_leads[0]}")
        for name in ("activity", "comment", "product_row"):
            texts = [Counter(map(_says, portal.rows(name))) for portal in (cloud, box)]
            if texts[0] != texts[1]:
                outcome.differences.append(f"{name}: {list((texts[0] - texts[1]) + (texts[1] - texts[0]))[:3]}")


def _says(row: dict[str, Any]) -> str:
    """What a record says, whatever it is called: of a comment its last line."""
    told = (
        f"{row['SUBJECT']} {row['COMPLETED']}"
        if row.get("SUBJECT")
        else row.get("COMMENT") or f"{row.get('productName')} {row.get('price')}"
    )
    return str(told).splitlines()[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description="A whole move that is killed at random moments.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--fault-rate", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    chosen = parser.parse_args()
    print(f"kills: seed {chosen.seed}", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        outcome = run(chosen.kills, seed=chosen.seed, fault_rate=chosen.fault_rate, folder=Path(folder))
    print(f"kills: {outcome}, {time.monotonic() - started:.0f} s")
    sys.exit(1 if outcome.differences or outcome.mail or outcome.automation else 0)


if __name__ == "__main__":
    main()
