"""The options that all commands share: each works before and after a command's name."""

import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from elks_mcp.cli import commands

NOT_ON_WINDOWS = pytest.mark.skipif(sys.platform == "win32", reason="Windows guesses where it would be")
ARGUMENTS = {
    "call": ("+46701740605", "Hej"),
    "recording": ("c" + "0" * 32 + "-r0", "call.wav"),
    "escalation test": ("nights",),
    "escalation show": ("E-2",),
    "escalation ack": ("E-2",),
    "escalation end": ("E-2",),
    "numbers configure": ("+46701740699", "--name", "x"),
    "cap set": ("100",),
    "serve": ("--http",),
    "approve": ("A-2345",),
    "outbox show": ("O-2",),
    "outbox cancel": ("O-2",),
    "outbox resolve": ("O-2", "--sent"),
    "opt-outs add": ("+46701740605",),
    "opt-outs remove": ("+46701740605", "--reason", "a mistake"),
    "opt-outs import": (__file__,),
    "forget": ("+46701740605", "--yes"),
    "export": ("+46701740605",),
    "token new": ("agent", "--scope", "read"),
    "token revoke": ("agent",),
    "sandbox": ("--password",),
    "send": ("+46701740605", "Hej"),
    "send-mms": ("+46701740605", "cat.png"),
    "image": ("m2", "--out", "cat.png"),
    "ask": ("+46701740605", "Hej"),
    "estimate": ("+46701740605", "Hej"),
    "status": ("O-2",),
    "conversation": ("+46701740605",),
    "cancel": ("O-2",),
    "batch plan": (__file__, "--message", "Hej"),
    **{
        f"batch {name}": ("B-2",)
        for name in ("show", "start", "status", "pause", "resume", "cancel", "results")
    },
}
"""The arguments that a command needs to read its settings."""


def _walk(group: click.Group, *above: str) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from _walk(command, *above, name)
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield (*above, name)


COMMANDS = {" ".join(path): path for path in _walk(commands) if path[0] not in {"demo", "completion"}}
"""All commands but the demo and completion, which take no settings."""


def _places(path: tuple[str, ...], option: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """List a command with an option at each allowed position."""
    arguments = ARGUMENTS.get(" ".join(path), ())
    for location in range(len(path) + 1):
        yield (*path[:location], *option, *path[location:], *arguments)
    yield (*path, *arguments, *option)


@pytest.mark.parametrize("path", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.usefixtures("stand_in")
def test_a_file_of_settings_can_be_named_at_every_place_of_every_command(path: tuple[str, ...]) -> None:
    for words in _places(path, ("--env-file", "nowhere.env")):
        result = CliRunner().invoke(commands, words, env={})
        assert "The file nowhere.env cannot be read" in result.output, words
        assert result.exit_code == (1 if path == ("doctor",) else 2), words


@NOT_ON_WINDOWS
@pytest.mark.parametrize("path", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.usefixtures("stand_in")
def test_a_state_directory_can_be_named_at_every_place_of_every_command(path: tuple[str, ...]) -> None:
    for words in _places(path, ("--state-dir", "~nobody-by-that-name/x")):
        result = CliRunner().invoke(commands, words, env={})
        assert "--state-dir is not valid: no user of this machine" in result.output, words
        assert result.exit_code == (1 if path == ("doctor",) else 2), words


def test_the_last_of_several_options_counts(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.env").write_text(f"ELKS_STATE_DIR={tmp_path / name}\n", encoding="utf-8")
    for before, after in (("one", "two"), ("two", "one")):
        files = (str(tmp_path / f"{before}.env"), str(tmp_path / f"{after}.env"))
        result = CliRunner().invoke(
            commands, ("--env-file", files[0], "pending", "--env-file", files[1]), env={}
        )
        assert str(tmp_path / after) in result.output
        folders = ("--state-dir", str(tmp_path / before), "pending", "--state-dir", str(tmp_path / after))
        assert str(tmp_path / after) in CliRunner().invoke(commands, folders, env={}).output


def test_the_help_of_every_command_names_both_options() -> None:
    for path in chain(_walk(commands), [(), ("webhooks",), ("token",), ("cap",), ("numbers",)]):
        result = CliRunner().invoke(commands, (*path, "--help"))
        assert ("--env-file" in result.output, "--state-dir" in result.output) == (True, True), path
