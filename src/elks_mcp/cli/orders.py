"""`elks-mcp outbox`: what is on its way out, and what a person has to decide about it."""

from datetime import tzinfo

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
from elks_mcp.domain.display import quote_lines, visible
from elks_mcp.domain.models import UNFINISHED, Order, OrderState
from elks_mcp.domain.phone import written
from elks_mcp.settings import Configuration
from elks_mcp.store.admin import OrderAdmin, OrderRecord, Pause
from elks_mcp.store.db.transactions import Database


def list_orders(configuration: Configuration, limit: int) -> int:
    """List orders, those first that something has to be done about; 0, also if there are none."""
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


def show(configuration: Configuration, number: str) -> int:
    """Show all about one order; its text only while somebody still has to do something about it."""
    filed = State(configuration).ask(lambda database: OrderAdmin(database).get(number))
    say("\n".join([*_facts(filed, configuration.settings.time_zone), *_text(filed.order)]))
    return 0


def cancel(configuration: Configuration, number: str) -> int:
    """Cancel an order that is not on the wire yet.

    Raises:
        Refused: it is too late.
    """
    order = State(configuration).ask(lambda database: OrderAdmin(database).cancel(number))
    say(f"{order.id} is cancelled: it is not sent.")
    return 0


def resolve(configuration: Configuration, number: str, *, sent: bool) -> int:
    """Put down what became of an unknown order, by what a person found out.

    Raises:
        Refused: it is not unknown.
    """
    order = State(configuration).ask(lambda database: OrderAdmin(database).resolve(number, sent=sent))
    if sent:
        say(f"{order.id} counts as sent; what it costs stays in the budget.")
    else:
        say(f"{order.id} counts as never sent and costs nothing. It may be asked for again.")
    return 0


def resume(configuration: Configuration) -> int:
    """Let texts go out again where sending is paused; 0, also if it is not."""
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
        *quote_lines(order.text, measure_columns()),
        f"End of the text: {size_in_lines(order.text)}.",
    ]
