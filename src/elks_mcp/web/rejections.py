"""Refused requests: the answer, and the reason for the log and the metrics.

A body has the members `error` and `error_description`, as in OAuth 2.0 (RFC 6749, section 5.2).
"""

from enum import StrEnum

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response

from elks_mcp.domain.models import Scope
from elks_mcp.errors import OverLimit
from elks_mcp.mcp_server.scopes import explain_missing_scopes
from elks_mcp.runtime.launcher import show_command


class RefusalReason(StrEnum):
    """Why a request was refused: the value is the log line, the name is the metric's label."""

    NO_TOKEN = "A request without a token was refused (401)."  # noqa: S105  (text, like the next)
    WRONG_TOKEN = "A request with an invalid token was refused (401)."  # noqa: S105
    LACKS_SCOPE = "A request whose token lacks a scope was refused (403)."
    TOO_SLOW = "A request that did not arrive in time was refused (408)."
    UNREADABLE = "A request with an unpaired surrogate was refused (400)."
    OVER_LIMIT = "A request of a caller that has reached its limit was refused (429)."
    UNVERIFIABLE = "A request was refused because tokens cannot be verified right now (503)."


class RequestRefused(Exception):
    """A request was refused. It has the reason, the answer, and a detail for the log only."""

    def __init__(self, reason: RefusalReason, answer: Response, detail: str = "") -> None:
        super().__init__()
        self.reason = reason
        self.answer = answer
        self.detail = detail


def build_unauthorized_response(headers: Headers, *, is_local: bool) -> Response:
    """Return the 401 for a request without a valid token; it says how the operator creates one.

    `is_local`: whether it is for a program on this machine. Only such a program learns how elks-mcp was
    started here, which can name a path.
    """
    name_command = show_command if is_local else "`elks-mcp {}`".format
    if "authorization" in headers:
        fault = "This token is not valid for this server. It may have been revoked."
        description = f"{fault} The operator can create a new one: {name_command('token new')}."
        challenge = f'error="invalid_token", error_description="{fault}"'
        return build_error_response(401, "invalid_token", description, challenge=challenge)
    description = (
        "A token is required, as `Authorization: Bearer …`. The operator creates one on the server: "
        f"{name_command('token new NAME --scope read --scope send')}."
    )
    return build_error_response(401, "unauthorized", description, challenge='realm="elks-mcp"')


def refuse_missing_scopes(missing: frozenset[Scope], description: str = "") -> RequestRefused:
    """Return the refusal of a request whose token lacks scopes (403)."""
    answer = build_error_response(
        403,
        "insufficient_scope",
        description or explain_missing_scopes(missing),
        challenge=f'error="insufficient_scope", scope="{" ".join(sorted(missing))}"',
    )
    return RequestRefused(RefusalReason.LACKS_SCOPE, answer)


def refuse_over_limit(error: OverLimit) -> RequestRefused:
    """Return the refusal of a request whose caller has reached its limit (429)."""
    answer = build_error_response(429, error.code, error.explain(), retry_after=error.retry_after_seconds)
    return RequestRefused(RefusalReason.OVER_LIMIT, answer)


def refuse_unverifiable(detail: str) -> RequestRefused:
    """Return the refusal of a request while tokens cannot be verified (503)."""
    description = "Tokens cannot be verified right now, so all requests are refused. Try again shortly."
    answer = build_error_response(503, "temporarily_unavailable", description)
    return RequestRefused(RefusalReason.UNVERIFIABLE, answer, detail)


def refuse_slow_body(seconds: int) -> RequestRefused:
    """Return the refusal of a request whose body did not arrive within `seconds` (408)."""
    description = f"The whole request must arrive within {seconds} seconds."
    return RequestRefused(RefusalReason.TOO_SLOW, build_error_response(408, "too_slow", description))


def build_error_response(
    status: int, error: str, description: str, *, challenge: str = "", retry_after: int = 5
) -> Response:
    """Return an error as JSON, with the header `WWW-Authenticate` or `Retry-After`.

    Args:
        status: the HTTP status.
        error: the code for programs.
        description: what happened and what to do, for people and models.
        challenge: the parameters of `WWW-Authenticate: Bearer`; empty for `Retry-After` instead.
        retry_after: seconds after which trying again can help.
    """
    headers = {"www-authenticate": f"Bearer {challenge}"} if challenge else {"retry-after": f"{retry_after}"}
    return JSONResponse({"error": error, "error_description": description}, status, headers)
