"""A 46elks whose answers are damaged on the way, in one row or one field."""

import json
from collections.abc import Callable
from typing import Any

import httpx2

from elks_mcp.sandbox import Sandbox

Row = dict[str, Any]
Damage = Callable[[list[Any]], None]
"""Changes the rows of a list in an answer of 46elks; an object counts as the only row."""


class DamagedTransport(httpx2.AsyncBaseTransport):
    """A transport to a sandbox that damages the answers to one kind of request."""

    def __init__(
        self, inner: httpx2.AsyncBaseTransport, damage: Damage, request: str = "GET /a1/sms"
    ) -> None:
        self._inner = inner
        self.damage = damage
        self._request = request

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Pass a request on, and damage its answer."""
        answer = await self._inner.handle_async_request(request)
        if f"{request.method} {request.url.path}" != self._request:
            return answer
        content = json.loads(await answer.aread())
        self.damage(content.get("data", [content]))
        return httpx2.Response(200, json=content, headers={"date": answer.headers["date"]}, request=request)


class DamagedSandbox(Sandbox):
    """A sandbox with such a transport; `damage` may be changed at any time."""

    damage: Damage = staticmethod(lambda _: None)
    request = "GET /a1/sms"

    def transport(self) -> httpx2.AsyncBaseTransport:
        """Return the damaging transport."""

        def damage(rows: list[Any]) -> None:
            self.damage(rows)

        return DamagedTransport(super().transport(), damage, self.request)


def change(row: int | str, **fields: object) -> Damage:
    """Return a damage that sets fields of one row; `from_` stands for `from`.

    `row` is its position, counted from the newest, or its sender.
    """

    def damage(rows: list[Any]) -> None:
        if (index := _find(rows, row)) is not None:
            rows[index] |= {name.rstrip("_"): value for name, value in fields.items()}

    return damage


def replace(row: int | str, value: object) -> Damage:
    """Return a damage that replaces one whole row."""

    def damage(rows: list[Any]) -> None:
        if (index := _find(rows, row)) is not None:
            rows[index] = value

    return damage


def _find(rows: list[Any], row: int | str) -> int | None:
    if isinstance(row, int):
        return row if row < len(rows) else None
    return next((index for index, each in enumerate(rows) if each["from"] == row), None)
