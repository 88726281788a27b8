"""Errors about pictures, recordings and speech: each speaks of the thing that was named, with an example."""

import shlex
from pathlib import Path

import pytest

from elks_mcp.errors import InvalidInput, Misconfigured
from elks_mcp.sending.picture_sources import read_local_picture, read_picture
from tests.sending.test_call_preparer import PRICE, Prepared
from tests.support.audio import a_wav
from tests.support.speech import a_program

pytestmark = pytest.mark.anyio

PICTURES = {
    "https://example.com/cat.jpg": "Pictures are not fetched from web addresses.",
    "HTTP://example.com/": "Pictures are not fetched from web addresses.",
    "www.example.com/cat.jpg": "Pictures are not fetched from web addresses.",
    "../cat.jpg": "Name a picture in the operator's directory",
    "/etc/cat.jpg": "Name a picture in the operator's directory",
    "file:///cat.jpg": "Name a picture in the operator's directory",
    "customers.csv": "Its name must end in .png, .jpg, .jpeg, .gif",
    "": "Its name must end in .png",
    "data:image/png,x": "The data URL cannot be read.",
}
RECORDINGS = {
    "../x": "Give the name of one of the operator's recordings, as in alarm",
    "https://example.com/alarm.wav": "Give the name of one of the operator's recordings, as in alarm",
    "/etc/alarm.wav": "Give the name of one of the operator's recordings, as in alarm",
    "fire": "The operator has no recording of that name. The recordings are: larm.",
    "larm.mp3": "The operator has no recording of that name. The recordings are: larm.",
    "broken": "It cannot be played: it is neither WAV, MP3 nor OGG Vorbis.",
}


@pytest.mark.parametrize("has_folder", [True, False])
@pytest.mark.parametrize("source", PICTURES)
async def test_an_error_about_a_picture_speaks_of_pictures(
    tmp_path: Path, source: str, *, has_folder: bool
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await read_picture(source, tmp_path if has_folder else None)
    said = refused.value.explain()
    if has_folder or "fetched" in PICTURES[source] or source.startswith("data:"):
        assert PICTURES[source] in said
    assert "picture" in said
    assert "as in cat.jpg" in said or "data URL" in said or "data:image/png;base64," in said
    assert has_folder or "in the operator's directory" not in said
    assert "as in customers.csv" not in said
    assert str(tmp_path) not in said


@pytest.mark.parametrize("file", ["https://example.com/cat.jpg", "none.jpg", "."])
async def test_an_error_about_a_picture_in_a_terminal_speaks_of_pictures(file: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await read_local_picture(Path(file))
    said = refused.value.explain()
    assert said.startswith('The picture "')
    assert "as in cat.jpg" in said


@pytest.mark.parametrize("name", RECORDINGS)
async def test_an_error_about_a_recording_speaks_of_recordings(tmp_path: Path, name: str) -> None:
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    (prompts / "larm.wav").write_bytes(a_wav())
    if name == "broken":
        (prompts / "broken.wav").write_bytes(b"none")
    with pytest.raises(InvalidInput) as refused:
        await Prepared(tmp_path, {**PRICE, "ELKS_PROMPTS_DIR": str(prompts)}).prepare("", name)
    said = refused.value.explain()
    assert said.startswith(f'The recording "{name}" cannot be used. ')
    assert RECORDINGS[name] in said
    assert "customers.csv" not in said


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("sys.exit(1)", "it ended with exit code 1."),
        ("", "its output cannot be used: it is not a WAV file."),
        (None, "it cannot be started, so it may not be installed."),
    ],
)
async def test_an_error_about_a_speaking_program_says_why_and_who_can_try_it(
    tmp_path: Path, code: str | None, why: str
) -> None:
    command = "no-such-program-here" if code is None else shlex.join(a_program(tmp_path, code))
    with pytest.raises(Misconfigured) as refused:
        await Prepared(tmp_path, {**PRICE, "ELKS_TTS_COMMAND": command}).prepare()
    said = refused.value.explain()
    assert f"The program of ELKS_TTS_COMMAND did not speak: {why} The operator can try it: `" in said
