"""The snippets of all documents: commands have these options, and data can be read."""

import ast
import json
import re
import shlex
import tomllib
from collections.abc import Callable

import click
import pytest
import yaml

from elks_mcp.cli import commands
from elks_mcp.settings import ALSO_AS_FILE, NAMES
from tests.support.documents import DOCS, read_blocks

PAGES = sorted([*DOCS.parent.glob("*.md"), *DOCS.rglob("*.md")])
SHELL = ("sh", "powershell", "")
TEXTS = {page.relative_to(DOCS.parent).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}


def find_commands(text: str) -> list[str]:
    """Find our commands in the blocks that people copy, without what starts or redirects them."""
    lines = [
        line
        for language in SHELL
        for block in read_blocks(text, language)
        for line in block.replace("\\\n", " ").splitlines()
    ]
    found = [re.search(r"(?:^|\s|\()elks-mcp( [^|<>)#]*)?", line) for line in lines]
    ours = [line for line in lines if re.match(r"(?:uvx .*? |uv run |.*\| |\S*/)?elks-mcp\b", line.strip())]
    return [each[0].strip() for each, line in zip(found, lines, strict=True) if each and line in ours]


def find_fault(command: str) -> str:
    """Return what click says of a command line, "" if nothing. Nothing is run: the words are only read."""
    _, *words = shlex.split(command)
    called: click.Command = commands
    context = click.Context(commands)
    try:
        while isinstance(called, click.Group) and words:
            if words[0].startswith("-"):
                return ""  # --help and --version
            name, found, words = called.resolve_command(context, words)
            if found is None:
                return f"{name} is not a command."
            called, context = found, click.Context(found, parent=context)
        called.make_context(called.name, list(words), parent=context)
    except (click.exceptions.NoArgsIsHelpError, click.exceptions.Exit):
        return ""
    except click.ClickException as error:
        return "" if error.format_message().endswith("does not exist.") else error.format_message()  # a file
    return ""


@pytest.mark.parametrize("name", TEXTS)
def test_each_command_in_a_sentence_exists(name: str) -> None:
    """It may lack arguments, and have words such as NUMBER in their place."""
    named = set(re.findall(r"`(elks-mcp [^`\n]+)`", TEXTS[name]))
    faults = {command: find_fault(command) for command in named if command.count('"') % 2 == 0}
    assert {command: fault for command, fault in faults.items() if fault.startswith("No such")} == {}


@pytest.mark.parametrize("name", TEXTS)
def test_each_command_in_the_documents_has_these_arguments_and_options(name: str) -> None:
    faults = {command: find_fault(command) for command in find_commands(TEXTS[name])}
    assert {command: fault for command, fault in faults.items() if fault} == {}


def test_the_commands_of_all_pages_are_found_and_mistakes_in_them() -> None:
    found = [command for text in TEXTS.values() for command in find_commands(text)]
    assert len(found) > 80
    assert find_fault("elks-mcp send 070-1740605 Hej --tomorrow") == "No such option '--tomorrow'."
    assert find_fault("elks-mcp sned 070-1740605 Hej").startswith("No such command 'sned'.")
    assert find_fault("elks-mcp approve") == "Missing argument 'A-…'."


def find_unreadable(language: str, block: str) -> str:
    """Return why a snippet cannot be read, "" if it can."""
    if language == "ini":
        named = {line.partition("=")[0] for line in block.splitlines() if "=" in line}
        unknown = named - {*NAMES, *(f"{variable}_FILE" for variable in ALSO_AS_FILE)}
        return f"{', '.join(sorted(unknown))} cannot be set." if unknown else ""
    try:
        READERS[language](block)
    except (ValueError, SyntaxError, yaml.YAMLError) as error:
        return f"{block}: {error}"
    return ""


READERS: dict[str, Callable[[str], object]] = {
    "json": json.loads,
    "yaml": yaml.safe_load,
    "toml": tomllib.loads,
    "python": ast.parse,
}


@pytest.mark.parametrize("language", [*READERS, "ini"])
@pytest.mark.parametrize("name", TEXTS)
def test_each_snippet_in_the_documents_can_be_read(name: str, language: str) -> None:
    assert [
        why for block in read_blocks(TEXTS[name], language) if (why := find_unreadable(language, block))
    ] == []
