"""Read YAML as a tree of texts, lists and maps, each with its line.

Every plain value stays the text that was written: `no` is not false, and `+46701740605` is not a number.
Nothing in it is executed, and surprises are refused: anchors and aliases, tags, several documents, and a key
that stands twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from elks_mcp.domain.cleaning import has_invisible
from elks_mcp.errors import Misconfigured

MOST_YAML_BYTES = 65_536
MOST_DEPTH = 10


class YamlFault(Exception):
    """A file is not YAML that can be used. The text says why, and `line` where (from 1)."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


@dataclass(frozen=True, slots=True)
class YamlText:
    """A value that is neither a list nor a map, as it was written."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class YamlList:
    """A list."""

    items: tuple["YamlNode", ...]
    line: int


@dataclass(frozen=True, slots=True)
class YamlMap:
    """A map from keys to values, in the order of the file."""

    entries: tuple[tuple[YamlText, "YamlNode"], ...]
    line: int


YamlNode = YamlText | YamlList | YamlMap


def read_yaml(content: bytes) -> YamlNode:
    """Return the tree of a file.

    Raises:
        YamlFault: it is not YAML that can be used.
        Misconfigured: PyYAML is not installed.
    """
    if len(content) > MOST_YAML_BYTES:
        raise YamlFault(1, f"The file is larger than {MOST_YAML_BYTES // 1024} KB.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise YamlFault(line, "The file is not UTF-8. Save it as UTF-8.") from None
    return _build(_iterate_events(text))


def _iterate_events(text: str) -> Iterator[Any]:
    """Iterate over the events of PyYAML's parser, which is not recursive."""
    try:
        import yaml  # noqa: PLC0415  (an extra, and only needed for alerts)
    except ImportError:
        raise Misconfigured(
            "A policy of escalation is YAML, which needs the package PyYAML.",
            hint="Install elks-mcp with its extra `escalation` (docs/paging.md).",
        ) from None
    try:
        yield from yaml.parse(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlFault(mark.line + 1 if mark else 1, f"It is not YAML: {error.problem}.") from None
    except yaml.YAMLError as error:
        raise YamlFault(1, f"It is not YAML: {error}.") from None


class _Open:
    """A list or a map that is being read."""

    def __init__(self, line: int, *, is_map: bool) -> None:
        self.line = line
        self.is_map = is_map
        self.children: list[YamlNode] = []

    def add(self, node: YamlNode) -> None:
        if self.is_map and len(self.children) % 2 == 0:
            self._check_key(node)
        self.children.append(node)

    def _check_key(self, key: YamlNode) -> None:
        if not isinstance(key, YamlText):
            raise YamlFault(key.line, "A key must be a word.")
        for known in self.children[::2]:
            if isinstance(known, YamlText) and known.text == key.text:
                raise YamlFault(key.line, f"The key {key.text!r} stands on line {known.line} already.")

    def close(self) -> YamlNode:
        if not self.is_map:
            return YamlList(tuple(self.children), self.line)
        keys = [each for each in self.children[::2] if isinstance(each, YamlText)]
        return YamlMap(tuple(zip(keys, self.children[1::2], strict=True)), self.line)


def _build(events: Iterator[Any]) -> YamlNode:
    """Return the tree that the events of a parser describe, without recursion."""
    above: list[_Open] = []
    root: YamlNode | None = None
    for event in events:
        name, line = type(event).__name__, event.start_mark.line + 1
        _check_plain(event, line)
        if name == "DocumentStartEvent" and root is not None:
            raise YamlFault(line, "The file has several documents. Keep one, without `---`.")
        if name in {"MappingStartEvent", "SequenceStartEvent"}:
            _open(above, line, is_map=name == "MappingStartEvent")
        elif node := _close(above, event, name, line):
            if above:
                above[-1].add(node)
            else:
                root = node
    if root is None:
        raise YamlFault(1, "The file is empty.")
    return root


def _open(above: list[_Open], line: int, *, is_map: bool) -> None:
    if len(above) == MOST_DEPTH:
        raise YamlFault(line, f"It is nested more than {MOST_DEPTH} levels deep.")
    above.append(_Open(line, is_map=is_map))


def _close(above: list[_Open], event: Any, name: str, line: int) -> YamlNode | None:
    """Return the node that an event completes; None if it completes none."""
    if name == "ScalarEvent":
        if has_invisible(event.value):
            raise YamlFault(line, "A value contains an invisible character. Type it again.")
        return YamlText(event.value, line)
    return above.pop().close() if name in {"MappingEndEvent", "SequenceEndEvent"} else None


def _check_plain(event: Any, line: int) -> None:
    """Check that an event is nothing that stands for something elsewhere.

    Raises:
        YamlFault: it is.
    """
    if getattr(event, "anchor", None):  # an alias has one, too
        raise YamlFault(line, "Anchors (`&`) and aliases (`*`) are not read. Write the value out.")
    if getattr(event, "tag", None):
        raise YamlFault(line, "Tags (`!`) are not read. Write the plain value.")
