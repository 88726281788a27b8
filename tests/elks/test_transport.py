"""Failures of a request, and what each means for a message."""

import gzip
import socket
from datetime import timedelta
from functools import partial

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import SocketStream

from elks_mcp.errors import (
    NoAnswer,
    OutOfFunds,
    ProviderError,
    Rejected,
    Throttled,
    Unauthorized,
    Unreachable,
)
from elks_mcp.sandbox import Fault, Sandbox
from tests.support.clocks import ManualClock
from tests.support.connecting import until
from tests.support.provider import api_of
from tests.support.transport_cases import (
    FORM,
    LIMIT,
    REPLY,
    Asking,
    Handler,
    Peer,
    answering,
    api_to,
    closing,
    failure_of,
    hanging,
    peer,
    read_request,
    reply,
    resetting,
)

pytestmark = pytest.mark.anyio


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


# ── nothing left this machine ──


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_refused_connection_is_unreachable(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with api_to(f"{scheme}://127.0.0.1:{port}/a1") as api:
        for call in (api.post("/sms", FORM), api.get("/me")):
            error = await failure_of(call)
            assert type(error) is Unreachable
            assert str(port) not in str(error)


async def test_an_unknown_host_name_is_unreachable() -> None:
    async with api_to("https://46elks.invalid/a1") as api:
        assert type(await failure_of(api.post("/sms", FORM))) is Unreachable


async def test_a_server_that_does_not_speak_tls_is_unreachable() -> None:
    async def mumbling(server: Peer, stream: SocketStream) -> None:
        server.requests.append(await stream.receive())
        await stream.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with peer(mumbling) as server, api_to(server.url.replace("http", "https")) as api:
        assert type(await failure_of(api.post("/sms", FORM))) is Unreachable
        assert b"Hej" not in server.requests[0]


async def test_an_unfinished_tls_handshake_is_unreachable_within_the_limit() -> None:
    async def silent(server: Peer, stream: SocketStream) -> None:
        while True:
            server.requests.append(await stream.receive())

    limit = timedelta(seconds=0.3)  # real for a socket that does not come about, and only there
    async with peer(silent) as server, api_to(server.url.replace("http", "https"), limit) as api:
        error = await failure_of(api.post("/sms", FORM))
        assert type(error) is Unreachable
        assert "took too long" in str(error)


@pytest.mark.parametrize("fault", [Fault.CONNECTION_REFUSED, Fault.CONNECT_TIMEOUT])
async def test_a_connection_that_is_not_established_is_unreachable(fault: Fault) -> None:
    box = Sandbox()
    box.faults.inject(fault)
    assert type(await failure_of(api_of(box).post("/sms", FORM))) is Unreachable
    assert box.requests == []


async def test_requests_beyond_the_connection_limit_time_out_unsent() -> None:
    """Waiting for a connection has a real limit, of 3 seconds here: a tenth of the whole."""
    clock, limit = ManualClock(), timedelta(seconds=30)
    async with (
        peer(hanging) as server,
        api_to(server.url, limit, clock=clock) as api,
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
async def test_a_truncated_answer_is_uncertain_and_a_post_is_made_once(cut: int) -> None:
    async with peer(answering(REPLY[:cut])) as server, api_to(server.url) as api:
        assert isinstance(await failure_of(api.post("/sms", FORM)), NoAnswer)
        assert len(server.requests) == server.connections == 1


@pytest.mark.parametrize("ending", [closing, resetting], ids=["closed", "reset"])
async def test_a_connection_that_ends_before_the_answer_is_uncertain(
    ending: Handler,
) -> None:
    async with peer(ending) as server, api_to(server.url) as api:
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
async def test_a_server_that_hangs_or_trickles_is_cut_off_at_the_limit(slow: Handler) -> None:
    clock = ManualClock()
    async with peer(slow) as server, api_to(server.url, clock=clock) as api:
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
async def test_an_oversized_answer_is_not_read_to_its_end(encoding: str) -> None:
    huge = b" " * 5 * 1024 * 1024
    body = gzip.compress(huge) if encoding == "gzip" else huge
    async with (
        peer(answering(reply("200 OK", body, f"content-encoding: {encoding}"))) as server,
        api_to(server.url) as api,
    ):
        for call in (api.post("/sms", FORM), api.get("/me")):
            error = await failure_of(call)
            assert isinstance(error, NoAnswer)
            assert "too large" in str(error)
        assert len(server.requests) == 2


async def test_an_answer_that_cannot_be_decompressed_is_uncertain() -> None:
    async with (
        peer(answering(reply("200 OK", b"not gzip", "content-encoding: gzip"))) as server,
        api_to(server.url) as api,
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
async def test_each_status_raises_its_error_and_no_request_is_repeated(
    status: str, kind: type[ProviderError]
) -> None:
    async with peer(answering(reply(status, b"No."))) as server, api_to(server.url) as api:
        for call in (api.post("/sms", FORM), api.get("/me")):
            assert type(await failure_of(call)) is kind
        assert len(server.requests) == 2


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "202 Accepted"])
async def test_any_2xx_is_a_success(status: str) -> None:
    async with peer(answering(reply(status, b'{"id": "s1"}'))) as server, api_to(server.url) as api:
        assert await api.post("/sms", FORM) == b'{"id": "s1"}'


async def test_a_refusal_counts_even_if_its_message_is_truncated() -> None:
    cut = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 40\r\n\r\nMissing key fr"
    async with peer(answering(cut)) as server, api_to(server.url) as api:
        error = await failure_of(api.post("/sms", FORM))
    assert type(error) is Rejected
    assert error.said == "Missing key fr"


async def test_a_redirect_is_not_followed_and_gets_no_credentials() -> None:
    async with peer(answering(REPLY)) as elsewhere:
        moved = reply("307 Temporary Redirect", b"", f"location: {elsewhere.url}/sms")
        async with peer(answering(moved)) as server, api_to(server.url) as api:
            for call in (api.post("/sms", FORM), api.get("/me")):
                error = await failure_of(call)
                assert type(error) is Rejected
                assert "never followed" in str(error)
            assert len(server.requests) == 2
        assert elsewhere.connections == 0


@pytest.mark.parametrize("location", ["http://[", "nonsense:x", "http://x:99999999/", "\x7f"])
async def test_a_redirect_to_nowhere_is_a_provider_error(location: str) -> None:
    moved = reply("302 Found", b"", f"location: {location}")
    async with peer(answering(moved)) as server, api_to(server.url) as api:
        assert not isinstance(await failure_of(api.post("/sms", FORM)), Unreachable)
        assert len(server.requests) == 1
