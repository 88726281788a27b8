"""The settings that are required before 46elks is called, or before anything is sent."""

from elks_mcp.errors import Misconfigured
from elks_mcp.settings.mistaken_names import explain_unexpanded
from elks_mcp.settings.reading import Configuration


def check_account(configuration: Configuration, *, sender: bool) -> None:
    """Check that 46elks can be called. `sender`: check that a default sender is set as well.

    Raises:
        Misconfigured: variables are missing. The message names each and says where to find its value.
    """
    settings, policy = configuration.settings, configuration.policy
    wanted = {
        "ELKS_API_USERNAME": settings.api_username,
        "ELKS_API_PASSWORD": settings.api_password,
        **({"ELKS_PHONE_NUMBER": policy.sender} if sender else {}),
    }
    missing = [name for name, value in wanted.items() if value is None]
    if policy.simulated or not missing:
        return
    hints = [configuration.explain_mistakes()]
    hints += [explain_unexpanded(name) for name in missing if name in configuration.unexpanded]
    raise Misconfigured(
        f"Missing required environment variables: {', '.join(missing)}.",
        hint=" ".join(filter(None, [*hints, _WHERE_TO_FIND])),
    )


def check_names(configuration: Configuration) -> None:
    """Check that no variable's name is nearly that of a setting, before anything is sent.

    Such a variable may be a limit that the operator meant to set and that is not read.

    Raises:
        Misconfigured: there is such a variable.
    """
    if configuration.policy.simulated:
        return
    if mistakes := configuration.explain_mistakes():
        raise Misconfigured(f"{mistakes} Until that is fixed, nothing is sent.")


_WHERE_TO_FIND = (
    "API username and API password are at 46elks.com under Account → API (they are not the log-in of the web "
    "site); the phone number is one of the account's. Set them where your client starts this server. "
    "To try everything without an account, set ELKS_SANDBOX=true instead."
)
