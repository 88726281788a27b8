"""Bodies of requests to `/mcp`, read ahead of the SDK to see which methods they call."""

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from starlette.types import Message, Receive

from elks_mcp.runtime.clock import Clock
from elks_mcp.web.rejections import refuse_slow_body

MAX_BODY_BYTES = 1024 * 1024
"""The largest body, in bytes. The SDK refuses a larger one with 413."""

_BODY_TIMEOUT = timedelta(seconds=10)
"""How long the whole body may take to arrive."""


async def read_body(receive: Receive, clock: Clock) -> bytes:
    """Return the body of a request; if it is too large, only enough for the SDK to refuse it.

    Raises:
        RequestRefused: the body did not arrive within 10 seconds.
    """
    body = bytearray()
    try:
        with clock.fail_after(_BODY_TIMEOUT):
            while len(body) <= MAX_BODY_BYTES:
                message = await receive()
                body += message.get("body", b"")
                if message["type"] != "http.request" or not message.get("more_body"):
                    break
    except TimeoutError:
        raise refuse_slow_body(_BODY_TIMEOUT.seconds) from None
    return bytes(body)


def replay_body(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that yields a body already read, and then what `receive` yields."""
    is_replayed = False

    async def replay() -> Message:
        nonlocal is_replayed
        if is_replayed:
            return await receive()
        is_replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def parse_calls(body: bytes) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Yield the method and parameters of each call in a body; the SDK refuses anything else."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return
    for call in content if isinstance(content, list) else [content]:
        if isinstance(call, dict) and isinstance(method := call.get("method"), str):
            params = call.get("params")
            yield method, params if isinstance(params, dict) else {}
