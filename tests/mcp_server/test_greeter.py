"""A server that a client starts a second time answers before it has loaded."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.clocks import HANG
from tests.support.process import NOWHERE, Process, running, start
from tests.tables.first_frames import RECORDINGS, Recording

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no client is answered early on Windows")

ON = {"ELKS_SANDBOX": "true", "ELKS_SANDBOX_PAGE": "false", "ELKS_GREETER": "true"}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
NOTIFICATION = json.dumps({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}})
CHANGES = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for caches, with the snapshot that a first start left there."""
    folder = tmp_path_factory.mktemp("caches")
    with started(folder, folder) as server:
        server.initialize()
        assert server.close() == 0
    assert snapshots(folder)
    return folder


@pytest.fixture
def own_caches(caches: Path, tmp_path: Path) -> Path:
    """The same for a single test, which may change it."""
    (tmp_path / "elks-mcp").mkdir(mode=0o700)
    for stored in snapshots(caches):
        (tmp_path / "elks-mcp" / stored.name).touch(mode=0o600)
        (tmp_path / "elks-mcp" / stored.name).write_bytes(stored.read_bytes())
    return tmp_path


@contextmanager
def started(caches: Path, folder: Path, **environ: str) -> Iterator[Process]:
    fixed = {
        "XDG_CACHE_HOME": str(caches),
        "ELKS_STATE_DIR": str(NOWHERE),
    }  # a snapshot is for the same settings
    with running({**ON, **fixed, **environ}, folder) as server:
        yield server


@pytest.fixture
def never_loads(tmp_path: Path) -> Mapping[str, str]:
    """Variables with which the server does not finish loading."""
    waits = f"import threading\nthreading.Event().wait({HANG})\nraise SystemExit('nobody ended this')\n"
    (tmp_path / "click.py").write_text(waits, encoding="ascii")
    return {"PYTHONPATH": str(tmp_path)}


def snapshots(caches: Path) -> list[Path]:
    """List the files with stored answers."""
    return sorted((caches / "elks-mcp").glob("*"))


def falsify(caches: Path, change: Callable[[dict[str, dict[str, str]]], None]) -> None:
    """Change the stored answers."""
    for stored in snapshots(caches):
        answers = json.loads(stored.read_bytes())
        change(answers)
        stored.write_text(json.dumps(answers), encoding="utf-8")


def rename_first_tool(answers: dict[str, dict[str, str]]) -> None:
    for each in answers.values():
        each["tools/list"] = each["tools/list"].replace('"send_sms"', '"send_everything"')


def tool_names(result: Mapping[str, Any]) -> list[str]:
    return [tool["name"] for tool in result["tools"]]


# ── what a client gets ──


def test_it_lists_its_tools_while_the_server_loads(
    caches: Path, tmp_path: Path, never_loads: Mapping[str, str]
) -> None:
    with started(caches, tmp_path, **never_loads) as server:
        assert "Mode: SANDBOX" in server.initialize()["instructions"]
        assert "send_sms" in tool_names(server.request("tools/list")["result"])
        assert server.request("ping")["result"] == {}
        for method in ("prompts/list", "resources/list", "resources/templates/list"):
            assert server.request(method)["result"]
        assert server.close() == 0


def test_the_newer_era_subscribes_and_lists_while_the_server_loads(
    caches: Path, tmp_path: Path, never_loads: Mapping[str, str]
) -> None:
    with started(caches, tmp_path, **never_loads) as server:
        assert server.request("server/discover", {"_meta": META})["result"]
        listen = {"_meta": META, "notifications": CHANGES}
        server.send({"jsonrpc": "2.0", "id": "l", "method": "subscriptions/listen", "params": listen})
        acknowledged = json.loads(server.read_line())["params"]
        assert acknowledged["_meta"] == {"io.modelcontextprotocol/subscriptionId": "l"}
        assert acknowledged["notifications"] == CHANGES
        assert "send_sms" in tool_names(server.request("tools/list", {"_meta": META})["result"])
        assert server.close() == 0


RECORDED = [
    each for each in RECORDINGS if each.name in {"claude-code-session", "codex-status", "gemini-cli-session"}
]


@pytest.mark.usefixtures("fresh_start")
@pytest.mark.parametrize("recording", RECORDED, ids=lambda recording: recording.name)
def test_a_recorded_client_gets_the_same_lines_with_and_without_it(
    recording: Recording, caches: Path, tmp_path: Path
) -> None:
    plain = session_of(recording, caches, tmp_path, ELKS_GREETER="false")
    assert session_of(recording, caches, tmp_path) == plain
    assert len(plain) >= sum("id" in each and "method" in each for each in recording.parse_frames())


