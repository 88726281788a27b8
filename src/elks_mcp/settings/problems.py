"""Explanations of values that cannot be read, and how much of a value they show."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from elks_mcp.runtime.logs import mask
from elks_mcp.runtime.validation import is_empty_word


class Unreadable(ValueError):
    """The value of a setting cannot be read.

    `advice` says how to write the value and never repeats it. `problem` may repeat the value, so it must not
    be shown if the value is secret.
    """

    def __init__(self, advice: str, problem: str = "") -> None:
        super().__init__(" ".join(part for part in (problem, advice) if part))
        self.advice = advice


@dataclass(frozen=True, slots=True)
class SettingProblem:
    """A part of the configuration that cannot be read."""

    setting: str
    """The variable of the setting, or `--env-file`."""

    text: str
    """The problem and how to fix it, on one line. It may hold a phone number, never a secret."""


def explain_problems(faults: Iterable[SettingProblem]) -> str:
    """Return all problems on one line, with phone numbers masked: clients log this line."""
    return mask(" ".join(fault.text for fault in faults))


_HOLDS_SECRET = re.compile(r"^ELKS_.*(USER|PASS|SECRET|KEY|TOKEN|URL|_FILE$)")
_USERINFO = re.compile(r"//([^/@]*)@")
_LONGEST_SHOWN_PIECE = 20
_LONG_SECRET = 8
_MOST_SHOWN = 80


def find_secrets(present: Mapping[str, str]) -> frozenset[str]:
    """Return every text in the environment that must not be shown, in whichever variable it is.

    Variables that this server does not read count as well: `ELKS_PASSWORD` holds a password.
    """
    values = [value for name, value in present.items() if _HOLDS_SECRET.search(name)]
    pieces = [piece for value in values for info in _USERINFO.findall(value) for piece in info.split(":")]
    return frozenset(unquoted(each).casefold() for each in (*values, *pieces)) - {""}


def may_show(value: str, secrets: frozenset[str]) -> bool:
    """Return whether the value of a setting that is not secret can be shown.

    A value can hold a key that was pasted into the wrong variable, so a long one without gaps is not shown.
    Neither is a value that holds userinfo or the secret of another setting.
    """
    pieces = re.split(r"[\s,;+]+", value)
    folded = {unquoted(piece).casefold() for piece in (value, *pieces)}
    holds_secret = bool(folded & secrets) or any(
        len(secret) >= _LONG_SECRET and secret in value.casefold() for secret in secrets
    )
    return (
        not holds_secret and "@" not in value and all(len(piece) < _LONGEST_SHOWN_PIECE for piece in pieces)
    )


def describe_value(label: str, value: str, *, shown: bool) -> str:
    """Return a variable with its value, or with only the length of the value."""
    if not shown:
        return f"{label} ({len(value)} characters)"
    return f"{label}={value if len(value) <= _MOST_SHOWN else f'{value[:_MOST_SHOWN]}…'!r}"


_QUOTES = "\"'`´“”„‘’«»"
_UNEXPANDED = re.compile(r"\$\{|\{\{|^\$\w+|^%\w+%$")
_EMAIL = re.compile(r"[^@\s/:]+@[^@\s/:]+\.[^@\s/:]+")


def find_slip(value: str) -> str:
    """Return what is likely wrong with a value, as a sentence without the value, or ""."""
    if len(value) > 1 and value[0] in _QUOTES and value[-1] in _QUOTES:
        return "The quotation marks are part of the value. Remove them."
    if _UNEXPANDED.search(value):
        return "It looks like a variable that your client did not expand. Write the value itself."
    if _EMAIL.fullmatch(value):
        return "It looks like an e-mail address."
    if is_empty_word(value):
        return "It looks like a variable that your client had no value for. Unset it, or write a value."
    return ""


_API_USERNAME = re.compile(r"[ua][0-9a-f]{32}")
"""Usernames begin with `u`, those of subaccounts with `a` (https://46elks.com/docs/overview)."""


def find_credential_slips(username: str | None, password: str | None) -> list[str]:
    """Return sentences about what is likely wrong with API credentials; none repeats them."""
    username, password = unquoted(username or ""), unquoted(password or "")
    if _EMAIL.fullmatch(username):
        return ["The API username begins with u. It is not the log-in of 46elks' web site. " + _WHERE]
    if _API_USERNAME.fullmatch(password) and not _API_USERNAME.fullmatch(username):
        return ["ELKS_API_USERNAME and ELKS_API_PASSWORD look swapped: the username begins with u. " + _WHERE]
    return []


_WHERE = "Both are at 46elks.com under Account → API."


def unquoted(value: str) -> str:
    """Return a value without the quotation marks and spaces around it."""
    return value.strip(f"{_QUOTES} \t")
