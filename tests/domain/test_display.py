"""How a text is laid out for a person: rows, bars, and characters that are not seen."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elks_mcp.domain.cleaning import has_invisible
from elks_mcp.domain.display import break_line, quote_lines, visible
from tests.support.strategies import texts

ANY_TEXT = st.text() | texts


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("Hej på dig!", "Hej på dig!"),
        ("å\u030a e\u0301", "å\u030a e\u0301"),
        ("till\u202elles", r"till\u202elles"),
        ("a\tb\x1b[2J\x9b", r"a\tb\x1b[2J\x9b"),
        ("a\r\nb", r"a\r\nb"),
        ("1\xa0000\u2009kr\u3000nu", "1 000 kr nu"),
        ("\u3164\u2800\ufeff\xad", r"\u3164\u2800\ufeff\xad"),
        ("👨\u200d👩\u200d👧 ❤\ufe0f 1\ufe0f\u20e3", "👨👩👧 ❤ 1\u20e3"),
        ("a\u200db ❤\ufe0f\u200b", r"a\u200db ❤\u200b"),
        ("\u0301a", r"\u0301a"),
        ("a" + "\u0301" * 6, "a" + "\u0301" * 4 + r"\u0301\u0301"),
        ("\ud800", r"\ud800"),
        ("\ue000\U0010ffff", r"\ue000\U0010ffff"),
    ],
)
def test_invisible_and_moving_characters_are_written_as_code_points(line: str, shown: str) -> None:
    assert visible(line) == shown


@given(ANY_TEXT)
def test_a_line_made_visible_is_one_line_of_visible_characters(line: str) -> None:
    shown = visible(line)
    assert shown.isprintable()
    assert not has_invisible(shown)
    assert visible(shown) == shown


@given(ANY_TEXT, st.integers(min_value=2, max_value=100))
def test_breaking_a_line_loses_nothing_and_no_row_is_wider(line: str, columns: int) -> None:
    rows = break_line(line, columns)
    assert "".join(rows) == visible(line)
    assert all(len(re.sub("[\u0300-\u036f]", "", row)) <= columns or not row.isascii() for row in rows)


@pytest.mark.parametrize("char", ["界", "한", "ア", "🙂", "❤", "ø", "…", "👨\u200d👩"])
def test_a_character_that_some_terminal_draws_two_columns_wide_counts_as_two(char: str) -> None:
    """Better a row that is short than one that a terminal breaks once more, without a bar."""
    assert {len(row) for row in break_line(char * 40, 20)} == {10}


def test_a_line_is_broken_after_a_space_if_it_has_one() -> None:
    assert break_line("Vi ses på lördag klockan tio.", 12) == ["Vi ses på ", "lördag ", "klockan tio."]
    assert break_line("Vi sesslördagklockantio.", 12) == ["Vi ", "sesslördagkl", "ockantio."]


def test_only_long_runs_of_empty_rows_are_folded_and_the_fold_has_no_bar() -> None:
    assert quote_lines("a\n\n\nb\n\n\n\nc\n(3 empty lines)") == [
        *("| a", "| ", "| ", "| b", "(3 empty lines)", "| c", "| (3 empty lines)"),
    ]
    assert quote_lines("a" + " \n\u3000\n" * 50 + " " * 700) == ["| a ", "(109 empty lines)"]
    assert quote_lines("") == ["| "]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"])
def test_every_character_that_ends_a_line_in_some_program_ends_it(end: str) -> None:
    assert quote_lines(f"a{end}b") == ["| a", "| b"]
