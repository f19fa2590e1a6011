"""What hands and old programs do to a right text: encodings read wrongly, entities, look-alikes, stray spaces.

Every function here can be undone by looking at the text alone; what could not be is not done to the samples.
"""

from random import Random

LOOKALIKES = str.maketrans("АВЕКМНОРСТХаеорсух", "ABEKMHOPCTXaeopcyx")
CYRILLIC_ONLY = set("БГДЖЗИЙЛПУФЦЧШЩЪЫЬЭЮЯбвгджзийклмнптфцчшщъыьэюяё")


def utf8_read_as_cp1251(text: str) -> str:
    """UTF-8 bytes shown as Windows-1251; byte 0x98, which that table leaves empty, stays U+0098."""
    return "".join("\x98" if b == 0x98 else bytes((b,)).decode("cp1251") for b in text.encode())


def cp1251_read_as_latin1(text: str) -> str:
    return text.encode("cp1251").decode("latin-1")


def fits_cp1251(text: str) -> bool:
    """True when a MySQL cp1251 column can hold the text. U+0098 does not fit: MariaDB gives byte 0x98 back as `?`."""
    try:
        text.encode("cp1251")
    except UnicodeEncodeError:
        return False
    return True


def with_lookalikes(rng: Random, text: str) -> str:
    """Some Cyrillic letters become their Latin twins, only in words where another letter still gives Cyrillic away."""
    words = text.split(" ")
    for i, word in enumerate(words):
        if CYRILLIC_ONLY.intersection(word):
            words[i] = "".join(c.translate(LOOKALIKES) if rng.random() < 0.5 else c for c in word)
    return " ".join(words)


def with_stray_spaces(rng: Random, text: str, *, narrow: bool) -> str:
    """Doubled, leading, trailing, no-break spaces and tabs; zero-width ones too unless `narrow` (cp1251) forbids."""
    choice = rng.randrange(6)
    if choice == 0:
        return f"  {text} "
    if choice == 1:
        return text.replace(" ", "  ", 1) + " "
    if choice == 2:
        return text.replace(" ", "\xa0", 1)
    if choice == 3:
        return text.replace(" ", "\t", 1) + "\r\n"
    if choice == 4:
        return text[:3] + "\xad" + text[3:]  # soft hyphen, from a word processor
    return text + "\x07" if narrow else text[:2] + "\u200b" + text[2:] + "\ufeff"


def with_typo(rng: Random, word: str) -> str:
    """One letter inside the word dropped, doubled, replaced, or swapped with its neighbour; the ends stay."""
    at = rng.randrange(2, len(word) - 2)
    kind = rng.randrange(3)
    if kind == 0:
        typed = word[:at] + word[at + 1 :]
    elif kind == 1:
        typed = word[:at] + word[at] + word[at:]
    else:
        typed = word[:at] + rng.choice("абвгдклмнорст".replace(word[at], "")) + word[at + 1 :]
    return typed if typed != word else word[:at] + word[at] + word[at:]
