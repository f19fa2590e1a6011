"""Portals that take turns behind one address, each a process of its own over its own state; backups of them.

A backup is put back as it was, also one of a time that was given up when an older one was put back.
"""

import contextlib
import random
from copy import deepcopy
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

import httpx

from publish.sandbox import Faults, Limits, Portal, serve
from tests.chaos.people import People


@dataclass
class Backup:
    """The state of a portal at a time, and what strangers had there by then."""

    state: Path
    strangers: dict[tuple[str, int], Any]


@dataclass
class Site:
    """A portal: the folder of its states, the one it is at, its backups (`known_backups` of them made before the last
    copy of the warehouse), and what people did there."""

    folder: Path
    people: People = field(default_factory=People)
    backups: list[Backup] = field(default_factory=list)
    states: int = 1
    known_backups: int = 0

    @property
    def state(self) -> Path:
        return self.folder / f"state-{self.states}.sqlite"

    def back_up(self) -> None:
        """Add a copy of what the portal holds now."""
        copy = self.folder / f"backup-{len(self.backups)}.sqlite"
        with contextlib.closing(Portal.of(self.state)) as portal:
            portal.copy_to(copy)
        self.backups.append(Backup(copy, deepcopy(self.people.strangers)))

    def put_back(self, backup: Backup) -> None:
        """Be what the portal was; it must be stopped."""
        self.states += 1
        self.state.write_bytes(backup.state.read_bytes())
        self.people.strangers = deepcopy(backup.strangers)


class Address:
    """The address that all portals of a run share, and the portal that answers there now."""

    def __init__(self, context: ForkServerContext, fault_rate: float, dice: random.Random) -> None:
        self._context, self._fault_rate, self._dice = context, fault_rate, dice
        self._process: ForkServerProcess | None = None
        self._port = 0
        self.webhook = ""

    def open(self, site: Site) -> None:
        """Have a portal answer, in the place of the one before."""
        self.close()
        site.folder.mkdir(exist_ok=True)
        here, there = self._context.Pipe(duplex=False)
        seed = self._dice.randrange(10**6)
        self._process = self._context.Process(
            target=_serve, args=(site.state, self._port, self._fault_rate, seed, there), daemon=True
        )
        self._process.start()
        there.close()
        self.webhook = here.recv()
        self._port = int(httpx.URL(self.webhook).port or 0)

    def close(self) -> None:
        """Nobody answers any more; what was executed is kept."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None

    @contextlib.contextmanager
    def without_faults(self) -> Any:
        """A client of the portal while nothing goes wrong, as managers have it."""
        root = self.webhook.partition("/rest/")[0]
        with httpx.Client(base_url=self.webhook, timeout=30) as client:
            client.post(f"{root}/_sandbox/faults", json={"rate": 0})
            yield client
            client.post(f"{root}/_sandbox/faults", json={"rate": self._fault_rate})


def _serve(state: Path, port: int, fault_rate: float, seed: int, ready: Connection) -> None:
    serve(state, port=port, limits=Limits.none(), faults=Faults(rate=fault_rate, seed=seed), on_ready=ready.send)
