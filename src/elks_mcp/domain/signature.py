"""The operator's signature, which ends every text."""

import re

from elks_mcp.domain.display import visible
from elks_mcp.domain.text import Encoding, expensive_characters, measure

LONGEST_SIGNATURE = 100
"""Characters."""

_NUMBER = re.compile(r"\+?\d[\d ()/-]{4,}\d")


def sign(text: str, signature: str) -> str:
    """Return a text with a signature on a line at its end, unless the text ends with it already."""
    if not signature or _is_signed(text.rstrip(), signature):
        return text
    return f"{text}{signature}" if text.endswith("\n") else f"{text}\n{signature}"


def _is_signed(text: str, signature: str) -> bool:
    """Return whether a text ends with a signature that is not just the end of a longer word."""
    before = text.removesuffix(signature)
    return before != text and (not before or before[-1].isspace())


def remove_signature(text: str, signature: str) -> str:
    """Return a text without the line that `sign` adds."""
    return text.removesuffix(f"\n{signature}") if signature else text


def explain_cost(signature: str) -> str:
    """Return in a sentence which characters of a signature make every text expensive, or ""."""
    if measure(signature).encoding is not Encoding.UCS2:
        return ""
    named = ", ".join(f"{each.char!r} ({each.name})" for each in expensive_characters(signature))
    return f"{named} makes every text expensive: a part holds 70 characters instead of 160."


def show_signature(signature: str) -> str:
    """Return a signature as the policy report states it: on one line, without phone numbers."""
    return f'"{visible(_NUMBER.sub("(number)", " ".join(signature.split())))}"' if signature else "none"
