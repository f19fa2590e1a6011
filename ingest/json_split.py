"""The elements of one array of a document, cut out of its text one by one: a broken one does not hide those after it.

The end of an element is found by its brackets and strings alone, so the text of a broken one is known too. What is in
order ijson reads, some dozens of elements at a time (`Splitter._run`); what is not is looked at one by one
(`Splitter._element`). Where even brackets and strings are wrong (a quote or a bracket is missing), the next element is
looked for: `Splitter._next_start`.
"""

import re
from collections.abc import Generator, Iterator
from typing import Any

from ingest.json_element import (
    DECODE_ERRORS,
    Brackets,
    Element,
    decoder,
    encoder,
    end_of,
    has_a_name_twice,
    inner_names,
    ordinary,
    read,
    why_not,
)
from ingest.json_text import CHUNK_BYTES, READ_ERRORS, DocumentText

ELEMENT_BYTES = 8 << 20  # a larger element is a dead letter: memory is bounded by it
KEPT_BYTES = 1 << 20  # what a dead letter keeps of it
AROUND_BYTES = 32 << 20  # what stands before and after the array is small; more than this is another kind of document
SEARCHES_AT = (256 << 10, 2 << 20)  # bytes without an end, after which the next element is looked for
WINDOW_BYTES = 1 << 20  # of the text it is looked for in
TYPICAL = 1_000  # elements whose names of members are remembered
NAMES_SHARED = 3  # with those, by an object that comes after an element that is cut off or has no end

_SPACE = re.compile(rb"[ \t\r\n]*+")
_MAYBE_NEXT = re.compile(rb"[,}][ \t\r\n]*+(?=\{)")
_CONTINUATION = bytes(range(0x80, 0xC0))  # bytes of UTF-8 that begin no character


class NoArray(Exception):
    """The document has no array at that path, as far as it goes."""


