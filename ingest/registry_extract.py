"""Extracts of the tax service's registers, EGRUL and EGRIP, out of its bulk XML: company by company, in bounded memory.

A file (formats 4.04 to 4.07, mostly Windows-1251) is a head and one `Документ` a company with its `СвЮЛ`, or its `СвИП`
for an entrepreneur; the root's name varies. Each company is cut out by its tags, and those of a chunk are parsed
together, or alone where one of them is broken: that one is told of with its place, and the next begins where it begins.
Its entries in the register (`СвЗап…`, they come last) and its kinds of activity (`СвОКВЭД`) are three quarters of the
file and are not looked into.
"""

import re
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple, TypeAlias

import msgspec
from lxml import etree

CHUNK_BYTES = 1 << 20
LONGEST_BYTES = 64 << 20  # of one company
PARSED_TOGETHER = 32  # a parser takes as long to make as a company to parse
COMPANIES = ("СвЮЛ", "СвИП")
_HEAD = re.compile(rb"""<[^\s<>/]+((?:\s+[^\s=<>"']+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*>""")
_ENCODING = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_ROOT = re.compile(rb"<([^\s?!<>/]+)[\s>]")
_ADDRESSES = ("АдресРФ", "СвАдрЮЛФИАС", "СвМНЮЛ")  # the first of these that a company has
# Parts of an address in their order: attributes of each; None: its text.
_PARTS: dict[str, tuple[str, ...] | None] = {
    "Регион": ("ТипРегион", "НаимРегион"), "НаимРегион": None,
    "Район": ("ТипРайон", "НаимРайон"), "МуниципРайон": ("Наим",),
    "Город": ("ТипГород", "НаимГород"), "НаселПункт": ("ТипНаселПункт", "НаимНаселПункт"),
    "НаселенПункт": ("Вид", "Наим"),
    "Улица": ("ТипУлица", "НаимУлица"), "ЭлУлДорСети": ("Тип", "Наим"),
    "Здание": ("Тип", "Номер"), "ПомещЗдания": ("Тип", "Номер"),
}  # fmt: skip


class Extract(msgspec.Struct, omit_defaults=True):
    """What the register says of one registration, as text; codes of its states as the register gives them."""

    type: str  # LEGAL or INDIVIDUAL
    extracted_on: str | None = None
    ogrn: str | None = None
    registered_on: str | None = None
    kpp: str | None = None
    full_name: str | None = None
    short_name: str | None = None
    legal_form: str | None = None
    director_name: str | None = None
    director_post: str | None = None
    address: str | None = None
    status_codes: list[str] = []
    ceased_on: str | None = None
    ceased_code: str | None = None


Blocks: TypeAlias = dict[str, list[etree._Element]]  # what is right below a company, by its name
Attributes: TypeAlias = etree._Element | dict[str, str]
NOTHING: dict[str, str] = {}


class Company(NamedTuple):
    """One company: where it begins and ends in its file, its INN, and what the register says of it."""

    start: int
    end: int
    inn: str | None  # None: it has none
    extract: Extract | None  # None: of an INN that is not wanted
    problem: str = ""  # why nothing is known of it
    content: bytes = b""  # then


class Span(NamedTuple):
    """Where a company is in a buffer, and why it is none if so."""

    start: int
    end: int
    problem: str = ""


class Damage(Exception):
    """The file as a whole is not as documented, from the byte `offset` on."""

    def __init__(self, problem: str, offset: int) -> None:
        super().__init__(problem)
        self.problem, self.offset = problem, offset


def companies(file: BinaryIO, is_wanted: Callable[[str], bool] = lambda inn: True, start: int = 0) -> Iterator[Company]:
    """Yield the companies that begin at or behind the byte `start`, in their order.

    Raises Damage where the file is no such file, or is cut off; what its reading raises passes through.
    """
    head = file.read(4096)
    declared = _ENCODING.search(head)
    encoding = declared[1].decode() if declared else "utf-8"
    try:
        tags = _Tags(encoding)
    except (LookupError, UnicodeError):
        raise Damage(f"its encoding {encoding} cannot be read", 0) from None
    root = _ROOT.search(head)
    if root is None:
        raise Damage("is no XML", 0)
    _skip(file, max(0, start - len(head)))
    buffer = head[min(start, len(head)) :]
    offset = max(start, 0)  # of the buffer's first byte
    is_last = False
    tail, seen = head[-len(root[1]) - 64 :], 0
    while not is_last:
        chunk = file.read(CHUNK_BYTES)
        is_last = not chunk
        buffer += chunk
        tail = (tail + chunk[-len(root[1]) - 64 :])[-len(root[1]) - 64 :]
        spans = list(tags.spans(buffer, is_last))
        seen += len(spans)
        yield from _companies(buffer, offset, spans, tags, is_wanted)
        used = tags.rest(buffer, spans[-1].end if spans else 0)
        if len(buffer) - used > LONGEST_BYTES:
            yield Company(offset + used, offset + len(buffer), None, None, f"is longer than {LONGEST_BYTES} bytes")
            used = len(buffer)
        buffer, offset = buffer[used:], offset + used
    if not seen and not start:
        raise Damage("has no company in it", offset + len(buffer))
    if not tail.rstrip().endswith(b"</" + root[1] + b">"):
        raise Damage("is cut off", offset + len(buffer))


