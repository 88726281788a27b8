"""The JSON schemas of tools, reduced to what clients and models use.

A model reads the schema of the arguments. No model reads that of the answer: clients only check answers
against it, so it holds the JSON type of each field and nothing else.
"""

from collections.abc import Mapping
from typing import Any

from elks_mcp.answers.structured import list_json_types

_NO_DEFAULTS = (("default", None), ("default", ""))


def trim_input_schema(schema: Mapping[str, Any], wire_names: Mapping[str, str]) -> dict[str, Any]:
    """Return a schema of arguments with only what a model needs.

    `wire_names`: the public names of arguments whose Python names differ.
    """
    properties = schema.get("properties", {})
    listed = {wire_names.get(name, name): _trim_argument(spec) for name, spec in properties.items()}
    required = [wire_names.get(name, name) for name in schema.get("required", [])]
    trimmed = {"type": "object", "properties": listed, "additionalProperties": False}
    return {**trimmed, "required": required} if required else trimmed


def trim_output_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema of an answer with only the JSON type of each field."""
    definitions = schema.get("$defs", {})
    properties = {
        name: _write_types(list_json_types(spec, definitions))
        for name, spec in schema.get("properties", {}).items()
    }
    return {"type": "object", "properties": properties}


def _trim_argument(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an argument without its title and without null as a type."""
    kinds = [kind for kind in spec.get("anyOf", []) if kind != {"type": "null"}]
    merged = {**(kinds[0] if len(kinds) == 1 else {}), **spec}
    hidden = {"title", "anyOf"} if kinds else {"title"}
    return {
        key: value for key, value in merged.items() if key not in hidden and (key, value) not in _NO_DEFAULTS
    }


def _write_types(types: list[str]) -> dict[str, Any]:
    kinds = [{"type": kind} for kind in dict.fromkeys(types)]  # the Inspector warns of a list of types
    return {"anyOf": kinds} if len(kinds) > 1 else {**kinds[0]} if kinds else {}
