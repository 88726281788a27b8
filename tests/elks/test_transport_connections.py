"""Connections, the last check before sending, the clock, and secrets."""

import socket
from base64 import b64encode
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx2
import pytest
from anyio.abc import SocketStream
from pydantic import SecretStr

from elks_mcp.elks.credentials import Credentials
from elks_mcp.elks.send_gate import SendGate
from elks_mcp.elks.transport import Api
from elks_mcp.errors import (
    NoAnswer,
    ProviderError,
    TooLate,
    Unreachable,
)
from elks_mcp.runtime.addresses import is_loopback
from elks_mcp.sandbox import Sandbox
from tests.sandbox.serving import serve
from tests.support.clocks import ManualClock
from tests.support.connecting import until
from tests.support.provider import Permission, api_of, posts
from tests.support.transport_cases import (
    FORM,
    LIMIT,
    PASSWORD,
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


# ── connections ──


async def test_each_post_has_its_own_connection_and_gets_share_one() -> None:
    async with peer(answering(REPLY, REPLY, REPLY)) as server, api_to(server.url) as api:
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


async def test_a_get_over_a_stale_connection_is_repeated() -> None:
    async def going_stale(server: Peer, stream: SocketStream) -> None:
        await read_request(server, stream)
        await stream.send(REPLY)
        await read_request(server, stream)

    async with peer(going_stale, answering(REPLY)) as server, api_to(server.url) as api:
        assert await api.get("/me") == b'{"id": "s1"}'
        assert await api.get("/me") == b'{"id": "s1"}'
        assert (server.connections, len(server.requests)) == (2, 3)


@pytest.mark.parametrize(
    "ending", [closing, resetting, answering(REPLY[:-1])], ids=["closed", "reset", "cut"]
)
async def test_a_get_is_made_at_most_twice(ending: Handler) -> None:
    async with peer(ending) as server, api_to(server.url) as api:
        assert isinstance(await failure_of(api.get("/me")), NoAnswer)
        assert len(server.requests) == 2


async def test_both_tries_of_a_get_share_one_limit() -> None:
    clock, hang_up = ManualClock(), anyio.Event()

    async def late(server: Peer, stream: SocketStream) -> None:
        await read_request(server, stream)
        await hang_up.wait()

    async with (
        peer(late, hanging) as server,
        api_to(server.url, clock=clock) as api,
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


async def test_closing_twice_is_harmless_and_a_later_request_reopens() -> None:
    async with peer(answering(REPLY)) as server, api_to(server.url) as api:
        await api.aclose()
        await api.get("/me")
        await api.post("/sms", FORM)
        await api.aclose()
        await api.aclose()
        assert await api.get("/me") == b'{"id": "s1"}'


@pytest.mark.parametrize("method", ["get", "post"])
async def test_a_cancelled_call_leaves_the_connection_open(method: str) -> None:
    async with peer(hanging, answering(REPLY)) as server, api_to(server.url) as api:

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
async def test_without_permission_nothing_is_written_that_46elks_could_accept(answers: int) -> None:
    """The permission ends before the call, during the connection, or between head and body."""
    async with peer(hanging) as server, api_to(server.url) as api:
        right = Permission(answers)
        assert type(await failure_of(api.post("/sms", FORM, permission=right))) is TooLate
        assert right.asked == answers + 1
        assert server.requests == []
        assert server.connections <= answers


HOLDS_BACK = hasattr(socket, "TCP_CORK")


ASKED = 4 if HOLDS_BACK else 3
"""How often the right is asked for; the last time while the kernel holds the form back, where it does."""


async def test_the_permission_is_checked_around_every_step_and_not_afterwards() -> None:
    async with peer(answering(REPLY)) as server, api_to(server.url) as api:
        right = Permission(ASKED)
        assert await api.post("/sms", FORM, permission=right) == b'{"id": "s1"}'
        assert right.asked == ASKED
        assert len(server.requests) == 1


@pytest.mark.skipif(not HOLDS_BACK, reason="only Linux holds back what was written")
@pytest.mark.parametrize("message", ["Hej!", "Hej! " * 10_000])
async def test_a_process_frozen_between_the_last_check_and_the_write_aborts_the_request(message: str) -> None:
    async with peer(hanging, answering(REPLY)) as server, api_to(server.url) as api:
        form = {**FORM, "message": message}
        failure = await failure_of(api.post("/sms", form, permission=Permission(3)))
        assert type(failure) is NoAnswer, "it may have left after all, had it been frozen for a second time"
        assert await api.post("/sms", FORM) == b'{"id": "s1"}'
        assert len(server.requests) == 1, "only the second one arrived"


async def test_without_corking_a_permitted_request_is_sent() -> None:
    async with peer(answering(REPLY)) as server, httpx2.AsyncClient(trust_env=False, timeout=None) as client:
        right = Permission(2)
        extensions = {"trace": SendGate(right, cork=None)}
        answer = await client.post(f"{server.url}/sms", data=FORM, extensions=extensions)
        assert answer.content == b'{"id": "s1"}'
        assert right.asked == 2


@pytest.mark.parametrize("answers", [0, 1, 2])
async def test_after_an_ended_permission_the_next_one_works(answers: int) -> None:
    async with peer(answering(REPLY)) as server, api_to(server.url) as api:
        await failure_of(api.post("/sms", FORM, permission=Permission(answers)))
        assert await api.post("/sms", FORM, permission=Permission(ASKED)) == b'{"id": "s1"}'
        assert await api.post("/sms", FORM) == b'{"id": "s1"}'
        assert len(server.requests) == 2


# ── 46elks' clock ──


@pytest.mark.parametrize("seconds", [-3600, -2, 0, 2, 3600])
async def test_each_answer_shows_how_far_46elks_clock_is_ahead(seconds: int) -> None:
    clock = ManualClock()
    theirs = clock.now() + timedelta(seconds=seconds)
    date = f"date: {theirs:%a, %d %b %Y %H:%M:%S} GMT"
    for status in ("200 OK", "403 Forbidden", "500 Internal Server Error"):
        async with peer(answering(reply(status, b"{}", date))) as server:
            api = Api(Credentials("u1", SecretStr(PASSWORD)), base_url=server.url, timeout=LIMIT, clock=clock)
            with suppress(ProviderError):
                await api.get("/me")
            await api.aclose()
        assert api.provider_clock.skew == timedelta(seconds=seconds)


@pytest.mark.parametrize("header", ["x: y", "date: soon", "date: ", "date: Mon, 99 Nov 2026 12:00:00 GMT"])
async def test_an_answer_without_a_usable_date_changes_nothing(header: str) -> None:
    clock = ManualClock()
    date = f"date: {clock.now() + timedelta(seconds=7):%a, %d %b %Y %H:%M:%S} GMT"
    replies = reply("200 OK", b"{}", date), reply("200 OK", b"{}", header)
    async with peer(answering(*replies)) as server:
        api = Api(Credentials("u1", SecretStr(PASSWORD)), base_url=server.url, timeout=LIMIT, clock=clock)
        assert api.provider_clock.skew == timedelta()
        for _ in replies:
            await api.get("/me")
        await api.aclose()
    assert api.provider_clock.skew == timedelta(seconds=7)


# ── secrets, and who gets to see them ──


async def test_credentials_go_out_as_basic_authentication_over_a_form() -> None:
    async with peer(answering(REPLY)) as server, api_to(server.url) as api:
        await api.post("/sms", FORM)
    (request,) = server.requests
    assert b"authorization: basic " + b64encode(f"u1:{PASSWORD}".encode()).lower() in request.lower()
    assert b"content-type: application/x-www-form-urlencoded" in request.lower()
    assert request.endswith(b"from=%2B46701740699&to=%2B46701740605&message=Hej%21")


@pytest.mark.parametrize("echo", [PASSWORD, b64encode(f"u1:{PASSWORD}".encode()).decode().rstrip("=")])
async def test_an_echoed_secret_is_not_shown(echo: str) -> None:
    for status in ("401 Unauthorized", "403 Forbidden", "500 Internal Server Error"):
        async with (
            peer(answering(reply(status, f"You said {echo}".encode()))) as server,
            api_to(server.url) as api,
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
        async with api_to(server.url) as api:
            await api.post("/sms", FORM)
            await api.get("/me")
        assert (proxy.connections, server.connections) == (0, 2)


async def test_a_proxy_is_used_sees_no_credentials_and_can_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    async with peer(answering(reply("403 Forbidden"))) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        async with api_to("https://46elks.invalid/a1") as api:
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
async def test_an_unusable_proxy_setting_counts_as_unreachable(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    async with api_to("https://46elks.invalid/a1") as api:
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
def test_only_addresses_of_this_machine_count_as_local(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected


async def test_a_post_reaches_the_sandbox_once_with_the_right_fields() -> None:
    box = Sandbox()
    body = httpx2.Response(200, content=await api_of(box).post("/sms", FORM)).json()
    assert datetime.fromisoformat(body["created"]).replace(tzinfo=UTC) <= datetime.now(UTC)
    assert [post.form for post in posts(box)] == [FORM]
