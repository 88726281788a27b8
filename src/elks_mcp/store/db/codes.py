"""Codes by which people and models name orders, approvals and tokens."""

import secrets

READABLE = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Letters and digits that are not confused with each other, also when read aloud."""


def make_code(length: int) -> str:
    """Return a random code of `length` unambiguous letters and digits."""
    return "".join(secrets.choice(READABLE) for _ in range(length))
