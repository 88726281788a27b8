"""The ASGI app of the API: records each request, applies injected faults, and answers."""

from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import partial
from urllib.parse import parse_qsl

from starlette.types import Message as Event
from starlette.types import Receive, Scope, Send

from elks_mcp.sandbox import api
from elks_mcp.sandbox.clock import first_of
from elks_mcp.sandbox.damage import Loss, damage_answer
from elks_mcp.sandbox.faults import Fault, InjectedFault
from elks_mcp.sandbox.requests import ApiAnswer, ApiRequest
from elks_mcp.sandbox.simulation import Simulation

_SHOWN_BYTES = 4_000
_WAITING = {Fault.HANG, Fault.LATENCY, Fault.ACCEPT_LATE}
IN_PROCESS = "elks_mcp.sandbox.in_process"
"""Key in an ASGI scope's extensions: the caller handles `ConnectionLostError`."""


class ConnectionLostError(Exception):
    """The client does not get a complete answer; `loss` says how it was lost."""

    def __init__(self, loss: Loss) -> None:
        super().__init__(loss.name)
        self.loss = loss


class ApiApp:
    """The ASGI app for `/a1`."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        self._simulation.catch_up()
        request = await self._read(scope, receive)
        injected = self._simulation.faults.take(request)
        if injected is None or injected.arrives:
            self._simulation.record(request)
        answer = await self._answer(request, injected, receive)
        if isinstance(answer, ApiAnswer):
            request.status, request.error = answer.status, answer.error
            request.answer = answer.body[: answer.cut_at][:_SHOWN_BYTES].decode(errors="replace")
        self._simulation.notify()
        await _write(answer, self._simulation.clock.now(), scope, send)

    async def _read(self, scope: Scope, receive: Receive) -> ApiRequest:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        body = await _read_body(receive)
        caller = self._simulation.find_caller(headers.get("authorization", ""))
        is_form = headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        return ApiRequest(
            method=scope["method"],
            path=scope["path"],
            query=_parse_form(scope["query_string"]),
            form=_parse_form(body) if is_form else {},
            at=self._simulation.clock.now(),
            authorized=caller is not None,
            subaccount=caller or "",
        )

    async def _answer(
        self, request: ApiRequest, injected: InjectedFault | None, receive: Receive
    ) -> ApiAnswer | Loss:
        if injected is None:
            return self._answer_honestly(request)
        request.fault = injected.fault.value
        if injected.accepts_late:
            return await self._accept_late(request, injected, receive)
        if injected.fault is Fault.STALE_HISTORY and injected.duration:
            return self._answer_honestly(request, history_lag=injected.duration)
        honest = self._answer_honestly(request) if injected.accepted else None
        if not await self._wait(injected, receive):
            return Loss.DROPPED
        if honest is None and injected.fault is Fault.LATENCY:
            honest = self._answer_honestly(request)
        return damage_answer(injected, honest or api.not_found())

    def _answer_honestly(self, request: ApiRequest, *, history_lag: timedelta = timedelta(0)) -> ApiAnswer:
        return api.answer(self._simulation, request, self._simulation.clock.now(), history_lag=history_lag)

    async def _accept_late(
        self, request: ApiRequest, injected: InjectedFault, receive: Receive
    ) -> ApiAnswer | Loss:
        """Schedule the request as an event of the network, which happens even if the client is gone."""
        answers: list[ApiAnswer] = []
        self._simulation.network.steps.add(
            request.at + (injected.duration or timedelta(0)),
            lambda at: answers.append(api.answer(self._simulation, request, at)),
        )
        await self._wait(injected, receive)
        self._simulation.catch_up()
        return damage_answer(injected, answers[0]) if answers else Loss.DROPPED

    async def _wait(self, injected: InjectedFault, receive: Receive) -> bool:
        """Wait as long as the fault says; return False if the client left or the sandbox shuts down."""
        if injected.fault not in _WAITING:
            return True
        clock, closing = self._simulation.clock, self._simulation.closing
        gone = partial(_disconnected, receive)
        if injected.duration is None:
            await first_of(closing.wait, gone)
            return False
        until = clock.now() + injected.duration
        await first_of(closing.wait, gone, partial(clock.wait_until, until))
        return clock.now() >= until


async def _read_body(receive: Receive) -> bytes:
    chunks = []
    while True:
        event = await receive()
        if event["type"] != "http.request":
            return b""
        chunks.append(event.get("body", b""))
        if not event.get("more_body", False):
            return b"".join(chunks)


async def _disconnected(receive: Receive) -> None:
    event: Event = await receive()
    while event["type"] != "http.disconnect":
        event = await receive()


def _parse_form(encoded: bytes) -> dict[str, str]:
    return dict(parse_qsl(encoded.decode(errors="replace"), keep_blank_values=True))


async def _write(answer: ApiAnswer | Loss, now: datetime, scope: Scope, send: Send) -> None:
    """Send `answer`; a lost one raises an error in process or drops the connection of a socket.

    The Date header has the sandbox's time. A server would add the machine's, which can differ.
    """
    if IN_PROCESS in scope.get("extensions", {}):
        if isinstance(answer, Loss):
            raise ConnectionLostError(answer)
        if answer.cut_at is not None:
            raise ConnectionLostError(Loss.CUT)
    if isinstance(answer, Loss):
        # ASGI cannot close a connection, but a server closes it if the announced body is not sent.
        answer = ApiAnswer(200, b" ", "application/json", cut_at=0)
    headers = {
        "date": format_datetime(now, usegmt=True),
        "content-type": answer.content_type,
        "content-length": str(len(answer.body)),
        **answer.headers,
    }
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        }
    )
    whole = answer.cut_at is None
    body = answer.body if whole else answer.body[: answer.cut_at]
    await send({"type": "http.response.body", "body": body, "more_body": not whole})
