"""The spelling of all files, and the first words of tests: simple rules that hold everywhere."""

import re

from tests.test_language import ROOT, list_paths

_RELATIVE = "who|whom|whose|whoever|what|whatever|where|of|nobody|somebody"
_BEGINS_ELSEWHERE = re.compile(
    rf'^ *"""(?:{_RELATIVE})\b.*|^ *(?:async )?def test_(?:p\d+_|and_)*(?:{_RELATIVE})_\w*',
    re.IGNORECASE | re.MULTILINE,
)


def test_a_test_begins_with_the_thing_that_it_is_about() -> None:
    found = {
        f"{path}: {text.strip()}"
        for path in list_paths(("tests",))
        if path.endswith(".py")
        for text in _BEGINS_ELSEWHERE.findall((ROOT / path).read_text("utf-8"))
    }
    assert found == set()


_OTHER_SPELLINGS = re.compile(
    r"(?:author|capital|initial|minim|normal|optim|parametr|recogn|serial|summar|token)is(?:e|ing|ation)\w*"
    r"|behaviors?|neighbor\w*|cancel(?:ed|ing)|misspelt",
    re.IGNORECASE,
)
"""The spelling is British, with -ize, in names as well."""
_SPELLED = ("src", "docs", "scripts", "tests", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")


def test_a_word_has_one_spelling() -> None:
    found = {
        f"{path}: {word}"
        for path in list_paths(_SPELLED)
        if path.endswith((".py", ".md")) and path not in {"tests/test_language.py", "tests/test_words.py"}
        for word in _OTHER_SPELLINGS.findall((ROOT / path).read_text("utf-8"))
    }
    assert found == set()
