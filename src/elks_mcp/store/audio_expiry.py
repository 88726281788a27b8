"""How long the audio of calls is stored: as long as a call may play it, and hardly longer.

Audio of a planned call expires by itself. That of an alert stays until the alert must have ended, because the
same audio may be played to the next person hours later. After the last call, or the end of the alert, it
expires soon.
"""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, or_, select, update

from elks_mcp.domain.call_payload import Call
from elks_mcp.domain.escalation import OPEN_STATES
from elks_mcp.domain.kinds import CALL
from elks_mcp.domain.orders import UNFINISHED
from elks_mcp.domain.payloads import Payload
from elks_mcp.store.db.database import Tx
from elks_mcp.store.db.rows import parse_payload
from elks_mcp.store.db.schema import alerts, call_audio, is_one_of, orders
from elks_mcp.store.ongoing_calls import list_ongoing

AUDIO_KEPT = timedelta(hours=3)
"""How long audio is kept for a call that is only planned: for approval, for a server, and in the queue."""

_KEPT_AFTER_CALL = timedelta(minutes=5)
"""How long audio is kept after its call: the next call may be about to be placed with it."""


def is_audio_kept(tx: Tx, digest: str) -> ColumnElement[bool]:
    """Return the condition for audio of the account that has not expired."""
    return and_(_is_audio(tx, digest), call_audio.c.expires_at > tx.now)


def extend_audio(tx: Tx, digest: str, time: timedelta) -> None:
    """Keep stored audio for `time` from now on, at least."""
    until = tx.now + time
    which = and_(_is_audio(tx, digest), call_audio.c.expires_at < until)
    tx.execute(update(call_audio).where(which).values(expires_at=until))


def keep_audio_of_alert(tx: Tx, spoken: Payload | None, time_cap: timedelta) -> None:
    """Keep what the calls of an alert play until the alert, and its last call, must have ended."""
    if isinstance(spoken, Call):
        extend_audio(tx, spoken.audio, time_cap + AUDIO_KEPT)


def release_audio(tx: Tx, spoken: Payload | None) -> None:
    """Let audio expire soon after its call or its alert has ended, unless it is still needed.

    An open alert keeps it as long as the alert may run. Calls that may still be made keep it for 3 hours.
    """
    if not isinstance(spoken, Call) or not spoken.audio or _has_open_alert(tx, spoken.audio):
        return
    left = AUDIO_KEPT if _has_open_call(tx, spoken.audio) else _KEPT_AFTER_CALL
    until: datetime = tx.now + left
    which = and_(_is_audio(tx, spoken.audio), call_audio.c.expires_at > until)
    tx.execute(update(call_audio).where(which).values(expires_at=until))


def delete_expired_audio(tx: Tx) -> None:
    """Delete audio of the account that has expired."""
    ours = call_audio.c.account_id == tx.account_id
    tx.execute(delete(call_audio).where(ours, call_audio.c.expires_at <= tx.now))


def _is_audio(tx: Tx, digest: str) -> ColumnElement[bool]:
    return and_(call_audio.c.account_id == tx.account_id, call_audio.c.digest == digest)


def _has_open_alert(tx: Tx, digest: str) -> bool:
    """Return whether an alert that waits or runs plays this audio, by its plan as it is stored."""
    ours = alerts.c.account_id == tx.account_id, is_one_of(alerts.c.state, OPEN_STATES)
    plays = alerts.c.plan.contains(f'"audio":"{digest}"')
    return tx.first(select(alerts.c.id).where(*ours, plays).limit(1)) is not None


def _has_open_call(tx: Tx, digest: str) -> bool:
    """Return whether a call that may still be made, or goes on, plays this audio."""
    ongoing = orders.c.id.in_(list_ongoing(tx).with_only_columns(orders.c.id))
    open_orders = or_(is_one_of(orders.c.state, UNFINISHED), ongoing)
    which = and_(orders.c.account_id == tx.account_id, orders.c.kind == CALL, open_orders)
    payloads = (parse_payload(tx, row) for row in tx.all(select(orders).where(which)))
    return any(isinstance(each, Call) and each.audio == digest for each in payloads)
