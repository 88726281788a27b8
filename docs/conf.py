"""Build the documentation site with Sphinx: `make docs`.

The pages stay Markdown that GitHub shows as well. README, CONTRIBUTING, SECURITY and CHANGELOG are at the
root of the repository, so pages include them, and links between all of these are written for the site here.
"""

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any

from pygments.lexers.special import TextLexer

DOCS = Path(__file__).parent
ROOT = DOCS.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REPOSITORY = PROJECT["urls"]["Repository"]

PAGES_OF_ROOT = {
    "README.md": "index.md",
    "README.sv.md": "sv/index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}
"""The page of the site for each document at the root of the repository."""

MESSAGES = "messages.js"
"""The script with the error messages, which only the search loads."""

project = "elks-mcp"
author = "The elks-mcp contributors"
copyright = (  # noqa: A001  (Sphinx names it)
    "2026 The elks-mcp contributors. MIT licence. elks-mcp is unofficial, and not affiliated with 46elks AB."
)
release = version = PROJECT["version"]
extensions = ["myst_parser"]
exclude_patterns = ["_*", "images"]

# Anchors are those that GitHub makes of headings.
myst_heading_anchors = 4

html_theme = "furo"
html_title = "elks-mcp"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["find_message.js"]
html_copy_source = html_show_sourcelink = html_show_sphinx = False
html_use_index = False
smartquotes = False  # a curly quote in a copied text would make it expensive
html_theme_options = {"navigation_with_keys": False, "top_of_page_buttons": []}

_INCLUDE = re.compile(
    r"^```\{include\} (\S+)\n(?::start-at: (.+)\n)?(?::end-before: (.+)\n)?```$", re.MULTILINE
)
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")


def read_page(app: Any, name: str, source: list[str]) -> None:
    """Include documents of the root in the source of a page, and write its links for the site."""
    page = DOCS / app.env.doc2path(name, base=False)

    def include(found: re.Match[str]) -> str:
        document = page.parent / found[1]
        app.env.note_dependency(str(document), docname=name)
        text = document.read_text(encoding="utf-8")
        if found[2]:
            _, start, rest = text.partition(found[2])
            assert start, f"{document} has no line {found[2]}"  # noqa: S101
            text = start + rest
        if found[3]:
            text, end, _ = text.partition(found[3])
            assert end, f"{document} has no line {found[3]}"  # noqa: S101
        return write_links(text, document.parent, page)

    source[0] = _INCLUDE.sub(include, write_links(source[0], page.parent, page))


def write_links(text: str, folder: Path, page: Path) -> str:
    """Return Markdown whose links, which are relative to `folder`, are written for `page`."""

    def write(found: re.Match[str]) -> str:
        target = Path(os.path.normpath(folder / found[1]))
        if not target.is_relative_to(ROOT) or not target.exists():
            return found[1]  # Sphinx reports it
        name = target.relative_to(ROOT).as_posix()
        if name in PAGES_OF_ROOT:
            target = DOCS / PAGES_OF_ROOT[name]
        elif not target.is_relative_to(DOCS):
            return f"{REPOSITORY}/{'tree' if target.is_dir() else 'blob'}/main/{name}"
        return os.path.relpath(target, page.parent).replace(os.sep, "/")

    return _LINK.sub(write, text)


def finish_page(app: Any, name: str, _template: str, context: dict[str, Any], _tree: Any) -> None:
    """Mark a page in Swedish as such, and let the search load the error messages."""
    if name.startswith("sv/"):
        context["language"] = "sv"
    if name == "search":
        app.add_js_file(MESSAGES)


def write_messages(app: Any, _error: Exception | None) -> None:
    """Write the error messages for the search, each with its remedy, as plain text."""
    entries = re.findall(
        r"^- \*\*(`+) ?(.+?) ?\1\*\* ?(.*)$", (DOCS / "errors.md").read_text("utf-8"), re.MULTILINE
    )
    plain = [
        {"text": text, "remedy": re.sub(r"\[`\w+`\]\(\S+\)|[`\\]", "", remedy)} for _, text, remedy in entries
    ]
    (Path(app.outdir) / "_static" / MESSAGES).write_text(
        f"window.ERROR_MESSAGES = {json.dumps(plain, ensure_ascii=False)};\n", encoding="utf-8"
    )


def setup(app: Any) -> None:
    """Let Sphinx call the functions above."""
    app.add_lexer("csv", TextLexer)
    app.connect("source-read", read_page)
    app.connect("html-page-context", finish_page)
    app.connect("build-finished", write_messages)
