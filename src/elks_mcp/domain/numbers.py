"""The account's own numbers: where what they receive goes, and how that may be changed."""

import json
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from elks_mcp.domain.models import Frozen


class Capability(StrEnum):
    """A thing that a number can do, in 46elks' words."""

    SMS = "sms"
    VOICE = "voice"
    MMS = "mms"


class OwnNumber(Frozen):
    """A number of the account, and where 46elks sends what it receives.

    An address is a webhook, which may hold a secret, or an action of 46elks in JSON; "" is none.
    """

    id: str
    number: str
    capabilities: tuple[str, ...] = ()
    name: str = ""
    is_active: bool = True
    """False once the account has ended its rental."""

    sms_url: Annotated[str, Field(repr=False)] = ""
    mms_url: Annotated[str, Field(repr=False)] = ""
    voice_start: Annotated[str, Field(repr=False)] = ""
    replies: bool = True
    """Whether 46elks sends the answer of the webhook for texts as a text."""

    def can(self, capability: Capability) -> bool:
        """Return whether the number has a capability. 46elks may list none: then each is possible."""
        return not self.capabilities or capability in self.capabilities


class NumberChange(Frozen):
    """A change of a number's settings. None leaves one as it is, and "" removes it."""

    name: str | None = None
    sms_url: Annotated[str | None, Field(repr=False)] = None
    mms_url: Annotated[str | None, Field(repr=False)] = None
    voice_start: Annotated[str | None, Field(repr=False)] = None
    replies: bool | None = None

    def find_differences(self, number: OwnNumber) -> "NumberChange":
        """Return the change without what the number has already."""
        kept = {name: value for name, value in self if value is not None and value != getattr(number, name)}
        return NumberChange(**kept)

    @property
    def is_empty(self) -> bool:
        """Whether it changes nothing."""
        return all(value is None for _, value in self)


def mask_address(address: str) -> str:
    """Return where an address leads, without what may be a secret in it.

    A web address is cut to its host, since path, query and userinfo may hold secrets. An action in JSON is
    cut to its name.
    """
    if not address:
        return "nowhere"
    if address.lstrip().startswith("{"):
        return f"46elks' action {_find_action(address)}"
    try:
        parts = urlsplit(address)
        scheme, host = parts.scheme, parts.hostname or ""
    except ValueError:
        scheme = host = ""
    return f"{scheme}://{host}/…" if host else "an address that cannot be read"


def _find_action(text: str) -> str:
    try:
        action = json.loads(text)
    except ValueError:
        action = None
    known = [name for name in _ACTIONS if isinstance(action, dict) and name in action]
    return f"`{known[0]}`" if known else "in JSON"


_ACTIONS = ("forward", "reply", "connect", "play", "ivr", "record", "hangup")
"""46elks' actions (https://46elks.com/docs/sms-actions, https://46elks.com/docs/call-actions)."""