def session_of(recording: Recording, caches: Path, folder: Path, **environ: str) -> list[str]:
    """Run the session of a client and a call, and return all lines of the server, sorted."""
    with started(caches, folder, **environ) as server:
        for line, frame in zip(recording.read_frames(), recording.parse_frames(), strict=True):
            server.write_bytes(line)
            if "id" in frame and "method" in frame:
                while (answer := json.loads(server.read_line())) and not is_answer(answer, frame):
                    server.lines.append(json.dumps(answer))
                server.lines.append(json.dumps(answer))
        params = {"name": "check_account_balance", "arguments": {}}
        modern = {"_meta": META} if recording.era == "2026-07-28" else {}
        server.request("tools/call", params | modern)
        assert server.close() == 0
        lines = [json.loads(line) for line in server.lines]
        return sorted(json.dumps(line) for line in lines)


def is_answer(message: Mapping[str, Any], frame: Mapping[str, Any]) -> bool:
    """Return whether a message answers a request, or acknowledges a subscription."""
    meta = message.get("params", {}).get("_meta", {})
    return frame["id"] in (
        meta.get("io.modelcontextprotocol/subscriptionId"),
        None if "method" in message else message.get("id"),
    )


def test_calls_and_questions_work_after_it(caches: Path, tmp_path: Path) -> None:
    with started(caches, tmp_path) as server:
        server.initialize()
        server.request("tools/list")
        assert not server.call("check_account_balance")["isError"]
        assert server.request("ping")["result"] == {}
        assert server.request("resources/read", {"uri": "elks://policy"})["result"]["contents"]
        assert server.close() == 0
        assert all("elks-mcp-greeter" not in line for line in server.lines)


# ── old answers ──


def test_answers_are_not_stored_again_for_an_unusual_client(own_caches: Path) -> None:
    before = [stored.stat().st_ino for stored in snapshots(own_caches)]
    with started(own_caches, own_caches) as server:
        server.request("ping")
        server.initialize()
        server.request("tools/list")
        assert server.close() == 0
    assert [stored.stat().st_ino for stored in snapshots(own_caches)] == before


@pytest.mark.usefixtures("fresh_start")
def test_p11_old_answers_are_noticed_announced_and_deleted(own_caches: Path) -> None:
    falsify(own_caches, rename_first_tool)
    with started(own_caches, own_caches) as server:
        assert server.initialize()["capabilities"]["tools"]["listChanged"]
        assert "send_everything" in tool_names(server.request("tools/list")["result"])
        server.call("check_account_balance")
        for _ in range(3):
            server.lines.append(server.read_line())
        changed = {json.loads(line).get("method") for line in server.lines} - {None}
        assert changed == {f"notifications/{name}/list_changed" for name in ("tools", "prompts", "resources")}
        assert "send_sms" in tool_names(server.request("tools/list")["result"])
        assert server.close() == 0
        assert "were old" in server.stderr
    assert snapshots(own_caches) == []


