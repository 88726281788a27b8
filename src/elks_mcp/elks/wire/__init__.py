"""46elks' format, one module per endpoint: forms to send, answers and webhooks to read.

Nothing here uses the network. A request is a form, an answer a JSON object, a refusal one line of plain text
(https://46elks.com/docs/overview). The names of 46elks' fields are used in this package only. Answers are
read leniently: an unknown field is ignored, and an optional field that cannot be read counts as absent.
"""

from elks_mcp.elks.wire.account import parse_account, parse_currency, parse_sandbox
from elks_mcp.elks.wire.calls import (
    HANG_UP,
    LONGEST_ENGLISH,
    build_call,
    parse_call,
    parse_call_page,
    parse_call_receipt,
    parse_ended,
    parse_pressed,
    price_call,
)
from elks_mcp.elks.wire.field_types import build_time, parse_time
from elks_mcp.elks.wire.history import (
    PAGE_SIZE,
    build_history_query,
    is_picture_id,
    parse_message,
    parse_page,
)
from elks_mcp.elks.wire.mms import build_mms, is_image_id, parse_image
from elks_mcp.elks.wire.numbers import build_number, parse_numbers
from elks_mcp.elks.wire.refusals import parse_refusal, parse_retry_after
from elks_mcp.elks.wire.sms import DRY_RUN, PRIVATE, build_sms, parse_estimate, parse_receipt
from elks_mcp.elks.wire.webhooks import parse_incoming, parse_report

__all__ = [
    "DRY_RUN",
    "HANG_UP",
    "LONGEST_ENGLISH",
    "PAGE_SIZE",
    "PRIVATE",
    "build_call",
    "build_history_query",
    "build_mms",
    "build_number",
    "build_sms",
    "build_time",
    "is_image_id",
    "is_picture_id",
    "parse_account",
    "parse_call",
    "parse_call_page",
    "parse_call_receipt",
    "parse_currency",
    "parse_ended",
    "parse_estimate",
    "parse_image",
    "parse_incoming",
    "parse_message",
    "parse_numbers",
    "parse_page",
    "parse_pressed",
    "parse_receipt",
    "parse_refusal",
    "parse_report",
    "parse_retry_after",
    "parse_sandbox",
    "parse_time",
    "price_call",
]
