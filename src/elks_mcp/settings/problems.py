"""Values of the configuration that cannot be read: what is said about them, and how much is shown."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from elks_mcp.runtime.logs import mask
from elks_mcp.runtime.validation import is_empty_word


class Unreadable(ValueError):
    """A value cannot be read.

    `advice` says how to write the value and never repeats it. `problem` may repeat it, so a reader of the
    error leaves `problem` out if the value must not be shown.
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
    """What is wrong and how to write it: one line, full sentences. It may hold a number, never a secret."""


def explain_problems(faults: Iterable[SettingProblem]) -> str:
    """Say in one line what is wrong; without numbers, since it may end in a client's log."""
    return mask(" ".join(fault.text for fault in faults))


PRIVATE = frozenset(
    {
        "ELKS_API_USERNAME",
        "ELKS_API_PASSWORD",
        "ELKS_API_BASE_URL",
        "ELKS_DATABASE_URL",
        "ELKS_SECRET_KEY",
        "ELKS_PUBLIC_URL",
    }
)
"""Settings whose value is a secret, or an address that can hold one."""

_HOLDS_SECRET = re.compile(r"^ELKS_.*(USER|PASS|SECRET|KEY|TOKEN|URL|_FILE$)")
_USERINFO = re.compile(r"//([^/@]*)@")
_LONGEST_PIECE = 20
_SURELY_SECRET = 8
_MOST_SHOWN = 80


def find_secrets(present: Mapping[str, str]) -> frozenset[str]:
    """List everything in the environment that must not be shown, whichever variable it stands in.

    The names of secrets that this server does not read count too: `ELKS_PASSWORD` holds a password.
    """
    values = [value for name, value in present.items() if _HOLDS_SECRET.search(name)]
    pieces = [piece for value in values for info in _USERINFO.findall(value) for piece in info.split(":")]
    return frozenset(unquoted(each).casefold() for each in (*values, *pieces)) - {""}


def may_show(value: str, secrets: frozenset[str]) -> bool:
    """Tell whether a value that belongs to no secret setting can be shown.

    A key that was pasted into the wrong variable is long and has no gaps, so such a value is not shown;
    neither is one that holds userinfo, or a secret of another setting.
    """
    pieces = re.split(r"[\s,;+]+", value)
    folded = {unquoted(piece).casefold() for piece in (value, *pieces)}
    holds_secret = bool(folded & secrets) or any(
        len(secret) >= _SURELY_SECRET and secret in value.casefold() for secret in secrets
    )
    return not holds_secret and "@" not in value and all(len(piece) < _LONGEST_PIECE for piece in pieces)


def describe_value(label: str, value: str, *, shown: bool) -> str:
    """Name a variable with its value, or with the length of a value that is not shown."""
    if not shown:
        return f"{label} ({len(value)} characters)"
    return f"{label}={value if len(value) <= _MOST_SHOWN else f'{value[:_MOST_SHOWN]}…'!r}"


_QUOTES = "\"'`´“”„‘’«»"
_UNEXPANDED = re.compile(r"\$\{|\{\{|^\$\w+|^%\w+%$")
_EMAIL = re.compile(r"[^@\s/:]+@[^@\s/:]+\.[^@\s/:]+")


def find_slip(value: str) -> str:
    """Name the likely slip behind a value in a sentence that does not repeat it; "" if none is known."""
    if len(value) > 1 and value[0] in _QUOTES and value[-1] in _QUOTES:
        return "The quotation marks are part of the value: remove them."
    if _UNEXPANDED.search(value):
        return "It looks like a variable that your client did not expand: write the value itself."
    if _EMAIL.fullmatch(value):
        return "It looks like an e-mail address."
    if is_empty_word(value):
        return "It looks like a variable that your client had no value for: unset it, or write a value."
    return ""


_API_USERNAME = re.compile(r"[ua][0-9a-f]{32}")
"""https://46elks.com/docs/overview; a subaccount's begins with `a`."""


def find_credential_slips(username: str | None, password: str | None) -> list[str]:
    """Name what is likely wrong with API credentials that can be read; no sentence repeats them."""
    username, password = unquoted(username or ""), unquoted(password or "")
    if _EMAIL.fullmatch(username):
        return ["The API username begins with u, and is not the log-in of 46elks' web site. " + WHERE]
    if _API_USERNAME.fullmatch(password) and not _API_USERNAME.fullmatch(username):
        return ["ELKS_API_USERNAME and ELKS_API_PASSWORD look swapped: the username begins with u. " + WHERE]
    return []


WHERE = "Both are at 46elks.com under Account → API."


def unquoted(value: str) -> str:
    """Return a value without the quotation marks and blanks around it."""
    return value.strip(f"{_QUOTES} \t")
