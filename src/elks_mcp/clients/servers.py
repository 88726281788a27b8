"""A server as a client uses it: a program that it starts, or an address."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

_PLACEHOLDERS: Mapping[str, str] = {
    "ELKS_API_USERNAME": "your API username",
    "ELKS_API_PASSWORD": "your API password",
    "ELKS_PHONE_NUMBER": "+46…",
}
_ANY_PLACEHOLDER, _TOKEN_PLACEHOLDER = "…", "your token"

TOKEN_VARIABLE: Final = "SMS46ELKS_TOKEN"  # noqa: S105  (the name of a variable)
"""The variable that has the token of a server over HTTP, for clients and for `elks-mcp connect`."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that a client starts, and that talks to it on standard input and output.

    `secrets` has the values that should not be in a client's file, or "" for those that are not known. A
    client without a place for secrets gets them like those in `env`.
    """

    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)

    def list_secrets(self) -> list[str]:
        """List the variables that have the secrets, known or not."""
        return list(self.secrets)

    def list_blanks(self) -> list[str]:
        """List the secrets that are not known."""
        return [name for name, value in self.secrets.items() if not value]

    def with_placeholders(self) -> "Program":
        """Return it with a placeholder for every secret, for a text that a person reads."""
        return replace(
            self, secrets={name: _PLACEHOLDERS.get(name, _ANY_PLACEHOLDER) for name in self.secrets}
        )

    def list_placeholders(self) -> list[str]:
        """List the variables that still have a placeholder as their value."""
        known = {*_PLACEHOLDERS.values(), _ANY_PLACEHOLDER}
        return [name for name, value in self.env.items() if value in known]


@dataclass(frozen=True, slots=True)
class Remote:
    """A server over HTTP.

    `token` is "" if it is not known, and `token_place` is where the client has it.
    """

    url: str
    token: str = ""
    token_place: str = "the header Authorization"  # noqa: S105  (words)

    def list_secrets(self) -> list[str]:
        """List the variables that have the secrets, known or not."""
        return [TOKEN_VARIABLE]

    def list_blanks(self) -> list[str]:
        """List the secrets that are not known."""
        return [] if self.token else [TOKEN_VARIABLE]

    def with_placeholders(self) -> "Remote":
        """Return it with a placeholder for the token, for a text that a person reads."""
        return replace(self, token=_TOKEN_PLACEHOLDER)

    def list_placeholders(self) -> list[str]:
        """List what still has a placeholder."""
        return ["The token"] if self.token == _TOKEN_PLACEHOLDER else []


Server = Program | Remote
