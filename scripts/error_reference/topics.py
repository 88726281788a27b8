"""The sections of docs/errors.md, each with advice for texts that give none."""

import tomllib
from pathlib import Path
from typing import Any, NamedTuple


class Topic(NamedTuple):
    """A section of the page."""

    title: str
    places: tuple[str, ...]
    """The starts of the paths of its modules, or kinds of texts."""
    introduction: str
    remedy: str
    """The advice for a text that gives none itself."""
    remedies: tuple[tuple[str, str], ...]
    """The advice for the texts of each guard, after its name."""


class Remedy(NamedTuple):
    """The advice for some texts of a section, in place of that of the section."""

    texts: tuple[str, ...]
    """The starts of texts. This advice also replaces a hint of their class."""
    places: tuple[str, ...]
    """The starts of the paths of modules, or kinds: for their texts that give no advice themselves."""
    remedy: str


def _read(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]]
    (found,) = tomllib.loads((Path(__file__).parent / name).read_text(encoding="utf-8")).values()
    return found


TOPICS = tuple(
    Topic(
        each["title"],
        tuple(each["places"]),
        each["introduction"],
        each["remedy"],
        tuple(each.get("remedies", {}).items()),
    )
    for each in _read("topics.toml")
)
REMEDIES = tuple(
    Remedy(tuple(each.get("texts", ())), tuple(each.get("places", ())), each["remedy"])
    for each in _read("remedies.toml")
)


def find_own_remedy(text: str) -> str:
    """Return the advice for texts with this start, or ""."""
    found = {start: each.remedy for each in REMEDIES for start in each.texts if text.startswith(start)}
    return found[max(found, key=len)] if found else ""


def find_remedy(module: str, kind: str) -> str:
    """Return the advice for texts of a module or a kind that give none, or that of the section."""
    own = [
        each for each in REMEDIES if kind in each.places or (each.places and module.startswith(each.places))
    ]
    return own[0].remedy if own else find_topic(module, kind).remedy


def find_topic(module: str, kind: str) -> Topic:
    """Return the section of a text: that of its kind, or the one that names most of its path.

    Raises:
        LookupError: no section names the module.
    """
    for topic in TOPICS:
        if kind in topic.places:
            return topic
    named = {place: topic for topic in TOPICS for place in topic.places if module.startswith(place)}
    if not named:
        raise LookupError(f"No topic in scripts/error_reference/topics.toml has the module {module}.")
    return named[max(named, key=len)]
