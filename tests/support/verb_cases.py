"""Helpers of the tests of the commands that send, look up and wait."""

import json
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal
from click.testing import Result

from elks_mcp.sandbox import Sandbox
from tests.sandbox.serving import serve
from tests.support.connecting import FAST_PACE, live, new_box
from tests.support.process import invoke


@dataclass(frozen=True, slots=True)
class SimulatedElks:
    """A sandbox that is served in another thread, and the environment that names it."""

    box: Sandbox
    environ: Mapping[str, str]
    _portal: BlockingPortal

    def run_command(self, *arguments: str, typed: str | None = None, **environ: str) -> Result:
        """Run a command in this process, where no terminal is."""
        return invoke(arguments, {**self.environ, **environ}, typed)

    def ask_json(self, *arguments: str, **environ: str) -> dict[str, Any]:
        """Run a command with `--json`, and return what it printed."""
        printed: dict[str, Any] = json.loads(self.run_command(*arguments, "--json", **environ).stdout)
        return printed

    def do(self, work: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        """Run something in the thread of the sandbox."""
        return self._portal.call(work, *arguments)

    async def receive(self, number: str, text: str) -> None:
        """Have the account receive a text."""
        self.box.receive(number, text)


@contextmanager
def simulated_elks(folder: Path, box: Sandbox | None = None) -> Iterator[SimulatedElks]:
    """Serve a sandbox; `folder` is for the state directory."""
    box = box or new_box()
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(serve(box)) as url:
        state = {
            "ELKS_STATE_DIR": str(folder / "state"),
            "ELKS_GUARDS_OFF": "night,first_contact",
            "ELKS_POLL_SECONDS": "1",
            **FAST_PACE,
        }
        yield SimulatedElks(box, live(box, ELKS_API_BASE_URL=f"{url}/a1", **state), portal)


def mode_of(file: Path) -> int:
    """Return the permissions of a file; 0o600 on Windows, where they are inherited."""
    return 0o600 if sys.platform == "win32" else file.stat().st_mode & 0o777