class Splitter:
    """Cuts a document at its array: what is before it, its elements, what is after it."""

    def __init__(self, text: DocumentText, keys: list[str]) -> None:
        """The array is at the path `keys`. Raises nothing yet: see `find_array`."""
        self.damage: BaseException | None = None  # why the text ended before its end
        self.problem = ""  # how the document ends, if not as it should
        self._text, self._keys = text, keys
        self._buffer, self._base, self._at = b"", 0, 0  # text, the offset of its first byte, what comes next in it
        self._mapped = (0, 0)  # an offset in the text, and the byte of the file that it is
        self._has_ended, self._is_in_head = False, True
        self._before = self._after = b""
        self._names: set[str] = set()  # of members of the first elements
        self._inner_names: set[str] = set()  # of objects within them
        self._typical = 0
        self._may_run = True  # until the text in the buffer is found to be broken

    @property
    def file_offset(self) -> int:
        """The byte of the file, decompressed, that comes next."""
        return self._in_file(self._base + self._at)

    @property
    def is_cut_off(self) -> bool:
        """Whether all that could be read was read."""
        return self._has_ended and self._at >= len(self._buffer)

    def find_array(self) -> None:
        """Go to the array, and into it. Raises NoArray."""
        for key in self._keys:
            self._take(b"{")
            while self._next_byte() == b'"' and not self._is_next(key):
                self._take(b":")
                self._value()
                self._take(b",")
            self._take(b":")
        self._take(b"[")
        self._before, self._is_in_head = self._buffer[: self._at], False

    def elements(self) -> Iterator[Element]:
        """Each element in the order of the file, and what else stands between them."""
        while byte := self._next_byte():
            if byte == b",":
                self._at += 1
            elif byte == b"]" and self._is_the_end():
                return
            elif byte == b"{" and self._may_run and (yield from self._run()):
                pass
            elif element := self._element():
                yield element
            else:
                break
        self.problem = "is cut off"

    def header(self) -> dict[str, Any] | None:
        """The document without its array; without what follows the array, too, where that is broken. None: there is no
        usable JSON before it either."""
        for document in (self._before + self._after, self._before + b"]" + b"}" * len(self._keys)):
            try:
                header = node = decoder.decode(document)
            except DECODE_ERRORS:
                continue
            if not self._keys:
                return {}
            for key in self._keys[:-1]:
                node = node[key]
            node.pop(self._keys[-1])
            return dict(header)
        return None

    def _is_next(self, key: str) -> bool:
        try:
            return bool(decoder.decode(self._value()) == key)
        except DECODE_ERRORS:
            return False

    def _take(self, byte: bytes) -> None:
        if self._next_byte() != byte:
            raise NoArray
        self._at += 1

    def _value(self) -> bytes:
        """A value before the array."""
        self._next_byte()
        while (end := end_of(self._buffer, self._at)) < 0:
            if len(self._buffer) > AROUND_BYTES or not self._more(0):
                self._at = len(self._buffer)
                raise NoArray
        value, self._at = self._buffer[self._at : end], end
        return value

    def _next_byte(self) -> bytes:
        """The next byte that is no space, which comes next then; b'' at the end of the text."""
        while True:
            self._at = self._space_end(self._at)
            if self._at < len(self._buffer):
                return self._buffer[self._at : self._at + 1]
            if (self._is_in_head and self._at > AROUND_BYTES) or not self._more(0 if self._is_in_head else self._at):
                return b""

    def _space_end(self, start: int) -> int:
        space = _SPACE.match(self._buffer, start)
        return space.end() if space else start

    def _more(self, keep: int) -> bool:
        """Read on, as much again as is kept; drop what is before `keep`. False at the end of the text."""
        self._in_file(self._base + keep)
        pieces = [self._buffer[keep:]]
        wanted = max(len(pieces[0]), CHUNK_BYTES)
        try:
            while wanted > 0 and not self._has_ended:
                piece = self._text.read()
                self._has_ended = not piece
                pieces.append(piece)
                wanted -= len(piece)
        except READ_ERRORS as error:
            self.damage, self._has_ended = error, True
        self._base, self._at = self._base + keep, self._at - keep
        self._buffer, self._may_run = b"".join(pieces), True
        return any(pieces[1:])

    def _in_file(self, offset: int) -> int:
        """The byte of the file that is at an offset in the text. Offsets that are asked for do not go back."""
        known, byte = self._mapped
        if self._text.charset != "cp1251":
            byte = self._text.file_offset(offset)
        else:
            between = self._buffer[known - self._base : offset - self._base]
            byte += len(between.translate(None, _CONTINUATION))
        self._mapped = (offset, byte)
        return byte

    def _element(self) -> Element | None:
        """What comes next, to its end; None when the text ends before."""
        if self._buffer[self._at : self._at + 1] in b"}]:":
            return self._broken("not JSON: between two elements", self._next_start() or self._at + 1)
        searches = 0
        while (end := end_of(self._buffer, self._at)) < 0:
            size = len(self._buffer) - self._at
            if self._names and searches < len(SEARCHES_AT) and size > SEARCHES_AT[searches]:
                searches += 1
                if start := self._next_start():
                    return self._broken("not JSON: it does not end", start)
            if size > ELEMENT_BYTES:
                return self._too_large()
            if not self._more(self._at):
                start = self._next_start(is_cut=True)
                return self._broken("not JSON: it does not end", start) if start else None
        if end - self._at > ELEMENT_BYTES:
            return self._too_large()
        is_last = self._space_end(end) == len(self._buffer) and not self._more(self._at)
        if is_last and (start := self._next_start(is_cut=True)):
            return self._broken(
                "not JSON: it does not end", start
            )  # it took the brackets of the array's end for its own
        end = end_of(self._buffer, self._at)
        text = self._buffer[self._at : end]
        try:
            return self._usable(text, decoder.decode(text))
        except DECODE_ERRORS:
            problem, is_closed = why_not(text)
            return self._broken(problem, end if is_closed else self._next_start() or end_of(self._buffer, self._at))

    def _run(self) -> Generator[Element, None, bool]:
        """The elements in the buffer up to the first that is out of the ordinary; whether there were any."""
        if len(self._buffer) - self._at < CHUNK_BYTES:
            self._more(self._at)
        places = list(ordinary(self._buffer, self._at))
        texts = [self._buffer[start:end] for start, end in places]
        values = read(texts)
        self._may_run = len(values) == len(texts)
        for (start, _), text, value in zip(places, texts, values, strict=False):
            self._at = start
            yield self._usable(text, value)
        return bool(values)

    def _usable(self, text: bytes, value: object) -> Element:
        """An element that is JSON, and comes next; the one after it does then."""
        if not isinstance(value, dict):
            return self._broken("not an object", self._at + len(text))
        if self._typical < TYPICAL:
            self._names.update(value)
            self._inner_names.update(inner_names(value))
            self._typical += 1
        payload = encoder.encode(value)
        problem = "a name twice: its last value landed" if has_a_name_twice(text, payload) else ""
        element = Element(self.file_offset, text, payload, problem)
        self._at += len(text)
        return element

    def _broken(self, problem: str, next_start: int) -> Element:
        text = self._buffer[self._at : min(next_start, self._at + KEPT_BYTES)].rstrip(b", \t\r\n")
        element = Element(self.file_offset, text, None, problem)
        self._at = next_start
        return element

    def _too_large(self) -> Element | None:
        """Go to the end of what comes next without keeping it."""
        start, text = self.file_offset, self._buffer[self._at : self._at + KEPT_BYTES]
        brackets = Brackets()
        end = brackets.end(self._buffer, self._at)
        while end < 0:
            self._at = len(self._buffer)
            if not self._more(self._at):
                return None
            end = brackets.end(self._buffer)
        self._at = end
        return Element(start, text, None, f"larger than {ELEMENT_BYTES >> 20} MB")

    def _is_the_end(self) -> bool:
        """Whether the bracket that comes next closes the array: what follows it completes the document, or nobody can
        tell where the array goes on."""
        while len(self._buffer) - self._at <= AROUND_BYTES and self._more(self._at):
            pass
        rest = self._buffer[self._at :]
        if not self._has_ended:
            problem = f"goes on for more than {AROUND_BYTES >> 20} MB after its array"
        elif not (problem := self._why_no_end(rest)):
            self._at, self._after = len(self._buffer), rest
            return True
        if problem != "is cut off" and self._next_start():
            return False
        self.problem, self._after = problem, rest
        return True

    def _why_no_end(self, rest: bytes) -> str:
        try:
            decoder.decode(self._before + rest)
        except DECODE_ERRORS as error:
            is_cut_off = self.damage is not None or "truncated" in str(error)
            return "is cut off" if is_cut_off else "stops being JSON after its array"
        return ""

    def _next_start(self, *, is_cut: bool = False) -> int:
        """Where the next element begins after one whose brackets or strings are wrong; 0 if that is not to be told.

        It is the first object after a comma or a brace whose names are those of the elements before it, but for a
        quarter: the objects in a list of the broken element have others. Where names do not tell (no element has been
        read yet, objects in lists have the same) the elements after it have to be right to the end; where the text ends
        in the broken element (`is_cut`), several names.
        """
        while len(self._buffer) - self._at < WINDOW_BYTES and self._more(self._at):
            pass
        for before in _MAYBE_NEXT.finditer(self._buffer, self._at + 1):
            start = before.end()
            if names := self._names_of_object(start):
                known = len(names & self._names)
                if self._names and 4 * known < 3 * len(names):
                    continue
                is_told = names & self._names - self._inner_names and (not is_cut or known >= NAMES_SHARED)
                if is_told or self._goes_on_to_the_end(start):
                    return start
        return 0

    def _names_of_object(self, start: int) -> set[str]:
        end = end_of(self._buffer, start)
        try:
            value = decoder.decode(self._buffer[start:end]) if end > 0 else None
        except DECODE_ERRORS:
            return set()
        return set(value) if isinstance(value, dict) else set()

    def _goes_on_to_the_end(self, start: int) -> bool:
        """Whether objects of a kind follow one another from here to the end of the array, or of the buffer."""
        first, others, begin = self._names_of_object(start), set[str](), start
        while names := self._names_of_object(start):
            others |= names if start > begin else set()
            end = self._space_end(end_of(self._buffer, start))
            if self._buffer[end : end + 1] != b",":
                rest = self._buffer[end:]
                is_alike = not others or 4 * len(first & others) >= 3 * len(first)
                return is_alike and self._has_ended and rest[:1] == b"]" and not self._why_no_end(rest)
            start = self._space_end(end + 1)
        return not self._has_ended and end_of(self._buffer, start) < 0
