"""The greeter answers what it can exactly as the server does, and leaves everything else to the server."""

import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from queue import SimpleQueue
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elks_mcp.mcp_server.greeter import Greeter
from elks_mcp.mcp_server.greeting import LISTS, REPEATED, GreetedSession
from elks_mcp.mcp_server.recording import record_answers
from elks_mcp.mcp_server.server import build_listing_server
from elks_mcp.mcp_server.snapshots import Answers, Snapshot
from elks_mcp.settings import read
from tests.support.clocks import HANG
from tests.tables.first_frames import RECORDINGS, Recording

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no client is answered early on Windows")

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


@cache
def answers() -> Answers:
    """Record the answers of a server with the sandbox."""
    return anyio.run(record_answers, build_listing_server(read({"ELKS_SANDBOX": "true"}).policy))


def frame(method: str, params: Any = None, number: Any = 1, **more: Any) -> bytes:
    """Return a request; a notification if `number` is None."""
    message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params, **more}
    return json.dumps({name: each for name, each in message.items() if each is not None}).encode() + b"\n"


OLD = (frame("initialize", HELLO), frame("notifications/initialized", number=None))
NEW = (frame("server/discover", {"_meta": META}),)


def begun(*frames: bytes) -> GreetedSession:
    """Return a session in which some messages were answered."""
    session = GreetedSession(answers())
    for each in frames:
        assert session.answer(each) is not None
    return session


# ── what is answered ──

ANSWERED = {
    "claude-code-2.1.197-health-check": 3,
    "claude-code-2.1.197-session": 5,
    "claude-code-slow-server": 1,
    "gemini-cli-session": 5,
    "opencode-health-check": 3,
    "opencode-session": 3,
}
"""How many of the first frames of a client are answered early, if it is not all of them.

Then follow the answer to `roots/list`, which only the server can ask for, or `initialize` in the newer era.
"""


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_the_first_frames_of_real_clients_are_answered(recording: Recording) -> None:
    session = GreetedSession(answers())
    frames = recording.read_frames()
    given = [session.answer(each) for each in frames]
    early = given.index(None) if None in given else len(frames)
    assert early == ANSWERED.get(recording.name, len(frames))
    for sent, answer in zip(recording.parse_frames()[:early], given, strict=False):
        assert answer is not None
        if "id" in sent:
            message = json.loads(answer)
            stream = message.get("params", {}).get("_meta", {}).get("io.modelcontextprotocol/subscriptionId")
            assert sent["id"] == message.get("id", stream)
        else:
            assert answer == b""


@pytest.mark.parametrize("number", [0, -1, 2**52, "", "a", "åäö 😀", '"', "\\", "\u2028"])
def test_an_id_is_returned_as_it_came(number: Any) -> None:
    answer = begun(*NEW).answer(frame("tools/list", {"_meta": META}, number))
    assert answer is not None
    assert json.loads(answer)["id"] == number
    assert answer.count(b"\n") == 1


# ── what is not ──

UNUSUAL = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"[" * 100_000,
    b"\xef\xbb\xbf" + OLD[0],
    b"\xff" + OLD[0],
    frame("initialize", HELLO, True),
    frame("initialize", HELLO, 1.5),
    frame("initialize", HELLO, [1]),
    frame("initialize", HELLO, 2**64),
    frame("initialize", HELLO, "\ud800"),
    frame("initialize", HELLO, None),
    frame("initialize", HELLO, jsonrpc="1.0"),
    frame("initialize", HELLO, more=1),
    frame("initialize", []),
    frame("initialize", {}),
    frame("initialize", {**HELLO, "protocolVersion": "2024-10-07"}),
    frame("initialize", {**HELLO, "protocolVersion": 20251125}),
    frame("initialize", {**HELLO, "protocolVersion": "2026-07-28"}),
    frame("initialize", {**HELLO, "capabilities": None}),
    frame("initialize", {**HELLO, "capabilities": {"roots": True}}),
    frame("initialize", {**HELLO, "capabilities": {"roots": {"listChanged": 1}}}),
    frame("initialize", {**HELLO, "capabilities": {"experimental": {"a": 1}}}),
    frame("initialize", {**HELLO, "clientInfo": {"name": "test"}}),
    frame("initialize", {**HELLO, "clientInfo": {"name": "test", "version": 1}}),
    frame("initialize", {**HELLO, "clientInfo": {"name": "test", "version": "1", "icons": []}}),
    frame("initialize", {**HELLO, "_meta": {}}),
    frame("server/discover"),
    frame("server/discover", {"_meta": []}),
    frame("server/discover", {"_meta": {}}),
    frame("server/discover", {"_meta": {**META, "progressToken": 1}}),
    frame("server/discover", {"_meta": {**META, "io.modelcontextprotocol/protocolVersion": "2025-11-25"}}),
    frame("server/discover", {"_meta": {**META, "io.modelcontextprotocol/logLevel": "loud"}}),
    frame("server/discover", {"_meta": {**META, "io.modelcontextprotocol/logLevel": []}}),
    frame("server/discover", {"_meta": META, "cursor": "a"}),
    frame("initialize", {**HELLO, "capabilities": {"experimental": {"a": json.loads("[" * 99 + "]" * 99)}}}),
    frame("notifications/initialized", number=None),
    frame("ping"),
    frame("tools/list"),
    frame("tools/list", {"_meta": META}),
]


