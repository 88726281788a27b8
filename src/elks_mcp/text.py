r"""What a text costs to send: its encoding, its parts, and the characters that make it dear.

A text made only of GSM-7 characters fits 160 in one part, or 153 in each of several. One other
character and all of it goes as UCS-2: 70 code units in one part, 67 in each of several.
46elks sends the extension table (€ [ ] { } ~ ^ | \) as UCS-2 too, and bills by the part
(https://46elks.com/kb/sms-splitting-and-pricing); the standard (3GPP TS 23.038) makes each of
those two GSM-7 septets instead, which `Alphabet.STANDARD` counts.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The GSM 7-bit default alphabet without its escape (3GPP TS 23.038, 6.2.1)."""

EXTENSION = frozenset("\f^{}\\[~]|€")
"""The default alphabet's extension table: each of these is escaped (3GPP TS 23.038, 6.2.1.1)."""


class Encoding(StrEnum):
    """How the characters of a text are written on the air."""

    GSM7 = "GSM-7"
    UCS2 = "UCS-2"


class Alphabet(StrEnum):
    """Which characters count as GSM-7."""

    PROVIDER = "basic table only, as 46elks does"
    STANDARD = "basic and extension tables, as the standard says"


_SINGLE = {Encoding.GSM7: 160, Encoding.UCS2: 70}
_OF_SEVERAL = {Encoding.GSM7: 153, Encoding.UCS2: 67}


@dataclass(frozen=True, slots=True)
class Size:
    """How large a text is. `units` are septets in GSM-7 and 16-bit code units in UCS-2."""

    encoding: Encoding
    units: int
    parts: int


@dataclass(frozen=True, slots=True)
class DearCharacter:
    """A character outside GSM-7, how often it occurs, and what could stand in its place.

    `instead` is "" where the character can be left out unseen, and None where only the
    writer can know.
    """

    char: str
    count: int
    instead: str | None

    @property
    def name(self) -> str:
        """The Unicode name in lower case, with the code point."""
        return f"{unicodedata.name(self.char, 'unnamed character').lower()}, U+{ord(self.char):04X}"


def measure(text: str, alphabet: Alphabet = Alphabet.PROVIDER) -> Size:
    """Say how a text is encoded and how many parts it is billed as; an empty text is one part."""
    encoding = _encoding(text, alphabet)
    return Size(encoding, _units(text, encoding), len(split(text, alphabet)))


def split(text: str, alphabet: Alphabet = Alphabet.PROVIDER) -> tuple[str, ...]:
    """Cut a text into its parts, never inside a surrogate pair or an escape sequence."""
    encoding = _encoding(text, alphabet)
    if _units(text, encoding) <= _SINGLE[encoding]:
        return (text,)
    parts = _part_numbers(text, encoding, _OF_SEVERAL[encoding])
    grouped = groupby(zip(parts, text, strict=True), key=lambda pair: pair[0])
    return tuple("".join(char for _, char in pairs) for _, pairs in grouped)


def dear_characters(text: str, alphabet: Alphabet = Alphabet.PROVIDER) -> tuple[DearCharacter, ...]:
    """List the characters that force UCS-2, in order of first occurrence."""
    cheap = _cheap(alphabet)
    counted = Counter(char for char in text if char not in cheap)
    return tuple(DearCharacter(char, count, _instead(char, cheap)) for char, count in counted.items())


def cheaper(text: str, alphabet: Alphabet = Alphabet.PROVIDER) -> str:
    """Rewrite a text with what can stand in for its dear characters; what has no stand-in stays.

    The meaning stays the same to a reader: “curly” becomes "straight", a combining accent joins
    its letter, an invisible character goes. Emoji and other alphabets stay as they are.
    """
    cheap = _cheap(alphabet)
    composed = unicodedata.normalize("NFC", text)
    return "".join(_instead_or_itself(char, cheap) for char in composed)


def cleaned(text: str) -> str:
    """Make somebody else's words safe to show: without control, bidi and invisible characters.

    Line breaks and emoji stay whole: a variation selector stays behind a picture, a zero-width
    joiner between two. (Persian and Indic joiners go: safety before typography.) Cleaning twice
    changes nothing.
    """
    lines = text.replace("\t", " ").replace("\r\n", "\n")
    lines = lines.replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    return unicodedata.normalize("NFC", _INVISIBLE.sub(r"\g<picture>", lines))


def unsendable(text: str) -> str | None:
    """Find the first character no text can carry: a control character or half a surrogate pair."""
    return next((char for char in text if _cannot_be_sent(char)), None)


def _cheap(alphabet: Alphabet) -> frozenset[str]:
    return BASIC | EXTENSION if alphabet is Alphabet.STANDARD else BASIC


def _encoding(text: str, alphabet: Alphabet) -> Encoding:
    return Encoding.GSM7 if _cheap(alphabet).issuperset(text) else Encoding.UCS2


def _width(char: str, encoding: Encoding) -> int:
    """Units that belong together: an escape sequence or a surrogate pair is two."""
    if encoding is Encoding.GSM7:
        return 2 if char in EXTENSION else 1
    return 2 if ord(char) > 0xFFFF else 1  # noqa: PLR2004  (the end of the basic multilingual plane)


def _units(text: str, encoding: Encoding) -> int:
    return sum(_width(char, encoding) for char in text)


def _part_numbers(text: str, encoding: Encoding, room: int) -> Iterator[int]:
    part, filled = 0, 0
    for char in text:
        width = _width(char, encoding)
        if filled + width > room:
            part, filled = part + 1, 0
        filled += width
        yield part


_STAND_INS = {
    **dict.fromkeys("‘’‚‛′´`ʼ", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‐‑‒–—―−", "-"),
    **dict.fromkeys("•·∙●▪", "*"),
    "…": "...",
    "€": "EUR",
    "\t": " ",
    "\u2028": "\n",
    "\u2029": "\n",
    "№": "No",
    "™": "TM",
    "©": "(c)",
    "®": "(r)",
    "×": "x",
    "[": "(",
    "]": ")",
    "{": "(",
    "}": ")",
    "\\": "/",
    "|": "/",
}


def _instead(char: str, cheap: frozenset[str]) -> str | None:
    """Find what a reader takes for the same; by table first, else by what Unicode calls equivalent."""
    if char in _STAND_INS:
        return _STAND_INS[char]
    if unicodedata.category(char) in {"Cf", "Cc"}:
        return ""
    plain = unicodedata.normalize("NFKC", char)
    if plain and cheap.issuperset(plain):
        return plain
    letter = unicodedata.normalize("NFKD", char)[:1]
    return letter if letter != char and letter in cheap else None


def _instead_or_itself(char: str, cheap: frozenset[str]) -> str:
    instead = None if char in cheap else _instead(char, cheap)
    return char if instead is None else instead


def _cannot_be_sent(char: str) -> bool:
    return unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\r\t\f"


_PICTURES = (
    "\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u27bf\u2900-\u297f\u2b00-\u2bff"
    "\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
)
_INVISIBLE = re.compile(
    rf"(?P<picture>[{_PICTURES}][\ufe0e\ufe0f]?(?:\u200d(?=[{_PICTURES}]))?|[0-9#*]\ufe0f?\u20e3)?"
    "(?:[\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\ud800-\udfff])*"
)
"""A picture with what belongs to it, kept, and any run of characters nobody sees, dropped.

The latter are Unicode's default ignorables, the controls but for the line feed, half surrogate
pairs and the two blanks that are no spaces.
"""
