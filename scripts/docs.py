"""Write docs/tools.md and docs/settings.md from the code; with --check, only say whether they are fresh."""

import ast
import inspect
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from elks_mcp import settings
from elks_mcp.mcp_server.server import TOOLS
from elks_mcp.mcp_server.tools.base import ElksTool
from elks_mcp.settings import ALSO_AS_FILE, Settings

_DOCS = Path(__file__).parent.parent / "docs"
_NOTICE = "<!-- Written by scripts/docs.py from the code: change it there, then run `make docs`. -->"


def main() -> int:
    """Write the pages, or compare them; 1 if one is stale."""
    pages = {"tools.md": write_tools(), "settings.md": write_settings()}
    check = "--check" in sys.argv[1:]
    stale = [name for name, text in pages.items() if _read(_DOCS / name) != text]
    for name in stale:
        if check:
            print(f"docs/{name} is stale: run `make docs`")
        else:
            (_DOCS / name).write_text(pages[name], encoding="utf-8")
            print(f"docs/{name} written")
    return int(check and bool(stale))


def write_settings() -> str:
    """Write the page about settings."""
    meanings = _meanings()
    rows = [_setting(field, meanings[name]) for name, field in Settings.model_fields.items()]
    as_file = ", ".join(f"`{name}`" for name in ALSO_AS_FILE)
    return "\n".join([_NOTICE, _SETTINGS_INTRODUCTION.format(as_file=as_file), *rows, "", _SETTINGS_END])


_SETTINGS_INTRODUCTION = """\
# Settings

Everything is set in the environment of the server, which the configuration of your client holds.
When a value cannot be read, a server that a client starts answers every call with the reason and does
nothing else; every other command but `doctor` ends with code 2. A blank value, or one that a client left
unexpanded (`${{…}}`), counts as not set, and `doctor` and the log say so. `elks-mcp --env-file FILE` reads
a file of such lines too; the environment wins. Each of {as_file}
can stand in a file of its own instead: add `_FILE` to the name and give the path.

| Variable | Default | Meaning |
|---|---|---|"""

_SETTINGS_END = """\
`elks-mcp doctor` shows what is set, from where, what cannot be read, likely slips, and names that are near a
known one.
"""


def write_tools() -> str:
    """Write the page about tools."""
    sections = [line for tool in TOOLS for line in _tool(tool)]
    return "\n".join([_NOTICE, "# Tools", "", _TOOLS_INTRODUCTION, "", *sections])


_TOOLS_INTRODUCTION = """\
What an assistant sees. Every answer is a short text and, the same as data, structured content; the first
words of the text are the status. `dry_run` and `message_id` are understood as well as `dryRun` and
`messageId`; any other name is refused. An optional argument that is blank, null or the word for it (`null`,
`None`, `undefined`, `nil`, `NaN`) counts as left out; a blank `dryRun` is refused.

A list of texts takes 50,000 bytes at most, as data and in words together: some 15,000 tokens. A longer one is
cut after the newest texts that fit. Its `note` says how many those are, and with which `until` to go on."""


def _setting(field: FieldInfo, meaning: str) -> str:
    return f"| `{field.alias}` | {_default(field.default)} | {' '.join(meaning.split())} |"


def _meanings() -> dict[str, str]:
    """Read what stands below each setting in the source; at run time nobody pays for that."""
    (body,) = [
        node.body
        for node in ast.parse(inspect.getsource(settings)).body
        if isinstance(node, ast.ClassDef) and node.name == Settings.__name__
    ]
    return {
        field.target.id: text.value.value
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
        if isinstance(text.value.value, str)
    }


def _default(value: Any) -> str:
    if value is None or isinstance(value, SecretStr) or value in (frozenset(), ()):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _tool(tool: ElksTool) -> list[str]:
    hints = tool.annotations
    reads = hints is not None and hints.read_only_hint
    kind = "Reads only." if reads else "Sends; not idempotent without `idempotencyKey`."
    lines = [f"## {tool.name}", "", f"**{tool.title}.** {kind}", "", tool.description, ""]
    properties: dict[str, Any] = tool.parameters["properties"]
    if properties:
        required = tool.parameters.get("required", [])
        lines += ["| Argument | | Meaning |", "|---|---|---|"]
        lines += [_argument(name, spec, name in required) for name, spec in properties.items()]
        lines.append("")
    fields = (tool.output_schema or {}).get("properties", {})
    return [*lines, "Answers with: " + ", ".join(f"`{name}`" for name in fields) + ".", ""]


def _argument(name: str, spec: dict[str, Any], required: bool) -> str:
    limits = [f"{word} {spec[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in spec]
    choices = " / ".join(f"`{choice}`" for choice in spec.get("enum", []))
    default = f"default `{spec['default']}`" if "default" in spec else ""
    details = ", ".join(part for part in (choices, " ".join(limits), default) if part)
    must = "required" if required else "optional"
    return f"| `{name}` | {must} | {spec.get('description', '')}{f' ({details})' if details else ''} |"


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
