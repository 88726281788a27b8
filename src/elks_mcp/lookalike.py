"""Sender names that pretend to be somebody else's.

Whole words are compared, by their skeleton (what the eye takes them for), so that `P0LICE`,
`Bank1D` and `NordeaInfo` are caught, and `Bankeryd`, `SREAlert` and `Klara` are not. Words are
what capitals and digits set apart; a part of a word is none (`Blodbanken`), nor is a word that
is only near (`Nordic`).
"""

import re
from collections.abc import Iterator
from itertools import combinations

_PROTECTED = {
    "banks and payment": (
        "bank banken bankid mobilbank mobiltbank nordea swedbank seb handelsbank handelsban danskebank sbab "
        "lansforsak lansforsakr skandia icabanken avanza nordnet resursbank lunar revolut swish klarna qliro "
        "paypal visa mastercard amex bankgirot trustly binance coinbase kivra frejaid sparbank "
        "sparbanken lansfors"
    ),
    "authorities": (
        "polis polisen police politi polizei interpol europol sapo skatteverk skatteverke skv kronofogden "
        "fkassan forsakring forsakrings csn migration migrationsv tullverk tullverket tullen domstol "
        "domstolen riksbank riksbanken riksgalden regering regeringen riksdagen vardguiden 1177 sos sosalarm "
        "krisinfo folkhalsan pensionsmyn arbetsform arbetsforme transportst trafikverk trafikverke "
        "bolagsverk bolagsverke polismyndig skattverket skattev kronof kronofogde forskassan forsakrkass "
        "forsakringk"
    ),
    "parcels": "postnord posten dhl ups gls fedex budbee instabox schenker",
    "telephony": "telia tele2 telenor comviq halebop vimla",
    "brands": (
        "google gmail apple icloud microsoft amazon facebook instagram whatsapp netflix spotify blocket "
        "tradera ica"
    ),
}
"""Names that fraudsters text under, as far as the 11 characters of a sender id hold them."""

_DIGITS_AS_LETTERS = str.maketrans("0123456789", "olzeasbtbg")


def pretended_name(sender: str) -> str | None:
    """Name the bank, authority or brand that a sender id looks like, if it does."""
    bones = (_skeleton(word) for word in _words(sender))
    return next((_SKELETONS[bone] for bone in bones if bone in _SKELETONS), None)


def _skeleton(word: str) -> str:
    folded = word.lower().translate(_DIGITS_AS_LETTERS).replace("i", "l")
    return folded.replace("rn", "m").replace("vv", "w").replace("cl", "d")


_PIECE = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]")


def _words(name: str) -> Iterator[str]:
    """Take every run of neighbouring pieces, the longest first; a digit is a letter or sets words apart.

    Digits alone are no disguise: the 505 of `Info505` is not SOS.
    """
    ends = [0, *(piece.end() for piece in _PIECE.finditer(name))]
    runs = sorted(combinations(ends, 2), key=lambda run: run[0] - run[1])
    words = (name[start:end] for start, end in runs)
    whole = [word for word in words if not word.isdigit() or word in _NUMBERS]
    yield from whole
    yield from (bare for word in whole if (bare := _COMMON.sub("", word)) != word)


_COMMON = re.compile(
    "^(?:min|mitt|din|ditt)(?=.{3})|(?<=.{3})(?:info|inf|kod|alert|support|kund|konto|sverige|se|ab|nu|id)$",
    re.IGNORECASE,
)
"""What fraudsters write before or behind a name without a capital or a digit between."""


_NUMBERS = frozenset({"1177"})
"""Swedish health care is known by its number."""

_SKELETONS = {_skeleton(word): word for words in _PROTECTED.values() for word in words.split()}
