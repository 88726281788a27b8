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
from elks_mcp.sandbox.clock import ManualClock
from elks_mcp.sandbox.faults import Fault
from elks_mcp.sandbox.handsets import BEHAVIOURS, Behaviour, answering
from elks_mcp.sandbox.network import CannotAnswerError, is_number
from elks_mcp.sandbox.number_format import read_number
from elks_mcp.sandbox.pictures import Picture, parse_data_url
from elks_mcp.sandbox.simulation import Simulation

Body = dict[str, Any]

_MOST_PICTURE_CHARACTERS = 14_000_000
_PICTURE_HEADERS = {
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}

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
            Route("/_sandbox/pictures/{digest}", self._picture, methods=["GET"]),
            Route("/_sandbox/faults", self._faults, methods=["GET", "DELETE"]),
            Route("/_sandbox/faults", self._posted(self._inject), methods=["POST"]),
            Route("/_sandbox/clock", self._posted(self._advance), methods=["POST"]),
            Route("/_sandbox/incoming", self._posted(self._incoming), methods=["POST"]),
            Route("/_sandbox/reply", self._posted(self._reply), methods=["POST"]),
            Route("/_sandbox/phone", self._posted(self._open_phone), methods=["POST"]),
            Route("/_sandbox/behaviour", self._posted(self._set_behaviour), methods=["POST"]),
            Route("/_sandbox/fail-next", self._posted(self._fail_next), methods=["POST"]),
            Route("/_sandbox/reset", self._posted(self._reset), methods=["POST"]),
        ]

    def _posted(self, handler: Callable[[Body], Awaitable[Body]]) -> Callable[[Request], Awaitable[Response]]:
        async def handle(body: Body) -> Body:
            answer = await handler(body)
            self._simulation.notify()
            return answer

        return posted(handle)

    async def _state(self, _request: Request) -> Response:
        return JSONResponse(views.state(self._simulation))

    async def _ledger(self, _request: Request) -> Response:
        return JSONResponse(views.ledger(self._simulation))

    async def _picture(self, request: Request) -> Response:
        """Return a picture, which a browser shows as nothing else."""
        picture = self._simulation.network.pictures.get(request.path_params["digest"])
        if picture is None:
            return JSONResponse({"error": "The sandbox has no such picture."}, 404)
        return Response(picture.content, media_type=picture.media_type, headers=_PICTURE_HEADERS)

    async def _faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._simulation.faults.clear()
            self._simulation.notify()
        return JSONResponse({"faults": views.faults(self._simulation)})

    async def _inject(self, body: Body) -> Body:
        try:
            self._simulation.faults.inject(**_fault_arguments(body))
        except ValueError as error:
            raise BadRequestError(str(error)) from None
        return {"faults": views.faults(self._simulation)}

    async def _advance(self, body: Body) -> Body:
        """Advance a manual clock; with the machine's, let the next events happen earlier."""
        step, clock = _duration(body.get("seconds")), self._simulation.clock
        try:
            if isinstance(clock, ManualClock):
                clock.advance(step)
            else:
                self._simulation.bring_forward(step)
        except (OverflowError, ValueError) as error:
            raise BadRequestError(str(error)) from None
        await self._simulation.settle()
        return {"now": views.time(self._simulation.clock.now())}

    async def _incoming(self, body: Body) -> Body:
        self._simulation.catch_up()
        pictures = _pictures(body)
        sender, to = text(body, "from"), body.get("to", self._simulation.own.number)
        if not isinstance(to, str) or not is_number(to):
            raise BadRequestError("“to” must be a phone number in E.164.")
        received = self._simulation.network.text_us(
            sender, _words(body, pictures), to, self._simulation.clock.now(), pictures
        )
        return {"message": views.message(received)}

    async def _reply(self, body: Body) -> Body:
        self._simulation.catch_up()
        number, pictures = text(body, "number"), _pictures(body)
        if not is_number(number):
            raise BadRequestError("“number” must be a phone number in E.164.")
        try:
            written = self._simulation.network.write(
                number, _words(body, pictures), self._simulation.clock.now(), pictures=pictures
            )
        except CannotAnswerError as error:
            raise BadRequestError(str(error), 409) from None
        return {"message": views.message(written) if written else None}

    async def _open_phone(self, body: Body) -> Body:
        number = read_number(text(body, "number"), self._simulation.own.number)
        if number is None or not is_number(number):
            raise BadRequestError("This is not a phone number, such as 070-174 06 05 or +46701740605.")
        self._simulation.network.handset(number)
        return {"number": number}

    async def _set_behaviour(self, body: Body) -> Body:
        self._simulation.catch_up()
        number = text(body, "number")
        if not is_number(number):
            raise BadRequestError("“number” must be a phone number in E.164.")
        behaviour = _behaviour(body)
        self._simulation.network.set_behaviour(number, behaviour, self._simulation.clock.now())
        return {"behaviour": behaviour.description}

    async def _fail_next(self, body: Body) -> Body:
        fails = body.get("fails", True)
        if not isinstance(fails, bool):
            raise BadRequestError("“fails” must be true or false.")
        self._simulation.network.fails_next = fails
        return {"fails": fails}

    async def _reset(self, _body: Body) -> Body:
        self._simulation.reset()
        return {"balance": self._simulation.account.balance}


def posted(handler: Callable[[Body], Awaitable[Body]]) -> Callable[[Request], Awaitable[Response]]:
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


def text(body: Body, key: str) -> str:
    """Return the text in a field of a request, which must not be empty."""
    value = body.get(key)
    if not isinstance(value, str) or not value:
        raise BadRequestError(f"“{key}” must be a text that is not empty.")
    return value


def _words(body: Body, pictures: tuple[Picture, ...] | None) -> str:
    """Return the text of a request, which may be empty if there is a picture."""
    return "" if pictures and body.get("text") in {None, ""} else text(body, "text")


def _pictures(body: Body) -> tuple[Picture, ...] | None:
    """Return the pictures of a request, given as data URLs, or None if it is a text."""
    urls = body.get("images")
    if urls is None:
        return None
    if not isinstance(urls, list) or not urls or not all(isinstance(url, str) for url in urls):
        raise BadRequestError("“images” must be a list of data URLs.")
    if sum(map(len, urls)) > _MOST_PICTURE_CHARACTERS:
        raise BadRequestError("The pictures are larger than 10 MB.")
    pictures = [parse_data_url(url) for url in urls]
    if None in pictures:
        raise BadRequestError("“images” must be data URLs of PNG, JPEG or GIF files.")
    return tuple(picture for picture in pictures if picture)


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


def _behaviour(body: Body) -> Behaviour:
    name = text(body, "behaviour")
    if name == "answers":
        return answering(text(body, "text"))
    if name not in BEHAVIOURS:
        raise BadRequestError(f"“behaviour” must be one of {', '.join(BEHAVIOURS)}, answers.")
    return BEHAVIOURS[name]


def _fault(value: object) -> Fault:
    by_name = {fault.value: fault for fault in Fault}
    if not isinstance(value, str) or value not in by_name:
        raise BadRequestError(f"“fault” must be one of {', '.join(by_name)}.")
    return by_name[value]


def _duration(seconds: object) -> timedelta:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise BadRequestError("The duration must be a number of seconds.")
    try:
        return timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        raise BadRequestError("The duration is too long.") from None
