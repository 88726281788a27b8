"""The scopes that a request needs, and their enforcement inside the MCP server.

`web/authorization.py` checks them first and answers 403. `ScopeMiddleware` checks every request again,
removes from lists what the caller cannot use, and lets tools work with the caller's own orders only.
"""

from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_REQUEST, SubscriptionFilter
from pydantic import ValidationError

from elks_mcp.app import ANYBODY, App
from elks_mcp.domain.models import Caller, Scope
from elks_mcp.mcp_server.tools.base import ElksTool
from elks_mcp.runtime.launcher import show_command


class CallerToken(AccessToken):
    """The caller of a request, as the SDK passes it from the HTTP server to here."""

    caller: Caller


RequiredScopes = Callable[[str, Mapping[str, Any]], frozenset[Scope]]

_NOTHING: frozenset[Scope] = frozenset()
_READ = frozenset({Scope.READ})
_EVERYTHING = frozenset({Scope.READ, Scope.SEND})
_NO_SCOPE_NEEDED = frozenset({"elks://policy"})
"""Resources that contain no texts."""


def build_required_scopes(tools: Iterable[ElksTool]) -> RequiredScopes:
    """Return a function that gives the scopes that a request needs, by method and parameters."""
    by_name = {tool.name: tool.needs for tool in tools}

    def required_scopes(method: str, params: Mapping[str, Any]) -> frozenset[Scope]:
        match method:
            case "tools/call":
                name = params.get("name")
                return by_name.get(name, _NOTHING) if isinstance(name, str) else _NOTHING
            case "resources/read" | "resources/subscribe" | "resources/unsubscribe":
                uri = params.get("uri")  # not validated yet, so of any type
                return _NOTHING if isinstance(uri, str) and uri in _NO_SCOPE_NEEDED else _READ
            case "subscriptions/listen":
                return _NOTHING if _parse_subscriptions(params) <= _NO_SCOPE_NEEDED else _READ
            case _:
                return _NOTHING

    return required_scopes


def _parse_subscriptions(params: Mapping[str, Any]) -> frozenset[str]:
    """Return the URIs of a subscription as the SDK reads them, in either spelling.

    An invalid one gives a URI that needs a scope.
    """
    try:
        wanted = SubscriptionFilter.model_validate(params.get("notifications"))
    except ValidationError:
        return frozenset({""})
    return frozenset(wanted.resource_subscriptions or ())


_app_of_caller: ContextVar[App] = ContextVar("app_of_caller")


def app_of_caller() -> App:
    """Return the `App` of the caller whose request is being answered."""
    return _app_of_caller.get()


class ScopeMiddleware:
    """Enforces scopes, and gives each request the `App` of its caller."""

    def __init__(self, required_scopes: RequiredScopes) -> None:
        self._required_scopes = required_scopes

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Answer a request if the caller's token has the scopes that it needs."""
        caller = _get_caller()
        if missing := self._required_scopes(ctx.method, ctx.params or {}) - caller.scopes:
            raise MCPError(INVALID_REQUEST, explain_missing_scopes(missing))
        app: App = ctx.lifespan_context.of(caller)
        reset_token = _app_of_caller.set(app)
        try:
            is_same = app is ctx.lifespan_context
            answer = await call_next(ctx if is_same else replace(ctx, lifespan_context=app))
        finally:
            _app_of_caller.reset(reset_token)
        return self._remove_unusable(ctx.method, answer, caller)

    def _remove_unusable(self, method: str, answer: HandlerResult, caller: Caller) -> HandlerResult:
        """Return the answer to a list request without the entries that the caller cannot use."""
        listing = _LISTINGS.get(method)
        if listing is None or not isinstance(answer, dict) or caller.scopes >= _EVERYTHING:
            return answer
        field, used_by, key = listing
        usable = [
            entry
            for entry in answer[field]
            if self._required_scopes(used_by, {key: entry.get(key)}) <= caller.scopes
        ]
        return {**answer, field: usable}


_LISTINGS = {
    "tools/list": ("tools", "tools/call", "name"),
    "resources/list": ("resources", "resources/read", "uri"),
    "resources/templates/list": ("resourceTemplates", "resources/read", "uri"),
}
"""For each list method: the field with the entries, the method that uses one, and its key in both."""


def explain_missing_scopes(scopes: Iterable[Scope]) -> str:
    """Return the error for a token that lacks scopes, with the command to create another."""
    missing = " and ".join(sorted(scopes))
    return f"This token does not have the scope {missing}. {explain_new_token()}"


def explain_new_token() -> str:
    """Return how the operator creates a token that has what another lacks."""
    return f"The operator can create one that does: {show_command('token new')}."


def _get_caller() -> Caller:
    """Return the caller of the request that is being answered, as `web/authorization.py` set it."""
    token = get_access_token()
    if token is None:
        return ANYBODY
    if not isinstance(token, CallerToken):
        raise TypeError("The token was not set by TokenMiddleware.")
    return token.caller
