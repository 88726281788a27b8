"""The road to 46elks over real sockets: whatever the other side does, the outcome is a defined one."""

import gzip
import socket
import struct
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx2
import pytest
from anyio.abc import SocketAttribute, SocketStream, TaskGroup
from pydantic import SecretStr

from elks_mcp.elks.handover import SendGate
from elks_mcp.elks.service import Credentials
from elks_mcp.elks.transport import Api
from elks_mcp.errors import (
    NoAnswer,
    OutOfFunds,
    ProviderError,
    Rejected,
    Throttled,
    TooLate,
    Unauthorized,
    Unreachable,
)
from elks_mcp.runtime.addresses import is_loopback
from elks_mcp.runtime.clock import Clock
from elks_mcp.sandbox import Fault, Sandbox
from tests.sandbox.serving import serve
from tests.support.clocks import HANG, ManualClock
from tests.support.connecting import until
from tests.support.provider import Permission, api_of, posts

pytestmark = pytest.mark.anyio

Handler = Callable[["Peer", SocketStream], Awaitable[None]]

PASSWORD = "c0ffee" * 5
FORM = {"from": "+46701740699", "to": "+46701740605", "message": "Hej!"}
LIMIT = timedelta(seconds=HANG)
"""By the clock of a test, which it turns; connecting alone may take a share of it in real time."""

