"""Encodings, parts and the characters that make a text expensive."""

import time
from collections.abc import Callable
from itertools import pairwise

import pytest
import smsutil  # type: ignore[import-untyped]
from hypothesis import example, given, settings
from hypothesis import strategies as st

from elks_mcp.domain.cleaning import cleaned
from elks_mcp.domain.text import (
    BASIC,
    EXTENSION,
    Alphabet,
    Encoding,
    ExpensiveCharacter,
    Size,
    cheaper,
    expensive_characters,
    find_unsendable,
    measure,
    split,
)
from tests.support.strategies import sendable_texts, standard_texts, texts, wide_texts

STANDARD = Alphabet.STANDARD
alphabets = st.sampled_from(Alphabet)

# ── parts and encoding ──


@pytest.mark.parametrize(
    "text",
    [
        "Hej!",
        "Mötet är kl. 10.",
        "Your code: 1234",
        "Åsa, Örjan & Élise: är det på fredag? @ kl 9",
        "¿Qué tal? ¡Ñu!",
        "Rad ett\nrad två",
        "",
    ],
)
def test_everyday_swedish_and_english_is_gsm_7(text: str) -> None:
    assert measure(text) == Size(Encoding.GSM7, len(text), 1)
    assert not expensive_characters(text)


def test_the_basic_table_has_127_characters_and_the_extension_ten() -> None:
    """3GPP TS 23.038, 6.2.1: 128 codes, one of which is the escape."""
    assert len(BASIC) == 127
    assert len(EXTENSION) == 10
    assert not BASIC & EXTENSION


def test_the_alphabet_is_the_standards_for_every_character_of_the_basic_plane() -> None:
    ours = {chr(code) for code in range(0x10000) if measure(chr(code), STANDARD).encoding is Encoding.GSM7}
    assert ours == set(smsutil.codecs.GSM_CHARSET) - {"\x1b"}  # the escape itself is no character


@settings(max_examples=4 * settings().max_examples)
@given(st.one_of(standard_texts, wide_texts, sendable_texts).filter(lambda text: "\x1b" not in text))
@example("a" * 160)
@example("a" * 161)
@example("€" * 80)
@example("a" * 152 + "€" * 5)
@example("a" * 69 + "🎉")
@example("ż" * 66 + "🎉" * 40)
def test_parts_by_the_standard_equal_those_of_another_library(text: str) -> None:
    expected = smsutil.split(text)
    contents = tuple(part.content for part in expected.parts) or ("",)
    assert split(text, STANDARD) == contents
    if text:  # which the other library takes for UCS-2
        gsm = expected.encoding == "gsm0338"
        assert measure(text, STANDARD) == Size(
            Encoding.GSM7 if gsm else Encoding.UCS2,
            expected.total_bytes if gsm else expected.total_bytes // 2,
            len(contents),
        )


def naive_parts(text: str) -> list[bytes]:
    """Follow 46elks' rule literally: fill a part with whole characters, then the next one."""
    if all(char in BASIC for char in text):
        units, single, several = [b"x"] * len(text), 160, 153
    else:
        units, single, several = [char.encode("utf-16-be") for char in text], 140, 134
    if len(b"".join(units)) <= single:
        return [b"".join(units)]
    parts = [b""]
    for unit in units:
        if len(parts[-1]) + len(unit) > several:
            parts.append(b"")
        parts[-1] += unit
    return parts


@settings(max_examples=4 * settings().max_examples)
@given(sendable_texts)
@example("a" * 160)
@example("a" * 161)
@example("a" * 70 + "€")
@example("a" * 69 + "€")
@example("ż" * 66 + "🎉" * 40)
def test_parts_as_46elks_bills_them_equal_a_naive_implementation(text: str) -> None:
    """https://46elks.com/kb/sms-splitting-and-pricing: the basic table, or all of it is UTF-16."""
    assert measure(text).parts == len(naive_parts(text))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("a" * 69 + "ж", 1),
        ("a" * 70 + "ж", 2),
        ("a" * 133 + "ж", 2),
        ("a" * 134 + "ж", 3),
        ("\uffff" * 70, 1),  # the last character of one code unit
        ("🎉" * 35, 1),
        ("🎉" * 36, 2),
        ("🎉" * 66, 2),
        ("🎉" * 67, 3),  # 33 pairs fit into 67 units, and one unit stays empty
        ("a" * 70 + "€", 2),
    ],
)
def test_a_text_takes_as_many_parts_as_46elks_documents(text: str, parts: int) -> None:
    assert measure(text).parts == len(split(text)) == parts


