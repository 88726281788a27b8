"""Show a person how a client's file changes: the parts that differ, without secrets."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any

from elks_mcp.cli.output import measure_columns
from elks_mcp.domain.display import break_line

_CONTEXT = 24
"""Characters of a long line that are shown before and after the part that changes."""

_SECRET = re.compile("PASSWORD|USERNAME|ELKS_ACCOUNT|SECRET|TOKEN|DATABASE_URL|AUTHORIZATION", re.IGNORECASE)
_NAMES = ("_FILE", "_ENV_VAR")
"""The ends of fields that have the name of a file or of a variable, and not a secret."""

_REFERENCE = re.compile(r"(?:Bearer )?(?:\$\{[^}]*\}|\{(?:env|file):[^}]*\})?")


def list_changes(old: str, new: str, secrets: Iterable[str]) -> Iterator[str]:
    """List the lines that change, in rows of the terminal's width.

    If a line is too long for a row, only its part that changes is listed. Each secret becomes `…`.
    """
    pieces = sorted({form for each in secrets for form in _list_forms(each)}, key=len, reverse=True)
    hidden = re.compile("|".join(map(re.escape, pieces)) or r"\Z.")
    before, after = old.splitlines(), new.splitlines()
    for tag, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag != "equal":
            blocks = ("\n".join(before[i:j]), "\n".join(after[k:m]))
            yield from _show(*(hidden.sub("…", block) for block in blocks))


def find_secrets(value: Mapping[str, Any]) -> list[str]:
    """Return the secrets in an entry, found by the names of their fields, without references."""
    found = []
    for name, each in value.items():
        if isinstance(each, dict):
            found += find_secrets(each)
        elif isinstance(each, str) and _SECRET.search(name) and not name.upper().endswith(_NAMES):
            found += [] if _REFERENCE.fullmatch(each) else [each.removeprefix("Bearer ")]
    return found


def _list_forms(secret: str) -> list[str]:
    """Return a secret as it can stand in a file: as it is, or in quotation marks."""
    written = [secret, *(json.dumps(secret, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False))]
    return [form for form in written if form]


def _show(old: str, new: str) -> Iterator[str]:
    width = measure_columns() - 1
    if any(len(line) > width for block in (old, new) for line in block.split("\n")):
        old, new = _cut_alike(old, new)
    for sign, block in (("-", old), ("+", new)):
        for line in block.split("\n") if block else ():
            yield from (sign + row for row in break_line(line, width))


def _cut_alike(old: str, new: str) -> tuple[str, str]:
    """Return two texts without what they have in common at both ends, except for some context."""
    start = _count_alike(old, new)
    end = _count_alike(old[start:][::-1], new[start:][::-1])
    start, end = max(0, start - _CONTEXT), max(0, end - _CONTEXT)
    first, last = "…" if start else "", "…" if end else ""
    return (
        f"{first}{old[start : len(old) - end]}{last}",
        f"{first}{new[start : len(new) - end]}{last}",
    )


def _count_alike(one: str, other: str) -> int:
    """Return how many characters two texts have in common at their beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
