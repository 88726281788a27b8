"""docs/caps.md and the units in deploy: the commands are run, and their output compared."""

import re
import shlex
from configparser import ConfigParser
from pathlib import Path

import pytest

from tests.cli.test_caps import PASSWORD, Operator, operator

__all__ = ["operator"]
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "caps.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\nelks-mcp ([^\n]+)\n```\n\n```text\n(.*?)\n```$", PAGE, re.MULTILINE | re.DOTALL)
TYPED = {"cap set": "y\n", "cap stop": f"{PASSWORD}\n", "cap lift": f"{PASSWORD}\ny\n"}


def plain(text: str) -> str:
    """Return a text in one line, with the ids of subaccounts shortened, and without the prompt."""
    text = re.sub(r"\ba[0-9a-f]{9,32}…?", "a…", text)
    return " ".join(re.sub(r"^API password.*$", "", text, flags=re.MULTILINE).split())


def test_every_command_of_the_page_prints_what_the_page_says(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(operator.file.parent)
    assert len(BLOCKS) == 4
    for command, printed in BLOCKS:
        words = [word for word in shlex.split(command) if word not in {"--env-file", operator.file.name}]
        result = operator.run(*words, typed=TYPED.get(" ".join(words[:2]), ""))
        assert result.exit_code == 0, result.output
        assert plain(printed) in plain(result.output)
    assert f"{operator.file.name}.before-elks-mcp" in PAGE
    assert operator.file.with_name("elks.env.before-elks-mcp").exists()


def test_the_timer_and_the_line_for_cron_renew_the_cap_without_a_terminal(operator: Operator) -> None:
    units = ConfigParser(interpolation=None)
    units.optionxform = str  # type: ignore[assignment,method-assign]
    units.read(ROOT / "deploy" / f"elks-mcp-cap.{kind}" for kind in ("service", "timer"))
    shell = shlex.split(units["Service"]["ExecStart"])[2]
    (cron,) = re.findall(r"^0 0 1 \* \* (.+)$", PAGE, re.MULTILINE)
    assert units["Timer"]["OnCalendar"] == "monthly"
    operator.run("cap", "set", "100", "--monthly", "--yes")
    for line in (shell.removeprefix("exec "), cron):
        command, _, _ = line.partition(" < ")
        _, *words = shlex.split(command)
        at = words.index("--env-file")
        operator.box.subaccounts.charge(operator.capped.id, 10_000)
        result = operator.run(*words[:at], *words[at + 2 :], typed=PASSWORD)
        assert result.exit_code == 0, result.output
        assert operator.capped.usage_limit == operator.capped.used + 1_000_000
