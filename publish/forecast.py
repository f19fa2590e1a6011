"""What a plan comes to: parts by kind, requests, and how long they take under both limits of the portal."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from publish.held import Held
from publish.parts import Link, Part, lanes


@dataclass(frozen=True, slots=True)
class Limits:
    """What the portal lets through, and what things cost there.

    `rate` is requests a second (0: no limit) after a first `burst`; a method may work `operating` seconds (0: no limit)
    in a window of `window` seconds; `costs` are its seconds a record, `other_cost` where it is not listed. A request
    holds `batch` commands, and takes at most `longest_request` seconds; cards to update are read first, by lists that
    count as `listing` and answer `page` rows.
    """

    rate: float
    burst: int
    operating: float
    window: float
    costs: Mapping[str, float]
    other_cost: float
    batch: int
    listing: str
    page: int
    longest_request: float

    def cost(self, method: str) -> float:
        return self.costs.get(method, self.other_cost)


@dataclass(frozen=True)
class Forecast:
    """A plan in figures: parts by entity and action, parts published, dead letters; commands and records by method,
    requests, seconds. `requests_least` is what no publisher could go below: commands by the batch."""

    counts: Mapping[str, Mapping[str, int]]
    published: Mapping[str, int]
    dead_letters: int
    commands: Mapping[str, int]
    elements: Mapping[str, int]
    requests: int
    requests_least: int
    seconds: float

    @property
    def is_empty(self) -> bool:
        return not any(sum(actions.values()) for actions in self.counts.values())


def summary(ledger: Held, parts: Iterable[Part], limits: Limits) -> Forecast:
    """Figures of the plan that `plan.compute` made."""
    parts = list(parts)
    counts: dict[str, dict[str, int]] = {}
    for part in parts:
        sql = f"select action, count(*) from plan_{part.entity} group by all order by 1"
        counts[part.entity] = dict(ledger.connection.execute(sql).fetchall())

    elements, commands, requests = Counter[str](), Counter[str](), 0
    for lane in lanes(parts):
        together = 0
        for part in lane:
            number = counts[part.entity].get("create", 0)
            elements[part.add] += number
            commands[part.add] += math.ceil(number / part.add_together)
            together += math.ceil(number / part.add_together)
        by_time = max(1, int(limits.longest_request / (lane[0].add_together * limits.cost(lane[0].add))))
        requests += math.ceil(together / min(limits.batch, by_time))
    for part in parts:
        if isinstance(part, Link):
            # A link becomes the primary one by being taken away and added again, after a look at the holder's links.
            reads = counts[part.entity].get("update", 0)
            removed = counts[part.entity].get("remove", 0)
            numbers = {part.add: _late(ledger, part) + reads, part.remove: removed + reads}
        else:
            numbers = {part.update: counts[part.entity].get("update", 0)}
            if part.remove:
                numbers[part.remove] = counts[part.entity].get("remove", 0)
            reads = math.ceil(sum(numbers.values()) / limits.page)
        merges = counts[part.entity].get("merge", 0)  # a card is emptied of what is ours, then merged
        if merges:
            numbers[part.update] += 2 * merges
        if reads:
            commands[limits.listing] += reads
            requests += math.ceil(reads / limits.batch)
        elements.update(numbers)
        commands.update(numbers)
        requests += math.ceil(sum(numbers.values()) / limits.batch)

    # The mark five times (who it is, still so, a push begins, nobody else has, it has ended), the lists of values.
    fixed = 6 if any(sum(actions.values()) for actions in counts.values()) else 0
    return Forecast(
        counts=counts,
        published=ledger.published(),
        dead_letters=ledger.dead_letters(),
        commands={method: number for method, number in commands.items() if number},
        elements={method: number for method, number in elements.items() if number},
        requests=requests + fixed,
        requests_least=math.ceil(sum(commands.values()) / limits.batch) + fixed,
        seconds=_seconds(requests + fixed, elements, limits),
    )


def _late(ledger: Held, link: Link) -> int:
    """New links that are sent by themselves: those of a holder that is itself new travel with it."""
    row = ledger.connection.execute(
        f"""select count(*) from plan_{link.entity} where action = 'create' and split_part(origin_id, '/', 1) not in (
                select origin_id from plan_{link.holder.entity} where action = 'create')"""
    ).fetchone()
    return int(row[0]) if row else 0


def _seconds(requests: int, elements: Mapping[str, int], limits: Limits) -> float:
    """Requests at their rate, or the method that waits for most windows, whichever is longer."""
    seconds = max(0.0, (requests - limits.burst) / limits.rate) if limits.rate else 0.0
    if limits.operating:
        for method, number in elements.items():
            windows = math.ceil(number * limits.cost(method) / limits.operating)
            seconds = max(seconds, (windows - 1) * limits.window)
    return seconds
