"""The sandbox as the rest of the package, and a test, holds it in the hand."""

import secrets
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime

import httpx2
from starlette.types import ASGIApp

from elks_mcp.sandbox.account import (
    DEFAULT_NUMBER,
    DEFAULT_USERNAME,
    Charge,
    SandboxAccount,
    SandboxNumber,
)
from elks_mcp.sandbox.asgi import build_app
from elks_mcp.sandbox.clock import SimulatedClock, SystemClock
from elks_mcp.sandbox.faults import Faults
from elks_mcp.sandbox.handsets import Handset
from elks_mcp.sandbox.in_process import InProcessTransport
from elks_mcp.sandbox.messages import MessageDirection, MessageStatus, StoredMessage
from elks_mcp.sandbox.origin import OwnOriginOnly
from elks_mcp.sandbox.provider import CREDIT, Rules
from elks_mcp.sandbox.requests import ApiRequest
from elks_mcp.sandbox.webhooks import WebhookAttempt
from elks_mcp.sandbox.world import World

LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")


class Sandbox:
    """A whole 46elks in memory: account, API, network, handsets, phone page.

    Args:
        clock: the machine's clock unless given; tests give a ``ManualClock``.
        number: the account's own phone number, in E.164. Answers to it land in history.
        username: API username, ``u`` and 32 hexadecimal digits.
        password: API password; unless given one of its own, by chance.
        balance: what the account holds to begin with, in ten-thousandths of *currency*.
        currency: ``SEK`` or ``EUR``.
        rules: prices, blocked countries and switches.
        webhook_transport: the way to webhooks; without one, only `webhook_ports` of this machine are reached.
        webhook_ports: ports of this machine that webhooks may go to; no other program here is posted to.
        hosts: names by which `app` may be reached over a socket, without port.
    """

    def __init__(  # noqa: PLR0913 - all optional, all by name
        self,
        *,
        clock: SimulatedClock | None = None,
        number: str = DEFAULT_NUMBER,
        username: str = DEFAULT_USERNAME,
        password: str | None = None,
        balance: int = 100 * CREDIT,
        currency: str = "SEK",
        rules: Rules | None = None,
        webhook_transport: httpx2.AsyncBaseTransport | None = None,
        webhook_ports: Iterable[int] = (),
        hosts: Sequence[str] = LOCAL_HOSTS,
    ) -> None:
        self.clock = clock or SystemClock()
        self.rules = rules or Rules()
        self.number, self.username = number, username
        self.password = password or secrets.token_hex(16)
        self._account = SandboxAccount(username, self.password, balance, currency)
        self._world = World(
            clock=self.clock,
            rules=self.rules,
            account=self._account,
            own=SandboxNumber(number, self.clock.now()),
            webhook_transport=webhook_transport,
            webhook_ports=set(webhook_ports),
        )
        self._inner = build_app(self._world)
        self.app: ASGIApp = OwnOriginOnly(self._inner, hosts)

    def transport(self) -> httpx2.AsyncBaseTransport:
        """Return the way in for an ``httpx2.AsyncClient`` of this process, which is no browser."""
        return InProcessTransport(self._inner)

    @property
    def faults(self) -> Faults:
        """What is to go wrong."""
        return self._world.faults

    @property
    def requests(self) -> list[ApiRequest]:
        """Every request that reached ``/a1``, in order."""
        return self._world.requests

    @property
    def charges(self) -> list[Charge]:
        """Everything that was taken from the balance, in order."""
        self._world.catch_up()
        return self._account.charges

    @property
    def balance(self) -> int:
        """What is left, in ten-thousandths of the currency."""
        self._world.catch_up()
        return self._account.balance

    @balance.setter
    def balance(self, amount: int) -> None:
        self._account.balance = amount

    @property
    def accepted(self) -> list[StoredMessage]:
        """Every text that was accepted for sending, paid replies to webhooks included, in order."""
        self._world.catch_up()
        return self._world.network.accepted

    @property
    def history(self) -> list[StoredMessage]:
        """Every message in the account's log, oldest first."""
        self._world.catch_up()
        return list(self._world.network.log)

    @property
    def webhooks(self) -> list[WebhookAttempt]:
        """Every try to reach a webhook, in order."""
        return self._world.webhooks.attempts

    @property
    def webhook_ports(self) -> set[int]:
        """The ports of this machine that webhooks may go to; it may be changed."""
        return self._world.webhooks.ports

    def handset(self, number: str) -> Handset:
        """Return the phone with this *number*, as it is now."""
        self._world.catch_up()
        return self._world.network.handset(number)

    def receive(self, from_: str, text: str, to: str | None = None) -> StoredMessage:
        """Let *from_*, a number or a name, text our number or the number *to*.

        Returns:
            The incoming message as history holds it.
        """
        self._world.catch_up()
        return self._world.network.text_us(from_, text, to or self.number, self.clock.now())

    def reply(self, handset_number: str, text: str) -> StoredMessage | None:
        """Answer, on the phone *handset_number*, whoever wrote to it last; or us, if nobody did.

        Returns:
            What history holds of it, or None if it went to a number that is not ours.

        Raises:
            CannotAnswerError: the last text came from a name; those are one-way.
        """
        self._world.catch_up()
        return self._world.network.write(handset_number, text, self.clock.now())

    def add_history(
        self,
        created_at: datetime,
        *,
        direction: MessageDirection = "outgoing",
        sender: str | None = None,
        to: str | None = None,
        text: str = "Hej",
        status: MessageStatus | None = "delivered",
        delivered_at: datetime | None = None,
        cost: int | None = None,
    ) -> StoredMessage:
        """Put a message of the past into history: nothing is sent, charged or reported.

        Unless given, the other party is a handset without magic, and *cost*, in ten-thousandths, follows the
        price list. *created_at* is aware; several messages may share one time.
        """
        is_incoming = direction == "incoming"
        sender = sender or ("+46701740605" if is_incoming else self.number)
        to = to or (self.number if is_incoming else "+46701740605")
        parts, price = self._world.network.quote(to, text)
        price = self.rules.incoming_cost if is_incoming else price
        message = StoredMessage(
            direction=direction,
            sender=sender,
            to=to,
            text=text,
            created_at=created_at,
            parts=parts,
            cost=price if cost is None else cost,
            status=None if is_incoming else status,
            delivered_at=delivered_at or (created_at if status == "delivered" and not is_incoming else None),
        )
        self._world.network.log.add(message)
        return message

    async def settle(self) -> None:
        """Let everything happen that is due by the clock: delivery, answers, webhooks and their retries."""
        await self._world.settle()

    def running(self) -> AbstractAsyncContextManager[None]:
        """Let everything happen by itself while inside, as the clock goes on."""
        return self._world.running()

    def release(self) -> None:
        """Drop the connections of all requests that hang; call it before a server shuts down."""
        self._world.release()

    def reset(self) -> None:
        """Go back to how the sandbox began; only the time stays."""
        self._world.reset()
