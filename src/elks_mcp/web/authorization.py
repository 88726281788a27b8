"""Decide what the caller of `/mcp` may do, by its token's scopes and its share.

`authentication.py` finds out who the caller is.

401: no valid token. 403: the token lacks a scope. 429: the caller has reached one of its limits.
503: tokens cannot be verified right now, so every request is refused.
After this check the caller is in the ASGI scope, and the SDK binds sessions and questions to it.
"""

from codecs import BOM_UTF8
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import timedelta
from enum import Enum, auto
from typing import Any

from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from elks_mcp.app import ANYBODY
from elks_mcp.domain.caller_limits import CallerUsage, Use
from elks_mcp.domain.models import Caller
from elks_mcp.domain.models import Scope as TokenScope
from elks_mcp.errors import ElksError, OverLimit
from elks_mcp.mcp_server.invalid_messages import find_lone_surrogates
from elks_mcp.mcp_server.scopes import CallerToken, RequiredScopes, explain_new_token
from elks_mcp.runtime.clock import Clock
from elks_mcp.runtime.tasks import background
from elks_mcp.web.authentication import CACHE_SECONDS, TokenVerifier
from elks_mcp.web.bodies import parse_calls, read_body, replay_body
from elks_mcp.web.rejections import (
    RefusalReason,
    RequestRefused,
    build_unauthorized_response,
    refuse_missing_scopes,
    refuse_over_limit,
)

_PROTOCOL_SCOPES = frozenset({TokenScope.READ, TokenScope.SEND})
"""A token needs one of these to call the protocol at all."""

_NO_PROTOCOL_SCOPE = "This token has neither the scope read nor send, so it cannot call /mcp."


class _OnRevocation(Enum):
    """The effect of revoking a token on a long-lived request."""

    CANCEL = auto()
    """It ends immediately: it only listens or waits."""

    WITHHOLD_ANSWER = auto()
    """It runs to its end, since a send is never cancelled, but the client gets no answer."""


_WAITING_TOOLS = {
    "wait_for_reply": _OnRevocation.CANCEL,
    "ask_by_sms": _OnRevocation.WITHHOLD_ANSWER,
    "start_batch": _OnRevocation.WITHHOLD_ANSWER,
    "call_phone": _OnRevocation.WITHHOLD_ANSWER,
}


