"""Client messages that the SDK cannot parse: they are answered, repaired or skipped.

The SDK drops such a message on standard input, and the client waits for an answer until its own time-out.
Here a message is skipped only if it has no readable request id, which an answer would need.
"""

import json
import logging
import re
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from anyio import EndOfStream
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
    from mcp.shared._stream_protocols import WriteStream

log = logging.getLogger(__name__)

_BYTE_ORDER_MARK = "\ufeff"
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATE_IN_BYTES = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
_MAX_NAME_LENGTH = 40
_MAX_INTEGER_DIGITS = 20


class MessageSource(Protocol):
    """A stream of messages, and of errors for lines that are none."""

    async def receive(self) -> SessionMessage | Exception:
        """Return the next message, or the error if a line is not a message."""

    async def aclose(self) -> None:
        """Close the stream."""


class LenientReader:
    """Reads a client's messages from standard input, and handles those that are invalid."""

    def __init__(self, messages: MessageSource, answers: "WriteStream[SessionMessage]") -> None:
        self._messages = messages
        self._answers = answers

    async def receive(self) -> SessionMessage | Exception:
        """Return the next message that can be parsed, or repaired."""
        while True:
            message = await self._messages.receive()
            if not isinstance(message, ValidationError):
                return message
            if repaired := await self._handle(message):
                return SessionMessage(repaired)

    async def _handle(self, error: ValidationError) -> JSONRPCMessage | None:
        """Return an invalid message if it can be repaired; else answer its requests, or skip it."""
        sent = _get_invalid_input(error)
        if isinstance(sent, str) and sent.startswith(_BYTE_ORDER_MARK):
            log.warning("Skipped a byte order mark before a message.")
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
            log.warning("Answered an invalid request: %s", answer.error.message)
            await self._answers.send(SessionMessage(answer))
        return None if answers else _repair(read)

    async def aclose(self) -> None:
        """Close the stream of messages."""
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
    """Return the error for an HTTP request with an unpaired surrogate; None for any other body."""
    if not _SURROGATE_IN_BYTES.search(body):
        return None
    try:
        read = _read_leniently(body.decode("utf-8", "surrogatepass"))
    except UnicodeDecodeError:  # the SDK refuses this
        return None
    if isinstance(read, dict) and _can_be_answered(read) and _LONE_SURROGATE.search(_write(read)):
        return explain_request(read, is_json=True)
    return None


def explain_request(request: Mapping[str, Any], *, is_json: bool) -> JSONRPCError:
    """Return the error that answers an invalid request; it names the argument at fault."""
    code, fault = PARSE_ERROR, "The message is not valid JSON. Send one JSON-RPC 2.0 message a line."
    if _LONE_SURROGATE.search(_write(request)):
        code, fault = INVALID_PARAMS, _explain_surrogate(request)
    elif is_json:
        code, fault = INVALID_REQUEST, "The message is not a JSON-RPC 2.0 request. Send one request a line."
    return JSONRPCError(jsonrpc="2.0", id=request["id"], error=ErrorData(code=code, message=fault))


def _explain_surrogate(request: Mapping[str, Any]) -> str:
    params = request.get("params")
    arguments = params.get("arguments") if isinstance(params, dict) else None
    named = arguments if isinstance(arguments, dict) else {}
    where = next(
        (name for name, value in named.items() if _LONE_SURROGATE.search(_write([name, value]))), None
    )
    location = (
        "The request"
        if where is None
        else f"The argument `{_LONE_SURROGATE.sub('?', where[:_MAX_NAME_LENGTH])}`"
    )
    return f"{location} contains an unpaired surrogate, which is not a character. Send whole characters."


def _get_invalid_input(error: ValidationError) -> object:
    """Return the message: as text if it is not JSON, else as the parsed value; None if unknown."""
    for fault in error.errors(include_url=False):
        kind, depth = fault["type"], len(fault["loc"])
        if kind == "json_invalid" or (kind, depth) in {("model_type", 1), ("missing", 2)}:
            return fault["input"]
    return None


def _read_leniently(text: str) -> object:
    """Return the value of a text that strict JSON rejects; None if it cannot be parsed."""
    try:
        return json.loads(text, strict=False, parse_int=_read_integer)
    except (ValueError, RecursionError):
        return None


def _read_integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_INTEGER_DIGITS else float(digits)


def _can_be_answered(message: Mapping[str, Any]) -> bool:
    """Return whether a message is a request with an id that an answer can repeat."""
    number = message.get("id")
    is_id = isinstance(number, int) or (isinstance(number, str) and not _LONE_SURROGATE.search(number))
    return "method" in message and is_id and not isinstance(number, bool)


def _repair(read: object) -> JSONRPCMessage | None:
    """Return a notification or an answer with U+FFFD for unpaired surrogates; None to skip."""
    is_request = isinstance(read, dict) and {"method", "id"} <= read.keys()
    text = "" if is_request else _write(read)
    try:
        repaired = _parse(_LONE_SURROGATE.sub("\ufffd", text)) if _LONE_SURROGATE.search(text) else None
    except ValidationError:
        repaired = None
    log.warning("Replaced an unpaired surrogate." if repaired else "Skipped a message that cannot be parsed.")
    return repaired


def _parse(text: str) -> JSONRPCMessage:
    return jsonrpc_message_adapter.validate_json(text, by_name=False)


def _write(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
