"""Help, suggestions for wrong words, and the completion of shells."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from elks_mcp.cli import _SYNONYMS, commands
from tests.support.process import run, start

NOT_ON_WINDOWS = pytest.mark.skipif(sys.platform == "win32", reason="these shells are rare there")


def walk(group: click.Group, *above: str) -> Iterator[tuple[str, ...]]:
    """List the words of all commands and groups."""
    yield above
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from walk(command, *above, name)
        else:
            yield (*above, name)


ALL = list(walk(commands))


# ── help ──


def test_the_help_has_sections_and_the_exit_codes() -> None:
    result = run("--help").stdout
    headings = re.findall(r"^(\w[\w ]*):$", result, re.MULTILINE)
    assert headings == ["Options", "Start here", "Text", "Operate"]
    for heading, first in (("Start here", "connect"), ("Text", "send"), ("Operate", "policy")):
        assert f"{heading}:\n  {first} " in result
    assert "Exit codes: 0 done, 1 failed or refused, 2 wrong use, 3 waits, 4 maybe sent.\n" in result


def test_the_short_help_of_an_unloaded_command_is_its_own() -> None:
    result, context = run("--help").stdout, click.Context(commands)
    for name in commands.list_commands(context):
        command = commands.get_command(context, name)
        assert command
        assert re.search(rf"^  {name} +{re.escape(command.get_short_help_str(100))}$", result, re.MULTILINE)


def test_the_help_loads_no_command() -> None:
    loads = "import sys; from elks_mcp.cli import commands; commands(['--help'], standalone_mode=False)"
    after = "; print([name for name in sys.modules if name.startswith('elks_mcp.cli.')])"
    done = subprocess.run(
        [sys.executable, "-c", loads + after], capture_output=True, encoding="utf-8", check=True
    )
    loaded = set(re.findall(r"elks_mcp\.cli\.(\w+)", done.stdout.splitlines()[-1]))
    assert loaded == {"arguments", "lazy_group"}


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_help_is_at_most_80_columns_wide(words: tuple[str, ...]) -> None:
    result = run(*words, "--help")
    assert result.returncode == 0
    assert [line for line in result.stdout.splitlines() if len(line) > 80] == []


# ── wrong words ──


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("sned",), "send"),
        (("outbox", "lsit"), "list"),
        (("completion", "instal"), "install"),
        (("send", "--flsh"), "--flash"),
        (("history", "--direction", "inbuond"), "inbound"),
        (("token", "new", "x", "--scope", "raed"), "read"),
        (("completion", "show", "bsh"), "bash"),
        (("setup",), "connect"),
        (("Install",), "connect"),
        (("messages",), "history"),
        (("price",), "estimate"),
        (("help", "sned"), "send"),
    ],
)
def test_a_wrong_word_is_answered_with_the_word_that_was_meant(words: tuple[str, ...], meant: str) -> None:
    result = run(*words)
    assert result.returncode == 2
    assert f"Did you mean '{meant}'?" in result.stderr


def test_every_synonym_leads_to_a_command_and_is_not_one_itself() -> None:
    names = commands.list_commands(click.Context(commands))
    result = run("config").stderr
    assert "No such command 'config'. Did you mean 'doctor' or 'policy'?" in result
    for word, meant in _SYNONYMS.items():
        assert word not in names
        assert {each.split()[0] for each in meant} <= {*names, "--version"}


def test_the_word_help_is_the_option() -> None:
    assert run("help").stdout == run("--help").stdout
    assert run("help", "send").stdout == run("send", "--help").stdout
    assert run("help", "outbox", "list").stdout == run("outbox", "list", "--help").stdout
    assert run("help", "xyzzy").returncode == 2


def test_a_number_in_several_words_before_a_text_has_to_be_quoted() -> None:
    result = run("send", "070-174", "06", "05", "Hej")
    assert result.returncode == 2
    assert 'The number must be one argument. Put it in quotation marks: "070-174 06 05".' in result.stderr
    assert "The text must be one argument." in run("send", "070-1740605", "Hej", "du").stderr


def test_a_word_unlike_any_command_gets_no_suggestion() -> None:
    for words in (("xyzzy",), ("history", "--direction", "xyzzy")):
        result = run(*words)
        assert (result.returncode, "Did you mean" in result.stderr) == (2, False)


# ── completion ──


@NOT_ON_WINDOWS
@pytest.mark.parametrize(("shell", "startup"), [("bash", ".bashrc"), ("zsh", ".zshrc")])
def test_completion_is_installed_once(shell: str, startup: str, tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "SHELL": f"/bin/{shell}", "XDG_DATA_HOME": str(tmp_path / "data")}
    (tmp_path / startup).write_text("alias å=ls", encoding="utf-8")
    first, second = (
        start("completion", "install", **environ),
        start("completion", "install", shell, **environ),
    )
    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    (script,) = tmp_path.rglob(f"completion.{shell}")
    assert f"The script for {shell} is in {script}.\n" in first.stdout
    assert f"This line was added to {tmp_path / startup}:" in first.stdout
    assert f"{tmp_path / startup} already loads it." in second.stdout
    alias, line = (tmp_path / startup).read_text("utf-8").splitlines()
    assert alias == "alias å=ls"
    assert str(script) in line
    assert script.read_text("utf-8") == start("completion", "show", shell, **environ).stdout


@NOT_ON_WINDOWS
def test_fish_loads_the_script_by_itself(tmp_path: Path) -> None:
    done = start(
        "completion", "install", "fish", HOME=str(tmp_path), XDG_CONFIG_HOME=str(tmp_path / "config")
    )
    assert done.returncode == 0, done.stderr
    script = tmp_path / "config/fish/completions/elks-mcp.fish"
    assert "complete --no-files --command elks-mcp" in script.read_text("utf-8")


def test_for_powershell_the_line_to_add_is_printed(tmp_path: Path) -> None:
    done = run("completion", "install", "powershell", XDG_DATA_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "the file that $PROFILE names" in done.stdout
    assert "Register-ArgumentCompleter" in run("completion", "show", "powershell").stdout


def test_an_unknown_shell_has_to_be_named() -> None:
    result = run("completion", "show", SHELL="/bin/tcsh")
    assert result.returncode == 2
    assert "Name the shell: bash, zsh, fish, powershell." in result.stderr


@pytest.mark.parametrize(
    ("typed", "number", "offered"), [("se", 1, ["send", "send-mms", "serve"]), ("send --j", 2, ["--json"])]
)
def test_completion_offers_the_words_that_can_follow(typed: str, number: int, offered: list[str]) -> None:
    asked = {
        "_ELKS_MCP_COMPLETE": "bash_complete",
        "COMP_WORDS": f"elks-mcp {typed}",
        "COMP_CWORD": str(number),
    }
    program = "import sys; sys.argv = ['elks-mcp']; from elks_mcp.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program], env=asked, capture_output=True, encoding="utf-8", check=False
    )
    assert done.stdout.splitlines() == [f"plain,{each}" for each in offered], done.stderr
