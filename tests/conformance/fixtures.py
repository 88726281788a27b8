"""Tools, resources and prompts that the official conformance suite expects of a server.

They are unrelated to our tools, and are mounted on our own server during a test: all below them, from the
port to the middleware, is what `elks-mcp serve --http` runs.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver import Audio, Context, Image, Resolve, Sample, UserMessage
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import (
    AudioContent,
    ClientCapabilities,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    SamplingMessage,
    SetLevelRequestParams,
    TextContent,
    TextResourceContents,
)
from pydantic import BaseModel, Field

from elks_mcp.app import App

_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)
"""A picture of one red point."""

_SILENCE = b"RIFF\x26\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\2\0\0\0\0\0"
"""A sound of one sample."""

_STEP = 0.05
"""Seconds between two things that the suite wants to see one after the other."""


def mount(server: MCPServer[App]) -> None:
    """Mount all of them."""
    for tool in _TOOLS:
        server.add_tool(tool)
    _add_resources(server)
    _add_prompts(server)
    server._lowlevel_server.add_request_handler("logging/setLevel", SetLevelRequestParams, _set_level)


async def _set_level(_: object, __: SetLevelRequestParams) -> EmptyResult:
    return EmptyResult()


# ── what a tool can answer ──


async def test_simple_text() -> str:
    """Answer text."""
    return "This is a simple text response for testing."


async def test_image_content() -> ImageContent:
    """Answer a picture."""
    return Image(data=_PIXEL, format="png").to_image_content()


async def test_audio_content() -> AudioContent:
    """Answer a sound."""
    return Audio(data=_SILENCE, format="wav").to_audio_content()


async def test_embedded_resource() -> EmbeddedResource:
    """Answer a resource."""
    return _embed("test://embedded-resource", "This is an embedded resource content.")


async def test_multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
    """Answer one of each."""
    return [
        TextContent(text="Multiple content types test:"),
        await test_image_content(),
        _embed("test://mixed-content-resource", '{"test":"data","value":123}', "application/json"),
    ]


async def test_error_handling() -> str:
    """Fail."""
    raise ToolError("This tool intentionally returns an error for testing")


# ── what it can do meanwhile ──


async def test_tool_with_logging(ctx: Context[App]) -> str:
    """Log what it does."""
    for doing in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.info(doing)
        await anyio.sleep(_STEP)
    return "done"


async def test_tool_with_progress(ctx: Context[App]) -> str:
    """Report progress."""
    for percent in (0, 50, 100):
        await ctx.report_progress(percent, 100)
        await anyio.sleep(_STEP)
    return "done"


def _sample(prompt: str) -> Sample:
    return Sample([_say(prompt)], max_tokens=100)


async def test_sampling(prompt: str, said: Annotated[CreateMessageResult, Resolve(_sample)]) -> str:
    """Ask the client's model."""
    return f"LLM response: {_text_of(said)}"


class _User(BaseModel):
    username: str = Field(description="User's response")
    email: str = Field(description="User's email address")


async def test_elicitation(message: str, ctx: Context[App]) -> str:
    """Ask the person."""
    answer = await ctx.elicit(message, _User)
    return f"User response: {answer.model_dump_json()}"


class _Defaults(BaseModel):
    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: Literal["active", "inactive", "pending"] = "active"
    verified: bool = True


async def test_elicitation_sep1034_defaults(ctx: Context[App]) -> str:
    """Ask the person, and propose an answer of each type."""
    answer = await ctx.elicit("Review these", _Defaults)
    return f"Elicitation completed: {answer.model_dump_json()}"


_OPTIONS = ["option1", "option2", "option3"]
_ENUMS: dict[str, dict[str, Any]] = {
    "untitledSingle": {"type": "string", "enum": _OPTIONS},
    "titledSingle": {
        "type": "string",
        "oneOf": [{"const": f"value{n}", "title": f"Option {n}"} for n in (1, 2, 3)],
    },
    "legacyEnum": {
        "type": "string",
        "enum": ["opt1", "opt2", "opt3"],
        "enumNames": ["Option One", "Option Two", "Option Three"],
    },
    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": _OPTIONS}},
    "titledMulti": {
        "type": "array",
        "items": {"anyOf": [{"const": f"value{n}", "title": f"Choice {n}"} for n in (1, 2, 3)]},
    },
}


