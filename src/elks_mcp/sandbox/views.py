"""The sandbox's state as JSON, for the phone page and the control API."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from elks_mcp.sandbox.clock import ManualClock
from elks_mcp.sandbox.handsets import MAGIC, Handset, HandsetText
from elks_mcp.sandbox.messages import StoredMessage
from elks_mcp.sandbox.network import is_number
from elks_mcp.sandbox.requests import ApiRequest
from elks_mcp.sandbox.simulation import Simulation

LAST_REQUESTS = 12


def state(simulation: Simulation) -> dict[str, Any]:
    """Return what the phone page shows: balance, phones, messages and the last requests."""
    simulation.catch_up()
    network = simulation.network
    underway: dict[str, list[StoredMessage]] = {}
    for entry in network.accepted:
        if entry.status != "delivered":
            underway.setdefault(entry.to, []).append(entry)
    return {
        "now": time(simulation.clock.now()),
        "manual_clock": isinstance(simulation.clock, ManualClock),
        "number": simulation.own.number,
        "username": simulation.account.username,
        "password": simulation.account.password,
        "webhook_ports": sorted(simulation.webhooks.ports),
        "balance": simulation.account.balance,
        "currency": simulation.account.currency,
        "magic": {number: behaviour.description for number, behaviour in MAGIC.items()},
        "handsets": [handset(phone, underway.get(number, [])) for number, phone in network.handsets.items()],
        "messages": [message(logged) for logged in network.log],
        "requests": [request(asked) for asked in simulation.requests[-LAST_REQUESTS:]],
    }


def handset(phone: Handset, underway: list[StoredMessage]) -> dict[str, Any]:
    """Return one phone: the texts on its screen, and those under way or failed."""
    return {
        "number": phone.number,
        "behaviour": phone.behaviour.description,
        "answers_to": phone.last_sender,
        "can_answer": phone.last_sender is None or is_number(phone.last_sender),
        "texts": [text(entry) for entry in phone.texts],
        "underway": [message(entry) for entry in underway],
    }


def text(entry: HandsetText) -> dict[str, Any]:
    """Return one text on a screen."""
    return asdict(entry) | {"at": time(entry.at)}


def message(entry: StoredMessage) -> dict[str, Any]:
    """Return one message of the account's log."""
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
    """Return one request to the API."""
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


def ledger(simulation: Simulation) -> dict[str, Any]:
    """Return every request, every charge and every attempt at a webhook, in order."""
    simulation.catch_up()
    return {
        "requests": [request(entry) for entry in simulation.requests],
        "charges": [asdict(entry) | {"at": time(entry.at)} for entry in simulation.account.charges],
        "webhooks": [asdict(entry) | {"at": time(entry.at)} for entry in simulation.webhooks.attempts],
    }


def faults(simulation: Simulation) -> list[dict[str, Any]]:
    """Return the injected faults."""
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
        for injected in simulation.faults.waiting
    ]


def time(at: datetime) -> str:
    """Return a time that JavaScript can read: ISO 8601, UTC, with a `Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
