"""Audio is checked by its content, and its length is measured."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elks_mcp.speech.audio_files import MOST_AUDIO_BYTES, UnusableAudio, read_audio, read_wav
from tests.support.audio import a_wav, an_mp3, an_ogg


@pytest.mark.parametrize(
    ("content", "audio_format", "seconds"),
    [
        (a_wav(2.5), "wav", 2.5),
        (a_wav(1, rate=44_100, channels=2), "wav", 1),
        (a_wav(1, bits=8), "wav", 1),
        (an_mp3(50), "mp3", 1.306),
        (an_mp3(50, tag=b"artist"), "mp3", 1.306),
        (an_mp3(50) + b"TAG" + b"x" * 125, "mp3", 1.306),
        (an_ogg(3.5), "ogg", 3.5),
    ],
)
def test_the_format_and_the_length_are_read_from_the_content(
    content: bytes, audio_format: str, seconds: float
) -> None:
    audio = read_audio(content)
    assert audio.format == audio_format
    assert audio.seconds == pytest.approx(seconds, abs=0.001)


def test_a_wav_file_that_a_program_wrote_to_a_pipe_gets_its_real_length() -> None:
    """espeak-ng states 2 GB in both sizes, because it cannot know the length when it begins."""
    whole = a_wav(1)
    at = whole.index(b"data") + 4
    streamed = bytearray(whole)
    streamed[4:8] = struct.pack("<I", 0x7FFFF024)
    streamed[at : at + 4] = struct.pack("<I", 0x7FFFF000)
    audio = read_wav(bytes(streamed))
    assert audio.seconds == 1
    assert struct.unpack_from("<I", audio.content, 4)[0] == len(audio.content) - 8
    assert audio == read_wav(whole)


def test_the_facts_in_a_wav_file_about_its_maker_are_removed() -> None:
    assert b"LIST" in a_wav()
    assert b"LIST" not in read_wav(a_wav()).content


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "neither"),
        (b"<html>", "neither"),
        (b"\x7fELF" + bytes(100), "neither"),
        (b"RIFF\0\0\0\0AVI " + bytes(50), "not a WAV file"),
        (a_wav(0), "without sound"),
        (a_wav(1)[:30], "without sound"),
        (a_wav(1, code=85), "not plain WAV"),
        (a_wav(1, rate=96_000), "not plain WAV"),
        (a_wav(1, rate=4000), "not plain WAV"),
        (a_wav(1, channels=6), "not plain WAV"),
        (a_wav(1, bits=24), "not plain WAV"),
        (an_mp3(2), "damaged MP3"),
        (an_mp3(50) + b"<script>" * 1000, "other content"),
        (an_ogg(1, codec=b"OpusHead"), "without Vorbis"),
        (an_ogg(1, rate=0), "damaged OGG"),
        (an_ogg(0), "damaged OGG"),
        (bytes(MOST_AUDIO_BYTES + 1), "larger than 4 MB"),
    ],
)
def test_a_file_that_cannot_be_played_is_refused_with_the_reason(content: bytes, why: str) -> None:
    with pytest.raises(UnusableAudio, match=why):
        read_audio(content)


def test_the_digest_is_that_of_the_content() -> None:
    assert read_audio(an_mp3(50)).digest != read_audio(an_mp3(51)).digest
    assert len(read_audio(an_mp3(50)).digest) == 64


@given(st.sampled_from([a_wav(0.01), an_mp3(4), an_ogg(0.01)]), st.data())
def test_damaged_audio_is_read_or_refused_and_never_breaks_the_reader(
    whole: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    del damaged[data.draw(st.integers(0, len(damaged))) :]
    with suppress(UnusableAudio):
        assert read_audio(bytes(damaged)).seconds > 0
