"""Handles of people whose numbers are hidden: made from numbers, and read again.

A handle is a keyed hash, so it finds only numbers that are known here: those that this process showed, those
of contacts and of orders, and those of the latest texts in 46elks' history.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable

from elks_mcp.domain.contacts import Contacts
from elks_mcp.domain.handles import list_periods, read_handle, write_handle
from elks_mcp.domain.models import Direction
from elks_mcp.domain.phone import Number, is_e164
from elks_mcp.elks.client import ElksClient
from elks_mcp.errors import InvalidInput
from elks_mcp.runtime.clock import Clock
from elks_mcp.store import Storage

_MOST_REMEMBERED = 10_000
_MOST_ORDERS = 1000
_MOST_TEXTS = 500
"""The most texts of 46elks' history in which an unknown handle is looked for."""


class Handles:
    """Makes and reads handles.

    `get_contacts` returns the contacts, whose numbers a handle can mean as well.
    """

    def __init__(
        self,
        client: ElksClient,
        storage: Storage,
        clock: Clock,
        get_contacts: Callable[[], Contacts],
    ) -> None:
        self._client = client
        self._storage = storage
        self._clock = clock
        self._get_contacts = get_contacts
        self._shown: defaultdict[str, set[Number]] = defaultdict(set)

    async def make(self, number: Number) -> str:
        """Return the handle of a number, and remember what it means.

        Raises:
            StateUnavailable, Misconfigured: the key of the hashes cannot be read.
        """
        handle = (await self._list_handles(number))[0]
        if len(self._shown) >= _MOST_REMEMBERED:
            del self._shown[next(iter(self._shown))]
        self._shown[handle].add(number)
        return handle

    async def find(self, text: str) -> Number | None:
        """Return the number that a handle means; None if the text is not a handle.

        Raises:
            InvalidInput: no known number has this handle, or several have it.
            ProviderError: 46elks' history cannot be read.
            StateUnavailable, Misconfigured: the key of the hashes cannot be read.
        """
        handle = read_handle(text)
        if not handle:
            return None
        found = set(self._shown.get(handle, ())) or await self._search(handle)
        return choose_number(handle, found)

    async def _search(self, handle: str) -> set[Number]:
        """Return the known numbers with a handle of this period or the one before."""
        stored = {*self._get_contacts().list_numbers(), *await self._list_recipients()}
        return await self._filter(stored, handle) or await self._filter(await self._list_parties(), handle)

    async def _filter(self, numbers: Iterable[Number], handle: str) -> set[Number]:
        return {each for each in numbers if handle in await self._list_handles(each)}

    async def _list_parties(self) -> set[Number]:
        """Return with whom the latest texts of 46elks' history were exchanged."""
        texts = (await self._client.list_messages(_MOST_TEXTS)).messages
        parties = {each.sender if each.direction is Direction.INBOUND else each.to for each in texts}
        return {Number(party) for party in parties if is_e164(party)}

    async def _list_recipients(self) -> set[Number]:
        store = await self._storage.open()
        return await store.orders.list_recipients(_MOST_ORDERS)

    async def _list_handles(self, number: Number) -> tuple[str, ...]:
        """Return the handles of a number, that of the present period first."""
        hasher = (await self._storage.open()).database.hasher
        periods = list_periods(self._clock.now())
        return tuple(write_handle(hasher.of("handle", number.e164, str(each))) for each in periods)


def choose_number(handle: str, found: Collection[Number]) -> Number:
    """Return the one number that has a handle.

    Raises:
        InvalidInput: no number has it, or several have it.
    """
    if len(found) > 1:
        raise InvalidInput(f"{handle} can mean several numbers.", hint=_ASK)
    for number in found:
        return number
    raise InvalidInput(f"No known number has the handle {handle}.", hint=_LIST_AGAIN)


_ASK = "Ask the user for the number, or for the name in the contacts."
_LIST_AGAIN = (
    "A handle is valid for 90 days at least. List the texts again and use the handle that is shown now, or "
    "ask the user for the number."
)
