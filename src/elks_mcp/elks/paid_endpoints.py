"""46elks' paid endpoints, one for each kind of order: path, form and answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from elks_mcp.domain.kinds import SMS
from elks_mcp.domain.orders import Draft, Estimate, Receipt
from elks_mcp.elks import wire


class BuildForm(Protocol):
    """Builds the form of a POST from a draft."""

    def __call__(self, draft: Draft, *, dry_run: bool, report_to: str | None = None) -> dict[str, str]:
        """Return the form. `report_to` is the address for the delivery report; a dry run is free."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One paid endpoint of 46elks."""

    path: str
    build: BuildForm
    parse_estimate: Callable[[bytes, str], Estimate]
    """Reads the answer to a dry run. The second argument is the account's currency."""

    parse_receipt: Callable[[bytes, str], Receipt]
    """Reads the answer to the real POST. The second argument is the account's currency."""


Endpoints = Mapping[str, Endpoint]

ENDPOINTS: Endpoints = {SMS: Endpoint("/sms", wire.build_sms, wire.parse_estimate, wire.parse_receipt)}
"""The endpoint of each kind of order."""
