"""What is allowed now and why, put together for whoever asks: an assistant, or a person in a terminal."""

from typing import Annotated, NamedTuple

from pydantic import AwareDatetime, Field

from elks_mcp.answers.structured import Amount, Answer, StructuredAnswer
from elks_mcp.app import App
from elks_mcp.domain.display import time_in_words
from elks_mcp.domain.doubts import explain_short_quiet_period
from elks_mcp.domain.guards import NOT_SWITCHABLE, is_on
from elks_mcp.domain.models import OrderState
from elks_mcp.domain.money import Money
from elks_mcp.domain.phone import Number, Sender
from elks_mcp.domain.policy import Confirm, Mode, Policy, largest_day, largest_price
from elks_mcp.domain.taint import find_hold
from elks_mcp.errors import ElksError, Misconfigured
from elks_mcp.runtime.clock import in_zone
from elks_mcp.store import PauseReason


class Rule(StructuredAnswer):
    """One rule as it is now, and the variable the operator changes it with."""

    about: str
    now: str
    variable: str
    is_set: Annotated[bool, Field(description="false: it is the default.")]

    def in_words(self) -> str:
        """Write it in a line."""
        return f"{self.about}: {self.now} ({self.variable}, {'set' if self.is_set else 'default'})"


class Budget(StructuredAnswer):
    """Money for any 24 hours; each null where it is not known."""

    most: Amount | None
    spent: Annotated[Amount | None, Field(description="Charged, or kept for what is under way.")]
    left: Amount | None


class PolicyAnswer(Answer):
    """What is allowed now."""

    mode: Mode
    summary: str
    rules: tuple[Rule, ...]
    budget: Budget
    paused: Annotated[PauseReason | None, Field(description="Why nothing is sent for now.")]
    open: Annotated[dict[str, int], Field(description="Orders that something has to be done about.")]
    stops_heard_until: Annotated[
        AwareDatetime | None, Field(description="Up to when 46elks' history was read for STOPs.")
    ]
    notes: tuple[str, ...]

    def in_words(self) -> str:
        """Say the mode, the rules, and how things stand."""
        lines = [
            f"{self.mode.capitalize()}: {self.summary}",
            *(f"- {rule.in_words()}" for rule in self.rules),
        ]
        if self.paused:
            lines.append(f"Sending is paused: {self.paused}.")
        if self.open:
            counted = ", ".join(f"{number} {state}" for state, number in self.open.items())
            lines.append(f"Orders: {counted}.")
        if self.stops_heard_until:
            lines.append(f"STOPs were heard up to {time_in_words(self.stops_heard_until)}.")
        return "\n".join([*lines, *(f"Note: {note}" for note in self.notes), _ONLY_OPERATOR])


_ONLY_OPERATOR = "Only the operator can change this, where the server is started."


class _Snapshot(NamedTuple):
    """How the account stands; with nothing in it, where nothing is known."""

    spent: int = 0
    paused: PauseReason | None = None
    open: dict[str, int] | None = None
    heard_until: AwareDatetime | None = None


async def describe_policy(app: App) -> PolicyAnswer:
    """Put together what is allowed now, for whoever asks."""
    standing, currency = await _stand(app), await _find_currency(app)
    budget = _budget(app.policy, currency, standing)
    return PolicyAnswer(
        mode=app.policy.mode,
        summary=_summary(app),
        rules=_rules(app, currency, budget),
        budget=budget,
        paused=standing.paused,
        open=standing.open or {},
        stops_heard_until=standing.heard_until,
        notes=(*_notes(app, standing), *await _explain_held(app)),
    )


# ── facts ──


async def _stand(app: App) -> _Snapshot:
    """Read how the account stands, if anything was ever remembered; nothing is made or loaded otherwise."""
    if not app.storage.exists or not app.has_account:
        return _Snapshot()
    store = await app.storage.open()
    from elks_mcp.store.totals import TotalsStore  # noqa: PLC0415  (the store is loaded by now)

    sums = await TotalsStore(store.database).sum_up()
    return _Snapshot(
        spent=sums.spent,
        paused=await store.queue.find_pause(),
        open={state.value: number for state in _OPEN if (number := sums.counts.get(state))},
        heard_until=sums.history_read_until,
    )


async def _explain_held(app: App) -> list[str]:
    """Say that the caller was shown texts of others, what that holds back, and the ways out."""
    held = find_hold(each.shown_at for each in app.taint_log.list_active(app.clock.now()))
    if app.storage.location.url:
        held = await (await app.storage.open()).taint.find_hold(app.caller.agent) or held
    if held is None or not is_on("tainted", app.policy):
        return []
    since, until = (time_in_words(in_zone(each, app.policy.time_zone)) for each in held)
    held_back = f"Until {until} a text to a number that was not texted before them waits for a person."
    where = "in the client or in a terminal" if app.storage.location.is_durable else "in the client"
    ways_out = (
        f"Ways out: a person approves it {where}, "
        "the operator lists the number in ELKS_ALLOWED_RECIPIENTS, or the time passes."
    )
    if app.storage.location.is_durable:
        ways_out += f" To list what waits in a terminal: {app.command('pending')}"
    return [f"Texts from others were read since {since}. {held_back} {ways_out}"]


_OPEN = (OrderState.WAITING, OrderState.QUEUED, OrderState.SENDING, OrderState.IN_DOUBT, OrderState.UNKNOWN)


async def _find_currency(app: App) -> str | None:
    """Ask 46elks for the account's currency; None where it cannot be asked."""
    if not app.has_account:
        return None
    try:
        return await app.client.get_currency()
    except ElksError:
        return None


