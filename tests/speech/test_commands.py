"""The command that speaks is read without a shell."""

import pytest

from elks_mcp.speech.commands import UnreadableCommand, parse_speech_command


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("espeak-ng", ("espeak-ng", "-v", "sv", "--stdin", "--stdout")),
        (" espeak-ng:en-us ", ("espeak-ng", "-v", "en-us", "--stdin", "--stdout")),
        ("piper:/voices/sv voice.onnx", ("piper", "-m", "/voices/sv voice.onnx", "-f", "-")),
        ("/opt/say --voice 'Klara L'", ("/opt/say", "--voice", "Klara L")),
        ("say; rm -rf $HOME | tee `id` > x", ("say;", "rm", "-rf", "$HOME", "|", "tee", "`id`", ">", "x")),
    ],
)
def test_a_command_is_split_into_words_and_nothing_is_expanded(written: str, words: tuple[str, ...]) -> None:
    assert parse_speech_command(written) == words


@pytest.mark.parametrize("written", ["", "   ", "say 'Klara", "say \0"])
def test_a_command_that_cannot_be_read_is_refused(written: str) -> None:
    with pytest.raises(UnreadableCommand):
        parse_speech_command(written)
