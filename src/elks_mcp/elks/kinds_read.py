"""The kinds of messages beyond texts: whether they are read, and their prices."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from elks_mcp.domain.kinds import MMS
from elks_mcp.domain.models import Direction
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Estimate
from elks_mcp.domain.toolsets import Toolset
from elks_mcp.elks.history_pages import GetPage
from elks_mcp.elks.paid_endpoints import PastPrice
from elks_mcp.errors import UnknownPrice


@dataclass(frozen=True, slots=True)
class KindsRead:
    """The kinds of messages beyond texts that are read, and prices that the operator set."""

    mms: bool = False
    """Whether history includes MMS."""

    prices: Mapping[str, int] = field(default_factory=dict)
    """The price of an order by its kind, in ten-thousandths of the account's currency."""

    @classmethod
    def of(cls, toolsets: frozenset[Toolset], *, mms_price: int | None) -> "KindsRead":
        """Return what the toolsets read, with the operator's price of an MMS if it is set."""
        prices = {} if mms_price is None else {MMS: mms_price}
        return cls(mms=Toolset.MMS in toolsets, prices=prices)


async def find_past_price(
    rule: PastPrice, kind: str, set_by_operator: int | None, currency: str, read: GetPage
) -> Estimate:
    """Return the operator's price of an order, or the last one in its history; never a guess.

    Raises:
        UnknownPrice: there is neither.
        ProviderError: history cannot be read.
    """
    if set_by_operator is not None:
        return Estimate(price=Money(set_by_operator, currency))
    sent = (each.cost for each in (await read(None)).messages if each.direction is Direction.OUTBOUND)
    if latest := next((cost for cost in sent if cost and cost.units > 0), None):
        return Estimate(price=latest)
    name = kind.upper()
    raise UnknownPrice(
        f"No price is known for an {name}: 46elks quotes none, and this account has sent none yet.",
        hint=f"The operator can set {rule.setting} to the price of one, in the account's currency.",
    )
