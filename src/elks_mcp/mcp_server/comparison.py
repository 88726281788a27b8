"""Compares what the greeter answered with what the server answers to the same requests."""

import json
from collections.abc import Mapping
from typing import Any

import anyio
from mcp_types import JSONRPCMessage, JSONRPCNotification, JSONRPCResponse

from elks_mcp.mcp_server.greeting import ACKNOWLEDGED, META, Greeting


class Comparison:
    """Finds out whether the answers of the greeter were those of the server."""

    def __init__(self, greeting: Greeting) -> None:
        self._answers = dict(greeting.answers)
        self._acknowledged = dict(greeting.acknowledged)
        self.is_modern = greeting.is_modern
        self.differs = anyio.Event()

    def takes(self, message: JSONRPCMessage) -> bool:
        """Return whether a message was already answered by the greeter, after a comparison."""
        if isinstance(message, JSONRPCNotification):
            return message.method == ACKNOWLEDGED and self._takes_acknowledgement(message.params or {})
        number = getattr(message, "id", None)
        given = self._answers.pop(number, None) if isinstance(number, str) else None
        if given is None:
            return False
        self._compare(given, message.result if isinstance(message, JSONRPCResponse) else None)
        return True

    def _takes_acknowledgement(self, params: Mapping[str, Any]) -> bool:
        number = params.get("_meta", {}).get(f"{META}subscriptionId")
        given = self._acknowledged.pop(number, None)
        if given is None:
            return False
        self._compare(given, params.get("notifications"))
        return True

    def _compare(self, given: str, found: object) -> None:
        if json.loads(given) != found:
            self.differs.set()
