"""The beginning of a client's session, as far as stored answers can answer it.

Handshake, `ping`, lists and a subscription to changes of the lists depend only on the settings. All other
messages are for the server, and so is each one that is in any way unusual.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from elks_mcp.mcp_server.snapshots import Answers

HANDSHAKE, INITIALIZED, DISCOVERY = "initialize", "notifications/initialized", "server/discover"
LISTEN, ACKNOWLEDGED = "subscriptions/listen", "notifications/subscriptions/acknowledged"
LISTS = ("tools/list", "prompts/list", "resources/list", "resources/templates/list")

LIST_CHANGES = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}
"""The only subscription that is acknowledged early. Clients that subscribe do so before they list."""

REPEATED = "elks-mcp-greeter-"
"""The beginning of the ids of requests that are repeated for the server."""

META = "io.modelcontextprotocol/"
"""The beginning of the names of what each request of the newer era says about its client."""

_CAPABILITIES, _CLIENT, _VERSION = f"{META}clientCapabilities", f"{META}clientInfo", f"{META}protocolVersion"
_LOG_LEVEL = f"{META}logLevel"
_LOG_LEVELS = frozenset(["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"])
_MAX_ID = 2**53
_MAX_BRACKETS = 100
"""A message with more of them may be nested more deeply than Python or the SDK can read."""

Frame = dict[str, Any]


class Greeting(NamedTuple):
    """The messages of a client that were answered, for the server that takes over."""

    opening: Sequence[bytes]
    """The messages that the server needs to know the session, a line each."""

    checks: Sequence[bytes]
    """The other requests that were answered, a line each."""

    answers: Mapping[str, str]
    """The result that the client has, as JSON, by the id of the repeated request."""

    acknowledged: Mapping[int | str, str]
    """The subscription that the client has, as JSON, by the id of its request, which is not changed."""

    is_modern: bool
    """Whether the session is one of the newer era."""


class GreetedSession:
    """A session up to its first message that only the server can answer."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._version = ""
        self._is_initialized = False
        self._opening: list[Frame] = []
        self._checks: list[Frame] = []
        self.is_over = not answers
        """Whether such a message has been met."""

    def answer(self, line: bytes) -> bytes | None:
        """Return the answer to a message, b"" if it needs none, and None if it is for the server."""
        message = parse(line)
        answer = None if message is None else self._answer(message)
        self.is_over = answer is None
        return answer

    def close(self) -> Greeting:
        """Answer nothing more, and return what has been answered."""
        self.is_over = True
        answers: dict[str, str] = {}
        acknowledged: dict[int | str, str] = {}

        def repeat(message: Frame) -> bytes:
            method = message["method"]
            if method == LISTEN:
                acknowledged[message["id"]] = self._known[method]
            elif "id" in message:
                message = {**message, "id": f"{REPEATED}{len(answers)}"}
                answers[message["id"]] = self._known[method]
            return _write(message).removesuffix(b"\n")

        opening, checks = [*map(repeat, self._opening)], [*map(repeat, self._checks)]
        return Greeting(opening, checks, answers, acknowledged, self._is_modern)

    @property
    def _known(self) -> Mapping[str, str]:
        return self._answers.get(self._version, {})

    @property
    def _is_modern(self) -> bool:
        return DISCOVERY in self._known

    def _answer(self, message: Frame) -> bytes | None:
        method, params = message["method"], message.get("params", {})
        if "id" not in message:
            return self._note_initialized(message) if method == INITIALIZED and not params else None
        if not self._version:
            return self._open(message, params)
        if self._is_modern:
            return self._answer_modern(message, params)
        if not _is_plain(params):
            return None
        if method == "ping":
            return _write({"jsonrpc": "2.0", "id": message["id"], "result": {}})
        return self._say(message, self._checks) if self._is_initialized and method in LISTS else None

    def _open(self, message: Frame, params: Frame) -> bytes | None:
        """Answer the first request, which says the version of the protocol."""
        is_handshake = message["method"] == HANDSHAKE and _is_handshake(params)
        if not is_handshake and not (message["method"] == DISCOVERY and _is_described(params)):
            return None
        version = params["protocolVersion"] if is_handshake else params["_meta"][_VERSION]
        if message["method"] not in self._answers.get(version, {}):
            return None
        self._version = version
        return self._say(message, self._opening)

    def _note_initialized(self, message: Frame) -> bytes | None:
        if not self._version or self._is_modern or self._is_initialized:
            return None
        self._is_initialized = True
        self._opening.append(message)
        return b""

    def _answer_modern(self, message: Frame, params: Frame) -> bytes | None:
        method, rest = message["method"], dict(params)
        if method == LISTEN and rest.pop("notifications", None) != LIST_CHANGES:
            return None
        if not _is_described(rest) or rest["_meta"][_VERSION] != self._version:
            return None
        if method == LISTEN:
            return self._acknowledge(message)
        return self._say(message, self._checks) if method in {DISCOVERY, *LISTS} else None

    def _acknowledge(self, request: Frame) -> bytes | None:
        known = self._known.get(LISTEN)
        if known is None:
            return None
        self._opening.append(request)
        return _splice(
            '{"jsonrpc":"2.0","method":"%s","params":{"_meta":{"%ssubscriptionId":%s},"notifications":%s}}',
            ACKNOWLEDGED,
            META,
            json.dumps(request["id"], ensure_ascii=False),
            known,
        )

    def _say(self, request: Frame, said: list[Frame]) -> bytes | None:
        known = self._known.get(request["method"])
        if known is None:
            return None
        said.append(request)
        number = json.dumps(request["id"], ensure_ascii=False)
        return _splice('{"jsonrpc":"2.0","id":%s,"result":%s}', number, known)