REPLY = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\r\n{"id": "s1"}'
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: closing sends a reset."""

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(autouse=True)
def _no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


class Peer:
    """A TCP server with a handler for each connection; the last one serves the rest too."""

    def __init__(self, handlers: tuple[Handler, ...], port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/a1"
        self.port = port
        self.connections = 0
        self.requests: list[bytes] = []
        self.drip = anyio.Semaphore(0)
        self.dripped = 0
        self._handlers = handlers

    def has_requests(self, number: int) -> bool:
        return len(self.requests) >= number

    def has_dripped(self, number: int) -> bool:
        return self.dripped >= number

    async def serve(self, stream: SocketStream) -> None:
        self.connections += 1
        handler = self._handlers[min(self.connections, len(self._handlers)) - 1]
        async with stream:
            # The client may hang up whenever it likes.
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                await handler(self, stream)


@asynccontextmanager
async def peer(*handlers: Handler) -> AsyncIterator[Peer]:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        server = Peer(handlers, listener.extra_attributes[SocketAttribute.local_port]())
        async with anyio.create_task_group() as group:
            group.start_soon(listener.serve, server.serve)
            yield server
            group.cancel_scope.cancel()


async def read_request(server: Peer, stream: SocketStream) -> None:
    """Read one request whole, and note it down."""
    got = b""
    while b"\r\n\r\n" not in got:
        got += await stream.receive()
    head, _, body = got.partition(b"\r\n\r\n")
    length = int(
        dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:]).get(b"content-length", 0)
    )
    while len(body) < length:
        body += await stream.receive()
    server.requests.append(got)


def answering(*replies: bytes) -> Handler:
    """Answer one request after the other on one connection, then close it."""

    async def handle(server: Peer, stream: SocketStream) -> None:
        for each in replies:
            await read_request(server, stream)
            await stream.send(each)

    return handle


async def closing(server: "Peer", stream: SocketStream) -> None:
    """Read one request and hang up."""
    await read_request(server, stream)


async def resetting(server: "Peer", stream: SocketStream) -> None:
    """Read one request and reset the connection."""
    await read_request(server, stream)
    raw = stream.extra_attributes[SocketAttribute.raw_socket]()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


async def hanging(server: "Peer", stream: SocketStream) -> None:
    """Read what comes and never answer."""
    await read_request(server, stream)
    await stream.receive()


def dripping(start: bytes) -> Handler:
    """Answer one byte at a time, each when the test asks for it, for ever."""

    async def handle(server: Peer, stream: SocketStream) -> None:
        await read_request(server, stream)
        await stream.send(start)
        while True:
            await server.drip.acquire()
            await stream.send(b" ")
            server.dripped += 1

    return handle


def reply(status: str, body: bytes = b"", *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


@asynccontextmanager
async def road_to(url: str, limit: timedelta = LIMIT, *, clock: Clock | None = None) -> AsyncIterator[Api]:
    """Build a road on which time stands still, unless the test turns the clock."""
    api = Api(
        Credentials("u1", SecretStr(PASSWORD)), base_url=url, timeout=limit, clock=clock or ManualClock()
    )
    with anyio.fail_after(HANG):
        yield api
        await api.aclose()


class Asking:
    """A request that is under way while the test goes on."""

    def __init__(self, tasks: TaskGroup, call: Awaitable[bytes]) -> None:
        self.failure: ProviderError | None = None
        tasks.start_soon(self._run, call)

    async def _run(self, call: Awaitable[bytes]) -> None:
        self.failure = await failure_of(call)


async def failure_of(call: Awaitable[bytes]) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await call
    return caught.value


# ── nothing left this machine ──


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_refused_connection_is_unreachable(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with road_to(f"{scheme}://127.0.0.1:{port}/a1") as api:
        for call in (api.post("/sms", FORM), api.get("/me")):
            error = await failure_of(call)
            assert type(error) is Unreachable
            assert str(port) not in str(error)


async def test_a_name_that_nobody_has_is_unreachable() -> None:
    async with road_to("https://46elks.invalid/a1") as api:
        assert type(await failure_of(api.post("/sms", FORM))) is Unreachable


async def test_tls_with_somebody_who_does_not_speak_it_is_unreachable() -> None:
    async def mumbling(server: Peer, stream: SocketStream) -> None:
        server.requests.append(await stream.receive())
        await stream.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with peer(mumbling) as server, road_to(server.url.replace("http", "https")) as api:
        assert type(await failure_of(api.post("/sms", FORM))) is Unreachable
        assert b"Hej" not in server.requests[0]


async def test_tls_that_never_comes_about_is_unreachable_within_the_limit() -> None:
    async def silent(server: Peer, stream: SocketStream) -> None:
        while True:
            server.requests.append(await stream.receive())

    limit = timedelta(seconds=0.3)  # real for a socket that does not come about, and only there
    async with peer(silent) as server, road_to(server.url.replace("http", "https"), limit) as api:
        error = await failure_of(api.post("/sms", FORM))
        assert type(error) is Unreachable
        assert "took too long" in str(error)


@pytest.mark.parametrize("fault", [Fault.CONNECTION_REFUSED, Fault.CONNECT_TIMEOUT])
async def test_a_connection_that_never_came_about_is_unreachable(fault: Fault) -> None:
    box = Sandbox()
    box.faults.inject(fault)
    assert type(await failure_of(api_of(box).post("/sms", FORM))) is Unreachable
    assert box.requests == []


async def test_more_requests_than_connections_wait_in_vain_and_never_leave() -> None:
    """Waiting for a connection has a real limit, of 3 seconds here: a tenth of the whole."""
    clock, limit = ManualClock(), timedelta(seconds=30)
    async with (
        peer(hanging) as server,
        road_to(server.url, limit, clock=clock) as api,
        anyio.create_task_group() as tasks,
    ):
        asking = [Asking(tasks, api.post("/sms", FORM)) for _ in range(110)]
        await until(lambda: len(server.requests) == 100)
        await until(lambda: sum(each.failure is not None for each in asking) == 10)
        assert all(type(each.failure) is Unreachable for each in asking if each.failure)
        clock.advance(limit)
        await until(lambda: all(each.failure for each in asking))
        assert sum(type(each.failure) is NoAnswer for each in asking) == 100
        assert len(server.requests) == 100


# ── it may have arrived ──


@pytest.mark.parametrize("cut", range(len(REPLY)))
async def test_a_reply_cut_anywhere_is_no_answer_and_a_post_is_made_once(cut: int) -> None:
    async with peer(answering(REPLY[:cut])) as server, road_to(server.url) as api:
        assert isinstance(await failure_of(api.post("/sms", FORM)), NoAnswer)
        assert len(server.requests) == server.connections == 1


@pytest.mark.parametrize("ending", [closing, resetting], ids=["closed", "reset"])
async def test_a_connection_that_ends_before_the_answer_is_no_answer(
    ending: Handler,
) -> None:
    async with peer(ending) as server, road_to(server.url) as api:
        assert isinstance(await failure_of(api.post("/sms", FORM)), NoAnswer)
        assert len(server.requests) == server.connections == 1


@pytest.mark.parametrize(
    "slow",
    [
        hanging,
        dripping(b"HTTP/1.1 200 "),
        dripping(b"HTTP/1.1 200 OK\r\nx: "),
        dripping(b"HTTP/1.1 200 OK\r\ncontent-length: 4000\r\n\r\n"),
        dripping(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 4000\r\n\r\n"),
    ],
    ids=["hangs", "drips a status", "drips a header", "drips a body", "drips a refusal"],
)
async def test_who_hangs_or_drips_for_ever_is_cut_off_at_the_limit(slow: Handler) -> None:
    clock = ManualClock()
    async with peer(slow) as server, road_to(server.url, clock=clock) as api:
        for number, call in enumerate((api.post("/sms", FORM), api.get("/me")), 1):
            async with anyio.create_task_group() as tasks:
                asking = Asking(tasks, call)
                await until(partial(server.has_requests, number))
                for _ in range(3):
                    clock.advance(LIMIT / 4)
                    if slow is not hanging:
                        drops = server.dripped
                        server.drip.release()
                        await until(partial(server.has_dripped, drops + 1))
                    assert asking.failure is None
                clock.advance(LIMIT / 4)
            assert isinstance(asking.failure, NoAnswer)
        assert len(server.requests) == 2


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_an_answer_larger_than_any_is_not_read_to_its_end(encoding: str) -> None:
    huge = b" " * 5 * 1024 * 1024
    body = gzip.compress(huge) if encoding == "gzip" else huge
    async with (
        peer(answering(reply("200 OK", body, f"content-encoding: {encoding}"))) as server,
        road_to(server.url) as api,
    ):
        for call in (api.post("/sms", FORM), api.get("/me")):
            error = await failure_of(call)
            assert isinstance(error, NoAnswer)
            assert "too large" in str(error)
        assert len(server.requests) == 2


async def test_an_answer_that_cannot_be_unpacked_is_no_answer() -> None:
    async with (
        peer(answering(reply("200 OK", b"not gzip", "content-encoding: gzip"))) as server,
        road_to(server.url) as api,
    ):
        for call in (api.post("/sms", FORM), api.get("/me")):
            assert isinstance(await failure_of(call), NoAnswer)
        assert len(server.requests) == 2


# ── what 46elks says ──


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("302 Found", Rejected),
        ("400 Bad Request", Rejected),
        ("401 Unauthorized", Unauthorized),
        ("402 Payment Required", OutOfFunds),
        ("403 Forbidden", Rejected),
        ("404 Not Found", Rejected),
        ("408 Request Timeout", NoAnswer),
        ("429 Too Many Requests", Throttled),
        ("500 Internal Server Error", NoAnswer),
        ("503 Service Unavailable", NoAnswer),
    ],
)
async def test_a_status_is_the_error_it_means_and_nothing_is_asked_twice(
    status: str, kind: type[ProviderError]
) -> None:
    async with peer(answering(reply(status, b"No."))) as server, road_to(server.url) as api:
        for call in (api.post("/sms", FORM), api.get("/me")):
            assert type(await failure_of(call)) is kind
        assert len(server.requests) == 2


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "202 Accepted"])
async def test_any_2xx_is_a_success(status: str) -> None:
    async with peer(answering(reply(status, b'{"id": "s1"}'))) as server, road_to(server.url) as api:
        assert await api.post("/sms", FORM) == b'{"id": "s1"}'


async def test_a_refusal_counts_even_where_its_words_are_cut_off() -> None:
    cut = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 40\r\n\r\nMissing key fr"
    async with peer(answering(cut)) as server, road_to(server.url) as api:
        error = await failure_of(api.post("/sms", FORM))
    assert type(error) is Rejected
    assert error.said == "Missing key fr"


async def test_a_redirect_is_not_followed_and_gets_no_credentials() -> None:
    async with peer(answering(REPLY)) as elsewhere:
        moved = reply("307 Temporary Redirect", b"", f"location: {elsewhere.url}/sms")
        async with peer(answering(moved)) as server, road_to(server.url) as api:
            for call in (api.post("/sms", FORM), api.get("/me")):
                error = await failure_of(call)
                assert type(error) is Rejected
                assert "never followed" in str(error)
            assert len(server.requests) == 2
        assert elsewhere.connections == 0


@pytest.mark.parametrize("location", ["http://[", "nonsense:x", "http://x:99999999/", "\x7f"])
async def test_a_redirect_to_nowhere_is_a_provider_error(location: str) -> None:
    moved = reply("302 Found", b"", f"location: {location}")
    async with peer(answering(moved)) as server, road_to(server.url) as api:
        assert not isinstance(await failure_of(api.post("/sms", FORM)), Unreachable)
        assert len(server.requests) == 1


# ── connections ──


async def test_each_post_has_a_connection_of_its_own_and_gets_share_one() -> None:
    async with peer(answering(REPLY, REPLY, REPLY)) as server, road_to(server.url) as api:
        await api.get("/me")
        await api.get("/me")
        assert server.connections == 1
        await api.post("/sms", FORM)
        await api.post("/sms", FORM)
        await api.get("/me")
        assert server.connections == 3
        assert [request.split()[0] for request in server.requests] == [
            b"GET",
            b"GET",
            b"POST",
            b"POST",
            b"GET",
        ]


async def test_a_get_over_a_connection_that_went_stale_is_made_again() -> None:
    async def going_stale(server: Peer, stream: SocketStream) -> None:
        await read_request(server, stream)
        await stream.send(REPLY)
        await read_request(server, stream)

    async with peer(going_stale, answering(REPLY)) as server, road_to(server.url) as api:
        assert await api.get("/me") == b'{"id": "s1"}'
        assert await api.get("/me") == b'{"id": "s1"}'
        assert (server.connections, len(server.requests)) == (2, 3)


@pytest.mark.parametrize(
    "ending", [closing, resetting, answering(REPLY[:-1])], ids=["closed", "reset", "cut"]
)
async def test_a_get_is_made_twice_at_most(ending: Handler) -> None:
    async with peer(ending) as server, road_to(server.url) as api:
        assert isinstance(await failure_of(api.get("/me")), NoAnswer)
        assert len(server.requests) == 2


async def test_both_tries_of_a_get_share_one_limit() -> None:
    clock, hang_up = ManualClock(), anyio.Event()

    async def late(server: Peer, stream: SocketStream) -> None:
        await read_request(server, stream)
        await hang_up.wait()

    async with (
        peer(late, hanging) as server,
        road_to(server.url, clock=clock) as api,
        anyio.create_task_group() as tasks,
    ):
        asking = Asking(tasks, api.get("/me"))
        await until(lambda: len(server.requests) == 1)
        clock.advance(LIMIT * 0.7)
        hang_up.set()
        await until(lambda: len(server.requests) == 2)
        assert not asking.failure
        clock.advance(LIMIT * 0.3)
        await until(lambda: bool(asking.failure))
        assert isinstance(asking.failure, NoAnswer)
        assert len(server.requests) == 2


async def test_fifty_gets_at_once_are_answered_each() -> None:
    box = Sandbox()
    async with serve(box) as url:
        credentials = Credentials(box.username, SecretStr(box.password))
        api = Api(credentials, base_url=f"{url}/a1", timeout=LIMIT)
        answers: list[bytes] = []

        async def ask() -> None:
            answers.append(await api.get("/me"))

        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(ask)
        await api.aclose()
    assert len(answers) == 50
    assert all(box.username.encode() in answer for answer in answers)


async def test_closing_twice_is_closing_once_and_asking_again_opens_anew() -> None:
    async with peer(answering(REPLY)) as server, road_to(server.url) as api:
        await api.aclose()
        await api.get("/me")
        await api.post("/sms", FORM)
        await api.aclose()
        await api.aclose()
        assert await api.get("/me") == b'{"id": "s1"}'


@pytest.mark.parametrize("method", ["get", "post"])
async def test_a_cancelled_call_leaves_the_road_open(method: str) -> None:
    async with peer(hanging, answering(REPLY)) as server, road_to(server.url) as api:

        async def ask() -> bytes:
            return await (api.get("/me") if method == "get" else api.post("/sms", FORM))

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            while not server.requests:
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        assert await ask() == b'{"id": "s1"}'


# ── whether it may still be sent ──


@pytest.mark.parametrize("answers", [0, 1, 2])
async def test_who_may_not_send_any_more_sends_nothing_that_could_be_accepted(answers: int) -> None:
    """The right ends before the call, while the connection is being made, or between head and form."""
    async with peer(hanging) as server, road_to(server.url) as api:
        right = Permission(answers)
        assert type(await failure_of(api.post("/sms", FORM, permission=right))) is TooLate
        assert right.asked == answers + 1
        assert server.requests == []
        assert server.connections <= answers


HOLDS_BACK = hasattr(socket, "TCP_CORK")
ASKED = 4 if HOLDS_BACK else 3
"""How often the right is asked for; the last time while the kernel holds the form back, where it does."""


async def test_who_may_still_send_is_asked_around_every_step_and_not_after() -> None:
    async with peer(answering(REPLY)) as server, road_to(server.url) as api:
        right = Permission(ASKED)
        assert await api.post("/sms", FORM, permission=right) == b'{"id": "s1"}'
        assert right.asked == ASKED
        assert len(server.requests) == 1


@pytest.mark.skipif(not HOLDS_BACK, reason="only Linux holds back what was written")
@pytest.mark.parametrize("message", ["Hej!", "Hej! " * 10_000])
async def test_who_stood_still_between_the_last_look_and_the_write_takes_it_back(message: str) -> None:
    async with peer(hanging, answering(REPLY)) as server, road_to(server.url) as api:
        form = {**FORM, "message": message}
        failure = await failure_of(api.post("/sms", form, permission=Permission(3)))
        assert type(failure) is NoAnswer, "it may have left after all, had it been frozen for a second time"
        assert await api.post("/sms", FORM) == b'{"id": "s1"}'
        assert len(server.requests) == 1, "only the second one arrived"


async def test_where_nothing_is_held_back_what_was_written_is_sent() -> None:
    async with peer(answering(REPLY)) as server, httpx2.AsyncClient(trust_env=False, timeout=None) as client:
        right = Permission(2)
        extensions = {"trace": SendGate(right, cork=None)}
        answer = await client.post(f"{server.url}/sms", data=FORM, extensions=extensions)
        assert answer.content == b'{"id": "s1"}'
        assert right.asked == 2


@pytest.mark.parametrize("answers", [0, 1, 2])
async def test_after_a_right_that_ended_the_next_one_is_as_good_as_ever(answers: int) -> None:
    async with peer(answering(REPLY)) as server, road_to(server.url) as api:
        await failure_of(api.post("/sms", FORM, permission=Permission(answers)))
        assert await api.post("/sms", FORM, permission=Permission(ASKED)) == b'{"id": "s1"}'
        assert await api.post("/sms", FORM) == b'{"id": "s1"}'
        assert len(server.requests) == 2


# ── 46elks' clock ──


@pytest.mark.parametrize("seconds", [-3600, -2, 0, 2, 3600])
async def test_each_answer_tells_how_far_46elks_clock_is_ahead(seconds: int) -> None:
    clock = ManualClock()
    theirs = clock.now() + timedelta(seconds=seconds)
    date = f"date: {theirs:%a, %d %b %Y %H:%M:%S} GMT"
    for status in ("200 OK", "403 Forbidden", "500 Internal Server Error"):
        async with peer(answering(reply(status, b"{}", date))) as server:
            api = Api(Credentials("u1", SecretStr(PASSWORD)), base_url=server.url, timeout=LIMIT, clock=clock)
            with suppress(ProviderError):
                await api.get("/me")
            await api.aclose()
        assert api.skew == timedelta(seconds=seconds)


@pytest.mark.parametrize("header", ["x: y", "date: soon", "date: ", "date: Mon, 99 Nov 2026 12:00:00 GMT"])
async def test_an_answer_without_a_usable_date_changes_nothing(header: str) -> None:
    clock = ManualClock()
    date = f"date: {clock.now() + timedelta(seconds=7):%a, %d %b %Y %H:%M:%S} GMT"
    replies = reply("200 OK", b"{}", date), reply("200 OK", b"{}", header)
    async with peer(answering(*replies)) as server:
        api = Api(Credentials("u1", SecretStr(PASSWORD)), base_url=server.url, timeout=LIMIT, clock=clock)
        assert api.skew == timedelta()
        for _ in replies:
            await api.get("/me")
        await api.aclose()
    assert api.skew == timedelta(seconds=7)


# ── secrets, and who gets to see them ──


async def test_credentials_go_out_as_basic_authentication_over_a_form() -> None:
    async with peer(answering(REPLY)) as server, road_to(server.url) as api:
        await api.post("/sms", FORM)
    (request,) = server.requests
    assert b"authorization: basic " + b64encode(f"u1:{PASSWORD}".encode()).lower() in request.lower()
    assert b"content-type: application/x-www-form-urlencoded" in request.lower()
    assert request.endswith(b"from=%2B46701740699&to=%2B46701740605&message=Hej%21")


@pytest.mark.parametrize("echo", [PASSWORD, b64encode(f"u1:{PASSWORD}".encode()).decode().rstrip("=")])
async def test_a_secret_that_is_echoed_does_not_come_out(echo: str) -> None:
    for status in ("401 Unauthorized", "403 Forbidden", "500 Internal Server Error"):
        async with (
            peer(answering(reply(status, f"You said {echo}".encode()))) as server,
            road_to(server.url) as api,
        ):
            error = await failure_of(api.post("/sms", FORM))
        assert "You said ***" in error.explain()
        assert echo not in error.explain() + repr(error) + error.said


async def test_no_repr_shows_a_secret() -> None:
    credentials = Credentials("u1", SecretStr(PASSWORD))
    api = Api(credentials)
    assert PASSWORD not in repr(credentials) + str(credentials) + repr(api)


async def test_this_machine_is_never_reached_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with peer(answering(REPLY)) as proxy, peer(answering(REPLY)) as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with road_to(server.url) as api:
            await api.post("/sms", FORM)
            await api.get("/me")
        assert (proxy.connections, server.connections) == (0, 2)


async def test_a_proxy_is_used_sees_no_credentials_and_may_say_no(monkeypatch: pytest.MonkeyPatch) -> None:
    async with peer(answering(reply("403 Forbidden"))) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        async with road_to("https://46elks.invalid/a1") as api:
            error = await failure_of(api.post("/sms", FORM))
        assert type(error) is Unreachable
        assert "proxy" in str(error)
        (request,) = proxy.requests
        assert request.startswith(b"CONNECT 46elks.invalid:443 ")
        assert b"authorization" not in request.lower()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", "nonsense://me:tops3cret@proxy"),
        ("ALL_PROXY", "socks5://me:tops3cret@127.0.0.1:1"),
        ("SSL_CERT_FILE", "/nowhere/tops3cret.pem"),
    ],
)
async def test_an_environment_that_is_no_use_is_unreachable(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    async with road_to("https://46elks.invalid/a1") as api:
        error = await failure_of(api.post("/sms", FORM))
    assert type(error) is Unreachable
    assert "tops3cret" not in error.explain()


async def test_netrc_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login eve password eves\ndefault login eve password eves\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with peer(answering(REPLY)) as server:
        api = Api(Credentials("", SecretStr("")), base_url=server.url, timeout=LIMIT)
        await api.get("/me")
        await api.aclose()
    assert b64encode(b"eve:eves") not in server.requests[0]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:4646/a1", True),
        ("http://LOCALHOST", True),
        ("http://127.0.0.1/a1", True),
        ("http://127.8.9.10/a1", True),
        ("http://[::1]:4646", True),
        ("https://api.46elks.com/a1", False),
        ("http://127.example.com/a1", False),
        ("http://127.0.0.1.example.com", False),
        ("http://localhost.example.com", False),
        ("http://192.168.0.1", False),
        ("/a1", False),
    ],
)
def test_only_this_machine_is_this_machine(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected


async def test_post_reaches_the_sandbox_once_and_in_its_words() -> None:
    box = Sandbox()
    body = httpx2.Response(200, content=await api_of(box).post("/sms", FORM)).json()
    assert datetime.fromisoformat(body["created"]).replace(tzinfo=UTC) <= datetime.now(UTC)
    assert [post.form for post in posts(box)] == [FORM]
