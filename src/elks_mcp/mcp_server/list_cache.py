"""A cache of the answers to list requests, which are the same for every caller.

Without it, the SDK spends most of the time of such an answer on building the schemas of all tools.
"""

from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

_LISTS = frozenset({"tools/list", "prompts/list", "resources/list", "resources/templates/list"})


class ListCacheMiddleware:
    """Answers list requests from the cache.

    Only plain requests of the newer era are answered: an older one depends on its session, and the SDK
    validates any parameters.
    """

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], dict[str, Any]] = {}

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Answer a request from the cache, or pass it on."""
        is_plain = ctx.method in _LISTS and set(ctx.params or {}) <= {"_meta"}
        if not is_plain or ctx.request_id is None or ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            return await call_next(ctx)
        key = ctx.method, ctx.protocol_version
        if cached := self._answers.get(key):
            return dict(cached)
        answer = await call_next(ctx)
        if isinstance(answer, dict):
            self._answers[key] = dict(answer)
        return answer