@pytest.mark.parametrize("sent", UNUSUAL)
def test_an_unusual_first_message_is_for_the_server(sent: bytes) -> None:
    session = GreetedSession(answers())
    assert session.answer(sent.rstrip(b"\n")) is None
    assert session.is_over


@pytest.mark.parametrize(
    "sent",
    [
        frame("initialize", HELLO),
        frame("server/discover", {"_meta": META}),
        frame("ping", {"_meta": {"a": 1}}),
        frame("tools/list", {"_meta": {"progressToken": {}}}),
        frame("ping", number=None),
        frame("tools/list", {"cursor": "a"}),
        frame("tools/list", {"_meta": META}),
        frame("tools/call", {"name": "check_account_balance", "arguments": {}}),
        frame("resources/read", {"uri": "elks://policy"}),
        frame("subscriptions/listen", {"notifications": {"toolsListChanged": True}}),
        frame("notifications/initialized", number=None),
        frame("notifications/cancelled", {"requestId": 1}, None),
        b'{"jsonrpc":"2.0","id":1,"result":{"roots":[]}}\n',
    ],
)
def test_any_other_message_of_the_older_era_is_for_the_server(sent: bytes) -> None:
    assert begun(*OLD).answer(sent) is None


def test_lists_before_the_session_is_initialized_are_for_the_server() -> None:
    assert begun(OLD[0]).answer(frame("tools/list")) is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda each: (
        st.lists(each, max_size=2) | st.dictionaries(st.sampled_from(["a", "roots"]), each, max_size=2)
    ),
)


@settings(max_examples=400)
@given(data=st.data())
def test_no_value_that_a_client_sends_stops_the_thread_that_reads(data: st.DataObject) -> None:
    """An error would end the only reader of standard input, and the server would wait for ever."""
    described = {**META, "io.modelcontextprotocol/logLevel": "info"}
    before, method, params = data.draw(
        st.sampled_from(
            [
                ((), "initialize", HELLO),
                ((), "server/discover", {"_meta": described}),
                (OLD, "tools/list", {"_meta": {"progressToken": 1}}),
                (NEW, "subscriptions/listen", {"_meta": described, "notifications": ALL}),
            ]
        )
    )
    message = json.loads(frame(method, params))
    inner = [each for each in message["params"].values() if isinstance(each, dict) and each]
    holder = data.draw(st.sampled_from([message, message["params"], *inner]))
    holder[data.draw(st.sampled_from(sorted(holder)))] = data.draw(VALUES)
    begun(*before).answer(json.dumps(message).encode())


ALL = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}


@pytest.mark.parametrize(
    "sent",
    [
        frame("initialize", HELLO),
        frame("ping", {"_meta": META}),
        frame("tools/list"),
        frame("tools/list", {"_meta": {**META, "io.modelcontextprotocol/protocolVersion": "2099-01-01"}}),
        frame("tools/list", {"_meta": META}, None),
        frame("tools/call", {"_meta": META, "name": "check_account_balance", "arguments": {}}),
        frame("subscriptions/listen", {"_meta": META}),
        frame("subscriptions/listen", {"_meta": META, "notifications": {}}),
        frame("subscriptions/listen", {"_meta": META, "notifications": {**ALL, "toolsListChanged": False}}),
        frame(
            "subscriptions/listen", {"_meta": META, "notifications": {**ALL, "resourceSubscriptions": ["a"]}}
        ),
        frame("subscriptions/listen", {"_meta": META, "notifications": ALL, "more": 1}),
    ],
)
def test_any_other_message_of_the_newer_era_is_for_the_server(sent: bytes) -> None:
    assert begun(*NEW).answer(sent) is None


