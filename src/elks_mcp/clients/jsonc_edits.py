"""Insert and remove text in JSON with comments, without touching the rest.

Only the tokens are shared with the reader in `jsonc.py`, which proves what is done here.
"""

import json
import re
from typing import Any, NamedTuple

from elks_mcp.clients.jsonc import Broken, split


class _Item(NamedTuple):
    """A member of an object, or an element of a list: its span, and the comma after it."""

    key: str | None
    start: int
    value: "_Value"
    comma: int | None


class _Value(NamedTuple):
    start: int
    end: int
    items: list[_Item] | None
    """None: it is neither an object nor a list."""


class _Scanner:
    """Finds the spans of all values in a document that `parse` can read."""

    def __init__(self, text: str) -> None:
        self._tokens = [token for token in split(text) if token.lastgroup != "gap"]
        self._next = 0

    def scan(self) -> _Value | None:
        return self._read_value() if self._tokens else None

    def _read_value(self) -> _Value:
        token = self._take()
        if token[0] not in {"{", "["}:
            return _Value(token.start(), token.end(), None)
        items = []
        while self._tokens[self._next][0] not in {"}", "]"}:
            items.append(self._read_item(is_member=token[0] == "{"))
        return _Value(token.start(), self._take().end(), items)

    def _read_item(self, *, is_member: bool) -> _Item:
        start, key = self._tokens[self._next].start(), None
        if is_member:
            key = json.loads(self._take()[0])
            self._take()  # the colon
        value, comma = self._read_value(), None
        if self._tokens[self._next][0] == ",":
            comma = self._take().start()
        return _Item(key, start, value, comma)

    def _take(self) -> re.Match[str]:
        self._next += 1
        return self._tokens[self._next - 1]


def insert(text: str, path: tuple[str, ...], value: Any) -> str:
    """Return a document with a value at a path. Missing parts of the path are added.

    An existing value there is replaced, and all other text stays as it is.

    Raises:
        Broken: a value on the way is not an object.
    """
    return _add(text, path, value)


def append(text: str, path: tuple[str, ...], value: Any) -> str:
    """Return a document with a value at the end of the list at a path, added if it is missing.

    Raises:
        Broken: the value at the path is not a list.
    """
    return _add(text, (*path, ""), value, is_list=True)


def _add(text: str, path: tuple[str, ...], value: Any, *, is_list: bool = False) -> str:
    style = _Style(text)
    whole = _Scanner(text).scan()
    if whole is None:
        return text + style.render(_wrap(path, value, is_list=is_list), "") + style.newline
    container, rest = _descend(text, whole, path)
    is_object = text[container.start] == "{"
    if container.items is None or is_object is (is_list and len(rest) == 1):
        place = ".".join(path[: len(path) - len(rest)]) or "its top-level value"
        raise Broken(f"{place} is not {'a list' if is_list and len(rest) == 1 else 'an object'}")
    if not rest:
        raise Broken("the path is empty")
    found = next((item for item in container.items if item.key == rest[0]), None) if is_object else None
    inner = _wrap(rest[1:], value, is_list=is_list)
    if found:
        is_inline = not style.begins_line(found.start)
        new = style.render_inline(inner) if is_inline else style.render(inner, style.indent_at(found.start))
        return text[: found.value.start] + new + text[found.value.end :]
    return _insert_item(text, style, container, (rest[0] if is_object else None, inner))


def _wrap(path: tuple[str, ...], value: Any, *, is_list: bool) -> Any:
    """Return the value with what is missing around it."""
    for depth, key in enumerate(reversed(path)):
        value = [value] if is_list and depth == 0 else {key: value}
    return value


def _descend(text: str, value: _Value, path: tuple[str, ...]) -> tuple[_Value, tuple[str, ...]]:
    """Return the innermost container on a path that exists, and the rest of the path below it."""
    for depth, key in enumerate(path[:-1]):
        items = value.items if text[value.start] == "{" else None
        found = next((item for item in items or () if item.key == key), None)
        if found is None:
            return value, path[depth:]
        value = found.value
    return value, path[-1:]


