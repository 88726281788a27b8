"""The toolset `account`: the balance, and statistics on deliveries."""

from mcp.server.mcpserver import Context

from elks_mcp.answers.results import BalanceAnswer
from elks_mcp.answers.statistics import StatisticsAnswer, summarise
from elks_mcp.app import App
from elks_mcp.domain.models import Direction
from elks_mcp.mcp_server.taint import describe_omissions
from elks_mcp.mcp_server.tools.base import READS, ElksTool
from elks_mcp.mcp_server.tools.params import StatisticsLimit


async def check_account_balance(ctx: Context[App]) -> BalanceAnswer:
    """Return the balance of the 46elks account, and about how many texts it pays for.

    Use it before sending to many, or when 46elks reports a lack of funds.
    """
    app = ctx.request_context.lifespan_context
    app.require_account()
    balance = (await app.client.get_account()).balance
    price = app.client.last_price
    texts = max(0, balance.units // price.units) if price and price.units else None
    return BalanceAnswer(balance=balance, texts_left=texts)


async def get_delivery_statistics(ctx: Context[App], limit: StatisticsLimit = 50) -> StatisticsAnswer:
    """Summarize the latest sent texts: delivered, failed or under way, cost, speed, by country.

    Use it to judge deliverability or spending. For one text use check_sms_status.
    """
    app = ctx.request_context.lifespan_context
    app.require_account()
    listing = await app.client.list_messages(limit, Direction.OUTBOUND)
    return summarise(listing.messages, app.clock.now(), describe_omissions(listing, app.policy.time_zone))


TOOLS = (
    ElksTool.of(check_account_balance, title="Check the balance", hints=READS),
    ElksTool.of(get_delivery_statistics, title="Delivery statistics", hints=READS),
)
