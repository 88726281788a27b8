"""`elks-mcp batch plan`, `show`, `list` and `results`: nothing is sent by looking at a batch."""

import csv
import json
import re
import sys
from pathlib import Path

import pytest

from elks_mcp.store import StateLocation
from elks_mcp.store.my_number import store_my_number
from tests.support.batch_cases import MESSAGE, csv_of, number, write_workbook
from tests.support.command_cases import run_command
from tests.support.connecting import posted
from tests.support.stores import change_rows, read_rows
from tests.support.terminal import at_terminal
from tests.support.verb_cases import SimulatedElks


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Have a list of three, a landline and an empty cell, as Swedish Excel writes it."""
    file = tmp_path / "kunder.csv"
    lines = [csv_of(3), "Kim;08-500 12 34;8:30", "Eva;;8:30"]
    file.write_bytes("\n".join(lines).replace("\n", "\r\n").encode("cp1252"))
    return file


def in_one_line(text: str) -> str:
    """Return printed rows as one line."""
    return " ".join(text.split())


def plan(elks: SimulatedElks, file: Path, *options: str) -> str:
    """Plan a batch, and return its id."""
    batch_id: str = elks.ask_json("batch", "plan", str(file), "--message", MESSAGE, *options)["batchId"]
    return batch_id


def test_a_plan_shows_the_price_who_is_left_out_and_samples(elks: SimulatedElks, file: Path) -> None:
    result = elks.run_command("batch", "plan", str(file), "--message", MESSAGE, "--name", "Kallelse")
    assert (result.exit_code, result.stderr) == (0, "")
    shown = in_one_line(result.stdout)
    [batch_id] = re.findall(r"^Planned: (B-\w+), 3 texts to 3 recipients from", shown)
    assert "3 parts, 1.56 SEK. Nothing was sent." in shown
    assert 'row 6: "telefon": It is empty.' in shown
    assert "row 5: " in shown  # the landline
    assert 'The phone numbers are from "telefon".' in shown
    assert (
        "Row 2, to 070-174 06 06, 1 part:\n| Hej Åsa! Din tid är i morgon kl. 9:30. Välkommen!"
        in result.stdout
    )
    assert f"Next: `elks-mcp batch start {batch_id} " in shown
    assert posted(elks.box) == []


def test_a_workbook_and_a_text_from_standard_input_can_be_planned(
    elks: SimulatedElks, tmp_path: Path
) -> None:
    file = tmp_path / "kunder.xlsx"
    write_workbook(file, csv_of(2))
    result = elks.run_command(
        "batch", "plan", str(file), "--message-file", "-", typed="Hej {namn},\nvälkommen!\n"
    )
    assert result.exit_code == 0, result.stderr
    assert "| Hej Åsa,\n| välkommen!\n" in result.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "Give either --message or --message-file."),
        (("--message", "Hej", "--group", "jour"), "Give exactly one of FILE, --group and --rest-of."),
        (("--message", "Hej {stad}"), "The list has no column 'stad'."),
        (("--message", "Hej", "--at", "tomorrow"), "cannot be 'tomorrow'"),
        (("--message", "Hej", "--test-row", "2"), "Your own number is not stored yet"),
    ],
)
def test_contradictory_options_are_wrong_use(
    elks: SimulatedElks, file: Path, options: tuple[str, ...], said: str
) -> None:
    result = elks.run_command("batch", "plan", str(file), *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in in_one_line(result.stderr)
    assert elks.run_command("batch", "list").stdout.endswith(
        ("no order was ever placed there.\n", "no batches.\n")
    )


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("kunder.csv", b"", "It is empty."),
        ("kunder.xlsx", b"PK", "It is damaged."),
        ("kunder.pdf", b"x", "Its name does not end in one of .csv"),
        ("kunder.csv", b"a;b\nc;d\n", 'The file "kunder.csv" cannot be used.'),
    ],
)
def test_a_file_that_cannot_be_read_says_why(
    elks: SimulatedElks, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    result = elks.run_command("batch", "plan", str(tmp_path / name), "--message", "Hej")
    assert result.exit_code == 2
    assert said in in_one_line(result.stderr)


def test_a_group_of_contacts_can_be_texted_by_their_names(elks: SimulatedElks, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("namn;mobil;grupp\nÅsa;070-174 06 06;jour\nBo;070-174 06 07;kontor\n", "utf-8")
    result = elks.run_command(
        "batch", "plan", "--group", "@jour", "--message", "Hej {namn}!", ELKS_CONTACTS=str(people)
    )
    assert result.exit_code == 0, result.stderr
    assert "Row 1, to Åsa, 070-174 06 06, 1 part:\n| Hej Åsa!\n" in result.stdout
    none = elks.run_command("batch", "plan", "--group", "x", "--message", "Hej", ELKS_CONTACTS=str(people))
    assert (none.exit_code, 'No contact is in a group "@x".' in none.stderr) == (2, True)


def test_a_plan_in_which_no_text_can_be_sent_fails(elks: SimulatedElks, tmp_path: Path) -> None:
    (tmp_path / "kunder.csv").write_text("telefon\n08-500 12 34\n", "utf-8")
    result = elks.run_command("batch", "plan", str(tmp_path / "kunder.csv"), "--message", "Hej")
    assert result.exit_code == 1
    assert "has no text that can be sent" in in_one_line(result.stdout)


def test_p1_a_test_row_goes_only_to_the_person(elks: SimulatedElks, file: Path, tmp_path: Path) -> None:
    store_my_number(tmp_path / "state", number(40))
    result = elks.run_command("batch", "plan", str(file), "--message", MESSAGE, "--test-row", "3")
    assert result.exit_code == 0, result.stderr
    assert "Test of row 3, to the operator's own number: Sent" in in_one_line(result.stdout)
    assert [(each.to, each.text) for each in elks.box.accepted] == [
        (number(40), "Hej Bo! Din tid är i morgon kl. 10:30. Välkommen!")
    ]


def test_a_person_can_decline_the_test_and_keep_the_plan(
    elks: SimulatedElks, file: Path, tmp_path: Path
) -> None:
    store_my_number(tmp_path / "state", number(40))
    arguments = ("batch", "plan", str(file), "--message", MESSAGE, "--test-row", "3")
    with at_terminal(*arguments, environ=elks.environ) as terminal:
        terminal.read_until("Send it? [y/N]").type("n")
        assert terminal.finish() == 0
    assert "Test: row 3 was not sent. You declined" in terminal.shown
    assert "Planned: B-" in terminal.shown
    assert posted(elks.box) == []


def test_show_lists_every_recipient_and_text(elks: SimulatedElks, file: Path) -> None:
    batch_id = plan(elks, file)
    result = elks.run_command("batch", "show", batch_id.lower(), "--texts")
    assert result.exit_code == 0
    assert result.stdout.startswith("row 2  070-174 06 06  planned  1 part, 0.52 SEK\n")
    assert '\nrow 6  no number  left out  "telefon": It is empty.\n' in result.stdout
    assert result.stdout.count("\n| Hej ") == 3
    assert elks.ask_json("batch", "show", batch_id)["texts"] == 3
    assert elks.run_command("batch", "show", "B-22222222").exit_code == 1


def test_batches_are_listed_without_credentials(elks: SimulatedElks, file: Path) -> None:
    batch_id = plan(elks, file, "--name", "Kallelse")
    location = StateLocation(folder=Path(elks.environ["ELKS_STATE_DIR"]))
    listed = run_command(location, "batch", "list").stdout
    assert re.fullmatch(rf"{batch_id}  planned    3 texts, 1\.56 SEK, planned \S.+  Kallelse\n", listed)
    [as_json] = json.loads(run_command(location, "batch", "list", "--json").stdout)
    assert (as_json["batchId"], as_json["status"]) == (batch_id, "planned")


def test_results_are_csv_that_excel_opens_and_no_cell_is_a_formula(
    elks: SimulatedElks, tmp_path: Path
) -> None:
    (tmp_path / "kunder.csv").write_text("namn;telefon\n=1+1;070-174 06 06\nBo;08-500 12 34\n", "utf-8")
    batch_id = plan_and_start(elks, tmp_path / "kunder.csv")
    output = tmp_path / "resultat.csv"
    result = elks.run_command("batch", "results", batch_id, "--csv", "-o", str(output))
    assert (result.exit_code, result.stdout) == (0, "")
    assert sys.platform == "win32" or output.stat().st_mode & 0o777 == 0o600
    content = output.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    titles, sent, left_out = csv.reader(content.decode("utf-8-sig").splitlines(), delimiter=";")
    assert titles[:6] == ["row", "number", "contact", "state", "reason", "parts"]
    assert titles[-2:] == ["namn", "telefon"]
    assert (sent[:4], sent[-2]) == (["2", "'+46701740606", "", "sent"], "'=1+1")
    assert (left_out[0], left_out[3]) == ("3", "left out")
    assert elks.run_command("batch", "results", batch_id, "--csv").stdout_bytes == content
    again = elks.run_command("batch", "results", batch_id, "-o", str(output))
    assert (again.exit_code, "exists already" in again.stderr) == (2, True)
    rows = elks.ask_json("batch", "results", batch_id)["rows"]
    assert [(row["row"], row["state"]) for row in rows] == [(2, "sent"), (3, "left out")]
    assert rows[0]["cost"] == {"amount": 0.52, "currency": "SEK"}


def plan_and_start(elks: SimulatedElks, file: Path) -> str:
    """Plan a text to everybody in a list, send it, and return the batch's id."""
    batch_id: str = elks.ask_json("batch", "plan", str(file), "--message", "Hej {namn}!")["batchId"]
    assert elks.run_command("batch", "start", batch_id).exit_code in {0, 1}
    return batch_id


