"""What all who send for an account share: the pace, and the pauses. It is the account's row."""

from datetime import datetime, timedelta

from sqlalchemy import bindparam, update

from elks_mcp.store.db.schema import accounts
from elks_mcp.store.db.transactions import Tx
from elks_mcp.store.values import Idle, Pace, PauseReason


def find_idle(tx: Tx, pace: Pace) -> Idle | None:
    """Say what stands in the way of sending anything now: a pause, or the pace."""
    shared = tx.shared
    if reason := find_pause(tx):
        return Idle(max(shared["paused_until"] - tx.now, timedelta()), reason)
    slot = find_slot(tx, pace)
    if slot <= tx.now + pace.ahead:
        return None
    if slot < shared["next_send_at"]:
        take_slots(tx, slot)  # else it would stay as far off as it is now
    return Idle(slot - tx.now)


def find_pause(tx: Tx) -> PauseReason | None:
    """Say why nothing is sent for now, if so."""
    if tx.shared["pause_reason"] is None:
        return None
    reason = PauseReason(tx.shared["pause_reason"])
    return None if reason.ends_by_itself and tx.shared["paused_until"] <= tx.now else reason


def find_slot(tx: Tx, pace: Pace) -> datetime:
    """Say when the next text may go out. Where the clock was put back, no further off than by pace."""
    slot = tx.shared["next_send_at"] or tx.now
    is_credible = slot <= tx.now + pace.ahead + _LONGEST_GAP
    return max(tx.now, slot) if is_credible else tx.now + pace.gap


_LONGEST_GAP = timedelta(seconds=61)
"""No pace sends less than one text a minute; a slot further off was given before the clock was put back."""


def take_slots(tx: Tx, following: datetime) -> None:
    """Say when the slot after those that were taken begins."""
    tx.execute(_FOLLOWING, {"account": tx.account_id, "following": following})


_FOLLOWING = (
    update(accounts).where(accounts.c.id == bindparam("account")).values(next_send_at=bindparam("following"))
)


def pause(tx: Tx, reason: PauseReason, time: timedelta) -> None:
    """Pause; of two pauses the longer one counts, and one that does not end by itself."""
    until = tx.now + time
    if current := find_pause(tx):
        until = max(until, tx.shared["paused_until"])
        reason = current if reason.ends_by_itself else reason
    tx.execute(_PAUSE, {"account": tx.account_id, "reason": reason, "until": until})


def resume(tx: Tx) -> None:
    """End a pause."""
    tx.execute(_PAUSE, {"account": tx.account_id, "reason": None, "until": None})


_PAUSE = (
    update(accounts)
    .where(accounts.c.id == bindparam("account"))
    .values(pause_reason=bindparam("reason"), paused_until=bindparam("until"))
)
