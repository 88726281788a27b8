"""The files of MCP clients on macOS, Linux and Windows, computable on any of them."""

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath


@dataclass(frozen=True, slots=True)
class Machine:
    """The facts that a client's paths depend on.

    `system` is `sys.platform`: "darwin", "win32", or anything else for Linux. The type of `home` decides how
    paths are written, so that the paths of any system can be computed on any other.
    """

    system: str
    home: PurePath
    environ: Mapping[str, str]

    def folder(self, variable: str, *default: str) -> PurePath:
        """Return the folder that a variable names, or else one below the home folder."""
        named = self.environ.get(variable, "")
        return type(self.home)(named) if named else self.home.joinpath(*default)

    @property
    def application_data(self) -> PurePath:
        """The folder in which desktop programs keep their settings."""
        if self.system == "darwin":
            return self.home / "Library" / "Application Support"
        if self.system == "win32":
            return self.folder("APPDATA", "AppData", "Roaming")
        return self.folder("XDG_CONFIG_HOME", ".config")

    def find_command(self, names: Iterable[str]) -> str | None:
        """Return the path of the first of these commands that is on the PATH."""
        path = self.environ.get("PATH", "")
        return next((found for name in names if (found := shutil.which(name, path=path))), None)


class Ambiguous(Exception):
    """A client's file cannot be determined; the message says why."""


def find_desktop_file(machine: Machine) -> PurePath | None:
    r"""Return the file of Claude Desktop, or None on a system that it does not exist for.

    On Windows the app is an MSIX package since 2026. Such an app reads
    `%LOCALAPPDATA%\Packages\Claude_…\LocalCache\Roaming\Claude` and ignores a file in `%APPDATA%\Claude` as
    soon as there is one in the package (anthropics/claude-code#26073).

    Raises:
        Ambiguous: several packages have a file.
    """
    if machine.system not in {"darwin", "win32"}:
        return None
    classic = find_classic_file(machine)
    if machine.system == "darwin":
        return classic
    packages = Path(_find_packages(machine))
    found = [find_packaged_file(machine, each.name) for each in sorted(packages.glob("Claude_*"))]
    filled = [file for file in found if Path(file).exists()]
    if len(filled) > 1:
        listed = " and ".join(str(file) for file in filled)
        raise Ambiguous(f"Claude Desktop is installed more than once, and each reads its own file: {listed}.")
    if filled:
        return filled[0]
    return found[0] if len(found) == 1 and not Path(classic).exists() else classic


def find_classic_file(machine: Machine) -> PurePath:
    """Return the file of a Claude Desktop that is not an MSIX package."""
    return machine.application_data / "Claude" / "claude_desktop_config.json"


def find_packaged_file(machine: Machine, package: str) -> PurePath:
    """Return the file of a Claude Desktop on Windows that is the MSIX package of this name."""
    folder = _find_packages(machine) / package / "LocalCache" / "Roaming" / "Claude"
    return folder / find_classic_file(machine).name


def _find_packages(machine: Machine) -> PurePath:
    return machine.folder("LOCALAPPDATA", "AppData", "Local") / "Packages"


def find_zed_file(machine: Machine) -> PurePath:
    """Return the file of Zed."""
    if machine.system == "win32":
        return machine.application_data / "Zed" / "settings.json"
    if machine.system == "darwin":
        return machine.home / ".config" / "zed" / "settings.json"
    flatpak = machine.environ.get("FLATPAK_XDG_CONFIG_HOME")
    folder = type(machine.home)(flatpak) if flatpak else machine.application_data
    return folder / "zed" / "settings.json"


def find_goose_file(machine: Machine) -> PurePath:
    """Return the file of Goose."""
    if machine.system == "win32":
        return machine.application_data / "Block" / "goose" / "config" / "config.yaml"
    return machine.home / ".config" / "goose" / "config.yaml"


def find_opencode_file(machine: Machine) -> PurePath:
    """Return the file of opencode."""
    folder = machine.home / ".config" / "opencode"
    plain = folder / "opencode.json"
    return plain if Path(plain).exists() else folder / "opencode.jsonc"


def find_lm_studio_file(machine: Machine) -> PurePath:
    """Return the file of LM Studio."""
    older = machine.home / ".cache" / "lm-studio" / "mcp.json"
    return older if Path(older).exists() else machine.home / ".lmstudio" / "mcp.json"


def at_home(*parts: str) -> Callable[[Machine], PurePath]:
    """Return the function that finds a file at the same place below every home folder."""
    return lambda machine: machine.home.joinpath(*parts)
