"""Settings that are valid alone and do not fit together."""

from collections.abc import Mapping, Sequence

from elks_mcp.domain.allowed_recipients import list_references
from elks_mcp.domain.subaccounts import is_main_account
from elks_mcp.settings.problems import SettingProblem, describe_value
from elks_mcp.settings.settings import DECLARATIONS, Settings


def find_conflicts(
    settings: Settings, values: Mapping[str, str], faults: Sequence[SettingProblem]
) -> dict[str, SettingProblem]:
    """Return the problems of settings that do not fit together, by the field to leave out.

    `values` are the texts of the settings, by field. `faults` are the problems found before: a setting that
    cannot be read is set nevertheless.
    """
    unreadable = {fault.setting for fault in faults}
    found = {
        "allowed_recipients": _find_missing_contacts(settings, unreadable),
        "account_username": _find_wrong_account(settings),
        "dontlog": _find_missing_reports(settings, unreadable),
    }
    return {name: _describe(name, values[name], reason) for name, reason in found.items() if reason}


def _describe(name: str, value: str, reason: str) -> SettingProblem:
    variable = DECLARATIONS[name].variable
    label = describe_value(variable, value, shown=False)
    return SettingProblem(variable, f"{label} is not valid: {reason}.")


def _find_missing_contacts(settings: Settings, unreadable: set[str]) -> str:
    """Return the reason if `ELKS_ALLOWED_RECIPIENTS` names contacts, and there are no contacts."""
    has_contacts = settings.contacts or "ELKS_CONTACTS" in unreadable
    if has_contacts or not list_references(settings.allowed_recipients):
        return ""
    return "names of contacts and groups need ELKS_CONTACTS; set that as well, or list only numbers (+46…)"


def _find_wrong_account(settings: Settings) -> str:
    """Return the reason if `ELKS_ACCOUNT` is another account than that of the credentials.

    Two accounts would then share budget, orders and opt-outs.
    """
    account, username = settings.account_username, settings.api_username or ""
    if account is None or username == account or not is_main_account(username):
        return ""
    return "it is another account than ELKS_API_USERNAME, which is not a subaccount (a…); unset it"


def _find_missing_reports(settings: Settings, unreadable: set[str]) -> str:
    """Return the reason if a text whose answer is lost could not be cleared any more."""
    if not settings.dontlog or settings.public_url or "ELKS_PUBLIC_URL" in unreadable:
        return ""
    return (
        "a text whose answer is lost could not be looked up in history, and only a delivery report would say "
        "whether it was sent; set ELKS_PUBLIC_URL as well, or unset it"
    )
