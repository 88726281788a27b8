"""Faults between a client and 46elks, injected on demand."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from fnmatch import fnmatchcase
from typing import Literal, Self, TypedDict, Unpack

from elks_mcp.sandbox.requests import BASE_PATH, ApiRequest

Method = Literal["GET", "POST", "DELETE"]


class Fault(Enum):
    """Every fault: its name in the control API and docs/sandbox.md, and what the client gets.

    `Faults.inject` decides whether a POST takes effect nevertheless ("accepted": the SMS is sent and charged,
    or the phone rings, and only the answer is damaged or lost). ACCEPT_LATE and ACCEPT_LATE_DROP: history
    does not show the text or call before it is accepted, and the balance and the rules of that moment apply.
    """

    def __new__(cls, name: str, description: str = "") -> Self:
        """Return the fault with this name; its description is not part of its value."""
        fault = object.__new__(cls)
        fault._value_ = name
        fault.description = description
        return fault

    description: str

    TOO_MANY_REQUESTS = ("too_many_requests", "429, with `Retry-After` if one is given")
    ERROR_BEFORE = ("error_before", "500 with an empty body")
    ERROR_AFTER = ("error_after", "500 with an empty body")
    BAD_GATEWAY = ("bad_gateway", "502 with a proxy's HTML page")
    UNAVAILABLE = ("unavailable", "503, service unavailable")
    UNAUTHORIZED = ("unauthorized", "401 for any credentials")
    FORBIDDEN = ("forbidden", "403 with the given text")
    REDIRECT = ("redirect", "302 to another path")
    DROP_BEFORE = ("drop_before", "the connection ends without an answer")
    DROP_AFTER = ("drop_after", "the connection ends without an answer")
    HALF_BODY = ("half_body", "the connection ends in the middle of the answer")
    HTML = ("html", "200 with an HTML page, as from a captive portal")
    NOT_AN_OBJECT = ("not_an_object", "200 with a JSON list around the answer")
    MISSING_ID = ("missing_id", "200 with an object without `id`")
    EMPTY = ("empty", "200 with an empty body")
    WRONG_COST = ("wrong_cost", "the right answer but with the given `cost`; the real price is charged")
    FAILED_AT_ONCE = (
        "failed_at_once",
        "the right answer, whose `status` is `failed`: charged and in history, never sent",
    )
    HANG = ("hang", "no answer for the given duration, or ever; then the connection ends")
    READ_TIMEOUT = (
        "read_timeout",
        "in process: a time-out of the client, without waiting; over a socket: as `hang`",
    )
    LATENCY = ("latency", "the right answer, late by the given duration")
    ACCEPT_LATE = (
        "accept_late",
        "the right answer after the given duration; accepted then, even if the client is gone",
    )
    ACCEPT_LATE_DROP = (
        "accept_late_drop",
        "the connection ends immediately; accepted after the given duration",
    )
    STALE_HISTORY = ("stale_history", "history without the texts that were sent within the given duration")
    CONNECTION_REFUSED = (
        "connection_refused",
        "in process: the connection is refused; over a socket: as `drop_before`",
    )
    CONNECT_TIMEOUT = ("connect_timeout", "in process: connecting times out; over a socket: as `drop_before`")


_ACCEPTING = {
    Fault.ERROR_AFTER,
    Fault.DROP_AFTER,
    Fault.HALF_BODY,
    Fault.NOT_AN_OBJECT,
    Fault.MISSING_ID,
    Fault.EMPTY,
    Fault.WRONG_COST,
    Fault.FAILED_AT_ONCE,
    Fault.READ_TIMEOUT,
    Fault.LATENCY,
    Fault.ACCEPT_LATE,
    Fault.ACCEPT_LATE_DROP,
    Fault.STALE_HISTORY,
}
_ACCEPTING_LATE = {Fault.ACCEPT_LATE, Fault.ACCEPT_LATE_DROP}
_NEVER_ARRIVE = {Fault.CONNECTION_REFUSED, Fault.CONNECT_TIMEOUT}
_PAID = {("POST", "sms"), ("POST", "mms"), ("POST", "calls")}
_ONLY_FOR = {
    Fault.ACCEPT_LATE: _PAID,
    Fault.ACCEPT_LATE_DROP: _PAID,
    Fault.WRONG_COST: {("POST", "sms"), ("POST", "mms"), ("GET", "calls")},
    Fault.FAILED_AT_ONCE: _PAID,
    Fault.STALE_HISTORY: {("GET", "sms"), ("GET", "mms"), ("GET", "calls")},
}
"""The methods and first path segments of the requests that a fault is limited to."""

_DURATIONS = {
    Fault.LATENCY: timedelta(seconds=1),
    Fault.ACCEPT_LATE: timedelta(seconds=1),
    Fault.ACCEPT_LATE_DROP: timedelta(seconds=1),
    Fault.STALE_HISTORY: timedelta(seconds=5),
}


class FaultOptions(TypedDict, total=False):
    """The requests that a fault applies to, and details of what it does; all are optional."""

    method: Method | None
    """Only requests of this method; by default all."""
    path: str | None
    """Only requests of this path, for example `/sms` or `/sms/*`, with or without `/a1`; by default all."""
    dryrun: bool | None
    """Only dry runs (True) or only real calls (False); by default both."""
    times: int | None
    """How often it happens, by default once; None for always."""
    skip: int
    """How many matching requests are served normally first, by default 0."""
    accepted: bool | None
    """Whether the request takes effect; by default as `Fault` says."""
    duration: timedelta | None
    """The duration of HANG, LATENCY, ACCEPT_LATE(_DROP) and STALE_HISTORY, by the sandbox's clock."""
    retry_after: int | None
    """For TOO_MANY_REQUESTS and UNAVAILABLE, in seconds."""
    text: str
    """The line that FORBIDDEN answers with."""
    cost: object
    """The `cost` in the answer of WRONG_COST, of any type, by default 0; None leaves the field out."""


