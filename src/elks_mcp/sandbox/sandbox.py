"""The Sandbox class: the entry point for elks-mcp itself and for tests."""

import secrets
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Final, TypedDict, Unpack

import httpx2
from starlette.types import ASGIApp

from elks_mcp.sandbox.account import (
    DEFAULT_NUMBER,
    DEFAULT_USERNAME,
    Charge,
    SandboxAccount,
    SandboxNumber,
    SandboxNumbers,
)
from elks_mcp.sandbox.asgi import build_app
from elks_mcp.sandbox.clock import SimulatedClock, SystemClock
from elks_mcp.sandbox.faults import Faults
from elks_mcp.sandbox.handsets import Handset
from elks_mcp.sandbox.in_process import InProcessTransport
from elks_mcp.sandbox.messages import MessageDirection, MessageStatus, StoredMessage
from elks_mcp.sandbox.network import Outgoing
from elks_mcp.sandbox.origin import SameOriginMiddleware
from elks_mcp.sandbox.page_context import PageContext
from elks_mcp.sandbox.phone_calls import PhoneCalls
from elks_mcp.sandbox.pictures import Picture, read_picture
from elks_mcp.sandbox.prices_and_rules import CREDIT, Rules
from elks_mcp.sandbox.requests import ApiRequest
from elks_mcp.sandbox.simulation import Simulation
from elks_mcp.sandbox.subaccounts import SandboxSubaccounts
from elks_mcp.sandbox.webhooks import WebhookAttempt

LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")


_OTHER_PARTY = "+46701740605"
"""A handset without magic."""


class PastMessage(TypedDict, total=False):
    """The fields of a message that `Sandbox.add_history` adds; all are optional."""

    direction: MessageDirection
    """By default `outgoing`."""
    sender: str | None
    """By default the account's number, or a handset for an incoming message."""
    to: str | None
    """By default a handset, or the account's number for an incoming message."""
    text: str
    status: MessageStatus | None
    """By default `delivered`; an incoming message has none."""
    delivered_at: datetime | None
    """By default the time of creation, if the message is delivered."""
    pictures: Sequence[bytes] | None
    """The files of an MMS; None, the default, is a text."""
    cost: int | None
    """In ten-thousandths; by default as in the price list."""


