"""What one element of a document is: where it ends, whether it is JSON, and if not, why."""

import io
import json
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any, NamedTuple

import ijson
import msgspec

PARSER_BYTES = 16 << 10

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_NO_BRACKETS = rb'[^"{}\[\]]*+'


def _bracketed(depth: int) -> bytes:
    inner = _STRING if depth == 1 else _STRING + b"|" + _bracketed(depth - 1)
    return rb"[{\[]" + _NO_BRACKETS + rb"(?:(?:" + inner + rb")" + _NO_BRACKETS + rb")*+[}\]]"


_ELEMENT = re.compile(_bracketed(8) + b"|" + _STRING, re.DOTALL)  # eight brackets deep: three times as fast as counting
_SCALAR = re.compile(rb'[^\s,:"{}\[\]]++(?=[\s,\]}])')
_ORDINARY = re.compile(_bracketed(8) + rb"(?=[ \t\r\n]*+[,\]])", re.DOTALL)
_BETWEEN = re.compile(rb"[ \t\r\n]*+,[ \t\r\n]*+")
# ijson's parser in C (3.6.0, yajl2_c) makes "?" of half a surrogate pair, crashes the process with an integer of more
# digits than Python converts, and takes two characters for spaces that are none in JSON
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_DIGITS = sys.get_int_max_str_digits() or sys.int_info.default_max_str_digits
_LONG_NUMBER = re.compile(rb"(?<![0-9])[0-9]{%d}" % _DIGITS)
_NO_SPACES = (b"\v", b"\f")
_MARK = re.compile(rb'["\\{}\[\]]')

decoder = msgspec.json.Decoder(float_hook=Decimal)
encoder = msgspec.json.Encoder(decimal_format="number")
DECODE_ERRORS = (msgspec.DecodeError, RecursionError, ArithmeticError)


class Element(NamedTuple):
    """An element of the array, or bytes that stand between elements.

    Without a problem `payload` is its JSON, written anew. With one it is None, unless the element is usable.
    """

    start: int  # byte of the file, decompressed
    text: bytes  # of what is too large, the beginning
    payload: bytes | None = None
    problem: str = ""


def end_of(text: bytes, start: int) -> int:
    """The place after the value at `start`; -1 when that does not end in this text."""
    if value := _ELEMENT.match(text, start) or _SCALAR.match(text, start):
        return value.end()
    return Brackets().end(text, start) if text[start : start + 1] in (b"{", b"[") else -1


def ordinary(text: bytes, start: int) -> Iterator[tuple[int, int]]:
    """Where the objects and lists begin and end that follow one another from `start`, as long as ijson may read them.

    The last one is followed by a comma or a bracket. None is deeper than eight brackets: ijson takes the square of the
    time for those within one another.
    """
    while value := _ORDINARY.match(text, start):
        end = value.end()
        if text.find(b"\\u", start, end) >= 0 and _SURROGATE.search(text, start, end):
            return
        if end - start > _DIGITS and _LONG_NUMBER.search(text, start, end):
            return
        if any(text.find(byte, start, end) >= 0 for byte in _NO_SPACES):
            return
        yield start, end
        if not (between := _BETWEEN.match(text, end)):
            return
        start = between.end()


def read(texts: list[bytes]) -> list[Any]:
    """The values of `ordinary` texts as ijson reads them, up to some kilobytes before the first that is no JSON."""
    values: list[Any] = []
    document = io.BytesIO(b"[" + b",".join(texts) + b"]")
    with suppress(ijson.JSONError, UnicodeDecodeError, ArithmeticError):
        values.extend(ijson.items(document, "item", buf_size=PARSER_BYTES))
    return values


class Brackets:
    """Where a value closes, counted over text that comes in pieces and need not be kept."""

    def __init__(self) -> None:
        self._depth, self._in_string, self._is_escaped = 0, False, False

    def end(self, text: bytes, at: int = 0) -> int:
        """The place after the value that was begun; -1 when it does not end in this piece."""
        at += self._is_escaped
        self._is_escaped = False
        while mark := _MARK.search(text, at):
            at, byte = mark.end(), mark[0]
            if byte == b"\\":
                self._is_escaped = self._in_string and at == len(text)
                at += self._in_string
            elif byte == b'"':
                self._in_string = not self._in_string
                if not self._in_string and not self._depth:
                    return at
            elif not self._in_string:
                self._depth += 1 if byte in b"{[" else -1
                if not self._depth:
                    return at
        return -1


def why_not(text: bytes) -> tuple[str, bool]:
    """Why a value is no JSON, and whether its brackets and strings are right: then its end is where it seems to be."""
    problem = "nested too deeply"  # where only what comes after parsing takes more depth than there is
    try:
        decoder.decode(text)
    except RecursionError:
        return problem, True
    except msgspec.ValidationError:
        return "a number with too many digits", True
    except ArithmeticError:
        return "a number out of any range", True
    except msgspec.DecodeError as error:
        what = str(error).removeprefix("JSON is malformed: ").partition(" (byte")[0]
        problem = "half a surrogate pair" if "surrogate" in what or "truncated" in what else f"not JSON: {what}"
    try:
        json.loads(text, strict=False)  # takes NaN, control characters and half a pair
    except RecursionError:
        return problem, True
    except ValueError:
        return problem, False
    return problem, True


def has_a_name_twice(text: bytes, payload: bytes) -> bool:
    """Whether an object of `text` has two members of one name; `payload`, written anew, has the last of them only.

    Where the two are not the same but for spaces (there are escapes), names are counted: `":` ends one unless the quote
    is escaped. Only where the counts differ is the text read again.
    """
    compact = msgspec.json.format(text, indent=-1)
    if compact == payload or _count_names(compact) == _count_names(payload):
        return False
    doubled: list[str] = []

    def look(members: list[tuple[str, Any]]) -> None:
        if len({name for name, _ in members}) < len(members):
            doubled.append(members[0][0])

    json.loads(text, object_pairs_hook=look, parse_int=str)
    return bool(doubled)


def _count_names(text: bytes) -> int:
    return text.count(b'":') - text.count(b'\\":')


def inner_names(value: object) -> Iterator[str]:
    """Names of members of all objects within a value."""
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(inner, dict):
            yield from inner
        yield from inner_names(inner)
