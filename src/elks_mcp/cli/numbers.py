"""`elks-mcp numbers`: list the account's numbers, and configure them."""

import json
from typing import NamedTuple
from urllib.parse import urlsplit

import click

from elks_mcp.answers.numbers import list_own_addresses, read_numbers
from elks_mcp.cli.arguments import phone_argument, shared_options, yes_option
from elks_mcp.cli.choices import Words
from elks_mcp.cli.confirm import confirm
from elks_mcp.cli.exit_codes import ExitCode
from elks_mcp.cli.number_lookup import find_own_number
from elks_mcp.cli.output import say, wrap
from elks_mcp.cli.session import Session, session_command
from elks_mcp.domain.numbers import Capability, NumberChange, OwnNumber, mask_address
from elks_mcp.errors import InvalidInput
from elks_mcp.runtime.launcher import show_command

_LONGEST_NAME = 50
"""In characters (https://46elks.com/docs/configure-number)."""


@click.group()
@shared_options
def numbers() -> None:
    """List the account's numbers, and configure them.

    Numbers are rented and ended on 46elks.com only: renting costs money immediately, and ending
    cannot be undone.
    """


@numbers.command("list")
@session_command()
def list_numbers(session: Session) -> int:
    """List the numbers, and where 46elks sends what they receive, without secrets."""
    answer = session.do(lambda: read_numbers(session.app, for_person=True))
    lines = [row for line in answer.in_words().split("\n") for row in wrap(line, indent="  ")]
    ids = [f"  {each.id}  {each.number}" for each in answer.numbers]
    session.print(answer, [*lines, *(["Ids at 46elks:", *ids] if ids else [])])
    return ExitCode.DONE


@numbers.command("configure")
@phone_argument
@click.option("--name", help="A name for the number, for yourself; none removes it.")
@click.option("--sms-url", metavar="URL|JSON|none", help="Where texts go, or 46elks' action for them.")
@click.option("--voice-start", metavar="URL|JSON|none", help="Where calls go, or 46elks' action for them.")
@click.option("--mms-url", metavar="URL|none", help="Where pictures go.")
@click.option(
    "--replies", type=Words(["yes", "no"]), help="Whether a webhook's answer is sent as a paid text."
)
@yes_option
@session_command()
def configure_number(
    session: Session,
    phone: str,
    *,
    name: str | None,
    sms_url: str | None,
    voice_start: str | None,
    mms_url: str | None,
    replies: str | None,
    yes: bool,
) -> int:
    """Change a number of the account.

    Shows what changes, and asks before it changes where texts, calls or pictures go. To forward texts to
    this server, use `elks-mcp webhooks set` instead: its address has a secret.
    """
    wanted = NumberChange(
        name=_read_name(name),
        sms_url=_read_address("--sms-url", sms_url),
        voice_start=_read_address("--voice-start", voice_start),
        mms_url=_read_address("--mms-url", mms_url),
        replies=None if replies is None else replies == "yes",
    )
    if wanted.is_empty:
        raise InvalidInput("Nothing to change was given.", hint="Add at least one option, such as --name.")
    session.app.require_account()
    number = session.do(find_own_number, session.app, phone)
    change = wanted.find_differences(number)
    if change.is_empty:
        say("Nothing needs to be changed.")
        return ExitCode.DONE
    _show(number, change, session.do(list_own_addresses, session.app))
    if not yes and not _is_harmless(change) and not confirm("Continue?"):
        say("Nothing was changed.")
        return ExitCode.FAILED
    session.do(session.app.client.configure_number, number, change)
    return _verify(session, number, change)


def _verify(session: Session, number: OwnNumber, change: NumberChange) -> int:
    """Read the number again, and say whether 46elks has the change."""
    again = session.do(find_own_number, session.app, number.number)
    missing = change.find_differences(again)
    if missing.is_empty:
        say("Changed.")
        return ExitCode.DONE
    names = ", ".join(each.title for each in _list_changes(again, missing))
    say(f"46elks accepted the change, and does not show it: {names}. Look at the number on 46elks.com.")
    return ExitCode.FAILED


class _ShownChange(NamedTuple):
    title: str
    before: str
    after: str


def _list_changes(number: OwnNumber, change: NumberChange) -> list[_ShownChange]:
    addresses = {"Texts go to": "sms_url", "Calls go to": "voice_start", "Pictures go to": "mms_url"}
    shown = [
        _ShownChange(title, mask_address(getattr(number, field)), mask_address(getattr(change, field)))
        for title, field in addresses.items()
        if getattr(change, field) is not None
    ]
    if change.replies is not None:
        words = {True: "sent as paid texts", False: "not sent"}
        shown.append(_ShownChange("A webhook's answers are", words[number.replies], words[change.replies]))
    if change.name is not None:
        shown.append(_ShownChange("Name", number.name or "none", change.name or "none"))
    return shown


def _show(number: OwnNumber, change: NumberChange, ours: dict[Capability, str]) -> None:
    """Print what changes. `ours`: the webhook addresses of this server."""
    say(f"{number.number}:")
    for each in _list_changes(number, change):
        say("\n".join(wrap(f"{each.title}: {each.before} → {each.after}", "  ", "    ")))
    if _leads_away(number, change, ours):
        text = (
            "Texts then do not come to this server by webhook any more. STOP and replies are noticed only "
            f"when history is read. To undo it: {show_command('webhooks set')}."
        )
        say("\n".join(wrap(text)))


def _leads_away(number: OwnNumber, change: NumberChange, ours: dict[Capability, str]) -> bool:
    """Return whether texts came to this server, and would not any more."""
    return change.sms_url is not None and bool(number.sms_url) and number.sms_url == ours.get(Capability.SMS)


def _is_harmless(change: NumberChange) -> bool:
    """Return whether nothing that receives something changes."""
    return change.model_copy(update={"name": None}).is_empty


def _read_name(name: str | None) -> str | None:
    if name is not None and len(name) > _LONGEST_NAME:
        raise InvalidInput(f"The name has {len(name)} characters.", hint=f"Use {_LONGEST_NAME} at most.")
    return "" if name is not None and name.strip() in {"", "none"} else name


def _read_address(option: str, text: str | None) -> str | None:
    """Return an address or an action as 46elks has it, "" to remove it, or None to leave it.

    Raises:
        InvalidInput: it is neither.
    """
    if text is None or text.strip() in {"", "none"}:
        return text and ""
    text = text.strip()
    if text.startswith("{") and option != "--mms-url":
        try:
            json.loads(text)
        except ValueError:
            raise InvalidInput(
                f"{option}: it is not JSON.", hint='An action is written as {"forward": "+46…"}.'
            ) from None
        return text
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidInput(f"{option}: it is not a web address.", hint="Use https://…, or none to remove it.")
    return text
