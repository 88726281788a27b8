"""`elks-mcp opt-outs`, through the real command: numbers that get no texts because a person recorded it."""

import json
from pathlib import Path

import anyio
import pytest
from click.testing import Result

from tests.support.clocks import ManualClock
from tests.support.connecting import PHONE, box_on, call, connected, data, live, posted, words
from tests.support.process import invoke
from tests.support.stores import files_with

OTHER = "+46701740606"
THIRD = "+46701740607"


def run_command(folder: Path, *arguments: str) -> Result:
    """Run the command in this process, on a state directory."""
    return invoke(arguments, {"ELKS_STATE_DIR": str(folder)})


def send(folder: Path, *numbers: str) -> list[str]:
    """Send a text to each of these numbers by the real tools; return the answers as text."""
    clock = ManualClock()
    box = box_on(clock)

    async def play() -> list[str]:
        async with connected(live(box, ELKS_STATE_DIR=str(folder)), box=box, clock=clock) as client:
            answers = [await call(client, "send_sms", to=number, message="Hej") for number in numbers]
        assert len(posted(box)) == sum(not answer.is_error for answer in answers)
        return [words(answer) for answer in answers]

    return anyio.run(play)


def test_p6_an_opt_out_that_a_person_recorded_applies_until_a_person_removes_it(
    tmp_path: Path,
) -> None:
    added = run_command(
        tmp_path, "opt-outs", "add", "070-174", "06", "05", "--reason", "she told me at the till"
    )
    assert (added.exit_code, added.output) == (0, f"{PHONE} has opted out and gets no more texts.\n")
    [refused] = send(tmp_path, PHONE)
    assert "Refused by opted_out: The recipient opted out on" in refused
    assert '(recorded by a person: "she told me at the till").' in refused
    listed = run_command(tmp_path, "opt-outs")
    assert listed.output.startswith("+4670*****05  opted out, by a person, ")
    assert "she told me at the till" in listed.output
    removed = run_command(tmp_path, "opt-outs", "remove", PHONE, "--reason", "it was her sister")
    assert (removed.exit_code, "may be texted again" in removed.output) == (0, True)
    listed = run_command(tmp_path, "opt-outs", "list")
    assert "may be texted again, by a person," in listed.output
    assert "it was her sister" in listed.output
    assert send(tmp_path, PHONE)[0].startswith("Sent: ")


def test_a_removal_needs_a_reason_and_a_number_that_opted_out(tmp_path: Path) -> None:
    run_command(tmp_path, "opt-outs", "add", PHONE)
    assert run_command(tmp_path, "opt-outs", "remove", PHONE).exit_code == 2
    blank = run_command(tmp_path, "opt-outs", "remove", PHONE, "--reason", "  ")
    assert (blank.exit_code, "The reason is empty." in blank.stderr) == (2, True)
    other = run_command(tmp_path, "opt-outs", "remove", OTHER, "--reason", "x")
    assert (other.exit_code, other.output) == (1, f"{OTHER} has not opted out. Nothing was changed.\n")
    assert "opted_out" in send(tmp_path, PHONE)[0]
    again = run_command(tmp_path, "opt-outs", "add", PHONE, "--reason", "x")
    assert again.output == f"{PHONE} had already opted out. Nothing was changed.\n"


def test_showing_opt_outs_creates_no_state(tmp_path: Path) -> None:
    folder = tmp_path / "none"
    assert "no order was ever placed there" in run_command(folder, "opt-outs", "list").output
    assert run_command(folder, "opt-outs", "remove", PHONE, "--reason", "x").exit_code == 1
    assert run_command(folder, "opt-outs", "add", "hello").exit_code == 2
    assert not folder.exists()
    in_memory = invoke(["opt-outs", "add", PHONE], {"ELKS_SANDBOX": "true"})
    assert (in_memory.exit_code, "in the memory of the server" in in_memory.stderr) == (1, True)


