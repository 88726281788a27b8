"""Numbers by which people and models name what is kept here."""

import secrets

READABLE = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Letters and digits that cannot be taken for each other when read aloud."""


def make_code(length: int) -> str:
    """Make so many of them, by chance."""
    return "".join(secrets.choice(READABLE) for _ in range(length))
