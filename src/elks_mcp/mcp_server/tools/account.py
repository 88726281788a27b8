"""The toolset `account`: the balance, and statistics on deliveries."""

from mcp.server.mcpserver import Context

from elks_mcp.answers import lookups
from elks_mcp.answers.balance import BalanceAnswer
from elks_mcp.answers.statistics import StatisticsAnswer
from elks_mcp.app import App
from elks_mcp.mcp_server.taint import CALL_AGAIN
from elks_mcp.mcp_server.tools.base import READS, ElksTool
from elks_mcp.mcp_server.tools.params import Since, StatisticsLimit, Until


async def check_account_balance(ctx: Context[App]) -> BalanceAnswer:
    """Return the balance of the 46elks account. It changes nothing, and costs nothing.

    It also says about how many texts that pays for. Use it before sending to many, or when 46elks
    reports a lack of funds.
    """
    return await lookups.read_balance(ctx.request_context.lifespan_context)


async def get_delivery_statistics(
    ctx: Context[App], limit: StatisticsLimit = 50, since: Since = "", until: Until = ""
) -> StatisticsAnswer:
    """Summarize sent texts. It changes nothing and costs nothing.

    It counts those delivered, failed and under way, with cost and speed, by country and day: of the
    latest 100 at most, or of a period. Use it to judge deliverability or spending.
    """
    app = ctx.request_context.lifespan_context
    return await lookups.read_statistics(app, limit, CALL_AGAIN, since=since, until=until)


TOOLS = (
    ElksTool.of(check_account_balance, title="Check the balance", hints=READS),
    ElksTool.of(get_delivery_statistics, title="Delivery statistics", hints=READS),
)
