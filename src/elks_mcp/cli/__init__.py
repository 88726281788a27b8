"""The front door for people: `elks-mcp` and its commands."""

import gc
import io
import sys
from importlib.metadata import version

import click

from elks_mcp.cli.by_hand import BY_HAND
from elks_mcp.cli.environment import act, find_state_dir, in_state_dir, read_options
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


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("elks-mcp"), prog_name="elks-mcp")
@in_state_dir
@click.pass_context
def commands(context: click.Context) -> None:
    """Text through 46elks from an AI assistant. Unofficial.

    Without a command it is the MCP server, on standard input and output.
    """
    if context.invoked_subcommand is not None:
        gc.enable()  # which `main` switched off while loading
        if isinstance(sys.stdout, io.TextIOWrapper):  # a Windows pipe cannot hold every character
            sys.stdout.reconfigure(errors="replace")
        return
    if sys.stdin.isatty():
        click.echo(_EXPLANATION)
        return
    with diverted():
        from elks_mcp.cli.stdio import serve  # noqa: PLC0415  (loads what only the server needs)

        configuration = read_options(context)
    serve(configuration)


@commands.command()
@in_state_dir
def demo() -> None:
    """Watch an MCP client text a simulated phone through this server."""
    from elks_mcp.cli.demo import run  # noqa: PLC0415

    sys.exit(run())


@commands.command()
@click.option(
    "--port", default=4646, show_default=True, type=click.IntRange(0, 65535), help="0: any free one."
)
@click.option(
    "--webhook-port",
    "webhook_ports",
    multiple=True,
    metavar="PORT",
    type=click.IntRange(1, 65535),
    help="A port of this machine that webhooks may go to. May be given several times.",
)
@click.option(
    "--password", "only_password", is_flag=True, help="Print the API password, and do nothing else."
)
@in_state_dir
@click.pass_context
def sandbox(
    context: click.Context, *, port: int, webhook_ports: tuple[int, ...], only_password: bool
) -> None:
    """Run a simulated 46elks, with phones to look at in the browser.

    Its API password is made once, and kept in the state directory.
    """
    from elks_mcp.cli.sandbox import print_password, run  # noqa: PLC0415

    folder = find_state_dir(context)
    if only_password:
        print_password(folder)
    else:
        run(port, webhook_ports, folder)


@commands.command()
@click.option("--http", is_flag=True, required=True, help="Over HTTP, for many clients.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where it listens.")
@click.option(
    "--port", default=8046, show_default=True, type=click.IntRange(0, 65535), help="0: any free one."
)
@in_state_dir
@click.pass_context
def serve(context: click.Context, *, http: bool, host: str, port: int) -> None:  # noqa: ARG001
    """Serve over HTTP, at /mcp, until it is stopped.

    Of what 46elks tells (ELKS_PUBLIC_URL) it hears at /hooks. /healthz says whether it runs, /readyz whether
    it can do its work, /metrics has figures. Once a token was made (`elks-mcp token new`), every client has
    to show one; only then does it listen elsewhere than on this machine.
    """
    from elks_mcp.cli.http import serve as run  # noqa: PLC0415

    act(context, lambda configuration: run(configuration, host, port))


@commands.command()
@in_state_dir
@click.pass_context
def doctor(context: click.Context) -> None:
    """Check what is configured, and whether 46elks accepts it. Exit code 0 if all is well."""
    from elks_mcp.cli.doctor import run  # noqa: PLC0415

    act(context, run, tolerant=True)


@commands.command()
@in_state_dir
@click.pass_context
def policy(context: click.Context) -> None:
    """Say what may be sent now, and why.

    Each rule with the variable that changes it, and what is left of the budget. It changes nothing.
    """
    from elks_mcp.cli.policy import run  # noqa: PLC0415

    act(context, run)


for _command in BY_HAND:
    commands.add_command(_command)
