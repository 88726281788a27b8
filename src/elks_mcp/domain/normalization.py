"""Unicode normalization in linear time, for texts that strangers wrote.

Normalization sorts the combining marks of each letter, in time quadratic in their number: 39,000 of them keep
a server busy for seconds. Unicode's own limit is 30 (UAX #15, stream-safe text format).
"""

import unicodedata
from collections.abc import Iterator
from typing import Literal

MOST_ACCENTS = 30
"""Combining marks that are kept on one letter."""

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]


def normalize(form: Form, text: str) -> str:
    """Return a text in a Unicode normal form, with at most 30 combining marks on each letter."""
    if text.isascii() or (form == "NFC" and _is_composed(text)):
        return text
    decomposed: Form = "NFKD" if form in {"NFKC", "NFKD"} else "NFD"
    return unicodedata.normalize(form, "".join(_limit_accents(decomposed, text)))


def _is_composed(text: str) -> bool:
    """Return whether a text is in NFC and has no combining marks, which is quick to see."""
    return not any(map(unicodedata.combining, text)) and unicodedata.is_normalized("NFC", text)


def _limit_accents(form: Form, text: str) -> Iterator[str]:
    accents = 0
    for whole in text:
        for char in unicodedata.normalize(form, whole):
            accents = accents + 1 if unicodedata.combining(char) else 0
            if accents <= MOST_ACCENTS:
                yield char
