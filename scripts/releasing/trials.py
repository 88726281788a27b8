"""The checks of a release: what a user does, from an empty directory, and other judges."""

import json
import os
import re
import shutil
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.installed import run, try_commands, try_session

from releasing.building import Built
from releasing.project import PACKAGING, PLUGIN, ROOT

_MCPB = "@anthropic-ai/mcpb@2.1.2"
_CLAUDE = "@anthropic-ai/claude-code@2.1.332"


class FailedError(Exception):
    """A check failed."""


class NotTriedError(Exception):
    """A check is left out, since something that it needs is not here."""


def require(condition: object, reason: str) -> None:
    """Fail a check with this reason, unless the condition is true."""
    if not condition:
        raise FailedError(reason)


@dataclass(frozen=True)
class Trial:
    """A release, with the empty directory and the environment in which it is tried."""

    built: Built
    uv: str
    folder: Path
    environ: Mapping[str, str]

    def run(self, *command: str, **environ: str) -> str:
        """Run a command that must succeed, and return its output."""
        return run(command, self.folder, {**self.environ, **environ}).stdout

    def run_npm(self, package: str, *command: str, **environ: str) -> str:
        """Run a command of a package that npm downloads."""
        if not shutil.which("npm"):
            raise NotTriedError("npm is not installed.")
        cache = run(["npm", "config", "get", "cache"], ROOT, os.environ).stdout.strip()
        prefix = ("npm", "exec", "--yes", f"--package={package}", "--")
        return self.run(*prefix, *command, npm_config_cache=cache, **environ)

    def try_session(self, *program: str, **environ: str) -> None:
        """Start a server, list its tools, and text a simulated phone."""
        try_session(program, self.folder, {**self.environ, **environ}, self.built.project.version)

    def require_version(self, *program: str, **environ: str) -> None:
        """Check that a program says the version of the release."""
        said = self.run(*program, "--version", **environ)
        require(said.split()[-1] == self.built.project.version, f"{' '.join(program)}: {said}")


def check_wheel(trial: Trial) -> None:
    """Check that the wheel has all our files, and what PyPI and the MCP registry need."""
    with zipfile.ZipFile(trial.built.wheel) as wheel:
        names = set(wheel.namelist())
        (metadata,) = (wheel.read(name).decode() for name in names if name.endswith("/METADATA"))
    source = ROOT / "src"
    files = {each for each in source.rglob("*") if each.is_file() and "__pycache__" not in each.parts}
    missing = {each.relative_to(source).as_posix() for each in files} - names
    require(not missing, f"The wheel lacks {', '.join(sorted(missing))}.")
    require(any(name.endswith("/licenses/LICENSE") for name in names), "The wheel lacks LICENSE.")
    name = f"mcp-name: {trial.built.project.registry_name}"
    require(name in metadata, f"The README lacks the line <!-- {name} -->.")
    require("](docs/" not in metadata, "The README has links that do not work on PyPI.")


def try_wheel(trial: Trial) -> None:
    """Run the wheel with uvx, which is short for `uv tool run`."""
    program = (trial.uv, "tool", "run", "--from", str(trial.built.wheel), "elks-mcp")
    try_commands(program, trial.folder, trial.environ, trial.built.project.version)
    trial.try_session(*program)


def try_sdist(trial: Trial) -> None:
    """Run the sdist with uvx, which builds a wheel of it."""
    trial.try_session(trial.uv, "tool", "run", "--from", str(trial.built.sdist), "elks-mcp")


def try_git(trial: Trial) -> None:
    """Run the last commit with uvx."""
    if not (ROOT / ".git").exists():
        raise NotTriedError("This is not a git repository.")
    trial.require_version(trial.uv, "tool", "run", "--from", f"git+{ROOT.as_uri()}", "elks-mcp")


def try_tool(trial: Trial) -> None:
    """Install the wheel, run it, and uninstall it."""
    places = {"UV_TOOL_DIR": str(trial.folder / "tools"), "UV_TOOL_BIN_DIR": str(trial.folder / "bin")}
    trial.run(trial.uv, "tool", "install", str(trial.built.wheel), **places)
    (program,) = (trial.folder / "bin").glob("elks-mcp*")
    trial.try_session(str(program))
    trial.run(trial.uv, "tool", "uninstall", "elks-mcp", **places)
    require(not program.exists(), f"{program} is still there.")


