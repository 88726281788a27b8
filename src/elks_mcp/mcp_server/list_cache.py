"""What is listed is the same for everybody, so it is put together once.

To write the schemas of all tools for each who asks takes the SDK most of the time of an answer.
"""

from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

_LISTS = frozenset({"tools/list", "prompts/list", "resources/list", "resources/templates/list"})


class ListCacheMiddleware:
    """Answers lists from memory, from the second time on.

    Only in the newer era, where a request needs nothing that came before it; and only for the plain question,
    since whatever else stands in one is the SDK's to judge.
    """

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], dict[str, Any]] = {}

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Answer a request, or let it be answered."""
        is_plain = ctx.method in _LISTS and set(ctx.params or {}) <= {"_meta"}
        if not is_plain or ctx.request_id is None or ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            return await call_next(ctx)
        question = ctx.method, ctx.protocol_version
        if known := self._answers.get(question):
            return dict(known)
        answer = await call_next(ctx)
        if isinstance(answer, dict):
            self._answers[question] = dict(answer)
        return answer
