"""Portals of a move that are watched: a test that uses one fails where a program makes happen what it must never.

That is: an e-mail that is sent, automation that a new card starts, a write to the portal that is left. What people do
in a portal goes through `ask` and is not counted. Each portal has templates that start with every new card, so that one
that was not made by an import is noticed.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from publish.sandbox import Portal, RunningSandbox
from publish.sandbox.methods import METHODS

_WRITING = {name for name, method in METHODS.items() if method.writes}
_portals: list["WatchedSandbox"] = []


def watch(portal: Portal) -> None:
    """Have every new card of a portal start something."""
    for kind in ("LEAD", "DEAL", "CONTACT", "COMPANY"):
        portal.add_template(kind, auto_execute=1, name=f"new {kind}")


def happened(portal: Portal, *, is_left: bool) -> Counter[str]:
    """What must not happen and has, of a portal that is left or moved to."""
    counts = Counter({"mails sent": portal.mail_sent(), "automation started": portal.automation_started()})
    if is_left:
        counts["writes"] = sum(number for name, number in portal.calls().items() if name.lower() in _WRITING)
    return +counts


class WatchedSandbox(RunningSandbox):
    """A sandbox whose doings count from its start, and from every `start_over`."""

    def __init__(self, state: Path | str = ":memory:", *, is_left: bool = False, **settings: Any) -> None:
        super().__init__(state, **settings)
        self.is_left = is_left
        self._by_programs: Counter[str] = Counter()
        self.is_stopped = False
        self._begin()
        _portals.append(self)

    def _begin(self) -> None:
        watch(self.portal)
        self._before = happened(self.portal, is_left=self.is_left)

    def by_programs(self) -> Counter[str]:
        """What programs have made happen since the last call."""
        now = self._before if self.is_stopped else happened(self.portal, is_left=self.is_left)
        done, self._by_programs, self._before = self._by_programs + (now - self._before), Counter(), now
        return done

    def stop(self) -> None:
        self._by_programs = self.by_programs()
        self.is_stopped = True
        super().stop()

    def start_over(self, state: Path | str = ":memory:", **settings: Any) -> None:
        self._by_programs = self.by_programs()
        super().start_over(state, **settings)
        self._begin()

    def ask(self, method: str, params: dict[str, Any], *, user: int | None = None) -> Any:
        """What a person does in the portal; it must succeed. It is the `user` of the webhook unless one is named."""
        self._by_programs = self.by_programs()
        engine = self.app.state.engine
        of_the_webhook, engine.user = engine.user, user or engine.user
        try:
            status, body, _ = engine.request(method, params)
        finally:
            engine.user = of_the_webhook
        self._before = happened(self.portal, is_left=self.is_left)
        assert status == 200, body
        return body["result"]


@pytest.fixture(autouse=True)
def nothing_is_sent_or_started_and_the_cloud_is_not_written_to() -> Iterator[None]:
    """After every test of a move, of all its portals."""
    yield
    done = [("cloud" if portal.is_left else "box", portal.by_programs()) for portal in _portals]
    _portals[:] = [portal for portal in _portals if not portal.is_stopped]
    assert not any(counts for _, counts in done), done
