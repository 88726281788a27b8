"""The sandbox over a socket: programs of this machine and its page may use it, other sites may not."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
import anyio.abc
import anyio.to_thread
import pytest

from elks_mcp.sandbox import ManualClock, Sandbox
from tests.support.browser import Browser
from tests.support.clocks import HANG

from .clients import open_outside, sms
from .serving import serve

pytestmark = pytest.mark.anyio
PATHS = (
    "/",
    "/a1/me",
    "/a1/sms",
    "/a1/SMS/POST",
    "/a1",
    "/_sandbox/state",
    "/_sandbox/ledger",
    "/moose",
    "/_sandbox/events",
    "/_sandbox/waiting",
    "/page/main.js",
)


def credentials(box: Sandbox) -> str:
    """Write what a browser sends that was given the right password in an address."""
    return "Basic " + base64.b64encode(f"{box.username}:{box.password}".encode()).decode()


STRANGE = [
    {"host": "example.com"},
    {"host": "example.com:4646"},
    {"host": "localhost.example.com"},
    {"host": "localhost."},
    {"host": "0.0.0.0:4646"},
    {"host": "[::]:4646"},
    {"host": "[::1].example.com"},
    {"host": "localhost:4646:80"},
    {"host": "user@localhost:4646"},
    {"host": "testserver"},
    {"host": "sandbox:4646"},
    {"host": ""},
    {"origin": "https://example.com"},
    {"origin": "null"},
    {"origin": ""},
    {"origin": "http://localhost"},
    {"origin": "http://localhost:8080"},
    {"origin": "http://127.0.0.1:4646"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "CROSS-SITE"},
    {"sec-fetch-site": "what comes next"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
]


@pytest.mark.parametrize("strange", STRANGE, ids=str)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "HEAD"])
async def test_a_request_that_a_browser_marks_as_cross_site_is_refused_everywhere(
    box: Sandbox, strange: dict[str, str], method: str
) -> None:
    """DNS rebinding is a strange Host, a form or fetch a strange Origin, a link a strange Sec-Fetch-Site."""
    async with open_outside(box, authorization=credentials(box), **strange) as client:
        for path in PATHS:
            answer = await client.request(method, path, params=sms(box))
            assert answer.status_code == 403
            assert method == "HEAD" or answer.text.startswith("The sandbox ")
    assert (box.requests, box.accepted) == ([], [])


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"]
)
async def test_a_form_of_another_sites_page_sends_nothing(box: Sandbox, kind: str) -> None:
    """The three types that a browser posts across origins without asking first (CORS)."""
    form = f"from=%2B46701740699&to=%2B46701740605&message=Hej&x={kind}"
    headers = {"content-type": kind, "authorization": credentials(box)}
    for strange in ({"origin": "https://example.com"}, {"origin": "null"}, {"sec-fetch-site": "same-site"}):
        async with open_outside(box, **headers, **strange) as client:
            assert (await client.post("/a1/sms", content=form)).status_code == 403
            assert (await client.post("/_sandbox/incoming", content=form)).status_code == 403
    assert (box.history, box.accepted) == ([], [])


async def test_a_preflight_request_gets_no_permission(box: Sandbox) -> None:
    asking = {
        "origin": "https://example.com",
        "access-control-request-method": "POST",
        "access-control-request-private-network": "true",
    }
    async with open_outside(box) as client:
        for path in ("/a1/sms", "/_sandbox/incoming", "/"):
            asked, unasked = await client.options(path, headers=asking), await client.options(path)
            assert (asked.status_code, unasked.status_code) in {(403, 405), (403, 401)}
            assert not any(name.startswith("access-control") for name in [*asked.headers, *unasked.headers])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "localhost"},
        {"host": "127.0.0.1:4646", "origin": "http://127.0.0.1:4646", "sec-fetch-site": "same-origin"},
        {"host": "[::1]:4646", "origin": "http://[::1]:4646"},
        {"host": "LOCALHOST:4646", "origin": "http://localhost:4646"},
        {"sec-fetch-site": "none"},
    ],
    ids=str,
)
async def test_programs_and_the_sandboxs_page_are_allowed_under_the_names_of_this_machine(
    box: Sandbox, headers: dict[str, str]
) -> None:
    async with open_outside(box, authorization=credentials(box), **headers) as client:
        for path in ("/", "/a1/me", "/_sandbox/state"):
            assert (await client.get(path)).status_code == 200
        assert (await client.post("/a1/sms", data=sms(box))).status_code == 200
        assert (await client.post("/_sandbox/reset", json={})).status_code == 200


async def test_other_host_names_can_be_allowed() -> None:
    box = Sandbox(clock=ManualClock(), hosts=["elks.test"])
    async with open_outside(box) as client:
        assert (await client.get("http://elks.test/")).status_code == 200
        assert (await client.get("http://localhost/")).status_code == 403


UPGRADE = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AA=="


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET {path} HTTP/1.0", 403),
        ("GET {path} HTTP/1.0\r\nHost: localhost", 200),
        ("GET {path} HTTP/1.1", 400),
        ("GET {path} HTTP/1.1\r\nHost: localhost:1\r\nOrigin: http://localhost", 403),
        ("GET {path} HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site", 403),
        ("GET {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nOrigin: http://x", 403),
        (
            f"GET {{path}} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://x\r\n{UPGRADE}",
            403,
        ),
    ],
)
@pytest.mark.parametrize("path", ["/a1/me", "/_sandbox/state"])
async def test_a_request_over_a_socket_needs_exactly_one_host_header_of_ours(
    box: Sandbox, head: str, status: int, path: str
) -> None:
    async with (
        serve(box) as address,
        await anyio.connect_tcp("127.0.0.1", int(address.rpartition(":")[2])) as stream,
    ):
        await stream.send(f"{head.format(path=path)}\r\nAuthorization: {credentials(box)}\r\n\r\n".encode())
        with anyio.fail_after(HANG):
            answer = await stream.receive()
    assert answer.split(b" ")[1] == str(status).encode()


async def test_two_host_headers_are_refused(box: Sandbox) -> None:
    """A server does not refuse this by itself."""
    async with open_outside(box) as client:
        twice = [("host", "localhost"), ("host", "example.com")]
        assert (await client.get("/", headers=twice)).status_code == 403


async def test_each_sandbox_has_a_password_of_its_own() -> None:
    one, other = Sandbox(), Sandbox()
    assert one.password != other.password
    assert min(len(one.password), len(other.password)) == 32


EVIL_PAGE = b"<!doctype html><title>Win a prize</title><form id=f method=post></form>"


@asynccontextmanager
async def evil_site() -> AsyncIterator[str]:
    """Serve a page of another site, at another port of this machine."""

    async def answer(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            head = f"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(EVIL_PAGE)}\r\n\r\n"
            await stream.send(head.encode() + EVIL_PAGE)

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as group,
    ):
        group.start_soon(listener.serve, answer)
        yield f"127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"  # noqa: S610 - not Django
        group.cancel_scope.cancel()


def wait_for_another_page(browser: Browser) -> None:
    """Wait until the page has navigated away, which ends its requests."""
    for _ in range(10):
        with suppress(AssertionError):
            browser.wait_for("document.title !== 'Win a prize' && document.readyState === 'complete'")
            return


def attack(browser: Browser, evil: str, port: str, box: Sandbox) -> list[str]:
    """Do what a page of another site can do without permission; return the results."""
    bodies = []
    for host in ("localhost", "127.0.0.1"):  # another site, and the same at another port
        sandbox = f"http://{box.username}:{box.password}@{host}:{port}"
        for script in (
            f"location.href = '{sandbox}/a1/sms/POST?from=Klara&to=%2B46701740605&message=Hej'",
            f"f.action = '{sandbox}/a1/sms'; f.submit()",
            f"f.action = '{sandbox}/_sandbox/incoming'; f.enctype = 'text/plain'; f.submit()",
            f"location.href = 'http://{host}:{port}/'",
        ):
            browser.open(f"http://{evil}/")
            fields = {"from": "Klara", "to": "+46701740605", "message": "Hej"}
            for name, value in fields.items():
                made = f"Object.assign(document.createElement('input'), {{name: '{name}', value: '{value}'}})"
                browser.evaluate(f"f.append({made})")
            browser.evaluate(script)
            wait_for_another_page(browser)
            bodies.append(browser.evaluate("document.body.textContent"))
    return bodies


async def test_a_page_of_another_site_sends_and_sees_nothing_in_a_real_browser(
    box: Sandbox, browser: Browser
) -> None:
    with anyio.fail_after(HANG):
        async with serve(box) as address, evil_site() as evil:
            bodies = await anyio.to_thread.run_sync(attack, browser, evil, address.rpartition(":")[2], box)
    assert len(bodies) == 8
    assert all("does not answer requests from pages of other sites" in each for each in bodies)
    assert (box.requests, box.accepted, box.history) == ([], [], [])
