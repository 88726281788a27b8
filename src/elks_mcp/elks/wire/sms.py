"""Sending a text, or asking for its price: POST /sms (https://46elks.com/docs/send-sms)."""

from typing import Annotated

from pydantic import BaseModel, Field

from elks_mcp.domain.callbacks import NO_CALLBACKS, Callbacks
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Draft, Estimate, Receipt
from elks_mcp.domain.phone import written
from elks_mcp.elks.wire.field_types import (
    Id,
    Lenient,
    Parts,
    StatusField,
    Time,
    Units,
    parse_body,
    parse_cost,
)

DRY_RUN = {"dryrun": "yes"}
"""The field of the form with which 46elks returns the price, sends nothing and charges nothing."""

PRIVATE = {"dontlog": "message"}
"""The field with which 46elks does not store the text, so that history has none (docs/send-sms)."""


def build_sms(draft: Draft, *, callbacks: Callbacks = NO_CALLBACKS) -> dict[str, str]:
    """Build the form of POST /sms.

    Args:
        draft: the text, its sender and its recipient.
        callbacks: its `report` may carry a reference of ours
            (https://46elks.com/docs/sms-delivery-reports).
    """
    form = {"from": written(draft.sender), "to": draft.to.e164, "message": draft.text}
    if draft.sms.flash:
        form["flashsms"] = "yes"
    if callbacks.report:
        form["whendelivered"] = callbacks.report
    return form


def parse_estimate(body: bytes, currency: str) -> Estimate:
    """Read the answer to a dry run.

    Raises:
        NoAnswer: it has no price.
    """
    answer = parse_body(_EstimateBody, body)
    return Estimate(price=Money(answer.estimated_cost, currency), parts=answer.parts)


def parse_receipt(body: bytes, currency: str) -> Receipt:
    """Read the answer that accepts a text.

    Raises:
        NoAnswer: it has no message id, so it is unknown whether 46elks accepted the text.
    """
    answer = parse_body(AcceptedBody, body)
    return Receipt(
        message_id=answer.id,
        status=answer.status or "created",
        created_at=answer.created,
        cost=parse_cost(answer.cost, currency),
        parts=answer.parts,
    )


class _EstimateBody(BaseModel):
    estimated_cost: Annotated[Units, Field(ge=0)]
    parts: Lenient[Parts] = None


class AcceptedBody(BaseModel):
    """The fields of a text that both the answer to a POST and history have."""

    id: Id
    status: Lenient[StatusField] = None
    created: Time = None
    cost: Lenient[Units] = None
    parts: Lenient[Parts] = None
