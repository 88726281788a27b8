"""The checks of `elks-mcp doctor` on orders, and on accounts whose sending is paused."""

from elks_mcp.cli.doctor_settings import Check
from elks_mcp.cli.output import show_account
from elks_mcp.domain.orders import UNFINISHED, OrderState
from elks_mcp.domain.wording import format_count
from elks_mcp.runtime.launcher import show_command
from elks_mcp.store.admin import OrderAdmin
from elks_mcp.store.call_costs import LOOKS_BACK, CallCosts
from elks_mcp.store.db.database import Database


async def check_orders(whereabouts: str, database: Database) -> list[Check]:
    """Count the orders in the state, and list what needs a person."""
    admin = OrderAdmin(database)
    counts, pauses = await admin.count(), await admin.list_pauses()
    unfinished = sum(number for state, number in counts.items() if state in UNFINISHED)
    what = f"{await admin.describe()}; {format_count(unfinished, 'order')} unfinished"
    checks = [Check("ok", f"State is in {whereabouts} ({what}).")]
    if unknown := counts.get(OrderState.UNKNOWN):
        checks.append(
            Check(
                "note",
                f"{format_count(unknown, 'order')} may or may not have been sent. A person must say which. "
                f"To list them: {show_command('outbox')}.",
            )
        )
    if overcharged := await CallCosts(database).count_overcharged():
        checks.append(
            Check(
                "warn",
                f"{format_count(overcharged, 'call')} of the last {LOOKS_BACK.days} days cost more than the "
                "upper bound that was reserved, and the daily budget counts the charge. Compare "
                "ELKS_CALL_PRICE_PER_MINUTE with 46elks' prices. To see the calls: "
                f"{show_command('calls')}.",
            )
        )
    return checks + [
        Check("note", f"Sending is paused ({pause.reason}) for {show_account(pause.owner)}.")
        for pause in pauses
    ]
