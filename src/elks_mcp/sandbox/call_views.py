"""Phone calls as JSON, for the phone page and the control API."""

from typing import Any

from elks_mcp.sandbox.simulation import Simulation
from elks_mcp.sandbox.views import time
from elks_mcp.sandbox.voice.call_log import ActionRun, StoredCall
from elks_mcp.sandbox.voice.sounds import SoundLibrary
from elks_mcp.sandbox.voice.voice_actions import find_kind


def call(simulation: Simulation, entry: StoredCall) -> dict[str, Any]:
    """Return one call: its state, its actions, and what was pressed."""
    return {
        "id": entry.id,
        "direction": entry.direction,
        "sender": entry.sender,
        "to": entry.to,
        "state": entry.state,
        "is_ringing": entry.is_ringing,
        "is_answered": entry.is_answered,
        "is_let_ring": entry.is_let_ring,
        "is_by_voicemail": entry.is_by_voicemail,
        "keys": entry.keys,
        "timeout": entry.timeout,
        "created_at": time(entry.created_at),
        "started_at": time(entry.started_at) if entry.started_at else None,
        "ended_at": time(entry.ended_at) if entry.ended_at else None,
        "duration": entry.duration,
        "cost": entry.cost,
        "actions": [_action(simulation.exchange.audio, run) for run in entry.actions],
        "recordings": list(entry.recordings),
    }


def version(entry: StoredCall) -> tuple[object, ...]:
    """Return what differs once the view of a call has changed."""
    results = tuple(run.result for run in entry.actions)
    shown = entry.state, entry.started_at, entry.is_let_ring, entry.playing, entry.keys
    return *shown, results, len(entry.recordings)


def _action(library: SoundLibrary, run: ActionRun) -> dict[str, Any]:
    """Return one action: its kind, what it names, its result, and the digest of its sound."""
    kind = find_kind(run.action) or ""
    source = str(run.action.get(kind, ""))
    audio = library.find_by_source(source)
    return {
        "kind": kind,
        "source": source,
        "result": run.result,
        "sha256": audio.sha256 if audio else None,
        "content_type": audio.content_type if audio else None,
    }


def sounds(library: SoundLibrary) -> list[dict[str, Any]]:
    """Return every attempt to fetch the sound of a client, without its content."""
    return [
        {
            "source": audio.source,
            "at": time(audio.fetched_at) if audio.fetched_at else None,
            "content_type": audio.content_type,
            "bytes": len(audio.content),
            "sha256": audio.sha256,
            "seconds": audio.duration.total_seconds(),
            "problem": audio.problem,
        }
        for audio in library.fetched
    ]