@given(texts, alphabets)
def test_the_parts_of_a_text_join_to_the_text(text: str, alphabet: Alphabet) -> None:
    parts = split(text, alphabet)
    assert "".join(parts) == text
    assert len(parts) == measure(text, alphabet).parts


@given(texts, alphabets)
def test_no_part_exceeds_its_size_and_the_first_of_two_is_full(text: str, alphabet: Alphabet) -> None:
    size = measure(text, alphabet)
    gsm = size.encoding is Encoding.GSM7
    wide = EXTENSION if gsm else {char for char in text if ord(char) > 0xFFFF}
    widths = [sum(2 if char in wide else 1 for char in part) for part in split(text, alphabet)]
    assert sum(widths) == size.units
    single, several = (160, 153) if gsm else (70, 67)
    assert max(widths) <= (single if size.parts == 1 else several)
    assert size.parts == 1 or size.units > single
    for (width, _), (_, part) in pairwise(zip(widths, split(text, alphabet), strict=True)):
        assert width + (2 if part[0] in wide else 1) > several


@given(texts, texts, alphabets)
def test_more_text_never_takes_fewer_parts(text: str, more: str, alphabet: Alphabet) -> None:
    assert measure(text + more, alphabet).parts >= measure(text, alphabet).parts
    assert measure(more + text, alphabet).parts >= measure(text, alphabet).parts


def test_a_part_never_ends_in_half_a_surrogate_pair_or_half_an_escape() -> None:
    assert [len(part) for part in split("ż" * 66 + "🎉" * 40)] == [66, 33, 7]
    assert [len(part) for part in split("a" * 152 + "€" * 5, STANDARD)] == [152, 5]


# ── what makes a text dear ──


@pytest.mark.parametrize(
    ("char", "instead", "why"),
    [
        ("“", '"', "curly quotes"),
        ("’", "'", "the apostrophe of word processors"),
        ("–", "-", "a dash"),
        ("…", "...", "one character for three"),
        ("\u00a0", " ", "a no-break space"),
        ("\u202f", " ", "a narrow no-break space"),
        ("\u1680", " ", "a blank that Unicode calls no other's equal"),
        ("\u200b", "", "a zero-width space"),
        ("\ufeff", "", "a byte order mark"),
        ("\u00ad", "", "a soft hyphen"),
        ("\t", " ", "a tab"),
        ("\u2028", "\n", "a line separator"),
        ("e\u0301", "é", "an accent typed after its letter"),
        ("a\u030a", "å", "the same in Swedish, as macOS writes file names"),
        ("a\u0301", None, "á is not in the table, and a letter of another language"),
        ("á", None, "the same in one character"),
        ("x\u0302", None, "an accent that joins no letter"),
        ("e\u0336", None, "crossed out is another meaning"),
        ("n\u0303", "ñ", "ñ is in the table"),
        ("ł", None, "a letter of Polish"),
        ("œ", None, "a letter of French"),
        ("ﬁ", "fi", "a ligature"),
        ("ǆ", None, "a letter of Croatian"),
        ("Ａ", None, "full-width"),
        ("𝐇", None, "letters dressed up"),
        ("①", None, "a number in a circle"),
        ("₂", None, "as in CO₂"),
        ("²", None, "10² is not 102"),
        ("º", None, "20º is not 20o"),
        ("½", None, "1½ is not 11/2"),
        ("≠", None, "not equal is not equal"),
        ("≮", None, "not less is not less"),
        ("€", None, "outside the basic table"),
        ("[", None, "outside the basic table"),
        ("\\", None, "outside the basic table"),
        ("`", None, "code stands between two of them"),
        ("→", None, "an arrow"),
        ("1\ufe0f\u20e3", "1", "a keycap says what its digit says"),
        ("a\ufe0f", "a", "a selector where there is nothing to select"),
        ("❤\ufe0f", None, "a picture and its selector are one"),
        ("👩\u200d👧", None, "a family is one"),
        ("🎉", None, "a picture"),
        ("ж", None, "another alphabet"),
        ("Α", None, "a Greek alpha only looks like an A"),
        ("\u0600", None, "a format character that is seen"),
        ("\u0301", None, "an accent on nothing"),
    ],
)
def test_an_expensive_character_has_a_replacement_that_reads_the_same(
    char: str, instead: str | None, why: str
) -> None:
    assert expensive_characters(char) == (ExpensiveCharacter(char, 1, instead),), why
    assert cheaper(char) == (char if instead is None else instead), why


