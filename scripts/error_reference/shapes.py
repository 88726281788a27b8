"""The shapes of error texts other than calls of a class: records, answers, lines."""

import ast
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from error_reference.resolving import Function, Module, list_modules, name_called

RECORDS: dict[str, int | str] = {
    "ErrorData": "message",
    "PolicyFault": 1,
    "Remark": 1,
    "SettingProblem": 1,
    "Started": "problem",
    "_ImportedLine": "fault",
    "ReadPhone": "fault",
    "RecipientEntry": "fault",
    "LeftOutPerson": "reason",
    "WebhookAnswer": "problem",
    "Sound": "problem",
}
"""Classes whose instances say what is wrong, with the position or the name of the argument that says it."""

PLAIN = frozenset({"ValueError", "LookupError"})
"""Errors of Python whose texts are passed on, such as by pydantic."""

BUGS = {
    "domain/alerts.py",
    "domain/batches.py",
    "domain/setting_declaration.py",
    "sending/batch_starts.py",
    "sandbox/clock.py",
}
"""Modules whose plain errors only a bug raises, or a test with the clock of the sandbox."""

_REASONS = {"reason", "why", "problem"}
"""Parameters that a function puts into a text after a colon: each call gives the rest of the text."""

_FIRST_ERROR = 400
"""The HTTP status from which an answer is an error."""


class Sink(NamedTuple):
    """A parameter of a function that the function makes an error of."""

    kind: str
    position: int
    name: str
    is_method: bool

    def find_argument(self, call: ast.Call) -> ast.AST | None:
        """Return the argument that a call gives for the parameter; None without one."""
        if named := [each.value for each in call.keywords if each.arg == self.name]:
            return named[0]
        at = self.position - (self.is_method and isinstance(call.func, ast.Attribute))
        return call.args[at] if 0 <= at < len(call.args) else None


def find_record_text(node: ast.Call) -> ast.AST | None:
    """Return the argument of a record that says what is wrong; None for another call."""
    where = RECORDS.get(name_called(node))
    if isinstance(where, int):
        return node.args[where] if len(node.args) > where else None
    named = [each.value for each in node.keywords if each.arg == where]
    return named[0] if where and named else None


def find_answer_text(node: ast.Call) -> ast.AST | None:
    """Return the text of an HTTP answer that is an error; None for another call."""
    if name_called(node) not in {"PlainTextResponse", "JSONResponse"} or len(node.args) < 2:  # noqa: PLR2004
        return None
    content, status = node.args[:2]
    code = status.value if isinstance(status, ast.Constant) else _FIRST_ERROR
    if not isinstance(code, int) or code < _FIRST_ERROR:
        return None
    if isinstance(content, ast.Dict):
        pairs = zip(content.keys, content.values, strict=True)
        said = [value for key, value in pairs if isinstance(key, ast.Constant) and key.value == "error"]
        return said[0] if said else None
    return content if name_called(node) == "PlainTextResponse" else None


@cache
def list_failing_lines(module: Module) -> frozenset[ast.Call]:
    """Return the calls that print a line just before a command fails."""
    blocks = [
        block
        for node in ast.walk(module.tree)
        for name in ("body", "orelse", "handlers")
        if isinstance(block := getattr(node, name, None), list)
    ]
    pairs = [pair for block in blocks for pair in pairwise(block)]
    return frozenset(
        first.value
        for first, second in pairs
        if isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Call)
        and name_called(first.value) in {"say", "echo"}
        and first.value.args
        and _ends_badly(second)
    )


def _ends_badly(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Return):
        code = ast.unparse(statement.value) if statement.value else "0"
        return code == "1" or (code.startswith("ExitCode.") and code != "ExitCode.DONE")
    text = ast.unparse(statement)
    return text.startswith(("raise click.exceptions.Exit", "sys.exit(1", "sys.exit(2"))


def list_class_texts(module: Module) -> Iterator[tuple[str, str]]:
    """Yield the constants of classes of tools that say what is wrong: their names and texts."""
    if not module.name.startswith("mcp_server/tools/"):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef):
            for each in node.body:
                value = each.value if isinstance(each, ast.Assign | ast.AnnAssign) else None
                text = value.value if isinstance(value, ast.Constant) else None
                if isinstance(text, str) and text.endswith(".") and " " in text:
                    yield node.name, text


def find_sinks(module: Module, classes: frozenset[str]) -> dict[str, Sink]:
    """Return the functions of a module that make an error of a text they are given."""
    sinks: dict[str, Sink] = {}
    for _ in range(2):
        for node, function in module.places:
            if isinstance(node, ast.Call) and function:
                for kind, text in _list_error_texts(node, classes, sinks):
                    if sink := _find_parameter(kind, text, function):
                        sinks.setdefault(function.name, sink)
    return sinks


@cache
def find_all_sinks(classes: frozenset[str]) -> dict[str, dict[str, Sink]]:
    """Return the sinks that each module can call: its own, and public ones of others."""
    own = {module.name: find_sinks(module, classes) for module in list_modules()}
    public = {name: sink for each in own.values() for name, sink in each.items() if not name.startswith("_")}
    return {name: {**public, **each} for name, each in own.items()}


def _list_error_texts(
    node: ast.Call, classes: frozenset[str], sinks: dict[str, Sink]
) -> Iterator[tuple[str, ast.AST]]:
    name = name_called(node)
    if name in classes and node.args:
        yield name, node.args[0]
    elif name in sinks and (given := sinks[name].find_argument(node)):
        yield sinks[name].kind, given
    elif name == "build_error_response" and len(node.args) > 2:  # noqa: PLR2004
        yield name, node.args[2]
    elif text := find_record_text(node):
        yield name, text


def _find_parameter(kind: str, text: ast.AST, function: Function) -> Sink | None:
    names = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
    used: list[ast.AST] = [text.values[0]] if isinstance(text, ast.BoolOp) else [text]
    if isinstance(text, ast.JoinedStr):
        inserted = [each.value for each in text.values if isinstance(each, ast.FormattedValue)]
        used = [each for each in inserted if isinstance(each, ast.Name) and each.id in _REASONS]
    found = [each.id for each in used if isinstance(each, ast.Name) and each.id in names]
    if not found:
        return None
    return Sink(kind, names.index(found[0]), found[0], names[0] in {"self", "cls"})
