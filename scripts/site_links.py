"""Check the built site: links have targets, and nothing is loaded from other hosts."""

import re
from collections.abc import Iterator
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

_LOADING = {
    "audio": "src",
    "embed": "src",
    "form": "action",
    "iframe": "src",
    "img": "src",
    "link": "href",
    "object": "data",
    "script": "src",
    "source": "src",
    "video": "src",
}
"""The attribute by which an element makes a browser request an address, without a click."""

_CSS_ADDRESS = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""")
_JS_ADDRESS = re.compile(r"""["'`]((?:https?|wss?):)?(//[\w-]+\.[^"'`\s]*)""")
_NAMESPACE = "http://www.w3.org/"
"""The start of the names of XML's namespaces, which browsers do not load."""


class Fault(NamedTuple):
    """A link that leads nowhere, or a request to another host."""

    page: str
    text: str


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.styles: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what an element names, links to and loads."""
        given = {name: value or "" for name, value in attrs}
        self.anchors.update(given[name] for name in ("id", "name") if given.get(name))
        self.styles.append(given.get("style", ""))
        if tag in {"a", "area"} and "href" in given:
            self.links.append(given["href"])
        if _LOADING.get(tag, "") in given:
            self.loaded.append(given[_LOADING[tag]])
        if "srcset" in given:
            self.loaded += [each.split()[0] for each in given["srcset"].split(",")]


class Page:
    """A page of the site: its anchors, its links, and what a browser loads with it."""

    def __init__(self, file: Path) -> None:
        self.file = file

    @cached_property
    def parsed(self) -> _Parser:
        """The elements of the page."""
        parser = _Parser()
        parser.feed(self.file.read_text(encoding="utf-8"))
        return parser


def list_faults(site: Path) -> Iterator[Fault]:
    """List the links and addresses of a built site that are wrong."""
    pages = {file.resolve(): Page(file) for file in sorted(site.rglob("*.html"))}
    for file, page in pages.items():
        name = file.relative_to(site.resolve()).as_posix()
        for link in (*page.parsed.links, *page.parsed.loaded):
            if why := _find_fault(link, file, pages):
                yield Fault(name, f"{link}: {why}")
        foreign = [each for each in page.parsed.loaded if _is_foreign(each)]
        foreign += [each for style in page.parsed.styles for each in _CSS_ADDRESS.findall(style)]
        yield from (Fault(name, f"{each}: loaded from another host") for each in foreign)
    for file in sorted([*site.rglob("*.css"), *site.rglob("*.js")]):
        text = file.read_text(encoding="utf-8")
        for address in _list_addresses(text, file.suffix):
            yield Fault(file.relative_to(site).as_posix(), f"{address}: loaded from another host")


def list_external_links(site: Path) -> set[str]:
    """Return the links to other hosts, which are not requested."""
    return {link for file in site.rglob("*.html") for link in Page(file).parsed.links if _is_foreign(link)}


def _find_fault(link: str, file: Path, pages: dict[Path, Page]) -> str:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        is_local = parts.hostname in {"127.0.0.1", "localhost"}
        good = parts.scheme == "mailto" or (parts.netloc and (parts.scheme == "https" or is_local))
        return "" if good else "neither https nor this machine"
    target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    if not target.is_file():
        return "no such file"
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].parsed.anchors:
        return "no such anchor"
    return ""


def _is_foreign(address: str) -> bool:
    return bool(urlsplit(address).netloc)


def _list_addresses(text: str, suffix: str) -> Iterator[str]:
    if suffix == ".css":
        yield from _CSS_ADDRESS.findall(text)
        return
    for found in _JS_ADDRESS.finditer(text):
        address = "".join(part or "" for part in found.groups())
        if not address.startswith(_NAMESPACE):
            yield address
