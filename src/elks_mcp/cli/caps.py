"""`elks-mcp cap`: the cap that 46elks itself enforces, by a subaccount."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import anyio
import click

from elks_mcp.cli.arguments import find_option, shared_options, yes_option
from elks_mcp.cli.cap_account import DEFAULT_NAME, MainAccount
from elks_mcp.cli.cap_credentials import find_obstacle, hand_over
from elks_mcp.cli.confirm import confirm
from elks_mcp.cli.environment import with_settings
from elks_mcp.cli.exit_codes import ExitCode
from elks_mcp.cli.main_credentials import find_main_credentials
from elks_mcp.cli.output import say, wrap
from elks_mcp.domain.money import Money
from elks_mcp.domain.subaccounts import Subaccount, find_limit, find_stop, is_subaccount
from elks_mcp.elks.subaccounts import open_subaccounts
from elks_mcp.errors import InvalidInput, Misconfigured, NotFound, Rejected, Unauthorized
from elks_mcp.runtime.launcher import show_command
from elks_mcp.runtime.start_options import ENV_FILE
from elks_mcp.settings import Configuration, Settings

_subaccount = click.option(
    "--subaccount", "wanted", default="", metavar="ID", help="The subaccount (a…) to use."
)


@click.group()
@shared_options
def cap() -> None:
    """Show, set and lift the cap that 46elks itself enforces.

    It is the limit of a subaccount: 46elks accepts no more than that with its credentials, whatever this
    server or anybody else does with them. To change it needs the credentials of the account itself, which
    are asked for and not stored.
    """


@cap.command("show")
@click.option("--main", "as_main", is_flag=True, help="Ask with the credentials of the account itself.")
@with_settings()
def show_cap(configuration: Configuration, *, as_main: bool) -> int:
    """Show what 46elks itself caps, and what is used."""
    settings = _require_real(configuration)
    credentials = settings.credentials
    if credentials and is_subaccount(credentials.username) and not as_main:
        return anyio.run(_show_own, settings)

    async def work(account: MainAccount) -> int:
        found = await account.subaccounts.list_active()
        for each in found:
            say(f"{each.id} ({each.name}): {each.explain()}")
        if credentials is None or not is_subaccount(credentials.username):
            say("46elks itself caps nothing here: the server does not use the credentials of a subaccount.")
            say(f"To set a cap: {show_command('cap set 100 --monthly')}.")
        elif not any(each.id == credentials.username for each in found):
            say(f"The subaccount of these settings is not among them: {credentials.username}.")
        return 0

    return _run(settings, work)


async def _show_own(settings: Settings) -> int:
    assert settings.credentials  # noqa: S101  (the caller has looked)
    async with open_subaccounts(settings.credentials, settings.base_url, settings.time_limit) as own:
        try:
            found = await own.get(settings.credentials.username)
        except Rejected as error:
            raise NotFound(
                f"46elks does not let the subaccount read its own limit. {error}",
                hint=f"To ask with the account's own credentials: {show_command('cap show --main')}.",
            ) from None
    say(f"{found.id} ({found.name}): {found.explain()}")
    return 0


@cap.command("set")
@click.argument("amount")
@click.option(
    "--monthly", is_flag=True, help="AMOUNT from now on; renew it on the 1st. Otherwise: in all, ever."
)
@click.option("--name", default=DEFAULT_NAME, show_default=True, help="The subaccount's name at 46elks.")
@_subaccount
@yes_option
@with_settings()
@click.pass_context
def set_cap(
    context: click.Context,
    configuration: Configuration,
    *,
    amount: str,
    monthly: bool,
    name: str,
    wanted: str,
    yes: bool,
) -> int:
    """Let 46elks itself stop at AMOUNT.

    Makes a subaccount, or adjusts the one that there is. Its credentials are checked with free requests, and
    then written to --env-file, or printed without one. ELKS_ACCOUNT is written beside them, so that budget,
    orders and opt-outs stay those of the account.
    """
    settings, env_file = _require_real(configuration), find_option(context, ENV_FILE)
    if obstacle := find_obstacle(settings, env_file):
        raise obstacle

    async def work(account: MainAccount) -> int:
        wish = _parse_amount(amount, account.currency)
        found = await account.find(wanted, name)
        used = found.used if found else Money(0, account.currency)
        limit = find_limit(used, wish, monthly=monthly)
        _explain_plan(found, limit, name, monthly=monthly)
        if not yes and not confirm("Continue?"):
            say("Nothing was changed.")
            return 1
        capped = await account.cap(found or await account.create(name, limit), limit)
        code = await hand_over(account.subaccounts.client, capped, account.username, settings, env_file)
        if monthly and not code:
            _say(
                "46elks does not renew it. On the 1st, run this again: "
                f"{show_command(f'cap set {amount} --monthly')}. Run twice in a month, it allows the amount "
                "twice. A timer can do it: docs/caps.md."
            )
        return code

    return _run(settings, work)


@cap.command("stop")
@_subaccount
@with_settings()
def stop_cap(configuration: Configuration, *, wanted: str) -> int:
    """Let 46elks accept nothing more that costs, from now on: the kill switch.

    Sets the limit to what is used. Texts that 46elks has accepted already go out.

    Exit code 0 if the settings in force use that subaccount, 1 if not: a server with them goes on.
    """
    settings = _require_real(configuration)

    async def work(account: MainAccount) -> int:
        found = await account.get(wanted)
        stopped = await account.cap(found, find_stop(found.used))
        say(f"{stopped.id} ({stopped.name}): {stopped.explain()}")
        if not found.used.units:
            _say(
                "Nothing is used yet. 46elks may read a limit of 0 as none, so it is the smallest amount. At "
                "worst one more text goes out."
            )
        say(f"To go on: {show_command('cap set 100')} with a higher amount, or {show_command('cap lift')}.")
        return _report_use(stopped, settings)

    return _run(settings, work)


def _report_use(stopped: Subaccount, settings: Settings) -> int:
    """Say whether a server with these settings is stopped, too, and return the exit code."""
    username = settings.credentials.username if settings.credentials else ""
    if username == stopped.id:
        _say("The settings in force use it. A server that started with other settings goes on: restart it.")
        return ExitCode.DONE
    if not username:
        what = "no credentials, so it is not known what a server uses"
    elif is_subaccount(username):
        what = f"the credentials of another subaccount, {username}, so a server with them goes on"
    else:
        what = f"the account's own credentials ({username[:3]}…), so a server with them goes on"
    _say(
        f"The settings in force do not use this subaccount. They have {what}. To stop such a server, end it, "
        "or change the API password of what it uses on 46elks.com. To give it the credentials of the "
        f"subaccount, with a new limit: {show_command('cap set 100')} with its --env-file."
    )
    return ExitCode.FAILED


@cap.command("lift")
@_subaccount
@yes_option
@with_settings()
def lift_cap(configuration: Configuration, *, wanted: str, yes: bool) -> int:
    """Remove the limit. The subaccount stays, and its credentials stay valid."""

    async def work(account: MainAccount) -> int:
        found = await account.get(wanted)
        _explain_cap(found)
        if not yes and not confirm("Then 46elks itself caps nothing. Continue?"):
            say("Nothing was changed.")
            return 1
        _explain_cap(await account.cap(found, None))
        return 0

    return _run(_require_real(configuration), work)


def _run(settings: Settings, work: Callable[[MainAccount], Awaitable[int]]) -> int:
    """Do something with the credentials of the account itself, and return the exit code."""
    credentials = find_main_credentials(settings)

    async def run() -> int:
        async with AsyncExitStack() as stack:
            opened = open_subaccounts(credentials, settings.base_url, settings.time_limit)
            subaccounts = await stack.enter_async_context(opened)
            try:
                balance = (await subaccounts.client.get_account()).balance
            except Unauthorized:
                raise InvalidInput(
                    "46elks does not accept the credentials of the account. Nothing was changed.",
                    hint="They are on 46elks.com under Account → API. Those of the web site are others.",
                ) from None
            return await work(MainAccount(subaccounts, settings, credentials.username, balance.currency))

    return anyio.run(run)


def _require_real(configuration: Configuration) -> Settings:
    if configuration.policy.simulated:
        raise Misconfigured(
            "ELKS_SANDBOX is set: the simulated 46elks of this command ends with it, and so would the cap.",
            hint=f"To try it, unset ELKS_SANDBOX, and set what this prints: {show_command('sandbox')}.",
        )
    return configuration.settings


def _parse_amount(text: str, currency: str) -> Money:
    try:
        amount = Money.parse(text, currency)
    except ValueError as error:
        raise InvalidInput(
            f"{error}.", hint="Give an amount in the account's currency, as in 100 or 99.50."
        ) from None
    if not amount.units:
        raise InvalidInput(
            "An amount of 0 caps nothing for certain: 46elks may read a limit of 0 as no limit.",
            hint=f"To stop everything: {show_command('cap stop')}.",
        )
    return amount


def _explain_plan(found: Subaccount | None, limit: Money, name: str, *, monthly: bool) -> None:
    if found:
        say(f"The subaccount {found.id} ({found.name}) is there already.")
        _explain_cap(found)
    else:
        say(f"A subaccount named {name} is made.")
    kind = "the amount more than is used" if monthly else "all that it may ever spend"
    say(f"Its limit becomes {limit}: {kind}.")
    if found and limit.units <= found.used.units:
        say("That much is used already, so 46elks then refuses to send.")


def _explain_cap(found: Subaccount) -> None:
    say(found.explain())


def _say(text: str) -> None:
    say("\n".join(wrap(text)))
