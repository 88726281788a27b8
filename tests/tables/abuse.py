"""Numbers and senders that fraud goes by, each with the guard that stops it, and ordinary names.

The numbers are libphonenumber's own examples and ranges of services; where a person's is meant
they are from those reserved for fiction.
"""

from typing import NamedTuple

INVALID = "InvalidInput"
"""Stands where a guard is named: the argument makes no sense, so that no guard is asked."""

HOME = "+46701740605"

_SE, _US, _GB = "SE", "US", "GB"
_NORTH = "DK,FI,NO,SE"
_MANY = "AU,CA,DE,FR,GB,IT,JM,NO,RU,SE,US"


class NumberTrap(NamedTuple):
    """A recipient as it is typed, and what has to happen to it."""

    typed: str
    allowed: str
    """`ELKS_ALLOWED_COUNTRIES`."""

    guard: str
    """Which guard refuses; others may refuse too."""

    words: str
    """A part of the reason that the guard gives."""


_NETWORK = "satellite or other international network"

NUMBER_TRAPS = (
    # satellites and networks of no country: "mobile" to libphonenumber, and expensive
    NumberTrap("+881612345678", _SE, "textable_number", _NETWORK),
    NumberTrap("+881612345678", _SE, "allowed_country", "international network (001)"),
    NumberTrap("+881612345678", _MANY, "allowed_country", "international network (001)"),
    NumberTrap("00 881 612 345 678", _SE, "textable_number", "+881612345678"),
    NumberTrap("＋８８１６１２３４５６７８", _SE, "textable_number", "+881612345678"),
    NumberTrap("+88 16 12 34 56 78", _SE, "textable_number", "+881612345678"),
    NumberTrap("+881 (0) 612345678", _SE, INVALID, "length|too long|zero too many"),
    NumberTrap("+870301234567", _SE, "textable_number", _NETWORK),
    NumberTrap("+870773111632", _MANY, "textable_number", _NETWORK),
    NumberTrap("00870773111632", _SE, "allowed_country", "international network (001)"),
    NumberTrap("+870 773 111 632", _SE, "textable_number", "+870773111632"),
    NumberTrap("+8823421234", _SE, "textable_number", _NETWORK),
    NumberTrap("+882161234567", _MANY, "allowed_country", "international network (001)"),
    NumberTrap("\u200e+882 16 123 4567\u200f", _SE, "textable_number", "+882161234567"),
    NumberTrap("+883510012345", _SE, "textable_number", _NETWORK),
    NumberTrap("+883510000000094", _MANY, "textable_number", _NETWORK),
    NumberTrap("+878101234567890", _SE, "textable_number", _NETWORK),
    NumberTrap("+88812345678901", _SE, "textable_number", "company number"),
    NumberTrap("+888123456789", _SE, INVALID, "too short"),
    NumberTrap("+979123456789", _SE, "textable_number", "premium-rate number"),
    NumberTrap("+979123456789", _MANY, "allowed_country", "international network (001)"),
    NumberTrap("00979 123 456 789", _SE, "textable_number", "premium-rate number"),
    NumberTrap("+80012345678", _SE, "textable_number", "toll-free"),
    NumberTrap("00800 1234 5678", _SE, "allowed_country", "international network (001)"),
    NumberTrap("+80812345678", _SE, "textable_number", "shared-cost number"),
    # Swedish numbers that are not people's phones
    NumberTrap("+46900123456", _SE, "textable_number", "premium-rate number"),
    NumberTrap("0900-123 45 67", _SE, "textable_number", "premium-rate number"),
    NumberTrap("0046 900 123 456", _SE, "textable_number", "premium-rate number"),
    NumberTrap("０９００１２３４５６", _SE, "textable_number", "+46900123456"),
    NumberTrap("+46 (0)900 123 456", _SE, "textable_number", "+46900123456"),
    NumberTrap("+460900123456", _SE, "textable_number", "+46900123456"),
    NumberTrap("0939-12 34 56", _SE, "textable_number", "premium-rate number"),
    NumberTrap("+46939123456", _MANY, "textable_number", "premium-rate number"),
    NumberTrap("0944-12 34 56", _SE, "textable_number", "premium-rate number"),
    NumberTrap("+46\u00a0944\u202f123\u2011456", _SE, "textable_number", "+46944123456"),
    NumberTrap("077-123 45 67", _SE, "textable_number", "shared-cost number"),
    NumberTrap("+46771234567", _SE, "textable_number", "shared-cost number"),
    NumberTrap("020-12 34 56", _SE, "textable_number", "toll-free"),
    NumberTrap("+4620123456", _MANY, "textable_number", "toll-free"),
    NumberTrap("075-123 45 67", _SE, "textable_number", "personal number"),
    NumberTrap("0740-12 34 56", _SE, "textable_number", "pager"),
    NumberTrap("010-234 56 78", _SE, "textable_number", "company number"),
    NumberTrap("+46254123456789", _SE, "textable_number", "voicemail"),
    NumberTrap("+46719000000", _SE, "textable_number", "any country's numbering plan"),
    NumberTrap("+46254123456", _SE, "textable_number", "any country's numbering plan"),
    NumberTrap("08-500 12 345", _SE, "textable_number", "fixed line in Sweden"),
    NumberTrap("0980-31 92 00", _SE, "textable_number", "fixed line in Sweden"),
    # +1 is 25 countries
    NumberTrap("+18762101234", _US, "allowed_country", "Jamaica (JM)"),
    NumberTrap("+1 (876) 555-0123", _US, "allowed_country", "Jamaica (JM)"),
    NumberTrap("001-876-210-1234", _US, "allowed_country", "Jamaica (JM)"),
    NumberTrap("+１８７６２１０１２３４", _US, "allowed_country", "Jamaica (JM)"),
    NumberTrap("+18762101234", _SE, "allowed_country", "Jamaica (JM)"),
    NumberTrap("1-876-210-1234", _US, INVALID, "no country code"),
    NumberTrap("+1 809 555 0123", _US, "allowed_country", "Dominican Republic (DO)"),
    NumberTrap("+18092345678", _MANY, "allowed_country", "Dominican Republic (DO)"),
    NumberTrap("+12423591234", _US, "allowed_country", "Bahamas (BS)"),
    NumberTrap("+12462501234", _US, "allowed_country", "Barbados (BB)"),
    NumberTrap("+18682911234", _US, "allowed_country", "Trinidad and Tobago (TT)"),
    NumberTrap("+14413701234", _US, "allowed_country", "Bermuda (BM)"),
    NumberTrap("+13453231234", _US, "allowed_country", "Cayman Islands (KY)"),
    NumberTrap("+12684641234", _US, "allowed_country", "Antigua and Barbuda (AG)"),
    NumberTrap("+13406421234", _US, "allowed_country", "(VI)"),
    NumberTrap("+16713001234", _US, "allowed_country", "Guam (GU)"),
    NumberTrap("+1 787 555 0123", _US, "allowed_country", "Puerto Rico (PR)"),
    NumberTrap("+1 416 555 0123", _US, "allowed_country", "Canada (CA)"),
    NumberTrap("+1 202 555 0123", _SE, "allowed_country", "United States of America (US)"),
    NumberTrap("+1 202 555 0123", "CA", "allowed_country", "United States of America (US)"),
    NumberTrap("+18005550199", _US, "textable_number", "toll-free"),
    NumberTrap("+19005550199", _US, "textable_number", "premium-rate number"),
    NumberTrap("+1 (900) 234-5678", _MANY, "textable_number", "premium-rate number"),
    NumberTrap("+15002345678", _US, "textable_number", "personal number"),
    NumberTrap("+15551234567", _US, "allowed_country", "unknown"),
    NumberTrap("+15551234567", _US, "textable_number", "any country's numbering plan"),
    NumberTrap("+15558675309", _US, "placeholder", "an example number"),
    # +44 is four
    NumberTrap("+447911123456", _GB, "allowed_country", "Guernsey (GG)"),
    NumberTrap("+44 (0)7911 123456", _GB, "allowed_country", "Guernsey (GG)"),
    NumberTrap("0044 7911 123456", _GB, "allowed_country", "Guernsey (GG)"),
    NumberTrap("+4407911123456", _GB, "allowed_country", "Guernsey (GG)"),
    NumberTrap("+447781123456", _GB, "allowed_country", "Guernsey (GG)"),
    NumberTrap("+447797712345", _GB, "allowed_country", "Jersey (JE)"),
    NumberTrap("+447624123456", _GB, "allowed_country", "Isle of Man (IM)"),
    NumberTrap("+447911123456", _GB, "placeholder", "an example number"),
    NumberTrap("+447012345678", _GB, "textable_number", "personal number"),
    NumberTrap("+44 (0)70 1234 5678", _GB, "textable_number", "personal number"),
    NumberTrap("+447640123456", _GB, "textable_number", "pager"),
    NumberTrap("+449012345678", _GB, "textable_number", "premium-rate number"),
    NumberTrap("+448001234567", _GB, "textable_number", "toll-free"),
    NumberTrap("+445512345678", _GB, "textable_number", "company number"),
    # other shared codes
    NumberTrap("+77710009998", "RU", "allowed_country", "Kazakhstan (KZ)"),
    NumberTrap("+262639012345", "RE", "allowed_country", "Mayotte (YT)"),
    NumberTrap("+4779123456", _NORTH, "allowed_country", "Svalbard and Jan Mayen (SJ)"),
    NumberTrap("+358181234567", _NORTH, "allowed_country", "Åland Islands (AX)"),
    NumberTrap("+61891641234", "AU", "allowed_country", "Christmas Island (CX)"),
    NumberTrap("+390669812345", "IT", "allowed_country", "Holy See (VA)"),
    # the neighbours' expensive and useless numbers
    NumberTrap("+4740612345", _SE, "allowed_country", "Norway (NO)"),
    NumberTrap("+4782012345", _NORTH, "textable_number", "premium-rate number"),
    NumberTrap("+4781021234", _NORTH, "textable_number", "shared-cost number"),
    NumberTrap("+4788012345", _NORTH, "textable_number", "personal number"),
    NumberTrap("+4702000", _NORTH, "textable_number", "company number"),
    NumberTrap("+4781212345", _NORTH, "textable_number", "voicemail"),
    NumberTrap("+4721234567", _NORTH, "textable_number", "fixed line in Norway"),
    NumberTrap("+4590123456", _NORTH, "textable_number", "premium-rate number"),
    NumberTrap("+4580123456", _NORTH, "textable_number", "toll-free"),
    NumberTrap("+358600123456", _NORTH, "textable_number", "premium-rate number"),
    NumberTrap("+35810112345", _NORTH, "textable_number", "company number"),
    NumberTrap("+33891123456", _MANY, "textable_number", "premium-rate number"),
    NumberTrap("+499001234567", _MANY, "textable_number", "premium-rate number"),
    NumberTrap("+4970012345678", _MANY, "textable_number", "personal number"),
    NumberTrap("+39899123456", _MANY, "textable_number", "premium-rate number"),
    NumberTrap("+611900123456", _MANY, "textable_number", "premium-rate number"),
    # what assistants make up where a number is missing
    NumberTrap("+46701234567", _SE, "placeholder", "Ask for the recipient's real number"),
    NumberTrap("070-123 45 67", _SE, "placeholder", "+46701234567"),
    NumberTrap("０７０１２３４５６７", _SE, "placeholder", "+46701234567"),
    NumberTrap("+46(0)70 123 45 67", _SE, "placeholder", "+46701234567"),
    NumberTrap("+46700000001", _SE, "placeholder", "an example number"),
    NumberTrap("073-123 45 67", _SE, "placeholder", "+46731234567"),
    # what is no number, or two
    NumberTrap("O701740605", _SE, INVALID, "latin capital letter o"),
    NumberTrap("+467O1740605", _SE, INVALID, "latin capital letter o"),
    NumberTrap("+46701740б05", _SE, INVALID, "cyrillic small letter be"),
    NumberTrap("+4670l740605", _SE, INVALID, "latin small letter l"),
    NumberTrap("⁺46701740605", _SE, INVALID, "superscript plus sign"),
    NumberTrap("+4670174060⁵", _SE, INVALID, "superscript five"),
    NumberTrap("0️⃣701740605", _SE, INVALID, "not a phone number"),
    NumberTrap("46701740605", _SE, INVALID, "no country code"),
    NumberTrap("701740605", _SE, INVALID, "no country code"),
    NumberTrap("+46701740605,+46701740606", _SE, INVALID, "more than one"),
    NumberTrap("+46701740605;ext=12", _SE, INVALID, "more than one|not a phone number"),
    NumberTrap("0701740605/0701740606", _SE, INVALID, "more than one"),
    NumberTrap("0701740605p123", _SE, INVALID, "latin small letter p"),
    NumberTrap("tel:+46701740605", _SE, INVALID, "not a phone number"),
    NumberTrap("072500", _SE, INVALID, "too short|zero too many"),
    NumberTrap("72500", _SE, INVALID, "short numbers cannot receive texts"),
    NumberTrap("112", _SE, INVALID, "short numbers cannot receive texts"),
    NumberTrap("+112", _SE, INVALID, "too short"),
    NumberTrap("1177", _SE, INVALID, "short numbers cannot receive texts"),
    NumberTrap("+999123456789", _SE, INVALID, "not begin with a country code"),
    NumberTrap("\u202e50604710764+", _SE, INVALID, "plus sign|not a phone number"),
)

