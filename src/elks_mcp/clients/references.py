"""References in a client's file, such as `${NAME}` or `{env:NAME}`, and which it replaces."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from elks_mcp.clients.client_paths import Machine

_REFERENCE = re.compile(
    r"(?P<opening>\$?\{(?:(?:input|env|file):)?)(?P<name>[^{}]*?)(?::-(?P<default>[^{}]*))?\}"
    r"|(?P<dollar>\$)(?P<bare>[A-Za-z_]\w*)"
    r"|(?P<percent>%)(?P<between>[A-Za-z_]\w*)%"
)
_REPLACED: Mapping[str, tuple[str, ...]] = {
    "claude-code": ("${",),
    "cursor": ("${env:",),
    "gemini": ("${", "$"),
    "opencode": ("{env:", "{file:"),
    "vscode": ("${input:", "${env:"),
    "windsurf": ("${env:", "${file:"),
}
"""How the references begin that a client replaces."""

_NAMES_FOLDERS = ("cursor", "vscode")
"""The clients that replace `${userHome}`, `${workspaceFolder}` and the like."""


class Left(NamedTuple):
    """A reference that a client does not replace, and the value that has it."""

    where: str
    text: str


class References:
    """Replaces references as a client does.

    `missing` collects the variables and files that have no value, and `left` what the client does not
    replace. The folder that is open in the client is taken to be the current one.
    """

    def __init__(self, client: str, machine: Machine) -> None:
        on_windows = ("%",) if client == "gemini" and machine.system == "win32" else ()
        self._replaced = (*_REPLACED.get(client, ()), *on_windows)
        self._folders = _list_folders(machine) if client in _NAMES_FOLDERS else {}
        self._environ = machine.environ
        self.missing: list[str] = []
        self.left: list[Left] = []

    def replace(self, where: str, text: str) -> str:
        """Return a text with the values of its references; `where` says what the text is."""
        return _REFERENCE.sub(lambda found: self._look_up(where, found), text)

    def find(self, name: str) -> str:
        """Return the value of a variable, or "", which is noted."""
        return self._note(name, self._environ.get(name, ""))

    def _look_up(self, where: str, found: re.Match[str]) -> str:
        kind = found["opening"] or found["dollar"] or found["percent"]
        name = found["name"] or found["bare"] or found["between"] or ""
        if kind == "${" and name in self._folders:
            return self._folders[name]
        if kind not in self._replaced:
            if _is_meant(kind, found):
                self.left.append(Left(where, found[0]))
            return found[0]
        if kind.endswith("file:"):
            return self._note(name, _read(name))
        if found["default"] is not None and not self._environ.get(name):
            return found["default"]
        return self.find(name.upper() if kind == "${input:" else name)

    def _note(self, name: str, value: str) -> str:
        if not value:
            self.missing.append(name)
        return value


def _is_meant(kind: str, found: re.Match[str]) -> bool:
    """Return whether a text was meant as a reference. A password may have such characters."""
    if kind not in {"$", "%"}:
        return kind != "{"
    is_at_start = found.start() == 0 and found.string[found.end() :][:1] in {"", "/", "\\"}
    return is_at_start and found[0].isupper()


def _list_folders(machine: Machine) -> dict[str, str]:
    folder = Path.cwd()
    return {
        "userHome": str(machine.home),
        "workspaceFolder": str(folder),
        "workspaceFolderBasename": folder.name,
        "cwd": str(folder),
        "pathSeparator": os.sep,
        "/": os.sep,
    }


def _read(path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
