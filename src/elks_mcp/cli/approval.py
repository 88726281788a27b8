"""`elks-mcp approve` and `elks-mcp pending`: a person at a terminal agrees to a text that waits.

Nothing is sent from here: the server that asked sees the mark and sends, or the next one that starts.
"""

import sys

import click

from elks_mcp.cli.output import counted, measure_columns, say, show_recipient, show_size, show_time
from elks_mcp.cli.state import State
from elks_mcp.domain.approval import write_question
from elks_mcp.domain.display import visible
from elks_mcp.domain.models import NEVER_SENT, Approver, Effect, Finding, Order, OrderState, of_effect
from elks_mcp.domain.money import Money
from elks_mcp.domain.phone import written
from elks_mcp.domain.policy import Confirm, Policy, reasons_to_ask
from elks_mcp.errors import NotApproved
from elks_mcp.settings import Configuration
from elks_mcp.store.admin import OrderAdmin, OrderRecord

_DIGITS = 4


def approve(configuration: Configuration, number: str) -> int:
    """Show what waits, and mark it as approved if a person types the recipient's last digits; 0 if it is.

    Raises:
        NotApproved: there is no terminal, so nobody knows that it is a person who types.
        NotFound: there is no state, or no such order in it.
    """
    _require_terminal()
    state = State(configuration)
    filed = state.ask(lambda database: OrderAdmin(database).get(number))
    if filed.order.state is not OrderState.WAITING or filed.approved:
        return _report(filed)
    if not _agrees(filed.order):
        say("Not approved: those are not its last four digits. Nothing was changed.")
        return 1
    return _report(state.ask(lambda database: OrderAdmin(database).approve(filed.order.id)))


def list_pending(configuration: Configuration) -> int:
    """List what waits for a person, or after a person's yes for a server; 0, also if there is nothing."""
    state = State(configuration)
    if not state.exists:
        say(state.absence)
        return 0
    waiting = state.ask(lambda database: OrderAdmin(database).list_waiting())
    groups: dict[tuple[object, ...], list[OrderRecord]] = {}
    for filed in waiting:
        groups.setdefault(_kind(filed), []).append(filed)
    for group in groups.values():
        say(_pending(group[0]) if len(group) == 1 else _pending_together(group))
    say("To see a text and approve it: `elks-mcp approve A-…`." if waiting else "Nothing waits.")
    return 0


def why_asked(order: Order) -> tuple[Finding, ...]:
    """Say why a person is asked. An order keeps what guards found, not what its server is set to.

    Where the client could not ask, less than `tainted` sends an order to a terminal only if the operator
    wants to be asked about every text.
    """
    asking = {finding.guard for finding in of_effect(order.findings, Effect.ASK)}
    always = order.approver is Approver.TERMINAL and "tainted" not in asking
    policy = Policy(confirm=Confirm.ALWAYS if always else Confirm.AUTO)
    return reasons_to_ask(policy, order.findings, lifts_dry_run=False) or (_BY_SERVER,)


_BY_SERVER = Finding(
    guard="dry_run or confirm",
    effect=Effect.ASK,
    reason="The server is in dry run, or its operator wants a person to agree to every text.",
)


def _require_terminal() -> None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise NotApproved(
            "Approving takes a person at a terminal; here standard input or output is none.",
            hint="Type the command yourself in a terminal window. It cannot be piped or run by an assistant.",
        )


def _agrees(order: Order) -> bool:
    say(write_question(order, why_asked(order), measure_columns()))
    asked = "\nTo let it go, type the last four digits of the recipient's number; anything else leaves it"
    typed: str = click.prompt(asked, default="", show_default=False)
    return order.to is not None and typed.strip() == order.to.e164[-_DIGITS:]


def _report(filed: OrderRecord) -> int:
    """Say how an order stands that was to be approved; 0 if it was, now or before."""
    order = filed.order
    if order.state is OrderState.WAITING:
        time = show_time(filed.left)
        say(f"Approved. A running server sends it at once, else the next that starts within {time}.")
        return 0
    why = f": {visible(order.fault)}" if order.fault else ""
    if order.state in NEVER_SENT:
        say(f"It cannot be approved any more: {order.id} is {order.state}{why}", err=True)
        return 1
    say(f"It was approved before: {order.id} is {order.state}{why}.")
    return 0


def _kind(filed: OrderRecord) -> tuple[object, ...]:
    """Say what orders have in common that are shown in one group."""
    order = filed.order
    return filed.owner, order.to, order.sender, order.price.currency, _why_pending(filed)


def _pending(filed: OrderRecord) -> str:
    order = filed.order
    facts = f"{order.approval}  to {show_recipient(order)}, {show_size(order)}"
    return f"{facts}; {_why_pending(filed)} expires in {show_time(filed.left)}"


def _pending_together(group: list[OrderRecord]) -> str:
    """Show orders of one kind, the one that expires first in front."""
    first, orders = group[0], [filed.order for filed in group]
    price = Money(sum(order.price.units for order in orders), first.order.price.currency)
    facts = (
        f"{len(orders)} texts to {show_recipient(first.order)} from {visible(written(first.order.sender))}, "
        f"{counted(sum(order.parts for order in orders), 'part')}, {price}; "
        f"{_why_pending(first)} the first expires in {show_time(first.left)}:"
    )
    return "\n".join([facts, f"  {', '.join(str(order.approval) for order in orders)}"])


def _why_pending(filed: OrderRecord) -> str:
    if filed.approved:
        return "approved, waits for a server,"
    return f"because of {', '.join(reason.guard for reason in why_asked(filed.order))};"
