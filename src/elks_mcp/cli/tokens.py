"""`elks-mcp token`: who may call the server over HTTP, and what for."""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence

import anyio
import click

from elks_mcp.app import App
from elks_mcp.cli.output import say, show_moment
from elks_mcp.cli.read_only import open_read_only
from elks_mcp.domain.models import Scope
from elks_mcp.errors import InvalidInput, Misconfigured
from elks_mcp.settings import Configuration
from elks_mcp.store.tokens import Tokens


def make(configuration: Configuration, name: str, scopes: Sequence[str], agent: str) -> int:
    """Make a token and print it, and nothing else, on standard output."""
    if not all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", each) for each in (name, agent)):
        raise InvalidInput(
            "A name has letters from a to z, digits, dots, dashes and underscores; 64 at most."
        )

    async def work(tokens: Tokens) -> int:
        token = await tokens.make(name, frozenset(map(Scope, scopes)), agent)
        say(
            f"A token for {name}, scopes: {_in_words(scopes)}. It is shown once; clients send it as", err=True
        )
        say("`Authorization: Bearer …`. From now on nobody calls /mcp without one.", err=True)
        say(
            f"Its agent is {agent}. Only tokens of the same agent share orders, limits, and whose texts were",
            err=True,
        )
        say("shown (`tainted`): give the tokens of one assistant the same --agent.", err=True)
        click.echo(token)
        return 0

    return _run(configuration, work)


def list_all(configuration: Configuration) -> int:
    """List the tokens, revoked ones too; none of them can be shown."""

    async def work(tokens: Tokens) -> int:
        issued, known = await tokens.list_all(), await tokens.list_valid()
        if not known.any_made:
            say("There is no token. On this machine anybody may call /mcp; elsewhere it is not served.")
        elif not issued:
            say("There is no token for this account, and nobody may call /mcp without one: other accounts of")
            say("this state have or had some.")
        for each in issued:
            zone = configuration.settings.time_zone
            since = show_moment(each.created_at, zone)
            over = f", revoked {show_moment(each.revoked_at, zone)}" if each.revoked_at else ""
            whose = f"{each.caller.name}  agent {each.caller.agent}"
            say(f"{each.id}  {whose}  {_in_words(each.caller.scopes)}  made {since}{over}")
        for other in known.foreign.values():
            say(f"Not valid here: {other}.")
        return 0

    return _run(configuration, work)


def revoke(configuration: Configuration, which: str) -> int:
    """Revoke a token by its number, or all of a name."""

    async def work(tokens: Tokens) -> int:
        for each in await tokens.revoke(which):
            say(f"{each.id} of {each.caller.name} is revoked: within a second nobody calls with it.")
        return 0

    return _run(configuration, work)


async def is_any_valid(configuration: Configuration) -> bool:
    """Tell whether anybody could call with a token."""
    async with open_read_only(configuration) as app:
        return bool((await (await _open(app)).list_valid()).valid)


def _run(configuration: Configuration, work: Callable[[Tokens], Awaitable[int]]) -> int:
    async def run() -> int:
        async with open_read_only(configuration) as app:
            return await work(await _open(app))

    return anyio.run(run)


async def _open(app: App) -> Tokens:
    """Open the tokens of the account that the settings name.

    Raises:
        Misconfigured: they name none, or one whose state is in the memory of its server.
    """
    if not app.storage.location.is_durable:
        raise Misconfigured(
            "With ELKS_SANDBOX state is in the memory of the server, so no token can be made for it.",
            hint="Set ELKS_API_BASE_URL instead, to a sandbox that runs by itself: `elks-mcp sandbox`.",
        )
    app.require_account()
    return (await app.storage.open()).tokens


def _in_words(scopes: Iterable[str]) -> str:
    return " ".join(sorted(set(scopes)))
