"""`elks-mcp webhooks`: where 46elks tells of incoming texts, as the account's number is set."""

from collections.abc import Awaitable, Callable

import anyio
import click

from elks_mcp.app import App
from elks_mcp.cli.output import say
from elks_mcp.cli.read_only import open_read_only
from elks_mcp.domain.models import OwnNumber
from elks_mcp.domain.phone import Number, parse_number
from elks_mcp.errors import InvalidInput, Misconfigured, NotFound
from elks_mcp.inbound.webhook_addresses import webhook_address
from elks_mcp.settings import Configuration


def show(configuration: Configuration) -> int:
    """Print the addresses, which hold secrets, and what each number does with incoming texts now."""

    async def work(app: App) -> int:
        url = _public_url(configuration)
        say(f"Incoming texts:   {await webhook_address(url, app.storage, 'sms')}")
        say(f"Delivery reports: {await webhook_address(url, app.storage, 'delivery')}?ref=O-…")
        say("They hold secrets: who knows one can pretend to be 46elks. Delivery reports need no setting.")
        ours = await webhook_address(url, app.storage, "sms")
        for number in await app.client.list_numbers():
            say(f"{number.number} now: {_now(number, ours)}")
        return 0

    return _run(configuration, work)


def set_up(configuration: Configuration, phone: str, *, new_secret: bool, yes: bool) -> int:
    """Have incoming texts of a number told here, after a yes; 0 if they are.

    `new_secret`: at another address; the one before goes on being heard until that is done once more.
    """

    async def work(app: App) -> int:
        url = _public_url(configuration)
        ours = await webhook_address(url, app.storage, "sms")
        if not new_secret:
            return await _change(app, phone, ours, ours, yes=yes)
        new = await webhook_address(url, app.storage, "sms", following=True)
        return await _change(app, phone, new, ours, then=app.storage.rotate_secrets, yes=yes)

    return _run(configuration, work)


def clear(configuration: Configuration, phone: str, *, yes: bool) -> int:
    """Have incoming texts of a number told to nobody, after a yes; 0 if they are not."""

    async def work(app: App) -> int:
        ours = await webhook_address(_public_url(configuration), app.storage, "sms")
        return await _change(app, phone, None, ours, yes=yes)

    return _run(configuration, work)


def _run(configuration: Configuration, work: Callable[[App], Awaitable[int]]) -> int:
    async def run() -> int:
        async with open_read_only(configuration) as app:
            app.require_account()
            return await work(app)

    return anyio.run(run)


def _public_url(configuration: Configuration) -> str:
    if url := configuration.settings.public_url:
        return url
    raise Misconfigured(
        "ELKS_PUBLIC_URL is not set.", hint="Set it to where 46elks reaches `elks-mcp serve --http`."
    )


async def _change(
    app: App,
    phone: str,
    address: str | None,
    ours: str,
    *,
    then: Callable[[], Awaitable[None]] | None = None,
    yes: bool,
) -> int:
    """Change where incoming texts of a number are told, after a yes, and do what has to come `then`."""
    number = await _find(app, phone)
    say(f"{number.number} now: {_now(number, ours)}")
    is_so = (address or "") == number.tells
    if is_so and not then:
        say("Nothing is to be changed.")
        return 0
    what = "they are told to this server" if address else "they are told to nobody"
    if not yes and not click.confirm(f"From now on: {what}. Change it?", default=False):
        say("Nothing was changed.")
        return 1
    if not is_so:
        await app.client.set_incoming_address(number, address)
    if then:  # only now: what 46elks was told before is heard until it is told something else
        await then()
    say(f"Changed: {what}.")
    return 0


async def _find(app: App, phone: str) -> OwnNumber:
    """Find the number that is meant: the one named, else the sender.

    Raises:
        NotFound: the account has no such number.
        InvalidInput: none is named, and the sender is none.
    """
    wanted = parse_number(phone, app.policy.home) if phone else app.policy.sender
    if not isinstance(wanted, Number):
        raise InvalidInput("Which number?", hint="Name it, or set ELKS_PHONE_NUMBER to it.")
    for each in await app.client.list_numbers():
        if each.number == wanted.e164:
            return each
    raise NotFound("The account has no such number.", hint="To list those it has: `elks-mcp webhooks show`.")


def _now(number: OwnNumber, ours: str) -> str:
    """Say what happens to incoming texts; whose address it is can be anybody's, so all of it is shown."""
    if not number.tells:
        return "incoming texts are told to nobody"
    return f"incoming texts are told to {'this server' if number.tells == ours else number.tells}"