class Sandbox:
    """A complete 46elks in memory: account, API, network, handsets, phone page.

    Args:
        clock: by default the machine's clock; tests pass a `ManualClock`.
        number: the account's own phone number, in E.164. Answers to it appear in history.
        username: API username, `u` and 32 hexadecimal digits.
        password: API password; random by default.
        balance: the initial balance, in ten-thousandths of `currency`.
        currency: `SEK` or `EUR`.
        rules: prices, blocked countries and switches.
        webhook_transport: sends the webhooks; without one, they reach only `webhook_ports` of this machine.
        webhook_ports: ports of this machine that webhooks may be sent to.
        hosts: names that `app` accepts in the `Host` header, without port.
        page: what the phone page shows about the program that runs the sandbox.
    """

    def __init__(  # noqa: PLR0913  (all are optional and passed by name)
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
        page: PageContext | None = None,
    ) -> None:
        self.clock = clock or SystemClock()
        self.rules = rules or Rules()
        self.number, self.username = number, username
        self.password = password or secrets.token_hex(16)
        self._account = SandboxAccount(username, self.password, balance, currency)
        self._simulation = Simulation(
            clock=self.clock,
            rules=self.rules,
            account=self._account,
            own=SandboxNumber(number, self.clock.now()),
            webhook_transport=webhook_transport,
            webhook_ports=set(webhook_ports),
        )
        self.numbers: SandboxNumbers = self._simulation.numbers
        """The account's numbers; more may be added."""
        self.subaccounts: SandboxSubaccounts = self._simulation.subaccounts
        """The account's subaccounts; more may be added."""
        self.faults: Faults = self._simulation.faults
        """The injected faults."""
        self.requests: list[ApiRequest] = self._simulation.requests
        """Every request that reached `/a1`, in order."""
        self.webhooks: list[WebhookAttempt] = self._simulation.webhooks.attempts
        """Every attempt at a webhook, in order."""
        self.webhook_ports: set[int] = self._simulation.webhooks.ports
        """The ports of this machine that webhooks may be sent to; it may be changed."""
        self.calls: Final = PhoneCalls(self._simulation)
        """The phone calls, and what the owners of the phones do."""
        self.page: Final = page or PageContext()
        """The program around the sandbox, as the phone page shows it; the fields may be changed."""
        self._inner = build_app(self._simulation, self.page)
        self.app: ASGIApp = SameOriginMiddleware(self._inner, hosts)

    def transport(self) -> httpx2.AsyncBaseTransport:
        """Return a transport for an `httpx2.AsyncClient` of this process; it skips the `Host` check."""
        return InProcessTransport(self._inner)

    @property
    def charges(self) -> list[Charge]:
        """Every charge to the balance, in order."""
        self._simulation.catch_up()
        return self._account.charges

    @property
    def balance(self) -> int:
        """The balance, in ten-thousandths of the currency."""
        self._simulation.catch_up()
        return self._account.balance

    @balance.setter
    def balance(self, amount: int) -> None:
        self._account.balance = amount

    @property
    def accepted(self) -> list[StoredMessage]:
        """Every text and MMS that was accepted, paid replies to webhooks included, in order."""
        self._simulation.catch_up()
        return self._simulation.network.accepted

    @property
    def history(self) -> list[StoredMessage]:
        """Every message in the account's log, oldest first."""
        self._simulation.catch_up()
        return list(self._simulation.network.log)

    def handset(self, number: str) -> Handset:
        """Return the phone with this `number`, up to date."""
        self._simulation.catch_up()
        return self._simulation.network.handset(number)

    def receive(
        self, from_: str, text: str, to: str | None = None, *, pictures: Sequence[bytes] | None = None
    ) -> StoredMessage:
        """Send a text from `from_`, a number or a name, to the account's number or to `to`.

        With `pictures`, the contents of files, it is an MMS.

        Returns:
            The incoming message in history.

        Raises:
            ValueError: a picture is not a PNG, JPEG or GIF.
        """
        self._simulation.catch_up()
        self._simulation.notify()
        files = None if pictures is None else _read_pictures(pictures)
        return self._simulation.network.text_us(from_, text, to or self.number, self.clock.now(), files)

    def reply(self, handset_number: str, text: str) -> StoredMessage | None:
        """Answer the last sender on the phone `handset_number`, or else the account's number.

        Returns:
            The message in history, or None if it went to a number that is not the account's.

        Raises:
            CannotAnswerError: the last text came from a sender name, which cannot be answered.
        """
        self._simulation.catch_up()
        self._simulation.notify()
        return self._simulation.network.write(handset_number, text, self.clock.now())

    def add_history(self, created_at: datetime, **fields: Unpack[PastMessage]) -> StoredMessage:
        """Add a past message to history; nothing is sent, charged or reported.

        `created_at` is aware; several messages may share one time.
        """
        direction = fields.get("direction", "outgoing")
        is_incoming = direction == "incoming"
        sender = fields.get("sender") or (_OTHER_PARTY if is_incoming else self.number)
        to = fields.get("to") or (self.number if is_incoming else _OTHER_PARTY)
        text, status = fields.get("text", "Hej"), fields.get("status", "delivered")
        files = fields.get("pictures")
        pictures = None if files is None else _read_pictures(files)
        parts, price = self._simulation.network.price(Outgoing(sender, to, text, pictures=pictures))
        cost = fields.get("cost")
        if cost is None:
            cost = self.rules.incoming_cost if is_incoming else price
        is_delivered = status == "delivered" and not is_incoming
        message = StoredMessage(
            direction=direction,
            sender=sender,
            to=to,
            text=text,
            created_at=created_at,
            parts=parts,
            cost=cost,
            status=None if is_incoming else status,
            delivered_at=fields.get("delivered_at") or (created_at if is_delivered else None),
            pictures=pictures or (),
            is_mms=pictures is not None,
        )
        self._simulation.network.log.add(message)
        return message

    async def settle(self) -> None:
        """Carry out all due events: delivery, answers, webhooks and their retries."""
        await self._simulation.settle()

    def running(self) -> AbstractAsyncContextManager[None]:
        """Carry out events as they become due, while the context lasts."""
        return self._simulation.running()

    def release(self) -> None:
        """Drop the connections of all hanging requests and open pages, before a server shuts down."""
        self._simulation.release()


def _read_pictures(contents: Sequence[bytes]) -> tuple[Picture, ...]:
    pictures = [read_picture(content) for content in contents]
    if None in pictures:
        raise ValueError("A picture must be a PNG, JPEG or GIF.")
    return tuple(picture for picture in pictures if picture)
