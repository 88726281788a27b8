"""Build the running application from its settings."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import httpx2
from pydantic import SecretStr

from elks_mcp.app_parts import AlertParts, CallParts, SharedParts, make_shared_parts
from elks_mcp.contacts.accepted import Acceptance, AcceptedContacts, ContactReader
from elks_mcp.contacts.recipients import Recipients
from elks_mcp.contacts.source import ContactSource
from elks_mcp.domain.caller_limits import UNLIMITED, CallerUsage, UsageLimits, UsageTracker
from elks_mcp.domain.guards import is_on
from elks_mcp.domain.kinds import SMS
from elks_mcp.domain.models import Caller, Scope
from elks_mcp.domain.policy import Policy
from elks_mcp.domain.taint import TaintLog
from elks_mcp.elks.client import ElksClient
from elks_mcp.elks.credentials import Credentials
from elks_mcp.elks.kinds_read import KindsRead
from elks_mcp.elks.own_numbers import OwnNumbers
from elks_mcp.elks.transport import Api
from elks_mcp.embedded_sandbox import EmbeddedSandbox, Provider, open_embedded_sandbox
from elks_mcp.inbound.handles import Handles
from elks_mcp.inbound.history import HistoryReader
from elks_mcp.inbound.replies import Replies
from elks_mcp.inbound.webhook_addresses import callbacks_finder
from elks_mcp.inbound.webhooks import WebhookIngest
from elks_mcp.runtime.bursts import Bursts
from elks_mcp.runtime.clock import Clock
from elks_mcp.runtime.metrics import Counters
from elks_mcp.sending import Outbox, OutboxOptions
from elks_mcp.sending.batch_plans import BatchPlanner
from elks_mcp.sending.batches import Batches
from elks_mcp.sending.cancellation import Canceller
from elks_mcp.sending.checks import DraftChecks
from elks_mcp.sending.orders import Orders
from elks_mcp.sending.plan import Planner
from elks_mcp.settings import Configuration, Settings, check_account, check_names
from elks_mcp.store import Storage

_LONGEST_WAIT = timedelta(seconds=12)


ANYBODY = Caller()
"""The caller if no token is needed, and the server itself."""


@dataclass(frozen=True, slots=True)
class App:
    """Everything that the interfaces use, for one caller."""

    configuration: Configuration
    policy: Policy
    client: ElksClient
    storage: Storage
    contacts: AcceptedContacts
    recipients: Recipients
    handles: Handles
    history: HistoryReader
    replies: Replies
    webhook_ingest: WebhookIngest
    calls: CallParts
    taint_log: TaintLog
    orders: Orders
    outbox: Outbox
    clock: Clock
    counters: Counters
    limits: UsageTracker
    bursts: Bursts
    alerts: AlertParts
    """Carries alerts on, if this is a long-running server that offers them."""

    sandbox: EmbeddedSandbox | None = None
    """The simulated 46elks in this process, if it is used."""

    is_remote: bool = False
    """Whether callers are on other machines, as over HTTP."""

    caller: Caller = ANYBODY

    def of(self, caller: Caller) -> "App":
        """Return the same app for another caller, with that caller's orders and taint."""
        if caller == self.caller:
            return self
        taint_log = self.taint_log.for_caller(caller.agent)
        client = self.client.counted(self.limits.for_caller(caller.agent).count_provider_request)
        may_quote = Scope.READ in caller.scopes
        orders = self.orders.of(caller.agent, taint_log, client, may_quote=may_quote)
        return replace(self, caller=caller, client=client, taint_log=taint_log, orders=orders)

    @property
    def planner(self) -> Planner:
        """The use cases of sending, for the caller."""
        return Planner(
            orders=self.orders,
            outbox=self.outbox,
            storage=self.storage,
            clock=self.clock,
            find_recipient=self.recipients.find,
            refresh_history=self.history.refresh,
            setup=self,
        )

    @property
    def batch_planner(self) -> BatchPlanner:
        """Plans the batches of the caller."""
        return BatchPlanner(self.planner, self.caller.agent)

    @property
    def batches(self) -> Batches:
        """Starts, follows and stops the batches of the caller."""
        return Batches(self.planner, self.caller.agent)

    @property
    def canceller(self) -> Canceller:
        """The use case of cancelling, for the caller."""
        return Canceller(self.orders, self.outbox, self.storage, self.policy, setup=self)

    @property
    def share(self) -> CallerUsage:
        """How much of this server the caller uses, and its limits."""
        return self.limits.for_caller(self.caller.agent)

    @property
    def settle_time(self) -> timedelta:
        """How long a send waits for its outcome: slightly longer than one request, at most 12 s."""
        return min(timedelta(seconds=self.configuration.settings.timeout + 1), _LONGEST_WAIT)

    @property
    def has_account(self) -> bool:
        """Whether there is an account, real or simulated, whose history can be read."""
        return self.policy.simulated or self.configuration.settings.credentials is not None

    @property
    def approval_page(self) -> str | None:
        """The address of a page on which a person can approve what waits, if there is one."""
        return self.sandbox.page_address if self.sandbox else None

    def require_account(self, *, sender: bool = False) -> None:
        """Check that 46elks can be called. `sender`: check that a default sender is set as well.

        Raises:
            Misconfigured: variables are missing. The message names each and says where to find its value.
        """
        check_account(self.configuration, sender=sender)

    def require_clear_names(self) -> None:
        """Check that no variable's name is nearly that of a setting, before anything is sent.

        Raises:
            Misconfigured: there is such a variable.
        """
        check_names(self.configuration)

    def command(self, words: str) -> str:
        """Return an `elks-mcp` command line about this server's state, to end a sentence with."""
        return self.configuration.settings.write_command(words)


