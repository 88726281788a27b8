"""Incoming texts that the account may have caused itself. Their sender proves nothing.

46elks' page does not forbid other people's numbers as sender (https://46elks.com/kb/text-sender-id). A text
from such a number to one of the account's own comes back as an incoming one "from" that person.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import bindparam, select

from elks_mcp.domain.models import Direction, Message
from elks_mcp.domain.orders import NEVER_SENT
from elks_mcp.store.db.database import Tx
from elks_mcp.store.db.schema import orders

CAUSED_WITHIN = timedelta(minutes=10)
"""How long after an outgoing text an incoming one with the same sender and recipient may be its echo."""

_CLOCK_ERROR = timedelta(minutes=1)
"""How far the database's clock and 46elks' may differ."""


class _Sent(NamedTuple):
    sender: str
    recipient_hash: str
    at: datetime
    """By 46elks' clock, or by the database's where that is all that is known."""


def find_self_caused(tx: Tx, messages: Iterable[Message], stored: Mapping[str, bool]) -> frozenset[str]:
    """Return the ids of incoming texts that an outgoing text of the account may have caused.

    Outgoing texts are this server's orders, by whichever process, and those among `messages`. `stored` says
    of those received before whether they are among these: a later reading of history may not reach back to
    the outgoing text.
    """
    messages = tuple(messages)
    inbound = [each for each in messages if each.direction is Direction.INBOUND]
    if not inbound:
        return frozenset()
    hashes = {each.to: tx.hasher.number(each.to) for each in inbound}
    sent = [*_in_history(messages, hashes), *_in_orders(tx, {*hashes.values()})]
    caused = {each.id for each in inbound if _has_cause(each, hashes[each.to], sent, tx)}
    return frozenset(caused | {id_ for id_, is_self_caused in stored.items() if is_self_caused})


def _in_history(messages: Iterable[Message], hashes: dict[str, str]) -> list[_Sent]:
    return [
        _Sent(each.sender, hashes[each.to], each.created_at)
        for each in messages
        if each.direction is Direction.OUTBOUND and each.to in hashes and each.created_at
    ]


_TEXTED = select(
    orders.c.sender,
    orders.c.recipient_hash,
    orders.c.accepted_at,
    orders.c.provider_attempted_at,
    orders.c.attempted_at,
).where(
    orders.c.account_id == bindparam("account"),
    orders.c.recipient_hash.in_(bindparam("recipients")),
    orders.c.attempted_at.is_not(None),
    orders.c.state.not_in(NEVER_SENT),
)


def _in_orders(tx: Tx, recipients: Iterable[str]) -> list[_Sent]:
    rows = tx.execute(_TEXTED, {"account": tx.account_id, "recipients": [*recipients]})
    return [
        _Sent(row.sender, row.recipient_hash, at)
        for row in rows
        for at in (row.accepted_at, row.provider_attempted_at, row.attempted_at)
        if at
    ]


def _has_cause(message: Message, recipient_hash: str, sent: Iterable[_Sent], tx: Tx) -> bool:
    received_at = message.created_at or tx.now
    earliest, latest = received_at - CAUSED_WITHIN - _CLOCK_ERROR, received_at + _CLOCK_ERROR
    return any(
        each.sender == message.sender
        and each.recipient_hash == recipient_hash
        and earliest <= each.at <= latest
        for each in sent
    )
