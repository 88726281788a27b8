r"""The cost of a text: its encoding, its parts, and the characters that make it expensive.

A text of GSM-7 characters only has up to 160 of them in one part, or 153 in each of several parts. Any
other character makes the whole text UCS-2: 70 code units in one part, or 67 in each of several.
46elks sends the extension table (€ [ ] { } ~ ^ | \) as UCS-2 too, and bills by the part
(https://46elks.com/kb/sms-splitting-and-pricing). The standard (3GPP TS 23.038) counts each of these
characters as two GSM-7 septets, as `Alphabet.STANDARD` does.
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
"""The default alphabet's extension table, with an escape each (3GPP TS 23.038, 6.2.1.1)."""


class Encoding(StrEnum):
    """The encoding in which a text is transmitted."""

    GSM7 = "GSM-7"
    UCS2 = "UCS-2"


class Alphabet(StrEnum):
    """The characters that count as GSM-7."""

    PROVIDER = "basic table only, as 46elks does"
    STANDARD = "basic and extension tables, as the standard says"


_SINGLE = {Encoding.GSM7: 160, Encoding.UCS2: 70}
_OF_SEVERAL = {Encoding.GSM7: 153, Encoding.UCS2: 67}


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a text. `units` are septets in GSM-7 and 16-bit code units in UCS-2."""

    encoding: Encoding
    units: int
    parts: int


@dataclass(frozen=True, slots=True)
class ExpensiveCharacter:
    """A character outside GSM-7, its number of occurrences, and a replacement.

    `char` is one character to a reader: a letter with the accents typed after it, or an emoji joined from
    several. `instead` means the same in running text. It is "" if the character can be left out unnoticed,
    and None if only the writer can replace it.
    """

    char: str
    count: int
    instead: str | None

    @property
    def name(self) -> str:
        """The Unicode names in lower case with their code points, of at most four code points."""
        shown, more = self.char[:_MOST_NAMED], " …" if len(self.char) > _MOST_NAMED else ""
        names = " + ".join(unicodedata.name(char, "unnamed character").lower() for char in shown)
        return f"{names}, {' '.join(f'U+{ord(char):04X}' for char in shown)}{more}"


def measure(text: str, alphabet: Alphabet = Alphabet.PROVIDER) -> Size:
    """Return the encoding of a text and its number of billed parts.

    An empty text is one part. The default alphabet counts as 46elks does (https://46elks.com/kb/sms-splitting-and-pricing).
    """
    encoding = _encoding(text, alphabet)
    return Size(encoding, _units(text, encoding), 1 + len(_cuts(text, encoding)))


def split(text: str, alphabet: Alphabet = Alphabet.PROVIDER) -> tuple[str, ...]:
    """Return the parts of a text, never cut inside a surrogate pair or an escape sequence.

    An emoji joined from several (👨‍👩‍👧) may be cut at its joiners, since phones join the parts again.
    """
    cuts = _cuts(text, _encoding(text, alphabet))
    return tuple(text[start:end] for start, end in pairwise((0, *cuts, len(text))))


def expensive_characters(text: str, alphabet: Alphabet = Alphabet.PROVIDER) -> tuple[ExpensiveCharacter, ...]:
    """Return the characters that force UCS-2, with their accents, by first occurrence."""
    cheap = _cheap(alphabet)
    counted = Counter(letter for letter in _letters(text) if not cheap.issuperset(letter))
    return tuple(
        ExpensiveCharacter(letter, count, _instead(letter, cheap)) for letter, count in counted.items()
    )


def cheaper(text: str, alphabet: Alphabet = Alphabet.PROVIDER) -> str:
    """Return a text with expensive characters replaced by cheap ones that mean the same.

    “curly” becomes "straight", a dash becomes a hyphen, a combining accent joins its letter, and an invisible
    character is removed. Emoji and letters of other languages stay, as do addresses, codes and templates
    such as `{{namn}}`. If the result would take more parts (… is one character, ... are three), the text is
    returned unchanged.
    """
    expensive = expensive_characters(text, alphabet)
    instead = {each.char: each.instead for each in expensive if each.instead is not None}
    rewritten = (
        re.sub(_WORD_OR_SPACES, lambda token: _rewrite_token(token[0], instead), text) if instead else text
    )
    return rewritten if measure(rewritten, alphabet).parts <= measure(text, alphabet).parts else text


def without_expensive(text: str, alphabet: Alphabet = Alphabet.PROVIDER) -> str:
    """Return a text with expensive characters replaced if possible, else removed."""
    return _replace_letters(
        text, {each.char: each.instead or "" for each in expensive_characters(text, alphabet)}
    )


def _replace_letters(text: str, instead: dict[str, str]) -> str:
    return "".join(instead.get(letter, letter) for letter in _letters(text))


def _rewrite_token(token: str, instead: dict[str, str]) -> str:
    """Return a token rewritten, or only the quotation marks around one that must not change."""
    before, kept, after = _split_quotes(token)
    if not _FIXED.search(kept) and not (_ANY_LETTER.search(kept) and _DIGIT.search(kept)):
        return _replace_letters(token, instead)
    return _replace_letters(before, instead) + kept + _replace_letters(after, instead)


def _split_quotes(token: str) -> tuple[str, str, str]:
    """Split off a pair of quotation marks around a token, and punctuation after them.

    A single quotation mark may belong to the token, since a password can end in any character.
    """
    quoted = _QUOTED.fullmatch(token)
    return (quoted[1], quoted[2], quoted[3]) if quoted else ("", token, "")


def find_unsendable(text: str) -> str | None:
    """Return the first character that cannot be sent: a control character or a lone surrogate."""
    return next((char for char in text if _cannot_be_sent(char)), None)


def _cheap(alphabet: Alphabet) -> frozenset[str]:
    return BASIC | EXTENSION if alphabet is Alphabet.STANDARD else BASIC


def _encoding(text: str, alphabet: Alphabet) -> Encoding:
    return Encoding.GSM7 if _cheap(alphabet).issuperset(text) else Encoding.UCS2


_TAKES_TWO: dict[Encoding, Callable[[str], bool]] = {
    Encoding.GSM7: EXTENSION.__contains__,
    Encoding.UCS2: "\uffff".__lt__,
}
"""Whether a character takes two units: an escape sequence or a surrogate pair."""


def _units(text: str, encoding: Encoding) -> int:
    return len(text) + sum(map(_TAKES_TWO[encoding], text))


def _cuts(text: str, encoding: Encoding) -> list[int]:
    """Return the index at which each part after the first begins."""
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


_MOST_NAMED = 4
"""Code points of one character that are named."""

_ON_TOP = "[\u0300-\u036f\u20e3\ufe00-\ufe0f\U000e0020-\U000e007f]"
_NOT_LATIN = "[^\\x00-\u024f]"
_LETTER = (  # `re` compiles this and the others at their first use, and caches them
    f"(?s){_NOT_LATIN}{_ON_TOP}{{0,{MOST_ACCENTS}}}"
    f"(?:[\u200c\u200d]{_NOT_LATIN}{_ON_TOP}{{0,{MOST_ACCENTS}}})*"
    f"|.{_ON_TOP}{{0,{MOST_ACCENTS}}}"
)
"""One letter to a reader, with its accents, and with letters that its script joins to it.

A tag, a keycap or a variation selector belongs to the picture before it.
"""

_REPLACEMENTS = {
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
"""Quotation marks, dashes, … and ligatures, with replacements that mean the same in prose."""

_WORD_OR_SPACES = r"(?:\{[^{}\n]{0,60}\}|\[[^\[\]\n]{0,60}\]|<[^<>\n]{0,60}>|`[^`\n]{0,60}`|\S)+|\s+"
"""A run of white space, or of other characters, with white space within brackets as in templates."""

_QUOTED = re.compile("(?s)([(]?[“”„‘’«»\"'])(.+)([“”‘’«»\"'][).,;:!?]*)")
_FIXED = re.compile(r"[\[\]{}<>\\|^~=_#@/`]|[%$][A-Za-z]|\w\.\w")
"""Characters that addresses, code and templates have, and words do not."""

_ANY_LETTER, _DIGIT = re.compile(r"[^\W\d_]"), re.compile(r"\d")
"""A token with both is a code or a password."""


def _letters(text: str) -> list[str]:
    return list(text) if text.isascii() else re.findall(_LETTER, text)


def _instead(letter: str, cheap: frozenset[str]) -> str | None:
    """Return a replacement that means the same in running text; None if there is none."""
    visible = re.sub(_REMOVABLE, "", letter) if letter not in _REPLACEMENTS else letter
    composed = normalize("NFC", visible)
    if composed in _REPLACEMENTS:
        return _REPLACEMENTS[composed]
    if cheap.issuperset(composed):
        return composed
    return " " if unicodedata.category(composed[0]) == "Zs" else None


_REMOVABLE = f"(?<=[0-9#*])\ufe0f?\u20e3|[{INVISIBLE}]"
"""Invisible characters, and the keycap of 1️⃣, which is visible but says no more than 1."""


def _cannot_be_sent(char: str) -> bool:
    return unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\r\t\f"
