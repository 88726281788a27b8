"""Budgets of size, and names that occur once: what a reader of the file list can rely on."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from elks_mcp.domain.toolsets import Toolset
from elks_mcp.mcp_server.server import list_tools

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "elks_mcp"

MODULE_LINES, OTHER_MODULE_LINES, FUNCTION_LINES, PUBLIC_METHODS, PARAMETERS = 300, 500, 40, 12, 6

TOPICS = {
    "account": "46elks' account: its format, the toolset and the commands about it, the simulated one",
    "batches": "texts that are planned, approved and followed as one",
    "batch_results": "what became of each row of a batch",
    "alert_approval": "how a person is asked about an alert, the command that approves",
    "batch_approval": "how a person is asked about a batch, how it is stored, the command that approves",
    "batch_plans": "what a batch will send, to whom and for how much, before it is started",
    "mms": "picture messages: 46elks' format, the guard, the toolset, the simulated ones",
    "numbers": "the account's own numbers: 46elks' format, what they are for, commands, the simulated ones",
    "subaccounts": "credentials with a cap that 46elks enforces",
    "my_number": "the operator's own number",
    "approval": "what a person reads, how they are asked, how it is stored, the command that approves",
    "asgi": "an ASGI application",
    "contacts": "the people that the operator's files name",
    "calls": "phone calls: 46elks' format, the outcomes, the toolset, the commands that make and list them",
    "cancellation": "ending an order before it leaves",
    "clock": "time: the server's and the sandbox's",
    "alerts": "alerts that go on until somebody answers",
    "acknowledgements": "who acknowledged an alert",
    "doubts": "orders whose outcome is unknown",
    "escalation": "whom an alert reaches, in which order, and until when",
    "handles": "what stands for a number that a model may not see",
    "heartbeats": "which long-running servers run",
    "history": "the account's texts, sent and received",
    "opt_outs": "who wants no texts",
    "orders": "orders",
    "outcomes": "what became of a planned text",
    "policy": "what the operator allows",
    "privacy": "what is stored about a person",
    "replies": "waiting for an answer",
    "schedule": "texts that go out later",
    "restoring": "a backup that was restored",
    "sandbox": "the simulated 46elks, what answers say about it, the command that runs it",
    "sms": "text messages: 46elks' format, the toolset, the commands that send and price them",
    "stdio": "a server for one client, on standard input and output",
    "taint": "whose texts a model was shown",
    "tokens": "bearer tokens",
    "webhooks": "46elks' webhooks",
}
"""File names that several layers share, and the one topic that each is about."""

_BY_NAME = "its parameters are all optional, and given by name"
_EXAMPLE = "a test's helper, whose parameters are given by name"

LARGE: dict[str, str] = {
    "src/elks_mcp/app.py:_assemble": "puts the app together, with a line for each part",
    "tests/tables/mutants.py": "a table: an entry for each mutant",
    "src/elks_mcp/sandbox/sandbox.py:__init__": _BY_NAME,
    "src/elks_mcp/store/db/schema.py": "a declaration for each table",
    "tests/domain/test_doubts.py:a_message": _EXAMPLE,
    "tests/sending/test_outbox_machine.py:OutboxMachine": "a Hypothesis machine: a method for each rule",
    "tests/support/connecting.py:connected": _EXAMPLE,
    "tests/support/provider.py:__init__": _EXAMPLE,
    "tests/support/token_cases.py:ask": _EXAMPLE,
    "tests/support/web.py:site": _EXAMPLE,
    "tests/tables/abuse.py": "a table of examples",
}
"""Code that is over a budget, by path and name, with the reason."""

NAMES_TOOLS = {
    "answers/call_lists.py": "the tool that takes the id of a recording",
    "answers/calls.py": "how a model follows a call; a command has its own words",
    "answers/cancellation.py": "what a model does if the text may have left",
    "answers/batch_plans.py": "how a model starts the batch; a command has its own words",
    "answers/batch_steps.py": "what a model does next; a command has its own words",
    "answers/history.py": "how a model continues a wait; a command has its own words",
    "answers/policy.py": "how a call ends a dry run, which is also in the instructions for a model",
    "answers/results.py": "how a model asks for the status; a command has its own words",
    "cli/alert_trial.py": "the JSON of a command has the field of the tool's answer",
    "cli/batch_sending.py": "the JSON of a command has the fields of the tool's answer",
    "cli/sending.py": "the JSON of a command has the field of the tool's answer",
    "cli/client_start.py": "calls a tool as a client, to prove that the server works",
    "cli/demo.py": "shows what a client calls",
    "sending/batch_sources.py": "the sources that a model names",
    "workflows/alerts.py": "how a model follows an alert that waits for a person",
    "sending/batches.py": "how a model follows a batch that waits for a person",
    "sending/plan.py": "what a model does while a person approves",
    "web/authorization.py": "the calls that wait",
}
"""The modules outside `mcp_server` that name a tool or a parameter of one, and why."""


def modules() -> list[Path]:
    """List the package's modules, without migrations: each is a step that is not changed any more."""
    return [page for page in sorted(PACKAGE.rglob("*.py")) if "versions" not in page.parts]


