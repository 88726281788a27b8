"""46elks' paid endpoints, one for each kind of order: path, form, answers and price."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from elks_mcp.domain.callbacks import NO_CALLBACKS, Callbacks
from elks_mcp.domain.kinds import CALL, MMS, SMS
from elks_mcp.domain.orders import Draft, Estimate, Receipt
from elks_mcp.elks import wire


class BuildForm(Protocol):
    """Builds the form of a POST from a draft."""

    def __call__(self, draft: Draft, *, callbacks: Callbacks = NO_CALLBACKS) -> dict[str, str]:
        """Return the form. `callbacks` are the addresses of this server for the order."""


@dataclass(frozen=True, slots=True)
class DryRunPrice:
    """A price that 46elks gives in answer to the form of the real POST and one more field."""

    field: Mapping[str, str]
    """The field with which 46elks only prices the form. It is free."""

    parse: Callable[[bytes, str], Estimate]
    """Reads the answer. The second argument is the account's currency."""


@dataclass(frozen=True, slots=True)
class PastPrice:
    """The price that the operator set, or that of the kind's latest order in history."""

    setting: str
    """The operator's variable."""


PriceRule = Callable[[Draft, str], Estimate]
"""Prices a draft without a request. The second argument is the account's currency."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One paid endpoint of 46elks."""

    path: str
    build: BuildForm
    parse_receipt: Callable[[bytes, str], Receipt]
    """Reads the answer to the POST. The second argument is the account's currency."""

    price: DryRunPrice | PastPrice | PriceRule
    """How a draft is priced. Only an endpoint that 46elks documents a dry run for has one."""

    private: Mapping[str, str] = field(default_factory=dict)
    """The fields with which 46elks does not store the content; none if it documents no such field."""


Endpoints = Mapping[str, Endpoint]

ENDPOINTS: Endpoints = {
    SMS: Endpoint(
        "/sms",
        wire.build_sms,
        wire.parse_receipt,
        DryRunPrice(wire.DRY_RUN, wire.parse_estimate),
        wire.PRIVATE,
    ),
    MMS: Endpoint("/mms", wire.build_mms, wire.parse_receipt, PastPrice("ELKS_MMS_PRICE")),
    CALL: Endpoint("/calls", wire.build_call, wire.parse_call_receipt, wire.price_call),
}
"""The endpoint of each kind of order."""