def parse(line: bytes) -> Frame | None:
    """Return a request or a notification; None for any other message, and for an unusual one."""
    if line.count(b"{") + line.count(b"[") > _MAX_BRACKETS:
        return None
    try:
        message = json.loads(line.decode())
        _write(message)  # fails for an unpaired surrogate
    except ValueError:
        return None
    if not isinstance(message, dict) or not message.keys() <= {"jsonrpc", "id", "method", "params"}:
        return None
    method, params, number = message.get("method"), message.get("params", {}), message.get("id", 0)
    is_id = isinstance(number, str) or (type(number) is int and abs(number) < _MAX_ID)
    if message.get("jsonrpc") != "2.0" or not is_id:
        return None
    return message if isinstance(method, str) and isinstance(params, dict) else None


def is_for_server(received: bytes) -> bool:
    """Return whether the last messages of a client need the server.

    Notifications do not: without a client, they have no effect. Neither does what is not JSON, such as a
    message that was cut off: the server would only log it.
    """
    for line in filter(None, map(bytes.strip, received.split(b"\n"))):
        message = parse(line)
        if "id" in message if message else _is_json(line):
            return True
    return False


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _is_plain(params: Frame) -> bool:
    """Return whether a request of the older era has no parameters but a token for progress."""
    meta = params.get("_meta", {})
    return (
        params.keys() <= {"_meta"}
        and isinstance(meta, dict)
        and meta.keys() <= {"progressToken"}
        and type(meta.get("progressToken", 0)) in {int, str}
    )


def _is_handshake(params: Frame) -> bool:
    return (
        params.keys() == {"protocolVersion", "capabilities", "clientInfo"}
        and isinstance(params["protocolVersion"], str)
        and _are_capabilities(params["capabilities"])
        and _is_program(params["clientInfo"])
    )


def _is_described(params: Frame) -> bool:
    """Return whether a request of the newer era only describes its client."""
    meta = params.get("_meta")
    return (
        params.keys() == {"_meta"}
        and isinstance(meta, dict)
        and meta.keys() <= {_VERSION, _CAPABILITIES, _CLIENT, _LOG_LEVEL}
        and isinstance(meta.get(_VERSION), str)
        and _are_capabilities(meta.get(_CAPABILITIES))
        and (_CLIENT not in meta or _is_program(meta[_CLIENT]))
        and (_LOG_LEVEL not in meta or _is_log_level(meta[_LOG_LEVEL]))
    )


def _is_log_level(value: object) -> bool:
    return isinstance(value, str) and value in _LOG_LEVELS


def _are_capabilities(value: object) -> bool:
    """Return whether a value has the form of a client's capabilities: objects in an object."""
    return isinstance(value, dict) and all(
        _holds_objects(each) if name in {"experimental", "extensions"} else _holds_flags(each)
        for name, each in value.items()
    )


def _holds_objects(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(each, dict) for each in value.values())


def _holds_flags(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(each, bool) or _holds_flags(each) for each in value.values()
    )


def _is_program(value: object) -> bool:
    return (
        isinstance(value, dict)
        and {"name", "version"} <= value.keys() <= {"name", "version", "title", "description", "websiteUrl"}
        and all(isinstance(each, str) for each in value.values())
    )


def _splice(template: str, *parts: str) -> bytes:
    return (template % parts).encode() + b"\n"


def _write(message: object) -> bytes:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
