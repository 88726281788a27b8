"""Make text that strangers wrote safe to show: invisible, control and bidi characters.

`cleaned` removes these characters, `escape_invisible` writes them as escapes, and `has_invisible` and
`is_blank` report them.
"""

import re

from elks_mcp.domain.normalization import normalize

INVISIBLE = (
    "\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\ud800-\udfff"
)
"""Invisible characters, as the inside of a regular expression's character class.

Unicode's default ignorables, the control characters except line feed, the format characters of
hieroglyphs and musical notation, lone surrogates, and characters that look like spaces.
"""

_LINE_BREAK = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_PICTURES = (  # without U+2329 and U+232A, which normalization turns into brackets
    "\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u2328\u232b-\u27bf\u2900-\u297f\u2b00-\u2bff"
    "\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
)
_INVISIBLE_OR_PICTURE = (  # `re` compiles it at its first use, and caches it
    rf"(?P<picture>[{_PICTURES}](?=[{INVISIBLE}])[\ufe0e\ufe0f]?(?:\u200d(?=[{_PICTURES}]))?|[0-9#*]\ufe0f?\u20e3)"
    rf"[{INVISIBLE}]*|[{INVISIBLE}]+"
)
"""A picture with the invisible characters that belong to it, or a run of others.

The former is kept in the group `picture`; all other invisible characters are outside of it.
"""


def cleaned(text: str) -> str:
    """Return a stranger's text without control, bidi and invisible characters.

    Line breaks become line feeds, and tabs spaces. Emoji stay whole: a variation selector is kept after a
    picture, and a zero-width joiner between two. Safety goes before typography, so the joiners of Persian and
    Indic scripts are removed, as are the tags that make a black flag the flag of Scotland. Accents
    after the 30th on one letter are removed as well. Cleaning a text twice changes nothing.
    """
    if text.isascii() and text.isprintable():  # most names, numbers and ids
        return text
    return normalize("NFC", re.sub(_INVISIBLE_OR_PICTURE, r"\g<picture>", _with_plain_breaks(text)))


def has_invisible(text: str) -> bool:
    """Return whether a text contains invisible characters that do not belong to an emoji."""
    lines = _with_plain_breaks(text)
    return re.sub(_INVISIBLE_OR_PICTURE, r"\g<picture>", lines) != lines


def escape_invisible(text: str) -> str:
    r"""Return a text with its invisible characters written as escapes (`\u202e`).

    Line feeds stay. Joiners between pictures and variation selectors are removed.
    """
    return re.sub(_INVISIBLE_OR_PICTURE, _escape, text)


def is_blank(text: str) -> bool:
    """Return whether a text consists of white space and invisible characters only."""
    return not cleaned(text).strip()


def _with_plain_breaks(text: str) -> str:
    return _LINE_BREAK.sub("\n", text.replace("\t", " "))


def _escape(found: re.Match[str]) -> str:
    picture = found["picture"] or ""
    invisible = found[0][len(picture) :]
    return re.sub(f"[{INVISIBLE}]", "", picture) + invisible.encode("unicode_escape").decode("ascii")
