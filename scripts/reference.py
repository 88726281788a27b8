"""The reference: another MCP server for 46elks, which benchmarks compare with ours.

Its source is at https://github.com/palhamel/46elks-mcp-server. It is written in TypeScript and speaks the
older protocol. The address of 46elks is fixed in its source, so a copy is run whose only change is that
address.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench_sessions import Command

_CLIENT = Path("dist", "elks-client.js")
_ADDRESS = "'https://api.46elks.com/a1'"
_OLDEST_NODE = 22

_ENVIRON = (("RATE_LIMIT_QUERIES_PER_MINUTE", "1000000000"),)
"""Its documented setting; by default it refuses the 61st question of a minute."""


@contextmanager
def copied_reference(built: Path, address: str, node: str) -> Iterator[Command]:
    """Copy a built checkout, change the address it asks, and yield its command."""
    with TemporaryDirectory(prefix="reference-") as directory:
        copy = Path(directory)
        shutil.copytree(built / "dist", copy / "dist")
        shutil.copy(built / "package.json", copy)
        (copy / "node_modules").symlink_to((built / "node_modules").resolve(), target_is_directory=True)
        _change_address(copy / _CLIENT, address)
        yield Command(
            "reference",
            (node, str(copy / "dist" / "index.js")),
            "check_account_balance",
            says="balance: ",
            environ=_ENVIRON,
            is_older=True,
        )


def describe(built: Path, node: str) -> str:
    """Return the versions of the reference and of Node."""
    version = json.loads((built / "package.json").read_text(encoding="utf-8"))["version"]
    return f"reference {version} on Node {_get_version(node)}"


def _change_address(client: Path, address: str) -> None:
    source = client.read_text(encoding="utf-8")
    if source.count(_ADDRESS) != 1:
        raise SystemExit(f"{client.name} does not have the address {_ADDRESS} once.")
    client.write_text(source.replace(_ADDRESS, json.dumps(address)), encoding="utf-8")


def check_node(node: str) -> None:
    """End the script if this Node is older than the reference needs."""
    version = _get_version(node)
    if int(version.lstrip("v").partition(".")[0]) < _OLDEST_NODE:
        raise SystemExit(f"The reference needs Node {_OLDEST_NODE}; {node} is {version}. Give --node PATH.")


def _get_version(node: str) -> str:
    return subprocess.check_output([node, "--version"], encoding="utf-8").strip()
