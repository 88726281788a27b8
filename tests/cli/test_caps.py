"""`elks-mcp cap`: the limit of a subaccount, which 46elks itself enforces."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result

from elks_mcp.sandbox import Fault, Sandbox
from elks_mcp.sandbox.subaccounts import SandboxSubaccount
from tests.support.connecting import PHONE, new_box, posted
from tests.support.process import PLAIN, PROGRAM, invoke
from tests.support.terminal import at_terminal
from tests.support.verb_cases import SimulatedElks, mode_of, simulated_elks

PASSWORD = "canary-password"
KRONOR = 10_000
OTHER_SETTINGS = ("ELKS_API_BASE_URL", "ELKS_STATE_DIR", "ELKS_PHONE_NUMBER", "DRY_RUN", "ELKS_GUARDS_OFF")


class Operator:
    """An operator with an env file, beside a simulated 46elks."""

    def __init__(self, folder: Path, elks: SimulatedElks) -> None:
        self.elks, self.box = elks, elks.box
        self.environ = {name: elks.environ[name] for name in OTHER_SETTINGS}
        self.file = folder / "elks.env"
        self.file.write_text(
            f"# ours\nexport ELKS_API_USERNAME='{self.box.username}'  # from 46elks.com\n"
            f"ELKS_BUDGET_PER_DAY=20\nELKS_API_PASSWORD={self.box.password}\n",
            encoding="utf-8",
        )
        self.file.chmod(0o644)

    def run(self, *arguments: str, typed: str = "", **environ: str) -> Result:
        """Run a command with the env file."""
        return invoke((*arguments, "--env-file", str(self.file)), self.environ | environ, typed)

    def read_file(self) -> dict[str, str]:
        """Return the variables in the env file."""
        lines = [line.removeprefix("export ") for line in self.file.read_text("utf-8").splitlines()]
        return dict(line.split("=", 1) for line in lines if "=" in line)

    @property
    def capped(self) -> SandboxSubaccount:
        """The only subaccount."""
        (found,) = self.box.subaccounts
        return found


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    box = Sandbox(clock=new_box().clock, password=PASSWORD)
    box.receive(PHONE, "Hej")
    with simulated_elks(tmp_path, box) as served:
        yield Operator(tmp_path, served)


def plain(result: Result) -> str:
    """Return all that was printed, as one line."""
    return " ".join(result.output.split())


# ── set ──


def test_a_cap_is_made_checked_and_written_for_the_server(operator: Operator) -> None:
    result = operator.run("cap", "set", "100", typed="y\n")
    assert result.exit_code == 0, result.output
    capped = operator.capped
    assert (capped.name, capped.usage_limit) == ("elks-mcp", 100 * KRONOR)
    assert operator.read_file() == {
        "ELKS_API_USERNAME": capped.id,
        "ELKS_API_PASSWORD": capped.secret,
        "ELKS_ACCOUNT": operator.box.username,
        "ELKS_BUDGET_PER_DAY": "20",
    }
    assert operator.file.read_text("utf-8").startswith("# ours\nexport ELKS_API_USERNAME=")
    backup = operator.file.with_name("elks.env.before-elks-mcp")
    assert PASSWORD in backup.read_text("utf-8")
    assert (mode_of(operator.file), mode_of(backup)) == (0o600, 0o600)
    said = plain(result)
    assert f"Made the subaccount {capped.id} (elks-mcp)." in said
    assert "46elks itself stops at 100.00 SEK. 0.00 SEK is used, 100.00 SEK is left." in said
    assert "The subaccount sees the texts that the account receives." in said
    assert "Not verified: that 46elks really refuses at the limit" in said
    assert "delete it when the server works" in said
    assert not any(secret in said for secret in (PASSWORD, capped.secret))
    assert posted(operator.box) == [], "nothing was sent"


def test_the_server_then_sends_with_the_cap_and_the_same_budget(operator: Operator) -> None:
    before = operator.run("send", PHONE, "Hej", "--yes")
    assert before.exit_code == 0, before.output
    assert operator.run("cap", "set", "0.60", "--yes").exit_code == 0
    assert operator.run("send", PHONE, "Hej", "--yes").exit_code == 0
    assert len(posted(operator.box)) == 1, "the order of the account is known"
    assert operator.run("send", PHONE, "Kommer du?", "--yes").exit_code == 0
    assert operator.capped.used == 5_200
    shown = operator.run("cap", "show")
    assert "46elks itself stops at 0.60 SEK. 0.52 SEK is used, 0.08 SEK is left." in shown.output


def test_declining_changes_nothing(operator: Operator) -> None:
    before = operator.file.read_bytes()
    result = operator.run("cap", "set", "100", typed="n\n")
    assert result.exit_code == 1
    assert "Nothing was changed." in result.output
    assert (len(operator.box.subaccounts), operator.file.read_bytes()) == (0, before)


def test_without_a_file_the_credentials_are_printed(operator: Operator) -> None:
    result = operator.elks.run_command("cap", "set", "100", "--yes")
    assert result.exit_code == 0, result.output
    capped = operator.capped
    assert f"\nELKS_API_USERNAME={capped.id}\nELKS_API_PASSWORD={capped.secret}\n" in result.stdout
    assert f"ELKS_ACCOUNT={operator.box.username}" in result.stdout


def test_a_second_time_only_the_limit_changes_and_the_account_is_asked_for(operator: Operator) -> None:
    operator.run("cap", "set", "100", "--yes")
    operator.box.subaccounts.charge(operator.capped.id, 37 * KRONOR)
    written = operator.file.read_bytes()
    result = operator.run("cap", "set", "100", "--monthly", "--yes", typed=f"{PASSWORD}\n")
    assert result.exit_code == 0, result.output
    assert operator.capped.usage_limit == 137 * KRONOR
    said = plain(result)
    assert "46elks itself stops at 137.00 SEK. 37.00 SEK is used, 100.00 SEK is left." in said
    assert "On the 1st, run this again" in said
    assert operator.file.read_bytes() == written
    assert PASSWORD not in operator.file.read_text("utf-8") + result.output


@pytest.mark.parametrize("at_creation", [True, False])
def test_a_limit_that_46elks_does_not_take_at_the_creation_is_set_afterwards(
    operator: Operator, *, at_creation: bool
) -> None:
    operator.box.rules.usage_limit_at_creation = at_creation
    assert operator.run("cap", "set", "100", "--yes").exit_code == 0
    assert operator.capped.usage_limit == 100 * KRONOR


# ── who may ──


def test_a_wrong_password_changes_nothing_and_is_not_repeated(operator: Operator) -> None:
    operator.run("cap", "set", "100", "--yes")
    result = operator.run("cap", "set", "200", "--yes", typed="wrong-canary\n")
    assert result.exit_code == 2
    assert "46elks does not accept the credentials of the account. Nothing was changed." in plain(result)
    assert "wrong-canary" not in result.output
    assert operator.capped.usage_limit == 100 * KRONOR


@pytest.mark.parametrize("typed", ["", "\n"])
def test_without_a_password_nothing_is_asked_of_46elks(operator: Operator, typed: str) -> None:
    operator.run("cap", "set", "100", "--yes")
    asked = len(operator.box.requests)
    result = operator.run("cap", "stop", typed=typed)
    assert result.exit_code == 2
    assert "The credentials of the account were not given." in plain(result)
    assert len(operator.box.requests) == asked


def test_the_credentials_of_the_subaccount_cannot_lift_its_own_limit(operator: Operator) -> None:
    operator.run("cap", "set", "100", "--yes")
    capped = operator.capped
    credentials = {"ELKS_API_USERNAME": capped.id, "ELKS_API_PASSWORD": capped.secret}
    environ = operator.environ | credentials
    operator.environ, operator.file = environ, operator.file.with_name("empty.env")
    operator.file.write_text("", encoding="utf-8")
    result = operator.run("cap", "lift", "--yes", typed=f"{capped.id}\n{capped.secret}\n")
    assert result.exit_code == 2
    assert "That is the username of a subaccount" in plain(result)
    assert capped.usage_limit == 100 * KRONOR


def test_a_person_types_the_password_where_it_is_not_shown(operator: Operator) -> None:
    operator.run("cap", "set", "100", "--yes")
    environ = operator.environ | {"ELKS_STATE_DIR": operator.environ["ELKS_STATE_DIR"]}
    with at_terminal("cap", "stop", "--env-file", str(operator.file), environ=environ) as terminal:
        terminal.read_until("it is not shown, and not stored").type(PASSWORD)
        assert terminal.finish() == 0
        assert PASSWORD not in terminal.shown
    assert operator.capped.usage_limit == 1


# ── show, stop, lift ──


def test_stop_sets_the_limit_to_what_is_used_and_the_next_text_is_refused(operator: Operator) -> None:
    operator.run("cap", "set", "100", "--yes")
    operator.run("send", PHONE, "Hej", "--yes")
    result = operator.run("cap", "stop", typed=f"{PASSWORD}\n")
    assert result.exit_code == 0, result.output
    assert operator.capped.usage_limit == operator.capped.used == 5_200
    assert "46elks itself refuses everything that costs: the limit of 0.52 SEK is used up" in plain(result)
    sent = len(operator.box.accepted)
    operator.run("send", PHONE, "Kommer du?", "--yes")
    assert len(operator.box.accepted) == sent


@pytest.mark.parametrize("used", [0, 5_200])
@pytest.mark.parametrize("undo", ["lift --yes", "set 100 --monthly --yes"])
def test_after_stop_the_doctor_says_how_to_go_on_and_that_lets_texts_out_again(
    operator: Operator, stand_in: Path, undo: str, used: int
) -> None:
    operator.run("cap", "set", "100", "--yes")
    operator.box.subaccounts.charge(operator.capped.id, used)
    assert operator.run("cap", "stop", typed=f"{PASSWORD}\n").exit_code == 0
    code, said = examined(operator)
    assert code == 1
    assert "fail 46elks itself refuses everything that costs: the limit of 0." in said
    assert "So no text and no call leaves. To raise the cap: `" in said
    assert "cap lift" in said
    stopped = operator.run("send", PHONE, "Hej", "--yes")
    assert (stopped.exit_code, operator.box.accepted) == (3, []), stopped.output
    undone = operator.run("cap", *undo.split(), typed=f"{PASSWORD}\n")
    assert undone.exit_code == 0, undone.output
    assert "refuses everything" not in examined(operator)[1]
    operator.run("outbox", "resume")
    assert operator.run("send", PHONE, "Kommer du?", "--yes").exit_code == 0
    assert len(operator.box.accepted) == 1


def test_lift_removes_the_limit_after_a_question(operator: Operator) -> None:
    operator.run("cap", "set", "100", "--yes")
    assert operator.run("cap", "lift", typed=f"{PASSWORD}\nn\n").exit_code == 1
    assert operator.capped.usage_limit == 100 * KRONOR
    result = operator.run("cap", "lift", typed=f"{PASSWORD}\ny\n")
    assert result.exit_code == 0, result.output
    assert "46elks itself caps nothing: the subaccount has no limit." in plain(result)
    assert operator.capped.usage_limit is None


def test_show_says_that_nothing_is_capped_and_lists_all_subaccounts(operator: Operator) -> None:
    other = operator.box.subaccounts.add("Butiken", operator.box.clock.now())
    result = operator.run("cap", "show")
    assert result.exit_code == 0
    assert f"{other.id} (Butiken): 46elks itself caps nothing" in plain(result)
    assert "the server does not use the credentials of a subaccount" in plain(result)


def test_show_says_when_46elks_does_not_let_the_subaccount_read_its_limit(operator: Operator) -> None:
    operator.run("cap", "set", "100", "--yes")
    operator.box.rules.subaccounts_read_themselves = False
    result = operator.run("cap", "show")
    assert result.exit_code == 1
    assert "46elks does not let the subaccount read its own limit." in plain(result)
    assert "cap show --main" in plain(result)
    asked = operator.run("cap", "show", "--main", typed=f"{PASSWORD}\n")
    assert "46elks itself stops at 100.00 SEK." in plain(asked)


@pytest.mark.parametrize("command", [["stop"], ["lift", "--yes"]])
def test_without_a_subaccount_there_is_nothing_to_stop(operator: Operator, command: list[str]) -> None:
    result = operator.run("cap", *command)
    assert result.exit_code == 1
    assert "has no subaccount for this server" in plain(result)


# ── what is not known of a subaccount ──

SWITCHES = {
    "subaccounts_use_numbers": (1, "46elks does not let the subaccount send from"),
    "subaccounts_see_everything": (1, "so STOP and replies would not be noticed"),
    "subaccounts_read_account": (0, "The subaccount cannot read the balance"),
    "subaccounts_read_themselves": (0, "The subaccount cannot read its own limit, nor can `doctor`"),
}


@pytest.mark.parametrize("switch", SWITCHES)
def test_credentials_with_which_the_server_would_work_worse_are_not_handed_over(
    operator: Operator, switch: str
) -> None:
    code, said = SWITCHES[switch]
    setattr(operator.box.rules, switch, False)
    before = operator.file.read_bytes()
    result = operator.run("cap", "set", "100", "--yes")
    assert (result.exit_code, said in plain(result)) == (code, True), result.output
    assert (operator.file.read_bytes() == before) is bool(code)
    if code:
        assert f"The subaccount {operator.capped.id} stays, with its limit." in plain(result)
        setattr(operator.box.rules, switch, True)
        assert operator.run("cap", "set", "100", "--yes").exit_code == 0
        assert len(operator.box.subaccounts) == 1, "it is used again"


def test_a_server_with_webhooks_need_not_see_what_the_account_receives(operator: Operator) -> None:
    operator.box.rules.subaccounts_see_everything = False
    result = operator.run("cap", "set", "100", "--yes", ELKS_PUBLIC_URL="https://sms.example.com")
    assert result.exit_code == 0, result.output
    assert "STOP and replies reach this server only by webhook" in plain(result)


def test_an_account_that_received_nothing_leaves_that_unverified(operator: Operator) -> None:
    operator.box._simulation.network.log.clear()
    result = operator.run("cap", "set", "100", "--yes")
    assert result.exit_code == 0
    assert "Not verified: that the subaccount sees received texts" in plain(result)


# ── at the limit ──


@pytest.mark.parametrize("line", ["Usage limit reached", "Sorry"])
def test_at_the_limit_the_user_is_told_which_cap_it_is_and_whose(operator: Operator, line: str) -> None:
    operator.run("cap", "set", "0.60", "--yes")
    operator.box.rules.limit_refusal = line
    assert operator.run("send", PHONE, "Hej", "--yes").exit_code == 0
    said = json.loads(operator.run("send", PHONE, "Kommer du?", "--yes", "--json").stdout)
    told = said.get("summary") or f"{said['message']} {said['hint']}"
    assert f'"{line}"' in told
    assert "the limit of this server's subaccount" in told
    assert len(operator.box.accepted) == 1
    assert operator.capped.used == 5_200


# ── what can go wrong ──


@pytest.mark.parametrize(
    ("fault", "said"),
    [(Fault.CONNECTION_REFUSED, "cut"), (Fault.ERROR_BEFORE, "46elks failed with status 500")],
)
def test_without_46elks_nothing_is_changed(operator: Operator, fault: Fault, said: str) -> None:
    operator.box.faults.inject(fault, times=None)
    before = operator.file.read_bytes()
    result = operator.run("cap", "set", "100", "--yes")
    assert (result.exit_code, said in plain(result)) == (1, True), result.output
    assert (len(operator.box.subaccounts), operator.file.read_bytes()) == (0, before)


def test_without_a_network_nothing_is_changed(operator: Operator) -> None:
    before = operator.file.read_bytes()
    result = operator.run("cap", "set", "100", "--yes", ELKS_API_BASE_URL="http://127.0.0.1:9/a1")
    assert result.exit_code == 1
    assert "46elks cannot be reached" in plain(result)
    assert operator.file.read_bytes() == before


def test_a_lost_answer_leaves_a_subaccount_that_the_next_run_finds(operator: Operator) -> None:
    operator.box.faults.inject(Fault.DROP_AFTER, method="POST", path="/subaccounts")
    lost = operator.run("cap", "set", "100", "--yes")
    assert lost.exit_code == 1
    assert "So a subaccount may have been made." in plain(lost)
    first = operator.capped
    assert operator.run("cap", "set", "100", "--yes").exit_code == 0
    assert operator.capped is first


def test_a_kill_after_the_creation_leaves_an_id_that_was_said_and_is_found_again(operator: Operator) -> None:
    operator.box.rules.usage_limit_at_creation = False
    operator.box.faults.inject(Fault.HANG, method="POST", path="/subaccounts/*", times=None)
    with subprocess.Popen(
        [*PROGRAM, "cap", "set", "100", "--yes", "--env-file", str(operator.file)],
        env={"PATH": os.environ["PATH"], **PLAIN, **operator.environ},
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as command:
        assert command.stdout
        said = next((line for line in command.stdout if line.startswith("Made the subaccount")), "")
        command.kill()
    first = operator.capped
    assert first.id in said
    assert operator.read_file()["ELKS_API_PASSWORD"] == PASSWORD, "the file is as it was"
    operator.box.faults.clear()
    assert operator.run("cap", "set", "200", "--yes").exit_code == 0
    assert operator.capped is first
    assert first.usage_limit == 200 * KRONOR


def test_two_subaccounts_of_one_name_are_listed_to_choose_from(operator: Operator) -> None:
    one, other = (operator.box.subaccounts.add("elks-mcp", operator.box.clock.now()) for _ in range(2))
    result = operator.run("cap", "set", "100", "--yes")
    assert result.exit_code == 2
    assert one.id in result.output
    assert other.id in result.output
    assert operator.run("cap", "set", "100", "--yes", "--subaccount", one.id).exit_code == 0
    assert (one.usage_limit, other.usage_limit) == (100 * KRONOR, None)


def test_a_subaccount_of_another_account_is_not_found(operator: Operator) -> None:
    result = operator.run("cap", "stop", "--subaccount", "a" + "1" * 32)
    assert result.exit_code == 1
    assert "The account has no subaccount" in plain(result)


def test_a_deactivated_subaccount_is_not_used(operator: Operator) -> None:
    ended = operator.box.subaccounts.add("elks-mcp", operator.box.clock.now())
    ended.deactivated_at = operator.box.clock.now()
    result = operator.run("cap", "stop", "--subaccount", ended.id)
    assert "was deactivated, which cannot be undone" in plain(result)
    assert operator.run("cap", "set", "100", "--yes").exit_code == 0
    assert len(operator.box.subaccounts) == 2


@pytest.mark.parametrize("amount", ["", "many", "-5", "1e3", "10 SEK"])
def test_an_amount_that_cannot_be_read_is_refused(operator: Operator, amount: str) -> None:
    result = operator.run("cap", "set", "--yes", "--", amount)
    assert result.exit_code == 2
    assert len(operator.box.subaccounts) == 0


def test_variables_of_the_environment_that_override_the_file_are_named_first(operator: Operator) -> None:
    result = operator.run("cap", "set", "100", "--yes", ELKS_API_PASSWORD=PASSWORD)
    assert result.exit_code == 2
    assert "ELKS_API_PASSWORD: set in the environment, which overrides" in plain(result)
    assert len(operator.box.subaccounts) == 0


def test_a_password_in_a_file_of_its_own_is_replaced_by_the_new_one(operator: Operator) -> None:
    secret = operator.file.with_name("password")
    secret.write_text(PASSWORD, encoding="utf-8")
    lines = operator.file.read_text("utf-8").replace(f"PASSWORD={PASSWORD}", f"PASSWORD_FILE={secret}")
    operator.file.write_text(lines, encoding="utf-8")
    assert operator.run("cap", "set", "100", "--yes").exit_code == 0
    assert operator.read_file()["ELKS_API_PASSWORD"] == operator.capped.secret
    assert "ELKS_API_PASSWORD_FILE" not in operator.read_file()
    assert operator.run("cap", "show").exit_code == 0


def test_the_sandbox_inside_a_server_has_no_cap(operator: Operator) -> None:
    del operator.environ["ELKS_API_BASE_URL"]
    result = operator.run("cap", "set", "100", "--yes", ELKS_SANDBOX="true")
    assert result.exit_code == 2
    assert "the simulated 46elks of this command ends with it" in plain(result)


# ── doctor ──


def examined(operator: Operator) -> tuple[int, str]:
    """Return the exit code of the doctor, and its line about the cap."""
    result = operator.run("doctor")
    rows = " ".join(result.output.split()).split(" ok ")
    return result.exit_code, " ok ".join(rows)


def test_the_doctor_says_that_46elks_caps_nothing(operator: Operator, stand_in: Path) -> None:
    code, said = examined(operator)
    assert (code, "note 46elks itself caps nothing: only this server's limits hold." in said) == (0, True), (
        said
    )


def test_the_doctor_says_what_46elks_itself_caps(operator: Operator, stand_in: Path) -> None:
    operator.run("cap", "set", "100", "--yes")
    operator.capped.used = 37 * KRONOR
    code, said = examined(operator)
    assert code == 0, said
    assert "ok 46elks itself stops at 100.00 SEK. 37.00 SEK is used, 63.00 SEK is left." in said
    operator.capped.used = 100 * KRONOR
    code, said = examined(operator)
    assert (
        code,
        "fail 46elks itself refuses everything that costs: the limit of 100.00 SEK is used up" in said,
    ) == (
        1,
        True,
    )
    operator.capped.usage_limit = None
    assert "note 46elks itself caps nothing: the subaccount has no limit" in examined(operator)[1]


def test_the_doctor_says_why_the_cap_cannot_be_read(operator: Operator, stand_in: Path) -> None:
    operator.run("cap", "set", "100", "--yes")
    operator.box.rules.subaccounts_read_themselves = False
    code, said = examined(operator)
    assert code == 0, said
    assert "The cap at 46elks cannot be read: 46elks refused the request (403)" in said
    assert "cap show --main" in said


def test_the_doctor_says_that_a_subaccount_without_its_account_is_an_account_of_its_own(
    operator: Operator, stand_in: Path
) -> None:
    operator.run("cap", "set", "100", "--yes")
    lines = operator.file.read_text("utf-8").splitlines(keepends=True)
    operator.file.write_text("".join(line for line in lines if "ELKS_ACCOUNT" not in line), encoding="utf-8")
    assert (
        "ELKS_ACCOUNT is not set: budget, orders and opt-outs are the subaccount's own"
        in examined(operator)[1]
    )
