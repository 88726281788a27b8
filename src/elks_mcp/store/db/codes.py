"""Codes by which people and models name orders, approvals and tokens."""

import secrets

from elks_mcp.domain.handles import READABLE


def make_code(length: int) -> str:
    """Return a random code of `length` unambiguous letters and digits."""
    return "".join(secrets.choice(READABLE) for _ in range(length))