def _skip(file: BinaryIO, count: int) -> None:
    while count > 0 and (skipped := file.read(min(count, CHUNK_BYTES))):
        count -= len(skipped)


class _Tags:
    """The tags of companies in a file's encoding. Raises LookupError or UnicodeError when there is no such thing."""

    def __init__(self, encoding: str) -> None:
        if "<".encode(encoding) != b"<":
            raise UnicodeError
        self.encoding = encoding
        names = [name.encode(encoding) for name in COMPANIES]
        self.longest = max(len(name) for name in names) + 1
        self.opening = re.compile(rb"<(%b)(?=[ \n\r\t>])" % b"|".join(names))
        self.closing = {name: b"</%b>" % name for name in names}
        self.entries = "<СвЗап".encode(encoding)
        self.activities = ("<СвОКВЭД>".encode(encoding), "</СвОКВЭД>".encode(encoding))
        self.inn = re.compile(rb"""\s(?:%b|%b)\s*=\s*["']\s*(\d+)\s*["']""" % tuple(
            name.encode(encoding) for name in ("ИНН", "ИННФЛ")))  # fmt: skip

    def spans(self, buffer: bytes, is_last: bool) -> Iterator[Span]:
        """Each company that ends within the buffer, and what ends there without having begun."""
        openings = list(self.opening.finditer(buffer))
        starts = [*(found.start() for found in openings), len(buffer)]
        behind = 0  # the company before
        for found, start, following in zip(openings, starts, starts[1:], strict=False):
            yield from self._without_opening(buffer, behind, start)
            closing = self.closing[found[1]]
            close = buffer.find(closing, start, following)
            behind = following if close < 0 else close + len(closing)
            if close >= 0:
                yield Span(start, behind)
            elif following < len(buffer):
                yield Span(start, following, "does not end before the next one begins")
            elif is_last:
                yield Span(start, following, "is cut off")
        yield from self._without_opening(buffer, behind, len(buffer))

    def _without_opening(self, buffer: bytes, start: int, end: int) -> Iterator[Span]:
        close = max(buffer.rfind(closing, start, end) for closing in self.closing.values())
        if close >= 0:
            yield Span(start, buffer.index(b">", close) + 1, "does not begin")

    def read_of(self, buffer: bytes, span: Span) -> str:
        """What is read of a company: all but its kinds of activity and its entries, which come last."""
        start, end, _ = span
        opens, closes = self.activities
        parts = []
        if (skipped := buffer.find(opens, start, end)) >= 0 and (behind := buffer.find(closes, skipped, end)) >= 0:
            parts = [buffer[start:skipped], b" "]
            start = behind + len(closes)
        if (entries := buffer.find(self.entries, start, end)) >= 0:
            parts += [buffer[start:entries], buffer[buffer.rindex(b"<", entries, end) : end]]
        else:
            parts.append(buffer[start:end])
        return b"".join(parts).decode(self.encoding, "replace")

    def inn_of(self, buffer: bytes, span: Span) -> str | None:
        """The INN in a company's opening tag."""
        head = _HEAD.match(buffer, span.start, span.end)
        number = self.inn.search(buffer, *head.span(1)) if head else None
        return number[1].decode() if number else None

    def rest(self, buffer: bytes, at: int) -> int:
        """Where the next company begins, at or behind `at`, or may begin: what is there yet may be a part of it."""
        found = self.opening.search(buffer, at)
        return found.start() if found else max(at, len(buffer) - max(CHUNK_BYTES, self.longest))


def _companies(
    buffer: bytes, offset: int, spans: list[Span], tags: _Tags, is_wanted: Callable[[str], bool]
) -> Iterator[Company]:
    """Companies of a buffer that begins at the byte `offset`, parsed if they are wanted."""
    inns = [tags.inn_of(buffer, span) for span in spans]
    are_passed_over = [inn is not None and not is_wanted(inn) for inn in inns]
    texts = [
        tags.read_of(buffer, span)
        for span, is_passed_over in zip(spans, are_passed_over, strict=True)
        if not (is_passed_over or span.problem)
    ]
    elements = _elements(texts)
    for span, inn, is_passed_over in zip(spans, inns, are_passed_over, strict=True):
        start, end = offset + span.start, offset + span.end
        element = "" if is_passed_over else span.problem or next(elements)
        if isinstance(element, str):
            yield Company(start, end, inn, None, element, buffer[span.start : span.end] if element else b"")
        else:
            yield _company(start, end, inn, element, is_wanted)


def _elements(texts: list[str]) -> Iterator[etree._Element | str]:
    """The element of each text, or why it is none."""
    for first in range(0, len(texts), PARSED_TOGETHER):
        some = texts[first : first + PARSED_TOGETHER]
        together = _element(f"<a>{''.join(some)}</a>")
        # Each text has one tag that opens a company: as many elements as texts, and each is one text as a whole.
        if isinstance(together, str) or len(together) != len(some):
            yield from map(_element, some)
        else:
            yield from together


