"""Answers about texts and the account that are looked up at 46elks, for every interface."""

from collections.abc import Awaitable, Callable, Sequence

from elks_mcp.answers import build
from elks_mcp.answers.listing import HowToContinue, describe_omissions, hide
from elks_mcp.answers.people import read_people
from elks_mcp.answers.results import BalanceAnswer, EstimateAnswer, StatusAnswer
from elks_mcp.answers.statistics import StatisticsAnswer, summarise
from elks_mcp.app import App
from elks_mcp.domain.models import Direction, Message, Scope
from elks_mcp.domain.orders import Order
from elks_mcp.errors import NotFound, ProviderError

RecordShown = Callable[[App, Sequence[Message]], Awaitable[None]]
"""Records that texts are shown to a model."""


async def find_text(app: App, text_id: str) -> Message | Order:
    """Return a text by its order's id or 46elks' id; the order itself until 46elks accepts it.

    Raises:
        NotFound: there is no such text, or it is not the caller's and they may not read others.
        InvalidInput, Misconfigured: the id has the form of neither, or credentials are missing.
        ProviderError: 46elks cannot be asked.
    """
    order = await app.orders.find_order(text_id)
    if order is None and Scope.READ not in app.caller.scopes:
        raise NotFound("You have sent no text with that id.", hint="Give the id of one of your orders (O-…).")
    if order and order.receipt is None:
        return order
    app.require_account()
    receipt = order.receipt if order else None
    return await app.client.get_message(receipt.message_id if receipt else text_id.strip())


async def find_status(app: App, text_id: str, record_shown: RecordShown | None = None) -> StatusAnswer:
    """Return the status of one text, by the id of its order or 46elks' id.

    `record_shown`: called before a text that may be read is shown; None if a person reads the answer.
    """
    message = await find_text(app, text_id)
    if isinstance(message, Order):
        return build.report_unsent(app, message, await app.outbox.estimate(message))
    await app.history.record([message])
    if not await app.history.without_hidden([message]):
        message = hide(message)
    elif record_shown:
        await record_shown(app, [message])
    order = await app.orders.find_order(message.id)
    return build.report_message(message, order, await read_people(app))


async def estimate(app: App, to: str, message: str, sender: str) -> EstimateAnswer:
    """Return the exact price of a text, and what the guards find.

    `sender`: a number or a name; "" for the operator's default.
    """
    app.require_account(sender=not sender)
    draft = app.orders.draft(await app.recipients.find(to), message, sender)
    try:
        if app.policy.live:
            await app.history.refresh()
        quote = await app.orders.quotes.examine(draft, live=app.policy.live)
    except ProviderError as error:
        raise build.add_our_count(error, draft) from None
    return build.report_estimate(app, quote)


async def read_balance(app: App) -> BalanceAnswer:
    """Return the balance, and about how many texts it pays for."""
    app.require_account()
    balance = (await app.client.get_account()).balance
    price = app.client.last_price
    texts = max(0, balance.units // price.units) if price and price.units else None
    return BalanceAnswer(balance=balance, texts_left=texts)


async def read_statistics(app: App, limit: int, how: HowToContinue) -> StatisticsAnswer:
    """Return statistics on the latest sent texts. `limit`: how many, 10–100."""
    app.require_account()
    listing = await app.client.list_messages(limit, Direction.OUTBOUND)
    return summarise(
        listing.messages, app.clock.now(), describe_omissions(listing, app.policy.time_zone, how)
    )