SPELLINGS = (
    # (E.164, ways to type it: a limit, an allow-list or a STOP holds for all of them)
    (
        HOME,
        (
            "+46701740605",
            "0701740605",
            "070-174 06 05",
            "070 1740605",
            "(070) 174-0605",
            "070/174 06 05",
            "070.174.06.05",
            "0 7 0 1 7 4 0 6 0 5",
            "0046701740605",
            "00 46 (0)70-174 06 05",
            "+46(0)701740605",
            "+46 (0) 70 174 06 05",
            "+460701740605",
            "+46 0 70 174 06 05",
            "+0046701740605",
            "+46-70-174-06-05",
            "  +46701740605\t",
            "\u200e+46701740605\u200f",
            "\u202a+46 70 174 06 05\u202c",
            "\u202b0701740605\u202c",
            "\u2066070\u2069-1740605",
            "+46\u200b70\u200b174\u200b06\u200b05",
            "\ufeff070\u00ad174\u20600605",
            "+46\u00a070\u202f174\u200906\u300005",
            "070\u2011174\u201306\u201405",
            "＋４６７０１７４０６０５",
            "０７０１７４０６０５",
            "（０７０）１７４－０６０５",
            "+46７０1７40６05",
            "٠٧٠١٧٤٠٦٠٥",
            "۰۷۰۱۷۴۰۶۰۵",
            "+४६७०१७४०६०५",
            "𝟎𝟕𝟎𝟏𝟕𝟒𝟎𝟔𝟎𝟓",
            "𝟶𝟽𝟶𝟷𝟽𝟺𝟶𝟼𝟶𝟻",
        ),
    ),
    (
        "+18765550123",
        (
            "+18765550123",
            "+1 (876) 555-0123",
            "+1-876-555-0123",
            "0018765550123",
            "00 1 876 555 01 23",
            "＋１８７６５５５０１２３",
            "+1\u200b876\u200b5550123",
            "\u202a+1 876 555 0123\u202c",
        ),
    ),
    (
        "+12025550123",
        ("+12025550123", "001 202 555 0123", "+1 (202) 555.0123", "+１ ２０２ ５５５ ０１２３"),
    ),
)

