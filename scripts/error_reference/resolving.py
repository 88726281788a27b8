"""Read from the source which texts an expression can be, with values as names in braces."""

import ast
import importlib
import re
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import elks_mcp

PACKAGE = Path(elks_mcp.__file__).parent
_DEEPEST = 6
"""Calls and variables that are followed one after the other."""
_MOST = 16
"""Alternatives of one text. A part with more keeps its name in braces instead."""
_FEW = 4
"""Whole sentences that are written into one text, or make several texts. More are listed elsewhere."""
_SHORT = 40
"""Characters of alternatives that are written into one text."""
_OPAQUE = re.compile(
    "format_|shorten$|shown?$|show_|written$|quote_name$|mask|cleaned$|str$|repr$|describe_send_time$"
    "|describe_value$|find_slip$|get_close"
)
"""Functions that write down a value: its name in braces says enough."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Module:
    """A module of the package: its syntax, and its values."""

    def __init__(self, file: Path) -> None:
        self.name = file.relative_to(PACKAGE).as_posix()
        self.tree = ast.parse(file.read_text(encoding="utf-8"))
        self._import = ".".join(["elks_mcp", *file.relative_to(PACKAGE).with_suffix("").parts])

    @cached_property
    def values(self) -> dict[str, Any]:
        """The names of the module, with their values."""
        return vars(importlib.import_module(self._import.removesuffix(".__init__")))

    @cached_property
    def functions(self) -> dict[str, Function]:
        """The functions and methods of the module, by name."""
        return {each.name: each for each in ast.walk(self.tree) if isinstance(each, Function)}

    @cached_property
    def places(self) -> list[tuple[ast.AST, Function | None]]:
        """All nodes, each with the function that it is in."""
        return list(_list_places(self.tree, None))


@cache
def list_modules() -> list[Module]:
    """Return the modules of the package, without migrations."""
    files = sorted(file for file in PACKAGE.rglob("*.py") if "versions" not in file.parts)
    return [Module(file) for file in files if file.name != "__main__.py"]


def _list_places(node: ast.AST, inside: Function | None) -> Iterator[tuple[ast.AST, Function | None]]:
    for child in ast.iter_child_nodes(node):
        yield child, inside
        yield from _list_places(child, child if isinstance(child, Function) else inside)


class Place(NamedTuple):
    """The place of an expression, in which its names have a meaning."""

    module: Module
    function: Function | None
    depth: int = 0

    def list_texts(self, node: ast.AST | None) -> list[str]:
        """Return the texts that an expression can be; none if nothing is known of them."""
        if node is None or self.depth > _DEEPEST:
            return []
        found = list(dict.fromkeys(self._read(node)))
        return found if len(found) <= _MOST else []

    def _read(self, node: ast.AST) -> Iterator[str]:  # noqa: C901  (a case for each kind of expression)
        match node:
            case ast.Constant(value=str(text)):
                yield text
            case ast.JoinedStr(values=parts):
                yield from map("".join, product(*(self._list_parts(part) for part in parts)))
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                yield from map("".join, product(self.list_texts(left), self.list_texts(right)))
            case ast.IfExp(body=first, orelse=second):
                yield from (*self.list_texts(first), *self.list_texts(second))
            case ast.BoolOp(values=values):
                yield from (text for value in values for text in self.list_texts(value))
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                yield from (text for element in elements for text in self.list_texts(element))
            case ast.Call():
                yield from self._read_call(node)
            case ast.Name(id=name) if assigned := self._find_assigned(name):
                deeper = self._replace(depth=self.depth + 1)
                yield from (text for value in assigned for text in deeper.list_texts(value))
            case ast.Subscript():
                yield from (text for value in self.list_values(node) for text in _list_strings(value))
            case ast.Name() | ast.Attribute():
                yield from _list_strings(self._evaluate(node))
                if isinstance(node, ast.Attribute) and node.attr not in _GENERAL and _is_property(node.attr):
                    yield from self._read_function(node.attr)

    def _list_parts(self, part: ast.AST) -> list[str]:
        """Return what a part of a text can be. Short alternatives are one text: `[to her / to him]`."""
        if not isinstance(part, ast.FormattedValue):
            return self.list_texts(part)
        found = list(dict.fromkeys(self._list_values(part.value)))
        if len(found) > _FEW and all(text.endswith(".") for text in found if text):
            return ["{reason}"]
        if len(found) == 1 or sum(map(len, found)) > _SHORT * len(found):
            return found
        return [f"[{' / '.join(filter(None, found))}]"]

    def _list_values(self, value: ast.AST) -> list[str]:
        match value:
            case ast.IfExp(body=first, orelse=second):
                return [*self._list_values(first), *self._list_values(second)]
            case ast.BoolOp(values=values):
                return [text for each in values for text in self._list_values(each)]
            case ast.Call(func=ast.Name(id="format_count"), args=[number, ast.Constant(value=str(noun))]):
                return [f"{{{name_value(number)}}} {noun}s"]
        texts = self.list_texts(value)
        if not any(texts):
            texts = []
        if not texts and (found := self._evaluate(value)) is not None:
            texts = [str(found)]
        return texts or self._list_given(value) or [f"{{{name_value(value)}}}"]

    def _read_call(self, node: ast.Call) -> Iterator[str]:
        if command := self._find_command(node):
            yield f"`elks-mcp {command}`"
            return
        match node.func:
            case ast.Attribute(value=ast.Constant(value=str(separator)), attr="join"):
                whole, texts = self._evaluate(node), self.list_texts(node.args[0])
                joined = separator.join(texts)
                yield from filter(None, [whole or joined])
            case ast.Attribute(value=base, attr="format"):
                yield from self.list_texts(base)
            case ast.Name(id="filter" | "next") | ast.Attribute(attr="get" | "rstrip" | "strip"):
                yield from self._read_choice(node)
            case ast.Name(id=name) | ast.Attribute(attr=name):
                is_local = name in self.module.functions
                is_plain = isinstance(node.func, ast.Name) or name.startswith("_")
                if not _OPAQUE.match(name) and ((is_local and is_plain) or name.startswith(_WRITING)):
                    yield from self._read_function(name)

    def _read_choice(self, node: ast.Call) -> Iterator[str]:
        """Return the texts of a call that returns some of what it is given."""
        if isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            default = [text for each in node.args[1:] for text in self.list_texts(each)]
            if default or len(node.args) == 1:  # else it can be any value
                yield from (*_list_strings(self._evaluate(node.func.value)), *default)
        elif isinstance(node.func, ast.Attribute):
            yield from self.list_texts(node.func.value)
        elif name_called(node) == "filter":
            yield from self.list_texts(node.args[1])
        else:
            yield from (text for each in node.args for text in self._list_chosen(each))

    def _list_chosen(self, node: ast.AST) -> Iterator[str]:
        """Return the texts that `next` can choose: those of a generator, or its default."""
        if not isinstance(node, ast.GeneratorExp):
            yield from self.list_texts(node)
        elif isinstance(node.elt, ast.Name):
            items = node.generators[0].iter
            table = (
                items.func.value
                if isinstance(items, ast.Call) and isinstance(items.func, ast.Attribute)
                else items
            )
            yield from _list_strings(self._evaluate(table))
        else:
            yield from self.list_texts(node.elt)

    def _list_given(self, value: ast.AST) -> list[str]:
        """Return what an expression of parameters can be, by the calls of the function."""
        if not self.function or not self.function.name.startswith("_"):
            return []
        given = [self._evaluate(value, each) for each in _list_calls(self.module, self.function)]
        texts = list(dict.fromkeys(str(each) for each in given if isinstance(each, str)))
        return texts if texts and len(given) == sum(isinstance(each, str) for each in given) else []

    def read_value(self, node: ast.AST) -> Any:
        """Return the value of an argument: a constant, or a text with values in braces."""
        if isinstance(node, ast.JoinedStr):
            return next(iter(self.list_texts(node)), None)
        found = self.list_values(node)
        return found[0] if len(found) == 1 else None

    def list_values(self, node: ast.AST) -> list[Any]:
        """Return the values of any type that a name, or an item of a constant, can have."""
        if self.depth > _DEEPEST:
            return []
        match node:
            case ast.Name(id=name) if assigned := self._find_assigned(name):
                deeper = self._replace(depth=self.depth + 1)
                return [found for value in assigned for found in deeper.list_values(value)]
            case ast.Subscript(value=base, slice=key):
                exact = key.value if isinstance(key, ast.Constant) else None
                return [item for found in self.list_values(base) for item in _list_items(found, exact)]
            case ast.IfExp(body=first, orelse=second):
                return [*self.list_values(first), *self.list_values(second)]
        found = self._evaluate(node)
        return [] if found is None else [found]

    def _read_function(self, name: str) -> Iterator[str]:
        module = self.module if name in self.module.functions else _find_module(name)
        if module is None:
            return
        function = module.functions[name]
        inside = Place(module, function, self.depth + 1)
        for value in _list_returned(function):
            yield from inside.list_texts(value)

    def _find_assigned(self, name: str) -> list[ast.AST]:
        return _list_assigned(self.function).get(name, []) if self.function else []

    def _find_command(self, node: ast.AST) -> str:
        """Return the words of a command that a call writes down for people, or ""."""
        if isinstance(node, ast.Call) and node.args and name_called(node) in _COMMANDS:
            return next(iter(self.list_texts(node.args[0])), "…")
        return ""

    def _evaluate(self, node: ast.AST, given: Mapping[str, Any] | None = None) -> Any:
        """Return the value of an expression that consists only of names of the module, or None.

        `given` has the arguments of a call of the function, and what they are called in it.
        """
        names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        calls = {name_called(each) for each in ast.walk(node) if isinstance(each, ast.Call)}
        imported = _list_imported(self.function) if self.function else {}
        known, bound = {**self.module.values, **imported, **(given or {})}, set(given or ())
        bound = set(_list_bound(self.function) if self.function else ()) - bound
        if not names <= known.keys() or not calls <= _HARMLESS or names & bound:
            return None
        expression = ast.Expression(body=node)  # type: ignore[arg-type]
        try:
            return eval(compile(expression, "<text>", "eval"), known)  # noqa: S307
        except Exception:  # noqa: BLE001  (an expression that needs what is only known later)
            return None


def name_called(node: ast.Call) -> str:
    """Return the last part of the name that a call calls, or ""."""
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


@cache
def _list_returned(function: Function) -> list[ast.AST]:
    returns = (each for each in ast.walk(function) if isinstance(each, ast.Return | ast.Yield))
    return [each.value for each in returns if each.value is not None]


@cache
def _list_assigned(function: Function) -> dict[str, list[ast.AST]]:
    """Return what a function assigns to each name, also by position in a tuple."""
    assigned: dict[str, list[ast.AST]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign | ast.NamedExpr):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                for name, value in _match(target, node.value):
                    assigned.setdefault(name, []).append(value)
    return assigned


@cache
def _list_bound(function: Function) -> frozenset[str]:
    """Return the names that have a meaning of their own in a function."""
    given = function.args
    arguments = {each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)}
    names = (each for each in ast.walk(function) if isinstance(each, ast.Name))
    return frozenset(arguments | {each.id for each in names if isinstance(each.ctx, ast.Store)})


@cache
def _list_calls(module: Module, function: Function) -> list[dict[str, Any]]:
    """Return the arguments of each call of a function in its module, by parameter.

    A list of those items of an argument for which something holds counts as each single item.
    """
    names = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
    found = []
    for node, inside in module.places:
        if isinstance(node, ast.Call) and name_called(node) == function.name:
            own = names[1:] if isinstance(node.func, ast.Attribute) else names
            pairs = [*zip(own, node.args, strict=False), *((each.arg, each.value) for each in node.keywords)]
            place = Place(module, inside)
            given = {
                name: value for name, each in pairs if name and (value := place.read_value(each)) is not None
            }
            found += _list_selections(function, given)
    return found


@cache
def _list_imported(function: Function) -> dict[str, Any]:
    """Return the constants of the package that a function itself imports."""
    imports = [each for each in ast.walk(function) if isinstance(each, ast.ImportFrom)]
    return {
        name.name: getattr(importlib.import_module(each.module), name.name)
        for each in imports
        if each.module and each.module.startswith("elks_mcp.")
        for name in each.names
        if name.name.isupper()
    }


def _list_selections(function: Function, given: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the arguments with each single item in place of a list of some items."""
    found = [given]
    for name, values in _list_assigned(function).items():
        match values:
            case [ast.ListComp(generators=[ast.comprehension(iter=ast.Name(id=whole))])] if whole in given:
                found = [{**each, name: (item,)} for each in found for item in given[whole]]
    return found


