"""The protocol's own suite and its Inspector, against all of our server from the port up, in both eras."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import anyio
import pytest
from pydantic import WithJsonSchema

from elks_mcp.mcp_server.greeting import LISTS
from tests.conformance.fixtures import mount
from tests.conformance.stdio_bridge import open_bridge
from tests.support.clocks import HANG
from tests.support.connecting import new_box
from tests.support.web import site

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore:The logging capability is deprecated"),  # and the suite's older half
]

_MODULES = Path(__file__).parent / "conformance" / "node_modules"
_SUITE = "@modelcontextprotocol/conformance/dist/index.js"
_INSPECTOR = "@modelcontextprotocol/inspector/clients/launcher/build/index.js"

_EARLY = {
    "2025-11-25": {"initialize", "ping", "tools/list", "prompts/list", "resources/list"},
    "2026-07-28": {"server/discover", *LISTS},
}
"""The methods of requests of the suite that are answered before the server has loaded."""


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
async def test_all_required_scenarios_pass(tmp_path: Path, revision: str) -> None:
    async with site(new_box()) as location:
        mount(location.web.server)
        said = await _run(
            _SUITE, "server", "--url", f"{location.url}/mcp", "--requirements", revision, home=tmp_path
        )

    assert said.returncode == 0, said.stdout
    required = await _list_required(revision, tmp_path)
    passed = re.findall(r"^✓ (\S+): [1-9]\d* passed, 0 failed$", said.stdout, re.MULTILINE)
    assert len(required) >= 30
    assert required <= set(passed)


@pytest.mark.skipif(sys.platform == "win32", reason="no client is answered early on Windows")
@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
async def test_the_suite_finds_the_same_in_servers_that_answer_early(tmp_path: Path, revision: str) -> None:
    environ = {"PATH": os.environ["PATH"], "ELKS_SANDBOX": "true", "ELKS_STATE_DIR": str(tmp_path / "state")}
    arguments = ("--requirements", revision, "--timeout", str(HANG * 1000))  # processes start slowly
    async with site(new_box()) as location:
        mount(location.web.server)
        plain = await _run(_SUITE, "server", "--url", f"{location.url}/mcp", *arguments, home=tmp_path)
        async with open_bridge({**environ, "ELKS_SANDBOX_PAGE": "false"}, tmp_path) as bridge:
            location.web.server._lowlevel_server.middleware.insert(0, bridge)
            early = await _run(_SUITE, "server", "--url", f"{location.url}/mcp", *arguments, home=tmp_path)

    assert _summarize(plain)
    assert _summarize(early) == _summarize(plain)
    assert {method for method, times in bridge.early.items() if times} == _EARLY[revision]


def _summarize(said: subprocess.CompletedProcess[str]) -> list[str]:
    """List how many checks of each scenario passed and failed."""
    return said.stdout.partition("=== SUMMARY ===")[2].splitlines()


@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_the_inspectors_strict_lint_is_clean(tmp_path: Path, era: Literal["legacy", "modern"]) -> None:
    async with site(new_box()) as location:
        said = await _inspect(location.url, era, tmp_path, "--method", "tools/list", "--strict")
        assert said.returncode == 0, said.stderr
        async with location.client("auto") as client:
            tools = (await client.list_tools()).tools
    answer = json.loads(said.stdout)
    assert "schemaFindings" not in answer  # warnings would be here
    assert [tool["name"] for tool in answer["result"]["tools"]] == [tool.name for tool in tools]


async def test_the_inspectors_strict_lint_finds_what_is_not_portable(tmp_path: Path) -> None:
    """Else the test above might prove nothing."""

    async def awkward(anything: Annotated[str, WithJsonSchema({"anyOf": [True]})]) -> str:
        return anything

    async with site(new_box()) as location:
        location.web.server.add_tool(awkward, name="awkward")
        said = await _inspect(location.url, "modern", tmp_path, "--method", "tools/list", "--strict")
    assert said.returncode == 6, said.stderr


@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_the_inspector_calls_a_tool(tmp_path: Path, era: Literal["legacy", "modern"]) -> None:
    text = json.dumps({"to": "+46701740605", "message": "Hej på dig, Åsa 👋"})
    call = ("--method", "tools/call", "--tool-name", "send_sms", "--tool-args-json", text)
    box = new_box()
    async with site(box) as location:
        said = await _inspect(location.url, era, tmp_path, *call)
    assert said.returncode == 0, said.stderr
    assert [message.text for message in box.accepted] == ["Hej på dig, Åsa 👋"]


@pytest.mark.skipif(sys.platform == "win32", reason="no client is answered early on Windows")
@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_the_inspector_gets_the_same_tools_from_a_server_that_answers_early(
    tmp_path: Path, era: Literal["legacy", "modern"]
) -> None:
    settings = {"ELKS_SANDBOX": "true", "ELKS_SANDBOX_PAGE": "false", "XDG_CACHE_HOME": str(tmp_path)}
    server = {"command": sys.executable, "args": ["-m", "elks_mcp"], "env": settings, "protocolEra": era}
    first = await _inspect_server(server, tmp_path, "--method", "tools/list", "--strict")
    (snapshot,) = (tmp_path / "elks-mcp").iterdir()
    second = await _inspect_server(server, tmp_path, "--method", "tools/list", "--strict")
    assert first.returncode == second.returncode == 0, second.stderr
    assert json.loads(first.stdout) == json.loads(second.stdout)

    snapshot.write_bytes(snapshot.read_bytes().replace(b"send_sms", b"sent_sms"))
    third = await _inspect_server(server, tmp_path, "--method", "tools/list", "--strict")
    assert "sent_sms" in third.stdout  # so the answers came early


async def _inspect(url: str, era: str, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    server = {"type": "streamable-http", "url": f"{url}/mcp", "protocolEra": era}
    return await _inspect_server(server, home, *arguments)


async def _inspect_server(
    server: Mapping[str, object], home: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    config = home / "servers.json"
    config.write_text(json.dumps({"mcpServers": {"elks": server}}))
    chosen = ("--cli", "--config", str(config), "--server", "elks", "--format", "json")
    return await _run(_INSPECTOR, *chosen, *arguments, home=home)


async def _list_required(revision: str, home: Path) -> set[str]:
    """List the scenarios for servers that a revision requires."""
    said = await _run(_SUITE, "list", "--requirements", revision, home=home)
    ours = said.stdout.partition("Server scenarios")[2].partition("Client scenarios")[0]
    return set(re.findall(r"^ +- (\S+)$", ours, re.MULTILINE))


async def _run(script: str, *arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run one of the suite's scripts, which may write into `home` only."""
    node = _MODULES / ".bin" / "node"
    if not node.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("make conformance brings the suite")
    environ = {**os.environ, "HOME": str(home), "MCP_INSPECTOR_SECRET_STORE": "memory", "NO_COLOR": "1"}
    command = [str(node), str(_MODULES / script), *arguments]
    with anyio.fail_after(HANG):
        done = await anyio.run_process(command, check=False, cwd=home, env=environ)
    return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())