# ── in words ──


def _summary(app: App) -> str:
    policy = app.policy
    if policy.read_only:
        return "send_sms sends nothing and only tells prices."
    if policy.dry_run:
        asks = policy.confirm is not Confirm.NEVER
        return "send_sms sends nothing and only tells prices" + (
            "; a person who is asked can let one text out." if asks else "."
        )
    return f"send_sms {'texts simulated phones' if policy.simulated else 'really sends'}."


def _rules(app: App, currency: str | None, budget: Budget) -> tuple[Rule, ...]:
    policy, settings = app.policy, app.configuration.settings
    said = {
        "dry_run": "on" if policy.dry_run else "off",
        "read_only": "yes" if policy.read_only else "no",
        "confirm": _CONFIRM[policy.confirm],
        "allowed_countries": ", ".join(sorted(policy.allowed_countries)),
        "allowed_recipients": _recipients(policy),
        "phone_number": _sender(policy.sender) if policy.sender else "none; each call has to name one",
        "allowed_senders": _senders(policy),
        "max_parts": str(policy.max_parts),
        "budget_per_message": _most(
            policy.budget_per_message, currency, 10, largest_price(policy, currency or "")
        ),
        "budget_per_day": _day(app, currency, budget),
        "max_per_number": f"{policy.max_per_number} in 10 minutes, {policy.max_per_number * 4} in 24 hours",
        "sms_per_minute": f"{settings.sms_per_minute} a minute",
        "quiet_period": f"{settings.quiet_period:g} s",
        "guards_off": ", ".join(sorted(policy.guards_off)) or "none",
        "inbound": _INBOUND[settings.inbound],
    }
    return tuple(_rule(app, name, now) for name, now in said.items())


def _rule(app: App, name: str, now: str) -> Rule:
    variable = type(app.configuration.settings).model_fields[name].alias or name
    return Rule(about=_ABOUT[name], now=now, variable=variable, is_set=name in app.configuration.origins)


_ABOUT = {
    "dry_run": "dry run",
    "read_only": "read-only",
    "confirm": "a person is asked",
    "allowed_countries": "countries",
    "allowed_recipients": "recipients",
    "phone_number": "sender",
    "allowed_senders": "other senders",
    "max_parts": "parts of one text at most",
    "budget_per_message": "one message may cost",
    "budget_per_day": "any 24 hours may cost",
    "max_per_number": "texts to one number",
    "sms_per_minute": "pace",
    "quiet_period": "a text without an answer counts as not accepted after",
    "guards_off": "guards switched off",
    "inbound": "received texts that may be read",
}

_INBOUND = {"all": "all", "known": "known: only from numbers that something was sent to"}

_CONFIRM = {
    Confirm.AUTO: "auto: where a guard wants it and the client can ask",
    Confirm.ALWAYS: "always: before every text, at the client or in a terminal",
    Confirm.NEVER: "never",
}


def _recipients(policy: Policy) -> str:
    number = len(policy.allowed_recipients)
    if not number:
        return "any number in these countries"
    return f"only {number} number{'s' if number > 1 else ''}; which is not told"


def _senders(policy: Policy) -> str:
    if not policy.allowed_senders:
        return "any that does not pass for a bank, an authority or a brand"
    return "only " + ", ".join(_sender(sender) for sender in policy.allowed_senders)


def _sender(sender: Sender) -> str:
    return sender.masked if isinstance(sender, Number) else sender.name


def _most(configured: int | None, currency: str | None, kronor: int, most: Money) -> str:
    if configured is None and currency is None:
        return f"{kronor} in SEK, NOK and DKK, else {kronor // 10}"
    return str(most)


def _budget(policy: Policy, currency: str | None, standing: _Snapshot) -> Budget:
    """Count what is left, as far as it is known: without the currency not even the default limit is."""
    known = currency or ""
    most = largest_day(policy, known) if currency is not None or policy.budget_per_day is not None else None
    left = Money(max(0, most.units - standing.spent), known) if most else None
    return Budget(
        most=Amount.of(most) if most else None,
        spent=None if standing.open is None else Amount.of(Money(standing.spent, known)),
        left=Amount.of(left) if left else None,
    )


def _day(app: App, currency: str | None, budget: Budget) -> str:
    policy = app.policy
    limit = _most(policy.budget_per_day, currency, 100, largest_day(policy, currency or ""))
    if budget.spent is None:
        return f"{limit}; {_NOTHING_KNOWN if app.storage.exists else _NOTHING_SPENT}"
    spent = (
        f"{limit}; {Money(round(budget.spent.amount * 10_000), currency or '')} of it is spent or reserved"
    )
    return f"{spent}, {budget.left.in_words()} is left" if budget.left else spent


_NOTHING_SPENT = "nothing was spent from here yet"
_NOTHING_KNOWN = "what was spent is not known without credentials"


def _notes(app: App, standing: _Snapshot) -> list[str]:
    settings = app.configuration.settings
    notes = []
    try:
        app.require_account(sender=True)
        app.require_clear_names()
    except Misconfigured as error:
        notes.append(str(error))
    if standing.heard_until is None and app.policy.live:
        notes.append(
            "46elks' history was not read for STOPs from here yet; that happens before the first send."
        )
    if app.policy.guards_off:
        cannot = ", ".join(sorted(NOT_SWITCHABLE))
        notes.append(f"Guards that cannot be switched off: {cannot}.")
    if weak := explain_short_quiet_period(settings.quiet_period, settings.timeout):
        notes.append(f"{weak}.")
    return notes
