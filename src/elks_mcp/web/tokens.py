"""The door of `/mcp`: who calls, and whether they may. The one place for it; OAuth would come in here.

401: no token that is valid. 403: one that lacks a scope. 429: its caller uses as much as one may.
503: nobody can tell now, so nobody gets in.
Behind the door the caller is in the request's scope, where the SDK binds sessions and questions to it.
"""

import json
import logging
from codecs import BOM_UTF8
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack
from datetime import timedelta
from enum import Enum, StrEnum, auto
from typing import Any

import anyio
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from elks_mcp.app import ANYBODY
from elks_mcp.domain.limits import Share, Use
from elks_mcp.domain.models import Caller
from elks_mcp.domain.models import Scope as Allowed
from elks_mcp.errors import ElksError, OverLimit
from elks_mcp.mcp_server.invalid_messages import find_lone_surrogates
from elks_mcp.mcp_server.scopes import CallerToken, RequiredScopes, explain_missing_scopes
from elks_mcp.runtime.bursts import Bursts
from elks_mcp.runtime.client_address import Networks, is_from_this_machine, is_straight_from
from elks_mcp.runtime.clock import Clock
from elks_mcp.runtime.metrics import Counters
from elks_mcp.runtime.tasks import background
from elks_mcp.store import KnownTokens, Storage

log = logging.getLogger(__name__)

_CACHED_FOR = 0.5
"""Seconds for which is known which tokens are valid, and between two looks at who listens: together one."""

_SLOWEST = timedelta(seconds=10)
"""In which a request has to be here, whole."""

MAX_BODY_BYTES = 1024 * 1024
"""Bytes of a request that are read to see what it asks for; the SDK takes no larger one either."""

_FOR_ASSISTANTS = frozenset({Allowed.READ, Allowed.SEND})
"""A token needs one of these to call the protocol at all."""

_MAKE_ONE = "to make one for it: `elks-mcp token new`."
_OPENS_NO_TOOL = (
    "This token has neither the scope read nor send, so it cannot call /mcp. "
    "The operator makes tokens: `elks-mcp token new`."
)
_CANNOT_TELL = "The server cannot tell now who calls, so it lets nobody in. Trying again in a while helps."


