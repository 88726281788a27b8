"""The lines of `elks-mcp doctor` about calls."""

from pathlib import Path

import pytest

from tests.support.audio import a_wav
from tests.support.process import invoke
from tests.support.speech import find_espeak

ON = {"ELKS_SANDBOX": "true", "ELKS_TOOLSETS": "sms,calls"}


def doctor(**environ: str) -> str:
    """Run `elks-mcp doctor`, and return what it prints."""
    return " ".join(invoke(("doctor",), environ).output.split())


def test_without_the_toolset_nothing_is_said_about_calls() -> None:
    assert "call is" not in doctor(ELKS_SANDBOX="true")


def test_the_settings_that_calls_lack_are_named() -> None:
    said = doctor(**ON)
    assert "fail No call is made: ELKS_CALL_PRICE_PER_MINUTE is not set." in said
    assert "fail Calls have nothing to play" in said


def test_the_program_really_speaks(tmp_path: Path) -> None:
    find_espeak()
    (tmp_path / "larm.wav").write_bytes(a_wav())
    said = doctor(
        **ON,
        ELKS_CALL_PRICE_PER_MINUTE="0.80",
        ELKS_TTS_COMMAND="espeak-ng",
        ELKS_PROMPTS_DIR=str(tmp_path),
        ELKS_PUBLIC_URL="https://sms.example.com",
        ELKS_PHONE_NUMBER="Salongen",
    )
    assert "ok A started minute of a call is reserved at 0.80." in said
    assert "ok The program of ELKS_TTS_COMMAND speaks:" in said
    assert "ok Recordings for calls: larm." in said
    assert "cannot be found out from inside" in said
    assert "warn ELKS_PHONE_NUMBER is a name" in said


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"ELKS_TTS_COMMAND": "no-such-program"}, "fail The program of ELKS_TTS_COMMAND does not speak"),
        ({"ELKS_TTS_46ELKS": "true"}, "note Only 46elks itself reads texts aloud"),
    ],
)
def test_speech_that_does_not_work_is_named(environ: dict[str, str], said: str) -> None:
    assert said in doctor(**ON, **environ)


def test_without_the_toolset_the_program_is_tried_too_since_alerts_use_it() -> None:
    said = doctor(ELKS_SANDBOX="true", ELKS_TTS_COMMAND="no-such-program")
    assert "fail The program of ELKS_TTS_COMMAND does not speak: it cannot be started" in said
