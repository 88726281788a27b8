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
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from elks_mcp.domain.cleaning import INVISIBLE
from elks_mcp.domain.normalization import MOST_ACCENTS, normalize

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
class ExpensiveCharacter:
    """A character outside GSM-7, how often it occurs, and what could stand in its place.

    `char` is what a reader takes for one character: a letter and the accents that were typed
    after it, or a picture joined of several. `instead` means the same in running text; it is ""
    if the character can be left out unseen, and None if only the writer can know.
    """

    char: str
    count: int
    instead: str | None

    @property
    def name(self) -> str:
        """The Unicode name in lower case, with the code point; a few of them, where it has many."""
        shown, more = self.char[:_NAMED], " …" if len(self.char) > _NAMED else ""
        names = " + ".join(unicodedata.name(char, "unnamed character").lower() for char in shown)
        return f"{names}, {' '.join(f'U+{ord(char):04X}' for char in shown)}{more}"


def measure(text: str, alphabet: Alphabet = Alphabet.PROVIDER) -> Size:
    """Say how a text is encoded and how many parts it is billed as; an empty text is one part.

    By default as 46elks counts (https://46elks.com/kb/sms-splitting-and-pricing).
    """
    encoding = _encoding(text, alphabet)
    return Size(encoding, _units(text, encoding), 1 + len(_cuts(text, encoding)))


def split(text: str, alphabet: Alphabet = Alphabet.PROVIDER) -> tuple[str, ...]:
    """Cut a text into its parts, never inside a surrogate pair or an escape sequence.

    A picture joined of several (👨‍👩‍👧) may be cut at its joiners: phones put the parts together again.
    """
    cuts = _cuts(text, _encoding(text, alphabet))
    return tuple(text[start:end] for start, end in pairwise((0, *cuts, len(text))))


def expensive_characters(text: str, alphabet: Alphabet = Alphabet.PROVIDER) -> tuple[ExpensiveCharacter, ...]:
    """List what forces UCS-2, in order of first occurrence, an accent together with its letter."""
    cheap = _cheap(alphabet)
    counted = Counter(letter for letter in _letters(text) if not cheap.issuperset(letter))
    return tuple(
        ExpensiveCharacter(letter, count, _instead(letter, cheap)) for letter, count in counted.items()
    )


def cheaper(text: str, alphabet: Alphabet = Alphabet.PROVIDER) -> str:
    """Return a text with cheap characters for dear ones that mean the same; every other one stays.

    “curly” becomes "straight", a dash a hyphen, a combining accent joins its letter, an invisible character
    goes. Emoji and letters of other languages stay, and so does all of an address, a code or a template such
    as `{{namn}}`. If the rewritten text would take more parts (… is one character, ... are three), the text
    is returned as it was.
    """
    dear = expensive_characters(text, alphabet)
    instead = {each.char: each.instead for each in dear if each.instead is not None}
    rewritten = re.sub(_PIECE, lambda token: _reworded(token[0], instead), text) if instead else text
    return rewritten if measure(rewritten, alphabet).parts <= measure(text, alphabet).parts else text


def without_expensive(text: str, alphabet: Alphabet = Alphabet.PROVIDER) -> str:
    """Leave a text only what is cheap: a dear character goes, or has its stand-in where there is one."""
    return _rewritten(text, {each.char: each.instead or "" for each in expensive_characters(text, alphabet)})


def _rewritten(text: str, instead: dict[str, str]) -> str:
    return "".join(instead.get(letter, letter) for letter in _letters(text))


def _reworded(token: str, instead: dict[str, str]) -> str:
    """Rewrite a word or a blank; of what must stay as it is, only a pair of quotation marks around it."""
    before, kept, after = _split_quotes(token)
    if not _FIXED.search(kept) and not (_LETTER_OF_ANY.search(kept) and _DIGIT.search(kept)):
        return _rewritten(token, instead)
    return _rewritten(before, instead) + kept + _rewritten(after, instead)


def _split_quotes(token: str) -> tuple[str, str, str]:
    """Split off a pair of quotation marks around a token, and what ends the sentence behind them.

    One of them alone may belong to the token: a password can end in any character.
    """
    quoted = _QUOTED.fullmatch(token)
    return (quoted[1], quoted[2], quoted[3]) if quoted else ("", token, "")


def find_unsendable(text: str) -> str | None:
    """Find the first character no text can carry: a control character or half a surrogate pair."""
    return next((char for char in text if _cannot_be_sent(char)), None)


