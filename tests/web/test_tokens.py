"""Requests to /mcp: which need a token, and what each token allows."""

import json
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.shared.exceptions import MCPError

from elks_mcp.domain.models import Caller, Scope
from elks_mcp.domain.toolsets import Toolset
from elks_mcp.mcp_server.scopes import CallerToken
from elks_mcp.mcp_server.server import list_tools
from tests.support.clocks import HANG
from tests.support.connecting import (
    ERAS,
    Era,
    call,
    come_true,
    connected,
    live,
    new_box,
)
from tests.support.token_cases import _ARGUMENTS, _turned_away, ask, served, tool_call
from tests.support.web import Site, http_client, site

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _audited(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "elks_mcp.audit")


_SENDS = {
    "send_sms",
    "send_mms",
    "call_phone",
    "ask_by_sms",
    "cancel_sms",
    "plan_batch",
    "start_batch",
    "stop_batch",
    "alert_until_acknowledged",
    "end_alert",
}
_READS = {
    "get_sms_messages",
    "get_image",
    "get_recording",
    "number_info",
    "list_calls",
    "check_account_balance",
    "get_delivery_statistics",
}
_NAMES = [tool.name for tool in list_tools(frozenset(Toolset))]


_MAY = {
    "read": set(_NAMES) - _SENDS,
    "send": set(_NAMES) - _READS,
    "read send": set(_NAMES),
}
"""The uses of each kind of token."""


def entered(caplog: pytest.LogCaptureFixture) -> list[str]:
    """List the tools that were entered."""
    records = [each for each in caplog.records if each.name == "elks_mcp.audit"]
    return [getattr(each, "tool", "") for each in records]


# ── who gets in at all ──


async def test_before_the_first_token_only_this_machine_may_call() -> None:
    async with served(ELKS_ALLOWED_HOSTS="sms.example.com") as (_, where):
        here = await ask(where, "tools/list")
        from_afar = [
            await ask(where, "tools/list", headers=header)
            for header in (
                {"host": "sms.example.com"},
                {"x-forwarded-for": "127.0.0.1"},
                {"forwarded": "for=192.0.2.7"},
                {"via": "1.1 proxy"},
            )
        ]
        assert here.status_code == 200
        assert {each.status_code for each in from_afar} == {401}
        assert "elks-mcp token new" in from_afar[0].json()["error_description"]
        token = await where.token("afar")
        await come_true(lambda: _is_shut(where))
        named = await ask(where, "tools/list", headers={"host": "sms.example.com"}, token=token)
        assert named.status_code == 200
    async with site(new_box(), is_shut=True) as where:
        assert (await ask(where, "tools/list")).status_code == 401


async def test_after_uvx_each_hint_about_tokens_names_a_command_that_exists(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    uvx = tmp_path / ("uvx.exe" if sys.platform == "win32" else "uvx")
    uvx.touch(mode=0o755)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "archive-v0" / "x1"))
    monkeypatch.setenv("UV", str(uvx.with_name(uvx.name.replace("uvx", "uv"))))
    async with served() as (_, where):
        reads, metrics = await where.token("reads", Scope.READ), await where.token("m", Scope.METRICS)
        await come_true(lambda: _is_shut(where))
        here = [
            await ask(where, "tools/list"),
            await ask(where, "tools/list", token="wrong"),
            await ask(where, "tools/list", token=metrics),
            await ask(where, "tools/call", tool_call("send_sms"), token=reads),
        ]
        elsewhere = await ask(where, "tools/list", headers={"x-forwarded-for": "192.0.2.7"})
    for each in here:
        assert re.search(r"`uvx (--from \S+ )?elks-mcp token new", each.json()["error_description"])
        assert "uvx" not in each.headers["www-authenticate"], "a path can have letters that no header can"
    assert "`elks-mcp token new" in elsewhere.json()["error_description"], "a path is for this machine only"


async def _is_shut(where: Site) -> bool:
    return (await ask(where, "tools/list")).status_code == 401


_Headers = dict[str, Any]


_Shown = Callable[[Site, str], Awaitable[_Headers]]


async def _none(_: Site, __: str) -> _Headers:
    return {}


async def _garbage(_: Site, __: str) -> _Headers:
    return {"authorization": b"Bearer \xe5\xff garbage"}


async def _cut(_: Site, token: str) -> _Headers:
    return {"authorization": f"Bearer {token[:-1]}"}


async def _other_scheme(_: Site, token: str) -> _Headers:
    return {"authorization": f"Basic {token}"}


async def _empty(_: Site, __: str) -> _Headers:
    return {"authorization": "Bearer"}


async def _by_hash(where: Site, token: str) -> _Headers:
    """Return what the database stores."""
    store = await where.app.storage.open()
    return {"authorization": f"Bearer {store.database.hasher.of('token', token)}"}