def _insert_item(text: str, style: "_Style", container: _Value, item: tuple[str | None, Any]) -> str:
    key, value = item
    label = "" if key is None else f"{json.dumps(key, ensure_ascii=False)}: "
    if not container.items:
        return _fill(text, style, container, (label, value))
    first, last = container.items[0], container.items[-1]
    if not style.begins_line(first.start):
        return text[: last.value.end] + f", {label}{style.render_inline(value)}" + text[last.value.end :]
    indent = style.indent_at(first.start)
    new = f"{style.newline}{indent}{label}{style.render(value, indent)}"
    if last.comma is not None:
        place = _skip_line(text, last.comma + 1)
        return f"{text[:place]}{new},{text[place:]}"
    place = _skip_line(text, last.value.end)
    return f"{text[: last.value.end]},{text[last.value.end : place]}{new}{text[place:]}"


def _fill(text: str, style: "_Style", container: _Value, item: tuple[str, Any]) -> str:
    """Insert the first item of an object or a list, after the comments in it."""
    label, value = item
    base = style.indent_at(container.start)
    indent = base + style.unit
    place, end = container.start + 1, container.end - 1
    for gap in split(text[place:end]):
        if not gap[0].isspace():
            place = container.start + 1 + gap.end()
    closing = "" if "\n" in text[place:end] else style.newline + base
    new = f"{style.newline}{indent}{label}{style.render(value, indent)}{closing}"
    return f"{text[:place]}{new}{text[place:]}"


def _skip_line(text: str, place: int) -> int:
    """Return the end of the comments that follow a place on its line."""
    while found := re.compile(r"[ \t]*(?://[^\r\n]*|/\*.*?\*/)", re.DOTALL).match(text, place):
        place = found.end()
    return place


def remove(text: str, path: tuple[str, ...], index: int | None = None) -> str:
    """Return a document without the member at a path, or without an element of the list there.

    Raises:
        Broken: there is no such member or element.
    """
    whole = _Scanner(text).scan()
    inner = path if index is None else (*path, "")
    container, rest = _descend(text, whole, inner) if whole else (None, path)
    items = (container.items if container else None) or []
    keys = [item.key for item in items]
    if len(rest) != 1 or (index is None and rest[0] not in keys):
        raise Broken(f"it has no {'.'.join(path)}")
    place = keys.index(rest[0]) if index is None else index
    item = items[place]
    start = len(text[: item.start].rstrip(" \t\r\n"))
    end = item.value.end if item.comma is None else item.comma + 1
    if not re.match(r"[ \t]*[\r\n]", text[end:]) and _ends_in_comment(text[:start]):
        start = item.start  # else that comment would go on over what follows
    if item.comma is None and place:
        comma = items[place - 1].comma
        assert comma is not None  # noqa: S101  (there is one between two items)
        return text[:comma] + text[comma + 1 : start] + text[end:]
    if len(items) == 1 and text[start - 1] in "{[":
        end += len(text[end:]) - len(text[end:].lstrip(" \t\r\n"))
    return text[:start] + text[end:]


def _ends_in_comment(text: str) -> bool:
    """Return whether the last token of a text is a comment that ends with its line."""
    last = [token[0] for token in split(text)][-1:]
    return bool(last) and last[0].startswith("//")


class _Style:
    """How a document is laid out: line ends and indentation."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.newline = "\r\n" if "\r\n" in text else "\n"
        found = re.search(r"^([ \t]+)[\"{]", text, re.MULTILINE)
        self.unit = found[1] if found else "  "

    def begins_line(self, place: int) -> bool:
        """Return whether only white space is before a place, on its line."""
        return not self._line_before(place).strip()

    def indent_at(self, place: int) -> str:
        """Return the indentation of the line of a place."""
        line = self._line_before(place)
        return line[: len(line) - len(line.lstrip(" \t"))]

    def _line_before(self, place: int) -> str:
        return self._text[max(self._text.rfind(end, 0, place) for end in "\r\n") + 1 : place]

    def render(self, value: Any, indent: str) -> str:
        """Return a value as text: objects over several lines, lists of plain values on one."""
        inner = indent + self.unit
        if isinstance(value, dict) and value:
            lines = [
                f"{inner}{json.dumps(key, ensure_ascii=False)}: {self.render(each, inner)}"
                for key, each in value.items()
            ]
            return self._join("{", lines, indent + "}")
        if isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
            return self._join("[", [inner + self.render(each, inner) for each in value], indent + "]")
        return self.render_inline(value)

    def render_inline(self, value: Any) -> str:
        """Return a value as text on one line."""
        return json.dumps(value, ensure_ascii=False)

    def _join(self, opening: str, lines: list[str], closing: str) -> str:
        return self.newline.join([opening, f",{self.newline}".join(lines), closing])


def render(value: Any) -> str:
    """Return a value as a document."""
    return _Style("").render(value, "")
