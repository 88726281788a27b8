"""Messages from a client that the SDK cannot read: which are answered, repaired or skipped.

On standard input the SDK drops such a message, and the client waits for an answer until it gives up. A
message is skipped only if no request id can be read from it: no client could tell what an answer belongs to.
"""

import json
import logging
import re
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from anyio import EndOfStream
from mcp.server import MCPServer
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp_types import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError

if TYPE_CHECKING:
    from mcp.shared._stream_protocols import ReadStream, WriteStream

log = logging.getLogger(__name__)

_BYTE_ORDER_MARK = "\ufeff"
_HALF = re.compile("[\ud800-\udfff]")
_HALF_IN_BYTES = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
_LONGEST_NAME = 40
_LONGEST_INTEGER = 20


class LenientReader:
    """The messages of a client on standard input; those that the SDK could not read are handled here."""

    def __init__(
        self, messages: "ReadStream[SessionMessage | Exception]", answers: "WriteStream[SessionMessage]"
    ) -> None:
        self._messages = messages
        self._answers = answers

    async def receive(self) -> SessionMessage | Exception:
        """Return the next message that can be read."""
        while True:
            message = await self._messages.receive()
            if not isinstance(message, ValidationError):
                return message
            if repaired := await self._handle(message):
                return SessionMessage(repaired)

    async def _handle(self, error: ValidationError) -> JSONRPCMessage | None:
        """Return an unreadable message if it can be repaired; else answer its requests, or skip it."""
        sent = _find_sent(error)
        if isinstance(sent, str) and sent.startswith(_BYTE_ORDER_MARK):
            log.warning("skipped a byte order mark before a message")
            try:
                return _parse(sent.lstrip(_BYTE_ORDER_MARK))
            except ValidationError as again:
                return await self._handle(again)
        read = _read_leniently(sent) if isinstance(sent, str) else sent
        answers = [
            explain_request(each, is_json=read is sent)
            for each in (read if isinstance(read, list) else [read])
            if isinstance(each, dict) and _can_be_answered(each)
        ]
        for answer in answers:
            log.warning("answered a request that cannot be read: %s", answer.error.message)
            await self._answers.send(SessionMessage(answer))
        return None if answers else _repair(read)

    async def aclose(self) -> None:
        """Close the messages."""
        await self._messages.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


def find_lone_surrogates(body: bytes) -> JSONRPCError | None:
    """Return the answer to a request over HTTP that holds half of a surrogate pair; None for any other."""
    if not _HALF_IN_BYTES.search(body):
        return None
    try:
        read = _read_leniently(body.decode("utf-8", "surrogatepass"))
    except UnicodeDecodeError:  # the SDK answers this
        return None
    if isinstance(read, dict) and _can_be_answered(read) and _HALF.search(_write(read)):
        return explain_request(read, is_json=True)
    return None


def explain_request(request: Mapping[str, Any], *, is_json: bool) -> JSONRPCError:
    """Return the error that answers a request that cannot be read; it names the argument at fault."""
    code, fault = PARSE_ERROR, "The message is not valid JSON. Send JSON-RPC 2.0, one message a line."
    if _HALF.search(_write(request)):
        code, fault = INVALID_PARAMS, _name_half(request)
    elif is_json:
        code, fault = INVALID_REQUEST, "The message is not a JSON-RPC 2.0 request. Send one request a line."
    return JSONRPCError(jsonrpc="2.0", id=request["id"], error=ErrorData(code=code, message=fault))


def _name_half(request: Mapping[str, Any]) -> str:
    params = request.get("params")
    arguments = params.get("arguments") if isinstance(params, dict) else None
    named = arguments if isinstance(arguments, dict) else {}
    where = next((name for name, value in named.items() if _HALF.search(_write([name, value]))), None)
    location = "The request" if where is None else f"The argument `{_HALF.sub('?', where[:_LONGEST_NAME])}`"
    return f"{location} holds half of a surrogate pair, which is not a character. Send whole characters."


def _find_sent(error: ValidationError) -> object:
    """Return what was sent: its text if that is not JSON, else the value that the text stands for."""
    for fault in error.errors(include_url=False):
        kind, depth = fault["type"], len(fault["loc"])
        if kind == "json_invalid" or (kind, depth) in {("model_type", 1), ("missing", 2)}:
            return fault["input"]
    return None


def _read_leniently(text: str) -> object:
    """Return the value of a text that strict JSON does not take; None if it has none."""
    try:
        return json.loads(text, strict=False, parse_int=_read_integer)
    except (ValueError, RecursionError):
        return None


def _read_integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float(digits)


def _can_be_answered(message: Mapping[str, Any]) -> bool:
    """Return whether a message is a request whose id can be repeated."""
    number = message.get("id")
    is_id = isinstance(number, int) or (isinstance(number, str) and not _HALF.search(number))
    return "method" in message and is_id and not isinstance(number, bool)


def _repair(read: object) -> JSONRPCMessage | None:
    """Return a notification or an answer with U+FFFD for each half of a surrogate pair; None to skip it."""
    is_request = isinstance(read, dict) and {"method", "id"} <= read.keys()
    text = "" if is_request else _write(read)
    try:
        repaired = _parse(_HALF.sub("\ufffd", text)) if _HALF.search(text) else None
    except ValidationError:
        repaired = None
    log.warning("replaced half of a surrogate pair" if repaired else "skipped a message that cannot be read")
    return repaired


def _parse(text: str) -> JSONRPCMessage:
    return jsonrpc_message_adapter.validate_json(text, by_name=False)


def _write(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


async def run_stdio(server: MCPServer[Any]) -> None:
    """Serve as `MCPServer.run_stdio_async` does, except that messages the SDK cannot read are not dropped."""
    lowlevel = server._lowlevel_server  # noqa: SLF001  (MCPServer takes no streams)
    async with stdio_server() as (messages, answers):
        options = lowlevel.create_initialization_options()
        await lowlevel.run(LenientReader(messages, answers), answers, options)
