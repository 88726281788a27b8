"""The prices of many drafts: 46elks is asked once for all that cost the same."""

from collections.abc import Iterable, Mapping

from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Draft, Estimate
from elks_mcp.domain.phone import written
from elks_mcp.elks.client import ElksClient
from elks_mcp.errors import ProviderError, Refused

PriceClass = tuple[object, ...]
"""The properties of a draft on which its price depends."""


def price_class(draft: Draft) -> PriceClass:
    """Return the kind, country, sender and number of parts of a draft."""
    return draft.kind, draft.to.region, written(draft.sender), draft.payload.parts


async def get_prices(
    client: ElksClient, drafts: Iterable[Draft]
) -> Mapping[PriceClass, Estimate | ProviderError]:
    """Return the price of each class of drafts, or why 46elks gives none.

    Raises:
        ProviderError: 46elks gives no price for any of them.
    """
    prices: dict[PriceClass, Estimate | ProviderError] = {}
    for draft in drafts:
        kind = price_class(draft)
        if kind not in prices:
            try:
                prices[kind] = await client.get_estimate(draft)
            except ProviderError as error:
                prices[kind] = error
    errors = [each for each in prices.values() if isinstance(each, ProviderError)]
    if errors and len(errors) == len(prices):
        raise errors[-1]
    return prices


async def check_prices(client: ElksClient, approved: Iterable[tuple[Draft, Money]]) -> None:
    """Check that no draft costs more now than was approved.

    Raises:
        Refused: one does.
        ProviderError: 46elks prices none of them.
    """
    first = {price_class(draft): (draft, price) for draft, price in approved}
    prices = await get_prices(client, (draft for draft, _ in first.values()))
    for kind, (draft, price) in first.items():
        now = prices[kind]
        if not isinstance(now, ProviderError) and now.price > price:
            raise Refused(
                f"46elks raised its price: a text to {draft.to.country} costs {now.price} now, "
                f"and {price} was approved.",
                hint="Plan the batch again, at the new price.",
            )
