"""Texts that opt out, that opt in, and that do neither."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elks_mcp.domain.opt_outs import OptWord, asks_for_answer, find_opt_word
from tests.tables.opt_outs import ASKING, NOT_ASKING, TABLE

WORDS = (
    "STOP STOPP STOPPA SLUTA AVSLUTA AVREGISTRERA AVBRYT STOPALL UNSUBSCRIBE CANCEL END QUIT REVOKE OPTOUT "
    "OPT-OUT REMOVE ARRET ARRÊT STOPT STOPPEN LOPETA PERUUTA"
)
STOPS = [*WORDS.split(), "NEJ TACK", "OPT OUT"]
STARTS = ["START", "UNSTOP", "STARTA"]
EXPECTED = dict.fromkeys(STOPS, OptWord.STOP) | dict.fromkeys(STARTS, OptWord.START)

OPTING_OUT = [
    "Stop!",
    ' "STOPP".',
    "STOP.",
    "stop",
    "sToPp",
    "”Stopp”",
    "(stop)",
    "*STOP*",
    "_stop_",
    "#STOP",
    "stop!!!!",
    "S T O P",
    "s.t.o.p",
    "S-T-O-P-P",
    "S T O P !",
    "ＳＴＯＰ",
    "𝐒𝐓𝐎𝐏",
    "STOP\n",
    "\r\n\tSTOP\r\n",
    "STOP\u00a0",
    "\u200bST\u200dOP\ufeff",
    "\u2067STOP\u2069",
    "S\u00adTOP",
    "\u3164STOP\u3164",
    "STOP 🛑",
    "🛑🛑 STOP 🛑🛑",
    "🙏🏽stopp🙏🏽",
    "STOP ™",
    "SLUTA Ⓜ️",
    "SLUTA ❤️",
    "Sluta 👨‍👩‍👧",
    "S̶T̶O̶P̶",
    "Arrêt",
    "arre\u0302t",
    "Nej, tack!",
    "nejtack",
    "Nej tack 😊",
    "opt–out",
    "stop all",
    "STOP ALL",
    "STOP sms tack",
    "Stopp, tack",
    "stop please",
    "STOP tack!",
    "Stopp tack 🙏",
    "STOP 36047",
    "STOP STOP",
    "stopp stopp stopp",
    "Stop texting me",
    "stop now",
    "STOPALL please",
    "Unsubscribe me",
    "unsubscribe me please",
    "Avregistrera mig",
    "Avregistrera mig tack",
    "STOP MVH Åsa",
    "Stop it",
    "Stopp där",
    "STOP I said",
    "ST\u00adOP sms tack",
    "STOP MMS",
    "Sluta skicka mms till mig",
    "sluta mmsa mig",
    "Sluta skicka bilder",
    "Stop sending me pictures",
    "Sluta ring mig",
]

OPTING_IN = ["start", "Start!", " starta ", "S T A R T", "UNSTOP.", "Starta 🎉", "ＳＴＡＲＴ", "stárt"]

LIKELY = [
    "Please cancel",
    "Remove it please",
    "Opt out how?",
    "I want to opt out of this",
    "Kan ni sluta ringa mig",
    "Unsubscribe is not what I meant at all",
    "Stop worrying",
]

ORDINARY = [
    "",
    " ",
    "🛑",
    "!!!",
    "Hej!",
    "Ja",
    "JA",
    "Nej",
    "NEJ.",
    "Tack",
    "Ok tack",
    "Tack, nej",
    "Ja tack",
    "Nej tack, jag har redan en tid",
    "Nej tack det behövs inte",
    "Nej men tack ändå",
    "End of story",
    "End of the month works",
    "The end",
    "Cancel Tuesday please",
    "Cancel my appointment",
    "Can I cancel?",
    "Remove the old one",
    "Quit smoking",
    "Quit while ahead",
    "Revoke my access please",
    "Sluta jobba nu",
    "Sluta aldrig le",
    "Sluta inte skriva till mig!",
    "Avsluta mötet klockan tre",
    "Avsluta samtalet",
    "Avbryt mötet",
    "Avbryt beställningen tack",
    "Stoppa pressarna",
    "Stoppa in den",
    "Start at nine",
    "Start now?",
    "Starta motorn",
    "Starta utan mig",
    "Start kl 9",
    "We start at nine",
    "Vi startar nio",
    "stop by tomorrow",
    "Stop by later",
    "Stop by!",
    "Stopp i avloppet",
    "Stopp i toaletten!",
    "STOPP I TRAFIKEN",
    "Stop the car at the next corner please",
    "Stop me if you have heard this one before",
    "Stopp och belägg är mina bästa kort",
    "Don't stop",
    "Do not stop",
    "Non stop",
    "Nonstop",
    "Bus stop",
    "The bus stop",
    "Vid nästa busstopp",
    "Busstopp",
    "Full stop",
    "Stopped",
    "Stoppade bilen",
    "Stopptid",
    "Stopover in Rome",
    "Stoppenberg",
    "Jag kan tyvärr inte komma på lördag, måste avboka",
    "När slutar ni?",
    "När slutar filmen",
    "Slutat regna nu",
    "Slut",
    "Slutsåld",
    "Kan du avbryta?",
    "Weekend",
    "Ending soon",
    "Vi ses på lördag! Hälsar Åsa 🎉",
    "Tar bussen, kliver av vid stoppet",
    "Lopeta jo",
    "Peruuta aika kiitos",
    "Arrêt de bus",
    "не stop",
    "стоп-кран",
    "I'll be there at 5",
    "Klockan 17 går bra",
    "Var är ni? Jag står vid porten",
    "Thanks, see you on Monday",
    "Can we move it to Friday?",
    "Jag vill ha tre st, opp till dig vilka",
    "Det är slut a la carte idag",
    "Avregistrera inte mig, jag vill vara kvar",
]


@pytest.mark.parametrize("word", EXPECTED)
def test_every_word_counts_as_the_whole_message(word: str) -> None:
    assert find_opt_word(word) is EXPECTED[word]


@pytest.mark.parametrize("text", OPTING_OUT)
def test_opting_out_is_understood_however_it_is_written(text: str) -> None:
    assert find_opt_word(text) is OptWord.STOP


@pytest.mark.parametrize("text", OPTING_IN)
def test_opting_in_is_understood_however_it_is_written(text: str) -> None:
    assert find_opt_word(text) is OptWord.START


@pytest.mark.parametrize("text", ORDINARY)
def test_an_ordinary_message_is_no_opt_out_and_no_opt_in(text: str) -> None:
    assert find_opt_word(text) is None


@pytest.mark.parametrize("text", LIKELY)
def test_a_stop_word_within_a_sentence_is_a_possible_opt_out(text: str) -> None:
    assert find_opt_word(text) is OptWord.MAYBE


CLASSES = {
    "clear": (OptWord.STOP, OptWord.STOP),
    "answer": (OptWord.STOP, None),
    "likely": (OptWord.MAYBE, OptWord.MAYBE),
    "likely answer": (OptWord.MAYBE, None),
    "none": (None, None),
}
"""The class of a text, and its class in answer to a question."""


@pytest.mark.parametrize(("language", "text", "name"), TABLE)
def test_every_phrase_of_the_table_is_in_its_class(language: str, text: str, name: str) -> None:
    assert (find_opt_word(text), find_opt_word(text, asked=True)) == CLASSES[name]


def test_the_table_has_150_phrases_in_five_languages_and_every_class_in_each() -> None:
    assert len({(language, text) for language, text, _ in TABLE}) == len(TABLE) >= 150
    kinds = {(language, name) for language, _, name in TABLE}
    assert kinds == {(language, name) for language in ("sv", "nb", "da", "fi", "en") for name in CLASSES}


@pytest.mark.parametrize("text", ASKING)
def test_a_text_that_wants_an_answer_is_a_question(text: str) -> None:
    assert asks_for_answer(text)


@pytest.mark.parametrize("text", NOT_ASKING)
def test_a_text_that_only_explains_how_to_opt_out_is_no_question(text: str) -> None:
    assert not asks_for_answer(text)


def test_the_table_has_enough_sentences() -> None:
    assert len(ORDINARY) == len(set(ORDINARY)) >= 60


ACCENTS = ["\u0300", "\u0301", "\u0302", "\u0308", "\u0327", "\u030a", "\u0336"]
UNSEEN = ["\u200b", "\u200c", "\u200d", "\u200e", "\u2060", "\u2066", "\u2069", "\u00ad", "\ufeff"]
BESIDES = [*" \t\r\n\u00a0\u2003\u3000.,:;!?…'\"“”’«»()[]{}<>*_-–—/\\#&+=~^|", *UNSEEN]
EMOJI = ["🛑", "❤️", "🙏🏽", "👨‍👩‍👧", "🇸🇪", "™", "©️", "Ⓜ️", "ℹ️", "1️⃣", "🆗", "✋", "\u2800"]

around = st.lists(st.sampled_from(BESIDES + EMOJI), max_size=6).map("".join)
between = st.lists(st.sampled_from([*BESIDES, *ACCENTS]), max_size=2).map("".join)


def wide(char: str) -> str:
    """Widen a letter, as an East Asian keyboard does."""
    return chr(ord(char) + 0xFEE0) if char.isascii() and char.isalpha() else char


@st.composite
def disguised(draw: st.DrawFn, words: list[str]) -> tuple[str, str]:
    """Write a word in an unusual way, on purpose or not."""
    word = draw(st.sampled_from(words))
    spellings = [draw(st.sampled_from([char, char.lower(), wide(char), wide(char.lower())])) for char in word]
    inside = "".join(char + draw(between) for char in spellings)
    return word, draw(around) + inside + draw(around)


@given(disguised([*STOPS, *STARTS]))
def test_nothing_around_or_inside_a_word_hides_it(written: tuple[str, str]) -> None:
    word, text = written
    assert find_opt_word(text) is EXPECTED[word]


@given(st.sampled_from(["stop", "stopp", "stopall", "unsubscribe", "avregistrera"]), around, st.data())
def test_one_or_two_following_words_do_not_hide_an_unmistakable_one(
    first: str, gap: str, data: st.DataObject
) -> None:
    more = data.draw(
        st.lists(st.sampled_from(["tack", "sms", "please", "mig", "36047"]), min_size=1, max_size=2)
    )
    assert find_opt_word(" ".join([first + gap, *more])) is OptWord.STOP


@given(
    st.sampled_from([*STOPS, *STARTS]), st.lists(st.sampled_from(["på", "lördag", "we", "om"]), min_size=3)
)
def test_a_word_in_a_longer_message_is_at_most_a_possible_opt_out(word: str, more: list[str]) -> None:
    assert find_opt_word(" ".join([word, *more])) in {None, OptWord.MAYBE}
    assert find_opt_word(" ".join([*more, word])) in {None, OptWord.MAYBE}


@given(st.sampled_from(STARTS), st.sampled_from(["tack", "please", "mig", "om", "kl 9"]))
def test_only_a_whole_message_opts_in(word: str, more: str) -> None:
    assert find_opt_word(f"{word} {more}") is None


@given(st.text(st.characters(exclude_categories=[]), max_size=60))
def test_any_text_can_be_classified_and_surrounding_space_changes_nothing(text: str) -> None:
    assert find_opt_word(f" {text}\n") is find_opt_word(text)


@given(
    st.lists(
        st.sampled_from([*STOPS, *STARTS, "no", "thanks", "me", "mvh", "\n", ". "])
        | st.text(st.characters(max_codepoint=127), max_size=8),
        max_size=6,
    )
)
def test_an_invisible_character_makes_no_difference(parts: list[str]) -> None:
    """Only without one is a text ASCII, and then it is read in a shorter way."""
    text = " ".join(parts)
    assert find_opt_word(text) is find_opt_word(f"{text}\u200b")
    assert find_opt_word(text, asked=True) is find_opt_word(f"{text}\u200b", asked=True)
    assert asks_for_answer(text) is asks_for_answer(f"{text}\u200b")