async def _revoked(where: Site, token: str) -> _Headers:
    await (await where.app.storage.open()).tokens.revoke("agent")
    await come_true(lambda: _turned_away(where, token))
    return {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize("shown", [_none, _garbage, _cut, _other_scheme, _empty, _by_hash, _revoked])
async def test_a_request_without_a_valid_token_is_refused(
    shown: _Shown, caplog: pytest.LogCaptureFixture
) -> None:
    async with served() as (box, where):
        token = await where.token("agent")
        await come_true(lambda: _is_shut(where))
        headers = await shown(where, token)
        asked = len(box.requests)
        caplog.clear()
        answers = [
            await ask(where, "tools/call", tool_call(name), era=era, headers=headers)
            for name in _NAMES
            for era in ERAS
        ]
        others = ("tools/list", "resources/list", "prompts/list", "initialize", "ping", "nonsense")
        answers += [await ask(where, method, era=era, headers=headers) for method in others for era in ERAS]
        for uri in ("elks://inbox", "elks://policy", "elks://messages/s1"):
            answers.append(await ask(where, "resources/read", {"uri": uri}, headers=headers))
        async with http_client() as client:
            for method in ("GET", "DELETE", "PUT", "OPTIONS"):
                answers.append(await client.request(method, f"{where.url}/mcp", headers=headers))
            twice = [("authorization", f"Bearer {token}"), ("authorization", f"Bearer {token}")]
            answers.append(await client.get(f"{where.url}/mcp", headers=twice))
        assert {each.status_code for each in answers} == {401}
        assert all(each.headers["www-authenticate"].startswith("Bearer ") for each in answers)
        assert not any(token in each.text for each in answers)
        assert (entered(caplog), len(box.requests), box.accepted) == ([], asked, [])
        assert token not in caplog.text


async def test_if_tokens_cannot_be_verified_every_request_is_refused(tmp_path: Any) -> None:
    async with served(ELKS_STATE_DIR=str(tmp_path)) as (_, where):
        token = await where.token("agent")
        assert (await ask(where, "tools/list", token=token)).status_code == 200
        store = await where.app.storage.open()
        await store.database.run(lambda tx: tx.execute(_text("DROP TABLE tokens")), writes=True)
        await come_true(lambda: _cannot_tell(where, token))
        answer = await ask(where, "tools/list", token=token)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "tokens" not in answer.text


async def _cannot_tell(where: Site, token: str) -> bool:
    return (await ask(where, "tools/list", token=token)).status_code == 503


def _text(sql: str) -> Any:
    from sqlalchemy import text  # noqa: PLC0415

    return text(sql)


# ── what a token is for ──


@pytest.mark.parametrize("scopes", _MAY)
@pytest.mark.parametrize("era", ERAS)
async def test_a_token_allows_only_its_scopes(
    scopes: str, era: Era, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(ELKS_SMS_PER_MINUTE="6000", ELKS_TOOLSETS="all") as (box, where):
        token = await where.token("agent", *map(Scope, scopes.split()))
        async with where.client(era, token=token) as client:
            listed = {tool.name for tool in (await client.list_tools()).tools}
            assert listed == _MAY[scopes]
            again = {tool.name for tool in (await client.list_tools()).tools}
            assert again == listed
            uris = {str(each.uri) for each in (await client.list_resources()).resources}
            assert uris == ({"elks://inbox", "elks://policy"} if "read" in scopes else {"elks://policy"})
            templates = (await client.list_resource_templates()).resource_templates
            assert len(templates) == 2 * ("read" in scopes)
            assert json.loads((await client.read_resource("elks://policy")).contents[0].text)  # type: ignore[union-attr]
            for name in _MAY[scopes]:
                caplog.clear()
                await call(client, name, **_ARGUMENTS.get(name, {}))
                assert name in entered(caplog)
        caplog.clear()
        before = len(box.accepted)
        for name in set(_NAMES) - _MAY[scopes]:
            refused = await ask(where, "tools/call", tool_call(name), era=era, token=token)
            assert (refused.status_code, refused.json()["error"]) == (403, "insufficient_scope")
            assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]
        if "read" not in scopes:
            for method, params in (
                ("resources/read", {"uri": "elks://inbox"}),
                ("resources/read", {"uri": "elks://messages/s1"}),
                ("subscriptions/listen", {"notifications": {"resourceSubscriptions": ["elks://inbox"]}}),
                ("subscriptions/listen", {"notifications": {"resource_subscriptions": ["elks://inbox"]}}),
                ("subscriptions/listen", {"notifications": "nonsense"}),
            ):
                assert (await ask(where, method, params, era=era, token=token)).status_code == 403
        assert (entered(caplog), len(box.accepted)) == ([], before)


async def test_a_header_about_the_caller_allows_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The method in the header of the newer era is for routers; what is done is in the body."""
    async with served() as (_, where):
        token = await where.token("agent", Scope.READ)
        await come_true(lambda: _is_shut(where))
        caplog.clear()
        headers = {"mcp-method": "tools/list", "mcp-name": "get_sms_messages"}
        async with http_client() as client:
            shown = {"authorization": f"Bearer {token}", "accept": "application/json, text/event-stream"}
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": tool_call("send_sms")}
            for sent in (body, [body], [{"jsonrpc": "2.0", "id": 2, "method": "ping"}, body]):
                answer = await client.post(f"{where.url}/mcp", json=sent, headers={**shown, **headers})
                assert answer.status_code == 403
            for broken in (b"{", b'"tools/call"', b"[" * 100_000, b"x" * (4 * 1024 * 1024 + 1)):
                answer = await client.post(f"{where.url}/mcp", content=broken, headers={**shown, **headers})
                assert 400 <= answer.status_code < 500
        assert "send_sms" not in entered(caplog)


async def test_the_tool_checks_the_scope_even_if_the_route_does_not(caplog: pytest.LogCaptureFixture) -> None:
    """The access check of the route is left out: the protocol gets a caller that may only read."""
    caller = Caller(name="agent", agent="agent", scopes=frozenset({Scope.READ}))
    box, reader = new_box(), CallerToken(token="", client_id="agent", scopes=["read"], caller=caller)
    shown = auth_context_var.set(AuthenticatedUser(reader))
    try:
        async with connected(live(box), box=box) as client:
            assert "send_sms" not in {tool.name for tool in (await client.list_tools()).tools}
            with pytest.raises(MCPError, match="does not have the scope send"):
                await client.call_tool("send_sms", _ARGUMENTS["send_sms"])
    finally:
        auth_context_var.reset(shown)
    assert (entered(caplog), box.accepted) == ([], [])


# ── what shows that a proxy is in between ──


_BEHIND_A_PROXY = (
    "x-forwarded-for",
    "X-Forwarded-Proto",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-original-forwarded-for",
    "forwarded",
    "via",
    "X-Real-IP",
    "CF-Connecting-IP",
    "cf-ray",
    "cdn-loop",
    "True-Client-IP",
    "x-client-ip",
    "x-cluster-client-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "x-azure-socketip",
    "x-envoy-external-address",
    "x-amzn-trace-id",
    "x-proxy-id",
    "x-scheme",
)
"""Headers that nginx, Apache, HAProxy, Envoy and the large content networks add."""


async def test_before_the_first_token_a_header_of_a_proxy_means_that_one_is_needed() -> None:
    async with served() as (_, where):
        for header in _BEHIND_A_PROXY:
            passed_on = await ask(where, "tools/list", headers={header: "127.0.0.1"})
            assert passed_on.status_code == 401, header
            own = {"x-request-id": "1", "x-gzip": "1", "x-skip": "1", "origin": where.url}
            assert (await ask(where, "tools/list", headers=own)).status_code == 200


async def test_before_the_first_token_http_1_0_means_that_a_token_is_needed() -> None:
    """Nginx uses it for the server behind it unless configured otherwise."""
    async with served() as (_, where):
        assert b" 401 " in await _speak(where, "1.0", "POST /mcp", "Content-Length: 2", "", "{}")
        assert b" 401 " not in await _speak(where, "1.1", "POST /mcp", "Content-Length: 2", "", "{}")


async def test_a_public_host_name_in_capitals_also_needs_a_token() -> None:
    async with served(ELKS_ALLOWED_HOSTS="sms.example.com") as (_, where):
        answer = await ask(where, "tools/list", headers={"host": "SMS.Example.com"})
        assert answer.status_code == 401


async def _speak(where: Site, version: str, asked: str, *rest: str) -> bytes:
    """Send a raw request, and return the first line of the answer."""
    lines = [f"{asked} HTTP/{version}", "Host: 127.0.0.1", "Connection: close", *rest]
    async with await anyio.connect_tcp("127.0.0.1", int(where.url.rpartition(":")[2])) as connection:
        await connection.send("\r\n".join(lines if rest else [*lines, "", ""]).encode())
        with anyio.fail_after(HANG):
            return (await connection.receive()).split(b"\r\n")[0]


async def test_a_token_for_metrics_opens_no_tool() -> None:
    async with served() as (_, where):
        token = await where.token("prometheus", Scope.METRICS)
        for method, params in (
            ("tools/list", {}),
            ("tools/call", tool_call("explain_policy")),
            ("resources/read", {"uri": "elks://policy"}),
        ):
            for era in ERAS:
                answer = await ask(where, method, params, era=era, token=token)
                assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
