"""The program as a user installs it, in an empty directory and with an empty home."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import chdir
from pathlib import Path

from tests.support.process import running

_OURS = ("ELKS_", "DRY_RUN", "PYTHON", "VIRTUAL_ENV", "XDG_", "RELEASE_")


def find_uv() -> str | None:
    """Return the uv that runs this process, or else the one on the PATH."""
    return os.environ.get("UV") or shutil.which("uv")


def new_environment(uv: str, home: Path) -> dict[str, str]:
    """Return the environment of a user who has uv and has installed nothing yet.

    Only uv's cache is shared, so that packages are downloaded once.
    """
    cache = run([uv, "cache", "dir"], Path.cwd(), os.environ).stdout.strip()
    others = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    folders = [
        entry for entry in os.environ["PATH"].split(os.pathsep) if Path(entry) != Path(sys.executable).parent
    ]
    return others | {
        "PATH": os.pathsep.join([str(Path(uv).parent), *folders]),
        **dict.fromkeys(("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA"), str(home)),
        "UV_CACHE_DIR": cache,
        "PYTHONUTF8": "1",
    }


def run(command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder until it ends, and check that it succeeds."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, (
        f"{' '.join(command)} ended with {done.returncode}.\n{done.stdout}{done.stderr}"
    )
    return done


def try_commands(program: Sequence[str], folder: Path, environ: Mapping[str, str], version: str) -> None:
    """Check that an installed program says its version, and that its demo succeeds."""
    assert run([*program, "--version"], folder, environ).stdout.split()[-1] == version
    demo = run([*program, "demo"], folder, environ)
    assert "send_sms" in demo.stdout
    assert "Traceback" not in demo.stdout + demo.stderr


def try_session(program: Sequence[str], folder: Path, environ: Mapping[str, str], version: str) -> None:
    """Check that an installed program is a server with tools that texts a simulated phone."""
    with (
        chdir(folder),
        running({**environ, "ELKS_SANDBOX": "true"}, folder, command=program) as server,
    ):
        info = server.initialize()["serverInfo"]
        assert (info["name"], info["version"]) == ("elks-mcp", version)
        tools = server.request("tools/list")["result"]["tools"]
        assert "send_sms" in {tool["name"] for tool in tools}
        sent = server.call("send_sms", to="+46701740605", message="Hej!")
        assert not sent.get("isError"), sent
        assert server.close() == 0
