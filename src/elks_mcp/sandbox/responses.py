"""The objects in 46elks' answers: their fields, in order, and the formats of the fields."""

from typing import Any

from elks_mcp.sandbox.account import SandboxAccount, SandboxNumber
from elks_mcp.sandbox.messages import HistoryPage, StoredMessage, format_seconds, format_time
from elks_mcp.sandbox.network import Outgoing


def accepted(message: StoredMessage) -> dict[str, Any]:
    """Return the answer to an accepted POST, with the fields of a real answer of 2021."""
    shown: dict[str, Any] = {
        "status": message.status,
        "direction": "outgoing",
        "from": message.sender,
        "created": format_time(message.created_at),
        "parts": message.parts,
        "to": message.to,
        "cost": message.cost,
    }
    return shown | _privately(message) | _flash(message) | {"id": message.id}


def quoted(asked: Outgoing, parts: int, cost: int) -> dict[str, Any]:
    """Return the answer to a dry run, which has no id and no time (docs/send-sms)."""
    return {
        "status": "created",
        "direction": "outgoing",
        "from": asked.sender,
        "estimated_cost": cost,
        "to": asked.to,
        "parts": parts,
        "message": asked.text,
    }


def item(message: StoredMessage) -> dict[str, Any]:
    """Return one message as in docs/sms-history and docs/show-sms-id, followed by its parts."""
    shown: dict[str, Any] = {
        "id": message.id,
        "created": format_time(message.stored_at),
        "direction": message.direction,
        "from": message.sender,
        "to": message.to,
    }
    shown |= _privately(message)
    if message.status:
        shown["status"] = message.status
    if message.delivered_at:
        shown["delivered"] = format_seconds(message.delivered_at)
    return shown | {"cost": message.cost, "parts": message.parts} | _flash(message)


def _privately(message: StoredMessage) -> dict[str, Any]:
    """Return the field for the text, which a message with `dontlog` hides (docs/show-sms-id)."""
    return {"dontlog": "message"} if message.dontlog else {"message": message.text}


def _flash(message: StoredMessage) -> dict[str, Any]:
    return {"flashsms": "yes"} if message.flash else {}


def page(found: HistoryPage) -> dict[str, Any]:
    """Return one page of history, with `next` if there is another (docs/sms-history)."""
    shown: dict[str, Any] = {"data": [item(message) for message in found.messages]}
    return shown | {"next": format_time(found.next)} if found.next else shown


def account(holder: SandboxAccount) -> dict[str, Any]:
    """Return the account (docs/get-account), with a field that 46elks does not have.

    By `sandbox`, elks-mcp recognizes that it texts simulated phones.
    """
    return {
        "id": holder.username,
        "displayname": "Sandbox",
        "mobilenumber": "+46701740605",
        "email": "sandbox@example.com",
        "currency": holder.currency,
        "balance": holder.balance,
        "sandbox": True,
    }


def number(own: SandboxNumber) -> dict[str, Any]:
    """Return a number of the account (docs/configure-number, docs/list-numbers)."""
    return {
        "id": own.id,
        "active": "yes" if own.is_active else "no",
        "country": "se",
        "number": own.number,
        "capabilities": list(own.capabilities),
        "category": "mobile",
        "name": own.name,
        "sms_url": own.sms_url,
        "sms_replies": "yes" if own.sms_replies else "no",
        "allocated": format_time(own.allocated_at),
        **{name: url for name, url in (("mms_url", own.mms_url), ("voice_start", own.voice_start)) if url},
        **({"deallocated": format_time(own.deallocated_at)} if own.deallocated_at else {}),
    }