@pytest.mark.usefixtures("fresh_start")
def test_p11_old_answers_are_announced_to_a_client_of_the_newer_era(own_caches: Path) -> None:
    falsify(own_caches, rename_first_tool)
    with started(own_caches, own_caches) as server:
        server.request("server/discover", {"_meta": META})
        listen = {"_meta": META, "notifications": CHANGES}
        server.send({"jsonrpc": "2.0", "id": "l", "method": "subscriptions/listen", "params": listen})
        server.read_line()
        assert "send_everything" in tool_names(server.request("tools/list", {"_meta": META})["result"])
        found = [json.loads(server.read_line()) for _ in range(3)]
        assert {each["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] for each in found} == {"l"}
        assert "send_sms" in tool_names(server.request("tools/list", {"_meta": META})["result"])
    assert snapshots(own_caches) == []


@pytest.mark.usefixtures("fresh_start")
def test_an_old_greeting_is_noticed(own_caches: Path) -> None:
    def forge(answers: dict[str, dict[str, str]]) -> None:
        answers["2025-11-25"]["initialize"] = answers["2025-11-25"]["initialize"].replace("SANDBOX", "LIVE")

    falsify(own_caches, forge)
    with started(own_caches, own_caches) as server:
        assert "LIVE" in server.initialize()["instructions"]
        assert "list_changed" in server.read_line()
        assert not server.call("check_account_balance")["isError"]
    assert snapshots(own_caches) == []


@pytest.mark.parametrize(
    "environ",
    [
        {"DRY_RUN": "true"},
        {"ELKS_TOOLSETS": "sms"},
        {"ELKS_SANDBOX": "maybe"},
        {"ELKS_PHONE_NUMBER": "+46701740699"},
    ],
)
def test_after_a_change_of_a_setting_old_answers_are_not_used(
    own_caches: Path, environ: Mapping[str, str]
) -> None:
    falsify(own_caches, rename_first_tool)
    with started(own_caches, own_caches, **environ) as server:
        server.initialize()
        assert "send_everything" not in tool_names(server.request("tools/list")["result"])


def test_answers_with_a_value_that_cannot_be_read_are_not_stored(tmp_path: Path) -> None:
    for environ in ({"ELKS_TIMEOUT": "soon"}, {"ELKS_GREETER": "maybe"}):
        with started(tmp_path, tmp_path, **environ) as server:
            server.initialize()
            server.request("tools/list")
            assert server.close() == 0
        assert not (tmp_path / "elks-mcp").exists()


def test_a_snapshot_that_somebody_else_could_have_written_is_not_used(own_caches: Path) -> None:
    falsify(own_caches, rename_first_tool)
    for stored in snapshots(own_caches):
        stored.chmod(0o660)
    with started(own_caches, own_caches) as server:
        server.initialize()
        assert "send_everything" not in tool_names(server.request("tools/list")["result"])


# ── the end ──


@pytest.mark.parametrize("sent", [0, 1, 2])
def test_the_end_of_input_ends_a_server_that_has_not_loaded(
    sent: int, caches: Path, tmp_path: Path, never_loads: Mapping[str, str]
) -> None:
    with started(caches, tmp_path, **never_loads) as server:
        if sent:
            server.initialize()
        if sent > 1:
            server.request("tools/list")
        assert server.close() == 0


CUT_OFF = '{"jsonrpc": "2.0", "id": 3, "met'


@pytest.mark.parametrize(
    "sent",
    ["", "\n", NOTIFICATION + "\n", NOTIFICATION + "\n" + NOTIFICATION, "not JSON\n", CUT_OFF],
)
def test_without_stored_answers_it_ends_too_unless_it_was_asked_something(
    sent: str, tmp_path: Path, never_loads: Mapping[str, str]
) -> None:
    with started(tmp_path, tmp_path, **never_loads) as server:
        server.write(sent)
        assert server.close() == 0


def test_with_stored_answers_a_notification_does_not_keep_it_from_ending(
    caches: Path, tmp_path: Path, never_loads: Mapping[str, str]
) -> None:
    with started(caches, tmp_path, **never_loads) as server:
        server.initialize()
        server.write(NOTIFICATION)
        assert server.close() == 0


@pytest.mark.parametrize("end", ["\n", "", "\n" + NOTIFICATION])
def test_without_stored_answers_a_request_that_is_piped_in_is_answered(end: str, tmp_path: Path) -> None:
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}
    with started(tmp_path, tmp_path) as server:
        server.write(json.dumps(asked) + end)
        assert server.close() == 0
        (answer,) = server.lines
    assert "send_sms" in tool_names(json.loads(answer)["result"])
    assert snapshots(tmp_path)  # so the next start is fast


@pytest.mark.usefixtures("fresh_start")
def test_a_call_before_the_end_of_input_is_answered(caches: Path, tmp_path: Path) -> None:
    with started(caches, tmp_path) as server:
        server.initialize()
        params = {"name": "check_account_balance", "arguments": {}}
        server.write(json.dumps({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}))
        assert server.close() == 0
        assert json.loads(server.lines[-1])["id"] == 7


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_server_that_has_not_loaded(
    number: signal.Signals, caches: Path, tmp_path: Path, never_loads: Mapping[str, str]
) -> None:
    with started(caches, tmp_path, **never_loads) as server:
        server.initialize()
        assert server.end(number) == -number


def test_a_client_that_leaves_without_reading_its_answers_ends_the_server(
    caches: Path, tmp_path: Path
) -> None:
    """The answers fill the pipe and the queue, so that some cannot even be put there."""
    with started(caches, tmp_path) as server:
        server.initialize()
        server.call("check_account_balance")
        for number in range(400):
            server.send({"jsonrpc": "2.0", "id": f"{number:04000}", "method": "ping"})
        assert server.leave() == 0


def test_a_line_that_arrives_in_many_pieces_is_read_whole(caches: Path, tmp_path: Path) -> None:
    long = {"_meta": {"progressToken": "x" * 3_000_000}}
    with started(caches, tmp_path) as server:
        server.initialize()
        assert server.request("ping", long)["result"] == {}
        server.call("check_account_balance")
        assert server.request("ping", long)["result"] == {}


# ── other uses of the command ──


def test_completions_are_printed_to_a_shell_that_gives_no_terminal(tmp_path: Path) -> None:
    asked = {"_ELKS_MCP_COMPLETE": "zsh_complete", "COMP_WORDS": "elks-mcp do", "COMP_CWORD": "1"}
    command = Path(sys.executable).with_name("elks-mcp")
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **asked}
    found = subprocess.run([command], env=environ, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    assert b"doctor" in found.stdout


def test_an_option_without_its_value_is_refused() -> None:
    assert start("--state-dir", ELKS_GREETER="true").returncode == 2


# ── standard streams ──

PARENT = """
import os, subprocess, sys
from elks_mcp.mcp_server.greeter import claim_streams
source, sink = claim_streams()
print("to standard error")
os.write(sink, b"to the client\\n")
child = "import os, sys; print(sys.stdin.read(), [fd for fd in (%d, %d) if os.path.exists(f'/dev/fd/{fd}')])"
subprocess.run([sys.executable, "-c", child % (source, sink)], close_fds=False, check=True)
os.write(sink, os.read(source, 100))
"""


def test_a_child_process_gets_neither_what_the_client_sends_nor_a_way_to_write_to_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PARENT], input=b"from the client", capture_output=True, check=True
    )
    assert done.stdout == b"to the client\nfrom the client"
    assert sorted(done.stderr.splitlines()) == [b" []", b"to standard error"]
