"""The pace and the pauses, which all processes that send for an account share."""

from datetime import datetime, timedelta

from sqlalchemy import bindparam, update

from elks_mcp.store.db.database import Tx
from elks_mcp.store.db.schema import accounts
from elks_mcp.store.values import Idle, Pace, PauseReason


def find_idle(tx: Tx, pace: Pace) -> Idle | None:
    """Return why nothing can be sent now: a pause, or the pace. None if something can."""
    shared = tx.shared
    if reason := find_pause(tx):
        return Idle(max(shared["paused_until"] - tx.now, timedelta()), reason)
    slot = find_slot(tx, pace)
    if slot <= tx.now + pace.ahead:
        return None
    if slot < shared["next_send_at"]:
        take_slots(tx, slot)  # otherwise the slot would stay too far in the future
    return Idle(slot - tx.now)


def find_pause(tx: Tx) -> PauseReason | None:
    """Return why sending is paused, if it is."""
    if tx.shared["pause_reason"] is None:
        return None
    reason = PauseReason(tx.shared["pause_reason"])
    return None if reason.ends_by_itself and tx.shared["paused_until"] <= tx.now else reason


def find_slot(tx: Tx, pace: Pace) -> datetime:
    """Return when the next text may go out: at most one gap from now if the clock was set back."""
    slot = tx.shared["next_send_at"] or tx.now
    is_credible = slot <= tx.now + pace.ahead + _MOST_BETWEEN_TEXTS
    return max(tx.now, slot) if is_credible else tx.now + pace.gap


_MOST_BETWEEN_TEXTS = timedelta(seconds=61)
"""No pace is slower than one text a minute. A slot further off dates from before the clock was set back."""


def take_slots(tx: Tx, following: datetime) -> None:
    """Record when the slot after those just taken begins."""
    tx.execute(_MOVE_PACE, {"account": tx.account_id, "following": following})


_MOVE_PACE = (
    update(accounts).where(accounts.c.id == bindparam("account")).values(next_send_at=bindparam("following"))
)


def pause(tx: Tx, reason: PauseReason, time: timedelta) -> None:
    """Pause sending. The longer time and the more lasting reason of two pauses count."""
    until = tx.now + time
    if current := find_pause(tx):
        until = max(until, tx.shared["paused_until"])
        reason = current if reason.ends_by_itself else reason
    tx.execute(_PAUSE, {"account": tx.account_id, "reason": reason, "until": until})


def resume(tx: Tx) -> None:
    """End the pause."""
    tx.execute(_PAUSE, {"account": tx.account_id, "reason": None, "until": None})


_PAUSE = (
    update(accounts)
    .where(accounts.c.id == bindparam("account"))
    .values(pause_reason=bindparam("reason"), paused_until=bindparam("until"))
)
