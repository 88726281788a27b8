"""`elks-mcp outbox`: list and show orders, and cancel, resolve or resume them."""

from datetime import tzinfo

import click

from elks_mcp.cli.arguments import shared_options
from elks_mcp.cli.contact_reading import read_contacts_leniently
from elks_mcp.cli.environment import with_settings
from elks_mcp.cli.exit_codes import ExitCode
from elks_mcp.cli.output import measure_columns, say, show_account, wrap
from elks_mcp.cli.restoring import restored
from elks_mcp.cli.state import State
from elks_mcp.domain.approval import describe_recipient, describe_size, size_in_lines
from elks_mcp.domain.contacts import Contacts
from elks_mcp.domain.display import quote_lines, visible
from elks_mcp.domain.orders import CANCELLABLE, NEVER_SENT, UNFINISHED, Order, OrderState
from elks_mcp.domain.phone import written
from elks_mcp.domain.send_times import describe_send_time, format_send_time
from elks_mcp.domain.wording import format_duration, format_time_in
from elks_mcp.runtime.launcher import show_command
from elks_mcp.settings import Configuration
from elks_mcp.store.admin import OrderAdmin, OrderRecord, Pause
from elks_mcp.store.db.database import Database

_order_id = click.argument("number", metavar="O-…")


@click.group(invoke_without_command=True)
@shared_options
@click.pass_context
def outbox(context: click.Context) -> None:
    """List orders, and cancel, resolve or resume them.

    Without a command, lists them.
    """
    if context.invoked_subcommand is None:
        context.invoke(list_orders)


@outbox.command("list", short_help="List orders, without their texts.")
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="The most orders to list."
)
@with_settings()
def list_orders(configuration: Configuration, limit: int) -> int:
    """List orders, without their texts: unfinished and unknown ones first, then the latest."""
    state = State(configuration)
    if not state.exists:
        say(state.absence)
        return 0
    contacts = read_contacts_leniently(configuration)
    records, pauses = state.query(lambda database: _read(database, limit))
    for pause in pauses:
        say(_paused(pause))
    for each in records:
        say(_line(each, contacts, configuration.settings.time_zone))
    if not records:
        say("There are no orders.")
    return 0


@outbox.command()
@_order_id
@with_settings()
def show(configuration: Configuration, number: str) -> int:
    """Show everything recorded about one order.

    The text is shown only until the order is settled.
    """
    record = State(configuration).query(lambda database: OrderAdmin(database).get(number))
    facts = _facts(record, read_contacts_leniently(configuration), configuration.settings.time_zone)
    say("\n".join([*facts, *_text(record.order)]))
    return 0


@click.command(short_help="Cancel a text that has not left.")
@_order_id
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@with_settings()
def cancel(configuration: Configuration, number: str, *, as_json: bool) -> int:
    """Cancel a text that has not left: scheduled, queued, or waiting for a person.

    O-… is the order's id; its approval code (A-…) works too. A text that was sent, or is being sent, cannot
    be recalled. Repeating the command changes nothing.

    Exit code 0 if the text is not sent, 4 if it was sent, or may have been.
    """
    from elks_mcp.answers.cancellation import report_cancelled  # noqa: PLC0415  (other commands load less)
    from elks_mcp.cli.session import print_json  # noqa: PLC0415

    order = State(configuration).query(lambda database: OrderAdmin(database).cancel(number))
    answer = report_cancelled(order, lambda words: f"{show_command(words)}.")
    if as_json:
        print_json(answer.model_dump(mode="json", by_alias=True))
    else:
        say("\n".join(wrap(f"{order.id} is {answer.summary[:1].lower()}{answer.summary[1:]}")))
    return ExitCode.DONE if order.state in NEVER_SENT else ExitCode.UNKNOWN


outbox.add_command(cancel)
outbox.add_command(restored)


