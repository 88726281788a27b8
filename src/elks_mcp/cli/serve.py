"""`elks-mcp serve`: a server that runs until it is stopped, with HTTP or without."""

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import anyio
import click
from click.core import ParameterSource

from elks_mcp.app import App, open_app
from elks_mcp.cli.arguments import port_option
from elks_mcp.cli.environment import log_warnings, with_settings
from elks_mcp.cli.exit_codes import ExitCode
from elks_mcp.cli.output import describe_scheduled, say, show_account
from elks_mcp.cli.state import State
from elks_mcp.errors import Misconfigured
from elks_mcp.runtime import logs
from elks_mcp.runtime.launcher import show_command
from elks_mcp.runtime.tasks import background
from elks_mcp.settings import Configuration
from elks_mcp.store import ServerKind
from elks_mcp.store.admin import OrderAdmin


@click.command()
@click.option("--http", is_flag=True, help="Serve MCP over HTTP as well, for many clients.")
@click.option("--host", default="127.0.0.1", show_default=True, help="With --http: the address to listen on.")
@port_option(8046)
@with_settings()
def serve(configuration: Configuration, *, http: bool, host: str, port: int) -> int:
    """Send due texts until stopped; with --http, also serve MCP.

    Without --http, the server sends texts at their time, also while no client is open, and records answers
    and opt-outs. It opens no port.

    With --http, it also serves MCP at /mcp. With ELKS_PUBLIC_URL, it receives webhooks from 46elks at /hooks.
    /healthz reports whether it runs, /readyz whether it can work, and /metrics its metrics. Once a token
    exists (`elks-mcp token new`), every client must send one. Only then may the server listen on an address
    that other machines can reach.
    """
    if http:
        from elks_mcp.cli.http import serve_http  # noqa: PLC0415  (loads what only HTTP needs)

        return serve_http(configuration, host, port)
    _refuse_address(click.get_current_context())
    _require_sending(configuration)
    logs.set_up(configuration.settings.log_level)
    log_warnings(configuration)
    anyio.run(_send_and_receive, configuration)
    return ExitCode.DONE


def _refuse_address(context: click.Context) -> None:
    for name in ("host", "port"):
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name} needs --http. Without --http, no port is opened.")


def _require_sending(configuration: Configuration) -> None:
    """Check that a server without HTTP, which only sends and receives, may send.

    Raises:
        Misconfigured: it may not.
    """
    if configuration.policy.simulated:
        raise Misconfigured(
            "With ELKS_SANDBOX, each process has its own simulated 46elks and state, in memory. This "
            "server would find nothing to send.",
            hint=f"Unset ELKS_SANDBOX, and set the variables that this prints: {show_command('sandbox')}.",
        )
    if obstacle := configuration.find_sending_obstacle():
        raise obstacle


async def _send_and_receive(configuration: Configuration) -> None:
    """Send what is due and read what was received, until a signal."""
    with _ending_on_signals() as ended:
        async with open_app(configuration) as app:
            say(await _describe(app), err=True)
            kept = app.outbox.heartbeat.kept(ServerKind.SERVE)
            async with app.alerts.carried_on(), kept, background() as tasks:
                tasks.start_soon(app.replies.keep_receiving)
                await ended.wait()
            say("elks-mcp: stopping. A request that is under way is finished first.", err=True)


async def _describe(app: App) -> str:
    """Return what the server does, for whom, and what is scheduled."""
    configuration = app.configuration
    account = configuration.settings.account
    database = (await app.storage.open()).database
    scheduled = await OrderAdmin(database).find_scheduled(account)
    return (
        "elks-mcp: sending due texts, and recording received ones. No port is open. Ctrl-C ends it.\n"
        f"  Account: {show_account(account)}\n"
        f"  State: {State(configuration).description}\n"
        f"  {describe_scheduled(scheduled, app.policy.time_zone)}"
    )


_SIGNALS = [signal.SIGINT, signal.SIGTERM]
if sys.platform == "win32":
    _SIGNALS.append(signal.SIGBREAK)


@contextmanager
def _ending_on_signals() -> Iterator[anyio.Event]:
    """Return an event that is set by a signal to end.

    A second signal ends the process immediately.
    """
    ended, loop = anyio.Event(), asyncio.get_running_loop()

    def end(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        loop.call_soon_threadsafe(ended.set)  # which also wakes the loop; Windows has no `add_signal_handler`

    before = {each: signal.signal(each, end) for each in _SIGNALS}
    try:
        yield ended
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
