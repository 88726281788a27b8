"""Reads yes and no as people write them, and explains pydantic's validation errors."""

from typing import Any

SWITCHES = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}
"""The words for on and off."""


def parse_switch(value: object) -> bool:
    """Return the meaning of true/false, 1/0, yes/no or on/off, in upper or lower case.

    Raises:
        ValueError: `value` is not one of them.
    """
    word = str(value).strip().lower()
    if word not in SWITCHES:
        raise ValueError("use true or false")
    return SWITCHES[word]


_EMPTY_WORDS = frozenset({"null", "none", "undefined", "nil", "nan"})


def is_empty_word(value: str) -> bool:
    """Return whether a text is a programming language's word for "no value".

    Some clients send such a word for an argument or a variable without a value.
    """
    return value.strip().lower() in _EMPTY_WORDS


_WANTED = {
    "string_type": "it must be text, in quotes",
    "int_parsing": "it must be a whole number",
    "int_type": "it must be a whole number",
    "int_from_float": "it must be a whole number",
    "float_parsing": "it must be a number",
    "greater_than_equal": "{ge} is the least",
    "less_than_equal": "{le} is the most",
    "too_short": "it must not be empty",
    "literal_error": "it must be {expected}",
    "enum": "it must be {expected}",
}


def wanted(fault: Any) -> str:
    """Return what a value has to be, from one of pydantic's `ErrorDetails`."""
    said = _WANTED.get(fault["type"])
    return said.format(**fault.get("ctx", {})) if said else str(fault["msg"]).removeprefix("Value error, ")
