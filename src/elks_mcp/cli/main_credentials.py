"""Ask a person for the credentials of the account itself, which are never stored."""

import sys

import click
from pydantic import SecretStr

from elks_mcp.domain.subaccounts import is_subaccount
from elks_mcp.elks.credentials import Credentials
from elks_mcp.errors import InvalidInput
from elks_mcp.settings import Settings


def find_main_credentials(settings: Settings) -> Credentials:
    """Return the account's own credentials: those of the settings, or what a person types.

    Without a terminal, standard input has the same lines that a person would type: the username, unless the
    settings name the account, and the password. The password is never an argument, which every user of the
    machine could read.

    Raises:
        InvalidInput: they are those of a subaccount or of another account, or nothing was typed.
    """
    if settings.credentials and not is_subaccount(settings.credentials.username):
        return settings.credentials
    known = settings.account_username
    username = known or _ask("API username of the account (u…)", hidden=False)
    if is_subaccount(username):
        raise InvalidInput(
            "That is the username of a subaccount, which cannot change its own limit. Nothing was changed.",
            hint="Use the API username of the account itself, which begins with u.",
        )
    whose = f" of {known[:3]}…" if known else ""
    password = _ask(f"API password{whose} (it is not shown, and not stored)", hidden=True)
    return Credentials(username, SecretStr(password))


def _ask(question: str, *, hidden: bool) -> str:
    if sys.stdin.isatty():
        answer = str(click.prompt(question, hide_input=hidden, err=True))
    else:
        answer = sys.stdin.readline()
    if not answer.strip():
        raise InvalidInput(
            "The credentials of the account were not given. Nothing was changed.",
            hint="Type them at the prompt, or pass them as lines of standard input.",
        )
    return answer.strip()
