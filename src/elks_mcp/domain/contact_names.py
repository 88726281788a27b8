"""The names that a contact can have: clean, short, and not to be taken for anything else."""

import re

from elks_mcp.domain.cleaning import cleaned
from elks_mcp.domain.contacts import ALL_CONTACTS, GROUP_MARK, fold_name
from elks_mcp.domain.handles import read_handle

LONGEST_NAME = 80
"""Characters of a name that are used."""

_RESERVED = frozenset({ALL_CONTACTS, "you"})
"""Words that have a meaning of their own: `contacts` in `ELKS_ALLOWED_RECIPIENTS`, "you" in answers."""

_AS_SHOWN = re.compile(r"(?:…|\.\.\.)\s*\d\d|\(no number\)", re.IGNORECASE)
"""Part of a person as answers write them: `Åsa (…05), work`, `Per (no number)`."""


def clean_name(raw: str) -> str:
    """Return a name as one line of at most 80 characters, without invisible characters."""
    return " ".join(cleaned(raw).split())[:LONGEST_NAME].rstrip()


def find_name_fault(name: str) -> str:
    """Return why a name cannot be used for a contact, or "".

    `name`: the result of `clean_name`.
    """
    if not name:
        return "is empty"
    if name.startswith(GROUP_MARK):
        return f"begins with {GROUP_MARK}, as groups do"
    if fold_name(name) in _RESERVED:
        return "is a word with a special meaning in elks-mcp"
    if sum(map(str.isalpha, name)) <= sum(map(str.isdigit, name)):
        return "looks like a number"
    if _AS_SHOWN.search(name) or read_handle(name):
        return "looks like a handle, or like a name with digits as answers show it"
    return ""
