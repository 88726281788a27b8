"""Obstacles that keep an MCP client from starting a server although its file is correct."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from elks_mcp.clients import files, jsonc
from elks_mcp.clients.catalog import Client
from elks_mcp.clients.client_paths import Machine, find_classic_file


def list_obstacles(client: Client, machine: Machine) -> Iterator[str]:
    """List the obstacles of a client on this machine, and what to do about each."""
    if client.name == "claude-desktop" and machine.system == "win32":
        classic, used = find_classic_file(machine), client.find_file(machine)
        if used not in {None, classic} and Path(classic).exists():
            yield f"{classic} is ignored, because Claude Desktop reads {used}."
    if client.name == "gemini" and not _is_trusted(machine):
        yield (
            f"Gemini CLI does not trust the folder {Path.cwd()}, so it uses no server there. Start "
            "`gemini` in it and trust the folder, or go to one that it trusts."
        )


def _is_trusted(machine: Machine) -> bool:
    """Return whether Gemini CLI trusts the current folder, by its own rules (0.61)."""
    environ = machine.environ
    if environ.get("GEMINI_CLI_TRUST_WORKSPACE") in {"true", "false"}:
        return environ["GEMINI_CLI_TRUST_WORKSPACE"] == "true"
    folder = Path(machine.folder("GEMINI_CLI_HOME")) / ".gemini"
    settings = _read_object(folder / "settings.json")
    for key in ("security", "folderTrust"):
        settings = settings[key] if isinstance(settings.get(key), dict) else {}
    if settings.get("enabled") is False:
        return True
    named = environ.get("GEMINI_CLI_TRUSTED_FOLDERS_PATH")
    rules = _read_object(Path(named) if named else folder / "trustedFolders.json")
    levels = [(len(rule), level) for rule, level in rules.items() if _covers(rule, level, Path.cwd())]
    return bool(levels) and max(levels)[1] != "DO_NOT_TRUST"


def _covers(rule: str, level: object, folder: Path) -> bool:
    place = Path(rule).parent if level == "TRUST_PARENT" else Path(rule)
    return folder.resolve().is_relative_to(place.resolve())


def _read_object(path: Path) -> dict[str, Any]:
    try:
        found = jsonc.parse(files.read(path).text)
    except (files.FileProblem, jsonc.Broken):
        return {}
    return found if isinstance(found, dict) else {}
