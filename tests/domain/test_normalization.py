"""Normalization whose work is bounded: no letter keeps more than 30 combining marks, in any form."""

import unicodedata
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import elks_mcp
from elks_mcp.domain.normalization import MOST_ACCENTS, Form, normalize
from elks_mcp.domain.opt_outs import OptWord, asks_for_answer, find_opt_word
from tests.support.strategies import texts

FORMS: tuple[Form, ...] = ("NFC", "NFD", "NFKC", "NFKD")
_MARKS = "\u0301\u0327\u064b\u0650\u0308\u3099\uff9e\uff9f\ufc5e\u0344\u1e69a"
"""Marks of several classes, and characters that become marks in one form only."""

marks = st.text(st.sampled_from(_MARKS), max_size=300)


def _longest_run(text: str) -> int:
    decomposed = "".join(unicodedata.normalize("NFKD", char) for char in text)
    runs = (len(list(run)) for is_mark, run in groupby(decomposed, unicodedata.combining) if is_mark)
    return max(runs, default=0)


@pytest.mark.parametrize("form", ["NFKC", "NFKD"])
@given(marks)
def test_no_letter_keeps_more_than_30_marks(form: Form, text: str) -> None:
    assert _longest_run(normalize(form, text)) <= MOST_ACCENTS


@pytest.mark.parametrize("form", FORMS)
@given(texts)
def test_other_texts_are_normalized_as_in_unicode(form: Form, text: str) -> None:
    if _longest_run(text) <= MOST_ACCENTS:
        assert normalize(form, text) == unicodedata.normalize(form, text)


def test_no_other_module_normalizes_texts() -> None:
    sources = Path(elks_mcp.__file__).parent.rglob("*.py")
    users = {source.name for source in sources if "unicodedata.normalize(" in source.read_text("utf-8")}
    assert users == {"normalization.py"}


def test_an_opt_out_is_found_under_any_number_of_accents() -> None:
    assert find_opt_word("S" + "\u0301\u0327" * 20_000 + "TOP") is OptWord.STOP


@pytest.mark.parametrize(
    ("text", "is_question"),
    [
        ("Kommer du?", True),
        ("Se https://example.com/?a=1", False),
        ("Se www.example.com/?a=1", False),
        ("Se example.com/?a=1", False),
        ("Se a-b.example.com/x?a=1 nu", False),
        ("Kommer du? Se ...example.com/x?a=1", True),
    ],
)
def test_a_question_mark_in_an_address_is_no_question(text: str, is_question: bool) -> None:
    assert asks_for_answer(text) is is_question
