"""The control API for calls: what rings, what the owner of a phone does, and the sounds."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from elks_mcp.sandbox import call_views
from elks_mcp.sandbox.call_behaviours import CALL_BEHAVIOURS, CallBehaviour, pressing
from elks_mcp.sandbox.control import BadRequestError, Body, posted, text
from elks_mcp.sandbox.network import is_number
from elks_mcp.sandbox.phone_calls import PhoneCalls
from elks_mcp.sandbox.simulation import Simulation
from elks_mcp.sandbox.voice.call_log import StoredCall
from elks_mcp.sandbox.voice.exchange import PhoneError

_SOUND_TYPES = {b"RIFF": "audio/wav", b"OggS": "audio/ogg"}
_HEADERS = {
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class CallControl:
    """The routes for calls below `/_sandbox`."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation, self._calls = simulation, PhoneCalls(simulation)

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [
            Route("/_sandbox/calls", self._list, methods=["GET"]),
            Route("/_sandbox/call", posted(self._act), methods=["POST"]),
            Route("/_sandbox/call-behaviour", posted(self._set_behaviour), methods=["POST"]),
            Route("/_sandbox/audio/{sha256}", self._audio, methods=["GET"]),
        ]

    async def _list(self, _request: Request) -> Response:
        calls = [call_views.call(self._simulation, entry) for entry in self._calls.history]
        sounds = call_views.sounds(self._simulation.exchange.audio)
        return JSONResponse({"calls": calls, "sounds": sounds})

    async def _act(self, body: Body) -> Body:
        acts: dict[str, Callable[[str], StoredCall]] = {
            "answer": self._calls.answer,
            "decline": self._calls.decline,
            "let_ring": self._calls.let_ring,
            "hang_up": self._calls.hang_up,
            "press": lambda call: self._calls.press(call, text(body, "keys")),
        }
        name = text(body, "do")
        if name not in acts:
            raise BadRequestError(f"“do” must be one of {', '.join(acts)}.")
        try:
            entry = acts[name](text(body, "call"))
        except PhoneError as error:
            raise BadRequestError(str(error), 409) from None
        self._simulation.notify()
        return {"call": call_views.call(self._simulation, entry)}

    async def _set_behaviour(self, body: Body) -> Body:
        number = text(body, "number")
        if not is_number(number):
            raise BadRequestError("“number” must be a phone number in E.164.")
        behaviour = _read_behaviour(body)
        self._calls.set_behaviour(number, behaviour)
        return {"behaviour": behaviour.description}

    async def _audio(self, request: Request) -> Response:
        audio = self._simulation.exchange.audio.find(request.path_params["sha256"])
        if audio is None:
            return PlainTextResponse("Not found", 404)
        # By its first bytes, since the client's web server may say anything, even that it is a page.
        media_type = _SOUND_TYPES.get(audio.content[:4], "audio/mpeg")
        return Response(audio.content, media_type=media_type, headers=_HEADERS)


def _read_behaviour(body: Body) -> CallBehaviour:
    name = text(body, "behaviour")
    if name == "presses":
        digits = text(body, "digits")
        if not digits.isdecimal() or not digits.isascii():
            raise BadRequestError("“digits” must be digits.")
        return pressing(digits)
    if name not in CALL_BEHAVIOURS:
        raise BadRequestError(f"“behaviour” must be one of {', '.join(CALL_BEHAVIOURS)}, presses.")
    return CALL_BEHAVIOURS[name]
