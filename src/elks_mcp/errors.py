"""Everything that can go wrong, sorted by who can mend it.

    ElksError
    ├─ InvalidInput        the caller, by asking differently
    ├─ NotFound            the caller: there is no such message
    ├─ OverLimit           the caller, by waiting or by doing less at a time
    ├─ Refused             the operator, by changing policy (or the caller, by another message)
    ├─ NotApproved         a person, by agreeing
    ├─ NotSent             an order that 46elks refused or never took; its message says who
    ├─ Misconfigured       the operator, in the environment
    ├─ StateUnavailable    the operator, or time: the database of queued texts
    │  └─ StateUncertain   nobody knows: the database may have kept what it was told
    └─ ProviderError       46elks, or the road to it
       ├─ Unauthorized     the operator: API credentials
       ├─ Rejected         46elks said no; it will say no again
       │  └─ OutOfFunds    the operator: the account is empty
       ├─ Throttled        time: 46elks took nothing in
       ├─ TooLate          nobody: whoever may send now will
       ├─ Unreachable      time: nothing left this machine
       └─ NoAnswer         nobody knows: 46elks may have acted

The last four matter to whoever sends: after Throttled, TooLate and Unreachable a message surely
was not accepted; after NoAnswer it may have been, and must not be sent again blindly.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from math import ceil
from typing import ClassVar


class ElksError(Exception):
    """A failure with words for the person and the model that read it.

    The message says what happened and why. `hint` says what to do now; `retry` whether
    the same call may work later, in words or, where empty, not at all.
    """

    code: ClassVar[str] = "error"
    default_hint: ClassVar[str] = ""
    retry: ClassVar[str] = "Trying again will not help."

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = self.default_hint if hint is None else hint

    def explain(self) -> str:
        """Say what happened, what to do, and whether trying again helps."""
        return " ".join(part for part in (str(self), self.hint, self.retry) if part)


class InvalidInput(ElksError):
    """What was asked for makes no sense as it stands."""

    code = "invalid_input"
    retry = "The same arguments will be refused again."


class NotFound(ElksError):
    """46elks knows no message by that id."""

    code = "not_found"


class OverLimit(ElksError):
    """One caller uses as much of a shared server as it may; after `retry_after_seconds` it may be less."""

    code = "over_limit"
    retry = ""

    def __init__(self, message: str, *, hint: str, retry_after: timedelta) -> None:
        self.retry_after_seconds = max(1, ceil(retry_after.total_seconds()))
        super().__init__(message, hint=f"{hint} Try again in {self.retry_after_seconds} seconds.")


class Refused(ElksError):
    """The operator's policy does not allow it."""

    code = "refused"
    retry = "Trying again at once will not change the answer."

    def __init__(self, message: str, *, hint: str | None = None, guards: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.guards = guards
        """The guards that refused, if guards did."""


class NotSent(ElksError):
    """An order came to nothing: what 46elks said about it, in full, is the message."""

    code = "not_sent"
    retry = ""


class NotApproved(ElksError):
    """A person was to agree and did not, or could not be asked."""

    code = "not_approved"
    retry = ""


class Misconfigured(ElksError):
    """The environment the server was started in lacks something, or holds something wrong."""

    code = "misconfigured"
    retry = "Trying again will not help until the configuration is changed and the server restarted."


class StateUnavailable(ElksError):
    """The database that holds queued texts and limits cannot be used; without it nothing is sent."""

    code = "state_unavailable"
    default_hint = "Without it nothing is sent."
    retry = "Trying again later is safe: the same text does not go out twice."


class StateUncertain(StateUnavailable):
    """The database was lost just when it was to keep something, and may have kept it."""

    code = "state_uncertain"
    default_hint = ""


class ProviderError(ElksError):
    """46elks did not do what was asked. `said` is its own line, cleaned, or empty."""

    code = "provider_error"

    def __init__(self, message: str, *, hint: str | None = None, status: int = 0, said: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.said = said


class Unauthorized(ProviderError):
    """46elks does not accept the API credentials (HTTP 401)."""

    code = "unauthorized"
    default_hint = (
        "Use the API username and API password from 46elks.com under Account → API; "
        "they are not the log-in of the web site."
    )
    retry = "Trying again will not help until ELKS_API_USERNAME and ELKS_API_PASSWORD are right."


class Rejected(ProviderError):
    """46elks understood and said no (HTTP 4xx)."""

    code = "rejected"
    default_hint = "Change what 46elks objects to."
    retry = "The same request will be rejected again."


class OutOfFunds(Rejected):
    """The account has no money left for this."""

    code = "out_of_funds"
    default_hint = "Top up the account at 46elks.com."
    retry = "It works again when there is money on the account."


class Throttled(ProviderError):
    """46elks takes no more requests for now (HTTP 429); this one was not accepted."""

    code = "throttled"
    default_hint = "46elks allows 100 texts a minute unless agreed otherwise."
    retry = "Try again in a minute."

    def __init__(self, message: str, *, retry_after: timedelta | None = None, said: str = "") -> None:
        super().__init__(message, status=429, said=said)
        self.retry_after = retry_after


class Unreachable(ProviderError):
    """No connection to 46elks could be made: the request never left this machine."""

    code = "unreachable"
    default_hint = "Check the network, the proxy and the firewall of the machine the server runs on."
    retry = "Try again later."


class TooLate(ProviderError):
    """The right to send had run out before the request began: nothing left this machine."""

    code = "too_late"


class NoAnswer(ProviderError):
    """The request left, and no usable answer came: 46elks may or may not have acted on it."""

    code = "no_answer"
    default_hint = "The fault is at 46elks or on the way there."
    retry = "Try again in a minute."


class CaughtError:
    """The error that `log_errors` logged."""

    error: Exception | None = None
    """None if the body ended without an error."""


@contextmanager
def log_errors(log: logging.Logger, what: str, *, level: int = logging.WARNING) -> Iterator[CaughtError]:
    """Log an error of the body instead of raising it, so that a task which tries again later keeps running.

    An `ElksError` takes one line at `level`. Any other exception is a bug in elks-mcp: it is logged as an
    error, with its traceback. Cancellation passes through.

    Args:
        log: the logger of the calling module.
        what: what failed, as the start of the line: "History cannot be read".
        level: the level of an `ElksError`.

    Yields:
        The object that holds the error after the body, for a caller that has to answer with it.
    """
    caught = CaughtError()
    try:
        yield caught
    except ElksError as error:
        log.log(level, "%s: %s", what, error)
        caught.error = error
    except Exception as error:
        log.exception("%s: unexpected error.", what)
        caught.error = error
