"""The words by which somebody says that they want no more texts, or wants them again.

46elks does nothing about them, so it is ours to. They are what people have learnt to write: the words of
American law (TCPA), of the large providers (Twilio, AWS), and of Sweden and its neighbours.

A word counts when it is the whole message, since "Cancel Tuesday please" and "Avbryt mötet" are ordinary
sentences. Only behind a word that hardly begins such a one there may be a little more: "STOP sms tack".
Where it is doubtful ("Stop worrying"), the message opts out: a mistake that START undoes, while a text to
somebody who said STOP breaks the law (marknadsföringslagen 19 §, and its like elsewhere).
"""

import re
import unicodedata
from enum import StrEnum


class OptWord(StrEnum):
    """What a message says about further texts."""

    STOP = "stop"
    """No more texts to this number."""
    START = "start"
    """Texts again, after a STOP."""


_STOP = (
    "stop stopp stoppa stopall sluta avsluta avregistrera avbryt nejtack "
    "unsubscribe cancel end quit revoke optout remove arret stopt stoppen lopeta peruuta"
)
_START = "start starta unstop"
_WORDS = dict.fromkeys(_STOP.split(), OptWord.STOP) | dict.fromkeys(_START.split(), OptWord.START)
"""Whole messages, in bare letters without spaces: so `NEJ TACK`, `OPT-OUT`, `S T O P`, `ARRÊT` are here."""

_UNMISTAKABLE = {"stop", "stopp", "stopall", "unsubscribe", "avregistrera"}
"""Words that opt out with a little more behind them."""

_ERRANDS = {("stop", "by"), ("stopp", "i")}
"""How ordinary messages begin with them all the same: `Stop by tomorrow`, `Stopp i avloppet`."""

_MOST_WORDS = 3
"""Of a message that only begins with one; longer ones are for a person to read."""


def find_word(text: str) -> OptWord | None:
    """Find the word that opts out or in, if the message is one, however it is written.

    Capitals, accents, punctuation, emoji, invisible characters and wide letters make no difference, nor do
    spaces anywhere. START must be the whole message: nobody gets texts again by a mistake of ours.
    """
    words = _read_words(text)
    whole = _WORDS.get("".join(words))
    return whole or (OptWord.STOP if _begins_with_stop(words) else None)


def _begins_with_stop(words: list[str]) -> bool:
    return (
        1 < len(words) <= _MOST_WORDS and words[0] in _UNMISTAKABLE and (words[0], words[1]) not in _ERRANDS
    )


def _read_words(text: str) -> list[str]:
    """Take a text apart into its words, in small bare letters."""
    # Emoji first: some of them decompose into letters, such as ™ and ℹ️.
    plain = "".join(" " if unicodedata.category(char) == "So" else char for char in _EMOJI.sub(" ", text))
    decomposed = unicodedata.normalize("NFKD", plain).casefold()
    return re.findall(r"[^\W_]+", "".join(char for char in decomposed if not _is_unseen(char)))


_EMOJI = re.compile("[^a-zA-Z]\ufe0f")
"""Letters, digits and signs that are to be shown as emoji; the other emoji are symbols by their category."""


def _is_unseen(char: str) -> bool:
    """Tell accents and invisible characters, which part no word, from the rest."""
    return unicodedata.category(char) in {"Mn", "Cf"} or char in "\u115f\u1160"
