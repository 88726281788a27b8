"""The checks of `elks-mcp doctor` on accounts: those that a state knows, and their tokens."""

from elks_mcp.domain.wording import format_count
from elks_mcp.runtime.launcher import show_command
from elks_mcp.store import AccountKey
from elks_mcp.store.admin import OrderAdmin
from elks_mcp.store.db.database import Database
from elks_mcp.store.location import explain_new_account
from elks_mcp.store.tokens import Tokens


async def examine_accounts(account: AccountKey, database: Database) -> list[str]:
    """Return notes for the operator about the accounts in the state, a few sentences each."""
    if not account.username:
        return []
    notes = []
    known = await OrderAdmin(database).list_accounts()
    if account in known:
        await database.enter(account)
    elif known:
        notes.append(explain_new_account(account, known))
    if foreign := (await Tokens(database).list_valid()).foreign:
        notes.append(
            f"{format_count(len(foreign), 'token')} for other accounts ({'; '.join(foreign.values())}): not "
            "valid for this account. Each caller over HTTP needs one that is. "
            f"To make one: {show_command('token new')}."
        )
    return notes
