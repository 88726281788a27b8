"""The policy report: the rules in force, who can change them, and the rest of the budget."""

__lazy_modules__ = ["elks_mcp.contacts.report"]

from functools import partial
from typing import Annotated, NamedTuple

from pydantic import AwareDatetime, Field

from elks_mcp.answers.batches import list_unfinished
from elks_mcp.answers.sandbox import SandboxAnswer, describe_sandbox, find_mode, is_simulated
from elks_mcp.answers.schedule import describe_sending_server
from elks_mcp.answers.structured import Answer, MoneyField, StructuredAnswer
from elks_mcp.app import App
from elks_mcp.contacts.report import describe_contacts
from elks_mcp.domain.doubts import explain_short_quiet_period
from elks_mcp.domain.guards import NOT_SWITCHABLE, is_on
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import UNFINISHED, OrderState
from elks_mcp.domain.policy import Confirm, Mode, Policy, largest_day
from elks_mcp.domain.taint import find_hold
from elks_mcp.domain.toolsets import Toolset
from elks_mcp.domain.wording import format_money, format_time, format_time_in
from elks_mcp.errors import ElksError, Misconfigured
from elks_mcp.sending.server_setup import can_wait, name_approval_place
from elks_mcp.store import PauseReason


class Rule(StructuredAnswer):
    """One rule as it is in force, and the variable with which the operator changes it."""

    about: str
    now: str
    variable: str
    is_set: Annotated[bool, Field(description="false: it is the default.")]

    def in_words(self) -> str:
        """Return the rule in one line."""
        return f"{self.about}: {self.now} ({self.variable}, {'set' if self.is_set else 'default'})"


class Budget(StructuredAnswer):
    """Money for any 24 hours. An amount is null if it is not known."""

    most: MoneyField | None
    spent: Annotated[MoneyField | None, Field(description="Charged, or reserved for unfinished orders.")]
    left: MoneyField | None


class PolicyAnswer(Answer):
    """The policy report."""

    mode: Mode
    summary: str
    rules: tuple[Rule, ...]
    budget: Budget
    paused: Annotated[PauseReason | None, Field(description="Why sending is paused.")]
    open: Annotated[dict[str, int], Field(description="Unfinished orders, by state.")]
    opt_outs_read_until: Annotated[
        AwareDatetime | None,
        Field(alias="stopsHeardUntil", description="Up to when 46elks' history was read for opt-outs."),
    ]
    sandbox: SandboxAnswer | None
    notes: tuple[str, ...]

    def in_words(self) -> str:
        """Return the mode, the rules, the state of the account and the notes, each on a line."""
        lines = [
            f"{self.mode.capitalize()}: {self.summary}",
            *(f"- {rule.in_words()}" for rule in self.rules),
        ]
        if self.paused:
            lines.append(f"Sending is paused: {self.paused}.")
        if self.open:
            counted = ", ".join(f"{number} {state}" for state, number in self.open.items())
            lines.append(f"Orders: {counted}.")
        if self.opt_outs_read_until:
            lines.append(f"Opt-outs were read up to {format_time(self.opt_outs_read_until)}.")
        if self.sandbox:
            lines.append(self.sandbox.in_words())
        return "\n".join([*lines, *(f"Note: {note}" for note in self.notes), _ONLY_OPERATOR])


_ONLY_OPERATOR = "Only the operator can change these rules, in the environment of the server."


class BudgetNow(NamedTuple):
    """The budget for any 24 hours as it is now. An amount is None if it is not known."""

    most: Money | None
    spent: Money | None
    left: Money | None


class _AccountState(NamedTuple):
    """The state of the account's orders; the default is that nothing is known."""

    spent: int | None = None
    """Charged or reserved in the last 24 hours, in ten-thousandths of the account's currency."""

    paused: PauseReason | None = None
    open: dict[str, int] = {}  # noqa: RUF012  (never changed)
    read_until: AwareDatetime | None = None


async def describe_policy(app: App) -> PolicyAnswer:
    """Return the policy report of the caller's account."""
    state, currency = await _read_state(app), await _find_currency(app)
    budget = _compute_budget(app.policy, currency, state.spent)
    return PolicyAnswer(
        mode=find_mode(app),
        summary=describe_mode(app.policy, simulated=is_simulated(app)),
        rules=_list_rules(app, currency, budget),
        budget=Budget(most=budget.most, spent=budget.spent, left=budget.left),
        paused=state.paused,
        open=state.open,
        opt_outs_read_until=state.read_until,
        sandbox=describe_sandbox(app),
        notes=(
            *_list_notes(app, state),
            *await _explain_schedule(app, state),
            *await list_unfinished(app),
            *await _explain_contacts(app),
            *await _explain_hold(app),
        ),
    )


async def compute_budget(app: App, spent: int) -> BudgetNow:
    """Return the budget as it is now.

    `spent`: what was charged or reserved in the last 24 hours, in ten-thousandths of the account's currency.
    """
    return _compute_budget(app.policy, await _find_currency(app), spent if app.has_account else None)


def _compute_budget(policy: Policy, currency: str | None, spent: int | None) -> BudgetNow:
    """Compute what is left, as far as it is known: the default limit depends on the currency."""
    known = currency or ""
    most = largest_day(policy, known) if currency is not None or policy.budget_per_day is not None else None
    left = Money(max(0, most.units - (spent or 0)), known) if most else None
    return BudgetNow(most, None if spent is None else Money(spent, known), left)


