"""Which company cards of the portal hold an INN: in their requisites and, by setting, in a custom field of the company.

People type INNs with spaces, hyphens, invisible characters, a word in front, other numbers beside, letters for 0 and 3,
and spreadsheets take the zero in front. The portal compares texts as they are stored (page
`requisites/universal/crm-requisite-list`), so texts are asked for by a pattern of the digits, or all of them are read,
whichever takes fewer requests; what they mean is decided here, and a text that is no INN means nothing. What the models
read as an INN (`macros/inn.sql`) is one here too. A text in which our INN is one of several that it could mean says
nothing for sure: it is for a person to look at.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from ingest.bitrix24.answers import number_of, rows_of
from ingest.bitrix24.client import Client, Command, list_by
from ingest.bitrix24.pacing import BATCH, PAGE
from publish.bitrix24 import inn_field
from publish.bitrix24.parts import REQUISITE

Holders = Mapping[int, int | None]  # company card -> its oldest requisite with the INN, None where only a field has it
_AT_ONCE = 10 * BATCH  # commands whose answers are kept at a time
_LETTERS = "ОЗO"  # for 0, 3, 0: two Cyrillic ones, a Latin one
_LABELS = re.compile("ОГРНИП|ОГРН|ИНН|INN|КПП|KPP")
# A number as a spreadsheet shows it; the second two letters are Cyrillic.
_POWER = re.compile("(?<![0-9])([0-9](?:[.,][0-9]+)?)[eEеЕ][+]?([0-9]{1,2})(?![0-9])")
# Digits that LIKE does not take for ours: Arabic and Persian ones, full width.
_OTHER_DIGITS = [chr(zero + digit) for zero in (0x0660, 0x06F0, 0xFF10) for digit in range(10)]


class Found(NamedTuple):
    """The cards of an INN, and those where it is one of several numbers that could be meant."""

    holders: Holders
    mentions: frozenset[int]


NOBODYS = Found({}, frozenset())


class Inns:
    """Looks INNs up, and remembers for one push what it found. `field` is the company's custom field, '' for none."""

    def __init__(self, client: Client, field: str) -> None:
        self._client, self._field = client, field
        self._held: dict[str, dict[int, int | None]] = {}
        self._mentioned: dict[str, set[int]] = defaultdict(set)

    async def holders(self, inns: Collection[str]) -> Mapping[str, Holders]:
        """Company cards by INN; INNs that no card holds for sure are missing."""
        found = await self.found(inns)
        return {inn: cards.holders for inn, cards in found.items() if cards.holders}

    async def found(self, inns: Collection[str]) -> Mapping[str, Found]:
        """What is known of each INN; those that no card has in any way are missing. Raises SettingsError where the
        field is not there."""
        todo = sorted({inn for inn in inns if inn not in self._held})
        self._held |= {inn: {} for inn in todo}
        if todo:
            await self._in_requisites(todo)
            if self._field:
                await self._in_field(todo)
        known = {inn: Found(self._held[inn], frozenset(self._mentioned[inn] - self._held[inn].keys())) for inn in inns}
        return {inn: cards for inn, cards in known.items() if cards.holders or cards.mentions}

    async def _in_requisites(self, inns: Sequence[str]) -> None:
        name, method = "RQ_INN", REQUISITE.listing
        select = ["ID", "ENTITY_ID", name]
        async for row in _rows(self._client, method, name, inns, where=REQUISITE.constants, select=select):
            card, requisite = number_of(method, row, "ENTITY_ID"), number_of(method, row, "ID")
            if inn := self._meant(row.get(name), card):
                before = self._held[inn].get(card)
                self._held[inn][card] = requisite if before is None else min(before, requisite)

    async def _in_field(self, inns: Sequence[str]) -> None:
        method, select = "crm.company.list", ["ID", self._field]
        if inn_field.is_of_texts(self._field, await self._client.read(inn_field.look_up(self._field))):
            rows = [row async for row in _rows(self._client, method, self._field, inns, where={}, select=select)]
        else:  # a number is stored without its zeros in front, and compared as a number
            numbers = [int(inn) for inn in inns]
            rows = await list_by(self._client, method, self._field, numbers, where={}, select=select)
        for row in rows:
            card = number_of(method, row, "ID")
            if inn := self._meant(row.get(self._field), card):
                self._held[inn].setdefault(card, None)

    def _meant(self, value: Any, card: int) -> str:
        """The one INN of ours that a card's text means for sure, '' for none; where it could mean several, those that
        are ours are noted as mentioned by the card."""
        possible = readings(value)
        ours = self._held.keys() & possible
        if len(ours) == 1 and not any(is_valid(other) for other in possible - ours):
            return next(iter(ours))
        for inn in ours:
            self._mentioned[inn].add(card)
        return ""


