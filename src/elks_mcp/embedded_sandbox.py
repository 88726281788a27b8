"""The simulated 46elks inside this server, and the page on which people see its phones.

The sandbox and uvicorn are loaded only if they are used.
"""

import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import anyio.to_thread
import httpx2
from anyio.abc import TaskGroup
from pydantic import SecretStr

from elks_mcp.domain.cleaning import cleaned
from elks_mcp.domain.phone import Number
from elks_mcp.domain.policy import Policy
from elks_mcp.elks.credentials import Credentials
from elks_mcp.errors import log_errors
from elks_mcp.runtime.tasks import background, unwrapped
from elks_mcp.sending import Outbox
from elks_mcp.sending.checks import KnownContacts
from elks_mcp.store import AccountKey, Storage

if TYPE_CHECKING:
    from elks_mcp.clients.snippets import Snippet
    from elks_mcp.sandbox import Sandbox

log = logging.getLogger(__name__)

PORT = 4646
"""The port of the page, if it is free; otherwise any free port."""

_HOST = "127.0.0.1"
_MOST_CLIENTS = 3
_LONGEST_NAME = 40


class Provider(NamedTuple):
    """The 46elks that a server uses: the real one, or a sandbox in its process."""

    credentials: Credentials
    base_url: str
    account: AccountKey
    transport: httpx2.AsyncBaseTransport | None


