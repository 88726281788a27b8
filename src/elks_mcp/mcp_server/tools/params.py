"""Parameters that tools share, with the descriptions that a model reads."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from elks_mcp.domain.numbering_plans import SWEDISH_SPELLING
from elks_mcp.runtime.validation import parse_switch


def _read_yes(value: Any) -> str:
    try:
        return "yes" if parse_switch(value) else "no"
    except ValueError:
        raise ValueError("use yes or no") from None


To = Annotated[str, Field(description=f"Recipient: {SWEDISH_SPELLING}, or a contact's name.")]
"""`ElksTool.at_home` names another country's form."""

Text = Annotated[str, Field(description="The text, exactly as it should be read.")]
From = Annotated[
    str,
    Field(description="A number of the account, or 3-11 letters/digits/spaces. Default: the operator's."),
]
Flash = Annotated[
    Literal["yes", "no"] | None,
    BeforeValidator(_read_yes),
    Field(description="yes: shown immediately, not stored (not on iPhones)."),
]
DryRun = Annotated[
    bool | None,
    BeforeValidator(parse_switch),
    Field(description="true: only price it. false in dry run: asks a person. Default: the operator's."),
]
Key = Annotated[str, Field(description="A repeated call with the same key never sends twice.")]
SendAt = Annotated[
    str,
    Field(description="Send time: 2026-12-01T09:00, or with an offset; at most 35 days ahead."),
]
TimeZone = Annotated[str, Field(description="IANA zone of sendAt. Default: the recipient's, if known.")]
MessageId = Annotated[
    str, Field(description="46elks' id or the orderId from send_sms; up to 20, with commas.")
]
OrderId = Annotated[str, Field(description="The orderId from send_sms.")]
ReplyFrom = Annotated[
    str, Field(description=f"Only from this number: {SWEDISH_SPELLING}, or a contact's name.")
]
After = Annotated[
    str, Field(description="Continue after this: a cursor, or the order or message to be answered.")
]
Timeout = Annotated[
    float, Field(ge=0, le=300, description="Seconds to wait; many clients end a call after 60.")
]
DirectionFilter = Annotated[
    Literal["inbound", "outbound", "both"], Field(description="inbound: received texts.")
]
HistoryLimit = Annotated[int, Field(ge=1, le=100, description="How many, newest first.")]
Person = Annotated[str, Field(description="Only the conversation with this number or contact.")]
Since = Annotated[str, Field(description="From this local day or time on: 2026-12-01 or 2026-12-01T09:00.")]
Until = Annotated[str, Field(description="Up to this day, which is included, or before this time.")]
StatisticsLimit = Annotated[
    int, Field(ge=10, le=100, description="How many of the latest to count, without since.")
]