def test_the_rest_of_a_batch_is_planned_again(elks: SimulatedElks, file: Path) -> None:
    batch_id = plan(elks, file)
    elks.run_command("opt-outs", "add", number(2), "--reason", "by phone")
    assert elks.run_command("batch", "start", batch_id).exit_code == 1  # one text was not sent
    elks.run_command("opt-outs", "remove", number(2), "--reason", "by phone")
    result = elks.run_command("batch", "plan", "--rest-of", batch_id, "--message", "Hej {namn}!")
    assert result.exit_code == 0, result.stderr
    assert "1 text to 1 recipient" in result.stdout
    assert "Row 3, to 070-174 06 07" in result.stdout


def test_the_rest_of_a_batch_of_another_caller_is_planned_for_that_caller(
    elks: SimulatedElks, file: Path
) -> None:
    batch_id = plan(elks, file)
    location = StateLocation(folder=Path(elks.environ["ELKS_STATE_DIR"]))
    change_rows(location, "update batches set caller = 'butiken'")
    elks.run_command("opt-outs", "add", number(2), "--reason", "by phone")
    assert elks.run_command("batch", "start", batch_id).exit_code == 1  # one text was not sent
    elks.run_command("opt-outs", "remove", number(2), "--reason", "by phone")
    rest = "batch", "plan", "--rest-of", batch_id, "--message", "Hej {namn}!"
    first, second = (elks.ask_json(*rest)["batchId"] for _ in range(2))
    assert elks.run_command("batch", "start", first).exit_code == 0
    elks.run_command("batch", "start", second)
    assert [form["to"] for form in posted(elks.box)].count(number(2)) == 1
    assert set(read_rows(location, "select caller from batches")) == {("butiken",)}


