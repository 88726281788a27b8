"""docs/calls.md and docs/mms.md: their commands are run, and the output compared."""

import re
import shlex
from datetime import timedelta
from pathlib import Path

import pytest

from elks_mcp.settings import load
from tests.images.drawing import draw, draw_with_secrets
from tests.support.call_cases import POLLED, called
from tests.support.verb_cases import SimulatedElks

DOCS = Path(__file__).parents[2] / "docs"
PHONE = "+46701740605"
CALLING = {name: value for name, value in POLLED.items() if name != "ELKS_TOOLSETS"}


def read_blocks(page: str) -> list[tuple[list[str], str]]:
    """Return the commands of a page, each with what it prints."""
    text = (DOCS / page).read_text("utf-8")
    assert text.endswith((".\n", "|\n"))
    found = re.findall(
        r"^```sh\nelks-mcp ([^\n]+)\n```\n\n```text\n(.*?)\n```$", text, re.MULTILINE | re.DOTALL
    )
    assert len(found) == text.count("```sh\n"), "each command has its output"
    return [(shlex.split(command), printed) for command, printed in found]


def plain(text: str) -> str:
    """Return a text in one line, without what differs between runs."""
    text = re.sub(r"\b([cm])[0-9a-f]{32}", r"\1…", text)
    text = re.sub(r"\bO-[0-9A-Z]{8}\b", "O-…", text)
    return " ".join(re.sub(r"SHA-256\s+[0-9a-f]{8}…", "SHA-256 …", text).split())


def test_the_commands_on_the_page_about_calls_print_what_it_says(
    elks: SimulatedElks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = elks.box.clock.now()
    made = elks.box.calls.add_history(now, direction="incoming", sender=PHONE, to=elks.box.number)
    exchange = elks.box.calls._simulation.exchange
    exchange.recorder.add(made, "https://example.com", now - timedelta(seconds=100), now)
    monkeypatch.chdir(tmp_path)
    blocks = read_blocks("calls.md")
    assert [command[0] for command, _ in blocks] == ["call", "calls", "recording"]
    for command, printed in blocks:
        words = [made.recordings[0] if word.startswith("c0") else word for word in command]
        result = elks.run_command(*words, **CALLING)
        assert result.exit_code == 0, result.output
        assert plain(result.output) == plain(printed)
    assert (tmp_path / "call.wav").read_bytes()[:4] == b"RIFF"
    assert not called(elks.box)


def test_the_commands_on_the_page_about_pictures_print_what_it_says(
    elks: SimulatedElks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cat.jpg").write_bytes(draw_with_secrets("JPEG"))
    received = elks.box.receive(PHONE, "Är det här dörren?", pictures=[draw("PNG")])
    monkeypatch.chdir(tmp_path)
    blocks = read_blocks("mms.md")
    assert [command[0] for command, _ in blocks] == ["send-mms", "send-mms", "inbox", "image"]
    for command, printed in blocks:
        words = [received.id if word.startswith("m0") else word for word in command]
        result = elks.run_command(*words, ELKS_TOOLSETS="all", ELKS_MMS_PRICE="1.25")
        assert result.exit_code == 0, result.output
        assert plain(result.output).startswith(plain(printed))
    assert (tmp_path / "door.jpg").read_bytes() == received.pictures[0].content
    assert [message.text for message in elks.box.accepted] == ["Så här blev den!"]


def test_the_settings_on_the_page_about_pictures_can_be_read() -> None:
    [block] = re.findall(
        r"^```\n(ELKS_.*?)^```$", (DOCS / "mms.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    environ = dict(line.split("=", 1) for line in block.splitlines())
    assert set(environ) == {"ELKS_TOOLSETS", "ELKS_FILES_DIR", "ELKS_MMS_PRICE"}
    assert not load(environ).faults


def test_without_the_toolset_a_picture_is_said_to_be_on_46elks_com(elks: SimulatedElks) -> None:
    elks.box.rules.mms_in_sms_history = True
    elks.box.receive(PHONE, "", pictures=[draw("PNG")])
    shown = elks.run_command("inbox", ELKS_TOOLSETS="sms,inbox")
    assert "(a picture message, which is on 46elks.com)" in shown.output
