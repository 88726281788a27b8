"""The documents describe the code as it is."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from configparser import ConfigParser
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elks_mcp.cli import commands
from elks_mcp.domain.approval import APPROVAL_TIMEOUT, APPROVED_SEND_TIMEOUT
from elks_mcp.domain.call_payload import Call
from elks_mcp.domain.guards import GUARD_NAMES, NOT_SWITCHABLE, Facts, check_draft
from elks_mcp.domain.mms_payload import Mms
from elks_mcp.domain.models import AccountNumbers, OptOut, Recall, Taint
from elks_mcp.domain.opt_outs import OptWord, find_opt_word
from elks_mcp.domain.orders import ORDER_LATENESS, Draft
from elks_mcp.domain.payloads import Sms
from elks_mcp.domain.phone import Number, SenderId
from elks_mcp.domain.policy import Confirm, Policy, largest_day, largest_price
from elks_mcp.domain.taint import TAINT_LASTS
from elks_mcp.domain.text import measure
from elks_mcp.domain.toolsets import Toolset
from elks_mcp.elks.client import MOST_READ
from elks_mcp.elks.credentials import DEFAULT_BASE_URL
from elks_mcp.inbound.history import FRESH
from elks_mcp.mcp_server.server import list_tools
from elks_mcp.sending import LEASE_SPARE
from elks_mcp.sending.plan import ANSWER_WITHIN
from elks_mcp.settings import ALSO_AS_FILE, NAMES, Settings
from elks_mcp.store import cleanup, doubts
from elks_mcp.store.db.hashes import KEY_FILE
from elks_mcp.store.known_numbers import VELOCITY_WINDOW
from elks_mcp.store.location import DATABASE_FILE
from elks_mcp.store.prior import REPEATED_WITHIN
from tests.domain.guards.test_guards import AT_NIGHT, STRICT, WRONG_IN_ALL_WAYS
from tests.support.strategies import drafts, facts_about, policies

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SAFETY, GUARDS, STATE, GO_LIVE, TROUBLESHOOTING = (
    (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    for name in ("safety", "guards", "state", "go-live", "troubleshooting")
)
COMMANDS = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/sv/*.md")])


def test_the_generated_pages_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/docs.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_variable_that_is_mentioned_exists(page: Path) -> None:
    known = {*NAMES, *(f"{name}_FILE" for name in ALSO_AS_FILE)}
    mentioned = set(re.findall(r"\bELKS_[A-Z_]+[A-Z]\b", page.read_text(encoding="utf-8")))
    assert mentioned - known <= NOT_SETTINGS


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_row_is_part_of_a_table_and_has_its_cells(page: Path) -> None:
    text = re.sub(r"^( *```+).*?^\1", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        head, *rows = block.splitlines()
        assert re.fullmatch(r"[|: -]+", "".join(rows[:1]) or "no row"), head
        assert [row for row in rows if len(CELL.findall(row)) != len(CELL.findall(head))] == []


CELL = re.compile(r"(?<!\\)\|")
"""A bar between two cells."""


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_phone_number_that_is_mentioned_reaches_no_phone(page: Path) -> None:
    mentioned = (re.sub(r"\D", "", each) for each in re.findall(NUMBER, page.read_text(encoding="utf-8")))
    assert [each for each in mentioned if not re.match(RESERVED, each)] == []


NUMBER = (
    r"(?<![\w+./-])(?:\+|00)\d[\d ()-]{6,}\d"
    r"|(?<![\w.:+-])0\d{1,3}[- ]\d[\d -]{4,}\d"
    r"|(?<![\w+.:/-])0?[1-9]\d{8,10}(?![\w-])"
)
"""A number with its country code, one with its area code, and one that is only digits."""

RESERVED = r"(?:(?:00)?46|0)?(?:7017406(?:0[5-9]|[1-9]\d)|8465004\d\d|700000000)"
"""Digits of numbers that PTS reserves for fiction, or of 46elks' own test number."""

NOT_SETTINGS = {
    # Mistakes that are explained
    "ELKS_API_USER",
    "ELKS_DAILY_LIMIT",
}


