"""The first steps that the README describes, in an empty directory, with their output."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from mcp import Client, StdioServerParameters
from mcp_types import Implementation

from tests.support.browser import Browser
from tests.support.clocks import HANG
from tests.support.connecting import words
from tests.support.homes import CONNECTED

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def find_uv() -> str:
    """Return the uv of this machine, or the one that `make setup` installed."""
    found = shutil.which("uv") or shutil.which("uv", path=str(ROOT / ".uv" / "bin"))
    assert found, "make setup brings uv"
    return found


def plain_environment(home: Path) -> dict[str, str]:
    """Return the environment of a new user: no uv, no settings of ours.

    uv has its settings in a file of the home folder, so that a server which `connect` starts has them too.
    """
    settings = home / ".config" / "uv" / "uv.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('system-certs = true\npython-downloads = "never"\n', encoding="utf-8")
    paths = [
        each
        for each in os.environ["PATH"].split(os.pathsep)
        if not shutil.which("uv", path=each) and ".venv" not in each
    ]
    kept = {name: value for name, value in os.environ.items() if name in {"LANG", "TMPDIR", "SSL_CERT_FILE"}}
    return kept | {"HOME": str(home), "PATH": os.pathsep.join(paths)}


def run(command: str | list[str], folder: Path, environ: dict[str, str]) -> str:
    """Run a command and return its output, which has no error in it."""
    done = subprocess.run(
        command,
        shell=isinstance(command, str),
        cwd=folder,
        env=environ,
        capture_output=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        timeout=HANG,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def promised() -> str:
    """Return the output that the README promises of the demo, as a pattern: … stands for anything."""
    (block,) = re.findall(r"^```text\n(…\n.*?)^```", README, re.MULTILINE | re.DOTALL)
    pieces = [re.escape(piece.strip()) for piece in block.split("…")]
    return ".*?".join(pieces)


def printed_command(said: str) -> list[str]:
    """Return the command that the demo prints at its end, and that has to work in the same folder."""
    (command,) = re.findall(r"To use it in your client: `(.+) connect --sandbox`\.$", said, re.MULTILINE)
    return shlex.split(command)


def connect_cursor_and_remove_it(command: list[str], folder: Path, environ: dict[str, str]) -> None:
    """Connect Cursor, whose file has another server, and remove it again, to the byte."""
    file = Path(environ["HOME"], ".cursor", "mcp.json")
    file.parent.mkdir()
    before = b'\xef\xbb\xbf{\r\n  // mine\r\n  "mcpServers": {"files": {"command": "npx"}},\r\n}\r\n'
    file.write_bytes(before)
    said = run([*command, "connect", "cursor", "--sandbox", "--yes"], folder, environ)
    assert f"{CONNECTED}, SANDBOX." in said
    assert b"sms46elks" in file.read_bytes()
    run([*command, "connect", "cursor", "--remove", "--yes"], folder, environ)
    assert file.read_bytes() == before


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="make is not part of Windows")
def test_the_demo_in_the_readme_and_its_next_step_run_from_a_clone(tmp_path: Path) -> None:
    environ = plain_environment(tmp_path)
    run(["git", "clone", "--quiet", "--depth=1", ROOT.as_uri(), "elks-mcp"], tmp_path, environ)
    said = run("make demo", tmp_path / "elks-mcp", environ)
    assert re.search(promised(), said, re.DOTALL), said
    assert printed_command(said) == [".venv/bin/elks-mcp"]
    assert "`.venv/bin/elks-mcp connect …`" in README
    connect_cursor_and_remove_it(printed_command(said), tmp_path / "elks-mcp", environ)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield the wheel of this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    run(
        [find_uv(), "build", "--quiet", "--wheel", "--out-dir", str(folder), str(ROOT)],
        folder,
        dict(os.environ),
    )
    yield from folder.glob("*.whl")


def commands_of_the_readme() -> list[str]:
    """Return the README's commands that begin with `uvx` or `elks-mcp`, without `uvx --from URL`."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()] + re.findall(
        r"^\|[^|]+\| `([^`]+)`", README, re.MULTILINE
    )
    plain = [re.sub(r"^uvx --from \S+ ", "", line) for line in lines]
    return [line for line in plain if line.startswith("elks-mcp ")]


def test_each_client_in_the_readme_gets_the_simulated_phones() -> None:
    rows = [each for each in commands_of_the_readme() if each.startswith("elks-mcp connect")]
    assert len(rows) == 7
    assert all(each.endswith(" --sandbox") for each in rows)


@pytest.mark.long
@pytest.mark.parametrize("command", commands_of_the_readme())
def test_each_command_in_the_readme_runs_from_the_wheel(command: str, wheel: Path, tmp_path: Path) -> None:
    environ = plain_environment(tmp_path)
    words = command.split()[1:]
    if words[0] == "connect":
        words += ["--print"] if words[1] != "--sandbox" else ["--list"]
    said = run(
        [find_uv(), "tool", "run", "--quiet", "--from", str(wheel), "elks-mcp", *words], tmp_path, environ
    )
    if words == ["demo"]:
        assert re.search(promised(), said, re.DOTALL), said
        connect_cursor_and_remove_it(printed_command(said), tmp_path, environ)
    else:
        assert said.strip()


@pytest.mark.anyio
async def test_a_text_goes_from_the_assistant_to_the_page_and_its_answer_back(
    tmp_path: Path, browser: Browser
) -> None:
    """A client starts the server as a real process, and a person answers in a real browser."""
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "elks_mcp"], env={"ELKS_SANDBOX": "true"}, cwd=tmp_path
    )

    def answer(address: str) -> None:
        browser.open(address)
        browser.wait_for("document.querySelector('#screen .theirs .bubble')?.textContent === 'Kommer du? ☕'")
        browser.wait_for(f"document.title.includes('My assistant · {tmp_path.name}')")
        browser.evaluate("document.querySelector('#text').focus()")
        browser.type("Ja, på väg!")

    with anyio.fail_after(HANG):
        async with Client(server, client_info=Implementation(name="My assistant", version="1")) as client:
            sent = await client.call_tool("send_sms", {"to": "070-174 06 05", "message": "Kommer du? ☕"})
            (address,) = re.findall(r"See it arrive: (\S+?)\.?\n", f"{words(sent)}\n")
            await anyio.to_thread.run_sync(answer, address)
            order = (sent.structured_content or {})["orderId"]
            received = await client.call_tool("wait_for_reply", {"after": order})
            assert "Ja, på väg!" in words(received)
