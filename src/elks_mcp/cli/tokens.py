"""`elks-mcp token`: create, list and revoke the tokens of HTTP clients."""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence

import anyio
import click

from elks_mcp.app import App
from elks_mcp.cli.arguments import shared_options
from elks_mcp.cli.choices import Words
from elks_mcp.cli.environment import with_settings
from elks_mcp.cli.output import say
from elks_mcp.cli.read_only import open_read_only
from elks_mcp.domain.models import Scope
from elks_mcp.domain.wording import format_time_in
from elks_mcp.errors import InvalidInput, Misconfigured
from elks_mcp.runtime.launcher import show_command
from elks_mcp.settings import Configuration
from elks_mcp.store.tokens import Tokens


@click.group()
@shared_options
def token() -> None:
    """Create, list and revoke the tokens of HTTP clients.

    Use the settings of the server that runs `elks-mcp serve --http`: a token belongs to the account of these
    settings.
    """


@token.command("new")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=Words(["read", "send", "metrics"]),
    help="read: read the account's texts, sent and received. send: send texts, and follow what was sent. "
    "metrics: read /metrics, and nothing else. May be given several times.",
)
@click.option("--agent", default="", help="The assistant that uses the token. Default: NAME.")
@with_settings()
def new_token(configuration: Configuration, name: str, scopes: Sequence[str], agent: str) -> int:
    """Create a token for a client, and print it. It is shown only this once.

    Tokens of one agent are one caller: they share orders, idempotency keys, limits, and the record of which
    strangers' texts were shown. Tokens of two agents share none of these. If one assistant has two tokens,
    one to read and one to send, give both the same --agent. Otherwise a stranger's text that is read with
    one token does not affect what is sent with the other (`tainted`).

    Several tokens can have the same name, so that a new one can replace an old one.
    """
    agent = agent or name
    if not all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", each) for each in (name, agent)):
        raise InvalidInput(
            "A name of a token or agent has 1 to 64 characters: letters from a to z, digits, dots, dashes "
            "and underscores. It starts with a letter or a digit.",
            hint="Choose another name, as in salon-till.",
        )

    async def work(tokens: Tokens) -> int:
        made = await tokens.make(name, frozenset(map(Scope, scopes)), agent)
        say(
            f"A token for {name}, scopes: {_join(scopes)}. It is shown only this once. Clients send it as\n"
            "`Authorization: Bearer …`. From now on, /mcp refuses requests without a token.\n"
            f"Its agent is {agent}. Only tokens of the same agent share orders, limits, and the record of\n"
            "strangers' texts (`tainted`): give all tokens of one assistant the same --agent.",
            err=True,
        )
        click.echo(made)
        return 0

    return _run(configuration, work)


@token.command("list")
@with_settings()
def list_tokens(configuration: Configuration) -> int:
    """List the tokens, also revoked ones: their ids, names, agents and scopes."""

    async def work(tokens: Tokens) -> int:
        issued, known = await tokens.list_all(), await tokens.list_valid()
        if not known.any_made:
            say("There are no tokens. Any program on this machine may call /mcp; other machines cannot.")
        elif not issued:
            say(
                "There are no tokens for this account, so all requests to /mcp are refused: other\n"
                "accounts in this state have or had tokens."
            )
        for each in issued:
            zone = configuration.settings.time_zone
            created = format_time_in(zone, each.created_at)
            revoked = f", revoked {format_time_in(zone, each.revoked_at)}" if each.revoked_at else ""
            names = f"{each.caller.name}  agent {each.caller.agent}"
            say(f"{each.id}  {names}  {_join(each.caller.scopes)}  created {created}{revoked}")
        for other in known.foreign.values():
            say(f"Not valid here: {other}.")
        return 0

    return _run(configuration, work)


@token.command("revoke")
@click.argument("which", metavar="NAME|T-…")
@with_settings()
def revoke_token(configuration: Configuration, which: str) -> int:
    """Revoke all tokens of a name, or one token by its id."""

    async def work(tokens: Tokens) -> int:
        for each in await tokens.revoke(which):
            say(f"{each.id} of {each.caller.name} is revoked. The server refuses it within a second.")
        return 0

    return _run(configuration, work)


async def is_any_valid(configuration: Configuration) -> bool:
    """Return whether there is a valid token for the account of the settings."""
    async with open_read_only(configuration) as app:
        return bool((await (await _open(app)).list_valid()).valid)


def _run(configuration: Configuration, work: Callable[[Tokens], Awaitable[int]]) -> int:
    async def run() -> int:
        async with open_read_only(configuration) as app:
            return await work(await _open(app))

    return anyio.run(run)


async def _open(app: App) -> Tokens:
    """Return the tokens of the account of the settings.

    Raises:
        Misconfigured: the settings name no account, or its state is in the memory of a server.
    """
    if not app.storage.location.is_durable:
        raise Misconfigured(
            "With ELKS_SANDBOX, state is in the memory of the server, so no token can be created.",
            hint=f"Unset ELKS_SANDBOX, and set the variables that this prints: {show_command('sandbox')}.",
        )
    app.require_account()
    return (await app.storage.open()).tokens


def _join(scopes: Iterable[str]) -> str:
    return " ".join(sorted(set(scopes)))
