"""The files of each client's servers, for all three systems, computed on any of them."""

from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import pytest

from elks_mcp.clients.catalog import CLIENTS, SERVER, list_here
from elks_mcp.clients.client_paths import Ambiguous, Machine, find_classic_file, find_packaged_file

MAC = Machine("darwin", PurePosixPath("/Users/you"), {})
LINUX = Machine("linux", PurePosixPath("/home/you"), {})
WINDOWS = Machine(
    "win32",
    PureWindowsPath(r"C:\Users\you"),
    {"APPDATA": r"C:\Users\you\AppData\Roaming", "LOCALAPPDATA": r"C:\Users\you\AppData\Local"},
)
SUPPORT = "/Users/you/Library/Application Support"
ROAMING = r"C:\Users\you\AppData\Roaming"
BY_NAME = {client.name: client for client in CLIENTS}


@pytest.mark.parametrize(
    ("name", "mac", "linux", "windows"),
    [
        (
            "claude-desktop",
            f"{SUPPORT}/Claude/claude_desktop_config.json",
            "None",
            rf"{ROAMING}\Claude\claude_desktop_config.json",
        ),
        (
            "vscode",
            f"{SUPPORT}/Code/User/mcp.json",
            "/home/you/.config/Code/User/mcp.json",
            rf"{ROAMING}\Code\User\mcp.json",
        ),
        (
            "zed",
            "/Users/you/.config/zed/settings.json",
            "/home/you/.config/zed/settings.json",
            rf"{ROAMING}\Zed\settings.json",
        ),
        (
            "goose",
            "/Users/you/.config/goose/config.yaml",
            "/home/you/.config/goose/config.yaml",
            rf"{ROAMING}\Block\goose\config\config.yaml",
        ),
        *(
            (name, f"/Users/you/{file}", f"/home/you/{file}", "C:\\Users\\you\\" + file.replace("/", "\\"))
            for name, file in {
                "claude-code": ".claude.json",
                "cursor": ".cursor/mcp.json",
                "codex": ".codex/config.toml",
                "gemini": ".gemini/settings.json",
                "windsurf": ".codeium/windsurf/mcp_config.json",
                "opencode": ".config/opencode/opencode.jsonc",
                "lm-studio": ".lmstudio/mcp.json",
                "copilot": ".copilot/mcp-config.json",
            }.items()
        ),
    ],
)
def test_each_client_has_its_file_on_each_system(name: str, mac: str, linux: str, windows: str) -> None:
    found = [str(BY_NAME[name].find_file(machine)) for machine in (MAC, LINUX, WINDOWS)]
    assert found == [mac, linux, windows]


@pytest.mark.parametrize(
    ("name", "variable", "file"),
    [
        ("claude-code", "CLAUDE_CONFIG_DIR", "/elsewhere/.claude.json"),
        ("codex", "CODEX_HOME", "/elsewhere/config.toml"),
        ("gemini", "GEMINI_CLI_HOME", "/elsewhere/.gemini/settings.json"),
        ("vscode", "XDG_CONFIG_HOME", "/elsewhere/Code/User/mcp.json"),
        ("zed", "FLATPAK_XDG_CONFIG_HOME", "/elsewhere/zed/settings.json"),
    ],
)
def test_a_variable_may_name_another_folder(name: str, variable: str, file: str) -> None:
    machine = Machine("linux", PurePosixPath("/home/you"), {variable: "/elsewhere"})
    assert str(BY_NAME[name].find_file(machine)) == file


def test_the_name_of_the_server_is_accepted_by_every_client() -> None:
    assert SERVER[0].isalpha()


# ── Claude Desktop on Windows ──


def on_windows(home: Path, *written: str) -> Machine:
    """Return a Windows machine with these files below its home folder."""
    for each in written:
        (home / each).parent.mkdir(parents=True, exist_ok=True)
        (home / each).touch()
    return Machine("win32", home, {})


CLASSIC = "AppData/Roaming/Claude/claude_desktop_config.json"
PACKAGE = "AppData/Local/Packages/Claude_pzs8sxrjxfjjc/"
PACKAGED = f"{PACKAGE}LocalCache/Roaming/Claude/claude_desktop_config.json"


@pytest.mark.parametrize(
    ("written", "used"),
    [
        ([], CLASSIC),
        ([CLASSIC], CLASSIC),
        ([PACKAGED], PACKAGED),
        ([PACKAGED, CLASSIC], PACKAGED),
        ([f"{PACKAGE}installed"], PACKAGED),
        ([f"{PACKAGE}installed", CLASSIC], CLASSIC),
    ],
)
def test_claude_desktop_reads_the_file_of_its_package(written: list[str], used: str, tmp_path: Path) -> None:
    machine = on_windows(tmp_path, *written)
    assert BY_NAME["claude-desktop"].find_file(machine) == tmp_path / used
    assert find_classic_file(machine) == tmp_path / CLASSIC


def test_with_two_packages_that_have_a_file_none_is_guessed(tmp_path: Path) -> None:
    machine = on_windows(tmp_path, PACKAGED, PACKAGED.replace("pzs8", "other"))
    with pytest.raises(Ambiguous, match="installed more than once"):
        BY_NAME["claude-desktop"].find_file(machine)
    assert BY_NAME["claude-desktop"].is_here(machine)


def test_the_page_names_both_files_of_claude_desktop_on_windows_and_which_one_counts() -> None:
    page = (Path(__file__).parents[2] / "docs" / "connect.md").read_text("utf-8")
    section = page.split("## Claude Desktop")[1].split("\n## ")[0]
    packaged, classic = (line for line in section.splitlines() if line.startswith("- Windows: "))
    windows = Machine("win32", PureWindowsPath("home"), {"LOCALAPPDATA": "%LOCALAPPDATA%"})
    assert packaged == f"- Windows: `{find_packaged_file(windows, 'Claude_…')}`"
    assert classic == r"- Windows: `%APPDATA%\Claude\claude_desktop_config.json`"
    assert "reads the first file if there is one, and else the\nsecond" in section


# ── who is here ──


def test_a_client_is_found_by_its_file_its_folder_or_its_command(tmp_path: Path) -> None:
    (tmp_path / ".cursor").mkdir()
    (tmp_path / ".claude.json").touch()
    command = tmp_path / "bin" / "gemini"
    command.parent.mkdir()
    command.touch(mode=0o755)
    machine = Machine("linux", tmp_path, {"PATH": str(command.parent)})
    assert [client.name for client in list_here(machine)] == ["claude-code", "cursor", "gemini"]


def test_older_paths_are_used_if_they_exist(tmp_path: Path) -> None:
    machine = on_windows(tmp_path, ".cache/lm-studio/mcp.json", ".config/opencode/opencode.json")
    files: list[PurePath | None] = [BY_NAME[name].find_file(machine) for name in ("lm-studio", "opencode")]
    assert [file and file.name for file in files] == ["mcp.json", "opencode.json"]
