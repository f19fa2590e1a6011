"""A whole move on sandboxes: a cloud portal, a backup of it in parts, people who go on working, a box restored from it.

The demo tells it at 30,000 cards, the suite at some hundreds. The two portals and the storage run in this process; the
product is driven from outside, by its make targets.
"""

import gzip
import io
import random
import struct
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from publish.sandbox import Limits, RunningSandbox
from tests.installation import Ended, Installation
from tests.watched import WatchedSandbox

from . import archive
from .storage import RunningStorage

DAY = 86_400.0
BEHIND = 2 * DAY  # the backup is so old when the move ends
STATE_FILE = "bitrix/portal.sqlite"
KINDS = ("company", "contact", "lead", "deal")
TYPES = {"company": 4, "contact": 3, "lead": 1, "deal": 2}


class Clock:
    """The time of both portals: so many seconds behind that of the machine."""

    behind = BEHIND

    def time(self) -> float:
        return time.time() - self.behind


@dataclass(frozen=True)
class Scale:
    """How much of everything: cards, parts of the backup, what happens after it."""

    company: int
    contact: int
    lead: int
    deal: int
    activity: int
    comment: int
    product_row: int
    requisite_link: int
    parts: int
    new_leads: int
    changes: int

    @property
    def cards(self) -> int:
        return self.company + self.contact + self.lead + self.deal


DEMO = Scale(4_000, 8_000, 8_000, 10_000, 3_000, 1_000, 4_000, 1_000, parts=60, new_leads=500, changes=2_000)
SUITE = Scale(40, 60, 60, 80, 30, 20, 40, 20, parts=6, new_leads=12, changes=40)


