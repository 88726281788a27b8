"""Insert and remove a table in TOML, without touching the rest.

A table goes to the end of the file, where it is valid whatever stands before it: also behind dotted keys
(`mcp_servers.other.command = "…"`), between which it would take over the keys that follow.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_HEADER = re.compile(r"^[ \t]*\[{1,2}(?P<path>[^\r\n]*?)\]{1,2}[ \t]*(?:#[^\r\n]*)?\r?$", re.MULTILINE)


def write_table(path: tuple[str, ...], fields: Mapping[str, Any]) -> str:
    """Return a table as text, with its header, and an inline table for each object in it."""
    lines = [f"[{'.'.join(map(_key, path))}]", *(f"{_key(name)} = {_value(fields[name])}" for name in fields)]
    return "\n".join([*lines, ""])


def is_inline(text: str, name: str) -> bool:
    """Return whether a table is written in braces, so that no header can add to it."""
    try:
        tomllib.loads(append_table(text, (name, "\0"), {}))
    except tomllib.TOMLDecodeError:
        return True
    return False


def write_member(name: str, fields: Mapping[str, Any]) -> str:
    """Return a table as text that belongs between the braces of an inline table."""
    return f"{_key(name)} = {_value(fields)}"


def append_table(text: str, path: tuple[str, ...], fields: Mapping[str, Any]) -> str:
    """Return a document with a table at its end, behind an empty line. Its line ends are kept."""
    newline = "\r\n" if "\r\n" in text else "\n"
    gap = "" if not text.strip() else newline if text.endswith("\n") else newline * 2
    return text + gap + write_table(path, fields).replace("\n", newline)


def remove_table(text: str, path: tuple[str, ...]) -> str:
    """Return a document without a table, those below it, and the empty line before it.

    Comments before the next table stay, as they belong to that one. A table that is written in another way
    (dotted keys, an inline table) is not found, and the document is returned as it is.
    """
    headers = list(_HEADER.finditer(text))
    ends = [header.start() for header in headers[1:]] + [len(text)]
    for header, end in reversed(list(zip(headers, ends, strict=False))):
        if _split_path(header["path"])[: len(path)] == path:
            body, rest = text[header.start() : end], text[end:]
            before = re.sub(r"(?:(?<=\n)|\A)\r?\n\Z", "", text[: header.start()])
            gap = text[len(before) : header.start()] if rest and before else ""
            text = before + gap + "".join(_trailing_comments(body) if rest else []) + rest
    return text


def replace_table(text: str, path: tuple[str, ...], fields: Mapping[str, Any]) -> str:
    """Return a document in which a table has other fields. It moves to the end."""
    return append_table(remove_table(text, path), path, fields)


def _trailing_comments(body: str) -> list[str]:
    """Return the comments and empty lines at the end of a table, from the first comment on."""
    lines = body.splitlines(keepends=True)
    count = next(i for i, line in enumerate(reversed(lines)) if line.strip() and not _is_comment(line))
    rest = lines[len(lines) - count :]
    first = next((i for i, line in enumerate(rest) if _is_comment(line)), len(rest))
    return rest[first:]


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _split_path(path: str) -> tuple[str, ...]:
    """Return the keys of a header. Quoted keys lose their quotation marks."""
    return tuple(part.strip().strip("\"'") for part in path.split("."))


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _value(name)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(name)} = {_value(each)}" for name, each in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
