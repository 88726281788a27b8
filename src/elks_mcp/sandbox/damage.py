"""The answer that a client gets after a fault: another one, a damaged one or none."""

import json
from dataclasses import replace
from enum import Enum

import httpx2

from elks_mcp.sandbox import api
from elks_mcp.sandbox.faults import Fault, InjectedFault
from elks_mcp.sandbox.requests import ApiAnswer, plain

_OK = 200
_JSON = "application/json"
_HTML = "text/html; charset=utf-8"
_PROXY_PAGE = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_PORTAL_PAGE = (
    "<!doctype html><html><head><title>Welcome</title></head><body>Log in to the network</body></html>"
)


class Loss(Enum):
    """An answer that is lost, by the error that a client's HTTP library raises."""

    REFUSED = httpx2.ConnectError
    NOT_CONNECTED_IN_TIME = httpx2.ConnectTimeout
    NOT_ANSWERED_IN_TIME = httpx2.ReadTimeout
    DROPPED = httpx2.ReadError
    CUT = httpx2.RemoteProtocolError


_LOSSES = {
    Fault.CONNECTION_REFUSED: Loss.REFUSED,
    Fault.CONNECT_TIMEOUT: Loss.NOT_CONNECTED_IN_TIME,
    Fault.READ_TIMEOUT: Loss.NOT_ANSWERED_IN_TIME,
    Fault.DROP_BEFORE: Loss.DROPPED,
    Fault.DROP_AFTER: Loss.DROPPED,
    Fault.ACCEPT_LATE_DROP: Loss.DROPPED,
    Fault.HANG: Loss.DROPPED,
}

_INSTEAD = {
    Fault.TOO_MANY_REQUESTS: plain(429, "Too many requests"),
    Fault.ERROR_BEFORE: plain(500, ""),
    Fault.ERROR_AFTER: plain(500, ""),
    Fault.BAD_GATEWAY: ApiAnswer(502, _PROXY_PAGE.encode(), _HTML),
    Fault.UNAVAILABLE: plain(503, "Service unavailable"),
    Fault.UNAUTHORIZED: api.unauthorized(),
    Fault.REDIRECT: plain(302, "Found", Location="/a1/moved"),
    Fault.HTML: ApiAnswer(200, _PORTAL_PAGE.encode(), _HTML),
    Fault.EMPTY: ApiAnswer(200, b"", "application/json"),
}


def damage_answer(injected: InjectedFault, honest: ApiAnswer) -> ApiAnswer | Loss:
    """Return what the fault turns the `honest` answer into."""
    if injected.fault in _LOSSES:
        return _LOSSES[injected.fault]
    return _instead(injected) or _damaged(injected, honest)


def _instead(injected: InjectedFault) -> ApiAnswer | None:
    """Return the answer that replaces the honest one, if the fault has one."""
    if injected.fault is Fault.FORBIDDEN:
        return plain(403, injected.text)
    answer = _INSTEAD.get(injected.fault)
    if answer is None or injected.retry_after is None:
        return answer
    return replace(answer, headers=answer.headers | {"Retry-After": str(injected.retry_after)})


def _damaged(injected: InjectedFault, honest: ApiAnswer) -> ApiAnswer:
    """Return the undamaged answer, changed as the fault says."""
    fault = injected.fault
    if fault is Fault.HALF_BODY:
        return replace(honest, cut_at=len(honest.body) // 2)
    if honest.status != _OK or honest.content_type != _JSON:
        return honest
    if fault is Fault.NOT_AN_OBJECT:
        return replace(honest, body=b"[" + honest.body + b"]")
    if fault is Fault.MISSING_ID:
        return _with(honest, id=None)
    if fault is Fault.WRONG_COST:
        return _with(honest, cost=injected.cost)
    return honest


def _with(honest: ApiAnswer, **fields: object) -> ApiAnswer:
    """Return the answer, or each entry of a list, with other values; None removes a field."""
    content = json.loads(honest.body)
    if isinstance(content.get("data"), list):
        content["data"] = [_change(entry, fields) for entry in content["data"]]
    else:
        content = _change(content, fields)
    return replace(honest, body=json.dumps(content, ensure_ascii=False).encode())


def _change(content: dict[str, object], fields: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in (content | fields).items() if value is not None}