def is_accepting(fault: Fault) -> bool:
    """Return whether a POST takes effect although the fault damages or loses its answer."""
    return fault in _ACCEPTING


@dataclass(slots=True, eq=False, kw_only=True)
class InjectedFault:
    """An injected fault; `FaultOptions` describes the fields."""

    fault: Fault
    path: str | None
    left: int | None
    """How often it still happens; None for always."""
    accepted: bool
    duration: timedelta | None
    method: Method | None
    dryrun: bool | None
    skip: int
    retry_after: int | None
    text: str
    cost: object

    @property
    def arrives(self) -> bool:
        """Whether the request reaches 46elks."""
        return self.fault not in _NEVER_ARRIVE

    @property
    def accepts_late(self) -> bool:
        """Whether the request takes effect only after the duration."""
        return self.fault in _ACCEPTING_LATE

    def applies_to(self, request: ApiRequest) -> bool:
        """Return whether this fault applies to `request`."""
        kind = request.method, request.segments[0] if request.segments else ""
        if self.fault in _ONLY_FOR and kind not in _ONLY_FOR[self.fault]:
            return False
        is_dryrun = request.parameters.get("dryrun") == "yes"
        return (
            self.method in {None, request.method}
            and (self.path is None or fnmatchcase(request.resource, self.path))
            and self.dryrun in {None, is_dryrun}
        )


class Faults:
    """The injected faults, of which the first that applies to a request is used."""

    def __init__(self) -> None:
        self.waiting: list[InjectedFault] = []

    def inject(self, fault: Fault, **options: Unpack[FaultOptions]) -> InjectedFault:
        """Inject a fault into the next `times` matching requests.

        Raises:
            ValueError: `times` is below 1, `skip` is below 0, or `accepted` is False for a fault that
                accepts late.
        """
        times, skip = options.get("times", 1), options.get("skip", 0)
        accepted, path, duration = options.get("accepted"), options.get("path"), options.get("duration")
        if (times is not None and times < 1) or skip < 0:
            raise ValueError("times must be 1 or more, and skip 0 or more.")
        if fault in _ACCEPTING_LATE and accepted is False:
            raise ValueError(f"{fault.value} always accepts. Use hang or drop_before instead.")
        injected = InjectedFault(
            fault=fault,
            method=options.get("method"),
            path=path.removeprefix(BASE_PATH) if path else None,
            dryrun=options.get("dryrun"),
            left=times,
            skip=skip,
            accepted=is_accepting(fault) if accepted is None else accepted,
            duration=_DURATIONS.get(fault) if duration is None else duration,
            retry_after=options.get("retry_after"),
            text=options.get("text", "Forbidden"),
            cost=options.get("cost", 0),
        )
        self.waiting.append(injected)
        return injected

    def clear(self) -> None:
        """Remove all faults."""
        self.waiting.clear()

    def take(self, request: ApiRequest) -> InjectedFault | None:
        """Return the fault that applies to `request`, if there is one, and count it as used."""
        for injected in self.waiting:
            if not injected.applies_to(request):
                continue
            if injected.skip:
                injected.skip -= 1
                continue
            if injected.left is not None:
                injected.left -= 1
                if not injected.left:
                    self.waiting.remove(injected)
            return injected
        return None
