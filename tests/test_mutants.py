"""The tests can fail: each of these breakages of the program is caught by tests that are quick.

A breakage is a change of a few words in a copy of the package; the tests named with it run against the copy,
in a process of their own, and must not pass. If the code was rewritten, the breakage has to be rewritten too.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tables.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[1]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Make a copy of the package to break."""
    cache = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(ROOT / "src" / "elks_mcp", tmp_path / "elks_mcp", ignore=cache))


def run_tests(package: Path, file: str, tests: str) -> subprocess.CompletedProcess[str]:
    """Run tests against a copy of the package."""
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-n0",
            "-p",
            "no:cacheprovider",
            "-m",
            "not long",
            file,
            "-k",
            tests,
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.mark.long
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_breakage_is_caught(package: Path, mutant: Mutant) -> None:
    for file, words, instead in mutant.changes():
        source = (package / file).read_text(encoding="utf-8")
        assert source.count(words) == 1, f"not there, or not once: {words}"
        (package / file).write_text(source.replace(words, instead), encoding="utf-8")
    ended = run_tests(package, mutant.caught_by, mutant.tests)
    assert ended.returncode == pytest.ExitCode.TESTS_FAILED, ended.stdout[-3000:]


@pytest.mark.long
@pytest.mark.parametrize("file", sorted({mutant.caught_by for mutant in MUTANTS}))
def test_the_tests_that_catch_breakages_pass_on_unbroken_code(package: Path, file: str) -> None:
    tests = " or ".join(f"({mutant.tests})" for mutant in MUTANTS if mutant.caught_by == file)
    ended = run_tests(package, file, tests)
    assert ended.returncode == pytest.ExitCode.OK, ended.stdout[-3000:]


def test_every_breakage_still_applies_to_the_code() -> None:
    for mutant in MUTANTS:
        for file, words, _ in mutant.changes():
            source = (ROOT / "src" / "elks_mcp" / file).read_text(encoding="utf-8")
            assert source.count(words) == 1, mutant.name
