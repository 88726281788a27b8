"""Texts from the files beside this one: a line each, escapes as Python's, `#` before remarks."""

import re
from pathlib import Path


def read_texts(name: str) -> list[str]:
    """Return the texts of a file in this directory."""
    lines = (Path(__file__).parent / name).read_text(encoding="utf-8").splitlines()
    return [re.sub(_WRITTEN, _character, line) for line in lines if line and not line.startswith("#")]


_WRITTEN = r"\\(n|u[0-9a-f]{4}|U[0-9a-f]{8})"


def _character(written: re.Match[str]) -> str:
    return "\n" if written[1] == "n" else chr(int(written[1][1:], 16))


ORDINARY = read_texts("ordinary_texts.txt")
PHISHING = read_texts("phishing_texts.txt")
