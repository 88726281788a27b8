"""`elks-mcp token`: who may call the server over HTTP, and what for."""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence

import anyio
import click

from elks_mcp.app import App
from elks_mcp.cli.environment import with_settings
from elks_mcp.cli.options import shared_options
from elks_mcp.cli.output import say, show_moment
from elks_mcp.cli.read_only import open_read_only
from elks_mcp.domain.models import Scope
from elks_mcp.errors import InvalidInput, Misconfigured
from elks_mcp.settings import Configuration
from elks_mcp.store.tokens import Tokens


@click.group()
@shared_options
def token() -> None:
    """Make, list and revoke the tokens of clients.

    For `elks-mcp serve --http`. It takes the settings of that server; the tokens are its account's.
    """


@token.command("new")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(["read", "send", "metrics"]),
    help="read: see the account's texts, the inbox too. send: send, and follow what was sent. metrics: read "
    "/metrics, and nothing else. May be given several times.",
)
@click.option("--agent", default="", help="Which assistant the token is for. Default: NAME.")
@with_settings()
def new_token(configuration: Configuration, name: str, scopes: Sequence[str], agent: str) -> int:
    """Make a token for a client, and print it: once.

    Tokens of one agent are one caller: they share orders, idempotency keys, limits, and which strangers'
    texts were shown. Tokens of two agents share none of these. If one assistant has two tokens, a reader
    and a sender, give both the same --agent. Otherwise a stranger's text that is read with one token does
    not hold back what is sent with the other (`tainted`).

    Several tokens can have one name, so that one can replace another.
    """
    agent = agent or name
    if not all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", each) for each in (name, agent)):
        raise InvalidInput(
            "A name has letters from a to z, digits, dots, dashes and underscores; 64 at most."
        )

    async def work(tokens: Tokens) -> int:
        made = await tokens.make(name, frozenset(map(Scope, scopes)), agent)
        say(
            f"A token for {name}, scopes: {_in_words(scopes)}. It is shown once; clients send it as", err=True
        )
        say("`Authorization: Bearer …`. From now on nobody calls /mcp without one.", err=True)
        say(
            f"Its agent is {agent}. Only tokens of the same agent share orders, limits, and whose texts were",
            err=True,
        )
        say("shown (`tainted`): give the tokens of one assistant the same --agent.", err=True)
        click.echo(made)
        return 0

    return _run(configuration, work)


@token.command("list")
@with_settings()
def list_tokens(configuration: Configuration) -> int:
    """List the tokens: their numbers, names and scopes."""

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


@token.command("revoke")
@click.argument("which", metavar="NAME|T-…")
@with_settings()
def revoke_token(configuration: Configuration, which: str) -> int:
    """Revoke all tokens of a name, or the one by its number."""

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
