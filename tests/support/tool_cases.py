"""Helpers shared by the tests of tools."""

from datetime import timedelta

from elks_mcp.sandbox import ManualClock, Sandbox


def later(box: Sandbox, seconds: float) -> None:
    """Let time pass at 46elks."""
    assert isinstance(box.clock, ManualClock)
    box.clock.advance(timedelta(seconds=seconds))


def fill_history(box: Sandbox, count: int) -> None:
    """Put texts of both kinds into history, one a minute, every third inbound."""
    for minute in range(count):
        box.add_history(
            box.clock.now() - timedelta(minutes=minute),
            direction="incoming" if minute % 3 == 0 else "outgoing",
            text=f"nr {minute}",
        )