def _cheap(alphabet: Alphabet) -> frozenset[str]:
    return BASIC | EXTENSION if alphabet is Alphabet.STANDARD else BASIC


def _encoding(text: str, alphabet: Alphabet) -> Encoding:
    return Encoding.GSM7 if _cheap(alphabet).issuperset(text) else Encoding.UCS2


_TAKES_TWO: dict[Encoding, Callable[[str], bool]] = {
    Encoding.GSM7: EXTENSION.__contains__,
    Encoding.UCS2: "\uffff".__lt__,
}
"""Whether a character takes two units that belong together: an escape sequence or a surrogate pair."""


def _units(text: str, encoding: Encoding) -> int:
    return len(text) + sum(map(_TAKES_TWO[encoding], text))


def _cuts(text: str, encoding: Encoding) -> list[int]:
    """Find where each part after the first begins."""
    cuts: list[int] = []
    if _units(text, encoding) <= _SINGLE[encoding]:
        return cuts
    room = _OF_SEVERAL[encoding]
    for index, two in enumerate(map(_TAKES_TWO[encoding], text)):
        room -= 1 + two
        if room < 0:
            cuts.append(index)
            room = _OF_SEVERAL[encoding] - 1 - two
    return cuts


_NAMED = 4

_ON_TOP = "[\u0300-\u036f\u20e3\ufe00-\ufe0f\U000e0020-\U000e007f]"
_NOT_LATIN = "[^\\x00-\u024f]"
_LETTER = (  # this and others are compiled when first needed, and kept, by `re` itself
    f"(?s){_NOT_LATIN}{_ON_TOP}{{0,{MOST_ACCENTS}}}"
    f"(?:[\u200c\u200d]{_NOT_LATIN}{_ON_TOP}{{0,{MOST_ACCENTS}}})*"
    f"|.{_ON_TOP}{{0,{MOST_ACCENTS}}}"
)
"""What a reader takes for one letter: with its accents, and joined to others where its script joins.

A tag, a keycap or a variation selector goes with the picture before it.
"""

_STAND_INS = {
    **dict.fromkeys("‘’‚‛‹›′´", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‐‑‒–—―−⁃", "-"),
    **dict.fromkeys("\x0b\x85\u2028\u2029", "\n"),
    **dict.fromkeys("\t\u2800\u3164\uffa0", " "),
    "…": "...",
    "ﬀ": "ff",
    "ﬁ": "fi",
    "ﬂ": "fl",
    "ﬃ": "ffi",
    "ﬄ": "ffl",
    "ﬅ": "st",
    "ﬆ": "st",
}
"""Quotation marks, dashes, the ellipsis, blanks and ligatures: what means the same in any running text."""

_PIECE = r"(?:\{[^{}\n]{0,60}\}|\[[^\[\]\n]{0,60}\]|<[^<>\n]{0,60}>|`[^`\n]{0,60}`|\S)+|\s+"
"""A run of blanks, or of other characters; within brackets, as in templates, blanks count as others."""

_QUOTED = re.compile("(?s)([(]?[“”„‘’«»\"'])(.+)([“”‘’«»\"'][).,;:!?]*)")
_FIXED = re.compile(r"[\[\]{}<>\\|^~=_#@/`]|[%$][A-Za-z]|\w\.\w")
"""What addresses, code and templates have, and words do not."""

_LETTER_OF_ANY, _DIGIT = re.compile(r"[^\W\d_]"), re.compile(r"\d")
"""Both in one token: a code or a password."""


def _letters(text: str) -> list[str]:
    return list(text) if text.isascii() else re.findall(_LETTER, text)


def _instead(letter: str, cheap: frozenset[str]) -> str | None:
    """Return what means the same in running text; None if only the writer can know."""
    seen = re.sub(_WITHOUT_UNSEEN, "", letter) if letter not in _STAND_INS else letter
    composed = normalize("NFC", seen)
    if composed in _STAND_INS:
        return _STAND_INS[composed]
    if cheap.issuperset(composed):
        return composed
    return " " if unicodedata.category(composed[0]) == "Zs" else None


_WITHOUT_UNSEEN = f"(?<=[0-9#*])\ufe0f?\u20e3|[{INVISIBLE}]"
"""The keycap of 1️⃣ is seen, but says no more than 1."""


def _cannot_be_sent(char: str) -> bool:
    return unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\r\t\f"