NO_SPELLINGS = (
    # what would be one more spelling of HOME, and is none
    "46701740605",
    "701740605",
    "+0701740605",
    "+4600701740605",
    "+46 00 70 174 06 05",
    "+46 00 46 70 174 06 05",
    "000701740605",
    "++46701740605",
    "46+701740605",
    "+46701740605+",
    "+46701740605#",
    "+46701740605;",
    "+46701740605 ext 1",
    "+46701740605x1",
    "tel:+46701740605",
    "０７Ｏ１７４０６０５",
    "⓪⑦⓪①⑦④⓪⑥⓪⑤",
    "⁰⁷⁰¹⁷⁴⁰⁶⁰⁵",
)


class SenderTrap(NamedTuple):
    """A sender as it is typed, and what has to happen to it."""

    typed: str
    guard: str
    words: str
    to: str = HOME


_PRETENDED = {
    "bank": "B4NK BaNk BankSE MinB4nk DinBANK BANK2026 BankAlert SEBank BankFraud",
    "banken": "B4nken BANKEN1 DinBanken Bank3n",
    "bankid": "Bank1D BANKlD B4nkID BankID2 NyttBankID BankIDnu BankIdSE bank1d BankID24 bankidinfo",
    "mobilbank": "Mob1lBank MobilB4nk",
    "mobiltbanki": "MobiltBank1",
    "nordea": "N0rd3a NORDE4 MinNordea NorDea Norclea1 N0RDEA24 NordeaSE NORDEAINFO NORDEASE nordeainfo",
    "swedbank": "Swedb4nk1 SW3DBANK SwedBank2 SvvedBank SwedbankAB",
    "seb": "S3B SE8 SEBSverige MinSEB SEB24 SEBinfo",
    "handelsbank": "HandeIsbank Hande1sbank H4ndelsbank Handelsb4nk",
    "handelsban": "H4ndelsban",
    "danskebank": "Dan5keBank DanskeB4nk",
    "sbab": "S8AB SBABBank",
    "lansforsak": "L4nsforsak",
    "lansforsakr": "Lan5forsakr",
    "skandia": "Skand1a SkandiaLiv SKANDl4",
    "icabanken": "ICAbanken lCABanken",
    "avanza": "AV4NZA AvanzaBank",
    "nordnet": "N0rdnet NordNet1",
    "resursbank": "ResursB4nk",
    "revolut": "Rev0lut",
    "swish": "SWlSH SwishKod Svvish1 Sw15h swishkod",
    "klarna": "K1arnaAB KLARN4 K1ama Klarna24 Klarnase",
    "paypal": "PayPa1 P4yPal",
    "visa": "V1sa VIS4 VisaKort",
    "mastercard": "MasterC4rd",
    "bankgirot": "Bankgir0t",
    "trustly": "Trust1y",
    "coinbase": "C0inbase",
    "polis": "P0LlS P0lisSE",
    "polisen": "Polis3n P0lisen PolisenSE POLlSEN",
    "police": "P0L1CE PoliceSE POL1C3",
    "politi": "P0liti",
    "interpol": "lnterpol",
    "europol": "Eur0Pol",
    "sapo": "S4PO S4p0",
    "skatteverk": "Sk4tteverk SkatteVerk1",
    "skatteverke": "Skattev3rke",
    "skv": "SKV5 SKVInfo SKVinfo",
    "kronofogden": "Kr0nofogden Kronof09den",
    "fkassan": "FKassan1 FK4ssan",
    "forsakrings": "F0rsakrings",
    "csn": "C5N CSNSverige",
    "tullverket": "Tu11verket TullVerk3t",
    "tullen": "Tu1len",
    "migrationsv": "M1grationsv",
    "vardguiden": "V4rdguiden VardGuiden",
    "1177": "Info1177 Kontakt1177",
    "sos": "S0S SO5",
    "sosalarm": "S0SAlarm SosA1arm",
    "krisinfo": "Kr1sinfo",
    "folkhalsan": "F0lkhalsan",
    "pensionsmyn": "Pensi0nsmyn",
    "arbetsform": "Arbetsf0rm",
    "transportst": "Transp0rtst",
    "trafikverk": "Tr4fikverk",
    "bolagsverk": "B0lagsverk",
    "domstol": "D0mstol",
    "postnord": "P0stNord P05tN0rd P0STN0RD1 MinPostn0rd PostNordSE PostNorcl POSTNORDSE PostNordab",
    "posten": "P0sten P05ten",
    "dhl": "DHI DHLPaket",
    "ups": "UP5 UPSPaket",
    "gls": "GL5 GLSPaket",
    "fedex": "F3dEx",
    "budbee": "Bud8ee",
    "instabox": "Instab0x lnstabox",
    "schenker": "Sch3nker",
    "dbschenker": "DBSchenker",
    "telia": "T3lia TELlA TeliaSE",
    "tele2": "T3le2 Tele2SE",
    "telenor": "Telen0r T3len0r",
    "comviq": "C0mviq",
    "halebop": "Haleb0p",
    "vimla": "V1mla",
    "google": "G00g1e",
    "apple": "App1e",
    "microsoft": "Micr0s0ft",
    "amazon": "Am4zon",
    "facebook": "Faceb00k",
    "instagram": "lnstagram",
    "whatsapp": "Wh4tsApp",
    "netflix": "N3tf1ix",
    "spotify": "Sp0tify",
    "blocket": "B1ocket",
    "tradera": "Tr4dera",
    "forskassan": "ForsKassan",
    "forsakrkass": "Forsakrkass",
    "forsakringk": "Forsakringk",
    "polismyndig": "Polismyndig",
    "skattev": "Skattev",
    "lansfors": "Lansfors",
    "lfbank": "LFBank",
    "kronof": "Kronof",
    "skattverket": "Skattverket",
    "sparbanken": "Sparbanken",
    "kivra": "Kivra",
    "frejaid": "FrejaID",
    "ica": "IC4 lCA1 ICASverige",
}
"""Protected names, and spellings under which they would be abused."""

