"""Unicode normalization whose time grows with the length of a text, whoever wrote it.

Sorting the combining marks of one letter takes squared time in their number, so that 39,000 of them keep a
server busy for seconds. Unicode's own limit is 30 (UAX #15, stream-safe text format).
"""

import unicodedata
from collections.abc import Iterator
from typing import Literal

MOST_ACCENTS = 30
"""Combining marks of one letter that are kept."""

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]


def normalize(form: Form, text: str) -> str:
    """Return a normal form of a text, without the combining marks of a letter after the 30th."""
    if text.isascii():
        return text
    decomposed: Form = "NFKD" if form in {"NFKC", "NFKD"} else "NFD"
    return unicodedata.normalize(form, "".join(_without_the_31st_accent(decomposed, text)))


def _without_the_31st_accent(form: Form, text: str) -> Iterator[str]:
    accents = 0
    for whole in text:
        for char in unicodedata.normalize(form, whole):
            accents = accents + 1 if unicodedata.combining(char) else 0
            if accents <= MOST_ACCENTS:
                yield char
