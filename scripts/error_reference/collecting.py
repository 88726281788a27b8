"""Find every place of the package that makes an error text, with its remedy."""

import ast
import builtins
import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from elks_mcp import errors
from elks_mcp.domain.guards import GUARD_NAMES
from elks_mcp.errors import ElksError
from error_reference.resolving import Function, Module, Place, list_modules, name_called
from error_reference.shapes import (
    BUGS,
    PLAIN,
    find_all_sinks,
    find_answer_text,
    find_record_text,
    list_class_texts,
    list_failing_lines,
)

EFFECTS = {"REFUSE": "refuse", "ASK": "ask", "WARN": "warn"}

EXPLAINING = {
    "answers/orders.py": ("_PAUSES", "explain_order", "_explain_failure"),
    "mcp_server/misconfigured.py": ("explain",),
    "mcp_server/scopes.py": ("explain_missing_scopes",),
    "mcp_server/tools/tool_arguments.py": ("_sentence",),
    "sending/plan.py": ("_DECLINED",),
    "settings/conflicts.py": ("_find_missing_contacts", "_find_wrong_account", "_find_missing_reports"),
    "settings/mistaken_names.py": ("explain_mistake", "explain_unexpanded"),
    "settings/problems.py": ("find_slip", "find_credential_slips"),
    "runtime/validation.py": ("_WANTED",),
    "store/batch_cleanup.py": ("_PAUSED_TOO_LONG",),
    "store/batch_placing.py": ("PAUSED_AT_ITS_TIME",),
    "store/claims.py": ("USED_UP", "_OVER_BUDGET", "NOT_SENT"),
    "store/db/changes.py": ("_FAILED", "_WAS_ANOTHERS"),
    "store/doubts.py": ("_IS_ABSENT", "_AMBIGUOUS", "_TOO_LONG"),
    "store/schedule.py": ("_MISSED",),
}
"""Functions and constants of modules whose texts reach people in other ways than by an error or a finding."""


class ErrorText(NamedTuple):
    """A text of the package that says what is wrong."""

    module: str
    kind: str
    """The name of its class, of its guard, of a function, or `doctor`."""
    text: str
    hint: str = ""
    effects: frozenset[str] = frozenset()
    """The effects of a guard's finding."""


@cache
def list_error_classes() -> frozenset[str]:
    """Return the names of the classes of errors: our own, click's and the SDK's."""
    known = {name for name, each in vars(builtins).items() if _is_exception(each)}
    known |= {"ClickException", "UsageError", "BadParameter", "Exit"}
    own: set[str] = {"ClickException", "UsageError", "BadParameter", "MCPError"}
    own |= {"ResourceError", "ResourceNotFoundError"}
    classes = [each for module in list_modules() for each in ast.walk(module.tree)]
    definitions = [each for each in classes if isinstance(each, ast.ClassDef)]
    while found := {
        each.name
        for each in definitions
        if each.name not in own and {ast.unparse(base).split(".")[-1] for base in each.bases} & (known | own)
    }:
        own |= found
    return frozenset(own - {"MessageTaken", "Exit"})


def _is_exception(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Exception)


@cache
def collect_texts() -> tuple[ErrorText, ...]:
    """Return all error texts, each once, in the order of the modules."""
    found = [
        text._replace(text=line)
        for module in list_modules()
        for text in _list_texts(module)
        for line in text.text.strip().split("\n")
    ]
    merged: dict[tuple[str, str, str], ErrorText] = {}
    for each in found:
        key = (each.kind, each.text, each.hint)
        known = merged.get(key, each)
        merged[key] = known._replace(effects=known.effects | each.effects)
    said = [each for each in merged.values() if _says_something(f"{each.text} {each.hint}")]
    return tuple(each for each in said if not each.text.startswith(NOT_SAID))


NOT_SAID = (
    "ignored as a heading",
    "Groups: ",
    "it goes out on {when}",
    "{self} and {other} are in different currencies",
)
"""The starts of texts of these shapes that are not about a fault, or that only a bug raises."""


def _says_something(text: str) -> bool:
    """Return whether a text has words of its own beside the values that are put into it."""
    outside, inside = [], 0
    for character in text:
        inside += (character == "{") - (character == "}")
        if not inside:
            outside.append(character)
    return len(re.findall(r"\w+", "".join(outside))) > 1


def _list_texts(module: Module) -> Iterator[ErrorText]:
    yield from (ErrorText(module.name, kind, text) for kind, text in list_class_texts(module))
    owners = _find_guards(module) if module.name.startswith("domain/guards/") else {}
    for node, function in module.places:
        place = Place(module, function)
        if isinstance(node, ast.Call):
            yield from _read_call(node, place)
            yield from _read_other_shapes(node, place)
        if function and function.name in owners:
            yield from _read_finding(node, place, owners[function.name])
    for name in EXPLAINING.get(module.name, ()):
        yield from _read_named(module, name)


def _read_other_shapes(node: ast.Call, place: Place) -> Iterator[ErrorText]:
    """Read the shapes of shapes.py, and functions that make an error of a text they are given."""
    module, name = place.module.name, name_called(node)
    said: list[tuple[str, ast.AST | None]] = [
        (name, find_record_text(node)),
        ("answer", find_answer_text(node)),
        ("line", node.args[0] if node in list_failing_lines(place.module) else None),
        (name, node.args[0] if name in PLAIN and node.args and module not in BUGS else None),
    ]
    sinks = find_all_sinks(list_error_classes() - {"NotSent"})[module]
    if name in sinks:
        said.append((sinks[name].kind, sinks[name].find_argument(node)))
    for kind, text in said:
        yield from (ErrorText(module, kind, each) for each in (place.list_texts(text) if text else []))


