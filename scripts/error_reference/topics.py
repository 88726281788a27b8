"""The sections of docs/errors.md, each with advice for texts that give none."""

import tomllib
from pathlib import Path
from typing import NamedTuple


class Topic(NamedTuple):
    """A section of the page."""

    title: str
    places: tuple[str, ...]
    """The starts of the paths of its modules, or kinds of texts."""
    introduction: str
    remedy: str
    """The advice for a text that gives none itself."""
    remedies: tuple[tuple[str, str], ...]
    """The advice for a text by its kind or the start of its words, given even if the text has advice."""

    def find_remedy(self, kind: str, text: str) -> str:
        """Return the advice for a text of its own, or ""."""
        found = [pair for pair in self.remedies if text.startswith(pair[0]) or kind == pair[0]]
        return max(found, key=lambda pair: len(pair[0]))[1] if found else ""


TOPICS = tuple(
    Topic(
        each["title"],
        tuple(each["places"]),
        each["introduction"],
        each["remedy"],
        tuple(each.get("remedies", {}).items()),
    )
    for each in tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))["topic"]
)


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
