"""Sounds that are played to phones: fetched once for each address, spoken, or recorded."""

import hashlib
import io
import wave
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from elks_mcp.sandbox.prices_and_rules import Rules
from elks_mcp.sandbox.webhooks import WebhookAnswer, Webhooks, is_web_address

_RATE = 8_000
_SHORTEST = timedelta(seconds=1)
_COMPRESSED_BYTES_A_SECOND = 8_000
"""The rate of MP3 and OGG, whose length is only estimated."""
_CHARACTERS_A_SECOND = 15
"""The rate at which 46elks speaks."""
_MP3_HEADERS = (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xfa")
_TTS = "en_US/"
_SOUND = "sound/"
LOCAL = "local/"
"""The first characters of the name of a recording that can be played in the same call."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound, and how it was got. `problem` says why it cannot be played, or is "".

    Attributes:
        source: its address without user name and password, or its name.
        content_type: as the web server said it; "" for a sound of 46elks.
        sha256: the digest of `content`, in hexadecimal; "" for a sound of 46elks.
        duration: how long it is played.
        fetched_at: the time of the request, or None for a sound of 46elks.
    """

    source: str
    content: bytes = field(default=b"", repr=False)
    content_type: str = ""
    sha256: str = ""
    duration: timedelta = _SHORTEST
    fetched_at: datetime | None = None
    problem: str = ""


OnSound = Callable[[Sound, datetime], None]


class SoundLibrary:
    """The sounds that can be played to phones.

    46elks always caches an address (docs/voice-play), so each is fetched once. An address that could not be
    played is fetched again.
    """

    def __init__(self, rules: Rules, webhooks: Webhooks) -> None:
        self._rules, self._webhooks = rules, webhooks
        self._by_url: dict[str, Sound] = {}
        self.fetched: list[Sound] = []
        """Every attempt to fetch an address, in order."""

    def load(self, source: str, at: datetime, then: OnSound) -> None:
        """Pass the sound that `play` or `ivr` names to `then`; it is fetched first if needed."""
        if source.startswith(_SOUND):
            then(_find_sound(source), at)
        elif source.startswith(_TTS):
            then(self._speak(source), at)
        elif source in self._by_url:
            then(self._by_url[source], at)
        elif is_web_address(source):
            self._webhooks.fetch(source, at, lambda answer, at: self._receive(source, answer, at, then))
        else:
            then(Sound(source, problem="not an address, and no sound of 46elks"), at)

    def find(self, sha256: str) -> Sound | None:
        """Return the sound with this digest that can be played, or None."""
        playable = (audio for audio in self.fetched if not audio.problem)
        return next((audio for audio in playable if audio.sha256 == sha256), None)

    def find_by_source(self, source: str) -> Sound | None:
        """Return the sound that was fetched from this address, or None."""
        return self._by_url.get(source)

    def clear(self) -> None:
        """Forget all sounds."""
        self._by_url.clear()
        self.fetched.clear()

    def _speak(self, source: str) -> Sound:
        """Return English that 46elks speaks (docs/voice-play); only one copy of the page has it."""
        if not self._rules.speaks_english:
            return Sound(source, problem="46elks does not speak this language")
        spoken = len(source.removeprefix(_TTS)) / _CHARACTERS_A_SECOND
        return Sound(source, duration=max(_SHORTEST, timedelta(seconds=spoken)))

    def _receive(self, source: str, answer: WebhookAnswer, at: datetime, then: OnSound) -> None:
        audio = _judge(answer.url, answer, at)
        self.fetched.append(audio)
        if not audio.problem:
            self._by_url[source] = audio
        then(audio, at)


def build_wav(duration: timedelta) -> bytes:
    """Return a WAV file of silence: one channel, 8 bits, 8 kHz."""
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(1)
        written.setframerate(_RATE)
        written.writeframes(b"\x80" * int(_RATE * duration.total_seconds()))
    return file.getvalue()


def _find_sound(source: str) -> Sound:
    name = source.removeprefix(_SOUND)
    if name == "beep":
        return Sound(source)
    kind, _, digits = name.partition("/")
    if kind != "dtmf" or not digits or set(digits) - set("0123456789*#ABCDpP"):
        return Sound(source, problem="not a sound of 46elks")
    pauses = {"p": 50, "P": 500}
    length = timedelta(milliseconds=sum(pauses.get(digit, 200) for digit in digits))
    return Sound(source, duration=max(_SHORTEST, length))


def _judge(url: str, answer: WebhookAnswer, at: datetime) -> Sound:
    """Return the sound of an answer, with its length or the reason why it cannot be played."""
    content = answer.content
    problem, duration = answer.problem, _SHORTEST
    if not problem and answer.status != 200:  # noqa: PLR2004  (what a file is served with)
        problem = f"answered with {answer.status}"
    elif not problem:
        measured = _measure(content)
        problem = "" if measured else "neither WAV, MP3 nor OGG"
        duration = max(_SHORTEST, measured or _SHORTEST)
    sha256 = hashlib.sha256(content).hexdigest()
    return Sound(url, content, answer.content_type, sha256, duration, at, problem)


def _measure(content: bytes) -> timedelta | None:
    """Return how long a sound is, or None if it is in no format that 46elks plays."""
    if content.startswith((b"OggS", *_MP3_HEADERS)):
        return timedelta(seconds=len(content) / _COMPRESSED_BYTES_A_SECOND)
    try:
        with wave.open(io.BytesIO(content)) as read:
            return timedelta(seconds=read.getnframes() / read.getframerate())
    except (wave.Error, EOFError, ArithmeticError, RuntimeError, ValueError):
        return None
