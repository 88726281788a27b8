"""The check of `elks-mcp doctor` on long-running servers, which send scheduled texts."""

from elks_mcp.cli.doctor_settings import Check
from elks_mcp.cli.output import describe_scheduled
from elks_mcp.domain.wording import format_count
from elks_mcp.runtime.launcher import show_command
from elks_mcp.settings import Configuration
from elks_mcp.store.admin import OrderAdmin
from elks_mcp.store.calls import CallStore
from elks_mcp.store.db.database import Database
from elks_mcp.store.heartbeats import Heartbeats


async def check_servers(configuration: Configuration, database: Database) -> list[Check]:
    """Check that servers run that send what the account has to send."""
    account, admin = configuration.settings.account, OrderAdmin(database)
    if account not in await admin.list_accounts():
        return []
    await database.enter(account)
    scheduled = await _check_scheduled(configuration, database)
    return [scheduled, *await _check_audio(configuration, database)]


async def _check_audio(configuration: Configuration, database: Database) -> list[Check]:
    """Name the queued calls that a server with these settings leaves to another one."""
    if configuration.settings.public_url or configuration.policy.simulated:
        return []
    queued = await CallStore(database).count_queued_audio()
    if not queued:
        return []
    calls = format_count(queued, "queued call")
    return [Check("warn", f"46elks fetches the audio of {calls} from a server. {_NO_ADDRESS}")]


_NO_ADDRESS = (
    "ELKS_PUBLIC_URL is not set here, so only a server on the same state that has it makes such calls. "
    "A call that is still queued after an hour expires."
)


async def _check_scheduled(configuration: Configuration, database: Database) -> Check:
    """Check that a long-running server sends the account's scheduled texts, if there are some."""
    account, admin = configuration.settings.account, OrderAdmin(database)
    scheduled = await admin.find_scheduled(account)
    summary = describe_scheduled(scheduled, configuration.policy.time_zone)
    if kind := await Heartbeats(database).find_alive():
        command = show_command(kind.command)
        return Check("ok", f"{summary} A long-running server sends due texts: {command}.")
    if not scheduled.total:
        return Check("ok", f"{summary} No long-running server is running; only scheduled texts need one.")
    start = configuration.settings.write_command("serve")
    return Check("warn", f"{summary} {_NOT_SENT} To start a server that sends them: {start}")


_NOT_SENT = (
    "No long-running server is running, so a text goes out only if a client is open at its time. Otherwise "
    "it expires, and that is reported."
)