class Story:
    """The portals, the storage, and the installation that moves from one to the other; use as a context manager.

    Portals that are `watched` have a test fail where a program makes happen what it must not; that takes time.
    """

    def __init__(self, folder: Path, scale: Scale, *, watched: bool = False, seed: int = 1, **settings: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.scale, self.dice, self.clock = folder, scale, random.Random(seed), Clock()
        limits = {"limits": Limits.none(), "clock": self.clock}
        state = folder / "cloud.sqlite"
        self.cloud = WatchedSandbox(state, is_left=True, **limits) if watched else RunningSandbox(state, **limits)
        self.box = WatchedSandbox(**limits) if watched else RunningSandbox(**limits)
        self._before: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        self.storage: RunningStorage | None = None
        self.svod = Installation(
            folder,
            {
                "SVOD_CLOUD_WEBHOOK": self.cloud.webhook,
                "SVOD_CLOUD_RATE": "0",
                "SVOD_BOX_WEBHOOK": self.box.webhook,
                "SVOD_TRANSFER_BACKUP_LINKS": str(folder / "links.txt"),
                "SVOD_TRANSFER_PARTS": str(folder / "parts"),
                "SVOD_TRANSFER_FALLBACK_USER": "1",
                "SVOD_TRANSFER_DELETIONS": "delete",
                **settings,
            },
        )

    def __enter__(self) -> "Story":
        return self

    def __exit__(self, *exc: object) -> None:
        self.cloud.stop()
        self.box.stop()
        if self.storage:
            self.storage.__exit__()

    def make(self, target: str, *arguments: str, echo: bool = False) -> Ended:
        return self.svod.make(target, *arguments, echo=echo)

    def ask(self, sandbox: RunningSandbox, method: str, **params: Any) -> Any:
        """What people do in a portal."""
        if isinstance(sandbox, WatchedSandbox):
            return sandbox.ask(method, params)
        status, body, _ = sandbox.app.state.engine.request(method, params)
        assert status == 200, body
        return body["result"]

    # ----- what happens, in its order

    def years_go_by(self) -> None:
        """The cloud fills with cards, and managers."""
        portal, scale = self.cloud.portal, self.scale
        counts = {kind: getattr(scale, kind) for kind in (*KINDS, "activity", "comment", "product_row",
                                                          "requisite_link")}  # fmt: skip
        portal.fill(now=self.clock.time(), **counts)
        for number, name in enumerate(("Анна", "Борис", "Вера", "Глеб"), start=2):
            portal.set_user(number, NAME=name, LAST_NAME="Примерова", EMAIL=f"user{number}@example.com")
        portal.add_template("DEAL", auto_execute=1)

    def backup_is_made(self) -> RunningStorage:
        """A copy of the cloud's state in parts at a storage where some come broken the first time."""
        copy = self.folder / "copy.sqlite"
        self.cloud.portal.copy_to(copy)
        stream = archive.tar_stream({STATE_FILE: copy.read_bytes(), "bitrix/backup.txt": b"made by the portal"})
        copy.unlink()
        size = -(-len(stream) // (self.scale.parts * 512)) * 512
        parts = archive.parts_of(stream, size)
        self.storage = RunningStorage(parts)
        self.storage.__enter__()
        self.storage.write_links(self.folder / "links.txt")
        for name, fault in zip(
            self.dice.sample(sorted(parts), min(5, len(parts))), ("flip", 700, "503", "html", "flip"), strict=False
        ):
            self.storage.fail_next(name, fault)
        return self.storage

    def people_go_on_working(self) -> None:
        """In the cloud: new leads and what belongs to them, changes, deletions, a colleague nobody knows in the box."""
        cloud, dice, scale = self.cloud, self.dice, self.scale
        cloud.portal.set_user(9, NAME="Дарья", LAST_NAME="Новенькая", EMAIL="new@example.com")
        steps = scale.new_leads + scale.changes
        for number in range(scale.new_leads):
            self._time_passes(steps)
            fields = {"title": f"Заявка с сайта {number}", "assignedById": dice.choice((1, 2, 3, 9))}
            phone = {"n0": {"typeId": "PHONE", "valueType": "WORK", "value": f"+7495{number:07}"}}
            lead = self.ask(cloud, "crm.item.add", entityTypeId=1, fields=fields | {"fm": phone})["item"]["id"]
            if number % 10 == 0:
                comment = {"ENTITY_TYPE": "lead", "ENTITY_ID": lead, "COMMENT": f"Перезвонить по заявке {number}"}
                self.ask(cloud, "crm.timeline.comment.add", fields=comment)
            if number % 25 == 0:
                company = self.ask(cloud, "crm.item.add", entityTypeId=4, fields={"title": f"ООО Новое {number}"})
                owner = {"companyId": company["item"]["id"], "title": f"Сделка {number}", "opportunity": 1000}
                self.ask(cloud, "crm.item.add", entityTypeId=2, fields=owner)
        for number in range(scale.changes):
            self._time_passes(steps)
            kind = dice.choice(KINDS)
            field = "lastName" if kind == "contact" else "title"
            card = 1 + dice.randrange(3, getattr(scale, kind))
            self.ask(cloud, "crm.item.update", entityTypeId=TYPES[kind], id=card, fields={field: f"Иначе {number}"})
        for kind, card in (("deal", scale.deal), ("lead", scale.lead)):
            self.ask(cloud, "crm.item.delete", entityTypeId=TYPES[kind], id=card)

    def _time_passes(self, steps: int) -> None:
        self.clock.behind -= 0.9 * BEHIND / steps

    def server_is_set_up(self) -> None:
        """The parts are unpacked on the server: the box is what the cloud was."""
        state = self.folder / "box.sqlite"
        state.write_bytes(restored(self.folder / "parts"))
        self.box.start_over(state, limits=Limits.none(), clock=self.clock)

    def somebody_tries_the_box(self) -> None:
        """In the box, after its baseline: a test lead, and two cards that the cloud has changed as well or not."""
        self.ask(self.box, "crm.item.add", entityTypeId=1, fields={"title": "Проверка, удалить"})
        self.ask(self.box, "crm.item.update", entityTypeId=4, id=1, fields={"title": "Только в коробке"})
        self.ask(self.box, "crm.item.update", entityTypeId=2, id=2, fields={"title": "И в коробке"})
        self.ask(self.cloud, "crm.item.update", entityTypeId=2, id=2, fields={"title": "И в облаке"})

    def last_hour(self) -> None:
        """In the cloud, after the last delta and before the freeze."""
        lead = self.ask(self.cloud, "crm.item.add", entityTypeId=1, fields={"title": "Последняя заявка"})["item"]["id"]
        self.ask(self.cloud, "crm.item.update", entityTypeId=1, id=lead, fields={"assignedById": 2})

    # ----- what can be asked afterwards

    def forget_requests(self) -> None:
        """Count what is asked of both portals from here."""
        self._before = self.cloud.portal.writes(), self.box.portal.writes()

    @property
    def written_to_cloud(self) -> Counter[str]:
        return self.cloud.portal.writes() - self._before[0]

    @property
    def written_to_box(self) -> Counter[str]:
        return self.box.portal.writes() - self._before[1]


def restored(folder: Path) -> bytes:
    """The state file out of the parts of a backup, joined and unpacked as a server does it."""
    names = sorted(
        (path for path in folder.iterdir() if ".tar.gz" in path.name and path.suffix != ".sha256"),
        key=lambda path: int(path.suffix[1:]) if path.suffix[1:].isdigit() else 0,
    )
    joined = b"".join(path.read_bytes() for path in names)
    stream = gzip.GzipFile(fileobj=io.BytesIO(joined)).read()
    (size,) = struct.unpack_from("12s", stream, 124)
    return stream[512 : 512 + int(size.strip(b"\0"), 8)]
