"""Programs that speak, for tests: the real espeak-ng, and small ones of our own."""

import os
import shutil
import sys
from pathlib import Path

import pytest


def find_espeak() -> str:
    """Return the path of espeak-ng. Without one the test is skipped, or fails with CI set."""
    path = shutil.which("espeak-ng")
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("install espeak-ng")
    return path


def a_program(folder: Path, code: str) -> tuple[str, ...]:
    """Return the command of a Python program that is run with this code."""
    script = folder / "speaker.py"
    script.write_text(f"import os, sys, time\n{code}\n", "utf-8")
    return (sys.executable, "-S", str(script))
