"""The number of SMS parts of a text, counted as 46elks documents it.

Source: https://46elks.com/kb/sms-splitting-and-pricing. The sandbox does not use elks-mcp's own count, so
that tests can compare the two.
"""

from collections.abc import Iterable

GSM_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENSION = frozenset("\f^{}\\[~]|€")

# A text longer than one part gives six of its 140 bytes in each part to the header that joins the parts.
GSM_SINGLE, GSM_JOINED = 160, 153
UTF16_SINGLE, UTF16_JOINED = 70, 67


def find_encoding(text: str, *, extension_is_gsm: bool = False) -> str:
    """Return the encoding in which `text` is sent: `GSM-7` or `UCS-2`; see `count_parts`."""
    alphabet = GSM_BASIC | GSM_EXTENSION if extension_is_gsm else GSM_BASIC
    return "GSM-7" if alphabet.issuperset(text) else "UCS-2"


def count_parts(text: str, *, extension_is_gsm: bool = False) -> int:
    """Return the number of parts in which `text` is sent and charged, at least 1.

    46elks documents that any character outside the basic GSM set makes the whole text UTF-16, even `€` and
    `{}`. With `extension_is_gsm` the extension table counts as in the standard (3GPP TS 23.038): two septets
    each.
    """
    if GSM_BASIC.issuperset(text):
        return _pack([1] * len(text), GSM_SINGLE, GSM_JOINED)
    if extension_is_gsm and (GSM_BASIC | GSM_EXTENSION).issuperset(text):
        return _pack([2 if character in GSM_EXTENSION else 1 for character in text], GSM_SINGLE, GSM_JOINED)
    return _pack([2 if character > "\uffff" else 1 for character in text], UTF16_SINGLE, UTF16_JOINED)


def _pack(widths: Iterable[int], single: int, joined: int) -> int:
    """Return the number of parts, filled in order; a surrogate or escape pair is never split."""
    parts, used, total = 1, 0, 0
    for width in widths:
        total += width
        if used + width > joined:
            parts, used = parts + 1, 0
        used += width
    return 1 if total <= single else parts
