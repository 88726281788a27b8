"""The check of `elks-mcp doctor` on the cap that 46elks itself enforces."""

from elks_mcp.cli.doctor_settings import Check
from elks_mcp.domain.subaccounts import Subaccount, is_subaccount
from elks_mcp.elks.subaccounts import open_subaccounts
from elks_mcp.errors import ElksError
from elks_mcp.runtime.launcher import show_command
from elks_mcp.settings import Settings


async def check_cap(settings: Settings) -> list[Check]:
    """Say what 46elks itself caps, or why that cannot be read. It is free."""
    credentials = settings.credentials
    if settings.simulated or credentials is None:
        return []
    if not is_subaccount(credentials.username):
        how = show_command("cap set 100 --monthly")
        return [
            Check("note", f"46elks itself caps nothing: only this server's limits hold. To set a cap: {how}.")
        ]
    checks = [] if settings.account_username else [Check("note", _NOT_NAMED)]
    try:
        async with open_subaccounts(credentials, settings.base_url, settings.time_limit) as own:
            found = await own.get(credentials.username)
    except ElksError as error:
        how = show_command("cap show --main")
        return [*checks, Check("note", f"The cap at 46elks cannot be read: {error} To read it: {how}.")]
    if found.refuses_all:
        mark = "fail"
    elif found.limit is None:
        mark = "note"
    else:
        mark = "ok" if found.limit.units else "warn"
    return [*checks, Check(mark, f"{found.explain()}{_explain_how_to_go_on(found)}")]


def _explain_how_to_go_on(found: Subaccount) -> str:
    """Return how a cap that stops everything is raised or lifted, or ""."""
    if not found.refuses_all or not found.is_active:
        return ""
    raising, lifting = show_command("cap set 100 --monthly"), show_command("cap lift")
    return f" So no text and no call leaves. To raise the cap: {raising}. To remove it: {lifting}."


_NOT_NAMED = (
    "These are the credentials of a subaccount, and ELKS_ACCOUNT is not set: budget, orders and opt-outs are "
    "the subaccount's own. If you have used the account itself here before, set it to its API username."
)
