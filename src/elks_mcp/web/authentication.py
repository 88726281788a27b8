"""Find out who makes a request: the caller that its bearer token names.

Only this module verifies tokens. An OAuth verifier would take its place. `authorization.py` decides what the
caller may do.
"""

import logging
from collections.abc import Collection

import anyio
from starlette.datastructures import Headers
from starlette.types import Scope

from elks_mcp.app import ANYBODY
from elks_mcp.domain.models import Caller
from elks_mcp.domain.models import Scope as TokenScope
from elks_mcp.errors import ElksError
from elks_mcp.runtime.addresses import Networks, is_direct_from, is_from_this_machine
from elks_mcp.runtime.bursts import Bursts
from elks_mcp.runtime.clock import Clock
from elks_mcp.runtime.launcher import show_command
from elks_mcp.runtime.metrics import Counters
from elks_mcp.store import KnownTokens, Storage
from elks_mcp.web.rejections import (
    RefusalReason,
    RequestRefused,
    build_unauthorized_response,
    refuse_missing_scopes,
    refuse_unverifiable,
)

log = logging.getLogger(__name__)

CACHE_SECONDS = 0.5
"""How long the list of valid tokens is cached, and how often a long-lived request is checked against it.

A revoked token is refused after one such period, and a request under way ends after two: within a second.
"""


class TokenVerifier:
    """Identifies callers by their tokens, and counts admitted and refused requests.

    As long as no token of any account was ever created in the state, callers on this machine need none. This
    excludes requests to one of `names`, by which other machines reach the server, and forwarded requests.
    Once tokens are required (`requires_token`), they stay required until the process ends, even if the
    database has none any more: it may have been restored from a backup.
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
        """Tokens of other accounts that were presented here; each is logged once."""
        self._failure: ElksError | None = None
        self._cached_until = 0.0
        self._loading = anyio.Lock()

    def is_local(self, scope: Scope) -> bool:
        """Return whether a program on this machine made a request directly, by a local name."""
        headers = Headers(scope=scope)
        is_public_name = headers.get("host", "").lower() in self._names
        return not is_public_name and is_from_this_machine(
            _get_peer(scope), headers.keys(), scope["http_version"]
        )

    async def verify_token(self, scope: Scope) -> Caller | None:
        """Return the caller that makes a request; None if it presents no valid token.

        Raises:
            StateUnavailable, Misconfigured: tokens cannot be verified now.
        """
        known = await self._load_known_tokens()
        if not self._requires_token:
            return ANYBODY if self.is_local(scope) else None
        token = _parse_token(Headers(scope=scope))
        if token is None:
            return None
        hashed = (await self._storage.open()).database.hasher.of("token", token)
        if owner := known.foreign.get(hashed):
            self._report_foreign(owner)
        return known.valid.get(hashed)

    async def authenticate(self, scope: Scope) -> Caller:
        """Return the caller that makes a request.

        Raises:
            RequestRefused: it presents no valid token, or tokens cannot be verified now.
        """
        try:
            caller = await self.verify_token(scope)
        except ElksError as error:
            raise refuse_unverifiable(str(error)) from None
        if caller is None:
            headers = Headers(scope=scope)
            reason = RefusalReason.WRONG_TOKEN if "authorization" in headers else RefusalReason.NO_TOKEN
            answer = build_unauthorized_response(headers, is_local=self.is_local(scope))
            raise RequestRefused(reason, answer)
        return caller

    async def check_may_read_metrics(self, scope: Scope, networks: Networks) -> None:
        """Check that a request may read figures and details about the server.

        It may if it comes from this machine, comes directly from one of `networks`, or presents a token with
        the scope `metrics`.

        Raises:
            RequestRefused: it may not.
        """
        names, version = Headers(scope=scope).keys(), scope["http_version"]
        if self.is_local(scope) or is_direct_from(networks, _get_peer(scope), names, version):
            return
        caller = await self.authenticate(scope)
        if TokenScope.METRICS not in caller.scopes:
            raise refuse_missing_scopes(frozenset({TokenScope.METRICS}))

    def count_admitted(self, caller: Caller) -> None:
        """Count an admitted request under the name of its token; "" if it has none."""
        self._counters.count("elks_mcp_requests_total", caller=caller.name)

    def record_refusal(self, refusal: RequestRefused) -> None:
        """Count a refused request, and log the first of a burst."""
        self._counters.count("elks_mcp_refused_requests_total", reason=refusal.reason.name.lower())
        self._bursts.note(refusal.reason, refusal.detail)

    def _report_foreign(self, owner: str) -> None:
        """Log once that a valid token of another account was presented."""
        if owner not in self._reported:
            self._reported.add(owner)
            log.warning(
                "A token of another account was presented: %s. "
                "Create one for the account of this server: %s.",
                owner,
                show_command("token new"),
            )

    async def _load_known_tokens(self) -> KnownTokens:
        """Return the valid tokens, from the cache if it is fresh.

        Requests that wait for the same load share its result, also if it fails.
        """
        if self._clock.counted() < self._cached_until:
            return self._get_last_result()
        async with self._loading:
            if self._clock.counted() >= self._cached_until:
                began, self._failure = self._clock.counted(), None
                try:
                    # Always opened: a missing file does not prove that no token was ever created.
                    self._known = await (await self._storage.open()).tokens.list_valid()
                    self._requires_token = self._requires_token or self._known.any_made
                    self._cached_until = began + CACHE_SECONDS
                except ElksError as error:
                    self._failure = error
                    self._cached_until = self._clock.counted() + CACHE_SECONDS
            return self._get_last_result()

    def _get_last_result(self) -> KnownTokens:
        if self._failure:
            raise self._failure
        return self._known


def _get_peer(scope: Scope) -> str:
    """Return the address at the other end of the connection; "" if there is none."""
    return scope["client"][0] if scope.get("client") else ""


def _parse_token(headers: Headers) -> str | None:
    """Return the bearer token of a request; None without exactly one `Authorization` header."""
    values = headers.getlist("authorization")
    if len(values) != 1:
        return None
    scheme, _, token = values[0].partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None
