"""The check of `elks-mcp doctor` on the operator's contacts."""

from elks_mcp.app import App
from elks_mcp.cli.doctor_settings import Check
from elks_mcp.contacts.report import describe_contacts
from elks_mcp.domain.allowed_recipients import ContactReference, list_references
from elks_mcp.domain.contact_search import list_candidates
from elks_mcp.domain.contacts import Contacts, quote_name
from elks_mcp.errors import Misconfigured
from elks_mcp.runtime.launcher import show_command


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
            Check("note", f"To list what cannot be used in the contacts: {show_command('contacts check')}.")
        )
    return [*checks, *_list_unfit(app, await app.contacts.read_files())]


def _list_unfit(app: App, contacts: Contacts) -> list[Check]:
    """List the names and groups in `ELKS_ALLOWED_RECIPIENTS` that allow no number."""
    unfit = [
        each for each in list_references(app.policy.allowed_recipients) if not each.list_numbers(contacts)
    ]
    return [
        Check(
            "warn",
            f"ELKS_ALLOWED_RECIPIENTS lists {quote_name(each.text)}, which {_explain(each, contacts)}.",
        )
        for each in unfit
    ]


def _explain(reference: ContactReference, contacts: Contacts) -> str:
    if reference.is_all or reference.is_group:
        return "has no contact with a number"
    people = {id(each.contact) for each in list_candidates(contacts, reference.text)}
    if not people:
        return "matches no contact. Put a name that has a comma in quotation marks"
    return "matches several contacts" if len(people) > 1 else "matches a contact without a number"
