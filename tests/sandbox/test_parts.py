"""Counting parts, against a slow reading of the rule."""

from hypothesis import example, given
from hypothesis import strategies as st

from elks_mcp.sandbox.parts import GSM_BASIC, GSM_EXTENSION, count_parts

BASIC = "".join(sorted(GSM_BASIC))
TEXTS = st.one_of(
    st.text(st.sampled_from(BASIC), max_size=500),
    st.text(st.sampled_from("aå€{}"), max_size=400),
    st.text(st.sampled_from("aåż🎉"), max_size=400),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
)


def slow_count(units: list[bytes], whole: int, joined: int) -> int:
    """Fill one part after the other with whole characters, each given as the bytes it takes."""
    if len(b"".join(units)) <= whole:
        return 1
    parts = [b""]
    for unit in units:
        if len(parts[-1] + unit) > joined:
            parts.append(b"")
        parts[-1] += unit
    return len(parts)


@given(TEXTS)
@example("a" * 160)
@example("a" * 161)
@example("a" * 69 + "🎉")
@example("ż" * 66 + "🎉" * 40)
def test_parts_are_counted_as_46elks_documents_them(text: str) -> None:
    """https://46elks.com/kb/sms-splitting-and-pricing: the basic set is GSM, everything else is UTF-16."""
    if all(character in BASIC for character in text):
        expected = slow_count([b"x"] * len(text), 160, 153)
    else:
        expected = slow_count([character.encode("utf-16-be") for character in text], 140, 134)
    assert count_parts(text) == expected


@given(st.text(st.sampled_from(BASIC + "".join(sorted(GSM_EXTENSION))), max_size=500))
@example("€" * 80)
@example("a" * 152 + "€" * 5)
def test_the_standard_rule_counts_an_extension_character_as_two_and_never_cuts_it(text: str) -> None:
    units = [b"\x1bx" if character in GSM_EXTENSION else b"x" for character in text]
    assert count_parts(text, extension_is_gsm=True) == slow_count(units, 160, 153)


@given(TEXTS, st.text(max_size=20))
def test_more_text_never_takes_fewer_parts(text: str, more: str) -> None:
    assert count_parts(text + more) >= count_parts(text)


def test_the_basic_set_has_its_127_characters_and_the_swedish_ones_among_them() -> None:
    """3GPP TS 23.038, 6.2.1: 128 codes, one of which is the escape to the extension table."""
    assert len(GSM_BASIC) == 127
    assert set("åäöÅÄÖéüÉ") <= GSM_BASIC
    assert not GSM_BASIC & GSM_EXTENSION


def test_one_euro_sign_makes_a_text_of_71_characters_two_parts() -> None:
    assert count_parts("a" * 71) == 1
    assert count_parts("a" * 70 + "€") == 2
    assert count_parts("a" * 70 + "€", extension_is_gsm=True) == 1
