"""Which company cards of the portal hold an INN: in their requisites and, by setting, in a custom field of the company.

People type INNs with spaces, hyphens, invisible characters, a word in front, the KPP behind or letters for 0 and 3, and
spreadsheets take the zero in front. The portal compares texts as they are stored (page
`requisites/universal/crm-requisite-list`), so texts are asked for by a pattern of the digits, or all of them are read,
whichever takes fewer requests; what they mean is decided here, and a text that is no INN means nothing. What the models
read as an INN (`macros/inn.sql`) is one here too; control digits need no look, for readings are only compared with INNs
of ours.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from ingest.bitrix24.answers import number_of, rows_of
from ingest.bitrix24.client import Client, Command, list_by
from ingest.bitrix24.pacing import BATCH, PAGE
from ingest.warehouse.errors import SettingsError
from publish.bitrix24.parts import COMPANY, REQUISITE

Holders = Mapping[int, int | None]  # company card -> its oldest requisite with the INN, None where only a field has it
_AT_ONCE = 10 * BATCH  # commands whose answers are kept at a time
_DASHES_AND_DOTS = {"Pd", "Pc"}
_LETTERS = "ОЗO"  # for 0, 3, 0: two Cyrillic ones, a Latin one
_LABELS = re.compile("ОГРНИП|ОГРН|ИНН|INN|КПП|KPP")


class Inns:
    """Looks INNs up, and remembers for one push what it found. `field` is the company's custom field, '' for none."""

    def __init__(self, client: Client, field: str) -> None:
        self._client, self._field = client, field
        self._found: dict[str, dict[int, int | None]] = {}

    async def holders(self, inns: Collection[str]) -> Mapping[str, Holders]:
        """Company cards by INN; INNs that no card holds are missing. Raises SettingsError where the field is not."""
        todo = sorted({inn for inn in inns if inn not in self._found})
        self._found |= {inn: {} for inn in todo}
        if todo:
            await self._in_requisites(todo)
            if self._field:
                await self._in_field(todo)
        return {inn: self._found[inn] for inn in inns if self._found[inn]}

    async def _in_requisites(self, inns: Sequence[str]) -> None:
        name, method = "RQ_INN", REQUISITE.listing
        select = ["ID", "ENTITY_ID", name]
        async for row in _rows(self._client, method, name, inns, where=REQUISITE.constants, select=select):
            card, requisite = number_of(method, row, "ENTITY_ID"), number_of(method, row, "ID")
            for inn in readings(row.get(name)) & self._found.keys():
                before = self._found[inn].get(card)
                self._found[inn][card] = requisite if before is None else min(before, requisite)

    async def _in_field(self, inns: Sequence[str]) -> None:
        method, select = "crm.company.list", ["ID", self._field]
        if await self._is_text():
            rows = [row async for row in _rows(self._client, method, self._field, inns, where={}, select=select)]
        else:  # a number is stored without its zeros in front, and compared as a number
            numbers = [int(inn) for inn in inns]
            rows = await list_by(self._client, method, self._field, numbers, where={}, select=select)
        for row in rows:
            for inn in readings(row.get(self._field)) & self._found.keys():
                self._found[inn].setdefault(number_of(method, row, "ID"), None)

    async def _is_text(self) -> bool:
        """Whether the custom field is one of texts; a list that is asked by an unknown field answers everything."""
        method = f"{COMPANY.user_fields}.list"
        commands = [Command(method, {"filter": {"FIELD_NAME": self._field}}), Command(method, {})]
        one, several = await self._client.read(commands)
        rows = [*rows_of(method, several), *rows_of(method, one)]  # the second list ends after fifty
        types = {str(row.get("FIELD_NAME")): row.get("USER_TYPE_ID") for row in rows}
        if self._field not in types:
            raise SettingsError(
                f"SVOD_INN_FIELD: companies of the portal have no custom field {self._field}",
                hint=f"there are {', '.join(sorted(types)) or 'none'}",
            )
        return types[self._field] not in ("integer", "double")


async def _rows(
    client: Client, method: str, name: str, inns: Sequence[str], *, where: Mapping[str, Any], select: Sequence[str]
) -> Any:
    """Rows of a classic list that may hold one of the INNs, and others: all there are, or those by pattern."""
    (newest,) = await client.read(
        [Command(method, {"filter": where, "order": {"ID": "DESC"}, "select": ["ID"], "start": -1})]
    )
    highest = max((number_of(method, row, "ID") for row in rows_of(method, newest)), default=0)
    filters: list[dict[str, Any]]
    patterns = [*map(pattern, inns), *(f"%{letter}%" for both in _LETTERS for letter in (both, both.lower()))]
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
    and an exponent may stand for those at the end. Texts with letters for digits have patterns of their own."""
    return "%" + "%".join(inn.strip("0")) + "%"


def readings(value: Any) -> set[str]:
    """INNs that a text, a number or a list of them may mean; none of what is no INN.

    Ten or twelve digits are one; nine or eleven, at the beginning, are one that lost its zero; nine more are the KPP
    typed behind it. Letters that look like digits are also read as such.
    """
    if isinstance(value, list | tuple):
        return {inn for one in value for inn in readings(one)}
    if value is None or isinstance(value, Mapping):
        return set()
    text = re.sub(r"[.,]0+$", "", unicodedata.normalize("NFKC", str(value)).strip())
    if power := re.fullmatch(r"([0-9](?:[.,][0-9]+)?)[eE][+]?([0-9]{1,2})", text):
        if len(re.sub("[.,]", "", power[1])) <= int(power[2]):
            return set()  # a spreadsheet cut it short: zeros for the lost digits would name a stranger
        text = str(int(Decimal(text.replace(",", "."))))
    if not re.search("[0-9]", text):
        return set()
    with_letters = _LABELS.sub("|", text.upper()).translate(str.maketrans(_LETTERS, "030"))
    return {inn for one in (text, with_letters) for inn in _numbers(one)}


def _numbers(text: str) -> Iterator[str]:
    for number, digits in enumerate(re.findall("[0-9]+", "".join(_kept(text)))):
        without_kpp = digits[:-9] if len(digits) in (18, 19, 20, 21) else digits
        if len(without_kpp) in (10, 12):
            yield without_kpp
        elif number == 0 and len(without_kpp) in (9, 11) and digits[0] != "0":  # there is no region 00
            yield "0" + without_kpp


def _kept(text: str) -> Iterator[str]:
    """A text without spaces, invisible characters, dashes and dots."""
    for character in text:
        category = unicodedata.category(character)
        if category[0] not in "ZC" and category not in _DASHES_AND_DOTS and character != ".":
            yield character