class TokenMiddleware:
    """Admits a request to `inner` if its token allows everything that the request asks for."""

    def __init__(
        self,
        inner: ASGIApp,
        verifier: Callable[[], TokenVerifier],
        required_scopes: RequiredScopes,
        *,
        clock: Callable[[], Clock],
        share_of: Callable[[str], CallerUsage],
        count_sessions: Callable[[str], int],
    ) -> None:
        self._inner = AuthContextMiddleware(inner)
        self._verifier = verifier
        self._required_scopes = required_scopes
        self._clock = clock
        self._share_of = share_of
        self._count_sessions = count_sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        with ExitStack() as held:
            try:
                caller, receive, on_revocation = await self._authorize(scope, receive, held)
            except RequestRefused as refusal:
                await self._refuse(refusal, scope, receive, send)
            except OverLimit as error:
                await self._refuse(refuse_over_limit(error), scope, receive, send)
            else:
                self._verifier().count_admitted(caller)
                if on_revocation:
                    await self._serve_until_revoked(scope, receive, send, caller, on_revocation)
                else:
                    await self._inner(scope, receive, send)

    async def _refuse(self, refusal: RequestRefused, scope: Scope, receive: Receive, send: Send) -> None:
        self._verifier().record_refusal(refusal)
        await refusal.answer(scope, receive, send)

    async def _authorize(
        self, scope: Scope, receive: Receive, held: ExitStack
    ) -> tuple[Caller, Receive, _OnRevocation | None]:
        """Return the caller, a `receive` for the inner application, and the effect of a revocation.

        The effect is None for a request that is not long-lived. `held` gets what the request uses of the
        caller's share.

        Raises:
            RequestRefused: the caller is unknown, or its token does not allow this.
            OverLimit: the caller has reached one of its limits.
        """
        headers, method = Headers(scope=scope), scope["method"]
        caller = await self._authenticate(scope)
        share = self._share_of(caller.agent)
        if method != "DELETE":  # it ends a session
            self._hold_share(share, held, method, headers, caller)
        if caller is not ANYBODY:
            scope["user"] = _build_sdk_user(caller)
        listens = method == "GET" or headers.get("mcp-method") == "subscriptions/listen"
        on_revocation = _OnRevocation.CANCEL if listens else None
        if method != "POST":
            return caller, receive, on_revocation
        with share.hold(Use.BODIES):
            body = (await read_body(receive, self._clock())).removeprefix(BOM_UTF8)
        if caller is not ANYBODY:
            caller = await self._authenticate(scope)  # the token may have been revoked as the body arrived
            on_revocation = self._check_scopes(caller, body)
        if error := find_lone_surrogates(body):
            answer = Response(error.model_dump_json(), 400, media_type="application/json")
            raise RequestRefused(RefusalReason.UNREADABLE, answer)
        return caller, replay_body(body, receive), on_revocation

    def _hold_share(
        self, share: CallerUsage, held: ExitStack, method: str, headers: Headers, caller: Caller
    ) -> None:
        """Count a request in its caller's share until `held` is closed.

        Raises:
            OverLimit: the caller has too many requests under way, or too many sessions for one more.
        """
        held.enter_context(share.hold(Use.CALLS))
        if method == "GET":
            held.enter_context(share.hold(Use.STREAMS))
        if _opens_session(headers):
            held.enter_context(share.hold(Use.SESSIONS, counted_elsewhere=self._count_sessions(caller.agent)))

    async def _authenticate(self, scope: Scope) -> Caller:
        caller = await self._verifier().authenticate(scope)
        if caller.scopes.isdisjoint(_PROTOCOL_SCOPES):
            description = f"{_NO_PROTOCOL_SCOPE} {explain_new_token()}"
            raise refuse_missing_scopes(_PROTOCOL_SCOPES, description)
        return caller

    def _check_scopes(self, caller: Caller, body: bytes) -> _OnRevocation | None:
        """Check that a caller may make the calls in a body, and return the effect of a revocation.

        Raises:
            RequestRefused: the token lacks a scope.
        """
        calls = list(parse_calls(body))
        required = frozenset[TokenScope]().union(*(self._required_scopes(*call) for call in calls))
        if missing := required - caller.scopes:
            raise refuse_missing_scopes(missing)
        effects = {_find_revocation_effect(*call) for call in calls}
        order = (_OnRevocation.WITHHOLD_ANSWER, _OnRevocation.CANCEL)
        return next((effect for effect in order if effect in effects), None)

    async def _serve_until_revoked(
        self, scope: Scope, receive: Receive, send: Send, caller: Caller, on_revocation: _OnRevocation
    ) -> None:
        """Serve a stream, or a call that waits, for as long as the caller's token stays valid."""
        clock, has_begun, is_revoked = self._clock(), False, False

        async def send_if_valid(message: Message) -> None:
            nonlocal has_begun, is_revoked
            is_revoked = is_revoked or not await self._is_still_valid(caller, scope)
            if not is_revoked:
                has_begun = True
                await send(message)

        async def watch_token() -> None:
            nonlocal is_revoked
            while await self._is_still_valid(caller, scope):
                await clock.sleep_until(clock.now() + timedelta(seconds=CACHE_SECONDS))
            is_revoked = True
            if on_revocation is _OnRevocation.CANCEL:
                tasks.cancel_scope.cancel()

        async with background() as tasks:
            tasks.start_soon(watch_token)
            await self._inner(scope, receive, send_if_valid)
        if is_revoked and not has_begun:
            is_local = self._verifier().is_local(scope)
            answer = build_unauthorized_response(Headers(scope=scope), is_local=is_local)
            await answer(scope, receive, send)

    async def _is_still_valid(self, caller: Caller, scope: Scope) -> bool:
        try:
            return await self._verifier().verify_token(scope) == caller
        except ElksError:  # the token cannot be verified now, so an open stream stays open
            return True


def _opens_session(headers: Headers) -> bool:
    """Return whether the SDK opens a session for a request.

    It does so in the older era, for a request that names no session.
    """
    version = headers.get(MCP_PROTOCOL_VERSION_HEADER)
    is_older = version is None or version in HANDSHAKE_PROTOCOL_VERSIONS
    return is_older and MCP_SESSION_ID_HEADER not in headers


def _find_revocation_effect(method: str, params: Mapping[str, Any]) -> _OnRevocation | None:
    """Return the effect of a revocation on a call; None if the call is not long-lived."""
    if method == "tools/call":
        return _WAITING_TOOLS.get(str(params.get("name")))
    return _OnRevocation.CANCEL if method == "subscriptions/listen" else None


def _build_sdk_user(caller: Caller) -> AuthenticatedUser:
    """Return a caller as the SDK represents one, without the token itself.

    The SDK binds sessions, and questions to a person, to `client_id` and `subject`. The subject holds the
    token's id and scopes, so neither continues under another token of the same agent: that token may allow
    less, or belong to another person.
    """
    scopes = sorted(caller.scopes)
    return AuthenticatedUser(
        CallerToken(
            token="",
            client_id=caller.agent,
            scopes=list(scopes),
            subject=" ".join([caller.token, *scopes]),
            caller=caller,
        )
    )
