"""`elks-mcp webhooks`: show and set the addresses to which 46elks forwards incoming texts."""

from collections.abc import Awaitable, Callable

import anyio
import click

from elks_mcp.app import App
from elks_mcp.cli.arguments import shared_options, yes_option
from elks_mcp.cli.confirm import confirm
from elks_mcp.cli.environment import with_settings
from elks_mcp.cli.number_lookup import find_own_number
from elks_mcp.cli.output import say
from elks_mcp.cli.read_only import open_read_only
from elks_mcp.domain.numbers import NumberChange, OwnNumber
from elks_mcp.domain.toolsets import Toolset
from elks_mcp.errors import Misconfigured
from elks_mcp.inbound.webhook_addresses import webhook_address
from elks_mcp.runtime.launcher import show_command
from elks_mcp.settings import Configuration

_own_phone = click.argument("phone", required=False, default="")


@click.group()
@shared_options
def webhooks() -> None:
    """Show and set where 46elks forwards incoming texts.

    Use the settings of the server that runs `elks-mcp serve --http`, with ELKS_PUBLIC_URL.
    """


@webhooks.command("show")
@with_settings()
def show_webhooks(configuration: Configuration) -> int:
    """Print the webhook addresses, with their secrets, and where incoming texts go now."""

    async def work(app: App) -> int:
        url = _public_url(configuration)
        say(f"Incoming texts:   {await webhook_address(url, app.storage, 'sms')}")
        if Toolset.MMS in app.policy.toolsets:
            say(f"Incoming MMS:     {await webhook_address(url, app.storage, 'mms')}")
        say(f"Delivery reports: {await webhook_address(url, app.storage, 'delivery')}?ref=O-…")
        say("These addresses contain secrets: anyone who knows one can pretend to be 46elks.")
        say("Delivery reports need no setting at 46elks.")
        ours = await webhook_address(url, app.storage, "sms")
        for number in await app.client.list_numbers():
            say(f"{number.number} now: {_describe(number, ours)}")
        return 0

    return _run(configuration, work)


@webhooks.command("set")
@_own_phone
@click.option(
    "--new-secret",
    is_flag=True,
    help="Rotate the secret in the address.",
)
@yes_option
@with_settings()
def set_webhooks(configuration: Configuration, phone: str, *, new_secret: bool, yes: bool) -> int:
    """Forward incoming texts to this server, and MMS if the toolset mms is on.

    Sets the number PHONE of the account, or ELKS_PHONE_NUMBER. Its current setting is shown first.

    After --new-secret the new and the previous address both work, for incoming texts and for delivery
    reports. The next rotation disables the previous one. If the account has several numbers, set the
    others too.
    """

    async def work(app: App) -> int:
        url = _public_url(configuration)
        ours = await webhook_address(url, app.storage, "sms")
        if not new_secret:
            return await _change(app, phone, ours, ours, yes=yes)
        new = await webhook_address(url, app.storage, "sms", following=True)
        return await _change(app, phone, new, ours, then=app.storage.rotate_secrets, yes=yes)

    return _run(configuration, work)


@webhooks.command("clear")
@_own_phone
@yes_option
@with_settings()
def clear_webhooks(configuration: Configuration, phone: str, *, yes: bool) -> int:
    """Stop forwarding incoming texts. They stay in 46elks' history."""

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
        "ELKS_PUBLIC_URL is not set.",
        hint=f"Set it to the address at which 46elks reaches this server: {show_command('serve --http')}.",
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
    """Set where a number forwards incoming texts, after a confirmation; return the exit code.

    `address`: the new address, or None to forward them nowhere. `ours`: the address of this server now.
    `then`: called after 46elks accepted the new address.
    """
    number = await find_own_number(app, phone)
    say(f"{number.number} now: {_describe(number, ours)}")
    pictures = await _find_mms_address(app, address, is_new=then is not None)
    is_set = (address or "") == number.sms_url and pictures in {None, number.mms_url}
    if is_set and not then:
        say("Nothing needs to be changed.")
        return 0
    change = "forwarded to this server" if address else "forwarded to no address"
    if not yes and not confirm(f"Incoming texts will be {change}. Continue?"):
        say("Nothing was changed.")
        return 1
    if not is_set:
        await app.client.configure_number(number, NumberChange(sms_url=address or "", mms_url=pictures))
    if then:  # only now, since 46elks uses the previous address until it takes the new one
        await then()
    say(f"Incoming texts are now {change}.")
    return 0


async def _find_mms_address(app: App, address: str | None, *, is_new: bool) -> str | None:
    """Return where MMS go if texts go to `address`: "" for nowhere, None to leave that as it is."""
    if Toolset.MMS not in app.policy.toolsets:
        return None
    if address is None:
        return ""
    return await webhook_address(_public_url(app.configuration), app.storage, "mms", following=is_new)


def _describe(number: OwnNumber, ours: str) -> str:
    """Describe where incoming texts go. An address of another server is shown in full."""
    if not number.sms_url:
        return "incoming texts are forwarded to no address"
    return f"incoming texts are forwarded to {'this server' if number.sms_url == ours else number.sms_url}"