@outbox.command(short_help="Record whether an unknown order was sent.")
@_order_id
@click.option(
    "--sent/--not-sent",
    required=True,
    help="Whether 46elks' history or the recipient shows that it was sent.",
)
@with_settings()
def resolve(configuration: Configuration, number: str, *, sent: bool) -> int:
    """Record whether an unknown order was sent.

    An unknown order is never sent again automatically, because it may have been sent. Look in the SMS
    history at 46elks.com, or ask the recipient, and record the result here. An order in doubt is still being
    looked up, so it cannot be resolved.
    """
    order = State(configuration).query(lambda database: OrderAdmin(database).resolve(number, sent=sent))
    if sent:
        say(f"{order.id} is recorded as sent; its cost still counts towards the budget.")
    else:
        say(f"{order.id} is recorded as not sent and costs nothing. The text may be sent again.")
    return 0


@outbox.command()
@with_settings()
def resume(configuration: Configuration) -> int:
    """Resume sending if it is paused.

    A server checks twice a minute whether the credentials work and the account has money. This command makes
    it check immediately.
    """
    state = State(configuration)
    pauses = state.query(lambda database: OrderAdmin(database).resume()) if state.exists else []
    for pause in pauses:
        say(f"Ended: {_paused(pause, ended=True)}")
    say("A running server resumes sending." if pauses else "Sending is not paused.")
    return 0


async def _read(database: Database, limit: int) -> tuple[list[OrderRecord], list[Pause]]:
    admin = OrderAdmin(database)
    return await admin.list_orders(limit), await admin.list_pauses()


def _paused(pause: Pause, *, ended: bool = False) -> str:
    resume = show_command("outbox resume")
    advice = f" It resumes once the cause is fixed. To resume it immediately: {resume}."
    end = "" if ended or pause.reason.ends_by_itself else advice
    return f"Sending is paused ({pause.reason}) for {show_account(pause.owner)}.{end}"


def _line(record: OrderRecord, contacts: Contacts, zone: tzinfo | None) -> str:
    order = record.order
    facts = f"to {describe_recipient(order, contacts)}, {describe_size(order)}, {_time(order, zone)}"
    return f"{order.id}  {_state(record):<10}  {facts}" + (
        f"  {visible(order.status_reason)}" if order.status_reason else ""
    )


def _time(order: Order, zone: tzinfo | None) -> str:
    """Return when an order goes out, if it is scheduled; else when it last changed."""
    if order.send_at and order.state in CANCELLABLE:
        return f"for {format_send_time(order.send_at, order.to, zone)}"
    return format_time_in(zone, order.changed_at)


def _state(record: OrderRecord) -> str:
    order = record.order
    if order.state is not OrderState.WAITING:
        return order.state
    who = "a server" if record.approved else "a person"
    return f"waits for {who} ({order.approval_code}), expires in {format_duration(record.left)}"


def _facts(record: OrderRecord, contacts: Contacts, zone: tzinfo | None) -> list[str]:
    order, receipt = record.order, record.order.receipt
    facts = {
        "state": _state(record),
        "said": order.status_reason,
        "to": describe_recipient(order, contacts),
        "from": written(order.sender),
        "size": ", ".join((describe_size(order), *order.payload.traits)),
        "46elks id": receipt.message_id if receipt else "",
        "cost": str(receipt.cost) if receipt and receipt.cost else "",
        "attempts": str(order.attempts),
        "send at": describe_send_time(order, zone),
        "placed": format_time_in(zone, order.placed_at),
        "changed": format_time_in(zone, order.changed_at),
        "approval": f"{order.approval_code} ({order.approver})" if order.approval_code else "",
        "caller": order.caller,
        "account": show_account(record.owner),
        "found": " ".join(f"{each.guard}: {each.reason}" for each in order.findings),
    }
    return [order.id, *(f"  {name:<10}{visible(value)}" for name, value in facts.items() if value)]


def _text(order: Order) -> list[str]:
    if not order.payload.is_known:
        return [f"This version does not know the kind {order.kind!r}. Update elks-mcp to see its content."]
    if order.text is None or order.state not in {*UNFINISHED, OrderState.UNKNOWN}:
        return ["The text is not shown. It is shown only until the order is settled."]
    return [
        "The text, behind a bar on each line:",
        *quote_lines(order.text, measure_columns()),
        f"End of the text: {size_in_lines(order.text)}.",
    ]
