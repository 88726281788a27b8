"""Run a tool: read arguments, turn failures into answers, write metrics and audit log.

Arguments are mapped from their wire names to Python's. Unknown arguments and validation errors are explained
in sentences. Errors are returned, never raised to the SDK, which would log their text.
"""

import inspect
import logging
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from functools import cache, cached_property
from typing import Any, ClassVar, cast, get_type_hints

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.mcpserver.tools import Tool
from mcp_types import (
    AudioContent,
    CallToolResult,
    ImageContent,
    InputRequiredResult,
    TextContent,
    ToolAnnotations,
)
from pydantic import ValidationError

from elks_mcp.answers.sandbox import is_simulated
from elks_mcp.answers.schedule import take_missed
from elks_mcp.answers.structured import Answer
from elks_mcp.app import App
from elks_mcp.domain.models import Scope
from elks_mcp.domain.numbering_plans import SWEDISH_SPELLING, describe_spelling
from elks_mcp.errors import ElksError, InvalidInput, NotApproved, Refused, StateUncertain
from elks_mcp.mcp_server.hidden_numbers import read_handles
from elks_mcp.mcp_server.tools.audit import write_audit_line
from elks_mcp.mcp_server.tools.schemas import trim_input_schema, trim_output_schema
from elks_mcp.mcp_server.tools.tool_arguments import (
    ALIASES,
    INJECTED,
    PYTHON_NAMES,
    WIRE_NAMES,
    check_length,
    check_not_named,
    is_absent,
    list_faults,
)
from elks_mcp.runtime.metrics import as_label

log = logging.getLogger(__name__)

READS = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=True
)
SENDS = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=True
)
CANCELS = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=True
)
SENDS_ONCE = CANCELS
"""For a tool that sends, and sends nothing twice if it is repeated."""

PLANS = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=True
)
NOT_CALLED = "Not called: "
"""The prefix of the error messages of a tool that calls a phone."""

FOR_ALL: frozenset[Scope] = frozenset()
"""For tools that need no scope: any token may call them."""


@cache
def _build_output_schema(answer: type[Answer]) -> dict[str, Any]:
    return trim_output_schema(answer.model_json_schema())


