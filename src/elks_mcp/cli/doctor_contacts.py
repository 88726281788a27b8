"""The check of `elks-mcp doctor` on the operator's contacts."""

from elks_mcp.app import App
from elks_mcp.cli.doctor_settings import Check
from elks_mcp.contacts.report import describe_contacts
from elks_mcp.errors import Misconfigured


async def check_contacts(app: App) -> list[Check]:
    """Check that the contacts can be read, and by whom they can be changed."""
    path = app.contacts.path
    if path is None:
        return []
    try:
        report = await describe_contacts(app.contacts, app.policy.time_zone)
    except Misconfigured as error:
        return [Check("fail", f"{path}: {error} {error.hint}")]
    checks = [Check("warn" if report.is_open_to_others else "ok", f"Contacts are in {path}: {report.text}")]
    if app.contacts.reader.problems:
        checks.append(
            Check("note", "To list what cannot be used in the contacts: `elks-mcp contacts check`.")
        )
    return checks