async def test_elicitation_sep1330_enums(ctx: Context[App]) -> str:
    """Let the person choose, in every supported way."""
    asked = _ask("Choose", _ENUMS, required=()).params
    assert isinstance(asked, ElicitRequestFormParams)
    answer = await ctx.session.elicit_form(asked.message, asked.requested_schema, ctx.request_id)
    return f"Elicitation completed: action={answer.action}, content={json.dumps(answer.content)}"


# ── asking by rounds, as the newer era does ──


async def test_input_required_result_elicitation(ctx: Context[App]) -> str | InputRequiredResult:
    """Ask for a name."""
    name = _accepted(ctx, "user_name").get("name")
    return f"Hello, {name}!" if name else _require({"user_name": _ask_name("What is your name?")})


async def test_input_required_result_sampling(ctx: Context[App]) -> str | InputRequiredResult:
    """Ask the client's model."""
    said = _given(ctx).get("capital_question")
    if isinstance(said, CreateMessageResult):
        return _text_of(said)
    return _require({"capital_question": _ask_model("What is the capital of France?", 100)})


async def test_input_required_result_list_roots(ctx: Context[App]) -> str | InputRequiredResult:
    """Ask for the client's roots."""
    roots = _given(ctx).get("client_roots")
    if isinstance(roots, ListRootsResult):
        return ", ".join(str(root.uri) for root in roots.roots)
    return _require({"client_roots": ListRootsRequest()})


async def test_input_required_result_request_state(ctx: Context[App]) -> str | InputRequiredResult:
    """Let the client carry state."""
    if "ok" in _accepted(ctx, "confirm") and ctx.request_state == "asked":
        return "state-ok"
    return _require({"confirm": _ask("Please confirm", {"ok": {"type": "boolean"}})}, "asked")


async def test_input_required_result_tampered_state(ctx: Context[App]) -> str | InputRequiredResult:
    """Let the client carry state, and detect if it was changed."""
    return await test_input_required_result_request_state(ctx)


async def test_input_required_result_multiple_inputs(ctx: Context[App]) -> str | InputRequiredResult:
    """Ask three things at once."""
    asked: dict[str, InputRequest] = {
        "user_name": _ask_name("What is your name?"),
        "greeting": _ask_model("Generate a greeting", 50),
        "client_roots": ListRootsRequest(),
    }
    return "all given" if asked.keys() <= _given(ctx).keys() else _require(asked, "asked")


async def test_input_required_result_multi_round(ctx: Context[App]) -> str | InputRequiredResult:
    """Ask one thing after another."""
    if name := _accepted(ctx, "step1").get("name"):
        asked = _ask("Step 2: What is your favorite color?", {"color": {"type": "string"}})
        return _require({"step2": asked}, str(name))
    if color := _accepted(ctx, "step2").get("color"):
        return f"{ctx.request_state} likes {color}"
    return _require({"step1": _ask_name("Step 1: What is your name?")}, "begun")


async def test_input_required_result_capabilities(ctx: Context[App]) -> str | InputRequiredResult:
    """Ask only what the client said it can be asked."""
    can = ctx.client_capabilities or ClientCapabilities()
    asked: dict[str, InputRequest] = {}
    if can.elicitation:
        asked["user_name"] = _ask_name("What is your name?")
    if can.sampling:
        asked["greeting"] = _ask_model("Generate a greeting", 50)
    return _require(asked) if asked else "nothing can be asked"


async def test_missing_capability(
    said: Annotated[CreateMessageResult, Resolve(lambda: _sample("Hi"))],
) -> str:
    """Need a model of the client's."""
    return _text_of(said)


