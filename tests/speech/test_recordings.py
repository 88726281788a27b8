"""The operator's recordings are found by name, and only in the operator's directory."""

from pathlib import Path

import pytest

from elks_mcp.speech.audio_files import MOST_AUDIO_BYTES
from elks_mcp.speech.recordings import NoRecording, list_recordings, read_recording
from tests.support.audio import a_wav, an_mp3, an_ogg


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a directory with recordings, beside a file outside it."""
    prompts = tmp_path / "prompts"
    (prompts / "jour").mkdir(parents=True)
    (prompts / "larm.wav").write_bytes(a_wav(2))
    (prompts / "larm.mp3").write_bytes(an_mp3(50))
    (prompts / "jour" / "natt.ogg").write_bytes(an_ogg(3))
    (prompts / "hälsning.wav").write_bytes(an_ogg(4))
    (prompts / "secret.wav").write_text("not audio")
    (prompts / "large.wav").write_bytes(a_wav(1) + bytes(MOST_AUDIO_BYTES))
    (tmp_path / "outside.wav").write_bytes(a_wav(5))
    return prompts


def test_a_recording_is_found_by_its_name_with_or_without_its_ending(folder: Path) -> None:
    assert read_recording(folder, "larm").seconds == 2
    assert read_recording(folder, "larm.mp3").format == "mp3"
    assert read_recording(folder, "jour/natt").seconds == 3


def test_the_content_decides_on_the_format_whatever_the_ending_is(folder: Path) -> None:
    assert read_recording(folder, "hälsning").format == "ogg"


def test_names_are_listed_once_and_without_endings(folder: Path) -> None:
    assert list_recordings(folder) == ["hälsning", "large", "larm", "secret"]
    assert list_recordings(folder / "missing") == []


@pytest.mark.parametrize(
    "name", ["../outside", "../outside.wav", "/etc/passwd", "no", "", "jour", "secret", "large"]
)
def test_nothing_else_is_read_and_no_path_is_named(folder: Path, name: str) -> None:
    with pytest.raises(NoRecording) as refused:
        read_recording(folder, name)
    assert str(folder.parent) not in str(refused.value)


def test_a_link_is_not_followed(folder: Path) -> None:
    (folder / "link.wav").symlink_to(folder.parent / "outside.wav")
    with pytest.raises(NoRecording):
        read_recording(folder, "link")