class EmbeddedSandbox:
    """A sandbox in this process, and its page.

    The page is not served from the start: loading what serves it would delay the first answers. An interface
    calls `open_page` once it has listed the tools.
    """

    def __init__(self, box: "Sandbox", audio: "OwnAudio") -> None:
        self.box = box
        self._audio = audio
        self._tasks: TaskGroup | None = None
        self._was_opened = False
        self._clients: dict[str, None] = {}
        self._folder = _clean_name(_find_folder())
        self._name_page()
        self.page_address: str | None = None
        """The address of the page; None as long as it is not served, or if it cannot be."""

    def offer_audio(self, storage: Storage) -> str:
        """Let simulated phones fetch audio without a network; return at which address."""
        self._audio.storage = storage
        return _OWN_ORIGIN

    @property
    def provider(self) -> Provider:
        """The sandbox as the 46elks of this process."""
        credentials = Credentials(self.box.username, SecretStr(self.box.password))
        account = AccountKey(_SANDBOX_URL, self.box.username)
        return Provider(credentials, _SANDBOX_URL, account, self.box.transport())

    @asynccontextmanager
    async def offering_page(
        self, outbox: Outbox, storage: Storage, policy: Policy, contacts: KnownContacts
    ) -> AsyncIterator[None]:
        """Let `open_page` serve the page, with what waits for a person, until the context ends."""
        from elks_mcp.sandbox import Approvals  # noqa: PLC0415  (the sandbox is loaded by now)
        from elks_mcp.sending.page_approvals import PageApprovals  # noqa: PLC0415

        approvals = PageApprovals(outbox, storage, policy, contacts)
        self.box.page.approvals = Approvals(approvals.list_waiting, approvals.decide, approvals.list_batches)
        async with background() as self._tasks:
            yield
        self._tasks = None

    def open_page(self) -> bool:
        """Begin to serve the page, if it is offered and was not opened yet; return whether it began.

        Its address is known immediately. A browser that is faster than the server waits for it.
        """
        if self._tasks is None or self._was_opened:
            return False
        self._was_opened = True
        listener = _listen()
        if listener is None:
            log.warning("The sandbox's page is not served: no port of this machine can be used.")
            return False
        self.page_address = f"http://{_HOST}:{listener.getsockname()[1]}"
        self._tasks.start_soon(self._serve, listener)
        return True

    def start_soon(self, work: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Run a task that ends with the page at the latest, and whose failure ends nothing else."""

        async def run() -> None:
            with log_errors(log, "The sandbox's page lacks something"):
                await work(*arguments)

        if self._tasks:
            self._tasks.start_soon(run)

    def add_client(self, name: str) -> None:
        """Name a client in the title of the page; the name may hold anything."""
        name = _clean_name(name)
        if name and name not in self._clients and len(self._clients) < _MOST_CLIENTS:
            self._clients[name] = None
            self._name_page()

    def set_folder(self, name: str) -> None:
        """Name the folder that the client works in; the name may hold anything."""
        self._folder = _clean_name(name) or self._folder
        self._name_page()

    def _name_page(self) -> None:
        clients = ", ".join(self._clients)
        self.box.page.title = " · ".join(each for each in (clients, self._folder) if each)

    async def _serve(self, listener: socket.socket) -> None:
        """Serve the page until this server ends. A failure ends the page and not the server."""
        with listener, log_errors(log, "The sandbox's page is not served"):
            self.box.page.snippets = await anyio.to_thread.run_sync(_load)
            from elks_mcp.sandbox.serving import serve_until_cancelled  # noqa: PLC0415  (loaded by now)

            await serve_until_cancelled(self.box, listener)
        self.page_address = None


class OwnAudio(httpx2.AsyncBaseTransport):
    """The way from simulated phones to what calls play, if this server has no public address."""

    def __init__(self) -> None:
        self.storage: Storage | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer with audio; everything else is not found."""
        if self.storage is None or request.method != "GET":
            return httpx2.Response(404)
        from elks_mcp.inbound.call_addresses import read_audio_path  # noqa: PLC0415  (most make no call)

        now = await (await self.storage.open()).database.now()
        wanted = read_audio_path(await self.storage.find_hasher(), request.url.path, now)
        found = await (await self.storage.open()).calls.find_audio(wanted.digest) if wanted else None
        return httpx2.Response(200, content=found.content) if found else httpx2.Response(404)


_OWN_ORIGIN = "http://localhost"
_SANDBOX_URL = f"{_OWN_ORIGIN}/a1"


@asynccontextmanager
async def open_embedded_sandbox(policy: Policy, public_url: str | None) -> AsyncIterator[EmbeddedSandbox]:
    """Run a simulated 46elks whose account has the operator's number.

    Args:
        policy: the operator's rules, which name the sender.
        public_url: the sandbox may deliver webhooks to its port, if it is on this machine.
    """
    from elks_mcp.sandbox import Sandbox  # noqa: PLC0415  (slow to load, and rarely needed)

    sender, audio = policy.sender, OwnAudio()
    transport = None if public_url else audio
    box = (
        Sandbox(number=sender.e164, webhook_transport=transport)
        if isinstance(sender, Number)
        else Sandbox(webhook_transport=transport)
    )
    if public_url:
        ours = httpx2.URL(public_url)
        box.webhook_ports.add(ours.port or (443 if ours.scheme == "https" else 80))
    with unwrapped():
        async with box.running():
            yield EmbeddedSandbox(box, audio)


def _load() -> "dict[str, Snippet]":
    """Load what serves the page, and return what other clients need to get such a sandbox.

    Call this in a thread, so that the server keeps answering.
    """
    import elks_mcp.sandbox.serving  # noqa: F401, PLC0415
    from elks_mcp.clients.snippets import write_snippets  # noqa: PLC0415

    return write_snippets({"ELKS_SANDBOX": "true"})


def _listen() -> socket.socket | None:
    """Return a socket that listens on this machine only; None if there is no free port."""
    for port in (PORT, 0):
        try:
            listener = socket.create_server((_HOST, port))
        except OSError:
            continue
        # asyncio sets this for its own listeners. Without it each answer waits 40 ms for an acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    return None


def _clean_name(name: str) -> str:
    """Return a stranger's name in one short line, without invisible characters."""
    return " ".join(cleaned(name).split())[:_LONGEST_NAME]


def _find_folder() -> str:
    """Return the name of the working directory: for most clients, the folder of the project."""
    try:
        return Path.cwd().name
    except OSError:  # it was deleted
        return ""