@pytest.mark.parametrize(
    "content",
    [
        b"070-174 06 05\r\n+46701740606\r\n",
        "\ufeff+46701740605;Åsa;hej\n+46701740606;Bo\n".encode(),
        b'number,name\n0701740605,A\n\n"+46701740606","B, C"\n',
        "Nummer\tNamn\n0701740605\tÅsa\n0046701740606\tBo\n".encode("cp1252"),
        "Nummer\tNamn\n0701740605\tÅsa\n0046701740606\tBo\n".encode("mac-roman"),
        b"+46701740605\n+46701740606\n0701740605",
        "Nummer\tNamn\r\n0701740605\tÅsa\r\n0046701740606\tBo\r\n".encode("utf-16"),
        b"\xfe\xff" + "0701740605\n0701740606\n".encode("utf-16-be"),
    ],
)
def test_a_list_of_opt_outs_is_read_in_any_common_form(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "list.csv"
    file.write_bytes(content)
    done = run_command(tmp_path / "state", "opt-outs", "import", str(file))
    assert done.exit_code == 0, done.output
    assert "2 numbers recorded as opted out; 0 had already opted out." in done.output
    refused = send(tmp_path / "state", PHONE, OTHER, THIRD)
    assert ["opted_out" in each for each in refused] == [True, True, False]
    assert '"imported from list.csv"' in refused[0]


def test_lines_of_a_list_that_cannot_be_used_are_named_and_the_others_are_recorded(
    tmp_path: Path,
) -> None:
    file = tmp_path / "list.txt"
    file.write_text("0701740605\nÅsa\n4,67E+10\n46701740606\n\n070-174 06 07 ring först\n+46701740606\n")
    done = run_command(tmp_path / "state", "opt-outs", "import", str(file), "--reason", "from the old system")
    assert done.exit_code == 1
    named = [line.split(":")[0] for line in done.stderr.splitlines()]
    assert named == ["Line 2", "Line 3", "Line 4", "Line 6"]
    assert "can be read as" in done.stderr
    assert "2 numbers recorded as opted out; 0 had already opted out." in done.stdout
    assert "4 lines could not be used" in done.stdout
    assert ["opted_out" in each for each in send(tmp_path / "state", PHONE, OTHER)] == [True, True]


def test_an_empty_list_or_one_with_only_headings_records_nothing(tmp_path: Path) -> None:
    for content in ("", "\n\n", "number\n"):
        file = tmp_path / "list.txt"
        file.write_text(content)
        done = run_command(tmp_path / "state", "opt-outs", "import", str(file))
        assert (done.exit_code, done.output.endswith("0 had already opted out.\n")) == (0, True)
    assert not (tmp_path / "state").exists()


def test_an_opt_out_is_exported_and_survives_that_its_number_is_forgotten(tmp_path: Path) -> None:
    run_command(tmp_path, "opt-outs", "add", PHONE, "--reason", "Annas syster")
    exported = json.loads(run_command(tmp_path, "export", PHONE).stdout)
    assert (exported["opt_out"]["opted_out"], exported["opt_out"]["reason"]) == (True, "Annas syster")
    forgotten = run_command(tmp_path, "forget", PHONE, "--yes")
    assert "The number opted out. The opt-out stays" in forgotten.output
    assert files_with(tmp_path, "Annas") == []
    assert "(number not stored)  opted out" in run_command(tmp_path, "opt-outs").output
    assert "opted_out" in send(tmp_path, PHONE)[0]


@pytest.mark.anyio
async def test_no_tool_removes_an_opt_out() -> None:
    clock = ManualClock()
    box = box_on(clock)
    async with connected(live(box), box=box, clock=clock) as client:
        tools = (await client.list_tools()).tools
        answer = data(await call(client, "explain_policy"))
    named = {word for tool in tools for word in (tool.name, *tool.input_schema["properties"])}
    assert not {word for word in named if "opt" in word.lower() and "option" not in word.lower()}
    assert "elks-mcp opt-outs" not in str(answer)


def test_a_list_in_utf_16_without_its_mark_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_bytes("0701740605\n0701740606\n".encode("utf-16-le"))
    done = run_command(tmp_path / "state", "opt-outs", "import", str(file))
    assert (done.exit_code, done.stdout) == (2, "")
    assert "list.csv cannot be read: it is not UTF-8; save it as UTF-8." in done.stderr
