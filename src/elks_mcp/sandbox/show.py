"""The sandbox's state as JSON: what the page and the control API show."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from elks_mcp.sandbox.clock import ManualClock
from elks_mcp.sandbox.handsets import MAGIC, Handset, HandsetText
from elks_mcp.sandbox.messages import StoredMessage
from elks_mcp.sandbox.network import is_number
from elks_mcp.sandbox.requests import ApiRequest
from elks_mcp.sandbox.world import World

LAST_REQUESTS = 12


def state(world: World) -> dict[str, Any]:
    """Show everything a person looks at: balance, phones with their screens, messages, the last requests."""
    world.catch_up()
    network = world.network
    underway: dict[str, list[StoredMessage]] = {}
    for entry in network.accepted:
        if entry.status != "delivered":
            underway.setdefault(entry.to, []).append(entry)
    return {
        "now": time(world.clock.now()),
        "manual_clock": isinstance(world.clock, ManualClock),
        "number": world.own.number,
        "username": world.account.username,
        "password": world.account.password,
        "webhook_ports": sorted(world.webhooks.ports),
        "balance": world.account.balance,
        "currency": world.account.currency,
        "magic": {number: behaviour.description for number, behaviour in MAGIC.items()},
        "handsets": [handset(phone, underway.get(number, [])) for number, phone in network.handsets.items()],
        "messages": [message(logged) for logged in network.log],
        "requests": [request(asked) for asked in world.requests[-LAST_REQUESTS:]],
    }


def handset(phone: Handset, underway: list[StoredMessage]) -> dict[str, Any]:
    """Show one phone: its screen, and what is on its way to it or never arrived."""
    return {
        "number": phone.number,
        "behaviour": phone.behaviour.description,
        "answers_to": phone.last_sender,
        "can_answer": phone.last_sender is None or is_number(phone.last_sender),
        "texts": [text(entry) for entry in phone.texts],
        "underway": [message(entry) for entry in underway],
    }


def text(entry: HandsetText) -> dict[str, Any]:
    """Show one bubble."""
    return asdict(entry) | {"at": time(entry.at)}


def message(entry: StoredMessage) -> dict[str, Any]:
    """Show one message of the account's log."""
    return {
        "id": entry.id,
        "direction": entry.direction,
        "sender": entry.sender,
        "to": entry.to,
        "text": entry.text,
        "flash": entry.flash,
        "status": entry.status,
        "parts": entry.parts,
        "cost": entry.cost,
        "created_at": time(entry.created_at),
        "delivered_at": time(entry.delivered_at) if entry.delivered_at else None,
    }


def request(entry: ApiRequest) -> dict[str, Any]:
    """Show one request that came in."""
    return {
        "at": time(entry.at),
        "method": entry.method,
        "path": entry.path,
        "query": entry.query,
        "form": entry.form,
        "authorised": entry.authorised,
        "status": entry.status,
        "fault": entry.fault,
        "error": entry.error,
    }


def ledger(world: World) -> dict[str, Any]:
    """Show the books: every request, charge and webhook, in order."""
    world.catch_up()
    return {
        "requests": [request(entry) for entry in world.requests],
        "charges": [asdict(entry) | {"at": time(entry.at)} for entry in world.account.charges],
        "webhooks": [asdict(entry) | {"at": time(entry.at)} for entry in world.webhooks.attempts],
    }


def faults(world: World) -> list[dict[str, Any]]:
    """Show the faults in waiting."""
    return [
        {
            "fault": injected.fault.value,
            "method": injected.method,
            "path": injected.path,
            "dryrun": injected.dryrun,
            "left": injected.left,
            "skip": injected.skip,
            "accepted": injected.accepted,
            "duration_seconds": injected.duration.total_seconds() if injected.duration else None,
        }
        for injected in world.faults.waiting
    ]


def time(at: datetime) -> str:
    """Write a time as JavaScript reads it: ISO 8601, UTC, with a ``Z``."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