@asynccontextmanager
async def open_app(
    configuration: Configuration,
    *,
    clock: Clock | None = None,
    transport: httpx2.AsyncBaseTransport | None = None,
    limits: UsageLimits = UNLIMITED,
    has_page: bool = False,
    contacts: ContactReader | None = None,
) -> AsyncIterator[App]:
    """Build the app and run it until the context ends.

    Args:
        configuration: the settings and what is wrong with the environment.
        clock: replaces the machine's and the database's clock.
        transport: replaces the network to 46elks.
        limits: how much one caller may use.
        has_page: whether the sandbox in this process serves its page, if its operator wants it.
        contacts: replaces the operator's files of contacts.
    """
    settings, policy = configuration.settings, configuration.policy
    credentials = settings.credentials or Credentials("", SecretStr(""))
    provider = Provider(credentials, settings.base_url, settings.account, transport)
    sandbox: EmbeddedSandbox | None = None
    async with AsyncExitStack() as stack:
        if settings.simulated:
            sandbox = await stack.enter_async_context(open_embedded_sandbox(policy, settings.public_url))
            provider = sandbox.provider
        parts = make_shared_parts(stack, settings, provider, clock, limits)
        reader = contacts or ContactSource(settings.contacts, policy.home, parts.clock)
        acceptance = Acceptance(parts.storage, settings.write_command(f'contacts accept "{reader.path}"'))
        in_force = AcceptedContacts(reader, acceptance if policy.limits_to_contacts else None)
        await in_force.start()
        app = _assemble(configuration, parts, sandbox, in_force)
        await _run(stack, app)
        if sandbox and has_page and settings.sandbox_page:
            page = sandbox.offering_page(app.outbox, app.storage, policy, in_force)
            await stack.enter_async_context(page)
        yield app


async def _run(stack: AsyncExitStack, app: App) -> None:
    """Run what every process runs; the stack ends it."""
    await stack.enter_async_context(app.storage.receiving_notifications())
    await stack.enter_async_context(app.replies.running())
    await stack.enter_async_context(app.outbox.running())
    if app.sandbox:  # its phones and its state end with this process, so no other could carry alerts on
        await stack.enter_async_context(app.alerts.carried_on())


def _assemble(
    configuration: Configuration,
    parts: SharedParts,
    sandbox: EmbeddedSandbox | None,
    contacts: AcceptedContacts,
) -> App:
    api, storage, clock, limits, counters = parts
    settings, policy = configuration.settings, configuration.policy
    client = _make_client(api, configuration, sandbox)
    # Requests that the server makes by itself, for all callers, are not in this count.
    counted = client.counted(limits.for_caller(ANYBODY.agent).count_provider_request)
    taint_log = TaintLog()
    history = HistoryReader(client, storage, clock, hides_unknown=policy.hides_unknown)
    own_numbers = OwnNumbers(client, clock, policy.own_numbers)
    checks = DraftChecks(policy, own_numbers, contacts, clock, lambda: client.is_simulated)
    poll = partial(_find_poll, settings, client)
    replies = Replies(client, storage, history, clock, poll)
    audio_url = sandbox.offer_audio(storage) if sandbox else None
    find_callbacks = callbacks_finder(settings.public_url, storage, audio_url=audio_url)
    calls = CallParts(client, storage, clock, settings, find_callbacks.serves_audio, poll)
    options = replace(
        _build_options(configuration, history),
        find_callbacks=find_callbacks,
        follow_calls=calls.follow,
    )
    outbox = Outbox.over(api.post, client, storage, checks, clock, options)
    is_enabled = policy.offers_alerts and not options.only_own
    return App(
        configuration=configuration,
        policy=policy,
        client=counted,
        storage=storage,
        contacts=contacts,
        recipients=Recipients(contacts, policy.home),
        handles=Handles(counted, storage, clock, lambda: contacts.known),
        history=history,
        replies=replies,
        webhook_ingest=WebhookIngest(storage, history, replies, clock, own_numbers, calls.notify),
        calls=calls,
        taint_log=taint_log,
        orders=Orders(counted, storage, taint_log, checks),
        outbox=outbox,
        alerts=AlertParts(calls, outbox, checks, history, replies, counters, is_enabled=is_enabled),
        clock=clock,
        counters=counters,
        limits=limits,
        bursts=Bursts(clock),
        sandbox=sandbox,
    )


def _make_client(api: Api, configuration: Configuration, sandbox: EmbeddedSandbox | None) -> ElksClient:
    """Return the client, which knows what a picture costs in the sandbox."""
    price = configuration.settings.mms_price
    if sandbox and price is None:
        price = sandbox.box.rules.mms_price
    return ElksClient(api, kinds=KindsRead.of(configuration.policy.toolsets, mms_price=price))


def _find_poll(settings: Settings, client: ElksClient) -> timedelta:
    return settings.poll(simulated=client.is_simulated)


def _build_options(configuration: Configuration, history: HistoryReader) -> OutboxOptions:
    settings = configuration.settings
    return OutboxOptions(
        per_minute=settings.sms_per_minute,
        timeout=timedelta(seconds=settings.timeout),
        quiet=timedelta(seconds=settings.quiet_period),
        only_own=configuration.find_sending_obstacle() is not None,
        refresh_history=history.refresh,
        at_night=not is_on("night", configuration.policy),
        hides=frozenset({SMS}) if settings.dontlog else frozenset(),
    )
