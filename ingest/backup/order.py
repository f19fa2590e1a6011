"""Whether proven parts follow each other as one tar stream: swapped ones, strangers and a missing end are seen.

Nothing in a part but the first tells its number; that an entry which begins in one part ends in the next, where another
header has to be, does. Parts that lie within the body of one file cannot be told apart, nor can encrypted ones.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from ingest.backup.links import PartName
from ingest.backup.proof import PartProof, Proven
from ingest.backup.tar import BLOCK

Rescan = Callable[[Proven, int], Proven]


class OutOfOrder(Exception):
    """The parts are no whole archive; the text says where."""


class _Misfit(Exception):
    """A part does not go on where the one before it ended; the `unsure` places before it fit without a proof."""

    def __init__(self, place: int, expected: int, unsure: int) -> None:
        super().__init__(place)
        self.place, self.expected, self.unsure = place, expected, unsure


def in_order(parts: Sequence[Proven], rescan: Rescan) -> list[Proven]:
    """The parts as they follow each other; `parts` are all of an archive by their names, mostly in the right order.

    `rescan` reads a part again, its entries from a known place. Raises OutOfOrder when no exchange of parts makes an
    archive of them, or when it ends within an entry.
    """
    order = list(parts)
    largest = max(part.unpacked_size for part in order)
    shorter = [place for place, part in enumerate(order) if part.unpacked_size < largest]
    if len(shorter) == 1:  # the stream is cut by size: it is the last one, wherever it is
        order[shorter[0]], order[-1] = order[-1], order[shorter[0]]
    for _ in order:
        try:
            _walk(order, rescan)
            return order
        except _Misfit as error:
            misfit = error
        others = (*range(misfit.place + 1, len(order)), *range(misfit.place - misfit.unsure, misfit.place))
        fitting = next((other for other in others if order[other].first_entry == misfit.expected), None)
        if fitting is None:
            name = parts[misfit.place].name
            before = f"go on where {parts[misfit.place - 1].name} ends" if misfit.place else "begin as an archive does"
            raise OutOfOrder(f"{name} does not {before}")
        order[misfit.place], order[fitting] = order[fitting], order[misfit.place]
    raise OutOfOrder("no order of the parts makes one archive of them")


def _walk(order: list[Proven], rescan: Rescan) -> None:
    expected = unsure = 0
    for place, part in enumerate(order):
        if expected and expected >= part.unpacked_size:  # within the body of an entry
            expected -= part.unpacked_size
            unsure += 1
            continue
        if part.first_entry != expected:
            part = rescan(part, expected)
            if part.first_entry != expected:
                raise _Misfit(place, expected, unsure)
            order[place] = part
        if part.overhang is None:
            raise OutOfOrder(f"{part.name} ends within a block of {BLOCK} bytes")
        expected, unsure = part.overhang, 0
    if expected:
        raise OutOfOrder(f"the archive ends {expected} bytes before the end of a file: its last part is missing")


def scan_again(path: Path, name: PartName, starts_at: int) -> Proven:
    """Read a proven part once more, its entries from a known place. Raises Broken."""
    proof = PartProof(name, entries_start_at=starts_at)
    proof.feed_file(path)
    return proof.finish()
