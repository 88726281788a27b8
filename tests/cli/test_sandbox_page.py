"""The phones page of a server in sandbox mode, with real processes and real sockets."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client

from tests.cli.test_http import serving
from tests.support.clocks import HANG
from tests.support.connecting import call, data
from tests.support.process import PROGRAM, Process, running

SANDBOX = {"ELKS_SANDBOX": "true"}
PHONE = "+46701740605"
TRACED = (sys.executable, "-X", "importtime", "-m", "elks_mcp")


def page_of(server: Process) -> str:
    """Ask a server for the address of its page."""
    page: str = server.call("explain_policy")["structuredContent"]["sandbox"]["page"]
    return page


def connect(page: str) -> socket.socket:
    """Connect to the port of a page, as a browser does."""
    return socket.create_connection(("127.0.0.1", httpx2.URL(page).port or 0), timeout=HANG)


def read_page(page: str) -> str:
    """Read a page. It contains a token of its process, so that no two processes serve the same one."""
    return httpx2.get(page, trust_env=False).text


def is_gone(page: str, content: str) -> bool:
    """Return whether a page with this content is gone. Another server may have taken its port since."""
    try:
        return read_page(page) != content
    except httpx2.TransportError:
        return True


def read_state(page: str) -> dict[str, Any]:
    """Read the state of a sandbox as its page does."""
    state: dict[str, Any] = httpx2.get(f"{page}/_sandbox/state", trust_env=False).json()
    return state


@contextmanager
def endless_request(page: str) -> Iterator[None]:
    """Have a request open that is not answered, like a page that listens to events."""
    fault = {"fault": "hang", "method": "GET", "path": "/numbers"}
    httpx2.post(f"{page}/_sandbox/faults", json=fault, trust_env=False).raise_for_status()
    with connect(page) as browser:
        browser.sendall(b"GET /a1/numbers HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while httpx2.get(f"{page}/_sandbox/faults", trust_env=False).json()["faults"]:
            pass
        yield


def test_a_text_is_seen_on_the_page_of_the_same_process(tmp_path: Path) -> None:
    with running(SANDBOX, tmp_path) as server:
        server.initialize()
        sent = server.call("send_sms", to=PHONE, message="Hej på dig")
        found = re.search(r"\nSee it arrive: (http://127\.0\.0\.1:[0-9]+)$", sent["content"][0]["text"])
        assert found
        page = found[1]
        assert page == page_of(server)
        assert [each["text"] for each in read_state(page)["messages"]] == ["Hej på dig"]
        content = read_page(page)
        assert "<title>" in content
        assert server.close() == 0
        assert all(json.loads(line)["jsonrpc"] == "2.0" for line in server.lines), "P11"
        assert is_gone(page, content)


def test_closing_the_input_ends_the_process_and_port_while_a_browser_waits_for_events(tmp_path: Path) -> None:
    with running(SANDBOX, tmp_path) as server:
        server.initialize()
        page = page_of(server)
        content = read_page(page)
        with endless_request(page):
            assert server.close() == 0
            assert is_gone(page, content)
        assert '"level": "ERROR"' not in server.stderr


def test_each_client_has_its_own_sandbox_on_its_own_port(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with running(SANDBOX, tmp_path) as one, running(SANDBOX, tmp_path / "other") as other:
        for server in (one, other):
            server.initialize()
        pages = [page_of(one), page_of(other)]
        assert pages[0] != pages[1]
        other.call("send_sms", to=PHONE, message="Hej")
        assert [len(read_state(page)["messages"]) for page in pages] == [0, 1]


def test_a_server_without_a_page_does_not_mention_one(tmp_path: Path) -> None:
    environ = SANDBOX | {"ELKS_SANDBOX_PAGE": "off", "ELKS_CONFIRM": "always"}
    with running(environ, tmp_path) as server:
        server.initialize()
        report = server.call("explain_policy")
        assert report["structuredContent"]["sandbox"]["page"] is None
        assert "- +46701740613: Answers “JA”\n" in report["content"][0]["text"]
        refused = server.call("send_sms", to=PHONE, message="Hej")
        assert refused["isError"]
        assert "no terminal reaches the sandbox" in refused["content"][0]["text"]
        assert "http://" not in report["content"][0]["text"] + refused["content"][0]["text"]


def test_the_modules_of_the_page_load_after_the_tools_were_listed(tmp_path: Path) -> None:
    with running(SANDBOX, tmp_path, command=TRACED) as server:
        server.initialize()
        assert server.close() == 0
        assert not re.search(r"\| +elks_mcp.sandbox.serving$", server.stderr, re.MULTILINE)


def test_listing_the_tools_opens_the_page(tmp_path: Path) -> None:
    with running(SANDBOX, tmp_path, command=TRACED) as server:
        server.initialize()
        server.request("tools/list")
        server.request("prompts/list")
        assert server.close() == 0
        assert re.search(r"\| +elks_mcp.sandbox.serving$", server.stderr, re.MULTILINE)


@pytest.mark.anyio
async def test_over_http_the_page_is_served_until_the_server_stops(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, url):
        async with Client(f"{url}/mcp") as client:
            page = data(await call(client, "explain_policy"))["sandbox"]["page"]
            assert read_state(page)["messages"] == []
            content = read_page(page)
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANG) == 0
        assert is_gone(page, content)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal for one process")
def test_the_demo_says_that_it_was_stopped() -> None:
    command = [*PROGRAM, "demo"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stdout
        assert any("explain_policy" in line for line in process.stdout), "its server runs"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=HANG)
    assert (process.returncode, errors.splitlines()[-1]) == (1, "The demo was stopped before its end.")
    assert "Aborted!" not in errors


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal for one process")
def test_the_demo_keeps_its_page_until_ctrl_c() -> None:
    command = [*PROGRAM, "demo", "--page"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as process:
        try:
            assert process.stdout
            said = (re.match(r"The phones are at (\S+) until", line) for line in process.stdout)
            page = next(found[1] for found in said if found)
            content = read_page(page)
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(HANG) == 0
        assert is_gone(page, content)