def test_expensive_characters_are_listed_by_first_occurrence_with_their_count() -> None:
    found = [(dear.char, dear.count) for dear in expensive_characters("“Hej” 🎉 “då” 🎉🎉")]
    assert found == [("“", 2), ("”", 2), ("🎉", 3)]


def test_the_euro_sign_and_brackets_are_expensive_at_46elks_but_not_by_the_standard() -> None:
    assert [dear.char for dear in expensive_characters("[5 €]")] == ["[", "€", "]"]
    assert not expensive_characters("[5 €]", STANDARD)
    assert cheaper("[5 €]") == cheaper("[5 €]", STANDARD) == "[5 €]"


def test_an_expensive_character_has_its_unicode_name() -> None:
    names = [dear.name for dear in expensive_characters("€e\u0301")]
    assert names == ["euro sign, U+20AC", "latin small letter e + combining acute accent, U+0065 U+0301"]
    flag = expensive_characters("🏴" + "".join(chr(0xE0000 + ord(char)) for char in "gbeng") + "\U000e007f")[
        0
    ]
    assert flag.name.endswith("…")
    assert expensive_characters("\ue000")[0].name == "unnamed character, U+E000"


@given(texts, alphabets)
@example("…" * 70, Alphabet.PROVIDER)
@example("ж" + "…" * 69, Alphabet.PROVIDER)
@example("\ufb03" * 70, Alphabet.PROVIDER)
def test_the_cheaper_text_never_costs_more(text: str, alphabet: Alphabet) -> None:
    assert measure(cheaper(text, alphabet), alphabet).parts <= measure(text, alphabet).parts


@given(texts, alphabets)
def test_making_a_text_cheaper_twice_changes_nothing_more(text: str, alphabet: Alphabet) -> None:
    rewritten = cheaper(text, alphabet)
    assert cheaper(rewritten, alphabet) == rewritten


@given(standard_texts)
def test_a_cheap_text_has_no_cheaper_one(text: str) -> None:
    assert cheaper(text, STANDARD) == text


@given(texts, alphabets)
def test_every_replacement_is_cheap_itself(text: str, alphabet: Alphabet) -> None:
    stand_ins = [dear.instead for dear in expensive_characters(text, alphabet) if dear.instead is not None]
    assert measure("".join(stand_ins), alphabet).encoding is Encoding.GSM7


