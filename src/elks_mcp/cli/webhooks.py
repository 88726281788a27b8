"""`elks-mcp webhooks`: where 46elks tells of incoming texts, as the account's number is set."""

from collections.abc import Awaitable, Callable

import anyio
import click

from elks_mcp.app import App, hook_address
from elks_mcp.cli.environment import with_settings
from elks_mcp.cli.options import shared_options, yes_option
from elks_mcp.cli.output import say
from elks_mcp.cli.read_only import open_read_only
from elks_mcp.domain.models import OwnNumber
from elks_mcp.domain.phone import Number, parse_number
from elks_mcp.errors import InvalidInput, Misconfigured, NotFound
from elks_mcp.settings import Configuration

_own_phone = click.argument("phone", required=False, default="")


@click.group()
@shared_options
def webhooks() -> None:
    """See and set where 46elks tells of incoming texts.

    For `elks-mcp serve --http` with ELKS_PUBLIC_URL. It takes the settings of that server.
    """


@webhooks.command("show")
@with_settings()
def show_webhooks(configuration: Configuration) -> int:
    """Print the addresses, with their secrets, and what your numbers do now."""

    async def work(app: App) -> int:
        url = _public_url(configuration)
        say(f"Incoming texts:   {await hook_address(url, app.storage, 'sms')}")
        say(f"Delivery reports: {await hook_address(url, app.storage, 'delivery')}?ref=O-…")
        say("They hold secrets: who knows one can pretend to be 46elks. Delivery reports need no setting.")
        ours = await hook_address(url, app.storage, "sms")
        for number in await app.client.list_numbers():
            say(f"{number.number} now: {_now(number, ours)}")
        return 0

    return _run(configuration, work)


@webhooks.command("set")
@_own_phone
@click.option("--new-secret", is_flag=True, help="At a new address. The old one is heard until the next one.")
@yes_option
@with_settings()
def set_webhooks(configuration: Configuration, phone: str, *, new_secret: bool, yes: bool) -> int:
    """Have incoming texts told to this server.

    Of ELKS_PHONE_NUMBER, or the number of the account that is named. What it did before is shown first.

    After --new-secret both addresses are heard, for incoming texts and for delivery reports; do it once more,
    and the first is not. An account with several numbers: set the others too.
    """

    async def work(app: App) -> int:
        url = _public_url(configuration)
        ours = await hook_address(url, app.storage, "sms")
        if not new_secret:
            return await _change(app, phone, ours, ours, yes=yes)
        new = await hook_address(url, app.storage, "sms", following=True)
        return await _change(app, phone, new, ours, then=app.storage.rotate_secrets, yes=yes)

    return _run(configuration, work)


@webhooks.command("clear")
@_own_phone
@yes_option
@with_settings()
def clear_webhooks(configuration: Configuration, phone: str, *, yes: bool) -> int:
    """Have incoming texts told to nobody. They stay in 46elks' history."""

    async def work(app: App) -> int:
        ours = await hook_address(_public_url(configuration), app.storage, "sms")
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
