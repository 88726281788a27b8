"""Webhooks: delivery reports and incoming messages."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ValidationError

from elks_mcp.domain.models import Message
from elks_mcp.domain.orders import Report
from elks_mcp.elks.wire.field_types import Id, parse_entry
from elks_mcp.elks.wire.history import SmsBody, build_message
from elks_mcp.elks.wire.mms import find_image_ids

_LARGEST_CLOCK_ERROR = timedelta(days=7)


def parse_report(form: Mapping[str, str], order_id: str | None) -> Report | None:
    """Read a delivery report; None if it is not one.

    https://46elks.com/docs/sms-delivery-reports

    `order_id` is the reference of ours that the webhook's address carries; it is dropped if it is not an
    order's.
    """
    try:
        report = _ReportForm.model_validate(form)
    except ValidationError:
        return None
    ours = order_id if order_id and re.fullmatch(r"O-[A-Z0-9]{8}", order_id) else None
    return Report(message_id=report.id, status=report.status, order_id=ours)


def parse_incoming(form: Mapping[str, str], now: datetime) -> Message | None:
    """Read an incoming text or picture message; None if it is neither.

    `now` replaces a time that is missing or more than a week away from it.

    https://46elks.com/docs/receive-sms, https://46elks.com/docs/receive-mms
    """
    sms = parse_entry(SmsBody, {**form, "images": find_image_ids(form)})
    if sms is None or sms.direction != "incoming" or not (sms.sender and sms.to):
        return None
    if sms.message is None and not sms.image:
        return None
    if sms.created is None or abs(sms.created - now) >= _LARGEST_CLOCK_ERROR:
        sms.created = now
    return build_message(sms, "")


class _ReportForm(BaseModel):
    id: Id
    status: Literal["sent", "delivered", "failed"]
