"""A real browser, steered over its debugging pipe: no driver to install, no port to open.

https://chromedevtools.github.io/devtools-protocol/: JSON commands, each ended by a zero byte, go in through
file descriptor 3 and answers come out through 4.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest

from tests.support.clocks import HANG

if sys.platform != "win32":
    import fcntl

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--remote-debugging-pipe",
)
# The browser wants its pipe at two fixed descriptors, and only a process can put them there.
_AT_3_AND_4 = "import os, sys; os.dup2({0}, 3); os.dup2({1}, 4); os.execv(sys.argv[1], sys.argv[1:])"


def find_browser() -> str | None:
    """Return the path of a Chromium, or None. On Windows, which has no such pipes, always None."""
    if sys.platform == "win32":
        return None
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


class Browser:
    """One tab. Waiting is done by the page itself, in promises."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._unread = b""
        self._count = 0
        self._session: str | None = None
        self._target: str | None = None

    def open(
        self, url: str, *, width: int = 1280, height: int = 800, dark: bool = False, keeps_last: bool = False
    ) -> Self:
        """Open *url* in a tab of that size, close the last one, and wait until it is loaded."""
        self._session, last = None, self._target
        self._target = self._call("Target.createTarget", url="about:blank")["targetId"]
        if last and not keeps_last:
            self._call("Target.closeTarget", targetId=last)
        attached = self._call("Target.attachToTarget", targetId=self._target, flatten=True)
        self._session = attached["sessionId"]
        self._call("Page.enable")
        is_phone = width < 500
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone}
        self._call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])
        self._call("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete'")
        return self

    def evaluate(self, script: str) -> Any:
        """Return what *script* comes to, once it has."""
        result = self._call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Wait until *condition* is true on the page."""
        seen = self.evaluate(
            f"new Promise((done) => {{ const end = Date.now() + {HANG * 1000}; const look = () =>"
            f" {{ const seen = Boolean({condition}); if (seen || Date.now() > end) done(seen);"
            " else setTimeout(look, 20); }; look(); })"
        )
        assert seen, f"never true on the page: {condition}"

    def take_screenshot(self) -> bytes:
        """Return what the tab shows, as a PNG."""
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])

    def type(self, text: str) -> None:
        """Type *text* where the focus is, and Enter."""
        self._call("Input.insertText", text=text)
        self._press_enter()

    def type_key(self, key: str) -> None:
        """Press the *key* of one character where the focus is."""
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key=key, text=key if kind == "keyDown" else "")

    def _press_enter(self) -> None:
        for kind in ("keyDown", "keyUp"):
            enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
            self._call("Input.dispatchKeyEvent", type=kind, **enter)

    def close_others(self) -> None:
        """Close all tabs but this one."""
        session, self._session = self._session, None
        for each in self._call("Target.getTargets")["targetInfos"]:
            if each["type"] == "page" and each["targetId"] != self._target:
                self._call("Target.closeTarget", targetId=each["targetId"])
        self._session = session

    def close(self) -> None:
        """End the browser."""
        self._session = None
        self._call("Browser.close")

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._count += 1
        command = {"id": self._count, "method": method, "params": params}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        while (answer := self._read()).get("id") != self._count:
            pass
        assert "error" not in answer, answer["error"]
        result: dict[str, Any] = answer["result"]
        return result

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            chunk = os.read(self._answers, 65536)
            assert chunk, "the browser is gone"
            self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message


@contextmanager
def start_browser(path: str, profile: Path) -> Iterator[Browser]:
    """Start the browser at *path* with an empty *profile*, and end it afterwards."""
    pipes = [*os.pipe(), *os.pipe()]
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20) for end in pipes]
    for end in pipes:
        os.close(end)
    commands_out, commands_in, answers_out, answers_in = high
    shim = _AT_3_AND_4.format(commands_out, answers_in)
    command = [sys.executable, "-c", shim, path, *_FLAGS, f"--user-data-dir={profile}"]
    with subprocess.Popen(command, pass_fds=(commands_out, answers_in), stderr=subprocess.DEVNULL) as process:
        os.close(commands_out)
        os.close(answers_in)
        browser = Browser(commands_in, answers_out)
        try:
            yield browser
            browser.close()
        finally:
            os.close(commands_in)
            os.close(answers_out)
            try:
                process.wait(HANG)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """Start a browser. A test is skipped without one, or fails with REQUIRE_BROWSER=1."""
    path = find_browser()
    if path is None:
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail("REQUIRE_BROWSER=1, and no Chromium was found")
        pytest.skip("no Chromium was found")
    with start_browser(path, tmp_path) as started:
        yield started
