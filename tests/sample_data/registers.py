"""Files of the tax service's open data, EGRUL and EGRIP, made: shapes of formats 4.04 to 4.07, every name invented.

Elements and attributes are those of the public schema; of real files they have the encoding, the line ends, the states
one level below their block, entries that are more than half of a company, and companies that come twice.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from xml.sax.saxutils import quoteattr

HEAD = '<?xml version="1.0" encoding="{encoding}"?>\r\n'


@dataclass
class LegalEntity:
    """A company of EGRUL."""

    inn: str | None
    ogrn: str = "1027700132195"
    name: str = 'ОБЩЕСТВО С ОГРАНИЧЕННОЙ ОТВЕТСТВЕННОСТЬЮ "РОМАШКА"'
    extracted_on: str = "2026-10-01"
    states: list[str] = field(default_factory=list)
    reorganizations: list[str] = field(default_factory=list)
    ceased: tuple[str, str] | None = None  # day and code
    entries: int = 3
    address: str = "kladr"  # or fias

    def xml(self) -> str:
        """Its `СвЮЛ`."""
        noted = '<ГРНДата ГРН="1187800004006" ДатаЗаписи="2018-08-14" />'
        inn = f" ИНН={quoteattr(self.inn)} КПП={quoteattr(self.inn[:4] + '01001')}" if self.inn is not None else ""
        states = "".join(f'<СвСтатус><СвСтатус КодСтатусЮЛ="{code}" />{noted}</СвСтатус>' for code in self.states)
        ceased = (
            f'<СвПрекрЮЛ ДатаПрекрЮЛ="{self.ceased[0]}"><СпПрекрЮЛ КодСпПрекрЮЛ="{self.ceased[1]}" />'
            f"{noted}</СвПрекрЮЛ>"
            if self.ceased
            else ""
        )
        reorganizations = "".join(
            f'<СвРеорг><СвСтатус КодСтатусЮЛ="{code}" />{noted}</СвРеорг>' for code in self.reorganizations
        )
        kinds = "".join(
            f'<СвОКВЭДДоп КодОКВЭД="{n}.12" НаимОКВЭД="Прочие виды деятельности" ПрВерсОКВЭД="2014">'
            f"{noted}</СвОКВЭДДоп>"
            for n in range(10, 10 + 4 * self.entries)
        )
        entries = "\r\n".join(
            f"""<СвЗапЕГРЮЛ ИдЗап="15000016065515{n}" ГРН="1187800004006" ДатаЗап="2018-08-14"><ВидЗап КодСПВЗ="11201" \
НаимВидЗап="Создание юридического лица" /><СвРегОрг КодНО="7800" НаимНО="Управление налоговой службы по городу" />\
<СведПредДок><НаимДок>Р11001 ЗАЯВЛЕНИЕ О СОЗДАНИИ ЮЛ</НаимДок><НомДок>{n}</НомДок></СведПредДок></СвЗапЕГРЮЛ>"""
            for n in range(self.entries)
        )
        where = (
            '<СвАдресЮЛ ВидАдрКлассиф="1"><СвАдрЮЛФИАС ИдНом="x" Индекс="150030"><Регион>76</Регион>'
            "<НаимРегион>ЯРОСЛАВСКАЯ ОБЛАСТЬ</НаимРегион>"
            '<НаселенПункт Вид="Г" Наим="ЯРОСЛАВЛЬ" /><ЭлУлДорСети Тип="ПР-КТ" Наим="МОСКОВСКИЙ" />'
            f'<Здание Тип="Д." Номер="125" /><Здание Тип="К." Номер="2" />{noted}</СвАдрЮЛФИАС></СвАдресЮЛ>'
            if self.address == "fias"
            else '<СвАдресЮЛ><АдресРФ Индекс="192007" КодРегион="78" Дом="Д. 16" Корпус="ЛИТЕР А" Кварт="ОФИС 8">'
            '<Регион НаимРегион="Г.САНКТ-ПЕТЕРБУРГ" /><Улица ТипУлица="УЛ." НаимУлица="ТАМБОВСКАЯ" />'
            f"{noted}</АдресРФ></СвАдресЮЛ>"
        )
        return f"""<СвЮЛ ДатаВып="{self.extracted_on}" ОГРН="{self.ogrn}" ДатаОГРН="2018-08-14"{inn} СпрОПФ="ОКОПФ" \
КодОПФ="12300" ПолнНаимОПФ="Общества с ограниченной ответственностью">\r\n<СвНаимЮЛ НаимЮЛПолн={quoteattr(self.name)}>\
{noted}<СвНаимЮЛСокр НаимСокр="ООО &quot;РОМАШКА&quot;">{noted}</СвНаимЮЛСокр></СвНаимЮЛ>{where}{states}{ceased}\
<СведДолжнФЛ><ГРНДатаПерв ГРН="1" /><СвФЛ Фамилия="ИВАНОВА" Имя="МАРИЯ" ИННФЛ="500100732259">{noted}</СвФЛ>\
<СвДолжн ВидДолжн="02" НаимВидДолжн="Руководитель юридического лица" НаимДолжн="ДИРЕКТОР">{noted}</СвДолжн>\
</СведДолжнФЛ><СвОКВЭД>{kinds}</СвОКВЭД>{reorganizations}\r\n{entries}\r\n</СвЮЛ>"""


@dataclass
class Entrepreneur:
    """An entrepreneur of EGRIP."""

    inn: str
    ogrnip: str = "304500116000157"
    extracted_on: str = "2026-10-01"
    ceased: tuple[str, str] | None = None  # day and code

    def xml(self) -> str:
        """Its `СвИП`."""
        noted = '<ГРНИПДата ГРНИП="325300000035596" ДатаЗаписи="2025-07-24" />'
        day, code = self.ceased or ("", "")
        ceased = f'<СвПрекращ><СвСтатус КодСтатус="{code}" ДатаПрекращ="{day}" />{noted}</СвПрекращ>' if day else ""
        return f"""<СвИП ДатаВып="{self.extracted_on}" ОГРНИП="{self.ogrnip}" ДатаОГРНИП="2025-07-24" \
ИННФЛ="{self.inn}" КодВидИП="1" НаимВидИП="Индивидуальный предприниматель">\r\n\
<СвФЛ Пол="1"><ФИОРус Фамилия="ПЕТРОВ" Имя="ПЁТР" />{noted}\
</СвФЛ>{ceased}<СвЗапЕГРИП ИдЗап="1"><ВидЗап КодСПВЗ="21211" /></СвЗапЕГРИП>\r\n</СвИП>"""


def register_parts(
    companies: Iterable[LegalEntity | Entrepreneur], *, root: str = "Файл", encoding: str = "windows-1251"
) -> Iterator[bytes]:
    """A file in pieces, one a company."""
    yield f'{HEAD.format(encoding=encoding)}<{root} ИдФайл="VO_RUGFO_0000" ВерсФорм="4.07">\r\n'.encode(encoding)
    for number, company in enumerate(companies):
        yield f'  <Документ ИдДок="{number}">{company.xml()}</Документ>\r\n'.encode(encoding)
    yield f"</{root}>".encode(encoding)


def register_file(companies: Iterable[LegalEntity | Entrepreneur], **options: str) -> bytes:
    """A whole file."""
    return b"".join(register_parts(companies, **options))