def sources() -> list[Path]:
    """List all Python files that a person maintains."""
    others = [page for page in sorted((ROOT / "tests").rglob("*.py")) if "node_modules" not in page.parts]
    return [*modules(), *sorted((ROOT / "scripts").rglob("*.py")), *others]


def definitions(page: Path) -> Iterator[tuple[str, ast.AST]]:
    """List a file's functions and classes, each with its place."""
    for node in ast.walk(ast.parse(page.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield f"{page.relative_to(ROOT).as_posix()}:{node.name}", node


def is_interface(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether each parameter of a function is one that a model or a command line fills in."""
    decorators = {ast.unparse(each).partition("(")[0].rpartition(".")[2] for each in node.decorator_list}
    return bool(decorators & {"command", "tool"}) or "Context[App]" in ast.unparse(node.args)


def list_large() -> Iterator[tuple[str, str]]:
    """List what is over a budget: its place, and by how much."""
    for page in sources():
        name = page.relative_to(ROOT).as_posix()
        most = MODULE_LINES if name.startswith("src/") else OTHER_MODULE_LINES
        if (lines := len(page.read_text("utf-8").splitlines())) > most:
            yield name, f"{lines} lines, {most} is the budget"
        for place, node in definitions(page):
            yield from ((place, found) for found in list_large_parts(node))


def list_large_parts(node: ast.AST) -> Iterator[str]:
    """List which budgets a function or a class exceeds."""
    if isinstance(node, ast.ClassDef):
        functions = (each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
        public = {each.name for each in functions if not each.name.startswith(("_", "test_"))}
        if len(public) > PUBLIC_METHODS:
            yield f"{len(public)} public methods, {PUBLIC_METHODS} is the budget"
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        if (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES:
            yield f"{lines} lines, {FUNCTION_LINES} is the budget"
        given = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        count = len([each for each in given if each.arg not in {"self", "cls"}])
        if count > PARAMETERS and not is_interface(node):
            yield f"{count} parameters, {PARAMETERS} is the budget"


def test_no_module_class_or_function_is_over_its_budget() -> None:
    found = dict(list_large())
    assert {place: excess for place, excess in found.items() if place not in LARGE} == {}
    assert LARGE.keys() <= found.keys()  # an exception that nothing needs any more goes


@pytest.mark.parametrize("source", ["def f(a, b, c, d, e, f, g): ...", "def f():\n" + "    x = 1\n" * 40])
def test_a_function_over_a_budget_is_found(source: str) -> None:
    assert len(list(list_large_parts(ast.parse(source).body[0]))) == 1


def list_strings(page: Path) -> Iterator[str]:
    """List the strings of a module, without docstrings."""
    tree = ast.parse(page.read_text("utf-8"))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def test_only_the_interface_for_assistants_names_tools_and_their_parameters() -> None:
    tools = list_tools(frozenset(Toolset))
    parameters = {name for tool in tools for name in tool.parameters["properties"]}
    names = {tool.name for tool in tools} | {name for name in parameters if not name.islower()}
    assert {"send_sms", "idempotencyKey"} <= names
    pattern = re.compile(rf"\b(?:{'|'.join(names)})\b")
    found = {
        page.relative_to(PACKAGE).as_posix()
        for page in modules()
        if pattern.search(page.read_text("utf-8")) and any(map(pattern.search, list_strings(page)))
    }
    assert {each for each in found if not each.startswith("mcp_server/")} == NAMES_TOOLS.keys()


def test_a_file_name_is_about_one_topic() -> None:
    stems = [page.stem for page in modules() if page.stem not in {"__init__", "env"}]
    assert {stem for stem in stems if stems.count(stem) > 1} == TOPICS.keys()


def list_aliases(page: Path) -> Iterator[tuple[str, str]]:
    """List a file's aliases of types, which are named as classes are, with their places."""
    for node in ast.parse(page.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name.lstrip("_")[:1].isupper() and not name.isupper():
                yield name, f"{page.relative_to(ROOT).as_posix()}:{name}"


def list_repeated(named: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the names that occur in several places, with these places."""
    places = defaultdict(list)
    for name, place in named:
        places[name].append(place)
    return {name: found for name, found in places.items() if len(found) > 1}


def test_a_class_name_occurs_once() -> None:
    classes = (
        (node.name, place)
        for page in modules()
        for place, node in definitions(page)
        if isinstance(node, ast.ClassDef)
    )
    aliases = (each for page in modules() for each in list_aliases(page))
    assert list_repeated((name.lstrip("_"), place) for name, place in (*classes, *aliases)) == {}
