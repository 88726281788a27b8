"""The control API over HTTP: `/_sandbox/...`, with JSON requests and answers.

It needs no password, since it is a tool on the user's own machine. Web pages of other sites are refused
twice: by the check of the whole app (`origin.py`), and because a POST must carry JSON, for which a browser
first asks a permission (CORS) that is never given.
"""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import NoneType
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from elks_mcp.sandbox import views
from elks_mcp.sandbox.clock import NotManualError
from elks_mcp.sandbox.faults import Fault
from elks_mcp.sandbox.network import CannotAnswerError, is_number
from elks_mcp.sandbox.simulation import Simulation

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
    """The control API refuses a request; the message says why."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


class Control:
    """The routes below `/_sandbox`."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
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
        return JSONResponse(views.state(self._simulation))

    async def _ledger(self, _request: Request) -> Response:
        return JSONResponse(views.ledger(self._simulation))

    async def _faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._simulation.faults.clear()
        return JSONResponse({"faults": views.faults(self._simulation)})

    async def _inject(self, body: Body) -> Body:
        try:
            self._simulation.faults.inject(**_fault_arguments(body))
        except ValueError as error:
            raise BadRequestError(str(error)) from None
        return {"faults": views.faults(self._simulation)}

    async def _advance(self, body: Body) -> Body:
        try:
            self._simulation.clock.advance(_duration(body.get("seconds")))
        except NotManualError as error:
            raise BadRequestError(str(error), 409) from None
        except (OverflowError, ValueError) as error:
            raise BadRequestError(str(error)) from None
        await self._simulation.settle()
        return {"now": views.time(self._simulation.clock.now())}

    async def _incoming(self, body: Body) -> Body:
        self._simulation.catch_up()
        sender, to = _text(body, "from"), body.get("to", self._simulation.own.number)
        if not isinstance(to, str) or not is_number(to):
            raise BadRequestError("“to” must be a phone number in E.164.")
        received = self._simulation.network.text_us(
            sender, _text(body, "text"), to, self._simulation.clock.now()
        )
        return {"message": views.message(received)}

    async def _reply(self, body: Body) -> Body:
        self._simulation.catch_up()
        number = _text(body, "number")
        if not is_number(number):
            raise BadRequestError("“number” must be a phone number in E.164.")
        try:
            written = self._simulation.network.write(
                number, _text(body, "text"), self._simulation.clock.now()
            )
        except CannotAnswerError as error:
            raise BadRequestError(str(error), 409) from None
        return {"message": views.message(written) if written else None}

    async def _reset(self, _body: Body) -> Body:
        self._simulation.reset()
        return {"balance": self._simulation.account.balance}


def _posted(handler: Callable[[Body], Awaitable[Body]]) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that reads a JSON object, calls `handler` with it, and answers JSON."""

    async def endpoint(request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return JSONResponse({"error": "The request must be application/json."}, 415)
        try:
            body = json.loads(await request.body() or b"{}")
        except ValueError:
            return JSONResponse({"error": "The body is not JSON."}, 400)
        if not isinstance(body, dict):
            return JSONResponse({"error": "The body is not a JSON object."}, 400)
        try:
            return JSONResponse(await handler(body))
        except BadRequestError as error:
            return JSONResponse({"error": str(error)}, error.status)

    return endpoint


def _text(body: Body, key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value:
        raise BadRequestError(f"“{key}” must be a text that is not empty.")
    return value


def _fault_arguments(body: Body) -> Body:
    """Return the checked arguments for `Faults.inject`."""
    arguments: Body = {"fault": _fault(body.pop("fault", None))}
    for key, value in body.items():
        if key == "duration_seconds":
            arguments["duration"] = None if value is None else _duration(value)
        elif key not in _FAULT_FIELDS:
            raise BadRequestError(f"“{key}” is not an option of a fault.")
        elif type(value) not in _FAULT_FIELDS[key]:
            raise BadRequestError(f"“{key}” has the wrong type.")
        else:
            arguments[key] = value
    return arguments


def _fault(value: object) -> Fault:
    try:
        return Fault(value)
    except ValueError:
        known = ", ".join(fault.value for fault in Fault)
        raise BadRequestError(f"“fault” must be one of {known}.") from None


def _duration(seconds: object) -> timedelta:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise BadRequestError("The duration must be a number of seconds.")
    try:
        return timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        raise BadRequestError("The duration is too long.") from None
