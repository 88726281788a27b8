"""The objects in 46elks' answers: their fields, in order, and the formats of the fields."""

from typing import Any

from elks_mcp.sandbox.account import SandboxAccount, SandboxNumber
from elks_mcp.sandbox.messages import HistoryPage, StoredMessage, format_seconds, format_time
from elks_mcp.sandbox.network import Outgoing
from elks_mcp.sandbox.pictures import Picture
from elks_mcp.sandbox.prices_and_rules import Rules


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


def accepted_mms(message: StoredMessage, owner: str) -> dict[str, Any]:
    """Return the answer to an accepted MMS, as in the official specification of 2018."""
    shown = {
        "direction": "outgoing",
        "from": message.sender,
        "created": format_time(message.created_at),
        "to": message.to,
        "cost": message.cost,
        "owner": owner,
    }
    failed = {"status": "failed"} if message.status == "failed" else {}
    return shown | _privately(message) | {"id": message.id} | failed


def mms_item(message: StoredMessage, owner: str, rules: Rules) -> dict[str, Any]:
    """Return one MMS as in docs/mms-history, followed by more of docs/show-mms-id.

    46elks' statuses are `recieved` [sic], `sent` and `delivered`; `failed` is made up.
    """
    shown = {
        "direction": message.direction,
        "from": message.sender,
        "created": format_time(message.stored_at),
        "to": message.to,
        "cost": message.cost,
        "owner": owner,
    }
    shown |= _privately(message) | {"id": message.id}
    arrived = message.status == "delivered" and rules.mms_shows_delivery
    if message.direction == "incoming":
        shown["status"] = "recieved"
    else:
        shown["status"] = message.status if arrived or message.status == "failed" else "sent"
    if arrived and message.delivered_at:
        shown["delivered"] = format_seconds(message.delivered_at)
    return shown | {"images": message.picture_ids}


def image(message: StoredMessage, image_id: str, picture: Picture) -> dict[str, Any]:
    """Return one picture (docs/get-image-id)."""
    return {
        "created": format_time(message.stored_at),
        "filetype": picture.filetype,
        "mmsid": message.id,
        "bytes": len(picture.content),
        "id": image_id,
        "digest": picture.digest,
    }


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


def number(own: SandboxNumber, rules: Rules) -> dict[str, Any]:
    """Return a number of the account (docs/configure-number, docs/list-numbers)."""
    lacking = set() if rules.own_number_sends_mms else {"mms"}
    return {
        "id": own.id,
        "active": "yes" if own.is_active else "no",
        "country": "se",
        "number": own.number,
        "capabilities": [each for each in own.capabilities if each not in lacking],
        "category": "mobile",
        "name": own.name,
        "sms_url": own.sms_url,
        "sms_replies": "yes" if own.sms_replies else "no",
        "allocated": format_time(own.allocated_at),
        **{name: url for name, url in (("mms_url", own.mms_url), ("voice_start", own.voice_start)) if url},
        **({"deallocated": format_time(own.deallocated_at)} if own.deallocated_at else {}),
    }
