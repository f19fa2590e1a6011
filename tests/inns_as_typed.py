"""INNs as people type them, with what the models and the publisher read there: the rule is in two languages."""

ZERO_WIDTH, NO_BREAK = "\N{ZERO WIDTH SPACE}", "\N{NO-BREAK SPACE}"
LOST_ZERO, OF_A_COMPANY, OF_A_PERSON = "0278000229", "7707083893", "500100732259"
LETTER_O, LETTER_ZE = "\N{CYRILLIC CAPITAL LETTER O}", "\N{CYRILLIC CAPITAL LETTER ZE}"

READ_AS = {
    "0278000229": LOST_ZERO,
    "278000229": LOST_ZERO,
    " 0278000229 ": LOST_ZERO,
    f"02{NO_BREAK}78{NO_BREAK}000229": LOST_ZERO,
    f"{ZERO_WIDTH}0278000229": LOST_ZERO,
    f"0278{ZERO_WIDTH}000229": LOST_ZERO,
    "02-78-000-229": LOST_ZERO,
    "ИНН 0278000229": LOST_ZERO,
    "0278000229/027801001": LOST_ZERO,
    "0278000229 027801001": LOST_ZERO,
    "278 000 229": LOST_ZERO,
    "2.78000229E8": LOST_ZERO,
    "2,78000229e+08": LOST_ZERO,
    "278000229.00": LOST_ZERO,
    "0459790000.0": "0459790000",  # no spreadsheet has written it: it would have lost the zero in front, too
    f"{LETTER_O}278{LETTER_O * 3}229": LOST_ZERO,
    f"278{LETTER_O * 3}229": LOST_ZERO,
    "0278OOO229": LOST_ZERO,  # Latin letters
    f"77{LETTER_O}7{LETTER_O}8389{LETTER_ZE}": OF_A_COMPANY,
    f"77{LETTER_O}7{LETTER_O}8389{LETTER_ZE}".lower(): OF_A_COMPANY,
    f"ИНН/КПП: 77{LETTER_O}7083893": OF_A_COMPANY,
    "7707083893 КПП 770701001": OF_A_COMPANY,
    "№7707083893": OF_A_COMPANY,
    "INN=7707083893": OF_A_COMPANY,
    f"5{LETTER_O}{LETTER_O}1{LETTER_O}{LETTER_O}7{LETTER_ZE}2259": OF_A_PERSON,
    "500100732259 770701001": OF_A_PERSON,
}

# What a spreadsheet left of an INN: with zeros for the digits that are lost it would name a stranger.
CUT_SHORT = ("1,657E+11", "1.65700E+11", "7,70708E+09", "2E+8", " 5,001E+11 ", "7.707e9")

# What the publisher finds in a portal all the same. The models read the same there, or no INN: a source that is so
# dirty is for its owner to clean.
BESIDE_OTHER_NUMBERS = {
    "7707083893 1027700132195": OF_A_COMPANY,
    "1027700132195 7707083893": OF_A_COMPANY,
    "ИНН1 7707083893": OF_A_COMPANY,
    "7707083893 55": OF_A_COMPANY,
    "7707083893, тел. 8 (495) 123-45-67": OF_A_COMPANY,
    "ОГРН 1027700132195; ИНН 7707083893; КПП 770701001": OF_A_COMPANY,
    "р/с 40702810900000000001 ИНН 7707083893": OF_A_COMPANY,
    "7,707083893E+09": OF_A_COMPANY,
    "7.707083893Е9": OF_A_COMPANY,  # the letter is a Cyrillic one
    "ИНН 7,707083893E+09": OF_A_COMPANY,
    "\N{ARABIC-INDIC DIGIT SEVEN}\N{ARABIC-INDIC DIGIT SEVEN}07083893": OF_A_COMPANY,
    "".join(chr(0x0660 + int(digit)) for digit in OF_A_COMPANY): OF_A_COMPANY,
    "".join(chr(0x06F0 + int(digit)) for digit in LOST_ZERO): LOST_ZERO,
    "500100732259 304500116000157": OF_A_PERSON,
    "278000229 1020200000005": LOST_ZERO,
    "7700000001 1027700132195": "7700000001",  # control digits of what is looked for need no look
    "7702070130 (бывш. 0770000001)": "0770000001",  # the first is no INN: its control digit is wrong
}
# Our INN is there, and so is another one: a person has to look.
COULD_MEAN_SEVERAL = {
    "7702070139 (бывш. 7707083893)": OF_A_COMPANY,
    "7707083893 (бывш. 7702070139)": OF_A_COMPANY,
    "7702070139 (бывш. 0770000001)": "0770000001",
    "ИНН 7702070139, правопреемник 0278000229": LOST_ZERO,
    "7707083893 / 500100732259": OF_A_COMPANY,
    "7702070139 7707083893": OF_A_COMPANY,
}
