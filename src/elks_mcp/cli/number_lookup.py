"""Find the number of the account that a command is about."""

from elks_mcp.app import App
from elks_mcp.domain.numbers import OwnNumber
from elks_mcp.domain.phone import Number, parse_number
from elks_mcp.errors import InvalidInput, NotFound
from elks_mcp.runtime.launcher import show_command


async def find_own_number(app: App, phone: str) -> OwnNumber:
    """Return the number of the account that was given, or else the one in ELKS_PHONE_NUMBER.

    Raises:
        NotFound: the account has no such number.
        InvalidInput: no number was given, and ELKS_PHONE_NUMBER is not a number.
    """
    wanted = parse_number(phone, app.policy.home) if phone else app.policy.sender
    if not isinstance(wanted, Number):
        raise InvalidInput(
            "No number was given.", hint="Add the number to the command, or set ELKS_PHONE_NUMBER to it."
        )
    for each in await app.client.list_numbers():
        if each.number == wanted.e164:
            return each
    raise NotFound(
        "The account has no such number.", hint=f"To list its numbers: {show_command('numbers list')}."
    )
