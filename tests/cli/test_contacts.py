"""`elks-mcp contacts`, and what other commands say about the contacts."""

import json
from pathlib import Path

import pytest

from elks_mcp.store import StateLocation
from tests.support.command_cases import do, run_command
from tests.support.contact_files import card
from tests.support.process import invoke
from tests.support.provider import PHONE
from tests.support.stores import a_receipt, claim_new

TABLE = """\
namn;mobil;hemtelefon;grupp;alias;företag
Åsa;070-174 06 05;08-500 12 34;jour, natt;Pyret;Vårdcentralen
Bo;701740606;;jour;;
\u202eEva\x1b[2J;+4741234567;;;;
Karin;4,67E+10;;;;
Per;;;;;
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Have a table of contacts."""
    file = tmp_path / "people.csv"
    file.write_text(TABLE, "utf-8")
    return file


def test_contacts_are_listed_with_whole_numbers(file: Path) -> None:
    listed = invoke(["contacts", "list"], {"ELKS_CONTACTS": str(file)})
    assert (listed.exit_code, listed.stdout) == (
        0,
        (
            "Bo (@jour)\n  070-174 06 06  mobil\n"
            "Eva[2J\n  +47 41 23 45 67  mobil\n"
            "Karin\n  no phone number\n"
            "Per\n  no phone number\n"
            "Åsa (Pyret, Vårdcentralen, @jour, @natt)\n  070-174 06 05  mobil\n  08-500 12 34  hem\n"
        ),
    )


def test_the_people_of_a_group_are_listed(file: Path) -> None:
    environ = {"ELKS_CONTACTS": str(file)}
    for group in ("natt", "@Natt"):
        listed = invoke(["contacts", "list", "--group", group], environ)
        assert (listed.exit_code, listed.stdout.splitlines()[0].split()[0]) == (0, "Åsa")
        assert "Bo" not in listed.stdout
    missing = invoke(["contacts", "list", "--group", "dag"], environ)
    assert (missing.exit_code, missing.stdout) == (1, "The group dag is empty.\nGroups: jour, natt.\n")


def test_contacts_are_listed_as_json(file: Path) -> None:
    listed = invoke(["contacts", "list", "--group", "natt", "--json"], {"ELKS_CONTACTS": str(file)})
    assert json.loads(listed.stdout) == [
        {
            "name": "Åsa",
            "numbers": [
                {"number": "+46701740605", "label": "mobil", "mobile": True},
                {"number": "+4685001234", "label": "hem", "mobile": False},
            ],
            "aliases": ["Pyret"],
            "groups": ["jour", "natt"],
            "company": "Vårdcentralen",
        }
    ]


def test_the_check_lists_what_cannot_be_used_and_what_was_repaired(file: Path) -> None:
    checked = invoke(["contacts", "check"], {"ELKS_CONTACTS": str(file)})
    assert (checked.exit_code, checked.stdout) == (
        1,
        (
            "people.csv, row 5, mobil: A spreadsheet shortened the number, and digits are\n"
            "  lost. Format the column as text.\n"
            "people.csv, row 3, mobil: The leading 0 was missing, and was added.\n"
            "people.csv, row 6: It has no phone number.\n"
            "3 contacts with a number, 2 without; 2 groups. 1 problem, 1 repair.\n"
        ),
    )


def test_a_file_is_checked_before_it_is_configured(tmp_path: Path) -> None:
    (tmp_path / "a.vcf").write_text(card(), "utf-8")
    for place in (tmp_path / "a.vcf", tmp_path):
        checked = invoke(["contacts", "check", str(place)], {})
        assert checked.stdout == "1 contact with a number, 0 without; 0 groups. 0 problems, 0 repairs.\n"
        assert checked.exit_code == 0


def test_a_file_that_cannot_be_read_ends_a_command_with_2(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"0701740605\n")
    path = str(tmp_path / "a.csv")
    for words, environ in ((["check", path], {}), (["check"], {"ELKS_CONTACTS": path})):
        checked = invoke(["contacts", *words], environ)
        assert (checked.exit_code, checked.stdout) == (2, "")
        assert checked.stderr.startswith(f"elks-mcp: {path} cannot be read. The first row must name")
    for command in ("list", "check"):
        missing = invoke(["contacts", command], {"ELKS_CONTACTS": str(tmp_path / "none.csv")})
        assert (missing.exit_code, "none.csv cannot be read. No such file" in missing.stderr) == (2, True)
        unset = invoke(["contacts", command], {})
        assert (unset.exit_code, "Set ELKS_CONTACTS" in unset.stderr) == (2, True)


