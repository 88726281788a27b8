"""The operator's own recordings, by their names."""

from pathlib import Path

from elks_mcp.runtime.confined_files import FileMissing, FileNotAllowed, list_confined, read_confined
from elks_mcp.speech.audio_files import MOST_AUDIO_BYTES, AudioClip, UnusableAudio, read_audio

AUDIO_ENDINGS = (".wav", ".mp3", ".ogg")
_ADVICE = "Give the name of one of the operator's recordings, as in alarm, and not a path or an address."
MOST_NAMED = 50
"""The most recordings that are named to a caller who asks for one that does not exist."""


class NoRecording(Exception):
    """There is no usable recording of a name.

    The message says why, without any path of this machine.
    """


def list_recordings(folder: Path) -> list[str]:
    """List the names of the recordings in a directory, without their endings."""
    names = list_confined(folder, AUDIO_ENDINGS, MOST_NAMED)
    return list(dict.fromkeys(name.rpartition(".")[0] for name in names))


def read_recording(folder: Path, name: str) -> AudioClip:
    """Return a recording by its name, with or without its ending.

    Raises:
        NoRecording: there is none of that name, or it cannot be used.
    """
    try:
        return read_audio(_read(folder, name))
    except FileMissing:
        raise NoRecording("The operator has no recording of that name.") from None
    except FileNotAllowed as error:
        raise NoRecording(str(error)) from None
    except UnusableAudio as error:
        raise NoRecording(f"It cannot be played: {error}.") from None


def _read(folder: Path, name: str) -> bytes:
    if name.lower().endswith(AUDIO_ENDINGS):
        return read_confined(folder, name, MOST_AUDIO_BYTES, advice=_ADVICE)
    missing: FileNotAllowed | None = None
    for ending in AUDIO_ENDINGS:
        try:
            return read_confined(folder, f"{name}{ending}", MOST_AUDIO_BYTES, advice=_ADVICE)
        except FileNotAllowed as error:
            missing = missing or error
    raise missing or FileMissing("There is none.")
