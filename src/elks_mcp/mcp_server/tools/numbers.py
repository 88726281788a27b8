"""The toolset `numbers`: the account's numbers, to read only."""

from mcp.server.mcpserver import Context

from elks_mcp.answers.numbers import NumbersAnswer, read_numbers
from elks_mcp.app import App
from elks_mcp.mcp_server.tools.base import READS, ElksTool


async def number_info(ctx: Context[App]) -> NumbersAnswer:
    """List the account's phone numbers. It changes nothing, and costs nothing.

    For each number it returns what it can receive (texts, calls, pictures), and whether that reaches
    this server by webhook or by reading history. Use it if replies do not arrive. Only people can
    change numbers, with `elks-mcp numbers configure`.
    """
    return await read_numbers(ctx.request_context.lifespan_context)


TOOLS = (ElksTool.of(number_info, title="The account's numbers", hints=READS),)
