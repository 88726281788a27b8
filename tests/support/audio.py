"""Audio for tests, built byte by byte: silence in the three formats that 46elks plays."""

import struct

RATE = 8000


def a_wav(
    seconds: float = 1.0, *, rate: int = RATE, channels: int = 1, bits: int = 16, code: int = 1
) -> bytes:
    """Return a WAV file of silence, with a chunk that says who made it."""
    block = channels * bits // 8
    sound = bytes(int(seconds * rate) * block)
    form = struct.pack("<HHIIHH", code, channels, rate, rate * block, block, bits)
    body = b"WAVE" + _chunk(b"fmt ", form) + _chunk(b"LIST", b"INFOIART") + _chunk(b"data", sound)
    return _chunk(b"RIFF", body)


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body


def an_mp3(frames: int = 50, *, tag: bytes = b"") -> bytes:
    """Return an MP3 file with a number of frames of 26 ms each (MPEG 1, layer III, 128 kbit/s)."""
    head = b"ID3\x04\0\0\0\0\0" + bytes([len(tag)]) + tag if tag else b""
    return head + (b"\xff\xfb\x90\x00" + bytes(413)) * frames


def an_ogg(seconds: float = 1.0, *, rate: int = RATE, codec: bytes = b"\x01vorbis") -> bytes:
    """Return the first and the last page of an OGG file, which are all that is read of one."""
    first = codec + struct.pack("<IBI", 0, 1, rate)
    return _page(0, first) + _page(int(seconds * rate), bytes(20))


def _page(samples: int, body: bytes) -> bytes:
    return b"OggS\0\0" + struct.pack("<qIII", samples, 1, 0, 0) + bytes([1, len(body)]) + body
