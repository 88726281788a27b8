"""The command that a client gets: an absolute path, whatever elks-mcp was installed with."""

import sys
from pathlib import Path

import pytest

from elks_mcp.clients.launcher import Installation, find_command, find_installation

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
def test_what_uvx_runs_is_started_by_uvx_again(folder: Path, cache: str, variable: str) -> None:
    environ = {variable: str(folder / f"uv{SUFFIX}" if variable == "UV" else folder)}
    prefix = folder / ".cache" / "uv" / cache
    found = find_command(Installation(prefix, prefix / "bin", SOURCE), environ)
    assert found == (str(folder / f"uvx{SUFFIX}"), "--from", SOURCE, "elks-mcp")


def test_an_installed_tool_is_started_by_its_path(folder: Path) -> None:
    script = folder / f"elks-mcp{SUFFIX}"
    script.touch(mode=0o755)
    installation = Installation(folder / "tools" / "elks-mcp", folder, SOURCE)
    assert find_command(installation, {"UV": str(folder / f"uv{SUFFIX}")}) == (str(script),)


def test_python_starts_it_if_there_is_no_command(folder: Path) -> None:
    assert find_command(Installation(folder, folder / "none", ""), {}) == (sys.executable, "-m", "elks_mcp")


def test_this_installation_is_found_by_an_absolute_path() -> None:
    command, *_ = find_command(find_installation(), {})
    assert Path(command).is_absolute()
    assert Path(command).exists()
