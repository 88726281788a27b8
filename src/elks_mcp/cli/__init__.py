"""The front door for people: `elks-mcp` and its commands."""

import io
import sys
from importlib.metadata import version

import click

from elks_mcp.cli.lazy_group import LazyGroup
from elks_mcp.cli.options import shared_options
from elks_mcp.runtime.garbage import collection_paused
from elks_mcp.runtime.stdout import diverted

_EXPLANATION = """\
elks-mcp is an MCP server: a program like Claude, VS Code or Cursor starts it and talks to it.
Started by hand it has nobody to talk to. What you can do here:

  elks-mcp demo       watch it text a simulated phone, in a few seconds, without an account
  elks-mcp doctor     check what is configured
  elks-mcp policy     see what may be sent now, and which variable changes that
  elks-mcp pending    see what waits for your yes; `elks-mcp approve` gives it
  elks-mcp outbox     see what is on its way out
  elks-mcp sandbox    run a simulated 46elks, with phones to look at, in your browser
  elks-mcp --help     everything

To let your client start it, see the README's "Set up".
"""


_COMMANDS = {
    "approve": ("elks_mcp.cli.approval:approve", "Agree to a text that waits for a person."),
    "demo": ("elks_mcp.cli.demo:demo", "Watch an MCP client text a simulated phone through this server."),
    "doctor": ("elks_mcp.cli.doctor:doctor", "Check what is configured, and whether 46elks accepts it."),
    "export": ("elks_mcp.cli.privacy:export", "Print all that is held about a phone number, as JSON."),
    "forget": ("elks_mcp.cli.privacy:forget", "Remove what is held about a phone number."),
    "opt-outs": ("elks_mcp.cli.opt_outs:opt_outs", "See who gets no texts, and record it by hand."),
    "outbox": ("elks_mcp.cli.orders:outbox", "See what is on its way out, and decide about it."),
    "pending": ("elks_mcp.cli.approval:pending", "List the texts that wait for a person, and why."),
    "policy": ("elks_mcp.cli.policy:policy", "Say what may be sent now, and why."),
    "sandbox": (
        "elks_mcp.cli.sandbox:sandbox",
        "Run a simulated 46elks, with phones to look at in the browser.",
    ),
    "serve": ("elks_mcp.cli.http:serve", "Serve over HTTP, at /mcp, until it is stopped."),
    "token": ("elks_mcp.cli.tokens:token", "Make, list and revoke the tokens of clients."),
    "webhooks": ("elks_mcp.cli.webhooks:webhooks", "See and set where 46elks tells of incoming texts."),
}


@click.group(
    cls=LazyGroup,
    lazy=_COMMANDS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(version("elks-mcp"), prog_name="elks-mcp")
@shared_options
@click.pass_context
def commands(context: click.Context) -> None:
    """Text through 46elks from an AI assistant. Unofficial.

    Without a command it is the MCP server, on standard input and output.
    """
    if context.invoked_subcommand is not None:
        if isinstance(sys.stdout, io.TextIOWrapper):  # a Windows pipe cannot hold every character
            sys.stdout.reconfigure(errors="replace")
        return
    if sys.stdin.isatty():
        click.echo(_EXPLANATION)
        return
    with collection_paused(), diverted():
        from elks_mcp.cli.environment import read_options  # noqa: PLC0415  (loads what only the server needs)
        from elks_mcp.cli.stdio import serve  # noqa: PLC0415

        configuration = read_options(context)
    serve(configuration)
