"""The assembly: settings in, a working whole out."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx2
from pydantic import SecretStr

from elks_mcp.api import Api, Credentials
from elks_mcp.client import ElksClient
from elks_mcp.clock import Clock
from elks_mcp.errors import Misconfigured
from elks_mcp.orders import Orders
from elks_mcp.outbox import Outbox
from elks_mcp.phone import Number, Sender
from elks_mcp.policy import Policy
from elks_mcp.settings import Configuration, explain_mistake
from elks_mcp.store import MemoryStore

if TYPE_CHECKING:
    from elks_mcp.sandbox import Sandbox

_LONGEST_WAIT = timedelta(seconds=12)


@dataclass(frozen=True, slots=True)
class App:
    """What the front doors work with."""

    configuration: Configuration
    policy: Policy
    client: ElksClient
    orders: Orders
    outbox: Outbox
    clock: Clock

    @property
    def settle_time(self) -> timedelta:
        """How long a send waits for its own outcome: one request and a little."""
        return min(timedelta(seconds=self.configuration.settings.timeout + 1), _LONGEST_WAIT)

    def require_account(self, *, sender: bool = False) -> None:
        """Check that 46elks can be asked at all.

        Raises:
            Misconfigured: variables are missing; the text names each, and says where to find them.
        """
        settings = self.configuration.settings
        wanted = {
            "ELKS_API_USERNAME": settings.api_username,
            "ELKS_API_PASSWORD": settings.api_password,
            **({"ELKS_PHONE_NUMBER": self.policy.sender} if sender else {}),
        }
        missing = [name for name, value in wanted.items() if value is None]
        if self.policy.simulated or not missing:
            return
        mistaken = self.configuration.mistaken
        hints = [explain_mistake(wrong, right) for wrong, right in mistaken.items()]
        raise Misconfigured(
            f"Missing required environment variables: {', '.join(missing)}.",
            hint=" ".join([*hints, _WHERE_TO_FIND]),
        )

    def require_clear_names(self) -> None:
        """Check that no limit the operator meant to set goes unread, before anything is really sent.

        Raises:
            Misconfigured: a variable is set whose name is near a known one.
        """
        if self.policy.simulated:
            return
        if mistakes := [explain_mistake(*pair) for pair in self.configuration.mistaken.items()]:
            raise Misconfigured(f"{' '.join(mistakes)} Until that is mended nothing is sent.")


_WHERE_TO_FIND = (
    "API username and API password are at 46elks.com under Account → API (they are not the log-in of the web "
    "site); the phone number is one of the account's. Set them where your client starts this server. "
    "To try everything without an account, set ELKS_SANDBOX=true instead."
)


@asynccontextmanager
async def open_app(
    configuration: Configuration,
    *,
    clock: Clock | None = None,
    transport: httpx2.AsyncBaseTransport | None = None,
) -> AsyncIterator[App]:
    """Build the whole and run it; the end of the context stops it.

    `clock` stands in for the machine's, `transport` for the network.
    """
    settings, policy = configuration.settings, configuration.settings.policy()
    credentials, base_url = settings.credentials, settings.base_url
    async with AsyncExitStack() as stack:
        if settings.sandbox:
            box = await stack.enter_async_context(_open_sandbox(policy.sender))
            credentials, base_url = Credentials(box.username, SecretStr(box.password)), _SANDBOX_URL
            policy = policy.model_copy(update={"sender": policy.sender or Number(box.number)})
            transport = box.transport()
        api = Api(
            credentials or Credentials("", SecretStr("")),
            base_url=base_url,
            timeout=timedelta(seconds=settings.timeout),
            transport=transport,
        )
        stack.push_async_callback(api.aclose)
        app = _assemble(configuration, policy, api, clock or Clock())
        await stack.enter_async_context(app.outbox.running())
        yield app


_SANDBOX_URL = "http://localhost/a1"


@asynccontextmanager
async def _open_sandbox(sender: Sender | None) -> AsyncIterator["Sandbox"]:
    """Run a 46elks here, whose account has the operator's number, so that answers to it arrive."""
    from elks_mcp.sandbox import Sandbox  # noqa: PLC0415  (nobody else pays for loading it)

    box = Sandbox(number=sender.e164) if isinstance(sender, Number) else Sandbox()
    async with box.running():
        yield box


def _assemble(configuration: Configuration, policy: Policy, api: Api, clock: Clock) -> App:
    store, client = MemoryStore(), ElksClient(api)
    pace = configuration.settings.sms_per_minute
    return App(
        configuration=configuration,
        policy=policy,
        client=client,
        orders=Orders(client, store, policy, clock),
        outbox=Outbox.over(api, store, clock, per_minute=pace),
        clock=clock,
    )
