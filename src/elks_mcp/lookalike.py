"""Sender names that pretend to be somebody else's.

Whole words are compared, by their skeleton (what the eye takes them for), so that `P0LICE`,
`Bank1D` and `NordeaInfo` are caught, and `Bankeryd`, `SREAlert` and `Klara` are not.
"""

import re
from collections.abc import Iterator

_PROTECTED = {
    "banks and payment": (
        "bank banken bankid mobilbank nordea swedbank seb handelsbank danskebank sbab lansforsakr skandia "
        "icabanken avanza nordnet resursbank lunar revolut swish klarna qliro paypal visa mastercard amex "
        "bankgirot trustly binance coinbase"
    ),
    "authorities": (
        "polis polisen police politi polizei interpol europol sapo skatteverk skatteverke skv kronofogden "
        "fkassan forsakring csn migration tullverket tullen domstol riksbanken regering riksdagen "
        "vardguiden sos sosalarm krisinfo folkhalsan pensionsmyn transportst trafikverk bolagsverk"
    ),
    "parcels": "postnord posten dhl ups fedex budbee instabox schenker",
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
    return folded.replace("rn", "m").replace("vv", "w")


def _words(name: str) -> Iterator[str]:
    """Take a name whole, then apart at capitals and digits, then again with digits read as letters."""
    yield name
    for spelling in (name, name.translate(_DIGITS_AS_LETTERS)):
        yield from re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", spelling)


_SKELETONS = {_skeleton(word): word for words in _PROTECTED.values() for word in words.split()}
