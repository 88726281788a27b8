"""Check audio by its content, and measure how long it plays: WAV, MP3 and OGG Vorbis.

These are the formats that 46elks plays (https://46elks.com/docs/voice-play). The length has to be known,
because a call is priced by it before it is made.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

MOST_AUDIO_BYTES = 4 * 1024 * 1024
"""Bytes: a minute and a half of speech as espeak-ng writes it."""

AudioFormat = Literal["wav", "mp3", "ogg"]

_PCM, _EXTENSIBLE = 1, 0xFFFE
_SLOWEST, _FASTEST = 8000, 48_000
_MOST_SECONDS = 24 * 3600


class UnusableAudio(Exception):
    """Audio cannot be used.

    The message says why, as the end of a sentence, without any of the content.
    """


@dataclass(frozen=True, slots=True)
class AudioClip:
    """Audio that was checked."""

    content: bytes
    format: AudioFormat
    seconds: float

    @property
    def digest(self) -> str:
        """The SHA-256 of the content, in hexadecimal."""
        return sha256(self.content).hexdigest()


def read_audio(content: bytes) -> AudioClip:
    """Return audio in whichever of the three formats it is.

    Raises:
        UnusableAudio: it is in none of them, is damaged, or is too large.
    """
    if len(content) > MOST_AUDIO_BYTES:
        raise UnusableAudio(f"it is larger than {MOST_AUDIO_BYTES // 2**20} MB")
    if content[:4] == b"RIFF":
        return read_wav(content)
    if content[:4] == b"OggS":
        return AudioClip(content, "ogg", _measure_ogg(content))
    if content[:3] == b"ID3" or content[:1] == b"\xff":
        return AudioClip(content, "mp3", _measure_mp3(content))
    raise UnusableAudio("it is neither WAV, MP3 nor OGG Vorbis")


def read_wav(content: bytes) -> AudioClip:
    """Return a WAV file with a plain header that states the real length.

    A program that writes to a pipe cannot know the length when it writes the header, so espeak-ng states
    2 GB there.

    Raises:
        UnusableAudio: it is not a WAV file of 8 or 16 bits, 8 to 48 kHz and at most two channels.
    """
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise UnusableAudio("it is not a WAV file")
    chunks = dict(_list_chunks(content))
    if len(chunks.get(b"fmt ", b"")) < _FORMAT.size or not chunks.get(b"data"):
        raise UnusableAudio("it is a WAV file without sound")
    code, channels, rate, _, block, bits = _FORMAT.unpack_from(chunks[b"fmt "])
    is_usual = channels in {1, 2} and bits in {8, 16} and block == channels * bits // 8
    if code not in {_PCM, _EXTENSIBLE} or not is_usual or not _SLOWEST <= rate <= _FASTEST:
        raise UnusableAudio("it is not plain WAV of 8 or 16 bits, 8 to 48 kHz and one or two channels")
    sound = chunks[b"data"]
    sound = sound[: len(sound) - len(sound) % block]
    header = _FORMAT.pack(_PCM, channels, rate, rate * block, block, bits)
    parts = _chunk(b"fmt ", header) + _chunk(b"data", sound)
    return AudioClip(_chunk(b"RIFF", b"WAVE" + parts), "wav", len(sound) / (rate * block))


_FORMAT = struct.Struct("<HHIIHH")
"""The format of a WAV file: code, channels, samples a second, bytes a second, bytes of a block, bits."""


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _list_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """List the chunks of a WAV file; one that states too much ends with the file."""
    at = 12
    while at + 8 <= len(content):
        name, (size,) = content[at : at + 4], struct.unpack_from("<I", content, at + 4)
        yield name, content[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _measure_ogg(content: bytes) -> float:
    """Return the seconds of an OGG Vorbis file: the number of its last sample by its rate."""
    first = content[:80]
    at = first.find(b"\x01vorbis")
    if at < 0 or len(first) < at + 16:
        raise UnusableAudio("it is an OGG file without Vorbis")
    (rate,) = struct.unpack_from("<I", content, at + 12)
    last = content.rfind(b"OggS")
    if not rate or len(content) < last + 14:
        raise UnusableAudio("it is a damaged OGG file")
    (samples,) = struct.unpack_from("<q", content, last + 6)
    if not 0 < samples < rate * _MOST_SECONDS:
        raise UnusableAudio("it is a damaged OGG file")
    return float(samples / rate)


_KILOBITS = {
    # by version 1 or 2, and layer III
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
"""Samples a second, by the two bits of the version: 3 is MPEG 1, 2 is MPEG 2, 0 is MPEG 2.5."""

_FEWEST_FRAMES = 3


def _measure_mp3(content: bytes) -> float:
    """Return the seconds of an MP3 file: the sum of its frames."""
    at, seconds, frames = _skip_tag(content), 0.0, 0
    while frame := _read_frame(content, at):
        size, length = frame
        at, seconds, frames = at + size, seconds + length, frames + 1
    if frames < _FEWEST_FRAMES:
        raise UnusableAudio("it is a damaged MP3 file, or none")
    if any(content[at:].removeprefix(b"TAG")) and content[at : at + 3] != b"TAG" and at < len(content) - 2048:
        raise UnusableAudio("it is an MP3 file with other content in it")
    return seconds


def _skip_tag(content: bytes) -> int:
    """Return where the sound begins: after an ID3 tag, whose size has seven bits in each byte."""
    if content[:3] != b"ID3" or len(content) < 10:  # noqa: PLR2004
        return 0
    return 10 + sum(byte << shift for byte, shift in zip(content[6:10], (21, 14, 7, 0), strict=True))


def _read_frame(content: bytes, at: int) -> tuple[int, float] | None:
    """Return the bytes and the seconds of a frame of layer III; None if there is none."""
    if len(content) < at + 4:
        return None
    (head,) = struct.unpack_from(">I", content, at)
    version, layer = head >> 19 & 3, head >> 17 & 3
    kilobits, rate, padding = head >> 12 & 15, head >> 10 & 3, head >> 9 & 1
    if head >> 21 != 0x7FF or version == 1 or layer != 1 or kilobits in {0, 15} or rate == 3:  # noqa: PLR2004
        return None
    is_first = version == 3  # noqa: PLR2004
    samples = 1152 if is_first else 576
    hertz = _RATES[version][rate]
    size = samples // 8 * _KILOBITS[1 if is_first else 2][kilobits] * 1000 // hertz + padding
    return (size, samples / hertz) if at + size <= len(content) else None