_LETTERS_OF_OTHERS = (
    SenderTrap("Nоrdea", INVALID, "cyrillic small letter o"),
    SenderTrap("Nоrdеа", INVALID, "cyrillic small letter o"),
    SenderTrap("Вank", INVALID, "cyrillic capital letter ve"),
    SenderTrap("BankІD", INVALID, "cyrillic capital letter byelorussian-ukrainian i"),
    SenderTrap("Ѕwish", INVALID, "cyrillic capital letter dze"),
    SenderTrap("Swіsh", INVALID, "cyrillic small letter byelorussian-ukrainian i"),
    SenderTrap("Κlarna", INVALID, "greek capital letter kappa"),
    SenderTrap("Klаrna", INVALID, "cyrillic small letter a"),
    SenderTrap("ΡostNord", INVALID, "greek capital letter rho"),
    SenderTrap("PostNоrd", INVALID, "cyrillic small letter o"),
    SenderTrap("Рolisen", INVALID, "cyrillic capital letter er"),
    SenderTrap("Ροlice", INVALID, "greek capital letter rho"),
    SenderTrap("ЅЕВ", INVALID, "cyrillic capital letter dze"),
    SenderTrap("Τelia", INVALID, "greek capital letter tau"),
    SenderTrap("Αpple", INVALID, "greek capital letter alpha"),
    SenderTrap("Gооgle", INVALID, "cyrillic small letter o"),
    SenderTrap("Skattеverk", INVALID, "cyrillic small letter ie"),
    SenderTrap("ΙCA", INVALID, "greek capital letter iota"),
    SenderTrap("Ｓｗｉｓｈ", INVALID, "fullwidth latin capital letter s"),
    SenderTrap("Bａnk", INVALID, "fullwidth latin small letter a"),
    SenderTrap("𝐁ank", INVALID, "mathematical bold capital b"),
    SenderTrap("ⒷⒶⓃⓀ", INVALID, "circled latin capital letter b"),
    SenderTrap("Bạnk", INVALID, "a with dot below"),
    SenderTrap("Swısh", INVALID, "dotless i"),
    SenderTrap("Nördea", INVALID, "o with diaeresis"),
    SenderTrap("Klarnа\u0301", INVALID, "cyrillic small letter a"),
    SenderTrap("Ba\u200bnk", INVALID, "zero width space"),
    SenderTrap("Swi\u00adsh", INVALID, "soft hyphen"),
    SenderTrap("\u202eknaB", INVALID, "right-to-left override"),
    SenderTrap("Po\u2060lisen", INVALID, "word joiner"),
    SenderTrap("Bank\u00a0ID", INVALID, "no-break space"),
    SenderTrap("Post-Nord", INVALID, "hyphen-minus"),
    SenderTrap("Bank_ID", INVALID, "low line"),
    SenderTrap("Bank.ID", INVALID, "full stop"),
    SenderTrap("PayPa|", INVALID, "vertical line"),
    SenderTrap("$wish", INVALID, "dollar sign"),
    SenderTrap("B@nk", INVALID, "commercial at"),
    SenderTrap("5wish", INVALID, "begins with a digit"),
    SenderTrap("5EB", INVALID, "begins with a digit"),
    SenderTrap("8ankID", INVALID, "begins with a digit"),
    SenderTrap("Skatteverket", INVALID, "12 characters"),
    SenderTrap("SK", INVALID, "2 characters"),
    SenderTrap("1177", INVALID, "too short"),
    SenderTrap("112", INVALID, "too short"),
)

