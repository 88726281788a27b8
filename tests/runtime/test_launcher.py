"""The command that a client gets: an absolute path, whatever elks-mcp was installed with."""

import os
import sys
from pathlib import Path

import pytest

from elks_mcp.runtime.launcher import (
    Installation,
    find_command,
    find_installation,
    name_program,
    name_program_here,
    show_command_here,
)

SUFFIX = ".exe" if sys.platform == "win32" else ""
SOURCE = "git+https://github.com/OWNER/elks-mcp"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Have a folder with the commands `uv` and `uvx`."""
    for name in ("uv", "uvx"):
        (tmp_path / f"{name}{SUFFIX}").touch(mode=0o755)
    return tmp_path


@pytest.mark.parametrize("cache", ["archive-v0/x1", "environments-v2/elks-mcp-1"])
@pytest.mark.parametrize("variable", ["UV", "PATH"])
def test_a_server_run_by_uvx_is_started_by_uvx_again(folder: Path, cache: str, variable: str) -> None:
    environ = {variable: str(folder / f"uv{SUFFIX}" if variable == "UV" else folder)}
    prefix = folder / ".cache" / "uv" / cache
    found = find_command(Installation(prefix, prefix / "bin", SOURCE), environ)
    assert found == (str(folder / f"uvx{SUFFIX}"), "--from", SOURCE, "elks-mcp")


def test_an_installed_tool_is_started_by_its_path(folder: Path) -> None:
    script = folder / f"elks-mcp{SUFFIX}"
    script.touch(mode=0o755)
    installation = Installation(folder / "tools" / "elks-mcp", folder, SOURCE)
    assert find_command(installation, {"UV": str(folder / f"uv{SUFFIX}")}) == (str(script),)


def test_without_a_command_python_starts_the_server(folder: Path) -> None:
    assert find_command(Installation(folder, folder / "none", ""), {}) == (sys.executable, "-m", "elks_mcp")


def test_this_installation_is_found_by_an_absolute_path() -> None:
    command, *_ = find_command(find_installation(), {})
    assert Path(command).is_absolute()
    assert Path(command).exists()


def test_a_person_gets_the_command_that_their_shell_finds(folder: Path) -> None:
    scripts = folder / "clone" / ".venv" / "bin"
    scripts.mkdir(parents=True)
    (scripts / f"elks-mcp{SUFFIX}").touch(mode=0o755)
    clone = Installation(scripts.parent, scripts, "")
    by_path = str(scripts.relative_to(folder / "clone") / f"elks-mcp{SUFFIX}")
    run_by_uv = {"UV": str(folder / f"uv{SUFFIX}"), "PATH": str(scripts)}
    assert name_program_here(clone, {"PATH": str(scripts)}, folder) == "elks-mcp"
    assert name_program_here(clone, {"PATH": str(folder)}, folder / "clone") == by_path
    assert name_program_here(clone, run_by_uv, folder / "clone") == by_path, "uv's PATH is not the shell's"
    assert name_program_here(clone, {}, folder / "other") == str(scripts / f"elks-mcp{SUFFIX}")


def test_a_person_who_started_it_with_uvx_gets_uvx(folder: Path) -> None:
    prefix = folder / "cache" / "archive-v0" / "x1"
    found = Installation(prefix, prefix / "bin", SOURCE)
    environ = {"UV": str(folder / f"uv{SUFFIX}"), "PATH": f"{prefix / 'bin'}{os.pathsep}{folder}"}
    assert name_program_here(found, environ, Path("/")) == f"uvx --from {SOURCE} elks-mcp"


def test_an_answer_names_a_command_that_exists_where_the_server_was_started(folder: Path) -> None:
    cached = folder / "cache" / "archive-v0" / "x1"
    environ = {"UV": str(folder / f"uv{SUFFIX}")}
    assert name_program(Installation(folder, folder / "bin", ""), environ) == "elks-mcp"
    by_uvx = Installation(cached, cached / "bin", SOURCE)
    assert name_program(by_uvx, environ) == f"uvx --from {SOURCE} elks-mcp"


def test_a_command_for_this_terminal_is_one_that_its_shell_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV", raising=False)
    command = find_installation().scripts / f"elks-mcp{SUFFIX}"
    monkeypatch.setenv("PATH", str(command.parent))
    assert show_command_here("connect") == "`elks-mcp connect`"
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.chdir(command.parents[1])
    assert show_command_here("connect") == f"`{command.relative_to(Path.cwd())} connect`"
