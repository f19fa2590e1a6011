"""What a try came to, a line each: how `ingest check` and `publish check` say it, and hand it on to each other."""

import json
from dataclasses import asdict, dataclass
from typing import Literal

from ingest.warehouse.errors import OperatorError
from ingest.warehouse.terminal import say

_WIDTH = 18


@dataclass(frozen=True, slots=True)
class Finding:
    """Of what: `ok`, `skipped` for it is not set, or `wrong` with what to do; `status` is the exit status of that."""

    what: str
    state: Literal["ok", "skipped", "wrong"]
    told: str
    hint: str = ""
    status: int = 0

    @classmethod
    def of(cls, what: str, error: OperatorError) -> "Finding":
        """What is wrong, by an error."""
        return cls(what, "wrong", error.problem, error.hint, error.exit_status)

    @classmethod
    def from_json(cls, line: str) -> "Finding":
        """As another program wrote it."""
        return cls(**json.loads(line))

    def to_json(self) -> str:
        """In a line."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def show(self) -> None:
        """A line, and one more with what to do."""
        say(f"{self.state:<8} {self.what:<{_WIDTH}} {self.told}")
        if self.hint:
            say(f"{'':<8} {'':<{_WIDTH}} {'to do' if self.state == 'wrong' else 'note'}: {self.hint}")


def exit_status(findings: list[Finding]) -> int:
    """2 where a setting is wrong, 1 where something else is, 0 where nothing is."""
    statuses = {finding.status or 1 for finding in findings if finding.state == "wrong"}
    return 2 if 2 in statuses else 1 if statuses else 0