async def _rows(
    client: Client, method: str, name: str, inns: Sequence[str], *, where: Mapping[str, Any], select: Sequence[str]
) -> Any:
    """Rows of a classic list that may hold one of the INNs, and others: all there are, or those by pattern."""
    (newest,) = await client.read(
        [Command(method, {"filter": where, "order": {"ID": "DESC"}, "select": ["ID"], "start": -1})]
    )
    highest = max((number_of(method, row, "ID") for row in rows_of(method, newest)), default=0)
    filters: list[dict[str, Any]]
    letters = [letter for both in _LETTERS for letter in (both, both.lower())]
    patterns = [*map(pattern, inns), *(f"%{character}%" for character in [*letters, *_OTHER_DIGITS])]
    if highest <= PAGE * len(patterns):
        filters = [{">=ID": lowest, "<ID": lowest + PAGE} for lowest in range(1, highest + 1, PAGE)]
    else:
        filters = [{f"=%{name}": text} for text in patterns]
    todo = [{**where, **chosen} for chosen in filters]
    while todo:
        turn, todo = todo[:_AT_ONCE], todo[_AT_ONCE:]
        commands = [
            Command(method, {"filter": chosen, "order": {"ID": "ASC"}, "select": list(select), "start": -1})
            for chosen in turn
        ]
        for chosen, answer in zip(turn, await client.read(commands), strict=True):
            rows = rows_of(method, answer)
            if len(rows) == PAGE and "<ID" not in chosen:
                todo.append({**chosen, ">ID": number_of(method, rows[-1], "ID")})
            for row in rows:
                yield row


def pattern(inn: str) -> str:
    """What a text with this INN in it looks like to LIKE: its digits, and anything between. Zeros in front get lost,
    and an exponent may stand for those at the end. Texts with letters or other digits have patterns of their own."""
    return "%" + "%".join(inn.strip("0")) + "%"


def readings(value: Any) -> set[str]:
    """All INNs that a text, a number or a list of them may mean; none of what is no INN.

    Ten or twelve digits are one, in one number or in several with spaces, hyphens or dots between; nine or eleven, at
    the beginning, are one that lost its zero; nine more without a space are the KPP typed behind it. Letters that look
    like digits are also read as such.
    """
    if isinstance(value, list | tuple):
        value = "; ".join(str(one) for one in value if one is not None and not isinstance(one, Mapping))
    if value is None or isinstance(value, Mapping):
        return set()
    text = "".join(map(_plain, unicodedata.normalize("NFKC", str(value)))).strip()
    text = _POWER.sub(_whole, re.sub(r"[.,]0+$", "", text))
    if not re.search("[0-9]", text):
        return set()
    with_letters = _LABELS.sub("|", text.upper()).translate(str.maketrans(_LETTERS, "030"))
    return {inn for one in (text, with_letters) for inn in _numbers(one)}


def _plain(character: str) -> str:
    """A digit of any script as ours; a space, dash or dot, which stand within numbers, as a space; an invisible
    character as nothing."""
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category[0] == "C":
        return ""
    return " " if category[0] == "Z" or category in ("Pd", "Pc") else character


def _whole(power: re.Match[str]) -> str:
    """The number; none where a spreadsheet cut it short: zeros in place of the lost digits would name a stranger."""
    digits, places = re.sub("[.,]", "", power[1]), int(power[2])
    return str(int(Decimal(f"{power[1].replace(',', '.')}e{places}"))) if len(digits) > places else "|"


def _numbers(text: str) -> Iterator[str]:
    is_first = True
    for part in re.findall("[0-9][0-9 .]*", text):
        pieces = re.findall("[0-9]+", part)
        for start in range(len(pieces)):
            for end in range(start + 1, len(pieces) + 1):
                yield from _inn(pieces[start:end], is_first=is_first and start == 0)
        is_first = False


def _inn(pieces: Sequence[str], *, is_first: bool) -> Iterator[str]:
    digits = "".join(pieces)
    if len(pieces) == 1 and len(digits) in (18, 19, 20, 21):
        digits = digits[:-9]
    if len(digits) in (10, 12):
        yield digits
    elif is_first and len(digits) in (9, 11) and digits[0] != "0":
        yield "0" + digits


def is_valid(inn: str) -> bool:
    """Whether ten or twelve digits can be an INN: by its control digits, and as there is no region 00 (`macros/inn.sql`
    cites the rules)."""
    weights = {10: (_LAST_OF_TEN,), 12: (_LAST_OF_TEN_OF_TWELVE, _LAST_OF_TWELVE)}[len(inn)]
    return (
        len(set(inn)) > 1
        and not inn.startswith("00")
        and all(
            sum(int(digit) * weight for digit, weight in zip(inn, of_digit, strict=False)) % 11 % 10
            == int(inn[len(of_digit)])
            for of_digit in weights
        )
    )


_LAST_OF_TEN = (2, 4, 10, 3, 5, 9, 4, 6, 8)
_LAST_OF_TEN_OF_TWELVE = (7, *_LAST_OF_TEN)
_LAST_OF_TWELVE = (3, *_LAST_OF_TEN_OF_TWELVE)