_HARMLESS = {
    "format_minutes",
    "_list",
    "format_count",
    "format_duration",
    "join",
    "quote_name",
    "sorted",
    "len",
    "total_seconds",
}
_COMMANDS = {"show_command", "show_command_here", "command", "name_command"}
"""Functions that write down a command of this program."""
_WRITING = ("explain", "describe", "suggest", "locate")
"""The starts of names of functions of other modules that are read, too."""


@cache
def _is_property(name: str) -> bool:
    """Return whether the only function of a name is a property."""
    module = _find_module(name)
    return module is not None and "property" in map(ast.unparse, module.functions[name].decorator_list)


@cache
def _find_module(function: str) -> Module | None:
    """Return the only module that defines a function, or None."""
    found = [module for module in list_modules() if function in module.functions]
    return found[0] if len(found) == 1 else None


def _match(target: ast.AST, value: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for each, given in zip(target.elts, value.elts, strict=False):
            yield from _match(each, given)
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.IfExp):
        yield from (*_match(target, value.body), *_match(target, value.orelse))
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Subscript):
        for number, each in enumerate(target.elts):
            yield from _match(each, ast.Subscript(value, ast.Constant(number), ast.Load()))


def _list_items(value: Any, key: Any) -> list[Any]:
    """Return the item of a constant at a key, or all if the key is only known later."""
    if isinstance(value, dict):
        return [value[key]] if key in value else list(value.values())
    if isinstance(value, tuple | list):
        return [value[key]] if isinstance(key, int) and key < len(value) else list(value)
    return []