_AMERICAN, _CANADIAN, _PUERTO_RICAN, _CHINESE = (
    "+12025550123",
    "+14165550123",
    "+17875550123",
    "+8613123456789",
)
_NAMES_WHERE_NONE_WORK = (
    SenderTrap(
        "Frisoren", "sender_usable", "United States of America does not accept a name as sender", _AMERICAN
    ),
    SenderTrap("Bokhandeln", "sender_usable", "Use a phone number as sender", _AMERICAN),
    SenderTrap(
        "Klara", "sender_usable", "United States of America does not accept a name", "+1 (202) 555-0123"
    ),
    SenderTrap(
        "SREAlert", "sender_usable", "United States of America does not accept a name", "001 202 555 0123"
    ),
    SenderTrap("OnCall", "sender_usable", "Canada does not accept a name as sender", _CANADIAN),
    SenderTrap("Bankeryd", "sender_usable", "Canada does not accept a name as sender", _CANADIAN),
    SenderTrap("Elks", "sender_usable", "Puerto Rico does not accept a name as sender", _PUERTO_RICAN),
    SenderTrap("Salong24", "sender_usable", "China does not accept a name as sender", _CHINESE),
    SenderTrap("P0stNord", "sender_usable", "Canada does not accept a name as sender", _CANADIAN),
    SenderTrap("P0stNord", "impersonation", "looks like postnord: ", _CANADIAN),
)