def _list_classes(node: ast.Call, place: Place) -> list[str]:
    """Return the names of the classes that a call can make an instance of."""
    if not isinstance(node.func, ast.Name) or node.func.id in list_error_classes():
        return [name_called(node)]
    return [each.__name__ for each in place.list_values(node.func) if _is_exception(each)]


def _read_call(node: ast.Call, place: Place) -> Iterator[ErrorText]:
    names = _list_classes(node, place)
    found = [list(_read_call_of(name, node, place)) for name in names or [name_called(node)]]
    if len(names) > 1 and {len(each) for each in found} == {len(names)}:  # a table of classes and their texts
        found = [[each[number]] for number, each in enumerate(found)]
    yield from (text for each in found for text in each)


def _read_call_of(name: str, node: ast.Call, place: Place) -> Iterator[ErrorText]:
    module = place.module.name
    if name in list_error_classes() - {"NotSent"} and node.args:
        hints = [each.value for each in node.keywords if each.arg == "hint"]
        remedies = place.list_texts(hints[0]) if hints else [_find_default_hint(name)]
        texts = _list_messages(name, node, place) or (["{reason}"] if hints else [])
        alike = len(texts) == len(remedies)
        all_remedies = join_sentences(remedies)
        for number, text in enumerate(texts):
            yield ErrorText(module, name, text, remedies[number] if alike else all_remedies)
        yield from _list_hints_by_phrase(node, place)
    elif name == "Check" and _list_constants(node.args[0]) - {"ok"}:
        yield from (ErrorText(module, "doctor", text) for text in place.list_texts(node.args[1]))
    elif name == "_ask" and module == "domain/approval.py":
        yield from (ErrorText(module, name, text) for text in place.list_texts(node.args[1]))
    elif name == "build_error_response" and len(node.args) > 2:  # noqa: PLR2004
        codes = place.list_texts(node.args[1])
        texts = place.list_texts(node.args[2])
        yield from (ErrorText(module, code, text) for code in codes[:1] for text in texts)


def _list_hints_by_phrase(node: ast.Call, place: Place) -> Iterator[ErrorText]:
    """Yield an entry for each phrase of a refusal that the table `_HINTS` has a hint for."""
    hints = place.module.values.get("_HINTS")
    if hints and "_find_hint(" in ast.unparse(node):
        text = place.list_texts(node.args[0])[0].partition("[")[0]
        for phrase, hint in hints.items():
            yield ErrorText(place.module.name, name_called(node), f'{text}: "… {phrase} …".', hint)


def join_sentences(texts: list[str]) -> str:
    """Return all sentences of some texts, each once."""
    sentences = (each for text in texts for each in re.split(r"(?<=[.!?]) (?=[A-Z`])", text))
    return " ".join(dict.fromkeys(each for each in sentences if each))


def _list_constants(node: ast.AST) -> set[object]:
    return {each.value for each in ast.walk(node) if isinstance(each, ast.Constant)}


def _list_messages(name: str, node: ast.Call, place: Place) -> list[str]:
    if name == "Unreadable":
        problems = place.list_texts(node.args[1]) if len(node.args) > 1 else [""]
        advice = place.list_texts(node.args[0])
        return [" ".join(filter(None, [problem, each])) for problem in problems or [""] for each in advice]
    texts = place.list_texts(node.args[0])
    return texts or (place.list_texts(node.args[1]) if len(node.args) > 1 else [])


def _find_default_hint(name: str) -> str:
    found = getattr(errors, name, None)
    return found.default_hint if isinstance(found, type) and issubclass(found, ElksError) else ""


def _read_finding(node: ast.AST, place: Place, guard: str) -> Iterator[ErrorText]:
    module = place.module.name
    if isinstance(node, ast.Tuple) and len(node.elts) == 2 and isinstance(node.ctx, ast.Load):  # noqa: PLR2004
        first, second = node.elts
        effects = frozenset(EFFECTS[each] for each in EFFECTS if f"Effect.{each}" in ast.unparse(first))
        if isinstance(first, ast.Name) and first.id == "effect":
            effects = frozenset({"refuse", "warn"})
        if effects:
            yield from (ErrorText(module, guard, text, "", effects) for text in place.list_texts(second))
    elif isinstance(node, ast.Call) and name_called(node) == "refuse":
        variable = "".join(place.list_texts(node.args[1]))
        for text in place.list_texts(node.args[0]):
            hint = f"The operator can change that with {variable}."
            yield ErrorText(module, guard, f"{text} {hint}", "", frozenset({"refuse"}))


def _find_guards(module: Module) -> dict[str, str]:
    """Return for each function of a module of guards the guard that it belongs to."""
    owners = {name: name for name in module.functions if name in GUARD_NAMES}
    for _ in range(3):
        for name, function in module.functions.items():
            if name in owners:
                called = {each.id for each in ast.walk(function) if isinstance(each, ast.Name)}
                used = called & module.functions.keys()
                owners |= {each: owners[name] for each in used if each not in owners}
    return owners


def _read_named(module: Module, name: str) -> Iterator[ErrorText]:
    function: Function | None = module.functions.get(name)
    if function is None:
        texts = _pair_up(module, name)
    else:
        place = Place(module, function)
        returned = [each.value for each in ast.walk(function) if isinstance(each, ast.Return)]
        settled = {*module.values.get("_SETTLED", {}).values(), "46elks accepted it."}
        texts = [text for value in returned for text in place.list_texts(value) if text not in settled]
    yield from (ErrorText(module.name, name, text) for text in texts)


def _pair_up(module: Module, name: str) -> list[str]:
    """Return the texts of a constant. A pair of cause and advice is one text."""
    value = module.values[name]
    if isinstance(value, dict):
        return [" ".join(each) if isinstance(each, tuple) else str(each) for each in value.values()]
    return [str(value)]
