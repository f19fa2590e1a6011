"""Names of companies: as the registry abbreviates them, and as people spell them out."""

from random import Random

# Legal forms of institutions as they call themselves in their charters, with the registry's abbreviations.
INSTITUTIONS = {
    "МБОУ": "муниципальное бюджетное общеобразовательное учреждение",
    "МКОУ": "муниципальное казенное общеобразовательное учреждение",
    "МАОУ": "муниципальное автономное общеобразовательное учреждение",
    "МБДОУ": "муниципальное бюджетное дошкольное образовательное учреждение",
    "МАДОУ": "муниципальное автономное дошкольное образовательное учреждение",
    "МКДОУ": "муниципальное казённое дошкольное образовательное учреждение",
    "МБУДО": "муниципальное бюджетное учреждение дополнительного образования",
    "МАУДО": "муниципальное автономное учреждение дополнительного образования",
    "МБУК": "муниципальное бюджетное учреждение культуры",
    "МКУК": "муниципальное казенное учреждение культуры",
    "ГБУЗ": "государственное бюджетное учреждение здравоохранения",
    "ГАУЗ": "государственное автономное учреждение здравоохранения",
    "ГКУЗ": "государственное казенное учреждение здравоохранения",
    "ОГБУЗ": "областное государственное бюджетное учреждение здравоохранения",
    "КГБУЗ": "краевое государственное бюджетное учреждение здравоохранения",
    "ФГБУЗ": "федеральное государственное бюджетное учреждение здравоохранения",
    "ГБПОУ": "государственное бюджетное профессиональное образовательное учреждение",
    "ГАПОУ": "государственное автономное профессиональное образовательное учреждение",
    "ГБОУ": "государственное бюджетное общеобразовательное учреждение",
    "ГБУСО": "государственное бюджетное учреждение социального обслуживания",
    "ГАУСО": "государственное автономное учреждение социального обслуживания",
    "ГБУК": "государственное бюджетное учреждение культуры",
    "ФГБУК": "федеральное государственное бюджетное учреждение культуры",
    "ФГБУН": "федеральное государственное бюджетное учреждение науки",
    "ФГБОУ ВО": "федеральное государственное бюджетное образовательное учреждение высшего образования",
    "МКУ": "муниципальное казенное учреждение",
    "МАУ": "муниципальное автономное учреждение",
    "МУП": "муниципальное унитарное предприятие",
    "ФГКУ": "федеральное государственное казенное учреждение",
}
FIRMS = {"ООО": "общество с ограниченной ответственностью", "АО": "акционерное общество"}
NAMES = (
    "Василёк",
    "Городская больница № 3",
    "Центр развития ребёнка № 17",
    "Колледж связи",
    "Дом культуры",
    "Рассвет",
    "Средняя школа № 21",
    'Детский сад № 8 "Теремок"',
    "Водоканал",
    "Областной музей",
    "Лицей № 4",
    "Спектр-М",
    "Поликлиника № 2",
    "Дом ребёнка",
    "Институт леса",
    "Автодор",
    "Школа искусств им. Глинки",
    "Меридиан плюс",
)
PLACES = ("города Кургана", "Пензенской области", "Орловского района", "г. Шуя", "Республики Коми", "села Знаменка")
MARKS = (("«", "»"), ('"', '"'), ("“", "”"), ("„", "“"))


def _quoted(rng: Random, text: str) -> str:
    left, right = rng.choice(MARKS)
    inner = text.split('"')
    if len(inner) == 3:  # a name with a quoted part of its own: people seldom close both
        second = rng.choice(MARKS)
        return left + inner[0] + second[0] + inner[1] + rng.choice((second[1], second[1] + right))
    return left + text + right


def institution(rng: Random) -> tuple[str, str, str]:
    """(as typed, the title to be shown, the class of defect)."""
    short, spelled = rng.choice(list(INSTITUTIONS.items()))
    name, place = rng.choice(NAMES), rng.choice(PLACES)
    form = rng.choice((spelled.capitalize(), spelled.capitalize(), spelled.upper(), short))
    inner = name.replace("№ ", rng.choice(("№ ", "№")))
    kind, quoted = rng.randrange(4), _quoted(rng, inner)
    if kind == 0:
        return f"{form} {quoted}", f'{short} "{inner}"', "institution"
    if kind == 1:
        return f"{form} {place} {quoted}", f'{short} {place} "{inner}"', "institution, place before"
    if kind == 2:
        return f"{form} {quoted} {place}", f'{short} "{inner}" {place}', "institution, place behind"
    plain = inner.replace('"', "")
    return f"{form} {plain}", f'{short} "{plain}"', "institution without marks"


def firm(rng: Random, surname: str, number: int) -> tuple[str, str, str]:
    """A company with a name of its own: (as typed, the title to be shown, the class)."""
    short, spelled = rng.choice(list(FIRMS.items()))
    name = f"{rng.choice(('', 'Торговый дом ', 'Завод ', 'ПКФ '))}{surname}-{number}"
    quoted = _quoted(rng, name)
    typed = rng.choice((f"{short} {quoted}", f"{spelled.capitalize()} {quoted}", f"{short} {name}", f"{name}, {short}"))
    return typed, f'{short} "{name}"', "firm"