def test_without_stored_answers_nothing_is_answered() -> None:
    useless: list[Answers] = [{}, {"2025-11-25": {}}, {"2026-07-28": {"tools/list": "{}"}}]
    for stored in useless:
        assert GreetedSession(stored).answer(OLD[0]) is None
        assert GreetedSession(stored).answer(NEW[0]) is None


# ── what the server gets ──


def test_the_server_gets_what_was_answered_with_ids_that_no_client_uses() -> None:
    listen = frame("subscriptions/listen", {"_meta": META, "notifications": ALL}, "listen:0")
    lists = [frame(method, {"_meta": META}, number) for number, method in enumerate(LISTS)]
    greeting = begun(*NEW, listen, *lists).close()
    opening, checks = [[json.loads(each) for each in lines] for lines in (greeting.opening, greeting.checks)]
    assert [each["method"] for each in opening] == ["server/discover", "subscriptions/listen"]
    assert opening[1] == json.loads(listen)
    assert [each["method"] for each in checks] == list(LISTS)
    repeated = [each["id"] for each in (opening[0], *checks)]
    assert repeated == [f"{REPEATED}{number}" for number in range(5)]
    assert list(greeting.answers) == repeated
    assert greeting.acknowledged == {"listen:0": json.dumps(ALL, separators=(",", ":"))}
    assert greeting.is_modern


def test_a_closed_session_answers_nothing() -> None:
    session = begun(*OLD)
    session.close()
    assert session.is_over


# ── the stream ──


@contextmanager
def greeter_on_pipes() -> Iterator[tuple[Greeter, int]]:
    """Return a greeter that does not read, and the descriptor with its answers."""
    read_end, write_end = os.pipe()
    try:
        yield Greeter(-1, write_end, Snapshot("", answers())), read_end
    finally:
        os.close(read_end)
        os.close(write_end)


CALL = frame("tools/call", {"name": "check_account_balance", "arguments": {}}, 9)
CONVERSATIONS = (
    (OLD, (frame("ping", number=2),) * 3, (CALL, frame("ping", number=10))),
    (NEW, (frame("resources/list", {"_meta": META}, "å"),), (CALL, frame("ping", number=10)[:-5])),
    (OLD[:1], (), (CALL, CALL)),
)


@pytest.mark.parametrize("conversation", CONVERSATIONS)
@settings(max_examples=400)
@given(data=st.data())
def test_wherever_the_input_is_cut_the_same_is_answered_and_the_rest_is_handed_over(
    conversation: tuple[tuple[bytes, ...], ...], data: st.DataObject
) -> None:
    opening, more, rest = conversation
    received = b"".join((*opening, *more, *rest))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(received) - 1), max_size=30)))
    session = GreetedSession(answers())
    wanted = b"".join(filter(None, (session.answer(each) for each in (*opening, *more))))
    handed_over: list[bytes] = []
    with greeter_on_pipes() as (greeter, answered):
        take_over_at = data.draw(st.sampled_from([*cuts, None]))
        for start, end in zip([0, *cuts], [*cuts, len(received)], strict=True):
            if start == take_over_at:
                break
            greeter.take(received[start:end])
        greeting, pending = greeter.hand_over(handed_over.append)
        taken = received[:take_over_at]
        if take_over_at is None:
            assert os.read(answered, len(wanted) + 1) == wanted
            assert pending == b"".join(rest)
        else:
            greeter.take(received[take_over_at:])
            assert handed_over == [received[take_over_at:]]
            assert taken.endswith(pending)
        assert len(greeting.answers) == len(greeting.opening) + len(greeting.checks) - sum(
            b"initialized" in each for each in greeting.opening
        )


def test_a_mebibyte_is_read_while_the_server_loads_and_everything_is_handed_over_in_order() -> None:
    sent = b"".join(frame("ping", {"_meta": {"progressToken": "x" * 1000}}, number) for number in range(4000))
    handed_over: SimpleQueue[bytes] = SimpleQueue()
    source, client = os.pipe()
    greeter = Greeter(source, -1, None)
    greeter.start()
    with ThreadPoolExecutor() as threads, os.fdopen(client, "wb", buffering=0) as pipe:
        threads.submit(pipe.write, sent[: 2**20]).result(HANG)
        writing = threads.submit(pipe.write, sent[2**20 :])
        _, rest = greeter.hand_over(handed_over.put)
        assert writing.result(HANG)
        pipe.close()
        received = [rest, *iter(handed_over.get, b"")]
    os.close(source)
    assert b"".join(received) == sent
