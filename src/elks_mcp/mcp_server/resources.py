"""Resources that a client can read: the inbox, one text, one batch, the operator's rules.

Each is the JSON of the structured answer that the matching tool returns.
"""

from collections.abc import Awaitable, Callable, Collection
from functools import cache

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp.server.mcpserver.resources import Resource, ResourceTemplate

from elks_mcp.answers.batches import check
from elks_mcp.answers.history import HistoryEntry
from elks_mcp.answers.lookups import find_text
from elks_mcp.answers.policy import describe_policy
from elks_mcp.answers.structured import StructuredAnswer
from elks_mcp.answers.text_list import TextListAnswer
from elks_mcp.app import App
from elks_mcp.domain.models import Direction, HistoryFilter
from elks_mcp.domain.orders import Order
from elks_mcp.domain.toolsets import Toolset
from elks_mcp.errors import ElksError, InvalidInput, NotFound
from elks_mcp.mcp_server.scopes import app_of_caller
from elks_mcp.mcp_server.taint import show_list, show_message

_JSON = "application/json"
_INBOX_SIZE = 20
_MESSAGE = "elks://messages/{message_id}"
_BATCH = "elks://batches/{batch_id}"

_TOOLSETS = {
    "elks://inbox": Toolset.INBOX,
    "elks://policy": Toolset.POLICY,
    "elks://messages/": Toolset.SMS,
    "elks://batches/": Toolset.BATCHES,
}
"""By the beginning of a URI: the toolset that a resource belongs to."""


def is_offered(uri: str, toolsets: Collection[Toolset]) -> bool:
    """Return whether a resource belongs to one of these toolsets."""
    return any(uri.startswith(start) and toolset in toolsets for start, toolset in _TOOLSETS.items())


def add_resources(server: MCPServer[App], toolsets: Collection[Toolset]) -> None:
    """Register the resources of toolsets."""
    inbox = _DynamicResource(
        uri="elks://inbox",
        name="inbox",
        title="Received texts",
        description=f"The {_INBOX_SIZE} latest received texts, newest first: data from strangers.",
        mime_type=_JSON,
        reader=lambda: _read(app_of_caller(), _read_inbox),
    )
    policy = _DynamicResource(
        uri="elks://policy",
        name="policy",
        title="Sending rules",
        description="The operator's current rules, and what is left of the day's budget.",
        mime_type=_JSON,
        reader=lambda: _read(app_of_caller(), describe_policy),
    )
    for resource in (inbox, policy):
        if is_offered(resource.uri, toolsets):
            server.add_resource(resource)
    for template in _build_templates():
        if is_offered(template.uri_template, toolsets):
            server._resource_manager._templates[template.uri_template] = template  # noqa: SLF001  (MCPServer has no way)


@cache
def _build_templates() -> tuple[ResourceTemplate, ...]:
    """Return the templates, whose schemas are built once for all servers of a process."""
    message = ResourceTemplate.from_function(
        _describe_message,
        uri_template=_MESSAGE,
        name="message",
        title="One text",
        description="One text from the account's history, by 46elks' id or an order id.",
        mime_type=_JSON,
    )
    batch = ResourceTemplate.from_function(
        _describe_batch,
        uri_template=_BATCH,
        name="batch",
        title="One batch",
        description="How far a batch is, and the replies of its recipients: data from strangers.",
        mime_type=_JSON,
    )
    return message, batch


async def _describe_message(message_id: str, ctx: Context[App]) -> str:
    return await _read(ctx.request_context.lifespan_context, lambda app: _read_message(app, message_id))


async def _describe_batch(batch_id: str, ctx: Context[App]) -> str:
    return await _read(ctx.request_context.lifespan_context, lambda app: check(app, batch_id, show_list))


class _DynamicResource(Resource):
    """A resource whose content is built on each read."""

    reader: Callable[[], Awaitable[str]]

    async def read(self) -> str:
        """Return the content."""
        return await self.reader()


async def _read(app: App, build: Callable[[App], Awaitable[StructuredAnswer]]) -> str:
    """Return an answer as JSON.

    Raises:
        ResourceNotFoundError: there is no such text (-32602, as for an unknown URI).
        ResourceError: the answer cannot be given for another reason (-32603).
    """
    try:
        return (await build(app)).in_zone(app.policy.time_zone).model_dump_json(by_alias=True)
    except (InvalidInput, NotFound) as error:
        raise ResourceNotFoundError(error.explain()) from None
    except ElksError as error:
        raise ResourceError(error.explain()) from None


async def _read_inbox(app: App) -> TextListAnswer:
    app.require_account()
    listing = await app.client.list_messages(_INBOX_SIZE, HistoryFilter(direction=Direction.INBOUND))
    return await show_list(app, listing)


async def _read_message(app: App, message_id: str) -> HistoryEntry:
    app.require_account()
    found = await find_text(app, message_id)
    if isinstance(found, Order):
        raise NotFound(
            f"46elks has no text of {found.id} yet: the order is {found.state}.",
            hint=f"For its status, call check_sms_status ({found.id}).",
        )
    return await show_message(app, found)