# ── tables that say what the code says ──


def section(page: str, heading: str) -> str:
    """Read what stands below a heading, up to the next of its rank or above."""
    level = len(heading) - len(heading.lstrip("#"))
    found = re.search(rf"^{re.escape(heading)}$(.*?)(?=^#{{1,{level}}} |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found.group(1)


def table(page: str, heading: str) -> Iterator[list[str]]:
    """Read the rows of the first table below a heading, without its head."""
    (first, *_) = re.findall(r"(?:^\|.*\|\n)+", section(page, heading), re.MULTILINE)
    for row in re.findall(r"^\|(.*)\|$", first, re.MULTILINE)[2:]:
        yield [cell.strip() for cell in re.split(r"(?<!\\)\|", row)]


@cache
def guard_rows() -> dict[str, str]:
    """Read what the README says of each guard, its continued rows put together."""
    said: dict[str, str] = {}
    name = ""
    for first, *others in table(GUARDS, "# What the guards do"):
        name = first.strip("`") or name
        said[name] = " ".join([said.get(name, ""), *others])
    return said


def test_the_page_about_guards_lists_all_in_their_order() -> None:
    assert tuple(guard_rows()) == GUARD_NAMES


MAIN = Number("+46701740699")
OTHER = Number("+46701740606")
HOTEL = Number("+4930901820")
"""A fixed line in Germany."""

PLAIN = Draft(to=OTHER, payload=Sms(text="Hej"), sender=MAIN)
NAMED = PLAIN.model_copy(update={"sender": SenderId("Klinik")})
NOON = datetime(2026, 11, 18, 11, 0, tzinfo=UTC)
CALM = Facts(size=measure("Hej"), now=NOON, live=True)
OURS = AccountNumbers(configured=frozenset({OTHER.e164}))
OPEN = Policy(sender=MAIN, allowed_countries=frozenset({"SE", "DE", "NO", "US"}))
EACH_EFFECT: list[tuple[Draft, dict[str, Any], Policy]] = [
    (WRONG_IN_ALL_WAYS, dict(AT_NIGHT), STRICT),
    (WRONG_IN_ALL_WAYS, dict(AT_NIGHT) | {"live": False}, STRICT),
    (PLAIN.model_copy(update={"to": HOTEL}), {}, OPEN),
    (PLAIN, {}, OPEN),
    (PLAIN, {"recall": Recall(maybe_opted_out=OptOut(at=NOON))}, OPEN),
    (PLAIN, {"taint": Taint(created_at=NOON)}, OPEN.model_copy(update={"allowed_recipients": {OTHER}})),
    (PLAIN.model_copy(update={"sender": OTHER}), {}, OPEN),
    (PLAIN.model_copy(update={"payload": Call(text="Hej")}), {"now": NOON + timedelta(hours=12)}, OPEN),
    (PLAIN.model_copy(update={"sender": OTHER}), {"live": False}, OPEN),
    (NAMED.model_copy(update={"to": Number("+12025550123")}), {}, OPEN),
    (NAMED.model_copy(update={"to": Number("+4741234567")}), {}, OPEN),
    (PLAIN.model_copy(update={"to": HOTEL, "payload": Mms(text="Hej")}), {}, OPEN),
]
"""Texts about which, together, each guard says everything that it can say."""


def test_the_page_about_guards_says_what_each_does_and_who_can_change_it() -> None:
    effects: dict[str, set[str]] = {name: set() for name in GUARD_NAMES}
    variables: dict[str, set[str]] = {name: set() for name in GUARD_NAMES}
    for draft, facts, policy in EACH_EFFECT:
        for finding in check_draft(draft, CALM.model_copy(update=facts), policy):
            effects[finding.guard].add(finding.effect.value)
            variables[finding.guard].update(re.findall(r"ELKS_[A-Z_]+", finding.reason))
    for guard, said in guard_rows().items():
        promised = set(re.findall(r"\b(?:refuse|ask|warn)\b", said))
        assert effects[guard] == promised - (BY_POLICY if guard in {"tainted", "night"} else set()), guard
        assert all(f"`{variable}`" in said for variable in variables[guard]), guard


BY_POLICY = {"refuse"}
"""The effect of a finding that requires a person under `ELKS_CONFIRM=never`; the guard does not decide it."""


@given(drafts, policies, st.booleans(), st.data())
def test_no_guard_has_an_effect_that_its_page_does_not_name(
    draft: Draft, policy: Policy, live: bool, data: st.DataObject
) -> None:
    said = guard_rows()
    for finding in check_draft(draft, data.draw(facts_about(draft, live=live)), policy):
        assert finding.effect.value in said[finding.guard]
        assert all(f"`{each}`" in said[finding.guard] for each in re.findall(r"ELKS_[A-Z_]+", finding.reason))


def test_the_page_about_guards_names_those_that_cannot_be_switched_off() -> None:
    sentence = re.search(r"switch\s+off\s+any\s+guard\s+except\s+(.*?),\s+for\s+example", GUARDS, re.DOTALL)
    assert sentence
    assert set(re.findall(r"`(\w+)`", sentence.group(1))) == NOT_SWITCHABLE


def test_the_defaults_of_settings_are_those_of_the_code() -> None:
    defaults = {cells[0]: cells[1] for cells in table(GO_LIVE, "## The settings most people need")}
    for names, said in defaults.items():
        for variable in re.findall(r"`(\w+)`", names):
            default = Settings.model_fields[NAMES[variable]].default
            if isinstance(default, bool | int | float | str):
                assert said.strip("`") == str(default).lower(), variable
    assert defaults["`DRY_RUN`"] == f"`{str(Settings().policy().dry_run).lower()}`"
    for variable, largest in (("MESSAGE", largest_price), ("DAY", largest_day)):
        nordic, other = (f"{largest(Policy(), currency).amount:g}" for currency in ("SEK", "EUR"))
        assert defaults[f"`ELKS_BUDGET_PER_{variable}`"] == f"{nordic} (SEK, NOK, DKK) or {other}"


def test_the_page_about_commands_lists_all_of_them() -> None:
    named = [re.findall(r"`([^`]+)`", cells[0])[0] for cells in table(COMMANDS, "# Commands")]
    assert {name.split()[1] for name in named if " " in name} == set(commands.commands)
    for line in named:
        _, *words = line.split()
        if words:
            command = commands.get_command(click.Context(commands), words[0])
            assert command, line
            wants = [each for each in command.params if isinstance(each, click.Argument) and each.required]
            given = [word for word in words[1:] if not word.startswith("--")]
            assert len(given) == len(wants), line


def test_the_page_about_commands_lists_those_of_the_outbox() -> None:
    outbox = commands.get_command(click.Context(commands), "outbox")
    assert isinstance(outbox, click.Group)
    (said,) = [cells[1] for cells in table(COMMANDS, "# Commands") if cells[0] == "`elks-mcp outbox`"]
    assert {word.split()[0] for word in re.findall(r"`([a-z][^`]*)`", said)} == set(outbox.commands) - {
        "list"
    }


def test_each_way_to_confirm_is_explained() -> None:
    said = [cells[0] for cells in table(SAFETY, "## When a person is asked")]
    assert {re.findall(r"`(\w+)`", cell)[0] for cell in said} == {confirm.value for confirm in Confirm}


def test_the_tree_in_contributing_has_the_layers_that_are_enforced_in_their_order() -> None:
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (tree,) = re.findall(r"^src/elks_mcp/\n(.*?)^```", contributing, re.MULTILINE | re.DOTALL)
    named = [re.split(r"\s{2,}", line.strip())[0] for line in tree.splitlines()]
    contracts = ConfigParser()
    contracts.read(ROOT / ".importlinter", encoding="utf-8")
    layers = contracts["importlinter:contract:layers"]["layers"].split()
    enforced = [name for name in layers if name not in {"|", "__main__"}]
    assert [re.sub(r"/|\.py$", "", name) for line in named for name in line.split(" · ")] == enforced


def test_the_files_to_change_for_each_addition_exist() -> None:
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = list(table(contributing, "## To add X, change exactly these files"))
    named = {
        file for _, change in rows for file in re.findall(r"`([\w/<>.]+\.(?:py|md|json)|[\w/]+/)`", change)
    }
    missing = []
    for file in named:
        pattern = re.sub(r"<\w+>", "*", file)
        places = (ROOT, ROOT / "src" / "elks_mcp")
        if not any(next(place.glob(pattern.rstrip("/")), None) for place in places):
            missing.append(file)
    assert len(rows) > 10
    assert missing == []


def test_the_commands_in_contributing_are_those_of_the_makefile() -> None:
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (targets,) = re.findall("^\\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    written = re.findall(r"^make ([\w-]+)", section(contributing, "## Commands"), re.MULTILINE)
    assert len(written) == len(set(written))
    assert set(written) == set(targets.split())


@pytest.mark.parametrize("promise", [*range(1, 10), 13])
def test_the_safety_page_says_how_each_promise_is_kept_and_where_it_ends(promise: int) -> None:
    (heading,) = re.findall(rf"^## P{promise}: .*$", SAFETY, re.MULTILINE)
    said = section(SAFETY, heading)
    assert all(part in said for part in ("**Promise.**", "**Not protected.**"))
    assert "**How.**" in said or "**Stored data.**" in said


HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("words", "said", "constant"),
    [
        ("goes back at most 5,000 messages", 5_000, MOST_READ),
        ("less than 60 seconds ago", timedelta(seconds=60), FRESH),
        ("`ELKS_QUIET_PERIOD`, 120 seconds unless", 120, Settings().quiet_period),
        ("`ELKS_TIMEOUT` (10 seconds) plus 5 seconds after the claim", 10, Settings().timeout),
        ("`ELKS_TIMEOUT` plus 5 seconds", timedelta(seconds=5), LEASE_SPARE),
        ("could not go out within an hour", HOUR, ORDER_LATENESS),
        ("there is no result within an hour", HOUR, doubts.LONGEST),
        ("order is known: 90 days", 90 * DAY, cleanup.ROWS_KEPT),
        ("For 7 days its text is kept", 7 * DAY, cleanup.UNKNOWN_TEXT_KEPT),
        ("text within 15 minutes", timedelta(minutes=15), REPEATED_WITHIN),
        ("valid for 5 minutes", timedelta(minutes=5), ANSWER_WITHIN),
        ("up to 30 minutes old", timedelta(minutes=30), APPROVAL_TIMEOUT),
        ("one that starts within the hour", HOUR, APPROVED_SEND_TIMEOUT),
        ("in the last 30 minutes", timedelta(minutes=30), TAINT_LASTS),
    ],
)
def test_the_times_in_the_safety_page_are_those_of_the_code(
    words: str, said: object, constant: object
) -> None:
    assert words in " ".join(SAFETY.split())
    assert said == constant


def test_the_times_in_the_documents_are_those_of_the_code() -> None:
    most = Settings().max_per_number
    assert f"more than {most} texts to one number in 10 minutes, or {most * 4} in 24 hours" in GUARDS
    assert timedelta(minutes=10) == VELOCITY_WINDOW
    assert all(f"`{file}`" in STATE for file in (DATABASE_FILE, KEY_FILE))
    assert DEFAULT_BASE_URL not in README, "nobody need set it"


def test_the_words_in_the_safety_page_opt_out_unless_they_answer_a_question() -> None:
    clear, answers = re.findall(
        r"([A-ZÄÖ]+(?:\s+[A-ZÄÖ]+)?(?:,\s+[A-ZÄÖ]+(?:\s+[A-ZÄÖ]+)?){9,})\s+and a few more", SAFETY
    )
    for listed, in_answer in ((clear, OptWord.STOP), (answers, None)):
        words = [" ".join(word.split()) for word in listed.split(",")]
        assert len(words) > 10
        assert {find_opt_word(word) for word in words} == {OptWord.STOP}
        assert {find_opt_word(word, asked=True) for word in words} == {in_answer}


@cache
def literals() -> str:
    """Read what the code says: all its strings, with a gap where something is put in. It takes a while."""
    said: list[str] = []
    for file in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (each.value if isinstance(each, ast.Constant) else " … " for each in node.values)
                said.append("".join(str(part) for part in parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                said.append(node.value)
    return " ".join(" \n ".join(said).split())


QUOTED = re.findall(r"\*\*`([^`]{12,})`", " ".join(section(TROUBLESHOOTING, "# Troubleshooting").split()))
NOT_OURS = {"spawn uvx ENOENT"}
"""Quotes from others."""


@pytest.mark.parametrize("quoted", sorted(set(QUOTED) - NOT_OURS))
def test_the_messages_in_the_troubleshooting_page_are_those_of_the_code(quoted: str) -> None:
    """At least three words in a row of each piece between inserted values are in the code."""
    plain = re.sub(rf"Refused by ({'|'.join(GUARD_NAMES)}):", "", quoted).replace("46elks", "Them")
    pieces = [piece.split() for piece in re.split(r"…|\S*\d\S*(?: SEK)?", plain) if piece.strip()]
    for piece in [each for each in pieces if len(each) >= 3] or pieces:
        runs = [" ".join(piece[start : start + 3]) for start in range(max(1, len(piece) - 2))]
        assert any(run.replace("Them", "46elks") in literals() for run in runs), piece


@pytest.mark.parametrize("tool", [tool.name for tool in list_tools(frozenset(Toolset))])
def test_every_tool_is_in_the_documents(tool: str) -> None:
    assert f"`{tool}`" in README


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_between_our_pages_have_a_target(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)", text):
        linked = page.parent / target if target else page
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {slug(heading) for heading in headings}, anchor


def slug(heading: str) -> str:
    """Make of a heading the anchor that GitHub makes of it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_promise_that_holds_has_a_test_that_names_it() -> None:
    promises = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
    holding = set(re.findall(r"^\| (P\d+) \|.*\| \*\*holds", promises, re.MULTILINE))
    assert holding == {f"P{number}" for number in range(1, 14)}
    files = (ROOT / "tests").glob("test_promises*.py")
    tested = {name for file in files for name in re.findall(r"def test_(p\d+)_", file.read_text("utf-8"))}
    assert {promise.lower() for promise in holding} <= tested


def test_the_version_is_the_same_everywhere() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.+)"$', project, re.MULTILINE)
    assert version
    assert f'name = "elks-mcp"\nversion = "{version.group(1)}"' in (ROOT / "uv.lock").read_text(
        encoding="utf-8"
    )


def test_the_demo_and_what_clients_start_install_only_what_the_server_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["uv"]["default-groups"] == []
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = dict(re.findall(r"^([\w-]+):(.*\n(?:\t.*\n)+)", makefile, re.MULTILINE))
    assert "$(UV) run --locked elks-mcp demo" in targets["demo"]
    assert "setup" not in targets["demo"]
    assert "--group dev" in targets["setup"]


def test_contributing_is_short_enough_to_read_in_one_sitting() -> None:
    assert len((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_the_swedish_pages_are_as_narrow_as_the_others() -> None:
    for page in ("README.sv.md", "docs/sv/index.md"):
        lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
        assert [line for line in lines if len(line) > 120 and "://" not in line] == []


def test_the_readme_is_short_and_names_the_address_of_the_project() -> None:
    assert len(README.encode()) <= 12_000
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    address = project["urls"]["Repository"]
    for page in ("README.md", "README.sv.md", "docs/sv/index.md"):
        named = set(re.findall(r"git\+(https://[^\s`]+)", (ROOT / page).read_text(encoding="utf-8")))
        assert named == {address}, page


def test_each_image_is_made_by_the_script_of_screenshots() -> None:
    script = (ROOT / "scripts" / "screenshots.py").read_text(encoding="utf-8")
    assert "`uv run --group dev --with pillow python" in script, "it uses the tests' parts"
    made = {f"phones-{name}.png" for name in re.findall(r'"([\w-]+-\d+)"', script)}
    assert {file.name for file in (ROOT / "docs" / "images").glob("*.png")} <= made