SENDER_TRAPS = (
    *(
        SenderTrap(typed, "impersonation", f" looks like {name}: ")
        for name, spellings in _PRETENDED.items()
        for typed in spellings.split()
    ),
    *_LETTERS_OF_OTHERS,
    *_NAMES_WHERE_NONE_WORK,
)

_SLIPPING = "Skatteverkt Handelsbnk Goo6le"
SLIPPING = tuple(_SLIPPING.split())
"""Pretenders that nothing catches today: a name that is misspelled, or disguised by a digit with two
readings. They stand here so that nobody believes the guard to be complete."""

_PLACES = (
    "Alingsas Almhult Alvesta Alvsbyn Amal Angelholm Arboga Arjeplog Arvika Askersund Avesta Bankeryd "
    "Bastad Bollnas Boras Borgholm Borlange Danderyd Eksjo Enkoping Eskilstuna Eslov Fagersta "
    "Falkenberg Falkoping Falun Filipstad Flen Gallivare Gavle Gislaved Gnesta Gotland Goteborg Grums "
    "Hagfors Halmstad Haparanda Harnosand Hedemora Helsingborg Hjo Hofors Huskvarna Jokkmokk Jonkoping "
    "Kalmar Karlskoga Karlstad Kiruna Klippan Koping Kramfors Kumla Kungalv Laholm Landskrona Lidingo "
    "Linkoping Ljungby Ludvika Lulea Lund Lycksele Malmo Mariestad Marsta Mjolby Mora Motala Nacka "
    "Nassjo Nora Norrtalje Nybro Nykoping Nynashamn Orebro Ornskold Oskarshamn Ostersund Oxelosund "
    "Pitea Ronneby Saffle Sala Sandviken Sigtuna Simrishamn Skara Skelleftea Skovde Sodertalje "
    "Sollentuna Solna Sundsvall Telemarken Tidaholm Tierp Timra Tranas Tullinge Ulricehamn Umea "
    "Uppsala Vadstena Varberg Varnamo Vasteras Vastervik Vaxjo Vetlanda Visby Ystad"
)
_FIRST_NAMES = (
    "Agneta Alice Alma Anders Andreas Anna Astrid Axel Birgitta Bjorn Carina Clara Ebba Elin Elsa Emil "
    "Erica Erik Eskil Fredrik Gunilla Gustav Hanna Henrik Ida Ingrid Isak Johan Kalle Karin Kerstin "
    "Klara Lars Lena Linnea Magnus Maja Malin Marcus Monica Nils Olle Oskar Per Pernilla Petra Polly "
    "Rolf Sara Sebastian Selma Sixten Stina Sven Tindra Tuva Ulla Ulrika Ursula Vera Viktor Wilma"
)
_TRADES = (
    "Akeriet Apoteket Bageriet Banker Bankett Bankir Barberaren Bastun Bensinmack Bilprovning "
    "Bilskroten Bilverkstad Blomman Bokforing Bokhandeln Brandkaren Brevduvan Bryggeriet Budbilen "
    "Budfirman Byggaren Campingen Cykelverket Djursjukhus Domaren Elektriker Fiskaren Flyttfirma "
    "Fogden Fotografen Frisor Frisoren Fysioterapi Glashuset Glasmastare Golfbanan Gymmet Hantverkare "
    "Hemtjanst Hotellet Hovslagare Hudvard Husvagnen Inkasso Isolering Juristen Kakelhuset Kallaren "
    "Kapellet Kennel Kiosken Kiropraktor Klinik Kok Konditoriet Krogen Kvarnen Lakaren Lantbruk "
    "Lasarett Lasservice Mackan Maklaren Malaren Mastare Mejeriet Museet Nagelsalong Naprapat Optikern "
    "Ortopeden Pizzeria Plattsattar Psykolog Radhuset Redovisning Revisorn Riksteatern Rormokaren "
    "Saluhallen Salong Simhallen Skolan Skomakaren Skorsten Skraddaren Slaktaren Sliperiet Smedjan "
    "Snickaren Sotaren Stadhjalp Stallet Svetsaren Tandlakare Tapetserare Taxibolaget Teatern "
    "Terapeuten Tingshuset Trafikskola Tradgard Tryckeriet Tullhuset Tvatteriet Urmakaren Vardcentral "
    "Verkstaden Veterinar Vinkallaren Zoobutiken"
)
_WORDS = (
    "Aktuellt Algjakten Amazing Anmalan Appelgren Applet Arende Avbokning Avgang Banan Bankvalvet "
    "Besiktning Besked Bestallning Betalning Biljett Blabar Blodbanken Bokning Bokslut Dalahasten "
    "Driftinfo Elkatten Elks Erbjudande Event Express Faktura Foreningen Forsakring Frakt Fritids "
    "Googol Gruppchatt Hamtning Havregryn Hemleverans Hjalpen Iceland Inbjudan Incheckning Inlogg "
    "Isglass Jobbanken Jourtelefon Kallelse Kampanj Kanelbulle Kansliet Kantarell Klubben Kontoret "
    "Kopcentrum Kortspel Kraftskiva Kronan Kronprins Kundtjanst Kvitto Larmet Leverans Lingon Lotteri "
    "Lucia Matbanken Medlem Metropolis Midsommar Migration Mote Mottagning Nyheter Nyttigt Omsorg "
    "Orderinfo Paket Paketbud Pakethallen Paminnelse Parkering Policy Poliskola Polisong Polityr "
    "Posthuset Postkoden Postnumret Postorder Posttraff Provsvar Pulka Receptet Regent Remiss Resultat "
    "Riksvagen Schema Servicetid Sjukanmalan Skatten Skattjakt Skridsko Snorojning Sommarkurs "
    "Spelschema Stadning Styrelsen Swingdans Swisha Tavling Telefon Telefonkoe Televinken Tidbok "
    "Traning Tulltorget Tulpan Turlista Underhall Upshot Utbildning Vaktmastare Valborg Valkommen "
    "Vardag Varning Verifiering Vikarie Vision Visning"
)
_TWO_WORDS = (
    "ABBygg ABService BRFBjorken BRFSolsidan BilFix BlodBanken ByggNord CIBuild CykelBua DBAlert "
    "DanceStudio DataHjalp DevOps DiskLarm ElKraft FamiljeLyan FiskBilen FritidsBank GlassBaren "
    "GolvPoolen GrafanaBot GronaHuset HSBRf HemFixarn HusBygge IFNorr IKSoder IOGT JobbBilen KFUM "
    "KaffeBaren KlippOchFix KursNytt LakarJour LasOchLarm MatLadan MiljoBilen NattJobb NordBygg "
    "NordicSpa NyaSalongen OnCall OptikHuset PagerBot RorJour SREAlert SREBot SebNilsson ServerLarm "
    "SkogsNytt SkolSkjuts SolOchSpa SportLife StadNorr StatusBot TaxiNord TeknikHuset TradgardAB "
    "TvattStugan VVSJour VardNara VilaSpa VinterDack WebHook Backup Deploy Incident Monitor Nagios "
    "Release Uptime"
)
_WITH_DIGITS = (
    "A4Tryck B2BNytt Buss4 Bygg360 C3PO D20Spel Dag1 Div2 E4Macken F12Lag F1Fan Fest2026 G5Net Gate42 "
    "Gym24 H2Olja HT26 Hus4B Jul2026 Kl12 Klass7B Klass9A Kurs101 Lag1 Lag2 Linje1 Lunch11 P13Lag "
    "Plan3 Port7 Rum12 S5Studio Sal5 Salong24 Studio5 Taxi020 U19 VT27 Vecka48 Zon3"
)

ORDINARY_SENDERS = tuple(f"{_PLACES} {_FIRST_NAMES} {_TRADES} {_WORDS} {_TWO_WORDS} {_WITH_DIGITS}".split())
"""Names that `impersonation` lets pass."""