_TOOLS = (
    test_simple_text,
    test_image_content,
    test_audio_content,
    test_embedded_resource,
    test_multiple_content_types,
    test_error_handling,
    test_tool_with_logging,
    test_tool_with_progress,
    test_sampling,
    test_elicitation,
    test_elicitation_sep1034_defaults,
    test_elicitation_sep1330_enums,
    test_input_required_result_elicitation,
    test_input_required_result_sampling,
    test_input_required_result_list_roots,
    test_input_required_result_request_state,
    test_input_required_result_tampered_state,
    test_input_required_result_multiple_inputs,
    test_input_required_result_multi_round,
    test_input_required_result_capabilities,
    test_missing_capability,
)


# ── resources and prompts ──


def _add_resources(server: MCPServer[App]) -> None:
    @server.resource("test://static-text", description="Text", mime_type="text/plain")
    def static_text() -> str:
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", description="A picture", mime_type="image/png")
    def static_binary() -> bytes:
        return _PIXEL

    @server.resource("test://template/{id}/data", description="By number", mime_type="application/json")
    def template(id: str) -> str:  # noqa: A002  (the suite's word)
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})

    @server.resource("test://watched-resource", description="To be watched", mime_type="text/plain")
    def watched() -> str:
        return "as ever"


def _add_prompts(server: MCPServer[App]) -> None:
    @server.prompt()
    def test_simple_prompt() -> str:
        """Say one thing."""
        return "This is a simple prompt for testing."

    @server.prompt()
    def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
        """Say what it is given."""
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    @server.prompt()
    def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:  # noqa: N803  (the suite's)
        """Bring a resource."""
        resource = _embed(resourceUri, "Embedded resource content for testing.")
        return [UserMessage(resource), UserMessage("Please process the embedded resource above.")]

    @server.prompt()
    def test_prompt_with_image() -> list[UserMessage]:
        """Bring a picture."""
        picture = Image(data=_PIXEL, format="png")
        return [UserMessage(picture), UserMessage("Please analyze the image above.")]

    @server.prompt()
    def test_input_required_result_prompt(ctx: Context[App]) -> str | InputRequiredResult:
        """Ask before it says something."""
        context = _accepted(ctx, "user_context").get("context")
        if context:
            return f"Context: {context}"
        asked = _ask("What context should the prompt use?", {"context": {"type": "string"}})
        return _require({"user_context": asked})


# ── in the protocol's words ──


def _embed(uri: str, text: str, mime_type: str = "text/plain") -> EmbeddedResource:
    return EmbeddedResource(resource=TextResourceContents(uri=uri, mime_type=mime_type, text=text))


def _say(text: str) -> SamplingMessage:
    return SamplingMessage(role="user", content=TextContent(text=text))


def _text_of(said: CreateMessageResult) -> str:
    return said.content.text if isinstance(said.content, TextContent) else ""


def _ask(message: str, fields: Mapping[str, Any], required: tuple[str, ...] | None = None) -> ElicitRequest:
    schema = {
        "type": "object",
        "properties": fields,
        "required": list(fields if required is None else required),
    }
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def _ask_name(message: str) -> ElicitRequest:
    return _ask(message, {"name": {"type": "string"}})


def _ask_model(prompt: str, max_tokens: int) -> CreateMessageRequest:
    params = CreateMessageRequestParams(messages=[_say(prompt)], max_tokens=max_tokens)
    return CreateMessageRequest(params=params)


def _require(asked: Mapping[str, InputRequest], state: str | None = None) -> InputRequiredResult:
    return InputRequiredResult(input_requests=dict(asked), request_state=state)


def _given(ctx: Context[App]) -> Mapping[str, Any]:
    return ctx.input_responses or {}


def _accepted(ctx: Context[App], question: str) -> Mapping[str, Any]:
    """Return the values that a person filled in."""
    answer = _given(ctx).get(question)
    if isinstance(answer, ElicitResult) and answer.action == "accept":
        return answer.content or {}
    return {}