# ── facts ──


async def _read_state(app: App) -> _AccountState:
    """Read the account's state if there is one. If not, create no state and load no store."""
    if not app.storage.exists or not app.has_account:
        return _AccountState()
    store = await app.storage.open()
    totals = await store.totals.sum_up()
    return _AccountState(
        spent=totals.spent,
        paused=await store.queue.find_pause(),
        open={state.value: number for state in _OPEN if (number := totals.counts.get(state))},
        read_until=totals.history_read_until,
    )


_OPEN = [state for state in OrderState if state in UNFINISHED or state is OrderState.UNKNOWN]


async def _find_currency(app: App) -> str | None:
    """Return the account's currency; None if 46elks cannot be asked."""
    if not app.has_account:
        return None
    try:
        return await app.client.get_currency()
    except ElksError:
        return None


# ── in words ──


def describe_mode(policy: Policy, *, simulated: bool) -> str:
    """Return what happens to texts under these rules, and how a dry run is ended."""
    return " ".join([f"{describe_sending(policy, simulated=simulated)}.", *_explain_way_out(policy)])


def describe_sending(policy: Policy, *, simulated: bool) -> str:
    """Return what happens to texts under these rules, without a full stop.

    It names no tool, since the toolset that sends may be off.
    """
    if not policy.live:
        return "texts are only priced, and nothing is sent"
    if simulated:
        return "texts only go to simulated phones, and nothing costs money"
    return "texts are really sent, and each one costs money"


def _explain_way_out(policy: Policy) -> tuple[str, ...]:
    if policy.live:
        return ()
    if policy.read_only:
        return ("Only the operator (ELKS_READ_ONLY) can change that.",)
    if policy.confirm is Confirm.NEVER:
        return ("Only the operator (DRY_RUN=false) can change that.",)
    to_send = "To text simulated phones" if policy.simulated else "To send"
    by_call = ", or a person approves a call with dryRun=false" if Toolset.SMS in policy.toolsets else ""
    return (f"{to_send}, the operator sets DRY_RUN=false{by_call}.",)


def _list_rules(app: App, currency: str | None, budget: BudgetNow) -> tuple[Rule, ...]:
    added = {"budget_per_day": f"; {_explain_spending(budget, has_state=app.storage.exists)}"}
    return tuple(
        Rule(
            about=rule.title,
            now=rule.value + added.get(rule.name, ""),
            variable=rule.variable,
            is_set=rule.is_set,
        )
        for rule in app.configuration.list_rules(app.policy, currency)
    )


def _explain_spending(budget: BudgetNow, *, has_state: bool) -> str:
    if budget.spent is None:
        return "spending is not known without credentials" if has_state else "nothing has been spent yet"
    spent = f"{budget.spent} of it is spent or reserved"
    return f"{spent}, {format_money(budget.left)} is left" if budget.left else spent


async def _explain_schedule(app: App, state: _AccountState) -> list[str]:
    """Say who sends the scheduled texts, if there are any."""
    return (
        [await describe_sending_server(app, "Each scheduled text")]
        if OrderState.SCHEDULED in state.open
        else []
    )


async def _explain_contacts(app: App) -> list[str]:
    """Say where the contacts are, what is in them, and who may change them."""
    if app.contacts.path is None:
        return []
    try:
        report = await describe_contacts(app.contacts, app.policy.time_zone)
    except Misconfigured as error:
        return [error.explain()]
    await app.contacts.read_leniently()
    held = [app.contacts.explain_held()] if app.contacts.held else []
    return [f"ELKS_CONTACTS is {app.contacts.path}: {report.text}", *held]


async def _explain_hold(app: App) -> list[str]:
    """Explain which texts are held because of the caller's taint, and how to release them."""
    held = find_hold(each.shown_at for each in app.taint_log.list_active(app.clock.now()))
    if app.storage.location.url:
        held = await (await app.storage.open()).taint.find_hold(app.caller.agent) or held
    if held is None or not is_on("tainted", app.policy):
        return []
    since, until = (format_time_in(app.policy.time_zone, each) for each in held)
    where = "in the client"
    if can_wait(app.storage, app):
        where += f" or {name_approval_place(app.approval_page)}"
    ways_out = (
        f"To end that: a person approves it {where}, "
        "the operator lists the number in ELKS_ALLOWED_RECIPIENTS, or the time passes."
    )
    if app.storage.location.is_durable:
        ways_out += f" To list what waits in a terminal: {app.command('pending')}"
    held_back = (
        f"Until {until}, a text waits for a person unless its recipient is a contact, or was texted before "
        "those texts were written."
    )
    return [f"Texts from others were read since {since}. {held_back} {ways_out}"]


def _list_notes(app: App, state: _AccountState) -> list[str]:
    settings = app.configuration.settings
    notes = []
    for require in (partial(app.require_account, sender=True), app.require_clear_names):
        try:
            require()
        except Misconfigured as error:
            notes.append(str(error))
    if state.read_until is None and app.policy.live and not app.policy.simulated:
        notes.append(
            "46elks' history was not read for opt-outs yet. It is read before the first text is sent."
        )
    if app.policy.guards_off:
        notes.append(f"Guards that cannot be switched off: {', '.join(sorted(NOT_SWITCHABLE))}.")
    if weak := explain_short_quiet_period(settings.quiet_period, settings.timeout):
        notes.append(f"{weak}.")
    return notes