def test_the_cheaper_text_keeps_persian_and_emoji() -> None:
    for text in ("می\u200cخواهم", "👨\u200d👩\u200d👧 🏳\ufe0f\u200d🌈 👍🏽", "Привет, мир"):
        assert cheaper(text) == text


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        ("“Hej” – vi ses… kl.\u00a010–12 på ﬁket", '"Hej" - vi ses... kl. 10-12 på fiket'),
        ("Don’t forget: it’s €5", "Don't forget: it's €5"),
        ("Ditt lösenord är aB[3|x\\9", "Ditt lösenord är aB[3|x\\9"),
        ("Lösenordet är “aB3–x9”.", 'Lösenordet är "aB3–x9".'),
        ("Lösenordet är aB3x” – eller aB[3|x\\9…", "Lösenordet är aB3x” - eller aB[3|x\\9…"),
        ("https://example.com/?q=”a” och val[0]=”x”…", "https://example.com/?q=”a” och val[0]=”x”…"),
        ("Aʼo – Hawaii", "Aʼo - Hawaii"),
        (
            "https://example.com/?val[0]=a–b är svaret – tack",
            "https://example.com/?val[0]=a–b är svaret - tack",
        ),
        (
            "Hej {{namn}}, {{ för – namn }} och [ditt – namn] – hej",
            "Hej {{namn}}, {{ för – namn }} och [ditt – namn] - hej",
        ),
        ("Rad ett\\nrad’två – tre", "Rad ett\\nrad’två - tre"),
        ("Kör `ls –l` nu – tack", "Kör `ls –l` nu - tack"),
        ("Måndag är poniedziałek – på polska", "Måndag är poniedziałek - på polska"),
        ("İyi akşamlar, Łukasz…", "İyi akşamlar, Łukasz..."),
    ],
)
def test_the_cheaper_text_changes_only_running_text(text: str, rewritten: str) -> None:
    assert cheaper(text) == rewritten


_inner = st.text(st.sampled_from("aB9x–’…”\u00ad\u200bﬁ"), max_size=8)
_fixed_tokens = st.one_of(
    st.builds("https://example.com/{}x".format, _inner),
    st.builds("www.example.com?{}=val[0]".format, _inner),
    st.builds("a{}z@example.com".format, _inner),
    st.builds("aB[3|{}\\9".format, _inner),
    st.builds("x{}7".format, _inner),
    st.builds("{{{{{}}}}}".format, _inner),
    st.builds("{{{{ namn {} }}}}".format, _inner),
    st.builds("${{{}}}".format, _inner),
    st.builds("<{} namn>".format, _inner),
    st.builds("rad\\n{}x".format, _inner),
)


@given(st.lists(_fixed_tokens, min_size=1, max_size=4), st.sampled_from([" – ", " “a” ", "\u00a0"]))
def test_the_cheaper_text_keeps_addresses_codes_and_templates(tokens: list[str], between: str) -> None:
    rewritten = cheaper(f"Hej –{' ' + between.join(tokens)} – hej då")
    assert rewritten.startswith("Hej - ")
    position = 0
    for token in tokens:
        position = rewritten.index(token, position) + len(token)


# ── what cannot be sent ──


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Hej\nåäö\r\t\f€🎉\u200d", None),
        ("", None),
        ("a\x00b\x01", "\x00"),
        ("a\x1b[0m", "\x1b"),
        ("a\x85", "\x85"),
        ("a\ud83d", "\ud83d"),
        ("\udc00a", "\udc00"),
    ],
)
def test_characters_that_no_text_can_carry_are_found(text: str, found: str | None) -> None:
    assert find_unsendable(text) == found


# ── and quickly ──

LONG = {
    "letters": "a" * 100_000,
    "another alphabet": "ж" * 100_000,
    "extension": "€" * 100_000,
    "pictures": "🎉" * 100_000,
    "a family": "👨\u200d" * 50_000,
    "selectors": "🎉" + "\ufe0f" * 100_000,
    "accents of two kinds": "a" + "\u0301\u0327" * 50_000,
    "accents with nothing between": "a" + ("\u0301\u0327" * 15 + "\u200b") * 3_000,
    "accents of another script": "ا" + "\u064b\u0650" * 50_000,
    "keycaps": "1\ufe0f\u20e3" * 33_000,
}


@pytest.mark.parametrize(
    "function", [measure, split, expensive_characters, cheaper, cleaned, find_unsendable]
)
@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_a_long_text_is_processed_quickly(function: Callable[[str], object], text: str) -> None:
    """Squared time would take ten seconds here. Measured: 0.01 to 0.15 s; the rest is for slow machines."""

    def taken() -> float:
        began = time.process_time()
        function(text)
        return time.process_time() - began

    assert any(taken() < 0.5 for _ in range(3))
