"""The errors of elks-mcp, sorted by the person or the event that can fix them.

    ElksError
    ├─ InvalidInput        the caller, with other arguments
    ├─ NotFound            the caller: the message does not exist
    ├─ OverLimit           the caller, by waiting or by doing less at a time
    ├─ Refused             the operator, by changing policy (or the caller, with another message)
    ├─ NotApproved         a person, by approving
    ├─ NotSent             an order that 46elks refused or did not receive; its message says why
    ├─ Misconfigured       the operator, in the environment
    │  ├─ UnreadableContacts   the operator: the files that ELKS_CONTACTS names
    │  ├─ SpeechUnavailable    the operator: the program of ELKS_TTS_COMMAND
    │  └─ UnknownPrice     the operator, by setting the price
    ├─ StateUnavailable    the operator, or time: the database of queued texts
    │  └─ StateUncertain   unknown: the database may have stored the change
    └─ ProviderError       46elks, or the connection to it
       ├─ Unauthorized     the operator: API credentials
       ├─ Rejected         46elks refused the request, and will refuse it again
       │  └─ OutOfFunds    the operator: the account is empty
       │     └─ CapReached the operator: the cap that 46elks enforces is used up, or the account is empty
       ├─ Throttled        time: 46elks did not accept the request
       ├─ TooLate          another process: it may send the text now
       ├─ Unreachable      time: nothing left this machine
       └─ NoAnswer         unknown: 46elks may have acted

For an order, the last four differ: after Throttled, TooLate and Unreachable the text was certainly not
accepted; after NoAnswer it may have been, and must not be sent again without checking.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from math import ceil
from typing import ClassVar


class ElksError(Exception):
    """A failure, explained for the person and the model that read it.

    The message says what happened and why, `hint` what to do now, and `retry` whether the same call may work
    later. `hint` and `retry` may be empty.
    """

    code: ClassVar[str] = "error"
    default_hint: ClassVar[str] = ""
    retry: ClassVar[str] = "Retrying will not help."

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = self.default_hint if hint is None else hint

    def explain(self) -> str:
        """Return what happened, what to do, and whether retrying helps, in one line."""
        return " ".join(part for part in (str(self), self.hint, self.retry) if part)


class InvalidInput(ElksError):
    """An argument is missing or not valid."""

    code = "invalid_input"
    retry = "The same arguments will be refused again."


class NotFound(ElksError):
    """No message, order, token or number with that id was found."""

    code = "not_found"


class OverLimit(ElksError):
    """A caller reached its limit on a shared server and may retry after `retry_after_seconds`."""

    code = "over_limit"
    retry = ""

    def __init__(self, message: str, *, hint: str, retry_after: timedelta) -> None:
        self.retry_after_seconds = max(1, ceil(retry_after.total_seconds()))
        super().__init__(message, hint=f"{hint} Try again in {self.retry_after_seconds} seconds.")


class Refused(ElksError):
    """The operator's policy does not allow the action."""

    code = "refused"
    retry = "Retrying now will not change the answer."

    def __init__(self, message: str, *, hint: str | None = None, guards: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.guards = guards
        """Names of the guards that refused; empty if the refusal has another reason."""


class NotSent(ElksError):
    """An order ended without being sent; the message says why, in full."""

    code = "not_sent"
    retry = ""


class NotApproved(ElksError):
    """A person had to approve and declined, or could not be asked."""

    code = "not_approved"
    retry = ""


class Misconfigured(ElksError):
    """A setting in the server's environment is missing or wrong."""

    code = "misconfigured"
    retry = "Retrying will not help until the configuration is changed and the server restarted."


class UnreadableContacts(Misconfigured):
    """The operator's contacts cannot be read, so no name finds a person."""

    code = "unreadable_contacts"
    default_hint = "Phone numbers can be used without contacts."
    retry = "Retrying works once the contacts can be read, without a restart."


class SpeechUnavailable(Misconfigured):
    """The program that reads texts aloud for calls fails."""

    code = "speech_unavailable"
    retry = "Retrying works once the program speaks, without a restart."


class UnknownPrice(Misconfigured):
    """46elks quotes no price for the order, and none was seen, so nothing is sent."""

    code = "unknown_price"


class StateUnavailable(ElksError):
    """The database of queued texts and limits cannot be used; without it nothing is sent."""

    code = "state_unavailable"
    default_hint = "Without it nothing is sent."
    retry = "Retrying later is safe: the same text is not sent twice."


class StateUncertain(StateUnavailable):
    """The connection to the database broke during a commit, which may have been stored."""

    code = "state_uncertain"
    default_hint = ""


class ProviderError(ElksError):
    """A request to 46elks failed.

    `status` is the HTTP status, 0 without one. `said` is the line that 46elks answered with, cleaned, or "".
    """

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
    retry = "Retrying will not help until ELKS_API_USERNAME and ELKS_API_PASSWORD are correct."


class Rejected(ProviderError):
    """46elks refused the request (HTTP 4xx)."""

    code = "rejected"
    default_hint = "Change what 46elks objects to."
    retry = "The same request will be refused again."


class OutOfFunds(Rejected):
    """The account does not have enough money for the request."""

    code = "out_of_funds"
    default_hint = "Top up the account at 46elks.com."
    retry = "Retrying works once the account has money."


class CapReached(OutOfFunds):
    """The subaccount's limit is used up, or the account has no money."""

    code = "cap_reached"
    default_hint = (
        "46elks enforces this cap, not this server. To see it, the operator runs `elks-mcp cap show`. To "
        "raise it: `elks-mcp cap set`."
    )
    retry = "Retrying works once the cap is raised, or the account has money."


class Throttled(ProviderError):
    """46elks' rate limit is reached (HTTP 429); the request was not accepted."""

    code = "throttled"
    default_hint = "46elks allows 100 texts a minute unless agreed otherwise."
    retry = "Try again in a minute."

    def __init__(self, message: str, *, retry_after: timedelta | None = None, said: str = "") -> None:
        super().__init__(message, status=429, said=said)
        self.retry_after = retry_after


class Unreachable(ProviderError):
    """No connection to 46elks could be made, so the request did not leave this machine."""

    code = "unreachable"
    default_hint = "Check the network, the proxy and the firewall of the machine that elks-mcp runs on."
    retry = "Try again later."


class TooLate(ProviderError):
    """The permission to send had ended before the request began; nothing left this machine."""

    code = "too_late"


class NoAnswer(ProviderError):
    """The request was sent without a usable answer, so 46elks may or may not have acted on it."""

    code = "no_answer"
    default_hint = "The problem is at 46elks or on the way to it."
    retry = "Try again in a minute."


class CaughtError:
    """The error that `log_errors` logged."""

    error: Exception | None = None
    """None if the body ended without an error."""


@contextmanager
def log_errors(log: logging.Logger, what: str, *, level: int = logging.WARNING) -> Iterator[CaughtError]:
    """Log an error of the body instead of raising it, so that a task keeps running.

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
