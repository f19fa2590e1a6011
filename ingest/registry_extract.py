"""Extracts of the tax service's registers, EGRUL and EGRIP, out of its bulk XML: company by company, in bounded memory.

A file (formats 4.04 to 4.07, mostly Windows-1251) is a head and one `Документ` a company with its `СвЮЛ`, or its `СвИП`
for an entrepreneur; the root's name varies. Each company is cut out by its tags and parsed alone: one that is broken is
told of with its place, and the next begins where it begins. Its entries in the register (`СвЗап…`, they come last) and
its kinds of activity (`СвОКВЭД`) are three quarters of the file and are not looked into.
"""

import re
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple, TypeAlias

import msgspec
from lxml import etree

CHUNK_BYTES = 1 << 20
LONGEST_BYTES = 64 << 20  # of one company
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


class Company(NamedTuple):
    """One company: where it begins and ends in its file, its INN, and what the register says of it."""

    start: int
    end: int
    inn: str | None  # None: it has none
    extract: Extract | None  # None: of an INN that is not wanted
    problem: str = ""  # why nothing is known of it
    content: bytes = b""  # then


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
        tail = (tail + chunk)[-len(root[1]) - 64 :]
        used = 0
        for at, end, problem in tags.spans(buffer, is_last):
            used = end
            seen += 1
            yield _company(buffer[at:end], offset + at, offset + end, tags, is_wanted, problem)
        used = max(used, tags.rest(buffer, used))
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
        self.opening = [f"<{name}".encode(encoding) for name in COMPANIES]
        self.closing = [f"</{name}>".encode(encoding) for name in COMPANIES]
        self.entries = "<СвЗап".encode(encoding)
        self.activities = ("<СвОКВЭД>".encode(encoding), "</СвОКВЭД>".encode(encoding))
        self.inn = re.compile(rb"""\s(?:%b|%b)\s*=\s*["']\s*(\d+)\s*["']""" % tuple(
            name.encode(encoding) for name in ("ИНН", "ИННФЛ")))  # fmt: skip

    def spans(self, buffer: bytes, is_last: bool) -> Iterator[tuple[int, int, str]]:
        """Start and end of each company that ends within the buffer, and why it is none if so."""
        at = 0
        upcoming = [-1, -1]  # where each kind begins next
        while True:
            for kind, tag in enumerate(self.opening):
                if upcoming[kind] < at:
                    upcoming[kind] = self._find(buffer, tag, at)
            start = min(upcoming)
            if start == len(buffer):
                return
            kind = upcoming.index(start)
            upcoming[kind] = self._find(buffer, self.opening[kind], start + 1)
            close = buffer.find(self.closing[kind], start)
            at = min(upcoming) if close < 0 else close + len(self.closing[kind])
            if min(upcoming) < at or (close < 0 and at < len(buffer)):
                at = min(upcoming)
                yield start, at, "does not end before the next one begins"
            elif close >= 0:
                yield start, at, ""
            else:
                if is_last:
                    yield start, at, "is cut off"
                return

    def read_of(self, content: bytes) -> bytes:
        """What is read of a company: all but its entries, which come last, and its kinds of activity."""
        if (entries := content.find(self.entries)) >= 0:
            content = content[:entries] + self.closing[content.startswith(self.opening[1])]
        opening, closing = (content.find(tag) for tag in self.activities)
        return content[:opening] + content[closing + len(self.activities[1]) :] if 0 <= opening < closing else content

    def rest(self, buffer: bytes, at: int) -> int:
        """Where the next company begins, at or behind `at`, or may begin: of its tag only a part is there."""
        longest = max(len(tag) for tag in self.opening)
        return min(max(at, len(buffer) - longest), *(self._find(buffer, tag, at) for tag in self.opening))

    @staticmethod
    def _find(buffer: bytes, tag: bytes, at: int, end: int | None = None) -> int:
        """Where a tag of just this name begins before `end`; else `end`, which is the buffer's unless given."""
        end = len(buffer) if end is None else end
        while (at := buffer.find(tag, at, end)) >= 0:
            if buffer[at + len(tag) : at + len(tag) + 1] in (b" ", b"\n", b"\r", b"\t", b">"):
                return at
            at += 1
        return end


