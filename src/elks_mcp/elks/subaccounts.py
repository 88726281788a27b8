"""The requests about subaccounts, which need the account's own credentials; all are free."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from elks_mcp.domain.money import Money
from elks_mcp.domain.subaccounts import Subaccount
from elks_mcp.elks.client import ElksClient
from elks_mcp.elks.credentials import Credentials
from elks_mcp.elks.transport import Api
from elks_mcp.elks.wire import subaccounts as wire
from elks_mcp.errors import InvalidInput, NoAnswer

_MOST_PAGES = 20
_PATH = "/subaccounts"


class SubaccountClient:
    """The subaccounts of an account.

    `client` makes the other free requests with the same credentials.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self.client = ElksClient(api)

    async def get(self, subaccount_id: str) -> Subaccount:
        """Return one subaccount.

        Raises:
            InvalidInput: that cannot be the id of one.
            ProviderError: 46elks refuses it, or cannot be asked.
        """
        body = await self._api.get(_find_path(subaccount_id))
        return wire.parse_subaccount(body, await self.client.get_currency())

    async def list_active(self) -> tuple[Subaccount, ...]:
        """Return the active subaccounts, newest first, each once."""
        currency = await self.client.get_currency()
        found: dict[str, Subaccount] = {}
        before = None
        for _ in range(_MOST_PAGES):
            body = await self._api.get(_PATH, wire.build_subaccounts_query(before))
            page, following = wire.parse_subaccounts(body, currency)
            new = {each.id: each for each in page if each.id not in found}
            found |= new
            if following is None or not new:
                return tuple(each for each in found.values() if each.is_active)
            before = following
        raise NoAnswer(
            f"46elks lists more than {len(found)} subaccounts, which are not read further.",
            hint="Delete unused ones on 46elks.com.",
        )

    async def create(self, name: str, limit: Money) -> Subaccount:
        """Create a subaccount, by exactly one request, since each creates another one.

        It is not certain that 46elks accepts a limit here, so the caller checks `Subaccount.limit`.

        Raises:
            NoAnswer: the subaccount may have been created.
            ProviderError: it was not created.
        """
        body = await self._api.post(_PATH, wire.build_subaccount(name, limit))
        return wire.parse_subaccount(body, limit.currency)

    async def set_limit(self, subaccount_id: str, limit: Money | None) -> Subaccount:
        """Set the most that a subaccount may ever spend; None removes the limit.

        Return the subaccount as 46elks describes it afterwards.
        """
        await self._api.ask(_find_path(subaccount_id), wire.build_limit(limit))
        return await self.get(subaccount_id)


@asynccontextmanager
async def open_subaccounts(
    credentials: Credentials, base_url: str, time_limit: timedelta
) -> AsyncIterator[SubaccountClient]:
    """Open a connection to 46elks with these credentials, and close it when the context ends."""
    api = Api(credentials, base_url=base_url, timeout=time_limit)
    try:
        yield SubaccountClient(api)
    finally:
        await api.aclose()


def _find_path(subaccount_id: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]{8,64}", subaccount_id):
        raise InvalidInput(
            "That is not the id of a subaccount.", hint="It is an a and 32 digits and letters a–f."
        )
    return f"{_PATH}/{subaccount_id}"
