"""Helpers shared by the tests of accounts."""

from tests.support.token_cases import ask
from tests.support.web import Site


async def status(where: Site, token: str | None = None) -> int:
    """Ask for something harmless; return the status of the answer."""
    return (await ask(where, "tools/list", token=token)).status_code
