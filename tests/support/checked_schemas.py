"""Schemas of tools that the SDK's client has checked before."""

import json
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]


def check_schemas_once() -> None:
    """Let the client check equal schemas only once in a process.

    A client checks the schema of a tool's answers against the rules for schemas before its first call, which
    takes longer than the call. Each test has a client of its own, and the tools have the same schemas.
    """
    check = Draft202012Validator.check_schema
    valid: set[str] = set()

    def check_once(schema: Any, *more: Any, **named: Any) -> None:
        written = json.dumps([schema, more, named], sort_keys=True, default=repr)
        if written not in valid:
            check(schema, *more, **named)
            valid.add(written)

    Draft202012Validator.check_schema = staticmethod(check_once)