def test_a_value_that_cannot_be_a_path_is_unreadable() -> None:
    done = invoke(["contacts", "list"], {"ELKS_CONTACTS": "~nobody-by-that-name/x.csv"})
    assert done.exit_code == 2
    assert "ELKS_CONTACTS" in done.stderr
    assert "no user of this machine has that home directory" in done.stderr


# ── other commands ──


@pytest.mark.usefixtures("stand_in")
def test_the_doctor_reports_the_contacts_and_who_may_write_them(file: Path) -> None:
    file.chmod(0o600)
    file.parent.chmod(0o700)
    result = invoke(["doctor"], {"ELKS_SANDBOX": "true", "ELKS_CONTACTS": str(file)})
    assert f"  ok  ELKS_CONTACTS = {file}\n" in result.output
    assert f"  ok  Contacts are in {file}: 5 contacts, 2 groups, changed 20" in result.output
    assert ", 1 problem. Only the user who runs elks-mcp may write it.\n" in result.output
    assert "`elks-mcp contacts check`" in result.output
    assert result.exit_code == 0
    file.chmod(0o666)
    result = invoke(["doctor"], {"ELKS_SANDBOX": "true", "ELKS_CONTACTS": str(file)})
    assert f"warn  Contacts are in {file}: " in result.output
    assert "Everybody on this machine may write it." in result.output


@pytest.mark.usefixtures("stand_in")
def test_the_doctor_names_listed_recipients_that_match_no_contact(file: Path) -> None:
    with file.open("a", encoding="utf-8") as table:
        table.write("Bo;070-174 06 07;;;;\n")
    listed = 'Åsa, Öberg, @dag, @natt, Bo, Per, "Öberg, Åsa", +46701740605'
    environ = {"ELKS_SANDBOX": "true", "ELKS_CONTACTS": str(file), "ELKS_ALLOWED_RECIPIENTS": listed}
    result = " ".join(invoke(["doctor"], environ).output.split())
    for name, reason in (
        ("Öberg", "which matches no contact. Put a name that has a comma in quotation marks."),
        ("Öberg, Åsa", "which matches no contact."),
        ("@dag", "which has no contact with a number."),
        ("Bo", "which matches several contacts."),
        ("Per", "which matches a contact without a number."),
    ):
        assert f'warn ELKS_ALLOWED_RECIPIENTS lists "{name}", {reason}' in result
    assert result.count("ELKS_ALLOWED_RECIPIENTS lists") == 5


@pytest.mark.usefixtures("stand_in")
def test_the_doctor_fails_if_the_contacts_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "none.csv"
    result = invoke(["doctor"], {"ELKS_SANDBOX": "true", "ELKS_CONTACTS": str(path)})
    assert f"fail  {path}: The contacts in none.csv cannot be read. No such file" in result.output
    assert result.exit_code == 1


def test_forget_says_that_the_contacts_still_have_the_number(location: StateLocation, file: Path) -> None:
    claim = do(location, claim_new)
    do(location, lambda store: store.queue.settle_sent(claim, a_receipt()))
    said = f"Your contacts name this number: Åsa. Delete it in {file}, too.\n"
    done = run_command(location, "forget", PHONE.e164, "--yes", ELKS_CONTACTS=str(file))
    assert done.stdout.startswith(said)
    assert f"{PHONE.e164} was deleted from 1 order." in done.stdout
    done = run_command(location, "forget", PHONE.e164, ELKS_CONTACTS=str(file))
    assert (done.exit_code, done.stdout) == (0, f"{said}Nothing is stored about {PHONE.e164}.\n")
    other = run_command(location, "forget", "+46701740699", ELKS_CONTACTS=str(file))
    assert "contacts" not in other.stdout
    file.unlink()
    done = run_command(location, "forget", PHONE.e164, ELKS_CONTACTS=str(file))
    assert done.stdout.startswith(f"{file} cannot be read. No such file or directory. Your contacts were not")
    assert done.exit_code == 0
