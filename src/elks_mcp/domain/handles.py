"""Handles: names for people whose numbers are hidden from a model, such as `P-7F3K9QXR`."""

import re
from datetime import datetime, timedelta

HANDLE_PERIOD = timedelta(days=90)
"""How long one handle is given to a number. It is understood for as long again, so for 90 days at least."""

READABLE = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Letters and digits that are not confused with each other, also when read aloud."""

_LENGTH = 8
"""Characters after `P-`. Among 1,000 numbers two get the same handle in one of a million cases, and such a
handle is refused."""

HANDLE_PATTERN = rf"P-[{READABLE}]{{{_LENGTH}}}"
"""A regular expression for a handle. It ignores case."""

_HANDLE = re.compile(HANDLE_PATTERN, re.IGNORECASE)


def list_periods(now: datetime) -> tuple[int, int]:
    """Return the numbers of the present period, whose handles are shown, and of the one before."""
    present = int(now.timestamp() // HANDLE_PERIOD.total_seconds())
    return present, present - 1


def write_handle(digest: str) -> str:
    """Return the handle for the keyed hash of a number and a period, which is in hexadecimal."""
    rest, code = int(digest, 16), ""
    for _ in range(_LENGTH):
        rest, place = divmod(rest, len(READABLE))
        code += READABLE[place]
    return f"P-{code}"


def read_handle(text: str) -> str:
    """Return the handle that a text is, in capitals; "" if it is none."""
    return text.strip().upper() if _HANDLE.fullmatch(text.strip()) else ""
