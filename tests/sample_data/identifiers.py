"""Numbers that Russian registers and phone networks would accept: INN, OGRN, KPP, BIK, accounts, phones.

The arithmetic is written from the orders themselves and shares nothing with the models it is used to judge:
INN - order of the Federal Tax Service MMV-7-6/435@ (weights of the control digits); OGRN and OGRNIP - order of the
Ministry of Finance 165n (remainder by 11 and by 13); accounts - Bank of Russia letter 515 of 1997 (control key over
the last three digits of the BIK and the account). Phone ranges are ones libphonenumber calls valid.
"""

from random import Random

INN_LEGAL_WEIGHTS = (2, 4, 10, 3, 5, 9, 4, 6, 8)
INN_PERSON_WEIGHTS = ((7, 2, 4, 10, 3, 5, 9, 4, 6, 8), (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8))
LANDLINE_CODES = ("495", "499", "812", "343", "383", "846", "863", "843", "831", "351", "391", "473", "342", "347")
KAZAKH_CODES = ("701", "702", "705", "707", "747", "775", "776", "777", "778")
FOREIGN_RANGES = (  # prefix, digits that follow
    ("+37533", 7),
    ("+37544", 7),
    ("+99890", 7),
    ("+374910", 5),
    ("+49151", 8),
    ("+8613800", 6),
    ("+90532", 7),
    ("+995555", 6),
    ("+996555", 6),
)


def weighted_digit(digits: str, weights: tuple[int, ...]) -> str:
    """Control digit of an INN: weighted sum modulo 11, then modulo 10."""
    return str(sum(int(d) * w for d, w in zip(digits, weights, strict=False)) % 11 % 10)


def inn_is_valid(inn: str) -> bool:
    """True for 10 or 12 digits with right control digits, a region other than 00, and more than one distinct digit."""
    if not (inn.isascii() and inn.isdigit()) or inn.startswith("00") or len(set(inn)) == 1:
        return False
    if len(inn) == 10:
        return weighted_digit(inn, INN_LEGAL_WEIGHTS) == inn[9]
    if len(inn) == 12:
        return all(weighted_digit(inn, w) == inn[10 + i] for i, w in enumerate(INN_PERSON_WEIGHTS))
    return False


def account_key_agrees(bik: str, account: str) -> bool:
    """True when the weighted sum (7, 1, 3) over the BIK's last three digits and the settlement account ends in 0."""
    return _account_sum(bik[-3:] + account) == 0


def _account_sum(digits: str) -> int:
    return sum(int(d) * (7, 1, 3)[i % 3] for i, d in enumerate(digits)) % 10


class Identifiers:
    """Source of identifiers of which none is given out twice."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self._inns: set[str] = set()
        self._ogrns: set[str] = set()
        self._mobiles = self._landlines = self._kazakh = self._foreign = self._toll_free = 0
        self._start = rng.randrange(10**9)

    def _digits(self, count: int) -> str:
        return str(self.rng.randrange(10**count)).zfill(count)

    def region(self) -> str:
        """Two digits; the regions with a leading zero are frequent enough for that zero to get lost somewhere."""
        return f"{self.rng.randrange(1, 10):02}" if self.rng.random() < 0.12 else f"{self.rng.randrange(10, 93)}"

    def inn(self, *, legal: bool) -> str:
        while True:
            if legal:
                body = self.region() + self._digits(7)
                inn = body + weighted_digit(body, INN_LEGAL_WEIGHTS)
            else:
                inn = self.region() + self._digits(8)
                for weights in INN_PERSON_WEIGHTS:
                    inn += weighted_digit(inn, weights)
            if inn not in self._inns and inn_is_valid(inn):
                self._inns.add(inn)
                return inn

    def ogrn(self, *, legal: bool, region: str) -> str:
        while True:
            body = (
                ("1" if legal else "3") + f"{self.rng.randrange(2, 26):02}" + region + self._digits(7 if legal else 9)
            )
            ogrn = body + str(int(body) % (11 if legal else 13) % 10)
            if ogrn not in self._ogrns:
                self._ogrns.add(ogrn)
                return ogrn

    def kpp(self, region: str, *, branch: bool = False) -> str:
        reason = self.rng.choice(("02", "43", "44", "4A") if branch else ("01", "01", "01", "50"))
        return region + self._digits(2) + reason + self._digits(3)

    def bank(self) -> tuple[str, str]:
        """(BIK, correspondent account of that bank with the central bank, its key in place)."""
        bik = "04" + self.region() + "25" + f"{self.rng.randrange(50, 1000):03}"
        body, tail = "30101810", "00000000" + bik[-3:]
        for key in range(10):
            corr = f"{body}{key}{tail}"
            if _account_sum("0" + bik[4:6] + corr) == 0:
                return bik, corr
        raise AssertionError("one of ten keys always agrees: the weight 7 or 3 or 1 is coprime with 10")

    def account(self, bik: str, *, legal: bool) -> str:
        head, tail = ("40702810" if legal else "40802810"), self._digits(11)
        key = _account_sum(f"{bik[-3:]}{head}0{tail}") * 3 % 10  # the key's own weight is 3
        return f"{head}{key}{tail}"

    def mobile(self) -> str:
        """A Russian mobile number, E.164; a billion of them before the first repeats."""
        while True:
            self._mobiles += 1
            number = f"+79{(self._start + self._mobiles * 387_420_489) % 1_000_000_000:09}"
            if not number.startswith("+79300"):  # libphonenumber knows no operator for a part of that block
                return number

    def landline(self) -> str:
        self._landlines += 1
        code = LANDLINE_CODES[self._landlines % len(LANDLINE_CODES)]
        subscriber = (self._start + self._landlines // len(LANDLINE_CODES) * 7_654_321) % 8_000_000 + 2_000_000
        return f"+7{code}{subscriber:07}"

    def toll_free(self) -> str:
        self._toll_free += 1
        return f"+7800{(self._start + self._toll_free * 7_654_321) % 8_000_000 + 2_000_000:07}"

    def kazakh(self) -> str:
        self._kazakh += 1
        code = KAZAKH_CODES[self._kazakh % len(KAZAKH_CODES)]
        return f"+7{code}{(self._start + self._kazakh // len(KAZAKH_CODES) * 7_654_321) % 9_000_000 + 1_000_000:07}"

    def foreign(self) -> str:
        self._foreign += 1
        prefix, digits = FOREIGN_RANGES[self._foreign % len(FOREIGN_RANGES)]
        step = self._start + self._foreign // len(FOREIGN_RANGES) * 7_919
        return f"{prefix}{step % (9 * 10 ** (digits - 1)) + 10 ** (digits - 1)}"