class TokenVerifier:
    """Knows who calls by their tokens.

    As long as no token of any account was ever made in the state, callers on this machine get in without
    one: not those that use one of `names`, by which the server is known elsewhere, nor those that a proxy
    passes on. Once it `is_shut`, it stays so, whatever the database says later: it may have been restored.
    """

    def __init__(
        self,
        storage: Storage,
        names: Collection[str],
        *,
        requires_token: bool,
        clock: Clock,
        counters: Counters,
        bursts: Bursts,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._counters = counters
        self._bursts = bursts
        self._names = names
        self._requires_token = requires_token
        self._known = KnownTokens({}, {}, any_made=False)
        self._reported: set[str] = set()
        """Other accounts' tokens that were shown, and logged: each once."""
        self._failure: ElksError | None = None
        self._until = 0.0
        self._asking = anyio.Lock()

    def is_local(self, scope: Scope) -> bool:
        """Return whether a program on this machine made a request itself, by a name that is only local."""
        headers = Headers(scope=scope)
        is_public_name = headers.get("host", "").lower() in self._names
        return not is_public_name and is_from_this_machine(
            _find_peer(scope), headers.keys(), scope["http_version"]
        )

    async def verify_token(self, scope: Scope) -> Caller | None:
        """Say who calls; None is nobody we know.

        Raises:
            StateUnavailable, Misconfigured: nobody can tell.
        """
        known = await self._find_known()
        if not self._requires_token:
            return ANYBODY if self.is_local(scope) else None
        token = _read_token(Headers(scope=scope))
        if token is None:
            return None
        hashed = (await self._storage.open()).database.hasher.of("token", token)
        if whose := known.foreign.get(hashed):
            self._report(whose)
        return known.valid.get(hashed)

    async def authenticate(self, scope: Scope) -> Caller:
        """Return who makes a request.

        Raises:
            TurnedAway: it shows no token that is valid, or tokens cannot be verified now.
        """
        try:
            caller = await self.verify_token(scope)
        except ElksError as error:
            answer = _refuse(503, "temporarily_unavailable", _CANNOT_TELL)
            raise RequestRefused(RefusalReason.UNVERIFIABLE, answer, str(error)) from None
        if caller is None:
            headers = Headers(scope=scope)
            reason = RefusalReason.WRONG_TOKEN if "authorization" in headers else RefusalReason.NO_TOKEN
            raise RequestRefused(reason, _ask_for_token(headers))
        return caller

    async def check_may_read_metrics(self, scope: Scope, networks: Networks) -> None:
        """Check that a request may be answered with figures and details about the server.

        It may if it comes from this machine or straight from one of `networks`, or shows a token for it.

        Raises:
            TurnedAway: it may not.
        """
        names, version = Headers(scope=scope).keys(), scope["http_version"]
        if self.is_local(scope) or is_straight_from(networks, _find_peer(scope), names, version):
            return
        caller = await self.authenticate(scope)
        if Allowed.METRICS not in caller.scopes:
            raise _lacking(frozenset({Allowed.METRICS}))

    def count_admitted(self, caller: Caller) -> None:
        """Count a request that goes on, by the name of its token; "" for none."""
        self._counters.count("elks_mcp_requests_total", caller=caller.name)

    def record_refusal(self, reason: "RefusalReason", detail: str = "") -> None:
        """Count a request that was turned away, and log the first of a burst."""
        self._counters.count("elks_mcp_refused_requests_total", reason=reason.name.lower())
        self._bursts.note(reason, detail)

    def _report(self, whose: str) -> None:
        """Log that a token of another account was shown, once."""
        if whose not in self._reported:
            self._reported.add(whose)
            log.warning("a token was shown that is not for this account but of %s; %s", whose, _MAKE_ONE)

    async def _find_known(self) -> KnownTokens:
        """Read which tokens are valid, where nobody did lately; a failure is everybody's who waits."""
        if self._clock.counted() < self._until:
            return self._last_found()
        async with self._asking:
            if self._clock.counted() >= self._until:
                began, self._failure = self._clock.counted(), None
                try:
                    # Opened even where there is no file: "not there just now" is not "never made".
                    self._known = await (await self._storage.open()).tokens.list_valid()
                    self._requires_token = self._requires_token or self._known.any_made
                    self._until = began + _CACHED_FOR
                except ElksError as error:
                    self._failure = error
                    self._until = self._clock.counted() + _CACHED_FOR
            return self._last_found()

    def _last_found(self) -> KnownTokens:
        if self._failure:
            raise self._failure
        return self._known


def _find_peer(scope: Scope) -> str:
    """Return the address at the other end of a request's connection, or "" if it has none."""
    return scope["client"][0] if scope.get("client") else ""


def _read_token(headers: Headers) -> str | None:
    """Read the one token that a request shows."""
    shown = headers.getlist("authorization")
    if len(shown) != 1:
        return None
    scheme, _, token = shown[0].partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


class _End(Enum):
    """What happens to a request that lasts when its token is revoked."""

    CUT_OFF = auto()
    """It ends there: it does nothing but listen or wait."""

    WITHHELD = auto()
    """It sends first, and that is never cut off; nobody gets its answer."""


class RefusalReason(StrEnum):
    """Why a request goes no further, as the log says it."""

    NO_TOKEN = "A request without a token was refused (401)."  # noqa: S105  (words, as the next)
    WRONG_TOKEN = "A request with a token that is not valid here was refused (401)."  # noqa: S105
    LACKS_SCOPE = "A request that its token is not for was refused (403)."
    TOO_SLOW = "A request that did not arrive in time was refused (408)."
    UNREADABLE = "A request with half of a surrogate pair was refused (400)."
    OVER_LIMIT = "A request of a caller that uses as much as one may was refused (429)."
    UNVERIFIABLE = "A request was refused because tokens cannot be verified now (503)."


class RequestRefused(Exception):
    """A request goes no further; why, with what it is answered, and what else the log says of it."""

    def __init__(self, reason: RefusalReason, answer: Response, detail: str = "") -> None:
        super().__init__()
        self.reason = reason
        self.answer = answer
        self.detail = detail


class TokenMiddleware:
    """Lets callers in to what is `inner`, each to what their token is for."""

    def __init__(
        self,
        inner: ASGIApp,
        verifier: Callable[[], TokenVerifier],
        needs: RequiredScopes,
        *,
        clock: Callable[[], Clock],
        share_of: Callable[[str], Share],
        count_sessions: Callable[[str], int],
    ) -> None:
        self._inner = AuthContextMiddleware(inner)
        self._verifier = verifier
        self._needs = needs
        self._clock = clock
        self._share_of = share_of
        self._count_sessions = count_sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or turn it away."""
        with ExitStack() as uses:
            try:
                caller, receive, end = await self._authorize(scope, receive, uses)
            except RequestRefused as turned_away:
                self._verifier().record_refusal(turned_away.reason, turned_away.detail)
                await turned_away.answer(scope, receive, send)
            except OverLimit as over:
                self._verifier().record_refusal(RefusalReason.OVER_LIMIT)
                await _ask_to_wait(over)(scope, receive, send)
            else:
                self._verifier().count_admitted(caller)
                if end:
                    await self._serve_lasting(scope, receive, send, caller, end)
                else:
                    await self._inner(scope, receive, send)

    async def _authorize(
        self, scope: Scope, receive: Receive, uses: ExitStack
    ) -> tuple[Caller, Receive, _End | None]:
        """Find out who calls and what for; if it lasts, say how it ends with its token.

        `uses` is what the request takes up.
        """
        headers, method = Headers(scope=scope), scope["method"]
        caller = await self._authenticate(scope)
        share = self._share_of(caller.agent)
        if method != "DELETE":  # which gives something back
            self._take_place(share, uses, method, headers, caller)
        if caller is not ANYBODY:
            scope["user"] = _as_the_sdk_knows(caller)
        listens = method == "GET" or headers.get("mcp-method") == "subscriptions/listen"
        end = _End.CUT_OFF if listens else None
        if method != "POST":
            return caller, receive, end
        with share.hold(Use.BODIES):
            body = (await _read_body(receive, self._clock())).removeprefix(BOM_UTF8)
        if caller is not ANYBODY:
            caller = await self._authenticate(scope)  # a token may be revoked while a body is on its way
            end = self._check(caller, body)
        if unreadable := find_lone_surrogates(body):
            answer = Response(unreadable.model_dump_json(), 400, media_type="application/json")
            raise RequestRefused(RefusalReason.UNREADABLE, answer)
        return caller, _replayed(body, receive), end

    def _take_place(
        self, share: Share, uses: ExitStack, method: str, headers: Headers, caller: Caller
    ) -> None:
        """Count a request for as long as it is served.

        Raises:
            OverLimit: its caller has too many under way, or too many sessions for one more.
        """
        uses.enter_context(share.hold(Use.CALLS))
        if method == "GET":
            uses.enter_context(share.hold(Use.STREAMS))
        if _opens_session(headers):
            uses.enter_context(share.hold(Use.SESSIONS, besides=self._count_sessions(caller.agent)))

    async def _authenticate(self, scope: Scope) -> Caller:
        caller = await self._verifier().authenticate(scope)
        if caller.scopes.isdisjoint(_FOR_ASSISTANTS):
            raise _lacking(_FOR_ASSISTANTS, _OPENS_NO_TOOL)
        return caller

    def _check(self, caller: Caller, body: bytes) -> _End | None:
        """Check that a caller may do what a body asks; if it lasts, tell how it ends with its token."""
        calls = list(_read_calls(body))
        needed = frozenset[Allowed]().union(*(self._needs(method, params) for method, params in calls))
        if lacking := needed - caller.scopes:
            raise _lacking(lacking)
        ends = {_find_end(method, params) for method, params in calls}
        return next((end for end in (_End.WITHHELD, _End.CUT_OFF) if end in ends), None)

    async def _serve_lasting(
        self, scope: Scope, receive: Receive, send: Send, caller: Caller, end: _End
    ) -> None:
        """Serve a stream, or a call that waits, as long as the caller could still come in."""
        clock, has_begun, is_over = self._clock(), False, False

        async def note(message: Message) -> None:
            nonlocal has_begun, is_over
            is_over = is_over or not await self._is_still(caller, scope)
            if not is_over:
                has_begun = True
                await send(message)

        async def watch() -> None:
            nonlocal is_over
            while await self._is_still(caller, scope):
                await clock.sleep_until(clock.now() + timedelta(seconds=_CACHED_FOR))
            is_over = True
            if end is _End.CUT_OFF:
                tasks.cancel_scope.cancel()

        async with background() as tasks:
            tasks.start_soon(watch)
            await self._inner(scope, receive, note)
        if is_over and not has_begun:
            await _ask_for_token(Headers(scope=scope))(scope, receive, send)

    async def _is_still(self, caller: Caller, scope: Scope) -> bool:
        try:
            return await self._verifier().verify_token(scope) == caller
        except ElksError:  # nobody can tell; what is open stays open, and tells nothing meanwhile
            return True


def _opens_session(headers: Headers) -> bool:
    """Tell whether the SDK opens a session for a request: in the older era, for one that names none."""
    version = headers.get(MCP_PROTOCOL_VERSION_HEADER)
    is_older = version is None or version in HANDSHAKE_PROTOCOL_VERSIONS
    return is_older and MCP_SESSION_ID_HEADER not in headers


def _find_end(method: str, params: Mapping[str, Any]) -> _End | None:
    """Return what happens to a request when its token is revoked; None for one that does not last."""
    if method == "tools/call":
        return _WAITING.get(str(params.get("name")))
    return _End.CUT_OFF if method == "subscriptions/listen" else None


_WAITING = {"wait_for_reply": _End.CUT_OFF, "ask_by_sms": _End.WITHHELD}
"""The tools that wait."""


def _read_calls(body: bytes) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Read which methods a body calls; one that is none is the SDK's to refuse."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return
    for call in told if isinstance(told, list) else [told]:
        if isinstance(call, dict) and isinstance(method := call.get("method"), str):
            params = call.get("params")
            yield method, params if isinstance(params, dict) else {}


async def _read_body(receive: Receive, clock: Clock) -> bytes:
    """Read a body; of one that is too large only so much that whoever reads it next finds that, too."""
    body = bytearray()
    try:
        with clock.fail_after(_SLOWEST):
            while len(body) <= MAX_BODY_BYTES:
                message = await receive()
                body += message.get("body", b"")
                if message["type"] != "http.request" or not message.get("more_body"):
                    break
    except TimeoutError:
        words = f"A request has to be here within {_SLOWEST.seconds} seconds, whole."
        raise RequestRefused(RefusalReason.TOO_SLOW, _refuse(408, "too_slow", words)) from None
    return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Let a body that was read be read again."""
    is_told = False

    async def replay() -> Message:
        nonlocal is_told
        if is_told:
            return await receive()
        is_told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _as_the_sdk_knows(caller: Caller) -> AuthenticatedUser:
    """Put a caller as the SDK knows one; the token itself stays outside.

    The SDK binds sessions, and questions to a person, to `client_id` and `subject`. So they end with the
    token they began with: another one of the same name may be for less, or be somebody else's.
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


def _ask_for_token(headers: Headers) -> Response:
    if "authorization" in headers:
        words = "This token is not valid here, or not any more. The operator makes one: `elks-mcp token new`."
        return _refuse(
            401, "invalid_token", words, challenge=f'error="invalid_token", error_description="{words}"'
        )
    words = (
        "A token is needed, as `Authorization: Bearer …`. The operator makes one where the server runs: "
        "`elks-mcp token new NAME --scope read --scope send`."
    )
    return _refuse(401, "unauthorized", words, challenge='realm="elks-mcp"')


def _lacking(lacking: frozenset[Allowed], words: str = "") -> RequestRefused:
    scopes = " ".join(sorted(lacking))
    answer = _refuse(
        403,
        "insufficient_scope",
        words or explain_missing_scopes(lacking),
        challenge=f'error="insufficient_scope", scope="{scopes}"',
    )
    return RequestRefused(RefusalReason.LACKS_SCOPE, answer)


def _ask_to_wait(over: OverLimit) -> Response:
    return _refuse(429, over.code, over.explain(), seconds=over.retry_after_seconds)


def _refuse(status: int, error: str, words: str, *, challenge: str = "", seconds: int = 5) -> Response:
    headers = {"www-authenticate": f"Bearer {challenge}"} if challenge else {"retry-after": f"{seconds}"}
    return JSONResponse({"error": error, "error_description": words}, status, headers)