class ElksTool(Tool):
    """A tool of this server."""

    failed: str = ""
    """Prefix of every error message of this tool."""

    needs: frozenset[Scope] = frozenset({Scope.READ})
    """Scopes that the caller's token must have."""

    reports_missed: bool = False
    """Whether its answers also say which texts of the caller were not sent at their time."""

    BUG: ClassVar[str] = (
        "Unexpected error in elks-mcp; its log has the details. Retrying is unlikely to help."
    )
    MAYBE_SENT: ClassVar[str] = (
        "The text may have been sent: check with get_sms_messages, do not send it again."
    )
    MAYBE_CALLED: ClassVar[str] = "The call may have been made: check with list_calls, do not call again."

    @classmethod
    def of(
        cls,
        fn: Callable[..., Awaitable[Answer]],
        *,
        title: str,
        hints: ToolAnnotations,
        failed: str = "",
        needs: frozenset[Scope] = frozenset({Scope.READ}),
        reports_missed: bool = False,
    ) -> "ElksTool":
        """Return a tool made from a function; the model sees its name, docstring and parameters."""
        made = cls.from_function(
            fn,
            title=title,
            description=inspect.getdoc(fn),
            annotations=hints,
            structured_output=False,  # we build the answer, and its schema only if somebody lists the tools
        )
        more = {
            "parameters": trim_input_schema(made.parameters, WIRE_NAMES),
            "failed": failed,
            "needs": needs,
            "reports_missed": reports_missed,
        }
        return cast("ElksTool", made.model_copy(update=more))  # declared as the class of the SDK

    @cached_property
    def output_schema(self) -> dict[str, Any] | None:
        """The schema of the answer that clients check it against."""
        return _build_output_schema(get_type_hints(self.fn)["return"])

    def at_home(self, home: str) -> "ElksTool":
        """Return the tool with descriptions for the number format of `home`, an ISO 3166 region."""
        spelling = describe_spelling(home)
        properties = {
            name: {
                key: value.replace(SWEDISH_SPELLING, spelling) if key == "description" else value
                for key, value in spec.items()
            }
            for name, spec in self.parameters["properties"].items()
        }
        return self.model_copy(update={"parameters": {**self.parameters, "properties": properties}})

    async def run(
        self,
        arguments: dict[str, Any],
        context: Context[Any, Any],
        convert_result: bool = False,  # noqa: ARG002  (the SDK asks for it; we convert ourselves)
    ) -> CallToolResult | InputRequiredResult:
        """Run the tool; return failures as answers, and raise only errors of the protocol."""
        began, outcome = time.perf_counter(), "cancelled"
        app: App = context.request_context.lifespan_context
        try:
            own = self._without_injected(arguments, app)
            for name, value in own.items():
                check_length(name, value)
            given = await read_handles(app, own)
            await check_not_named(app, given)
            result: Answer | InputRequiredResult
            result = await super().run(self._python_arguments(given), context)
            outcome = result.outcome if isinstance(result, Answer) else "asked"
            if not isinstance(result, Answer):
                return result
            shown = result.in_zone(app.policy.time_zone)
            if missed := await self._take_missed(app):
                shown = shown.model_copy(update={"missed": missed})
            return _answer(app, [shown.in_words(), *missed], shown)
        except (ElksError, ToolError) as error:
            failure = self._failure(error)
            outcome = failure.code if failure else "bug"
            for guard in failure.guards if isinstance(failure, Refused) else ():
                app.counters.count("elks_mcp_guard_refusals_total", guard=guard)
            return _answer(app, [self._in_words(failure), *await self._take_missed(app)], None)
        finally:
            seconds = time.perf_counter() - began
            app.counters.count("elks_mcp_tool_calls_total", tool=self.name, outcome=as_label(outcome))
            app.counters.observe("elks_mcp_tool_call_duration_seconds", seconds, tool=self.name)
            write_audit_line(self.name, arguments, outcome, seconds, app.caller.name)

    async def _take_missed(self, app: App) -> tuple[str, ...]:
        return await take_missed(app) if self.reports_missed else ()

    def _without_injected(self, arguments: dict[str, Any], app: App) -> dict[str, Any]:
        """Return the arguments without those that clients inject, and count these."""
        injected = (INJECTED & arguments.keys()) - self.parameters["properties"].keys()
        for name in injected:
            app.counters.count("elks_mcp_ignored_arguments_total", argument=name)
        return {name: value for name, value in arguments.items() if name not in injected}

    def _python_arguments(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments under their Python names, without empty optional ones.

        Raises:
            InvalidInput: an argument is unknown, or given under both its names.
        """
        by_wire_name = {ALIASES.get(name, name): value for name, value in arguments.items()}
        if twice := [
            f"{one} and {other}" for one, other in ALIASES.items() if one in arguments and other in arguments
        ]:
            raise InvalidInput(f"{', '.join(twice)} are the same argument.", hint="Give it once.")
        known = self.parameters["properties"]
        if unknown := [name for name in by_wire_name if name not in known]:
            raise InvalidInput(
                f"{self.name} has no argument {', '.join(repr(name[:40]) for name in unknown)}.",
                hint=f"Its arguments are: {', '.join(known) or 'none'}.",
            )
        required = self.parameters.get("required", [])
        return {
            PYTHON_NAMES.get(name, name): value
            for name, value in by_wire_name.items()
            if name in required or not is_absent(name, value)
        }

    def _failure(self, error: Exception) -> ElksError | None:
        """Return the error that the SDK wrapped; log an unexpected one and return None."""
        cause = error if isinstance(error, ElksError) else error.__cause__
        if isinstance(cause, ElksError):
            return cause
        if isinstance(cause, ToolError) and not isinstance(cause, UnexpectedToolError):
            return NotApproved(
                "The client's answer to the question could not be read.",
                hint="Tell the person what it was about.",
            )
        if isinstance(cause, ValidationError) and cause.title == self.fn_metadata.arg_model.__name__:
            return InvalidInput(" ".join(list_faults(cause)))
        log.error("tool %s failed", self.name, exc_info=cause or error)
        return None

    def _in_words(self, failure: ElksError | None) -> str:
        if isinstance(failure, StateUncertain):
            return failure.explain()
        if failure:
            return f"{self.failed}{failure.explain()}"
        maybe = self.MAYBE_CALLED if self.failed == NOT_CALLED else self.MAYBE_SENT
        return f"{self.BUG} {maybe}" if self.failed else self.BUG


def _list_sounds(answer: Answer | None) -> list[AudioContent]:
    """Return the sound of an answer that has one."""
    if answer is None or not answer.sound:
        return []
    return [AudioContent(type="audio", data=b64encode(answer.sound).decode(), mime_type="audio/wav")]


def _answer(app: App, parts: Sequence[str], answer: Answer | None) -> CallToolResult:
    text, prefix = "\n".join(parts), "Sandbox: "
    if is_simulated(app) and not text.startswith(prefix):
        text = prefix + text
    images = [
        ImageContent(type="image", data=b64encode(each.content).decode(), mime_type=each.media_type)
        for each in (answer.images if answer else ())
    ]
    return CallToolResult(
        content=[TextContent(type="text", text=text), *images, *_list_sounds(answer)],
        structured_content=answer.model_dump(mode="json", by_alias=True) if answer else None,
        is_error=answer is None,
    )
