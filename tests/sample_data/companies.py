"""True companies with their registry entries, and the ways a shop's clerk typed them in."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random

from .identifiers import Identifiers, account_key_agrees, inn_is_valid
from .typed_text import (
    cp1251_read_as_latin1,
    fits_cp1251,
    utf8_read_as_cp1251,
    with_lookalikes,
    with_stray_spaces,
)
from .vocabulary import COMMON_FEMALE, COMMON_MALE, Vocabulary, Weighted

SPELLED_OUT = {
    "ООО": "Общество с ограниченной ответственностью",
    "АО": "Акционерное общество",
    "ПАО": "Публичное акционерное общество",
    "ЗАО": "Закрытое акционерное общество",
    "АНО": "Автономная некоммерческая организация",
    "ФГУП": "Федеральное государственное унитарное предприятие",
    "ИП": "Индивидуальный предприниматель",
}
# Right text that a careless repair would spoil: Latin words made of look-alike letters, mixed scripts, signs.
HONEST_LATIN = ("COMET", "TOP", "BEAT", "Smart Лайн", "IT-Сервис", "CAPE HOPE", "3D Принт", "М-Trade", "AERO", "Р&Б")
TRANSLIT = dict(
    zip(
        "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
        "a b v g d e e zh z i y k l m n o p r s t u f h ts ch sh sch _ y _ e yu ya".split(),  # noqa: SIM905
        strict=True,
    )
)
TRANSLIT["ъ"] = TRANSLIT["ь"] = ""


def transliterated(text: str) -> str:
    return "".join(TRANSLIT.get(c, c) for c in text.lower() if c.isalnum())


@dataclass
class Company:
    """One true company, and what the register says of it; `verdicts` has several rows after a re-registration."""

    inn: str
    is_legal: bool
    opf: str
    core: str  # the name inside the quotes; an entrepreneur's full name
    kpp: str | None
    ogrn: str
    address: str
    domain: str
    verdicts: list[dict] = field(default_factory=list)
    is_named_by_registry: bool = True

    @property
    def title(self) -> str:
        return f'{self.opf} "{self.core}"' if self.is_legal else f"ИП {self.core}"


class Companies:
    """Makes companies and their typed forms; every random choice comes from `rng`."""

    def __init__(self, rng: Random, words: Vocabulary, identifiers: Identifiers, today: date) -> None:
        self.rng, self.words, self.identifiers, self.today = rng, words, identifiers, today
        self.banks = [(rng.choice(words.banks), *identifiers.bank()) for _ in range(300)]
        self.count = 0
        self._opf = Weighted(rng, {"ООО": 86, "АО": 6, "ПАО": 1, "ЗАО": 3, "АНО": 2, "ФГУП": 2})
        self._inn_form = Weighted(
            rng,
            {
                "clean": 70,
                "spaces": 6,
                "groups": 4,
                "dashes": 2,
                "dots": 1,
                "prefix": 4,
                "with_kpp": 4,
                "float": 3,
                "cyrillic": 2,
                "number": 8,
            },
        )
        self._name_form = Weighted(
            rng,
            {
                "quoted": 30,
                "guillemets": 18,
                "bare": 8,
                "comma_after": 6,
                "after": 5,
                "spelled_out": 8,
                "upper": 5,
                "lower": 3,
                "doubled_quotes": 3,
                "latin_form": 2,
                "entities": 3,
                "mojibake": 1.5,
                "latin1": 1,
                "lookalikes": 1.5,
                "spaces": 4,
                "no_form": 1,
            },
        )

    def core_name(self) -> str:
        rng, words = self.rng, self.words.words
        kind = rng.random()
        word = rng.choice(words)
        if kind < 0.02:
            return rng.choice(HONEST_LATIN)
        if kind < 0.40:
            return f"{word}-{rng.choice(words)}"
        if kind < 0.60:
            return word + rng.choice(("Строй", "Торг", "Сервис", "Снаб", "Пром", "Маш", "Агро")).lower()
        if kind < 0.75:
            return f"{rng.choice(('Торговый дом', 'Завод', 'Компания', 'Фирма', 'Группа'))} {word}"
        if kind < 0.90:
            return f"{word} {rng.choice(('Плюс', 'Трейд', 'Регион', 'Групп', 'Опт', 'Центр'))}"
        return f"{word}-{rng.randrange(3, 2020)}" if kind < 0.94 else word

    def person_name(self) -> str:
        rng, words = self.rng, self.words
        surname, patronymic = rng.choice(words.surnames), rng.choice(words.patronymics)
        if rng.random() < 0.5:
            return f"{surname.male} {rng.choice(COMMON_MALE)} {patronymic[0]}"
        return f"{surname.female} {rng.choice(COMMON_FEMALE)} {patronymic[1]}"

    def address(self) -> str:
        rng = self.rng
        house = f"{rng.randrange(1, 180)}{rng.choice(('', '', '', ' к 2', ' стр 1'))}"
        return (
            f"{rng.randrange(101000, 692999)}, г {rng.choice(self.words.cities)}, "
            f"ул {rng.choice(self.words.streets)}, д {house}"
        )

    def make(self, *, status: str | None = "ACTIVE", legal: bool | None = None) -> Company:
        """A new company; `status` None means the register does not know its INN.

        Three in a hundred active verdicts name the company by INN and OGRN only, so that its name has to come from
        the sources; some have no KPP, address or director.
        """
        rng, ids = self.rng, self.identifiers
        if legal is None:
            legal = rng.random() < 0.8
        inn = ids.inn(legal=legal)
        core = self.core_name() if legal else self.person_name()
        self.count += 1
        company = Company(
            inn=inn,
            is_legal=legal,
            opf=self._opf() if legal else "ИП",
            core=core,
            kpp=ids.kpp(inn[:2]) if legal else None,
            ogrn=ids.ogrn(legal=legal, region=inn[:2]),
            address=self.address(),
            domain=f"{transliterated(core)[:18] or 'firma'}{self.count}.ru",
        )
        if status:
            company.verdicts.append(self._verdict(company, status))
            if not legal and status == "ACTIVE" and rng.random() < 0.03:
                former = self._verdict(company, "LIQUIDATED")
                former["ogrn"] = ids.ogrn(legal=False, region=inn[:2])
                company.verdicts.insert(rng.randrange(2), former)
        return company

    def _verdict(self, company: Company, status: str) -> dict:
        rng = self.rng
        registered = self.today - timedelta(days=rng.randrange(800, 9000))
        closed = self.today - timedelta(days=rng.randrange(5, 700))
        upper, legal = company.core.upper(), company.is_legal
        verdict = {
            "inn": company.inn,
            "status": status,
            "kpp": company.kpp,
            "ogrn": company.ogrn,
            "type": "LEGAL" if legal else "INDIVIDUAL",
            "full_name": f'{SPELLED_OUT[company.opf].upper()} "{upper}"'
            if legal
            else f"{SPELLED_OUT['ИП']} {company.core}",
            "short_name": f'{company.opf} "{upper}"' if legal else company.title,
            "opf": company.opf,
            "director_name": self.person_name() if legal else None,
            "director_post": rng.choice(("ГЕНЕРАЛЬНЫЙ ДИРЕКТОР", "ДИРЕКТОР")) if legal else None,
            "address": company.address,
            "registration_date": registered,
            "liquidation_date": closed if status == "LIQUIDATED" else None,
            "actuality_date": self.today - timedelta(days=rng.randrange(1, 20)),
        }
        if status == "ACTIVE" and legal:
            chance = rng.random()
            if chance < 0.03:
                company.is_named_by_registry = False
                verdict |= dict.fromkeys(("full_name", "short_name", "opf"))
            elif chance < 0.06:
                verdict["kpp"] = None
            elif chance < 0.07:
                verdict["address"] = None
            elif chance < 0.08:
                verdict |= dict.fromkeys(("director_name", "director_post"))
        return verdict

    # ----- as typed

    def typed_inn(self, company: Company, kpp: str | None) -> tuple[str, bool]:
        """(the INN as typed, whether it may stand in JSON as a bare number)."""
        rng, inn, form = self.rng, company.inn, self._inn_form()
        if inn[0] == "0" and rng.random() < 0.35:
            return inn[1:], rng.random() < 0.5
        if form == "spaces":
            return rng.choice((f" {inn} ", f"{inn}\xa0", f"\t{inn}")), False
        if form == "groups":
            return f"{inn[:4]} {inn[4:]}", False
        if form == "dashes":
            return f"{inn[:4]}-{inn[4:7]}-{inn[7:]}", False
        if form == "dots":
            return f"{inn[:2]}.{inn[2:4]}.{inn[4:]}", False
        if form == "prefix":
            return rng.choice(("ИНН {}", "ИНН: {}", "инн {}", "ИНН{}", "INN {}")).format(inn), False
        if form == "with_kpp" and kpp:
            return rng.choice(("{}/{}", "{} / {}", "{}\\{}", "ИНН/КПП {}/{}")).format(inn, kpp), False
        if form == "float":
            return f"{inn}.0", False
        if form == "cyrillic" and ("0" in inn or "3" in inn):
            return inn.replace("0", rng.choice("ОО0")).replace("3", "З"), False
        return inn, form == "number" and inn[0] != "0"

    def missing_inn(self) -> str | None:
        return self.rng.choice((None, None, "", " ", "-", "нет", "не указан"))

    def invalid_inn(self, company: Company) -> str:
        """An INN that stays invalid whatever is trimmed off it, translated in it, or put before it."""
        rng, inn = self.rng, company.inn
        while True:
            typed = rng.choice(
                (
                    inn[:-1] + str((int(inn[-1]) + rng.randrange(1, 10)) % 10),
                    inn[:4] + inn[5] + inn[4] + inn[6:],
                    "0" * len(inn),
                    rng.choice("123456789") * len(inn),
                    inn[:7],
                    inn[: len(inn) - 1],
                    inn + str(rng.randrange(10)),
                    company.ogrn,
                )
            )
            if not inn_is_valid(typed) and not inn_is_valid("0" + typed) and not inn_is_valid(typed[:10]):
                return typed

    def typed_kpp(self, kpp: str | None) -> tuple[str | None, str | None]:
        """(as typed, the well-formed KPP to be read from it or None)."""
        chance = self.rng.random()
        if kpp is None:
            return ("-" if chance < 0.1 else None), None
        if chance < 0.80:
            return kpp, kpp
        if chance < 0.88:
            return f" {kpp} ", kpp
        return self.rng.choice((None, "", "-", "нет", "12345")), None

    def typed_ogrn(self, company: Company) -> str | None:
        chance, ogrn = self.rng.random(), company.ogrn
        if chance < 0.75:
            return ogrn
        if chance < 0.85:
            return self.rng.choice((f" {ogrn}", f"ОГРН {ogrn}", f"{ogrn[:1]} {ogrn[1:]}"))
        if chance < 0.90:
            return ogrn[:-1] + str((int(ogrn[-1]) + 1) % 10)
        return self.rng.choice((None, "", "-", ogrn[:-2]))

    def typed_bank(self, company: Company) -> tuple[dict, dict | None]:
        """(the four fields as typed, the four to be read from them or None when the account fails its key)."""
        rng, chance = self.rng, self.rng.random()
        name, bik, corr = rng.choice(self.banks)
        account = self.identifiers.account(bik, legal=company.is_legal)
        unit = {"bank_name": name, "bik": bik, "account": account, "corr_account": corr}
        if chance < 0.70:
            return unit, unit
        if chance < 0.76:
            spaced = " ".join(account[i : i + 4] for i in range(0, 20, 4))
            return unit | {"account": spaced, "bank_name": f" {name}  ", "bik": f"{bik} "}, unit
        if chance < 0.80:
            wrong = corr[:8] + str((int(corr[8]) + 3) % 10) + corr[9:]
            return unit | {"corr_account": wrong}, unit | {"corr_account": None}
        if chance < 0.86:
            wrong = account[:-1] + str((int(account[-1]) + 1) % 10)
            assert not account_key_agrees(bik, wrong)
            return unit | {"account": wrong}, None
        if chance < 0.90:
            return unit | {"account": account[:-1]}, None
        if chance < 0.93:
            return unit | {"bik": "нет"}, None
        return dict.fromkeys(unit), None

    def typed_address(self, company: Company) -> str | None:
        chance, address = self.rng.random(), company.address
        if chance < 0.75:
            return address
        if chance < 0.85:
            return address.replace(", ", ",  ", 1) + " "
        if chance < 0.90:
            return address.replace(", ", ",\xa0", 1)
        return None if chance > 0.95 else address

    def typed_name(self, company: Company, *, narrow: bool) -> str:
        """The company's name as typed; `narrow` keeps to characters a cp1251 column can hold, 255 at the most.

        A company that the register leaves unnamed gets only forms that its name, case and all, can be read back from.
        """
        typed = self._name_as(self._name_form(), company, narrow=narrow)
        if len(typed) > 255 or (narrow and not fits_cp1251(typed)):
            return company.title
        return typed

    def _name_as(self, form: str, company: Company, *, narrow: bool) -> str:
        rng, opf, core = self.rng, company.opf, company.core
        plain = company.title
        if not company.is_legal:
            surname, first, second = core.split(" ")
            plain = rng.choice((plain, plain, f"{SPELLED_OUT['ИП']} {core}", f"ИП {surname} {first[0]}.{second[0]}."))
            quoted = {"quoted": plain, "guillemets": plain, "bare": plain, "after": f"{core} ИП"}
        else:
            quoted = {
                "quoted": plain,
                "guillemets": f"{opf} «{core}»",
                "bare": f"{opf} {core}",
                "comma_after": f"{core}, {opf}",
                "after": f'"{core}" {opf}',
                "spelled_out": f"{SPELLED_OUT[opf]} «{core}»",
                "doubled_quotes": f'{opf} ""{core}""',
                "latin_form": plain.replace("ООО", "OOO", 1),
                "entities": rng.choice((f"{opf} &quot;{core}&quot;", f"{opf}&nbsp;&laquo;{core}&raquo;")),
            }
            if form == "no_form" and company.is_named_by_registry:
                return core
        if form in quoted:
            return quoted[form]
        if form in ("upper", "lower") and company.is_named_by_registry:
            return plain.upper() if form == "upper" else plain.lower()
        if form == "mojibake":
            return utf8_read_as_cp1251(plain)
        if form == "latin1" and not narrow:
            return cp1251_read_as_latin1(plain)
        if form == "lookalikes":
            return with_lookalikes(rng, plain)
        if form == "spaces":
            return with_stray_spaces(rng, plain, narrow=narrow)
        return plain
