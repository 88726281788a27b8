"""Preparing a call: the ladder of speech, the length, and what is stored."""

from pathlib import Path
from typing import Any

import pytest

from elks_mcp.domain.calls import LONGEST_CALL, LONGEST_SPOKEN, MOST_DIGITS
from elks_mcp.errors import InvalidInput, Misconfigured
from elks_mcp.sending.call_preparer import CallPreparer
from elks_mcp.settings import load
from elks_mcp.store import AccountKey, StateLocation, Storage
from tests.support.audio import a_wav, an_mp3
from tests.support.clocks import ManualClock
from tests.support.speech import a_program, find_espeak

pytestmark = pytest.mark.anyio

PRICE = {"ELKS_CALL_PRICE_PER_MINUTE": "0.80"}
WORDS = "Driften är nere. Tryck 1."


class Prepared:
    """A preparer, and the storage that it keeps audio in."""

    def __init__(self, folder: Path, environ: dict[str, str], *, is_reachable: bool = True) -> None:
        self.storage = Storage(StateLocation(folder=folder / "state"), AccountKey("https://e", "u"))
        settings = load(environ).settings
        self.preparer = CallPreparer(self.storage, ManualClock(), settings, is_reachable=is_reachable)

    async def prepare(self, say: str = WORDS, prompt: str = "", digits: int = 1, **more: Any) -> Any:
        """Prepare a call, and close the store."""
        try:
            call = await self.preparer.prepare(say, prompt, digits=digits, **more)
            if call.audio and self.storage.exists:
                return call, await (await self.storage.open()).calls.find_audio(call.audio)
            return call, None
        finally:
            await self.storage.close()


def speaking(folder: Path, seconds: float = 2) -> dict[str, str]:
    """Return settings with a program that plays silence."""
    (folder / "silence.wav").write_bytes(a_wav(seconds))
    code = f"sys.stdout.buffer.write(open({str(folder / 'silence.wav')!r}, 'rb').read())"
    command = " ".join(f'"{word}"' for word in a_program(folder, code))
    return {**PRICE, "ELKS_TTS_COMMAND": command}


async def test_espeak_ng_speaks_and_its_audio_is_stored(tmp_path: Path) -> None:
    find_espeak()
    call, stored = await Prepared(tmp_path, {**PRICE, "ELKS_TTS_COMMAND": "espeak-ng"}).prepare()
    assert (call.text, call.prompt, call.digits, call.per_minute) == (WORDS, "", 1, 8000)
    assert stored is not None
    assert stored.content.startswith(b"RIFF")
    assert 20 < call.longest < 60


async def test_the_length_is_that_of_the_content_and_the_waits(tmp_path: Path) -> None:
    call, _ = await Prepared(tmp_path, speaking(tmp_path, 10)).prepare()
    assert call.longest == 3 * (10 + 8) + 10


async def test_p1_a_dry_run_stores_nothing(tmp_path: Path) -> None:
    call, stored = await Prepared(tmp_path, speaking(tmp_path)).prepare(keep=False)
    assert call.audio
    assert stored is None
    assert not (tmp_path / "state").exists()


async def test_a_recording_is_played_by_its_name(tmp_path: Path) -> None:
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    (prompts / "larm.mp3").write_bytes(an_mp3(100))
    call, stored = await Prepared(tmp_path, {**PRICE, "ELKS_PROMPTS_DIR": str(prompts)}).prepare("", "larm")
    assert (call.text, call.prompt) == ("", "larm")
    assert stored is not None
    assert stored.format == "mp3"


async def test_a_recording_that_does_not_exist_is_refused_with_the_names_of_the_others(
    tmp_path: Path,
) -> None:
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    (prompts / "larm.wav").write_bytes(a_wav())
    (tmp_path / "secret.wav").write_bytes(a_wav())
    for name in ("alarm", "../secret", str(tmp_path / "secret")):
        with pytest.raises(InvalidInput) as refused:
            await Prepared(tmp_path, {**PRICE, "ELKS_PROMPTS_DIR": str(prompts)}).prepare("", name)
        assert "larm" in refused.value.hint
        assert str(prompts) not in refused.value.explain()


@pytest.mark.parametrize(
    ("environ", "is_reachable", "named"),
    [
        ({}, True, "ELKS_CALL_PRICE_PER_MINUTE"),
        (PRICE, True, "ELKS_TTS_COMMAND"),
        ({**PRICE, "ELKS_TTS_COMMAND": "espeak-ng"}, False, "ELKS_PUBLIC_URL"),
        ({**PRICE, "ELKS_TTS_COMMAND": "no-such-program"}, True, "cannot be started"),
        ({**PRICE, "ELKS_TTS_46ELKS": "true"}, False, "up to 180 characters"),
    ],
)
async def test_a_missing_setting_is_named(
    tmp_path: Path, environ: dict[str, str], is_reachable: bool, named: str
) -> None:
    with pytest.raises(Misconfigured) as refused:
        await Prepared(tmp_path, environ, is_reachable=is_reachable).prepare()
    assert named in refused.value.explain()
    assert "Driften" not in refused.value.explain()


async def test_46elks_itself_speaks_only_short_english_and_only_if_nothing_else_can(tmp_path: Path) -> None:
    english = {**PRICE, "ELKS_TTS_46ELKS": "true"}
    call, stored = await Prepared(tmp_path, english, is_reachable=False).prepare("The site is down. Press 1.")
    assert (call.audio, stored) == ("", None)
    assert call.longest > 20
    for text in ("Å", "a" * 181):
        with pytest.raises(Misconfigured):
            await Prepared(tmp_path, english, is_reachable=False).prepare(text)
    spoken, _ = await Prepared(tmp_path, {**english, **speaking(tmp_path)}).prepare("The site is down.")
    assert spoken.audio


@pytest.mark.parametrize(
    ("say", "prompt", "digits"),
    [
        ("", "", 0),
        ("Hej", "larm", 0),
        (" ", " ", 0),
        ("Hej", "", MOST_DIGITS + 1),
        ("Hej", "", -1),
        ("a" * (LONGEST_SPOKEN + 1), "", 0),
        ("\u200b", "", 0),
    ],
)
async def test_arguments_that_cannot_be_used_are_refused(
    tmp_path: Path, say: str, prompt: str, digits: int
) -> None:
    with pytest.raises(InvalidInput):
        await Prepared(tmp_path, speaking(tmp_path)).prepare(say, prompt, digits)


async def test_a_call_that_could_last_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=f"and {LONGEST_CALL} is the most"):
        await Prepared(tmp_path, speaking(tmp_path, 85)).prepare()
