"""The toolset `policy`: the policy report."""

from mcp.server.mcpserver import Context

from elks_mcp.answers.policy import PolicyAnswer, describe_policy
from elks_mcp.app import App
from elks_mcp.mcp_server.tools.base import FOR_ALL, READS, ElksTool


async def explain_policy(ctx: Context[App]) -> PolicyAnswer:
    """Return the rules for sending and the budget left. Changes nothing, and costs nothing.

    Only the operator can change the rules; the answer names the variable of each. Use it after a
    refusal, or before planning many texts.
    """
    return await describe_policy(ctx.request_context.lifespan_context)


TOOLS = (ElksTool.of(explain_policy, title="Explain what is allowed", hints=READS, needs=FOR_ALL),)
