"""Steering a sandbox over HTTP: ``/_sandbox/...``, JSON both ways.

It asks for no password, being a tool on one's own machine. Web pages of other sites are kept out twice: by
the lock on the whole app (``origin.py``), and because a POST must carry JSON, for which a browser asks
permission first (CORS) that is never given.
"""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import NoneType
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from elks_mcp.sandbox import show
from elks_mcp.sandbox.clock import NotManualError
from elks_mcp.sandbox.faults import Fault
from elks_mcp.sandbox.network import CannotAnswerError, is_number
from elks_mcp.sandbox.world import World

Body = dict[str, Any]

_FAULT_FIELDS: dict[str, tuple[type, ...]] = {
    "method": (str, NoneType),
    "path": (str, NoneType),
    "dryrun": (bool, NoneType),
    "times": (int, NoneType),
    "skip": (int,),
    "accepted": (bool, NoneType),
    "retry_after": (int, NoneType),
    "text": (str,),
    "cost": (int, float, str, bool, NoneType),
}


class BadRequestError(Exception):
    """The control API cannot do what it was asked, for the reason in this exception."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


class Control:
    """The routes below ``/_sandbox``."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[BaseRoute]:
        """List the routes."""
        return [
            Route("/_sandbox/state", self._state, methods=["GET"]),
            Route("/_sandbox/ledger", self._ledger, methods=["GET"]),
            Route("/_sandbox/faults", self._faults, methods=["GET", "DELETE"]),
            Route("/_sandbox/faults", _posted(self._inject), methods=["POST"]),
            Route("/_sandbox/clock", _posted(self._advance), methods=["POST"]),
            Route("/_sandbox/incoming", _posted(self._incoming), methods=["POST"]),
            Route("/_sandbox/reply", _posted(self._reply), methods=["POST"]),
            Route("/_sandbox/reset", _posted(self._reset), methods=["POST"]),
        ]

    async def _state(self, _request: Request) -> Response:
        return JSONResponse(show.state(self._world))

    async def _ledger(self, _request: Request) -> Response:
        return JSONResponse(show.ledger(self._world))

    async def _faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._world.faults.clear()
        return JSONResponse({"faults": show.faults(self._world)})

    async def _inject(self, body: Body) -> Body:
        try:
            self._world.faults.inject(**_fault_arguments(body))
        except ValueError as error:
            raise BadRequestError(str(error)) from None
        return {"faults": show.faults(self._world)}

    async def _advance(self, body: Body) -> Body:
        try:
            self._world.clock.advance(_duration(body.get("seconds")))
        except NotManualError as error:
            raise BadRequestError(str(error), 409) from None
        except (OverflowError, ValueError) as error:
            raise BadRequestError(str(error)) from None
        await self._world.settle()
        return {"now": show.time(self._world.clock.now())}

    async def _incoming(self, body: Body) -> Body:
        self._world.catch_up()
        sender, to = _text(body, "from"), body.get("to", self._world.own.number)
        if not isinstance(to, str) or not is_number(to):
            raise BadRequestError("“to” must be a phone number in E.164")
        received = self._world.network.text_us(sender, _text(body, "text"), to, self._world.clock.now())
        return {"message": show.message(received)}

    async def _reply(self, body: Body) -> Body:
        self._world.catch_up()
        number = _text(body, "number")
        if not is_number(number):
            raise BadRequestError("“number” must be a phone number in E.164")
        try:
            written = self._world.network.write(number, _text(body, "text"), self._world.clock.now())
        except CannotAnswerError as error:
            raise BadRequestError(str(error), 409) from None
        return {"message": show.message(written) if written else None}

    async def _reset(self, _body: Body) -> Body:
        self._world.reset()
        return {"balance": self._world.account.balance}


def _posted(handler: Callable[[Body], Awaitable[Body]]) -> Callable[[Request], Awaitable[Response]]:
    """Read a JSON object, hand it to *handler*, and answer with JSON."""

    async def endpoint(request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return JSONResponse({"error": "send application/json"}, 415)
        try:
            body = json.loads(await request.body() or b"{}")
        except ValueError:
            return JSONResponse({"error": "the body is not JSON"}, 400)
        if not isinstance(body, dict):
            return JSONResponse({"error": "the body is not a JSON object"}, 400)
        try:
            return JSONResponse(await handler(body))
        except BadRequestError as error:
            return JSONResponse({"error": str(error)}, error.status)

    return endpoint


def _text(body: Body, key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value:
        raise BadRequestError(f"“{key}” must be a text that is not empty")
    return value


def _fault_arguments(body: Body) -> Body:
    """Check what ``Faults.inject`` is to be called with."""
    arguments: Body = {"fault": _fault(body.pop("fault", None))}
    for key, value in body.items():
        if key == "duration_seconds":
            arguments["duration"] = None if value is None else _duration(value)
        elif key not in _FAULT_FIELDS:
            raise BadRequestError(f"“{key}” is not known")
        elif type(value) not in _FAULT_FIELDS[key]:
            raise BadRequestError(f"“{key}” has the wrong type")
        else:
            arguments[key] = value
    return arguments


def _fault(value: object) -> Fault:
    try:
        return Fault(value)
    except ValueError:
        known = ", ".join(fault.value for fault in Fault)
        raise BadRequestError(f"“fault” must be one of {known}") from None


def _duration(seconds: object) -> timedelta:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise BadRequestError("give a number of seconds")
    try:
        return timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        raise BadRequestError("that many seconds do not fit") from None
