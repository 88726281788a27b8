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
    found = [text for module in list_modules() for text in _list_texts(module)]
    merged: dict[tuple[str, str, str], ErrorText] = {}
    for each in found:
        key = (each.kind, each.text, each.hint)
        known = merged.get(key, each)
        merged[key] = known._replace(effects=known.effects | each.effects)
    return tuple(each for each in merged.values() if _says_something(f"{each.text} {each.hint}"))


def _says_something(text: str) -> bool:
    """Return whether a text has words of its own beside the values that are put into it."""
    outside, inside = [], 0
    for character in text:
        inside += (character == "{") - (character == "}")
        if not inside:
            outside.append(character)
    return len(re.findall(r"\w+", "".join(outside))) > 1


def _list_texts(module: Module) -> Iterator[ErrorText]:
    owners = _find_guards(module) if module.name.startswith("domain/guards/") else {}
    for node, function in module.places:
        place = Place(module, function)
        if isinstance(node, ast.Call):
            yield from _read_call(node, place)
        if function and function.name in owners:
            yield from _read_finding(node, place, owners[function.name])
    for name in EXPLAINING.get(module.name, ()):
        yield from _read_named(module, name)


def _read_call(node: ast.Call, place: Place) -> Iterator[ErrorText]:
    name = name_called(node)
    module = place.module.name
    if name in list_error_classes() - {"NotSent"} and node.args:
        hints = [each.value for each in node.keywords if each.arg == "hint"]
        remedies = place.list_texts(hints[0]) if hints else [_find_default_hint(name)]
        texts = _list_messages(name, node, place) or (["{reason}"] if hints else [])
        alike = len(texts) == len(remedies)
        all_remedies = join_sentences(remedies)
        for number, text in enumerate(texts):
            yield ErrorText(module, name, text, remedies[number] if alike else all_remedies)
    elif name == "Check" and _list_constants(node.args[0]) - {"ok"}:
        yield from (ErrorText(module, "doctor", text) for text in place.list_texts(node.args[1]))
    elif name == "_ask" and module == "domain/approval.py":
        yield from (ErrorText(module, name, text) for text in place.list_texts(node.args[1]))
    elif name == "build_error_response" and len(node.args) > 2:  # noqa: PLR2004
        codes = place.list_texts(node.args[1])
        texts = place.list_texts(node.args[2])
        yield from (ErrorText(module, code, text) for code in codes[:1] for text in texts)


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