def test_a_batch_of_another_caller_can_be_seen(elks: SimulatedElks, file: Path) -> None:
    batch_id = plan(elks, file)
    location = StateLocation(folder=Path(elks.environ["ELKS_STATE_DIR"]))
    change_rows(location, "update batches set caller = 'butiken'")
    assert elks.run_command("batch", "show", batch_id).exit_code == 0


def test_a_number_in_any_cell_of_a_plan_is_exported_and_forgotten(
    elks: SimulatedElks, tmp_path: Path
) -> None:
    file, location = tmp_path / "kunder.csv", StateLocation(folder=Path(elks.environ["ELKS_STATE_DIR"]))
    lines = (
        "Bo;070-174 06 06;Ring Åsa, 070-174 06 40",
        "Åsa;070-174 06 40, eller 08-12;",
        "Kim;070-174 06 07;",
    )
    file.write_text("\n".join(["namn;telefon;not", *lines]), "utf-8")
    plan_and_start(elks, file)
    elks.ask_json("batch", "plan", str(file), "--message", "Hej igen, {namn}!")
    [account] = json.loads(elks.run_command("export", number(35)).stdout)["accounts"]
    first, second = account["batches"][:2]
    assert (first["row"], first["fields"]["namn"], second["row"]) == (2, "Bo", 3)
    assert "reason" in second
    assert account["batches"][2]["text"] == "Hej igen, Bo!"
    result = elks.run_command("forget", number(35), "--yes")
    assert "Deleted with the number: 1 plan of a batch that was not started." in result.stdout
    kept = str(read_rows(location, "SELECT plan FROM batches"))
    assert ("06 40" in kept, "06 06" in kept) == (False, True)
