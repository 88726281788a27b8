"""Rows made of orders, and orders of rows."""

import json
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Row

from elks_mcp.domain.models import Approver, Draft, Finding, Order, OrderState, Quote, Receipt
from elks_mcp.domain.money import Money
from elks_mcp.domain.opt_outs import asks_for_answer
from elks_mcp.domain.phone import Number, Sender, SenderId, written
from elks_mcp.domain.text import Encoding
from elks_mcp.store.db.schema import orders
from elks_mcp.store.db.transactions import Tx


def build_order(tx: Tx, quote: Quote) -> dict[str, Any]:
    """Make the part of a new row that comes from the quote."""
    draft = quote.draft
    return {
        "account_id": tx.account_id,
        "recipient": draft.to.e164,
        "sender": written(draft.sender),
        "text": draft.text,
        "flash": draft.flash,
        "parts": quote.parts,
        "encoding": quote.size.encoding,
        "price": quote.estimate.price.units,
        "currency": quote.estimate.price.currency,
        "findings": write_findings(quote.findings),
        "recipient_hash": tx.hasher.number(draft.to.e164),
        "text_hash": tx.hasher.of("text", draft.text),
        "fingerprint": fingerprint(tx, draft),
        "key_hash": key_hash(tx, draft),
        "attempts": 0,
        "message_id": None,
        "fault": "",
        "caller": draft.caller,
        "asks": draft.asks or asks_for_answer(draft.text),
    }


IN_ORDER = (
    orders.c.id,
    orders.c.state,
    orders.c.recipient,
    orders.c.sender,
    orders.c.text,
    orders.c.flash,
    orders.c.parts,
    orders.c.encoding,
    orders.c.price,
    orders.c.currency,
    orders.c.findings,
    orders.c.approver,
    orders.c.approval,
    orders.c.placed_at,
    orders.c.changed_at,
    orders.c.due_at,
    orders.c.attempts,
    orders.c.message_id,
    orders.c.message_status,
    orders.c.accepted_at,
    orders.c.cost,
    orders.c.fault,
    orders.c.caller,
)
"""What `parse_order` reads; each column that is fetched costs time."""


def parse_order(row: Row[Any] | SimpleNamespace) -> Order:
    """Read an order."""
    is_put_off = row.state == OrderState.QUEUED and row.fault
    return Order(
        id=row.id,
        state=OrderState(row.state),
        to=Number(row.recipient) if row.recipient else None,
        sender=parse_sender(row.sender),
        text=row.text,
        flash=row.flash,
        parts=row.parts,
        encoding=Encoding(row.encoding),
        price=Money(row.price, row.currency),
        findings=parse_findings(row.findings),
        approver=Approver(row.approver),
        approval=row.approval,
        placed_at=row.placed_at,
        changed_at=row.changed_at,
        not_before=row.due_at if is_put_off else None,
        attempts=row.attempts,
        receipt=_receipt(row),
        fault=row.fault,
        caller=row.caller,
    )


def write_findings(findings: Iterable[Finding]) -> str:
    """Write what the guards found."""
    return json.dumps([finding.model_dump(mode="json") for finding in findings])


def parse_findings(written: str) -> tuple[Finding, ...]:
    """Read what the guards found."""
    return tuple(Finding.model_validate(each) for each in json.loads(written))


def without_quotes(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Leave out strangers' words, which are stored only while a person is asked about them."""
    return tuple(finding.model_copy(update={"quote": ""}) for finding in findings)


def parse_draft(row: Row[Any]) -> Draft:
    """Read the draft of an order whose text is still there."""
    return Draft(to=Number(row.recipient), text=row.text, sender=parse_sender(row.sender), flash=row.flash)


def parse_price(row: Row[Any]) -> Money:
    """Read what an order costs, by the price it was approved at."""
    return Money(row.price, row.currency)


def parse_sender(written: str) -> Sender:
    """Read a sender as rows hold it."""
    return Number(written) if written.startswith("+") else SenderId(written)


def fingerprint(tx: Tx, draft: Draft) -> str:
    """Hash what makes two texts the same one."""
    return tx.hasher.of("message", written(draft.sender), draft.to.e164, draft.text, *_whose(draft))


def key_hash(tx: Tx, draft: Draft) -> str | None:
    """Hash an idempotency key; people put names and numbers into them."""
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
