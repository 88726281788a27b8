"""Senders that pretend to be a bank, an authority or a known brand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elks_mcp.domain.guards.lookalike import find_imitated_name
from elks_mcp.domain.phone import SenderId, parse_sender
from tests.tables.senders import CAUGHT, FORBIDDEN, INNOCENT, PASS


@pytest.mark.parametrize(("sender", "name", "why"), CAUGHT)
def test_a_sender_that_looks_like_a_protected_name_is_caught(sender: str, name: str, why: str) -> None:
    assert parse_sender(sender) == SenderId(sender)
    assert find_imitated_name(sender) == name, why


@pytest.mark.parametrize(("sender", "why"), PASS)
def test_a_sender_that_is_only_similar_or_contains_a_protected_name_passes(sender: str, why: str) -> None:
    assert parse_sender(sender) == SenderId(sender)
    assert find_imitated_name(sender) is None, why


def test_names_used_in_fraud_are_caught_and_ordinary_names_pass() -> None:
    names = [*FORBIDDEN, "postnordspar", *INNOCENT]  # one more than fits
    assert [name for name in names if find_imitated_name(name)] == [*FORBIDDEN, "postnordspar"]


def test_the_table_of_senders_is_complete() -> None:
    senders = [row[0] for row in (*CAUGHT, *PASS)]
    assert len(senders) == len(set(senders))
    assert len(CAUGHT) >= 180
    assert len(PASS) >= 200


CAPITALS = [row for row in CAUGHT if row[0].isalpha() and row[0][1:].islower()]


@pytest.mark.parametrize(("sender", "name", "why"), CAPITALS)
def test_upper_case_and_a_trailing_number_hide_no_name(sender: str, name: str, why: str) -> None:
    for spelled in (sender, sender.lower(), sender.upper(), f"{sender}24", f"{sender}1"):
        assert find_imitated_name(spelled) == name, why


LOOKALIKES = {
    "o": "0",
    "l": "1I",
    "i": "1l",
    "e": "3",
    "a": "4",
    "s": "5",
    "b": "8",
    "g": "9",
    "t": "7",
    "z": "2",
}


@given(st.sampled_from(CAPITALS), st.data())
def test_no_mixture_of_lookalike_letters_hides_a_name(row: tuple[str, str, str], data: st.DataObject) -> None:
    sender, _, _ = row
    disguised = "".join(
        data.draw(st.sampled_from(char + LOOKALIKES.get(char.lower(), ""))) for char in sender.lower()
    )
    if any(char.isalpha() for char in disguised):
        assert find_imitated_name(disguised) is not None


@given(st.sampled_from([sender for sender, _, _ in CAUGHT if " " not in sender]), st.data())
def test_no_spaces_hide_a_name(sender: str, data: st.DataObject) -> None:
    spaced = "".join(char + data.draw(st.sampled_from(["", " "])) for char in sender[:-1]) + sender[-1]
    assert find_imitated_name(spaced) is not None
