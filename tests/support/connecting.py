"""A client of the SDK, connected to our server, which sends through the test's sandbox."""

import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.client import ClientRequestContext
from mcp.client.session import MessageHandlerFnT
from mcp.server import MCPServer
from mcp_types import (
    CallToolResult,
    ElicitRequestFormParams,
    ElicitRequestParams,
    ElicitResult,
    ImageContent,
    InputRequiredResult,
    TextContent,
)

from elks_mcp.app import App, open_app
from elks_mcp.contacts.accepted import ContactReader
from elks_mcp.mcp_server.server import build_server
from elks_mcp.runtime.clock import Clock
from elks_mcp.runtime.tasks import background
from elks_mcp.sandbox import ManualClock, Sandbox
from elks_mcp.settings import load
from tests.sandbox.serving import serve
from tests.support.clocks import HANG, SandboxClock, at_rest, keep_jumping
from tests.support.clocks import ManualClock as OurClock
from tests.support.process import PLAIN
from tests.support.state_folders import with_tables

PHONE = "+46701740605"
Era = Literal["auto", "legacy"]
Way = Literal["auto", "legacy", "stdio"]
ERAS: tuple[Era, ...] = ("auto", "legacy")
"""The SDK client's two modes: the newest revision, and those with a handshake."""

EITHER_ERA = ("auto", pytest.param("legacy", marks=pytest.mark.long))
"""For tests whose outcome does not depend on the era. Both list the same tools, so the older is long."""

WAYS: tuple[Way, ...] = ("auto", "legacy", "stdio")
"""The eras in one process, and a subprocess over stdio with 46elks over a socket."""


FAST_PACE = {"ELKS_SMS_PER_MINUTE": "6000"}
"""For servers on the clock of the machine: at the default pace, a text leaves 0.6 s after the last one."""


def new_box() -> Sandbox:
    """Return a sandbox whose clock does not move."""
    return Sandbox(clock=ManualClock())


def box_on(clock: OurClock) -> Sandbox:
    """Return a sandbox that uses the server's clock."""
    return Sandbox(clock=SandboxClock(clock))


def live(box: Sandbox, **more: str) -> dict[str, str]:
    """Return the environment of a live server, which takes the sandbox for 46elks."""
    return {
        "ELKS_API_USERNAME": box.username,
        "ELKS_API_PASSWORD": box.password,
        "ELKS_PHONE_NUMBER": box.number,
        "DRY_RUN": "false",
        **more,
    }


class Person:
    """The person at the client, who approves every question unless `action` or `send` differ.

    `send`: whether they tick the box of the form.
    """

    def __init__(
        self, action: Literal["accept", "decline", "cancel"] = "accept", *, send: bool = True
    ) -> None:
        self.action = action
        self.send = send
        self.questions: list[str] = []

    async def __call__(
        self,
        context: ClientRequestContext,
        params: ElicitRequestParams,
    ) -> ElicitResult:
        assert isinstance(params, ElicitRequestFormParams)
        self.questions.append(params.message)
        ticks = dict.fromkeys(params.requested_schema["properties"], self.send)  # every form is one box
        content: dict[str, Any] | None = ticks if self.action == "accept" else None
        return ElicitResult(action=self.action, content=content)


