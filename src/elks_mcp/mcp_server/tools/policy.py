"""The toolset `policy`: what is allowed now, and who can change it."""

from mcp.server.mcpserver import Context

from elks_mcp.answers.policy import PolicyAnswer, describe_policy
from elks_mcp.app import App
from elks_mcp.mcp_server.tools.base import FOR_ALL, READS, ElksTool


async def explain_policy(ctx: Context[App]) -> PolicyAnswer:
    """Tell what may be sent now and why, what is left of the budget, and which variable changes each rule.

    Use it when something was refused, or before planning many texts. It changes nothing, and neither can
    you: only the operator can. Whether one text would pass is told by estimate_sms_cost.
    """
    return await describe_policy(ctx.request_context.lifespan_context)


TOOLS = (ElksTool.of(explain_policy, title="Explain what is allowed", hints=READS, needs=FOR_ALL),)
