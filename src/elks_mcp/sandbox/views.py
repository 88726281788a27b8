"""The sandbox's state as JSON, for the phone page and the control API."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from elks_mcp.sandbox.call_behaviours import CALL_BEHAVIOURS, pressing
from elks_mcp.sandbox.clock import ManualClock
from elks_mcp.sandbox.faults import Fault, is_accepting
from elks_mcp.sandbox.handsets import BEHAVIOURS, FIRST_PHONE, MAGIC, Handset, HandsetText
from elks_mcp.sandbox.messages import StoredMessage
from elks_mcp.sandbox.network import Network, is_number
from elks_mcp.sandbox.number_format import format_number
from elks_mcp.sandbox.parts import find_encoding
from elks_mcp.sandbox.pictures import Picture
from elks_mcp.sandbox.requests import ApiRequest
from elks_mcp.sandbox.simulation import Simulation

LAST_REQUESTS = 12
_LONGEST_FIELD = 3_000
"""A longer field of a request, such as a picture, is cut."""


def state(simulation: Simulation) -> dict[str, Any]:
    """Return the balance, the phones, the messages and the last requests."""
    simulation.catch_up()
    network = simulation.network
    underway = find_underway(network)
    return summary(simulation) | {
        "now": time(simulation.clock.now()),
        "magic": {number: behaviour.description for number, behaviour in MAGIC.items()},
        "handsets": [handset(phone, underway.get(number, [])) for number, phone in network.handsets.items()],
        "messages": [message(logged) for logged in network.log],
        "requests": [request(asked) for asked in simulation.requests[-LAST_REQUESTS:]],
    }


def summary(simulation: Simulation) -> dict[str, Any]:
    """Return the account and the switches of the sandbox."""
    is_manual = isinstance(simulation.clock, ManualClock)
    return {
        "manual_clock": is_manual,
        "stopped_at": time(simulation.clock.now()) if is_manual else None,
        "number": simulation.own.number,
        "username": simulation.account.username,
        "password": simulation.account.password,
        "webhook_ports": sorted(simulation.webhooks.ports),
        "balance": simulation.account.balance,
        "currency": simulation.account.currency,
        "fails_next": simulation.network.fails_next,
        "faults": faults(simulation),
    }


def choices() -> dict[str, Any]:
    """Return what a page offers: magic numbers and the first to try, behaviours, and faults."""
    return {
        "first": FIRST_PHONE,
        "magic": [[number, behaviour.description] for number, behaviour in MAGIC.items()],
        "behaviours": [[name, behaviour.description] for name, behaviour in BEHAVIOURS.items()],
        "call_behaviours": [
            *([name, behaviour.description] for name, behaviour in CALL_BEHAVIOURS.items()),
            ["presses", pressing("1").description],
        ],
        "faults": [[fault.value, fault.description, is_accepting(fault)] for fault in Fault],
    }


def find_underway(network: Network) -> dict[str, list[StoredMessage]]:
    """Return the texts that no phone has received, by recipient."""
    underway: dict[str, list[StoredMessage]] = {}
    for entry in network.accepted:
        if entry.status != "delivered":
            underway.setdefault(entry.to, []).append(entry)
    return underway


def find_numbers(simulation: Simulation) -> Iterable[str]:
    """Return every number that a page shows."""
    network = simulation.network
    senders = (text.sender for phone in network.handsets.values() for text in phone.texts)
    pending = (entry.sender for entry in network.accepted)
    callers = (call.sender for call in simulation.exchange.log)
    named = dict.fromkeys((simulation.own.number, *MAGIC, *network.handsets, *senders, *pending, *callers))
    return filter(is_number, named)


def number(written: str, own_number: str) -> dict[str, Any]:
    """Return a number in E.164, and as people write it."""
    return {"number": written, "written": format_number(written, own_number)}


def handset(phone: Handset, underway: list[StoredMessage]) -> dict[str, Any]:
    """Return one phone: the texts on its screen, and those under way or failed."""
    return {
        "number": phone.number,
        "behaviour": phone.behaviour.description,
        "calls": phone.calls.description,
        "answers_to": phone.last_sender,
        "can_answer": phone.last_sender is None or is_number(phone.last_sender),
        "texts": [text(entry) for entry in phone.texts],
        "underway": [message(entry) for entry in underway],
    }


def text(entry: HandsetText) -> dict[str, Any]:
    """Return one text on a screen."""
    return {
        "direction": entry.direction,
        "sender": entry.sender,
        "text": entry.text,
        "flash": entry.flash,
        "at": time(entry.at),
        "message_id": entry.message_id,
        "pictures": [picture(each) for each in entry.pictures],
    }


def picture(entry: Picture) -> dict[str, Any]:
    """Return what a page needs to show a picture."""
    return {"digest": entry.digest, "filetype": entry.filetype, "bytes": len(entry.content)}


def message(entry: StoredMessage) -> dict[str, Any]:
    """Return one message of the account's log."""
    return {
        "id": entry.id,
        "kind": "mms" if entry.is_mms else "sms",
        "pictures": [picture(each) for each in entry.pictures],
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


def detailed_message(simulation: Simulation, entry: StoredMessage) -> dict[str, Any]:
    """Return one message with its encoding, and the time of each status."""
    is_standard = simulation.rules.extension_is_gsm
    reached = [[status, time(at)] for status, at in entry.reached.items()]
    return message(entry) | {
        "encoding": find_encoding(entry.text, extension_is_gsm=is_standard),
        "timeline": [["created", time(entry.created_at)], *reached],
    }


def request(entry: ApiRequest) -> dict[str, Any]:
    """Return one request to the API."""
    return {
        "id": entry.id,
        "at": time(entry.at),
        "method": entry.method,
        "path": entry.path,
        "query": entry.query,
        "form": {name: _cut(value) for name, value in entry.form.items()},
        "is_cut": any(len(value) > _LONGEST_FIELD for value in entry.form.values()),
        "authorized": entry.authorized,
        "status": entry.status,
        "fault": entry.fault,
        "error": entry.error,
        "message_id": entry.message_id,
        "answer": entry.answer,
    }


def _cut(value: str) -> str:
    extra = len(value) - _LONGEST_FIELD
    return f"{value[:60]}… ({len(value)} characters)" if extra > 0 else value


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
