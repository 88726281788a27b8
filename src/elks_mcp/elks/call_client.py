"""The free requests about calls: history, one call, and what was recorded."""

import re
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from elks_mcp.domain.calls import CallPage, CallRecord
from elks_mcp.domain.models import Direction, Listing, Message, UnreadRow
from elks_mcp.elks import wire
from elks_mcp.elks.transport import Api
from elks_mcp.errors import InvalidInput, NotFound, Rejected

_MOST_PAGES = 20
_OVERLAP = timedelta(milliseconds=1)
"""Pages overlap, since `next` is a moment that several calls can share."""

_CALL_ID, _RECORDING_ID = r"[A-Za-z0-9]{8,64}", r"[A-Za-z0-9]{8,64}-r[0-9]{1,3}"
_NOT_FOUND = 404


class CallClient:
    """The calls of the account at 46elks. Each method raises a `ProviderError` if it fails.

    Args:
        api: makes the requests.
        count: called before each request, and may refuse it.
        get_currency: returns the currency of the account.
    """

    def __init__(
        self, api: Api, count: Callable[[], None], get_currency: Callable[[], Awaitable[str]]
    ) -> None:
        self._api = api
        self._count = count
        self._get_currency = get_currency

    async def get(self, call_id: str) -> CallRecord:
        """Return one call by 46elks' id.

        Raises:
            InvalidInput: that cannot be the id of a call.
            NotFound: 46elks has no such call.
        """
        if not re.fullmatch(_CALL_ID, call_id):
            raise InvalidInput(
                f"{call_id[:80]!r} is not the id of a call.", hint="It is a c and 32 digits and letters a–f."
            )
        currency = await self._get_currency()
        return wire.parse_call(await self._get(f"/calls/{call_id}", "call"), currency)

    async def list_page(self, limit: int, before: datetime | None = None) -> CallPage:
        """Return the latest calls, newest first: at most `limit` (1–100), made before a moment."""
        currency = await self._get_currency()
        query = wire.build_history_query(limit=limit, before=before)
        self._count()
        return wire.parse_call_page(await self._api.get("/calls", query), currency)

    async def list_since(self, moment: datetime) -> Listing:
        """Return all calls after a moment of 46elks' time, newest first, as messages without text.

        It stops after some pages, with `complete` False.
        """
        found: dict[str, CallRecord] = {}
        unread, before, is_complete = 0, None, False
        for _ in range(_MOST_PAGES):
            page = await self.list_page(wire.PAGE_SIZE, before)
            is_new = any(call.id not in found for call in page.calls)
            found |= {call.id: call for call in page.calls}
            unread += page.unread + sum(_is_vague(call) for call in page.calls)
            is_complete = page.older_from is None or page.older_from < moment
            if is_complete or page.older_from is None or not (is_new or page.unread):
                break
            before = page.older_from + _OVERLAP
        rows = tuple(_build_unread(str(index)) for index in range(unread))
        return Listing(messages=tuple(map(_build_message, found.values())), complete=is_complete, unread=rows)

    async def get_recording(self, recording_id: str) -> bytes:
        """Return the sound of a recording, a WAV file. 46elks keeps it for 72 hours.

        Raises:
            InvalidInput: that cannot be the id of a recording.
            NotFound: 46elks has no such recording, or not any more.
        """
        if not re.fullmatch(_RECORDING_ID, recording_id):
            raise InvalidInput(
                f"{recording_id[:80]!r} is not the id of a recording.",
                hint="It is the id of a call and a number, as in c…-r0; the list of calls has it.",
            )
        return await self._get(f"/recordings/{recording_id}.wav", "recording")

    async def _get(self, path: str, noun: str) -> bytes:
        self._count()
        try:
            return await self._api.get(path)
        except Rejected as error:
            if error.status != _NOT_FOUND:
                raise
            raise NotFound(
                f"46elks has no {noun} with that id.", hint="Check the id; the list of calls has the latest."
            ) from None


def _is_vague(call: CallRecord) -> bool:
    """Return whether something is missing by which a call of ours is recognized."""
    return call.direction is None or call.created_at is None or not call.to


def _build_message(call: CallRecord) -> Message:
    """Return a call as history shows a message, for the judge of doubts."""
    return Message(
        id=call.id,
        direction=call.direction or Direction.OUTBOUND,
        sender=call.sender,
        to=call.to,
        created_at=call.created_at,
        status=call.state,
        text=None,
        cost=call.cost,
    )


def _build_unread(mark: str) -> UnreadRow:
    """Return a row that cannot be read: it may be a call that was made."""
    return UnreadRow(
        mark=f"call {mark}", not_after=None, is_left_out=True, may_be_stop=False, may_be_sent=True
    )
