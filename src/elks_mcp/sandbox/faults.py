"""What can go wrong between a client and 46elks, on demand."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from fnmatch import fnmatchcase
from typing import Literal

from elks_mcp.sandbox.requests import BASE_PATH, ApiRequest

Method = Literal["GET", "POST", "DELETE"]


class Fault(Enum):
    """Every fault by the name that the control API and docs/sandbox.md use.

    "Accepted": a POST takes effect all the same, the SMS is sent and charged, only the answer is lost.
    """

    TOO_MANY_REQUESTS = "too_many_requests"
    """429, with ``Retry-After`` if given."""
    ERROR_BEFORE = "error_before"
    """500 with an empty body; not accepted."""
    ERROR_AFTER = "error_after"
    """500 with an empty body; accepted."""
    BAD_GATEWAY = "bad_gateway"
    """502 with an HTML page of a proxy."""
    UNAVAILABLE = "unavailable"
    """503."""
    UNAUTHORISED = "unauthorised"
    """401, whatever the credentials."""
    FORBIDDEN = "forbidden"
    """403 with the text given."""
    REDIRECT = "redirect"
    """302 to another path."""
    DROP_BEFORE = "drop_before"
    """The connection ends without an answer; not accepted."""
    DROP_AFTER = "drop_after"
    """The connection ends without an answer; accepted."""
    HALF_BODY = "half_body"
    """The connection ends in the middle of the answer; accepted."""
    HTML = "html"
    """200 with an HTML page, as a captive portal sends; not accepted."""
    NOT_AN_OBJECT = "not_an_object"
    """200 with a JSON list around the answer; accepted."""
    MISSING_ID = "missing_id"
    """200 with an object without ``id``; accepted."""
    EMPTY = "empty"
    """200 with an empty body; accepted."""
    WRONG_COST = "wrong_cost"
    """The right answer, except that its ``cost`` is the one given; charged as ever. Accepted."""
    FAILED_AT_ONCE = "failed_at_once"
    """The right answer, whose ``status`` is ``failed``: charged and in history, never sent. Accepted."""
    HANG = "hang"
    """No answer for the duration given, or for ever; then the connection is dropped. Not accepted."""
    READ_TIMEOUT = "read_timeout"
    """The client's patience ends at once, without waiting for it; accepted. Over a real socket: as HANG."""
    LATENCY = "latency"
    """The right answer, late by the duration given; accepted on arrival."""
    ACCEPT_LATE = "accept_late"
    """Accepted, and answered rightly, only when the duration has passed, whatever has become of the client.

    Until then history does not show it. Balance and rules are those of that moment. Applies to POSTs of /sms.
    """
    ACCEPT_LATE_DROP = "accept_late_drop"
    """The connection ends at once without an answer; accepted as by ACCEPT_LATE."""
    STALE_HISTORY = "stale_history"
    """History does not show what was sent within the duration given. Applies to GETs of /sms."""
    CONNECTION_REFUSED = "connection_refused"
    """Nobody listens; not accepted. Over a real socket: as DROP_BEFORE."""
    CONNECT_TIMEOUT = "connect_timeout"
    """Nobody picks up; not accepted. Over a real socket: as DROP_BEFORE."""


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
_ONLY_FOR = {
    Fault.ACCEPT_LATE: ("POST", ["sms"]),
    Fault.ACCEPT_LATE_DROP: ("POST", ["sms"]),
    Fault.WRONG_COST: ("POST", ["sms"]),
    Fault.FAILED_AT_ONCE: ("POST", ["sms"]),
    Fault.STALE_HISTORY: ("GET", ["sms"]),
}
"""Faults that mean something for one kind of request only: its method, and how its path begins."""

_DURATIONS = {
    Fault.LATENCY: timedelta(seconds=1),
    Fault.ACCEPT_LATE: timedelta(seconds=1),
    Fault.ACCEPT_LATE_DROP: timedelta(seconds=1),
    Fault.STALE_HISTORY: timedelta(seconds=5),
}


@dataclass(slots=True, eq=False, kw_only=True)
class InjectedFault:
    """A fault in waiting: which requests it meets, and how often it still will."""

    fault: Fault
    method: Method | None
    """Only requests of this method, or of all."""
    path: str | None
    """Only this path, for example ``/sms`` or ``/sms/*``, or all; with or without ``/a1``."""
    dryrun: bool | None
    """Only dry runs (True), only real calls (False), or both."""
    left: int | None
    """How often it still happens; None for ever."""
    skip: int
    """How many matching requests pass unharmed first."""
    accepted: bool
    """Whether the request takes effect all the same."""
    duration: timedelta | None
    """How long HANG, LATENCY, ACCEPT_LATE(_DROP) and STALE_HISTORY last, by the sandbox's clock."""
    retry_after: int | None
    """Seconds, for TOO_MANY_REQUESTS and UNAVAILABLE."""
    text: str
    """The one line of FORBIDDEN."""
    cost: object
    """What the answer says with WRONG_COST, whatever it is; None leaves the field out."""

    @property
    def arrives(self) -> bool:
        """Tell whether the request reaches 46elks at all."""
        return self.fault not in _NEVER_ARRIVE

    @property
    def accepts_late(self) -> bool:
        """Tell whether the request takes effect only when the duration has passed."""
        return self.fault in _ACCEPTING_LATE

    def meets(self, request: ApiRequest) -> bool:
        """Tell whether this fault is meant for *request*."""
        kind = request.method, request.segments[:1]
        if _ONLY_FOR.get(self.fault, kind) != kind:
            return False
        is_dryrun = request.parameters.get("dryrun") == "yes"
        return (
            self.method in {None, request.method}
            and (self.path is None or fnmatchcase(request.resource, self.path))
            and self.dryrun in {None, is_dryrun}
        )


class Faults:
    """The faults in waiting; the first one that meets a request spoils it."""

    def __init__(self) -> None:
        self.waiting: list[InjectedFault] = []

    def inject(  # noqa: PLR0913 - all but the first optional and by name
        self,
        fault: Fault,
        *,
        method: Method | None = None,
        path: str | None = None,
        dryrun: bool | None = None,
        times: int | None = 1,
        skip: int = 0,
        accepted: bool | None = None,
        duration: timedelta | None = None,
        retry_after: int | None = None,
        text: str = "Forbidden",
        cost: object = 0,
    ) -> InjectedFault:
        """Spoil the next *times* (None: all) requests that match; ``InjectedFault`` tells the rest.

        *accepted* and *duration* are as the fault has them by itself unless given.

        Raises:
            ValueError: *times* is less than 1 or *skip* less than 0, or what accepts late is not to accept.
        """
        if (times is not None and times < 1) or skip < 0:
            raise ValueError("a fault happens once or more, after no or some requests")
        if fault in _ACCEPTING_LATE and accepted is False:
            raise ValueError(f"{fault.value} accepts; for one that does not, use hang or drop_before")
        injected = InjectedFault(
            fault=fault,
            method=method,
            path=path.removeprefix(BASE_PATH) if path else None,
            dryrun=dryrun,
            left=times,
            skip=skip,
            accepted=fault in _ACCEPTING if accepted is None else accepted,
            duration=_DURATIONS.get(fault) if duration is None else duration,
            retry_after=retry_after,
            text=text,
            cost=cost,
        )
        self.waiting.append(injected)
        return injected

    def clear(self) -> None:
        """Call off all faults."""
        self.waiting.clear()

    def take(self, request: ApiRequest) -> InjectedFault | None:
        """Return the fault that *request* meets, and count it."""
        for injected in self.waiting:
            if not injected.meets(request):
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
