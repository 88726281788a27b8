"""What a caller needs for what they ask, and that nobody gets further.

The door (`web/tokens.py`) asks `needs` before anything is read further, and answers 403. This is the second
lock: whatever reaches the protocol is held to the same, lists leave out what a caller cannot use, and every
tool works with that caller's orders only.
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


class CallerToken(AccessToken):
    """What the SDK carries from the door to here: who calls."""

    caller: Caller


RequiredScopes = Callable[[str, Mapping[str, Any]], frozenset[Scope]]

_NOTHING: frozenset[Scope] = frozenset()
_READ = frozenset({Scope.READ})
_EVERYTHING = frozenset({Scope.READ, Scope.SEND})
_OPEN_TO_ALL = frozenset({"elks://policy"})
"""Resources that hold nobody's texts."""


def build_required_scopes(tools: Iterable[ElksTool]) -> RequiredScopes:
    """Make what tells the scopes that a request needs, by its method and its parameters."""
    by_name = {tool.name: tool.needs for tool in tools}

    def needs(method: str, params: Mapping[str, Any]) -> frozenset[Scope]:
        match method:
            case "tools/call":
                name = params.get("name")
                return by_name.get(name, _NOTHING) if isinstance(name, str) else _NOTHING
            case "resources/read" | "resources/subscribe" | "resources/unsubscribe":
                uri = params.get("uri")  # of any type: nobody has validated it yet
                return _NOTHING if isinstance(uri, str) and uri in _OPEN_TO_ALL else _READ
            case "subscriptions/listen":
                return _NOTHING if _listened(params) <= _OPEN_TO_ALL else _READ
            case _:
                return _NOTHING

    return needs


def _listened(params: Mapping[str, Any]) -> frozenset[str]:
    """Read what is to be listened to as the SDK does, in either spelling; nonsense may be anything."""
    try:
        wanted = SubscriptionFilter.model_validate(params.get("notifications"))
    except ValidationError:
        return frozenset({""})
    return frozenset(wanted.resource_subscriptions or ())


_app_of_caller: ContextVar[App] = ContextVar("app_of_caller")


def app_of_caller() -> App:
    """Give what works for whoever makes the request that is being answered."""
    return _app_of_caller.get()


class ScopeMiddleware:
    """Lets every request work with what is its caller's."""

    def __init__(self, needs: RequiredScopes) -> None:
        self._needs = needs

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Answer a request, if whoever makes it may."""
        caller = _who_calls()
        if lacking := self._needs(ctx.method, ctx.params or {}) - caller.scopes:
            raise MCPError(INVALID_REQUEST, explain_missing_scopes(lacking))
        app: App = ctx.lifespan_context.of(caller)
        mark = _app_of_caller.set(app)
        try:
            is_theirs = app is ctx.lifespan_context
            answer = await call_next(ctx if is_theirs else replace(ctx, lifespan_context=app))
        finally:
            _app_of_caller.reset(mark)
        return self._without_others(ctx.method, answer, caller)

    def _without_others(self, method: str, answer: HandlerResult, caller: Caller) -> HandlerResult:
        """Leave out of a list what its caller cannot use."""
        listed = _LISTED.get(method)
        if listed is None or not isinstance(answer, dict) or caller.scopes >= _EVERYTHING:
            return answer
        field, asked, by = listed
        usable = [each for each in answer[field] if self._needs(asked, {by: each.get(by)}) <= caller.scopes]
        return {**answer, field: usable}


_LISTED = {
    "tools/list": ("tools", "tools/call", "name"),
    "resources/list": ("resources", "resources/read", "uri"),
    "resources/templates/list": ("resourceTemplates", "resources/read", "uri"),
}
"""Of each list: where its entries stand, what one is asked for with, and by which of its fields."""


def explain_missing_scopes(scopes: Iterable[Scope]) -> str:
    """Say what a caller lacks, and who can change that."""
    lacking = " and ".join(sorted(scopes))
    return f"This token does not have the scope {lacking}. The operator makes tokens: `elks-mcp token new`."


def _who_calls() -> Caller:
    """Say who makes the request that is being answered, as the door found out."""
    token = get_access_token()
    if token is None:
        return ANYBODY
    if not isinstance(token, CallerToken):
        raise TypeError("This token did not come through the door.")
    return token.caller
