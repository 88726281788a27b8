"""Recordings of calls: the actions `record` and `recordcall`, and what they report."""

from datetime import datetime, timedelta
from math import ceil

from elks_mcp.sandbox.messages import format_time
from elks_mcp.sandbox.prices_and_rules import Rules
from elks_mcp.sandbox.voice.call_log import Log, StoredCall, StoredRecording
from elks_mcp.sandbox.voice.sounds import build_wav
from elks_mcp.sandbox.webhooks import Webhooks

_WAV = "https://api.46elks.com/a1/Recordings/{}.wav"
_LONGEST_FILE = timedelta(minutes=2)


class Recorder:
    """The account's recordings, each of which is reported by a webhook (docs/voice-record)."""

    def __init__(self, rules: Rules, webhooks: Webhooks) -> None:
        self._rules, self._webhooks = rules, webhooks
        self.log: Log[StoredRecording] = Log()

    def add(self, call: StoredCall, url: str, since: datetime, at: datetime) -> None:
        """Store what was recorded of `call` from `since` to `at`, and report it to `url`."""
        length = at - since
        recording = StoredRecording(
            id=f"{call.id}-r{len(call.recordings)}",
            call_id=call.id,
            duration=ceil(length.total_seconds()),
            created_at=at,
            content=build_wav(min(length, _LONGEST_FILE)),
        )
        self.log.add(recording)
        call.recordings.append(recording.id)
        form = {
            "callid": call.id,
            "duration": str(recording.duration),
            "wav": _WAV.format(recording.id),
            "direction": call.direction,
            "from": call.sender,
            "to": call.to,
            "created": format_time(at),
        }
        self._webhooks.post("recording", url, form, at)

    def is_available(self, recording: StoredRecording, at: datetime) -> bool:
        """Return whether `recording` can still be fetched (docs/voice-recordcall)."""
        return at - recording.created_at < self._rules.recordings_kept_for
