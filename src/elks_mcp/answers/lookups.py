"""Answers about texts and the account that are looked up at 46elks, for every interface."""

from collections.abc import Awaitable, Callable, Sequence

from elks_mcp.answers import build
from elks_mcp.answers.balance import BalanceAnswer
from elks_mcp.answers.listing import HowToContinue, describe_omissions, hide, read_style
from elks_mcp.answers.people import read_people
from elks_mcp.answers.results import EstimateAnswer, StatusAnswer
from elks_mcp.answers.schedule import find_forecast
from elks_mcp.answers.statistics import StatisticsAnswer, add_days, count_by_day, summarize
from elks_mcp.answers.statuses import AskedStatus, StatusesAnswer
from elks_mcp.app import App
from elks_mcp.domain.display import visible
from elks_mcp.domain.kinds import CALL
from elks_mcp.domain.models import Direction, HistoryFilter, Message, Scope
from elks_mcp.domain.orders import Draft, Order
from elks_mcp.domain.periods import parse_period
from elks_mcp.domain.wording import format_count
from elks_mcp.elks.client import COUNTED_PAGES, LISTED_PAGES, MOST_READ
from elks_mcp.errors import ElksError, InvalidInput, NotFound, ProviderError

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
    if order and (order.receipt is None or order.kind == CALL):
        return order
    app.require_account()
    receipt = order.receipt if order else None
    return await app.client.get_message(receipt.message_id if receipt else text_id.strip())


async def find_status(app: App, text_id: str, record_shown: RecordShown | None = None) -> StatusAnswer:
    """Return the status of one text, by the id of its order or 46elks' id.

    `record_shown`: called before a text that may be read is shown; None if a person reads the answer.
    """
    message = await find_text(app, text_id)
    if isinstance(message, Order) and message.receipt:
        from elks_mcp.answers.calls import report_call_status  # noqa: PLC0415  (most texts are no calls)

        return report_call_status(app, message, await app.calls.outcomes.find(message.id))
    if isinstance(message, Order):
        return build.report_unsent(app, message, await find_forecast(app, message))
    await app.history.record([message])
    if not await app.history.without_hidden([message]):
        message = hide(message)
    elif record_shown:
        await record_shown(app, [message])
    order = await app.orders.find_order(message.id)
    return build.report_message(message, order, await read_people(app))


async def list_statuses(
    app: App, message_ids: Sequence[str], record_shown: RecordShown | None = None
) -> StatusesAnswer:
    """Return the status of several texts in short, and for each id without one the reason.

    Raises:
        InvalidInput: there are too many ids.
        ElksError: 46elks cannot be asked, or no text has any of these ids.
    """
    if len(message_ids) > MOST_STATUSES:
        raise InvalidInput(
            f"{len(message_ids)} ids are too many; {MOST_STATUSES} is the most.",
            hint="Ask about fewer at a time.",
        )
    style = await read_style(app)
    texts: list[AskedStatus] = []
    failure: ElksError | None = None
    for message_id in message_ids:
        try:
            found = await find_status(app, message_id, record_shown)
        except (NotFound, InvalidInput) as error:
            failure = error
            texts.append(AskedStatus(asked=message_id, error=str(error)))
        else:
            texts.append(AskedStatus.of(message_id, found, style))
    if failure and all(each.error for each in texts):
        faults = (f"{visible(each.asked[:_LONGEST_ASKED])}: {each.error}" for each in texts)
        raise type(failure)(" ".join(faults), hint=failure.hint)
    return StatusesAnswer(now=style.now_in_words, zone=style.zone_in_words, texts=tuple(texts))


MOST_STATUSES = 20
"""The most ids in one call: each is a request to 46elks."""

_LONGEST_ASKED = 40
"""Characters of an id in an error."""


async def estimate(app: App, to: str, message: str, sender: str) -> EstimateAnswer:
    """Return the exact price of a text, and what the guards find.

    `sender`: a number or a name; "" for the operator's default.
    """
    app.require_account(sender=not sender)
    draft = app.orders.draft_text(await app.recipients.find(to), message, sender)
    try:
        if app.policy.live:
            await app.history.refresh()
        quote = await app.orders.quotes.examine(draft, live=app.policy.live)
    except ProviderError as error:
        raise _add_our_count(error, draft) from None
    return build.report_estimate(app, quote)


def _add_our_count(error: ProviderError, draft: Draft) -> ProviderError:
    """Return the error of a failed pricing, with our own count of the parts in its hint."""
    if size := draft.payload.size:
        count = f"{format_count(size.parts, 'part')} in {size.encoding}"
        error.hint = f"{error.hint} By our own count the text takes {count}.".strip()
    return error


async def read_balance(app: App) -> BalanceAnswer:
    """Return the balance, and about how many texts it pays for."""
    app.require_account()
    balance = (await app.client.get_account()).balance
    price = app.client.last_price
    texts = max(0, balance.units // price.units) if price and price.units else None
    return BalanceAnswer(balance=balance, texts_left=texts)


async def read_statistics(
    app: App, limit: int, how: HowToContinue, *, since: str = "", until: str = ""
) -> StatisticsAnswer:
    """Return statistics on sent texts: on all since a time, or else on the latest ones.

    Args:
        app: the app.
        limit: how many texts, 10–100, unless `since` is given.
        how: how to continue, if there are more than are read.
        since: the start of the period, as a caller writes it; "" is open.
        until: its end.
    """
    app.require_account()
    period = parse_period(since, until, app.policy.time_zone)
    wanted = HistoryFilter(direction=Direction.OUTBOUND, since=period.since, until=period.until)
    listing = await app.client.list_messages(
        MOST_READ if period.since else limit,
        wanted,
        most_pages=COUNTED_PAGES if period.since else LISTED_PAGES,
    )
    note = describe_omissions(listing, app.policy.time_zone, how)
    answer = summarize(listing.messages, app.clock.now(), note)
    days = count_by_day(listing.messages, app.policy.time_zone)
    return add_days(answer, days) if since or until or len(days) > 1 else answer