def try_bundle(trial: Trial) -> None:
    """Unpack the bundle, install what it needs, and start it, as Claude Desktop does."""
    folder = trial.folder / "bundle"
    with zipfile.ZipFile(trial.built.bundle) as bundle:
        bundle.extractall(folder)
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    server = manifest["server"]
    python = {"UV_PYTHON": sys.executable}  # Claude Desktop downloads the one that .python-version names
    trial.run(trial.uv, "sync", "--frozen", "--directory", str(folder), **python)
    *arguments, name = (part.replace("${__dirname}", str(folder)) for part in server["mcp_config"]["args"])
    environ = _fill_in(server["mcp_config"]["env"], manifest["user_config"])
    trial.try_session(trial.uv, *arguments, name, **environ, **python)
    trial.require_version(trial.uv, *arguments, server["entry_point"], **python)


def _fill_in(environ: Mapping[str, str], user_config: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment for a user who changes no field.

    A field without a default is not replaced.
    """
    defaults = {
        f"${{user_config.{name}}}": json.dumps(field["default"])
        for name, field in user_config.items()
        if "default" in field
    }
    return {name: defaults.get(value, value) for name, value in environ.items()}


def judge_distributions(trial: Trial) -> None:
    """Let twine look for what PyPI refuses."""
    files = (str(trial.built.wheel), str(trial.built.sdist))
    trial.run(trial.uv, "tool", "run", "twine", "check", "--strict", *files)


def judge_bundle(trial: Trial) -> None:
    """Let the program for bundles validate the manifest and unpack the bundle."""
    unpacked = trial.folder / "unpacked"
    trial.run_npm(_MCPB, "mcpb", "unpack", str(trial.built.bundle), str(unpacked))
    trial.run_npm(_MCPB, "mcpb", "validate", str(unpacked / "manifest.json"))


def judge_plugin(trial: Trial) -> None:
    """Let Claude Code validate and install the plugin, and connect to the server.

    The server is the wheel, since the tag of this version is not there yet.
    """
    market = trial.folder / "market"
    plugin = market / PLUGIN.relative_to(ROOT)
    shutil.copytree(ROOT / ".claude-plugin", market / ".claude-plugin")
    shutil.copytree(PLUGIN, plugin)
    manifest = plugin / ".claude-plugin" / "plugin.json"
    text = manifest.read_text("utf-8")
    manifest.write_text(re.sub(r'"git\+[^"]+"', json.dumps(str(trial.built.wheel)), text), "utf-8")
    place = {"CLAUDE_CONFIG_DIR": str(trial.folder / "claude"), "MCP_TIMEOUT": "120000"}
    for command in (
        ("validate", "--strict", str(market)),
        ("validate", "--strict", str(plugin)),
        ("marketplace", "add", str(market)),
        ("install", "elks-mcp@elks-mcp"),
    ):
        trial.run_npm(_CLAUDE, "claude", "plugin", *command, **place)
    servers = trial.run_npm(_CLAUDE, "claude", "mcp", "list", **place)
    require(re.search("sms46elks: .*✔ Connected", servers), servers)


def judge_server_json(trial: Trial) -> None:
    """Let the registry's schema judge server.json."""
    file = PACKAGING / "server.json"
    schema = json.loads(file.read_text("utf-8"))["$schema"]
    try:
        trial.run(trial.uv, "tool", "run", "check-jsonschema", "--schemafile", schema, str(file))
    except AssertionError as error:
        if "ConnectionError" in str(error):
            raise NotTriedError(f"{schema} cannot be reached.") from None
        raise


TRIALS: Mapping[str, Callable[[Trial], None]] = {
    "the wheel is complete": check_wheel,
    "uvx --from the wheel: version, demo, session": try_wheel,
    "uvx --from the sdist: session": try_sdist,
    "uvx --from git: version": try_git,
    "uv tool install the wheel: session, uninstall": try_tool,
    "the bundle, started as Claude Desktop does: session": try_bundle,
}
"""The steps of a user. They need uv alone."""

JUDGES: Mapping[str, Callable[[Trial], None]] = {
    "twine accepts wheel and sdist": judge_distributions,
    "mcpb accepts the bundle": judge_bundle,
    "Claude Code accepts the plugin and connects": judge_plugin,
    "server.json follows its schema": judge_server_json,
}
"""The judgements of other programs. npm or uv downloads those."""
