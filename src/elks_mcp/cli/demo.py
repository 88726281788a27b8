"""`elks-mcp demo`: start the server and use it as an assistant does, with simulated phones."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import click
from mcp import Client, StdioServerParameters
from mcp_types import CallToolResult, TextContent

from elks_mcp.cli.arguments import shared_options
from elks_mcp.cli.confirm import confirm
from elks_mcp.runtime.launcher import find_installation, name_program_here
from elks_mcp.sandbox import FIRST_PHONE
from elks_mcp.sandbox.number_format import format_number

_PHONE = format_number(FIRST_PHONE, FIRST_PHONE)

_TEXT = "Hej! Påminnelse: din tid hos oss är på lördag kl. 10. Svara JA om du kommer."
_SERVER = StdioServerParameters(
    command=sys.executable,
    args=["-m", "elks_mcp"],
    env={"ELKS_SANDBOX": "true", "ELKS_LOG_LEVEL": "WARNING", "ELKS_GREETER": "false"},
)
_TIMEOUT = 20
"""Seconds that a step may take."""


class _DemoFailed(Exception):
    """A step had an unexpected result."""


@click.command()
@click.option("--page", is_flag=True, help="Keep running afterwards, so that you can use the phones page.")
@shared_options
def demo(*, page: bool) -> None:
    """Watch an MCP client send a text to a simulated phone.

    The simulated phones are on a page that you can open in a browser while the demo runs. In a terminal, the
    demo offers to keep running. Ctrl-C ends it.

    Exit code 0 if every step had the expected result.
    """
    sys.exit(_run(page=page))


def _run(*, page: bool) -> int:
    """Run the demo, and return 0 if every step had the expected result, else 1."""
    click.echo(
        "An MCP client starts elks-mcp with ELKS_SANDBOX=true and talks to it over stdio, as Claude does."
    )
    click.echo("All answers below are real answers of the server. No account, no phone, no cost.")
    stays = _Stay(wanted=page)
    try:
        anyio.run(_play, stays)
    except _DemoFailed as error:
        click.echo(f"\nThe demo failed: {error}.", err=True)
        return 1
    except KeyboardInterrupt:
        if not stays.began:
            click.echo("\nThe demo was stopped before its end.", err=True)
            return 1
    return 0


class _Stay:
    """Whether the server keeps running after the last step, and whether that has begun."""

    def __init__(self, *, wanted: bool) -> None:
        self.wanted = wanted
        self.began = False

    async def at(self, address: str | None) -> None:
        """Keep running until Ctrl-C, if a person wants that and there is a page to look at."""
        if address and (self.wanted or _ask_to_stay(address)):
            self.began = True
            click.echo(f"The phones are at {address} until you press Ctrl-C.")
            await anyio.sleep_forever()


def _ask_to_stay(address: str) -> bool:
    """Ask a person in a terminal whether the server keeps running; in a pipe, do not ask."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    # The event loop's handler would wait for the answer before it ends the program.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return confirm(f"\nKeep it running, so that you can see the phones at {address}?")
    except click.Abort:
        return False
    finally:
        signal.signal(signal.SIGINT, handler)


async def _play(stays: _Stay) -> None:
    began = time.perf_counter()
    async with Client(_SERVER) as client:
        with anyio.fail_after(_TIMEOUT * 2):
            await _show_tools(client)
            address = await _show_page(client)
            await _show_prices(client)
            await _show_sending(client)
            await _show_afterwards(client)
        took = time.perf_counter() - began
        elks_mcp = name_program_here(find_installation(), os.environ, Path.cwd())
        click.echo(f"\nDone in {took:.1f} seconds. To use it in your client: `{elks_mcp} connect --sandbox`.")
        await stays.at(address)


async def _show_page(client: Client) -> str | None:
    """Print the address of the phones page, and return it; None if no port was free."""
    report = (await client.call_tool("explain_policy", {})).structured_content or {}
    address: str | None = report["sandbox"]["page"]
    if address:
        _print_heading("The simulated phones, in your browser while this runs")
        click.echo(f"  {address}")
    return address


async def _show_tools(client: Client) -> None:
    _print_heading("The tools that an assistant can use")
    for tool in (await client.list_tools()).tools:
        click.echo(f"  {tool.name:<26}{tool.title}")


async def _show_prices(client: Client) -> None:
    _print_heading("What would this text cost?")
    await _call(client, "estimate_sms_cost", to=_PHONE, message=_TEXT)
    _print_heading("And with curly quotation marks?")
    await _call(client, "estimate_sms_cost", to=_PHONE, message=_TEXT.replace("JA", "”JA”"))


async def _show_sending(client: Client) -> None:
    _print_heading("A dry run: nothing is sent")
    await _call(client, "send_sms", to=_PHONE, message=_TEXT, dryRun=True)
    _print_heading("The balance, a send (to a simulated phone), and the balance again")
    await _call(client, "check_account_balance")
    sent = await _call(client, "send_sms", to=_PHONE, message=_TEXT)
    await _call(client, "check_account_balance")
    _print_heading("The text is delivered, and the recipient answers")
    message_id = (sent.structured_content or {})["messageId"]
    await _until(client, "check_sms_status", "status", "delivered", messageId=message_id)
    await _until(client, "get_sms_messages", "count", 1, direction="inbound")


async def _show_afterwards(client: Client) -> None:
    _print_heading("Delivery statistics")
    await _call(client, "get_delivery_statistics")
    _print_heading("A sender that pretends to be a bank is refused")
    arguments = {"to": _PHONE, "message": "Ditt konto är spärrat.", "from": "Bank1D"}
    await _call(client, "send_sms", refused=True, **arguments)


def _print_heading(title: str) -> None:
    click.echo(f"\n{title}")


async def _call(client: Client, tool: str, *, refused: bool = False, **arguments: Any) -> CallToolResult:
    """Call a tool, show the call and the answer, and return the answer."""
    _show_call(tool, arguments)
    return _show(await client.call_tool(tool, arguments), refused=refused)


async def _until(client: Client, tool: str, field: str, value: object, **arguments: Any) -> None:
    """Call a tool until a field of its answer has a value, and show that answer."""
    _show_call(tool, arguments)
    with anyio.move_on_after(_TIMEOUT):
        while True:
            answer = await client.call_tool(tool, arguments)
            if (answer.structured_content or {}).get(field) == value:
                break
            await anyio.sleep(0.2)
        _show(answer, refused=False)
        return
    raise _DemoFailed(f"{tool} did not answer {field} = {value} within {_TIMEOUT} seconds")


def _show_call(tool: str, arguments: dict[str, Any]) -> None:
    spelled = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    click.secho(f"  > {tool}({spelled})", dim=True)


def _show(answer: CallToolResult, *, refused: bool) -> CallToolResult:
    for line in _text_of(answer).splitlines():
        click.echo(f"    {line}")
    if bool(answer.is_error) is not refused:
        raise _DemoFailed("this call should have been refused" if refused else "this call should have worked")
    return answer


def _text_of(answer: CallToolResult) -> str:
    return "\n".join(block.text for block in answer.content if isinstance(block, TextContent))
