"""Webhooks: delivery reports and incoming messages."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, ValidationError, model_validator

from elks_mcp.domain.models import Message
from elks_mcp.domain.orders import Report
from elks_mcp.elks.wire.field_types import Id, Time
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
    try:
        sms = _IncomingForm.model_validate(form)
    except ValidationError:
        return None
    more = {"direction": "incoming", "images": find_image_ids(form)}
    message = build_message(SmsBody.model_validate({**form, **more}), "")
    likely = sms.created is not None and abs(sms.created - now) < _LARGEST_CLOCK_ERROR
    return message.model_copy(update={"created_at": sms.created if likely else now})


class _ReportForm(BaseModel):
    id: Id
    status: Literal["sent", "delivered", "failed"]


class _IncomingForm(BaseModel):
    id: Id
    direction: Literal["incoming"]
    sender: Annotated[str, Field(alias="from", min_length=1)]
    to: Annotated[str, Field(min_length=1)]
    message: str | None = None
    image: str | None = None
    created: Time = None

    @model_validator(mode="after")
    def _check_content(self) -> Self:
        if self.message is None and not self.image:
            raise ValueError("it has neither a text nor a picture")
        return self
