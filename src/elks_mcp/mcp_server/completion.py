"""Completion of what a person types: ids, earlier recipients, names of contacts."""

from mcp.server import MCPServer
from mcp_types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
)

from elks_mcp.app import App
from elks_mcp.domain.contacts import fold_name
from elks_mcp.domain.orders import Order
from elks_mcp.mcp_server.scopes import app_of_caller

_MAX_VALUES = 100
"""The most values that the protocol allows in one answer."""

_MAX_ORDERS = 200
"""How many of the caller's orders are searched."""


def add_completions(server: MCPServer[App]) -> None:
    """Register completion for the arguments of resources, and for `recipient` of a prompt."""

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]
    async def complete(
        ref: PromptReference | ResourceTemplateReference,  # noqa: ARG001  (no two of them share an argument name)
        argument: CompletionArgument,
        context: CompletionContext | None,  # noqa: ARG001
    ) -> Completion | None:
        values_of = _VALUES.get(argument.name)
        if values_of is None:
            return None
        app = app_of_caller()
        orders = await _list_latest(app)
        values = dict.fromkeys(value for order in orders for value in values_of(order))
        wanted = argument.value.strip().casefold()
        found = [value for value in values if value.casefold().startswith(wanted)]
        if argument.name == _RECIPIENT:
            found += await _list_names(app, argument.value)
        return Completion(values=found[:_MAX_VALUES], total=len(found), has_more=len(found) > _MAX_VALUES)


async def _list_latest(app: App) -> list[Order]:
    """List the caller's latest orders, newest first; completion alone does not create a store."""
    if not app.storage.exists:
        return []
    store = await app.storage.open()
    return await store.orders.list_latest(_MAX_ORDERS, app.caller.agent)


async def _list_names(app: App, beginning: str) -> list[str]:
    """List the names of contacts that begin as the person typed; a model reads none of them."""
    contacts = await app.contacts.read_leniently()
    wanted = fold_name(beginning)
    names = {each.shown_name for each in contacts.people if fold_name(each.shown_name).startswith(wanted)}
    return sorted(names)


def _get_ids(order: Order) -> tuple[str, ...]:
    return (order.id, order.receipt.message_id) if order.receipt else (order.id,)


def _get_recipient(order: Order) -> tuple[str, ...]:
    return (order.to.e164,) if order.to else ()


def _get_batch(order: Order) -> tuple[str, ...]:
    return (order.batch_id,) if order.batch_id else ()


_RECIPIENT = "recipient"
_VALUES = {"message_id": _get_ids, "batch_id": _get_batch, _RECIPIENT: _get_recipient}
"""By the name of an argument: the values that an order provides for it."""
