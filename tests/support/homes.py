"""A home folder with the files of some clients, for `connect` and `doctor --client`."""

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

from click.testing import Result

from elks_mcp.domain.toolsets import DEFAULT_TOOLSETS
from elks_mcp.mcp_server.server import list_tools
from elks_mcp.runtime.launcher import find_installation, name_program_here
from tests.support.process import invoke

SCRIPT = Path(sys.executable).with_name("elks-mcp.exe" if sys.platform == "win32" else "elks-mcp")
HERE = name_program_here(find_installation(), {}, Path.cwd())
"""How a person starts the command in this folder, when their shell does not find it by its name."""

CONNECTED = f"Connected, {len(list_tools(DEFAULT_TOOLSETS))} tools"
"""The words of `connect` and `doctor --client` about a server with the tools that are on by default."""

SANDBOX = {"command": str(SCRIPT), "args": [], "env": {"ELKS_SANDBOX": "true"}}


class Home:
    """A home folder with the folders of some clients, and the command run by its owner."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cursor = self.make(".cursor/mcp.json")
        self.codex = self.make(".codex/config.toml")
        self.gemini = self.make(".gemini/settings.json")
        self.environ = {"HOME": str(folder), "USERPROFILE": str(folder), "PATH": str(folder / "bin")}
        self.environ |= dict.fromkeys(("XDG_CONFIG_HOME", "APPDATA", "LOCALAPPDATA", "CODEX_HOME"), "")
        self.environ |= dict.fromkeys(("CLAUDE_CONFIG_DIR", "GEMINI_CLI_HOME", "UV", "DRY_RUN"), "")
        self.environ["ELKS_STATE_DIR"] = ""

    def make(self, file: str) -> Path:
        """Make the folder of a file, and return the file's path."""
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def run(self, *arguments: str, typed: str | None = None, **environ: str) -> Result:
        """Run the command."""
        return invoke(arguments, self.environ | environ, typed)

    def read(self, path: Path) -> dict[str, Any]:
        """Return what a file says about our server."""
        text = path.read_text("utf-8")
        said = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
        servers = next(said[key] for key in ("mcpServers", "mcp_servers", "servers") if key in said)
        found: dict[str, Any] = servers.get("sms46elks", {})
        return found
