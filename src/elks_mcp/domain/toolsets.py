"""The groups in which an operator offers tools to assistants."""

from enum import StrEnum


class Toolset(StrEnum):
    """A group of tools. `mcp_server/server.py` says which tools each holds."""

    SMS = "sms"
    BATCHES = "batches"
    INBOX = "inbox"
    ACCOUNT = "account"
    POLICY = "policy"
    MMS = "mms"
    CALLS = "calls"
    NUMBERS = "numbers"
    ESCALATION = "escalation"


ALL_TOOLSETS = "all"
"""The word for every toolset, in `ELKS_TOOLSETS`."""

DEFAULT_TOOLSETS = frozenset({Toolset.SMS, Toolset.BATCHES, Toolset.INBOX, Toolset.ACCOUNT, Toolset.POLICY})


def write_toolsets(toolsets: frozenset[Toolset]) -> str:
    """Return the names of toolsets, in the order of declaration."""
    return ", ".join(each for each in Toolset if each in toolsets)