def _element(text: str) -> etree._Element | str:
    """The root of a document, or why it is none."""
    # A parser of its own each time: one that met an error may remember it.
    parser = etree.XMLParser(
        encoding="utf-8", resolve_entities=False, no_network=True, huge_tree=True, collect_ids=False
    )
    try:
        return etree.fromstring(text.encode(), parser)
    except (etree.LxmlError, ValueError) as error:
        return f"is no XML: {error}"


def _company(
    start: int, end: int, inn: str | None, element: etree._Element, is_wanted: Callable[[str], bool]
) -> Company:
    """What the register says of a company; of one that has its INN elsewhere, if it is wanted."""
    blocks: Blocks = {}
    for block in element:
        blocks.setdefault(block.tag, []).append(block)
    account = _first(blocks, "СвУчетНО")
    inn = inn or account.get("ИНН") or account.get("ИННФЛ") or None
    if inn is None or not is_wanted(inn):
        return Company(start, end, inn, None)
    return Company(start, end, inn, (_legal if element.tag == COMPANIES[0] else _individual)(element, blocks))


def _first(blocks: Blocks, name: str, inner: str | None = None) -> Attributes:
    """The first block of a name, or the first element of another name in it; nothing where there is none."""
    found = blocks.get(name)
    if not found:
        return NOTHING
    return found[0] if inner is None else next(found[0].iterchildren(inner), NOTHING)


def _words(*words: str | None) -> str | None:
    return " ".join(filter(None, words)) or None


def _name(person: Attributes) -> str | None:
    return _words(person.get("Фамилия"), person.get("Имя"), person.get("Отчество"))


def _legal(element: etree._Element, blocks: Blocks) -> Extract:
    named, ceased = _first(blocks, "СвНаимЮЛ"), _first(blocks, "СвПрекрЮЛ")
    post = _first(blocks, "СведДолжнФЛ", "СвДолжн")
    return Extract(
        "LEGAL",
        extracted_on=element.get("ДатаВып"),
        ogrn=element.get("ОГРН"),
        registered_on=element.get("ДатаОГРН"),
        kpp=element.get("КПП"),
        full_name=named.get("НаимЮЛПолн") or None,
        short_name=_first(blocks, "СвНаимЮЛ", "СвНаимЮЛСокр").get("НаимСокр") or named.get("НаимЮЛСокр") or None,
        legal_form=element.get("ПолнНаимОПФ"),
        director_name=_name(_first(blocks, "СведДолжнФЛ", "СвФЛ")),
        director_post=post.get("НаимДолжн") or post.get("НаимВидДолжн") or None,
        address=_address(blocks),
        status_codes=_codes(blocks, "КодСтатусЮЛ", "СвСтатус", "СвРеорг"),
        ceased_on=ceased.get("ДатаПрекрЮЛ") or None,
        ceased_code=_first(blocks, "СвПрекрЮЛ", "СпПрекрЮЛ").get("КодСпПрекрЮЛ") or None,
    )


def _individual(element: etree._Element, blocks: Blocks) -> Extract:
    name, ceased = _name(_first(blocks, "СвФЛ", "ФИОРус")), _first(blocks, "СвПрекращ", "СвСтатус")
    return Extract(
        "INDIVIDUAL",
        extracted_on=element.get("ДатаВып"),
        ogrn=element.get("ОГРНИП"),
        registered_on=element.get("ДатаОГРНИП"),
        full_name=_words(element.get("НаимВидИП"), name),
        short_name=name and f"ИП {name}" if element.get("КодВидИП") == "1" else name,
        legal_form=element.get("НаимВидИП"),
        status_codes=_codes(blocks, "КодСтатус", "СвСтатус"),
        ceased_on=ceased.get("ДатаПрекращ") or None,
        ceased_code=ceased.get("КодСтатус") or None,
    )


def _codes(blocks: Blocks, attribute: str, *names: str) -> list[str]:
    """Codes of states, each once: a block may come again and again, its code in it or one level below."""
    codes = (state.get(attribute) for name in names for block in blocks.get(name, ()) for state in block.iter())
    return list(dict.fromkeys(code for code in codes if code))


def _address(blocks: Blocks) -> str | None:
    written = {address.tag: address for block in blocks.get("СвАдресЮЛ", ()) for address in block}
    address = next((written[kind] for kind in _ADDRESSES if kind in written), None)
    if address is None:
        return None
    texts_of: dict[str, list[str | None]] = {}
    for part in address:
        attributes = _PARTS.get(part.tag, ())
        text = part.text if attributes is None else _words(*[part.get(name) for name in attributes])
        texts_of.setdefault(part.tag, []).append(text)
    parts = [address.get("Индекс")]
    parts += [text for name in _PARTS if name in texts_of for text in texts_of[name]]
    parts += [address.get(name) for name in ("Дом", "Корпус", "Кварт")]
    return ", ".join(filter(None, parts)) or None