class SlowPerson(Person):
    """A person who reads the question immediately, and answers when `answers` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = anyio.Event()

    async def __call__(
        self,
        context: ClientRequestContext,
        params: ElicitRequestParams,
    ) -> ElicitResult:
        result = await super().__call__(context, params)
        await self.answers.wait()
        return result


@asynccontextmanager
async def connected(
    environ: Mapping[str, str],
    *,
    box: Sandbox | None = None,
    way: Way = "auto",
    person: Person | None = None,
    clock: Clock | None = None,
    contacts: ContactReader | None = None,
    message_handler: MessageHandlerFnT | None = None,
) -> AsyncIterator[Client]:
    """Connect a client to a server with this environment; `box` takes the place of 46elks.

    While a server in this process ends, its clock advances by itself, so that it finishes its requests.
    """
    async with AsyncExitStack() as stack:
        ending = await stack.enter_async_context(background())
        folder = stack.enter_context(TemporaryDirectory(ignore_cleanup_errors=True))
        environ = {"ELKS_STATE_DIR": folder, **environ}  # temporary, unless the test names one
        if clock is None:
            environ = FAST_PACE | environ
        if way != "stdio" and environ.get("DRY_RUN") == "false":  # a dry run needs no tables
            with_tables(Path(folder))
        if way == "stdio":
            url = {"ELKS_API_BASE_URL": f"{await stack.enter_async_context(serve(box))}/a1"} if box else {}
            server: MCPServer[App] | StdioServerParameters = StdioServerParameters(
                command=sys.executable, args=["-m", "elks_mcp"], env={**PLAIN, **environ, **url}
            )
        else:
            server = in_process(environ, box, clock, contacts)
        mode = "legacy" if way == "legacy" else "auto"
        client = Client(server, mode=mode, elicitation_callback=person, message_handler=message_handler)
        connection = await stack.enter_async_context(client)
        try:
            yield connection
        finally:
            if isinstance(clock, OurClock):
                ending.start_soon(keep_jumping, clock)


def in_process(
    environ: Mapping[str, str],
    box: Sandbox | None,
    clock: Clock | None = None,
    contacts: ContactReader | None = None,
) -> MCPServer[App]:
    """Return a server in this process."""
    configuration = load(environ)
    transport = box.transport() if box else None
    return build_server(
        configuration.settings.policy(),
        lambda: open_app(configuration, transport=transport, clock=clock, contacts=contacts),
    )


def words(result: CallToolResult) -> str:
    """Return the text of an answer."""
    block, *pictures = result.content
    assert all(isinstance(picture, ImageContent) for picture in pictures)
    assert isinstance(block, TextContent)
    return block.text


_CHANGING = re.compile(
    r"\b[A-Z]-[2-9A-Z]{8}\b|\b[a-z][0-9a-f]{32}\b|received-[0-9a-f]{16}|\d{4}-\d\d-\d\d[T ][\d:.]+"
)


def without_ids(text: str) -> str:
    """Return a text without its ids and times: their digits can be those of a number."""
    return _CHANGING.sub("", text)


def data(result: CallToolResult) -> dict[str, Any]:
    """Return the structured content of an answer, which must have some."""
    assert isinstance(result.structured_content, dict)
    return result.structured_content


def findings(answer: CallToolResult) -> dict[str, str]:
    """Return the findings by guard, without `night`, which depends on the time of the test."""
    return {each["guard"]: each["reason"] for each in data(answer)["findings"] if each["guard"] != "night"}


def posted(box: Sandbox, *, dry_run: bool = False) -> list[dict[str, str]]:
    """List the forms of POST /sms and /mms that reached 46elks: the paid ones, or the dry runs."""
    posts = [
        request
        for request in box.requests
        if request.method == "POST" and request.path.endswith(("/sms", "/mms"))
    ]
    return [dict(post.form) for post in posts if (post.form.get("dryrun") == "yes") is dry_run]


async def call(client: Client, tool: str, /, **arguments: Any) -> CallToolResult:
    """Call a tool; `sender` stands for `from`, and `person` for `with`, which are keywords."""
    named = {_KEYWORDS.get(name, name): value for name, value in arguments.items()}
    result = await client.call_tool(tool, named)
    assert isinstance(result, CallToolResult)
    return result


_KEYWORDS = {"sender": "from", "person": "with"}


async def ask_by_hand(client: Client, arguments: dict[str, Any]) -> InputRequiredResult:
    """Request a text in the newer era, and return the question, without an answer to it."""
    asked = await client.session.call_tool("send_sms", arguments, allow_input_required=True)
    assert isinstance(asked, InputRequiredResult)
    return asked


_BREATH = 0.001
"""Seconds between two checks, in which other code can run. No result depends on the value."""


async def until(condition: Callable[[], bool], *, clock: OurClock | None = None) -> None:
    """Wait for a condition; with a clock, advance it meanwhile (only for work in this process)."""
    with anyio.fail_after(HANG):
        if clock:
            await at_rest()
        while not condition():
            if clock:
                await clock.advance_to_next_alarm()
                await at_rest()
            else:
                await anyio.sleep(_BREATH)


async def come_true(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a condition that has to be awaited."""
    with anyio.fail_after(HANG):
        while not await condition():  # noqa: ASYNC110  (it is in a database, which has no events)
            await anyio.sleep(_BREATH)


async def cancel_once(condition: Callable[[], bool], client: Client, **arguments: Any) -> None:
    """Request a text, and cancel the call when a condition becomes true."""
    async with anyio.create_task_group() as calls:

        async def send() -> None:
            await call(client, "send_sms", **arguments)
            raise AssertionError("the call was answered before it could be cancelled")

        calls.start_soon(send)
        await until(condition)
        calls.cancel_scope.cancel()
