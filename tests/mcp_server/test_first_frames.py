"""The server answers what real clients send first."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.process import Process, running
from tests.tables.first_frames import RECORDINGS, Recording

SANDBOX = {"ELKS_SANDBOX": "true", "ELKS_SANDBOX_PAGE": "false"}

IN_SHORT = ("claude-code-slow-server", "codex-status")
"""One recording of each era. The other ones start as many processes, and are for the long tests."""

each_recording = pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)


def test_each_file_of_frames_has_its_client_and_version() -> None:
    folder = RECORDINGS[0].path.parent
    assert sorted(folder.iterdir()) == sorted(recording.path for recording in RECORDINGS)


@each_recording
def test_a_recorded_client_greets_in_its_era(recording: Recording) -> None:
    """The name of the client says which recording a frame is of."""
    first = recording.parse_frames()[0]["params"]
    version = first.get("protocolVersion") or first["_meta"]["io.modelcontextprotocol/protocolVersion"]
    assert version == recording.era


@pytest.mark.parametrize(
    "recording",
    [
        pytest.param(each, id=each.name, marks=() if each.name in IN_SHORT else pytest.mark.long)
        for each in RECORDINGS
    ],
)
def test_the_server_answers_the_first_frames_of(recording: Recording, tmp_path: Path) -> None:
    with running(SANDBOX, tmp_path) as process:
        answers = [
            answer_to(process, line, frame)
            for line, frame in zip(recording.read_frames(), recording.parse_frames(), strict=True)
        ]
        assert process.close() == 0
    refused = [answer["error"]["code"] for answer in answers if "error" in answer]
    assert refused == ([-32022] if recording.name == "claude-code-slow-server" else [])


def answer_to(process: Process, line: bytes, frame: dict[str, Any]) -> dict[str, Any]:
    """Send a client's frame, and return what the server answers, which is nothing unless it is a request."""
    process.write_bytes(line)
    while "id" in frame and "method" in frame:
        message: dict[str, Any] = json.loads(process.read_line())
        acknowledged = message.get("method") == "notifications/subscriptions/acknowledged"
        if acknowledged and frame["method"] == "subscriptions/listen":
            return message
        if message.get("id") == frame["id"] and "method" not in message:
            return message
    return {}
