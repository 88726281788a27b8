"""Converting orders to rows, and rows to orders."""

import json
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Row

from elks_mcp.domain.kinds import SMS
from elks_mcp.domain.money import Money
from elks_mcp.domain.opt_outs import asks_for_answer
from elks_mcp.domain.orders import (
    ORDER_LATENESS,
    Approver,
    Draft,
    Finding,
    Order,
    OrderState,
    Quote,
    Receipt,
)
from elks_mcp.domain.payloads import Payload, unknown_kind
from elks_mcp.domain.phone import Number, Sender, SenderId, written
from elks_mcp.store.db.database import Tx
from elks_mcp.store.db.schema import orders


def build_order(tx: Tx, quote: Quote) -> dict[str, Any]:
    """Return the columns of a new row that come from the quote."""
    draft = quote.draft
    return {
        "account_id": tx.account_id,
        "recipient": draft.to.e164,
        "sender": written(draft.sender),
        **write_payload(draft.payload),
        "parts": quote.parts,
        "price": quote.estimate.price.units,
        "currency": quote.estimate.price.currency,
        "findings": write_findings(quote.findings),
        "recipient_hash": tx.hasher.number(draft.to.e164),
        "text_hash": identity_hash(tx, draft.payload),
        "fingerprint": fingerprint(tx, draft),
        "key_hash": key_hash(tx, draft),
        "attempts": 0,
        "message_id": None,
        "status_reason": "",
        "caller": draft.caller,
        "asks": draft.asks or asks_for_answer(draft.text),
        "send_at": draft.send_at,
        "priority": 0,
        "batch_id": None,
        "batch_row": None,
    }


IN_ORDER = (
    orders.c.id,
    orders.c.state,
    orders.c.recipient,
    orders.c.sender,
    orders.c.kind,
    orders.c.content,
    orders.c.details,
    orders.c.parts,
    orders.c.price,
    orders.c.currency,
    orders.c.findings,
    orders.c.approver,
    orders.c.approval_code,
    orders.c.placed_at,
    orders.c.changed_at,
    orders.c.due_at,
    orders.c.send_at,
    orders.c.expires_at,
    orders.c.attempts,
    orders.c.message_id,
    orders.c.message_status,
    orders.c.accepted_at,
    orders.c.cost,
    orders.c.status_reason,
    orders.c.caller,
    orders.c.batch_id,
)
"""The columns that `parse_order` reads. Each column that is fetched costs time."""


def parse_order(tx: Tx, row: Row[Any] | SimpleNamespace) -> Order:
    """Return the order of a row. Its payload is a plain `Payload` if its kind is unknown."""
    is_put_off = row.state == OrderState.QUEUED and row.status_reason
    return Order(
        id=row.id,
        state=OrderState(row.state),
        to=Number(row.recipient) if row.recipient else None,
        sender=parse_sender(row.sender),
        payload=parse_payload(tx, row) if row.kind in tx.kinds else Payload(kind=row.kind),
        parts=row.parts,
        price=Money(row.price, row.currency),
        findings=parse_findings(row.findings),
        approver=Approver(row.approver),
        approval_code=row.approval_code,
        placed_at=row.placed_at,
        changed_at=row.changed_at,
        send_at=row.send_at,
        expires_at=row.expires_at,
        not_before=row.due_at if is_put_off else None,
        attempts=row.attempts,
        receipt=_receipt(row),
        status_reason=row.status_reason,
        caller=row.caller,
        batch_id=row.batch_id,
    )


def write_findings(findings: Iterable[Finding]) -> str:
    """Return the guards' findings as JSON."""
    return json.dumps([finding.model_dump(mode="json") for finding in findings])


def parse_findings(written: str) -> tuple[Finding, ...]:
    """Return the guards' findings from JSON."""
    return tuple(Finding.model_validate(each) for each in json.loads(written))


def without_quotes(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings without quotations, which are stored only while a person is asked."""
    return tuple(finding.model_copy(update={"quote": ""}) for finding in findings)


def parse_draft(tx: Tx, row: Row[Any]) -> Draft:
    """Return the draft of an order whose content was not erased.

    Raises:
        StateUnavailable: A newer version placed the order, and this one does not know its kind.
    """
    if row.kind not in tx.kinds:
        raise unknown_kind(row.id, row.kind)
    payload = parse_payload(tx, row)
    sender = parse_sender(row.sender)
    lateness = row.expires_at - row.send_at if row.send_at else ORDER_LATENESS
    to = Number(row.recipient)
    return Draft(to=to, payload=payload, sender=sender, send_at=row.send_at, lateness=lateness)


def write_payload(payload: Payload) -> dict[str, Any]:
    """Return a payload's columns: its kind, what is erased once settled, and what stays."""
    return {
        "kind": payload.kind,
        "content": payload.model_dump_json(include=set(payload.PRIVATE)),
        "details": payload.model_dump_json(exclude={"kind", *payload.PRIVATE}),
    }


def parse_payload(tx: Tx, row: Row[Any] | SimpleNamespace) -> Payload:
    """Return the payload of a row of a known kind. Erased fields are None."""
    kind = tx.kinds[row.kind].payload
    content = json.loads(row.content) if row.content else {}
    return kind.model_validate(dict.fromkeys(kind.PRIVATE) | json.loads(row.details) | content)


def parse_price(row: Row[Any]) -> Money:
    """Return the price at which an order was approved."""
    return Money(row.price, row.currency)


def parse_sender(written: str) -> Sender:
    """Return the sender in a row."""
    return Number(written) if written.startswith("+") else SenderId(written)


def fingerprint(tx: Tx, draft: Draft) -> str:
    """Hash what makes a draft a repeat: kind, sender, recipient, payload and caller."""
    kind = _hash_name(draft.payload, "message")
    identity = draft.payload.identity
    return tx.hasher.of(kind, written(draft.sender), draft.to.e164, identity, *_whose(draft))


def identity_hash(tx: Tx, payload: Payload) -> str:
    """Hash what makes two payloads the same one."""
    return tx.hasher.of(_hash_name(payload, "text"), payload.identity)


def _hash_name(payload: Payload, name: str) -> str:
    """Keep the hashes of kinds apart. Those of SMS are older than kinds and must not change."""
    return name if payload.kind == SMS else f"{payload.kind} {name}"


def key_hash(tx: Tx, draft: Draft) -> str | None:
    """Hash an idempotency key, because it may hold names and numbers. None if there is no key."""
    return tx.hasher.of("key", draft.idempotency_key, *_whose(draft)) if draft.idempotency_key else None


def _whose(draft: Draft) -> tuple[str, ...]:
    return (draft.caller,) if draft.caller else ()


def _receipt(row: Row[Any] | SimpleNamespace) -> Receipt | None:
    if row.message_id is None:
        return None
    return Receipt(
        message_id=row.message_id,
        status=row.message_status,
        created_at=row.accepted_at,
        cost=None if row.cost is None else Money(row.cost, row.currency),
        parts=row.parts,
    )