def _company(
    content: bytes, start: int, end: int, tags: _Tags, is_wanted: Callable[[str], bool], problem: str
) -> Company:
    """One company, parsed if its INN is wanted."""
    head = _HEAD.match(content)
    number = tags.inn.search(head[1]) if head else None
    inn = number[1].decode() if number else None
    if inn is not None and not is_wanted(inn):
        return Company(start, end, inn, None)
    if problem:
        return Company(start, end, inn, None, problem, content)
    text = tags.read_of(content).decode(tags.encoding, "replace")
    try:
        # A parser of its own each time: one that met an error may remember it.
        parser = etree.XMLParser(encoding="utf-8", resolve_entities=False, no_network=True, huge_tree=True)
        element = etree.fromstring(text.encode(), parser)
    except (etree.LxmlError, ValueError) as error:
        return Company(start, end, inn, None, f"is no XML: {error}", content)
    blocks: Blocks = {}
    for block in element:
        blocks.setdefault(block.tag, []).append(block)
    inn = inn or _attribute(blocks, "СвУчетНО", None, "ИНН", "ИННФЛ")
    if inn is None or not is_wanted(inn):
        return Company(start, end, inn, None)
    return Company(start, end, inn, (_legal if element.tag == COMPANIES[0] else _individual)(element, blocks))


def _attribute(blocks: Blocks, name: str, inner: str | None, *attributes: str) -> str | None:
    """The first of these attributes that the first block of a name has, or the first element of another name in it."""
    for block in blocks.get(name, ())[:1]:
        element = block if inner is None else next((child for child in block if child.tag == inner), None)
        if element is not None:
            return next((value for attribute in attributes if (value := element.get(attribute))), None)
    return None


def _words(*words: str | None) -> str | None:
    return " ".join(filter(None, words)) or None


def _person(blocks: Blocks, name: str, inner: str) -> str | None:
    return _words(*(_attribute(blocks, name, inner, part) for part in ("Фамилия", "Имя", "Отчество")))


def _legal(element: etree._Element, blocks: Blocks) -> Extract:
    return Extract(
        "LEGAL",
        extracted_on=element.get("ДатаВып"),
        ogrn=element.get("ОГРН"),
        registered_on=element.get("ДатаОГРН"),
        kpp=element.get("КПП"),
        full_name=_attribute(blocks, "СвНаимЮЛ", None, "НаимЮЛПолн"),
        short_name=_attribute(blocks, "СвНаимЮЛ", "СвНаимЮЛСокр", "НаимСокр")
        or _attribute(blocks, "СвНаимЮЛ", None, "НаимЮЛСокр"),
        legal_form=element.get("ПолнНаимОПФ"),
        director_name=_person(blocks, "СведДолжнФЛ", "СвФЛ"),
        director_post=_attribute(blocks, "СведДолжнФЛ", "СвДолжн", "НаимДолжн", "НаимВидДолжн"),
        address=_address(blocks),
        status_codes=_codes(blocks, "КодСтатусЮЛ", "СвСтатус", "СвРеорг"),
        ceased_on=_attribute(blocks, "СвПрекрЮЛ", None, "ДатаПрекрЮЛ"),
        ceased_code=_attribute(blocks, "СвПрекрЮЛ", "СпПрекрЮЛ", "КодСпПрекрЮЛ"),
    )


def _individual(element: etree._Element, blocks: Blocks) -> Extract:
    name = _person(blocks, "СвФЛ", "ФИОРус")
    return Extract(
        "INDIVIDUAL",
        extracted_on=element.get("ДатаВып"),
        ogrn=element.get("ОГРНИП"),
        registered_on=element.get("ДатаОГРНИП"),
        full_name=_words(element.get("НаимВидИП"), name),
        short_name=name and f"ИП {name}" if element.get("КодВидИП") == "1" else name,
        legal_form=element.get("НаимВидИП"),
        status_codes=_codes(blocks, "КодСтатус", "СвСтатус"),
        ceased_on=_attribute(blocks, "СвПрекращ", "СвСтатус", "ДатаПрекращ"),
        ceased_code=_attribute(blocks, "СвПрекращ", "СвСтатус", "КодСтатус"),
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
    parts = [address.get("Индекс")]
    texts_of: dict[str, list[str | None]] = {}
    for part in address:
        attributes = _PARTS.get(part.tag, ())
        text = part.text if attributes is None else _words(*(part.get(name) for name in attributes))
        texts_of.setdefault(part.tag, []).append(text)
    parts += [text for name in _PARTS for text in texts_of.get(name, ())]
    parts += [address.get(name) for name in ("Дом", "Корпус", "Кварт")]
    return ", ".join(filter(None, parts)) or None
