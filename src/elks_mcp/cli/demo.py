"""`elks-mcp demo`: the server, started and used as an assistant would, on simulated phones."""

import sys
import time
from typing import Any

import anyio
import click
from mcp import Client, StdioServerParameters
from mcp_types import CallToolResult, TextContent

from elks_mcp.cli.options import shared_options

_PHONE = "070-174 06 14"
"""A handset of the sandbox that answers (docs/sandbox.md)."""

_TEXT = "Hej! Påminnelse: din tid hos oss är på lördag kl. 10. Svara JA om du kommer."
_SERVER = StdioServerParameters(
    command=sys.executable,
    args=["-m", "elks_mcp"],
    env={"ELKS_SANDBOX": "true", "ELKS_LOG_LEVEL": "WARNING"},
)
_PATIENCE = 20


class _Unexpected(Exception):
    """A step did not come out as it should."""


@click.command()
@shared_options
def demo() -> None:
    """Watch an MCP client text a simulated phone through this server."""
    sys.exit(_run())


def _run() -> int:
    """Show the server at work; 0 if all went as it should."""
    click.echo(
        "An MCP client starts elks-mcp with ELKS_SANDBOX=true and talks to it over stdio, as Claude would."
    )
    click.echo("Everything below is what the server really answered. No account, no phone, no cost.")
    began = time.perf_counter()
    try:
        anyio.run(_play)
    except _Unexpected as error:
        click.echo(f"\nThat was not to happen: {error}", err=True)
        return 1
    click.echo(
        f"\nDone in {time.perf_counter() - began:.1f} seconds. For your own client see the README: Set up."
    )
    return 0


async def _play() -> None:
    with anyio.fail_after(_PATIENCE * 2):
        async with Client(_SERVER) as client:
            await _show_tools(client)
            await _show_prices(client)
            await _show_sending(client)
            await _show_afterwards(client)


async def _show_tools(client: Client) -> None:
    _head("The tools an assistant gets")
    for tool in (await client.list_tools()).tools:
        click.echo(f"  {tool.name:<26}{tool.title}")


async def _show_prices(client: Client) -> None:
    _head("What would this text cost?")
    await _call(client, "estimate_sms_cost", to=_PHONE, message=_TEXT)
    _head("And with curly quotes in it?")
    await _call(client, "estimate_sms_cost", to=_PHONE, message=_TEXT.replace("JA", "”JA”"))


async def _show_sending(client: Client) -> None:
    _head("A dry run: nothing goes out")
    await _call(client, "send_sms", to=_PHONE, message=_TEXT, dryRun=True)
    _head("The balance, a real send (to a simulated phone), the balance again")
    await _call(client, "check_account_balance")
    sent = await _call(client, "send_sms", to=_PHONE, message=_TEXT)
    await _call(client, "check_account_balance")
    _head("It is delivered, and the phone's owner answers")
    message_id = (sent.structured_content or {})["messageId"]
    await _until(client, "check_sms_status", "status", "delivered", messageId=message_id)
    await _until(client, "get_sms_messages", "count", 1, direction="inbound")


async def _show_afterwards(client: Client) -> None:
    _head("How the sending goes")
    await _call(client, "get_delivery_statistics")
    _head("A sender that pretends to be a bank is refused")
    arguments = {"to": _PHONE, "message": "Ditt konto är spärrat.", "from": "Bank1D"}
    await _call(client, "send_sms", refused=True, **arguments)


def _head(title: str) -> None:
    click.echo(f"\n{title}")


async def _call(client: Client, tool: str, *, refused: bool = False, **arguments: Any) -> CallToolResult:
    """Call a tool, and show the call and the answer."""
    _show_call(tool, arguments)
    return _show(await client.call_tool(tool, arguments), refused=refused)


async def _until(client: Client, tool: str, field: str, value: object, **arguments: Any) -> None:
    """Call a tool until its answer holds a value, and show that answer."""
    _show_call(tool, arguments)
    with anyio.move_on_after(_PATIENCE):
        while True:
            answer = await client.call_tool(tool, arguments)
            if (answer.structured_content or {}).get(field) == value:
                break
            await anyio.sleep(0.2)
        _show(answer, refused=False)
        return
    raise _Unexpected(f"{tool} never came to say {field} = {value}")


def _show_call(tool: str, arguments: dict[str, Any]) -> None:
    spelled = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    click.secho(f"  > {tool}({spelled})", dim=True)


def _show(answer: CallToolResult, *, refused: bool) -> CallToolResult:
    for line in _words(answer).splitlines():
        click.echo(f"    {line}")
    if bool(answer.is_error) is not refused:
        raise _Unexpected("this call should have been refused" if refused else "this call should have worked")
    return answer


def _words(answer: CallToolResult) -> str:
    return "\n".join(block.text for block in answer.content if isinstance(block, TextContent))
