"""The code in an answer to an alert, and the sentence that asks for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elks_mcp.domain.acknowledgements import find_code, request_acknowledgement, request_digit
from elks_mcp.domain.escalation import AckLanguage
from elks_mcp.domain.opt_outs import find_opt_word
from elks_mcp.domain.text import Encoding, measure

codes = st.integers(0, 9999).map("{:04}".format)


@pytest.mark.parametrize(
    "text",
    [
        "OK 4711",
        "ok 4711",
        "ok4711",
        "OK. 4711",
        "Ok, 4711!",
        "OK: 4711",
        "okej 4711",
        "Okay 4711",
        "4711",
        " 4711. ",
        "ok\n4711",
        "OK\u00a04711",
        "ＯＫ　４７１１",
        "Ok 4711, jag tar det",
        "ja ok 4711",
        "\u200bOK 4711",
        "OK 4711\n> Reply OK 4711 to acknowledge.",
        "OK 4711 tack",
        "  ok   4711!",
        "OK 4711\n\nSkickat från min iPhone",
        "ok 4711 \U0001f44d",
        "\U0001f44d ok 4711",
        '"OK 4711"',
        "ok #4711",
        "Ok 4711. Vilken server är det?",
        "OK 4711 to be there in 5",
        "Yes, OK 4711",
        "ok ok 4711",
        "4711 ok",
    ],
)
def test_a_code_is_found_however_people_write_it(text: str) -> None:
    assert find_code(text) == "4711"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "OK",
        "ja",
        "STOP",
        "OK 471",
        "OK 47110",
        "kl 1530?",
        "ring 0701740605",
        "Vi ses 4711 kanske",
        "OK ska bli, koden var inte 4711",
        'Liked "Disk full\nReply OK 4711 to acknowledge."',
        "Gillade ”Disken är full\nSvara OK 4711 för att bekräfta.”",
        "Jag är på semester. Du skrev: Svara OK 4711 …",
        "OK 4711 to acknowledge.",
        "OK ٤٧١١",
        "OK ٣4711",
        "Reply\nOK 4711\nto\nacknowledge",
        "> Reply OK 4711 to acknowledge",
        "> Reply\n> OK 4711\n> to\n> acknowledge.",
        "> OK 4711",
        "OK 4711\nto\nacknowledge",
        "OK 4711\n> to acknowledge",
        "OK 4711 för att\r\nbekräfta",
        "Ok 4711 fo\u0308r att bekra\u0308fta",
        "ok 4711 f?r att bekr?fta",
        "reply:ok 4711",
        "Svara:\tOK 4711",
        "\u201creply\u201d ok 4711",
        "NOT ok 4711",
        "not OK 4711",
        "inte ok 4711",
        "Kan inte. OK 4711?",
        "is OK 4711 right?",
        "OK 4711?",
        "ok 4711 ?",
        "4711?",
        "4711 ok?",
        "OK inte 4711",
        "OK å 4711",
        "Jag kör bil. Du skrev: OK 4711",
        "Loved \u201cOK 4711\u201d",
        "\U0001f44d to \u201cDisk full Reply OK 4711 to acknowledge.\u201d",
        "+46701740605: OK 4711",
    ],
)
def test_a_text_that_does_not_acknowledge_has_no_code(text: str) -> None:
    assert find_code(text) is None


def test_one_text_is_one_try() -> None:
    assert find_code("OK 1111 OK 2222 OK 4711") == "1111"
    assert find_code("ok 1111 2222 4711") == "1111"


breaks = st.sampled_from([" ", "\n", "\r\n", "\t", "\n> ", " \n\n", "\u00a0"])
words = st.text(st.characters(categories=["Ll", "Lu"]), min_size=1, max_size=8)


@given(codes, st.sampled_from(AckLanguage), st.text(max_size=40), st.data())
def test_an_alert_quoted_whole_acknowledges_nothing_however_its_lines_are_broken(
    code: str, language: AckLanguage, message: str, data: st.DataObject
) -> None:
    asked = request_acknowledgement(message, code, language)
    assert code in asked
    quoted = data.draw(st.sampled_from(["", "> ", '"', "Liked \u201c", "Du skrev: "])) + "".join(
        data.draw(breaks) + each for each in asked.split()
    )
    if find_code(message) is None:
        assert find_code(quoted) is None


@given(codes, words, breaks, st.sampled_from([":", "", ",", ".", ' "']), st.text(max_size=20))
def test_a_code_after_any_other_word_acknowledges_nothing(
    code: str, word: str, space: str, mark: str, rest: str
) -> None:
    if word.casefold() not in _ALLOWED:
        assert find_code(f"{word}{mark}{space}OK {code}{rest}") is None


_ALLOWED = {"ja", "yes", "ok", "okej", "okay", "oki"}


@given(codes, st.sampled_from(["OK", "ok", "Okej", "ja ok"]), breaks, st.text(max_size=20))
def test_an_answer_counts_whatever_follows_it(code: str, ok: str, space: str, rest: str) -> None:
    assert find_code(f"{ok}{space}{code} och {rest}") == code


@given(codes, st.sampled_from(["OK {}", "ok{}", "Ok. {}.", "{}"]))
def test_each_code_is_found(code: str, text: str) -> None:
    assert find_code(text.format(code)) == code
    assert find_opt_word(text.format(code)) is None


@pytest.mark.parametrize("language", AckLanguage)
def test_the_request_costs_no_other_encoding(language: AckLanguage) -> None:
    assert measure(request_acknowledgement("Disk full", "4711", language)).encoding is Encoding.GSM7


def test_each_sentence_that_is_said_ends() -> None:
    assert request_digit("Disk full", AckLanguage.ENGLISH) == "Disk full. Press 1 to acknowledge."
    assert request_digit("Det brinner!", AckLanguage.SWEDISH) == "Det brinner! Tryck 1 för att bekräfta."
