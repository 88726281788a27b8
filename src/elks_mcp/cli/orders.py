"""`elks-mcp outbox`: what is on its way out, and what a person has to decide about it."""

from datetime import tzinfo

import click

from elks_mcp.cli.environment import with_settings
from elks_mcp.cli.options import shared_options
from elks_mcp.cli.output import (
    measure_columns,
    say,
    show_account,
    show_moment,
    show_recipient,
    show_size,
    show_time,
)
from elks_mcp.cli.state import State
from elks_mcp.domain.approval import size_in_lines
from elks_mcp.domain.display import put_behind_bars, visible
from elks_mcp.domain.models import UNFINISHED, Order, OrderState
from elks_mcp.domain.phone import written
from elks_mcp.settings import Configuration
from elks_mcp.store.admin import OrderAdmin, OrderRecord, Pause
from elks_mcp.store.db.transactions import Database

_order_id = click.argument("number", metavar="O-…", callback=lambda _, __, raw: raw.strip().upper())


@click.group(invoke_without_command=True)
@shared_options
@click.pass_context
def outbox(context: click.Context) -> None:
    """See what is on its way out, and decide about it.

    Without a command: list.
    """
    if context.invoked_subcommand is None:
        context.invoke(list_orders)


@outbox.command("list", short_help="List orders, without their texts.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@with_settings()
def list_orders(configuration: Configuration, limit: int) -> int:
    """List orders, without their texts; what is unfinished or unknown first."""
    state = State(configuration)
    if not state.exists:
        say(state.absence)
        return 0
    filed, pauses = state.ask(lambda database: _look(database, limit))
    for pause in pauses:
        say(_paused(pause))
    for each in filed:
        say(_line(each, configuration.settings.time_zone))
    if not filed:
        say("There are no orders.")
    return 0


@outbox.command()
@_order_id
@with_settings()
def show(configuration: Configuration, number: str) -> int:
    """Show all about one order.

    The text is shown while it may still be needed; once an order is settled it is gone.
    """
    filed = State(configuration).ask(lambda database: OrderAdmin(database).get(number))
    say("\n".join([*_facts(filed, configuration.settings.time_zone), *_text(filed.order)]))
    return 0


@outbox.command()
@_order_id
@with_settings()
def cancel(configuration: Configuration, number: str) -> int:
    """Cancel an order that waits or is queued. What is on the wire cannot be called back."""
    order = State(configuration).ask(lambda database: OrderAdmin(database).cancel(number))
    say(f"{order.id} is cancelled: it is not sent.")
    return 0


@outbox.command(short_help="Say what became of an order that is unknown.")
@_order_id
@click.option("--sent/--not-sent", required=True, help="What you found out, in 46elks' history or by asking.")
@with_settings()
def resolve(configuration: Configuration, number: str, *, sent: bool) -> int:
    """Say what became of an order that is unknown.

    No machine sends an unknown order again, since it may have gone out. Look at 46elks.com under SMS
    history, or ask the recipient, and say it here. An order in doubt is still being looked into.
    """
    order = State(configuration).ask(lambda database: OrderAdmin(database).resolve(number, sent=sent))
    if sent:
        say(f"{order.id} counts as sent; what it costs stays in the budget.")
    else:
        say(f"{order.id} counts as never sent and costs nothing. It may be asked for again.")
    return 0


@outbox.command()
@with_settings()
def resume(configuration: Configuration) -> int:
    """Go on sending where that is paused.

    A server looks by itself, twice a minute, whether credentials or money are mended; this tells it at once.
    """
    state = State(configuration)
    pauses = state.ask(lambda database: OrderAdmin(database).resume()) if state.exists else []
    for pause in pauses:
        say(f"Ended: {_paused(pause, ended=True)}")
    say("A running server goes on sending." if pauses else "Nothing is paused.")
    return 0


async def _look(database: Database, limit: int) -> tuple[list[OrderRecord], list[Pause]]:
    admin = OrderAdmin(database)
    return await admin.list_orders(limit), await admin.list_pauses()


def _paused(pause: Pause, *, ended: bool = False) -> str:
    how = " Once the cause is gone, it goes on by itself, or immediately: `elks-mcp outbox resume`."
    end = "" if ended or pause.reason.ends_by_itself else how
    return f"Sending is paused ({pause.reason}) for {show_account(pause.owner)}.{end}"


def _line(filed: OrderRecord, zone: tzinfo | None) -> str:
    order = filed.order
    facts = f"to {show_recipient(order)}, {show_size(order)}, {show_moment(order.changed_at, zone)}"
    return f"{order.id}  {_state(filed):<10}  {facts}" + (f"  {visible(order.fault)}" if order.fault else "")


def _state(filed: OrderRecord) -> str:
    order = filed.order
    if order.state is not OrderState.WAITING:
        return order.state
    who = "a server" if filed.approved else "a person"
    return f"waits for {who} ({order.approval}), expires in {show_time(filed.left)}"


def _facts(filed: OrderRecord, zone: tzinfo | None) -> list[str]:
    order, receipt = filed.order, filed.order.receipt
    facts = {
        "state": _state(filed),
        "said": order.fault,
        "to": show_recipient(order),
        "from": written(order.sender),
        "size": f"{show_size(order)}, {order.encoding}" + (", flash" if order.flash else ""),
        "46elks id": receipt.message_id if receipt else "",
        "cost": str(receipt.cost) if receipt and receipt.cost else "",
        "attempts": str(order.attempts),
        "placed": show_moment(order.placed_at, zone),
        "changed": show_moment(order.changed_at, zone),
        "approval": f"{order.approval} ({order.approver})" if order.approval else "",
        "caller": order.caller,
        "account": show_account(filed.owner),
        "found": " ".join(f"{each.guard}: {each.reason}" for each in order.findings),
    }
    return [order.id, *(f"  {name:<10}{visible(value)}" for name, value in facts.items() if value)]


def _text(order: Order) -> list[str]:
    if order.text is None or order.state not in {*UNFINISHED, OrderState.UNKNOWN}:
        return ["The text is not shown: it is kept only while it may be needed."]
    return [
        "The text, behind a bar on each line:",
        *put_behind_bars(order.text, measure_columns()),
        f"End of the text: {size_in_lines(order.text)}.",
    ]
