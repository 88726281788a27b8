"""Start a server once, exactly as a client would, and say what it answers."""

import tempfile
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any, NamedTuple

import anyio
import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, TextContent

from elks_mcp.clients.servers import Program, Remote, Server
from elks_mcp.domain.policy import Mode

_LIVE = {"DRY_RUN": "off", "ELKS_READ_ONLY": "no"}
"""The rules under which texts leave, as `explain_policy` writes them."""
_TIMEOUT = 120
"""Seconds for the first start: uvx may have to download everything."""


class Started(NamedTuple):
    """The answer of a server: how many tools, its mode and its notes; or what went wrong.

    `sends` says whether a text really leaves: also one to a simulated phone does not in a dry run.
    """

    tools: int = 0
    mode: str = ""
    notes: tuple[str, ...] = ()
    sends: bool = False
    problem: str = ""

    @property
    def has_account(self) -> bool:
        """Whether it seems to use a real account: its notes name missing credentials."""
        return self.mode != Mode.SANDBOX and not any("ELKS_API_" in note for note in self.notes)

    def describe(self) -> str:
        """Return the answer in one line: connected, how many tools, and which mode."""
        words = ["Connected", f"{self.tools} tools", self.mode.upper()]
        return ", ".join(word for word in words if word) + "."


def start_once(server: Server) -> Started:
    """Start a program with the environment that a client gives it, or connect to an address."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        try:
            return anyio.run(_start, server, log)
        except Exception as error:  # noqa: BLE001  (any error is reported to the person)
            log.seek(0)
            return Started(problem=_explain(server, error, log.read()))


async def _start(server: Server, log: IO[str]) -> Started:
    with anyio.fail_after(_TIMEOUT):
        if isinstance(server, Program):
            env = {**server.env, "ELKS_SANDBOX_PAGE": "off"}
            started = StdioServerParameters(
                command=server.command, args=list(server.args), env=env, cwd=Path.home()
            )
            return await _ask(stdio_client(started, errlog=log))  # type: ignore[arg-type]
        return await _reach(server)


async def _reach(server: Remote) -> Started:
    """Ask a server over HTTP. The SDK's errors do not have the status, so it is watched here."""
    statuses: list[int] = []

    async def watch(response: httpx2.Response) -> None:
        statuses.append(response.status_code)

    headers = {"Authorization": f"Bearer {server.token}"} if server.token else {}
    hooks = {"response": [watch]}
    async with httpx2.AsyncClient(headers=headers, timeout=_TIMEOUT, event_hooks=hooks) as http:
        try:
            return await _ask(streamable_http_client(server.url, http_client=http))
        except Exception:
            if HTTPStatus.UNAUTHORIZED not in statuses:
                raise
    place = server.token_place
    reason = f"refuses the token in {place}" if server.token else f"requires a token, and {place} has none"
    return Started(
        problem=f"The server {reason} (HTTP 401). To create a token on the server: "
        "`elks-mcp token new NAME --scope read --scope send`."
    )


async def _ask(transport: Any) -> Started:
    async with Client(transport) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        if "explain_policy" not in names:
            return Started(len(names))
        answer = await client.call_tool("explain_policy", {})
        if answer.is_error:
            return Started(problem=f"The server answers with an error: {_read_text(answer)}")
        report = answer.structured_content or {}
        rules = {rule["variable"]: rule["now"] for rule in report.get("rules", ())}
        sends = "send_sms" in names and rules.items() >= _LIVE.items()
        notes = tuple(report.get("notes", ()))
        started = Started(len(names), str(report.get("mode", "")), notes, sends)
        if "check_account_balance" in names and started.has_account:
            balance = await client.call_tool("check_account_balance", {})
            if balance.is_error:
                return Started(
                    problem=f"The server starts, but the account cannot be read: {_read_text(balance)}"
                )
        return started


def _read_text(answer: CallToolResult) -> str:
    return " ".join(block.text for block in answer.content if isinstance(block, TextContent))


def _explain(server: Server, error: BaseException, log: str) -> str:
    """Return why a server could not be used, with the end of its log."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, TimeoutError):
        reason = f"it did not answer within {_TIMEOUT} seconds"
    elif isinstance(error, OSError) and isinstance(server, Program):
        reason = f"{server.command} cannot be started ({error.strerror or error})"
    else:
        reason = str(error).rstrip(".") or type(error).__name__
    last = log.strip().splitlines()[-3:]
    return "\n".join([f"The server could not be used: {reason}.", *(f"  its log: {line}" for line in last)])
