"""The check of `elks-mcp doctor` on long-running servers, which send scheduled texts."""

from elks_mcp.cli.doctor_settings import Check
from elks_mcp.cli.output import describe_scheduled
from elks_mcp.runtime.launcher import show_command
from elks_mcp.settings import Configuration
from elks_mcp.store.admin import OrderAdmin
from elks_mcp.store.db.database import Database
from elks_mcp.store.heartbeats import Heartbeats


async def check_servers(configuration: Configuration, database: Database) -> list[Check]:
    """Check that a long-running server sends the account's scheduled texts, if there are some."""
    account, admin = configuration.settings.account, OrderAdmin(database)
    if account not in await admin.list_accounts():
        return []
    await database.enter(account)
    scheduled = await admin.find_scheduled(account)
    summary = describe_scheduled(scheduled, configuration.policy.time_zone)
    if kind := await Heartbeats(database).find_alive():
        command = show_command(kind.command)
        return [Check("ok", f"{summary} A long-running server sends due texts: {command}.")]
    if not scheduled.total:
        return [Check("ok", f"{summary} No long-running server is running; only scheduled texts need one.")]
    start = configuration.settings.write_command("serve")
    return [Check("warn", f"{summary} {_NOT_SENT} To start a server that sends them: {start}")]


_NOT_SENT = (
    "No long-running server is running, so a text goes out only if a client is open at its time. Otherwise "
    "it expires, and that is reported."
)
