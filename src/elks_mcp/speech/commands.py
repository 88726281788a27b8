"""Read the command that speaks, which the operator configured."""

import re
import shlex

_ESPEAK, _PIPER = "espeak-ng", "piper"
DEFAULT_VOICE = "sv"
"""The voice of the preset `espeak-ng`."""

PRESETS = f"{_ESPEAK}, {_ESPEAK}:VOICE, {_PIPER}:MODEL"
"""The presets, for messages."""


class UnreadableCommand(ValueError):
    """A command cannot be read. The message says why."""


def parse_speech_command(written: str) -> tuple[str, ...]:
    """Return the program and its arguments. No shell reads them, so nothing in them is expanded.

    `espeak-ng` is short for a command with its Swedish voice, `espeak-ng:en-us` for one with another voice,
    and `piper:MODEL` for one with the voice in a file. Each reads the text from standard input and writes WAV
    to standard output, as any other command has to.

    Raises:
        UnreadableCommand: it is empty, or has a quotation mark without its pair.
    """
    name, _, choice = written.strip().partition(":")
    if name == _ESPEAK and re.fullmatch(r"[A-Za-z0-9+_-]*", choice):
        return (_ESPEAK, "-v", choice or DEFAULT_VOICE, "--stdin", "--stdout")
    if name == _PIPER and choice.strip():
        return (_PIPER, "-m", choice.strip(), "-f", "-")
    try:
        words = tuple(shlex.split(written))
    except ValueError:
        raise UnreadableCommand("it has a quotation mark without its pair") from None
    if not words:
        raise UnreadableCommand("it is empty")
    if any("\0" in word for word in words):
        raise UnreadableCommand("it has a NUL character")
    return words
