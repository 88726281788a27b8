"""Read JSON with comments strictly, by Python's own JSON reader."""

import json
import re
from collections.abc import Iterator
from typing import Any


class Broken(ValueError):
    """A document cannot be read, or not without a doubt; the message says why."""


_TOKEN = re.compile(
    r"""(?P<gap>[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)"""
    r"""|(?P<string>"(?:[^"\\\x00-\x1f]|\\.)*")"""
    r"""|(?P<mark>[{}\[\],:])"""
    r"""|(?P<word>[^\s{}\[\],:"/]+)""",
    re.DOTALL,
)


def parse(text: str) -> Any:
    """Return what a document says: JSON with comments and trailing commas. An empty one says {}.

    Raises:
        Broken: it is something else, or has the same key twice.
    """
    kept = [token[0] for token, is_trailing in _mark_commas(text) if not is_trailing]
    if not kept:
        return {}
    try:
        return json.loads(" ".join(kept), object_pairs_hook=_build_object, parse_constant=_refuse_constant)
    except RecursionError:
        raise Broken("it is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise Broken(f"it is not JSON ({error.msg.lower()})") from None


def find_trailing_comma(text: str) -> int | None:
    """Return the line of a document's first trailing comma, or None.

    Raises:
        Broken: a character cannot begin a token.
    """
    places = (token.start() for token, is_trailing in _mark_commas(text) if is_trailing)
    place = next(places, None)
    return None if place is None else text.count("\n", 0, place) + 1


def _mark_commas(text: str) -> Iterator[tuple[re.Match[str], bool]]:
    """Iterate over the tokens without gaps, each with whether it is a trailing comma."""
    tokens = [token for token in split(text) if token.lastgroup != "gap"]
    for before, token, after in zip([None, *tokens], tokens, [*tokens[1:], None], strict=False):
        yield token, _is_trailing_comma(before, token, after)


def _is_trailing_comma(
    before: re.Match[str] | None, token: re.Match[str], after: re.Match[str] | None
) -> bool:
    follows_value = before is not None and before[0] not in {"{", "[", ",", ":"}
    return token[0] == "," and follows_value and after is not None and after[0] in {"}", "]"}


def split(text: str) -> Iterator[re.Match[str]]:
    """Iterate over the tokens of a document. White space and comments are in the group "gap".

    Raises:
        Broken: a character cannot begin a token.
    """
    place = 0
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None:
            line = text.count("\n", 0, place) + 1
            raise Broken(f"line {line} is not JSON")
        yield token
        place = token.end()


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise Broken(f'it has the key "{twice}" twice in one place')
    return found


def _refuse_constant(name: str) -> Any:
    raise Broken(f"it has {name}, which is not JSON")
