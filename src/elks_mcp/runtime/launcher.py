"""How this installation of elks-mcp is started, by an MCP client and by a person.

A client gets absolute paths: desktop programs do not see the PATH of a shell, so a command's name alone
often is not found.
"""

import json
import os
import re
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from functools import cache
from importlib.metadata import Distribution, distribution
from pathlib import Path
from subprocess import list2cmdline
from typing import Final, NamedTuple

_NAME: Final = "elks-mcp"
_SUFFIX = ".exe" if sys.platform == "win32" else ""
_CACHED = re.compile(r"(?:archive|environments|builds)-v\d+")
"""Folders of uv's cache with environments that uv may delete."""


class Installation(NamedTuple):
    """An environment that has elks-mcp: its folder, that of its commands, and its source."""

    prefix: Path
    scripts: Path
    source: str


def find_installation() -> Installation:
    """Return the installation that runs this code."""
    return Installation(Path(sys.prefix), Path(sysconfig.get_path("scripts")), _find_source())


def find_command(installation: Installation, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the command that starts the server, with its path, and its arguments.

    An environment that uvx made is temporary, so uvx has to be started again. Otherwise it is the command
    in the environment, or Python if there is none.
    """
    if any(_CACHED.fullmatch(part) for part in installation.prefix.parts) and (uvx := _find_uvx(environ)):
        source = ("--from", installation.source) if installation.source else ()
        return (uvx, *source, _NAME)
    script = installation.scripts / f"{_NAME}{_SUFFIX}"
    return (str(script),) if script.is_file() else (sys.executable, "-m", "elks_mcp")


def name_program_here(installation: Installation, environ: Mapping[str, str], folder: Path) -> str:
    """Return how a person starts the program in this terminal, in `folder`.

    The person started this process there. It is the name alone if their shell finds it, and otherwise a path.
    """
    command, *args = find_command(installation, environ)
    path = Path(command)
    searched = [Path(each) for each in environ.get("PATH", "").split(os.pathsep)]
    if "UV" in environ and installation.scripts in searched:
        searched.remove(installation.scripts)  # uv put it there, and only for this process
    if path.parent in searched:
        command = path.name.removesuffix(_SUFFIX)
    elif path.is_relative_to(folder):
        command = str(path.relative_to(folder))
    return shlex.join([command, *args]) if sys.platform != "win32" else list2cmdline([command, *args])


def name_program(installation: Installation, environ: Mapping[str, str]) -> str:
    """Return how a person starts the program in another terminal: by its name, or with uvx.

    A client started this process, so its PATH and its folder are not those of the person's shell. uvx leaves
    no command behind, so it has to be used again if it started this process.
    """
    command, *args = find_command(installation, environ)
    return shlex.join(["uvx", *args]) if Path(command).stem == "uvx" else _NAME


def show_command(words: str) -> str:
    """Return a command of this program in backticks, as a person types it in another terminal.

    `words`: the command without the program's name, such as `connect --list`.
    """
    return f"`{name_program(find_installation(), os.environ)} {words}`"


def show_command_here(words: str) -> str:
    """Return a command of this program in backticks, as a person types it in this terminal.

    It is for what a person started in this terminal. In a clone, the name alone is not found.
    """
    return f"`{name_program_here(find_installation(), os.environ, Path.cwd())} {words}`"


def _find_uvx(environ: Mapping[str, str]) -> str | None:
    """Return the path of uvx: beside the uv that started us, or on the PATH."""
    if uv := environ.get("UV"):
        beside = Path(uv).with_name(f"uvx{_SUFFIX}")
        if beside.is_file():
            return str(beside)
    found = shutil.which("uvx", path=environ.get("PATH", ""))
    return str(Path(found).absolute()) if found else None


@cache  # a server names a command in each answer to a request without a valid token
def _find_source() -> str:
    """Return what elks-mcp was installed from, as `uvx --from` takes it, or "" if unknown."""
    found = distribution(_NAME)
    origin = json.loads(found.read_text("direct_url.json") or "{}")
    url, repository = origin.get("url", ""), find_repository(found)
    if "vcs_info" in origin:
        revision = origin["vcs_info"].get("requested_revision")
        return f"git+{url}" + (f"@{revision}" if revision else "")
    return str(url) or (f"git+{repository}" if repository else "")


def find_repository(found: Distribution | None = None) -> str:
    """Return the address of the repository, or "" if the package does not say."""
    urls = (found or distribution(_NAME)).metadata.get_all("Project-URL") or []
    pairs = dict(each.split(", ", 1) for each in urls if ", " in each)
    return str(pairs.get("Repository", ""))
