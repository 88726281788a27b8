"""`elks-mcp send-mms` and `image`, with a simulated 46elks behind a real server."""

import json
import re
from pathlib import Path

import pytest

from tests.images.drawing import draw, draw_with_secrets, open_result
from tests.support.connecting import posted
from tests.support.verb_cases import SimulatedElks

PHONE, NATIONAL = "+46701740605", "070-174 06 05"
PRICED = {"ELKS_MMS_PRICE": "1.25"}
READS = {"ELKS_TOOLSETS": "all"}


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    file = tmp_path / "cat.jpg"
    file.write_bytes(draw_with_secrets("JPEG"))
    return file


def test_a_picture_of_any_directory_is_sent_without_what_it_hides(elks: SimulatedElks, cat: Path) -> None:
    result = elks.run_command("send-mms", NATIONAL, str(cat), "Titta!", **PRICED)
    assert (result.exit_code, result.stderr) == (0, "")
    [message] = elks.box.accepted
    assert (message.to, message.text, len(message.pictures)) == (PHONE, "Titta!", 1)
    assert b"SECRET" not in message.pictures[0].content
    assert result.stdout.startswith("Sent: 46elks accepted it.")
    assert re.search(
        r"^  cost   1\.25 SEK, an MMS with a picture \(60 × 40 pixels", result.stdout, re.MULTILINE
    )


def test_the_answer_as_json_has_the_facts_of_the_picture(elks: SimulatedElks, cat: Path) -> None:
    answer = elks.ask_json("send-mms", PHONE, str(cat), "--dry-run", **PRICED)
    assert (answer["status"], answer["price"]["amount"]) == ("dry_run", 1.25)
    assert answer["picture"]["width"] == 60
    assert posted(elks.box) == []


@pytest.mark.parametrize(
    ("content", "said"), [(b"text", "not a PNG, JPEG or GIF"), (None, "cannot be read: No such file")]
)
def test_a_file_that_cannot_be_sent_is_refused_in_a_sentence(
    elks: SimulatedElks, tmp_path: Path, content: bytes | None, said: str
) -> None:
    file = tmp_path / "cat.png"
    if content is not None:
        file.write_bytes(content)
    result = elks.run_command("send-mms", PHONE, str(file), **PRICED)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert elks.box.accepted == []


def test_without_a_price_nothing_is_sent(elks: SimulatedElks, cat: Path) -> None:
    result = elks.run_command("send-mms", PHONE, str(cat))
    assert result.exit_code == 2
    assert "ELKS_MMS_PRICE" in result.stderr
    assert elks.box.accepted == []


def test_a_picture_that_came_in_is_saved_as_it_is(elks: SimulatedElks, tmp_path: Path) -> None:
    content, out = draw("PNG"), tmp_path / "door.png"
    message = elks.box.receive(PHONE, "", pictures=[content])
    result = elks.run_command("image", message.id, "--out", str(out), **READS)
    assert result.exit_code == 0, result.output
    assert open_result(out.read_bytes()).size == (60, 40)
    assert out.read_bytes() == content
    again = elks.run_command("image", message.id, "--out", str(out), **READS)
    assert (again.exit_code, "cannot be written" in again.stderr) == (2, True)
    off = elks.run_command("image", message.id, "--out", str(tmp_path / "other.png"))
    assert (off.exit_code, "toolset mms" in off.stderr) == (2, True)
    listed = json.loads(elks.run_command("inbox", "--json", **READS).stdout)
    assert [(each["id"], each["kind"]) for each in listed["messages"]] == [(message.id, "mms")]


@pytest.mark.parametrize(("more", "is_noted"), [({}, False), (READS, True), ({**READS, **PRICED}, False)])
def test_the_doctor_says_that_no_price_is_set_if_the_toolset_is_on(
    elks: SimulatedElks, more: dict[str, str], is_noted: bool
) -> None:
    result = elks.run_command("doctor", **more)
    assert ("ELKS_MMS_PRICE is not set" in result.stdout) is is_noted
    assert "needs pillow" not in result.stdout
