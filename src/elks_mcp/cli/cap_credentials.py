"""Hand the credentials of a subaccount over to the server: into its env file, or printed."""

import os
from pathlib import Path

from elks_mcp.cli.cap_checks import NOT_VERIFIED, CapChecks
from elks_mcp.cli.env_files import PlannedEnvFile
from elks_mcp.cli.output import say, wrap
from elks_mcp.domain.subaccounts import Subaccount, is_subaccount
from elks_mcp.elks.client import ElksClient
from elks_mcp.elks.credentials import Credentials
from elks_mcp.elks.subaccounts import open_subaccounts
from elks_mcp.errors import ElksError, Misconfigured
from elks_mcp.settings import Settings, is_set

_NAMES = ("ELKS_API_USERNAME", "ELKS_API_PASSWORD", "ELKS_ACCOUNT")
_AS_FILES = ("ELKS_API_USERNAME_FILE", "ELKS_API_PASSWORD_FILE")


def find_obstacle(settings: Settings, env_file: Path | None) -> Misconfigured | None:
    """Return why new credentials in the env file would not be used, before anything is changed.

    Raises:
        Misconfigured: the file cannot be changed.
    """
    if _uses_subaccount(settings) or env_file is None:
        return None
    PlannedEnvFile(env_file, dict.fromkeys(_NAMES, "a" * 33), without=_AS_FILES)
    overriding = [name for name in (*_NAMES, *_AS_FILES) if is_set(os.environ.get(name, ""))]
    if not overriding:
        return None
    return Misconfigured(
        f"{', '.join(overriding)}: set in the environment, which overrides {env_file}. Nothing was changed.",
        hint="Unset them here and where the server starts, and have them in the file alone.",
    )


async def hand_over(
    account: ElksClient, capped: Subaccount, username: str, settings: Settings, env_file: Path | None
) -> int:
    """Check the credentials of a subaccount and give them to the server; return the exit code.

    `account`: the client with the account's own credentials, and `username` its API username.
    """
    say(capped.explain())
    if settings.credentials and settings.credentials.username == capped.id:
        say("The server uses this subaccount already.")
        if settings.account_username is None:
            _say(
                f"ELKS_ACCOUNT is not set, so budget, orders and opt-outs are not those of {username}. To "
                "share them, set it to that."
            )
        return 0
    if capped.secret is None:
        raise Misconfigured(
            f"46elks does not return the secret of {capped.id}, so the server cannot use it.",
            hint="Look at the subaccount on 46elks.com. Its limit is set.",
        )
    if not await _check(account, capped, Credentials(capped.id, capped.secret), settings):
        _say(
            f"The credentials were not handed over. The subaccount {capped.id} stays, with its limit. The "
            "same command uses it again."
        )
        return 1
    _write(dict(zip(_NAMES, (capped.id, capped.secret.get_secret_value(), username), strict=True)), env_file)
    _say(NOT_VERIFIED)
    _say("Restart every server and client with these settings: until then it uses the credentials it has.")
    return 0


def _write(values: dict[str, str], env_file: Path | None) -> None:
    """Write the credentials to the env file, or print them without one."""
    if env_file is None:
        _say("Set these where the server gets its settings, in place of the account's own credentials:")
        say("".join(f"\n{name}={value}" for name, value in values.items()) + "\n")
    else:
        backup = PlannedEnvFile(env_file, values, without=_AS_FILES).make()
        _say(f"Wrote {', '.join(_NAMES)} to {env_file}, which only you can read.")
        _say(
            f"The previous content is in {backup}. It may have the account's own credentials, which no cap "
            "limits: delete it when the server works."
        )


async def _check(
    account: ElksClient, capped: Subaccount, credentials: Credentials, settings: Settings
) -> bool:
    """Print what the credentials can do, and return whether the server can use them."""
    try:
        async with open_subaccounts(credentials, settings.base_url, settings.time_limit) as own:
            checks = await CapChecks(account, own, capped, settings).run()
    except ElksError as error:
        _say(f"The credentials of the subaccount could not be checked. {error.explain()}")
        return False
    for check in checks:
        say("\n".join(wrap(check.text, f"{check.mark:>4}  ", " " * 6)))
    return all(check.mark != "fail" for check in checks)


def _uses_subaccount(settings: Settings) -> bool:
    return bool(settings.credentials and is_subaccount(settings.credentials.username))


def _say(text: str) -> None:
    say("\n".join(wrap(text)))