def _list_strings(value: Any) -> Iterator[str]:
    """Return the texts in a constant: itself, or what it maps to."""
    if isinstance(value, str):
        yield str(value)
    elif isinstance(value, dict):
        yield from (text for each in value.values() for text in _list_strings(each))
    elif isinstance(value, tuple | list):
        yield from (text for each in value for text in _list_strings(each))


_RENAMED = {
    "e164": "number",
    "error": "reason",
    "excess": "number",
    "inner": "name",
    "explain held": "reason",
    "home": "country",
    "home region": "country",
    "isoformat": "time",
    "lower": "reason",
    "balance": "reason",
    "strftime": "time",
    "raw": "value",
    "strerror": "reason",
    "said": "answer of 46elks",
    "quoted": "answer of 46elks",
}
_GENERAL = {"id", "name", "state", "title", "reason", "key", "path", "price", "country", "text", "command"}


def name_value(node: ast.AST) -> str:  # noqa: C901  (a case for each kind of expression)
    """Return a name for a value that is put into a text: `draft.to.e164` is a number."""
    match node:
        case ast.Name(id=name):
            word = name
        case ast.Attribute(value=base, attr=attribute):
            before = name_value(base) if attribute in _GENERAL else ""
            word = attribute if before in {"", "self", "value", attribute} else f"{before} {attribute}"
        case ast.Call(func=ast.Name(id="len")):
            word = "number"
        case ast.Call(func=ast.Attribute(value=base, attr="rstrip" | "removesuffix")):
            word = name_value(base)
        case ast.Call() if name_called(node).startswith("format_time"):
            word = "time"
        case ast.Call(func=called, args=arguments):
            word = name_value(arguments[0]) if arguments else name_value(called)
        case ast.Subscript(value=base) | ast.Await(value=base) | ast.Starred(value=base):
            word = name_value(base)
        case ast.BinOp(left=left):
            word = name_value(left)
        case ast.GeneratorExp(generators=[ast.comprehension(iter=items), *_]):
            word = name_value(items)
        case ast.IfExp(body=body):
            word = name_value(body)
        case _:
            word = "value"
    word = word.strip("_").lower()
    return re.sub(r"[_\s]+", " ", _RENAMED.get(word, word))
