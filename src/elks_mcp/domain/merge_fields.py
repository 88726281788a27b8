"""Merge fields: the places in a text that each recipient's own values fill.

`{namn}` is a field, `{namn|du}` a field with a default for an empty value, and a doubled brace is a brace.
The values are data: nothing in them is read as a field. That is why `str.format` is not used.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from elks_mcp.domain.cleaning import cleaned
from elks_mcp.domain.contacts import fold_name, shorten
from elks_mcp.errors import InvalidInput

_TOKEN = re.compile(r"(?P<literal>[^{}]+)|\{\{|\}\}|\{(?P<field>[^{}]*)\}")


@dataclass(frozen=True, slots=True)
class MergeField:
    """A field of a template."""

    name: str
    """Its name as the template has it."""

    default: str | None = None
    """The text in place of an empty value; None if an empty value cannot be replaced."""


@dataclass(frozen=True, slots=True)
class EmptyField:
    """The reason why a template cannot be filled: a field that is empty and has no default."""

    name: str


@dataclass(frozen=True, slots=True)
class Template:
    """A text with merge fields."""

    parts: tuple[str | MergeField, ...]
    """Its literal texts and its fields, in order."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of its fields, each once, as first written."""
        names: dict[str, str] = {}
        for part in self.parts:
            if isinstance(part, MergeField):
                names.setdefault(fold_name(part.name), part.name)
        return tuple(names.values())

    def list_unknown(self, names: Iterable[str]) -> tuple[str, ...]:
        """List its fields that are not among these names."""
        known = set(map(fold_name, names))
        return tuple(name for name in self.fields if fold_name(name) not in known)

    def fill(self, values: Mapping[str, str]) -> str | EmptyField:
        """Return the text with a value in each field, or the first empty field without a default.

        Names are compared as `fold_name` folds them. A value is put in as one line, without control and
        invisible characters, so that it cannot look like a text of its own. A field without a value is empty.
        """
        known = {fold_name(name): value for name, value in values.items()}
        filled = []
        for part in self.parts:
            if isinstance(part, str):
                filled.append(part)
                continue
            value = " ".join(cleaned(known.get(fold_name(part.name), "")).split()) or part.default
            if value is None:
                return EmptyField(part.name)
            filled.append(value)
        return "".join(filled)


def parse_template(text: str) -> Template:
    """Return the template that a text is.

    Raises:
        InvalidInput: a brace is not closed or not opened, or a field has no name.
    """
    parts: list[str | MergeField] = []
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _explain_brace(text, at)
        if found["field"] is None:
            _add_literal(parts, found["literal"] or found[0][0])
        else:
            parts.append(_parse_field(found["field"], at))
        at = found.end()
    return Template(tuple(parts))


def _add_literal(parts: list[str | MergeField], literal: str) -> None:
    if parts and isinstance(last := parts[-1], str):
        parts[-1] = last + literal
    else:
        parts.append(literal)


def _parse_field(inside: str, at: int) -> MergeField:
    name, bar, default = inside.partition("|")
    if not name.strip():
        hint = "Write the name of a field, such as {name}, or {{}} for literal braces."
        raise InvalidInput(f"The field at character {at + 1} of the message has no name.", hint=hint)
    return MergeField(" ".join(name.split()), default.strip() if bar else None)


def _explain_brace(text: str, at: int) -> InvalidInput:
    brace, after = text[at], shorten(text[at : at + 20])
    is_open = "closed" if brace == "{" else "opened"
    return InvalidInput(
        f'The {brace} at character {at + 1} of the message is not {is_open}: "{after}".',
        hint=f"A field is written {{name}} or {{name|default}}. For a literal {brace}, write {brace * 2}.",
    )
