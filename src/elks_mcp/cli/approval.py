"""`elks-mcp approve` and `pending`: a person at a terminal approves what waits.

These commands send nothing. The server that asked for the approval, or the next one that starts, sends the
text once it is approved, or starts the batch or the alert.
"""

from datetime import tzinfo

import click

from elks_mcp.cli.alert_approval import approve_alert, describe_waiting_alert
from elks_mcp.cli.batch_approval import approve_batch, describe_waiting_batch
from elks_mcp.cli.contact_reading import read_contacts_leniently
from elks_mcp.cli.environment import with_settings
from elks_mcp.cli.output import measure_columns, require_terminal, say
from elks_mcp.cli.state import State
from elks_mcp.domain.approval import (
    describe_recipient,
    describe_size,
    explain_asking,
    name_guards,
    write_question,
)
from elks_mcp.domain.contacts import Contacts
from elks_mcp.domain.display import visible
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import NEVER_SENT, Order, OrderState
from elks_mcp.domain.phone import written
from elks_mcp.domain.send_times import describe_send_time, format_send_time
from elks_mcp.domain.wording import format_duration
from elks_mcp.runtime.launcher import show_command
from elks_mcp.settings import Configuration
from elks_mcp.store.admin import OrderAdmin, OrderRecord
from elks_mcp.store.alert_admin import AlertAdmin
from elks_mcp.store.batch_admin import BatchAdmin

_DIGITS = 4
"""Last digits of the recipient's number that a person types to approve."""


@click.command()
@click.argument("approval", metavar="A-…")
@with_settings()
def approve(configuration: Configuration, approval: str) -> int:
    """Approve a text, a batch or an alert that waits for a person.

    The command shows the text, its recipient and its price, and asks for the last four digits of the
    recipient's number; for a batch or an alert, it asks for the number of people. It needs a terminal, but no
    credentials. It sends nothing itself: the server that asked sends the text within seconds, or the next
    server that starts does.

    Exit code 0 if it is approved, 1 if it is not.
    """
    require_terminal()
    state, zone = State(configuration), configuration.settings.time_zone
    if batch := state.query(lambda database: BatchAdmin(database).find(approval)):
        return approve_batch(configuration, state, batch)
    if alert := state.query(lambda database: AlertAdmin(database).find(approval)):
        return approve_alert(configuration, state, alert)
    record = state.query(lambda database: OrderAdmin(database).get(approval))
    if record.order.state is not OrderState.WAITING or record.approved:
        return _report(record, zone)
    if not _confirm(record.order, read_contacts_leniently(configuration), zone):
        say("Not approved: these are not the last four digits of the number. Nothing was changed.")
        return 1
    return _report(state.query(lambda database: OrderAdmin(database).approve(record.order.id)), zone)


@click.command()
@with_settings()
def pending(configuration: Configuration) -> int:
    """List the texts, batches and alerts that wait for a person."""
    state = State(configuration)
    if not state.exists:
        say(state.absence)
        return 0
    waiting = state.query(lambda database: OrderAdmin(database).list_waiting())
    contacts = read_contacts_leniently(configuration) if waiting else Contacts()
    zone = configuration.settings.time_zone
    groups: dict[tuple[object, ...], list[OrderRecord]] = {}
    for record in waiting:
        groups.setdefault(_grouping_key(record), []).append(record)
    for group in groups.values():
        say(
            _pending(group[0], contacts, zone)
            if len(group) == 1
            else _pending_together(group, contacts, zone)
        )
    batches = state.query(lambda database: BatchAdmin(database).list_waiting())
    for batch in batches:
        say(describe_waiting_batch(batch, configuration.policy))
    alerts = state.query(lambda database: AlertAdmin(database).list_waiting())
    for alert in alerts:
        say(describe_waiting_alert(alert))
    say(
        f"To see one and approve it: {show_command('approve A-…')}."
        if waiting or batches or alerts
        else "No texts are waiting for approval."
    )
    return 0


def _confirm(order: Order, contacts: Contacts, zone: tzinfo | None) -> bool:
    say(write_question(order, explain_asking(order), contacts, zone, measure_columns()))
    question = (
        "\nTo approve it, type the last four digits of the recipient's number; anything else changes nothing"
    )
    typed: str = click.prompt(question, default="", show_default=False)
    return order.to is not None and typed.strip() == order.to.e164[-_DIGITS:]


def _report(record: OrderRecord, zone: tzinfo | None) -> int:
    """Print whether an order is approved, and return the exit code: 0 if it was, now or before."""
    order = record.order
    if order.state is OrderState.WAITING:
        left, when = format_duration(record.left), describe_send_time(order, zone)
        does = f"schedules it for {when}" if when else "sends it now"
        say(f"Approved. A running server {does}; otherwise the next that starts within {left} does.")
        return 0
    why = f": {visible(order.status_reason)}" if order.status_reason else "."
    if order.state in NEVER_SENT:
        say(f"It can no longer be approved: {order.id} is {order.state}{why}", err=True)
        return 1
    say(f"It was already approved: {order.id} is {order.state}{why}")
    return 0


def _grouping_key(record: OrderRecord) -> tuple[object, ...]:
    """Return what orders have in common that are listed together."""
    order = record.order
    return record.owner, order.to, order.sender, order.price.currency, order.send_at, _why_pending(record)


def _pending(record: OrderRecord, contacts: Contacts, zone: tzinfo | None) -> str:
    order = record.order
    to, when = describe_recipient(order, contacts), _time(order, zone)
    facts = f"{order.approval_code}  to {to}, {describe_size(order)}{when}"
    return f"{facts}; {_why_pending(record)} expires in {format_duration(record.left)}"


def _time(order: Order, zone: tzinfo | None) -> str:
    return f", for {format_send_time(order.send_at, order.to, zone)}" if order.send_at else ""


def _pending_together(group: list[OrderRecord], contacts: Contacts, zone: tzinfo | None) -> str:
    """Describe orders that are listed together; the first of them expires first."""
    first, orders = group[0], [record.order for record in group]
    price = Money(sum(order.price.units for order in orders), first.order.price.currency)
    size = first.order.payload.describe_size(sum(order.parts for order in orders))
    parts = f"{size}, " if size else ""
    facts = (
        f"{len(orders)} texts to {describe_recipient(first.order, contacts)} "
        f"from {visible(written(first.order.sender))}, {parts}{price}{_time(first.order, zone)}; "
        f"{_why_pending(first)} the first expires in {format_duration(first.left)}:"
    )
    return "\n".join([facts, f"  {', '.join(str(order.approval_code) for order in orders)}"])


def _why_pending(record: OrderRecord) -> str:
    if record.approved:
        return "approved, waits for a server,"
    return f"because of {name_guards(explain_asking(record.order))};"
