"""Classify received texts: opt-outs, likely opt-outs, opt-ins and ordinary texts.

46elks does not handle opt-outs, so this server does. The words are those of American law (47 CFR
64.1200(a)(10)), of the large providers (Twilio, AWS), and of usage in Sweden, Norway, Denmark and Finland.

A text is in one of three classes:

- *Clear*: only opt-out words, and courtesies, numbers or words about texts around them ("STOP", "Stop
  texting me please").
- *Likely*: a sentence that begins with an opt-out word, ends in one or is built around one.
- *None*: everything else, since "Stop by tomorrow" and "Avbryt mötet" are ordinary sentences.

"Nej tack", "Avbryt" and "Cancel" may answer a question. They opt out only if the account's last text to that
number was not a question: a no to any other text means no to being texted. START or a person can undo a wrong
opt-out, while a text to a person who opted out breaks the law (marknadsföringslagen 19 §).
"""

import re
import unicodedata
from enum import StrEnum
from typing import NamedTuple

from elks_mcp.domain.normalization import normalize
from elks_mcp.domain.opt_out_words import (
    CANCEL,
    CEASE,
    COURTESY,
    LIKELY,
    LINKING,
    NEGATIONS,
    NOT_AFTER,
    NOT_BEFORE,
    PHRASES,
    POINTING,
    REFUSAL,
    SIGNATURE,
    START,
    STRONG,
    TEXTS,
    WEAK,
)


class OptWord(StrEnum):
    """The meaning of a received text for further texts to its sender."""

    STOP = "stop"
    """No more texts to this number."""

    MAYBE = "maybe"
    """Likely an opt-out, within a sentence; a person should read it."""

    START = "start"
    """Opts in again after an opt-out."""


def find_opt_word(text: str, *, asked: bool = False) -> OptWord | None:
    """Return whether a received text opts out, likely opts out or opts in, else None.

    Case, accents, punctuation, emoji, invisible characters and full-width letters make no difference. START
    must be the whole text.

    Args:
        text: the received text.
        asked: the account's last text to this number asked a question, so some words are only an answer.
    """
    found = _find(text)
    return None if found is None or (asked and found.may_be_answer) else found.word


def asks_for_answer(text: str) -> bool:
    """Return whether an outgoing text asks for an answer, with "?", "svara" or "reply".

    A footer on how to opt out, such as "Vill du slippa sms? Svara STOP", does not count.
    """
    sentences = re.findall(r"[^.!?\n]+[.!?\n]*", _LINK.sub(" ", text.replace("？", "?")))
    read = [(_read_words(each), "?" in each) for each in sentences]
    return any(
        (is_question or _wants_answer(words)) and not _is_footer(words, read[index + 1 : index + 2])
        for index, (words, is_question) in enumerate(read)
    )


# ── classes ──

_LONGEST_SIGNATURE = 4
_NEGATED_WITHIN = 2
_TEXT_WORD_WITHIN = 2
"""Distance in words between an opt-out word and a word about texts, at most."""

_ANY = STRONG | WEAK | CEASE | CANCEL | REFUSAL
_STOP = re.compile("|".join(sorted(_ANY, key=len, reverse=True)))
_JOINED = re.compile(f"(?:{_STOP.pattern})+")
_ANYWHERE = STRONG - {"stop", "stopp"}
"""Words that occur in no ordinary sentence."""

_VERBS = STRONG | CEASE | CANCEL | {"slutar", "end", "quit"}
_AROUND = COURTESY | POINTING | LINKING | TEXTS


class _Match(NamedTuple):
    word: OptWord
    may_be_answer: bool = False


def _find(text: str) -> _Match | None:
    words = _read_words(text)
    if "".join(words) in START:
        return _Match(OptWord.START)
    return _find_clear(text, words) or _find_likely(text)


def _find_clear(text: str, words: list[str]) -> _Match | None:
    """Return the match of a text that is clear as a whole, or by its first line."""
    if found := _judge_clear(words) or _judge_clear(_without_signature(words)):
        return found
    lines = _read_lines(text.splitlines())
    while len(lines) > 1 and COURTESY.issuperset(lines[0]):
        lines = lines[1:]
    if len(lines) < 2:  # noqa: PLR2004
        return None
    first, rest = _judge_clear(lines[0]), lines[1:]
    is_signature = len(rest) <= 3 and all(len(line) <= _LONGEST_SIGNATURE for line in rest)  # noqa: PLR2004
    return first if first and (is_signature or not first.may_be_answer) else None


def _read_lines(lines: list[str]) -> list[list[str]]:
    """Return the words of each line that has any; nothing for a single line."""
    return [words for line in lines if (words := _read_words(line))] if len(lines) > 1 else []


def _judge_clear(words: list[str]) -> _Match | None:
    joined = "".join(words)
    if _JOINED.fullmatch(joined):  # `S T O P`, `stopstop`, `Nej tack, sluta`
        return _Match(OptWord.STOP, may_be_answer=not _names_law(words))
    stops = [each for each in words if _is_stop(each)]
    if not stops:
        return None
    around = {each for each in words if not each.isdigit()}.difference(stops)
    return _judge_around(stops, around) if around <= _AROUND else None


def _judge_around(stops: list[str], around: set[str]) -> _Match | None:
    """Return the match of opt-out words with only courtesies and words about texts around."""
    is_about_texts = bool(around & TEXTS)
    is_bare = around <= COURTESY | POINTING
    if any(map(_is_strong, stops)):
        return _Match(OptWord.STOP) if is_bare or is_about_texts else None
    if _names_law(stops):
        return _Match(OptWord.STOP) if around <= COURTESY | TEXTS else None
    if set(stops) <= REFUSAL:
        return _Match(OptWord.STOP, may_be_answer=True) if around <= COURTESY else None
    if is_about_texts:
        return _Match(OptWord.STOP)
    if not is_bare:
        return None
    is_cease = bool(CEASE.intersection(stops))
    return _Match(OptWord.STOP if is_cease else OptWord.MAYBE, may_be_answer=True)


def _names_law(words: list[str]) -> bool:
    """Return whether law or trade names one of these words, also joined or spaced out."""
    return any(_split_joined(each) & (STRONG | WEAK) for each in (*words, "".join(words)))


def _is_stop(word: str) -> bool:
    return bool(_split_joined(word))


def _split_joined(word: str) -> set[str]:
    """Return the opt-out words that a word consists of; empty if it contains anything else."""
    return set(_STOP.findall(word)) if _JOINED.fullmatch(word) else set()


def _find_likely(text: str) -> _Match | None:
    clauses = [words for clause in re.split(r"[.,!?;:\n\r]+", text) if (words := _read_words(clause))]
    is_likely = any(
        _is_at_either_end(words) or _is_about_texts(words) or LIKELY.search(" ".join(words))
        for words in clauses
    )
    return _Match(OptWord.MAYBE) if is_likely else None


def _is_at_either_end(words: list[str]) -> bool:
    """Return whether a clause begins or ends with a strong word, or has an unambiguous one."""
    if any(word in _ANYWHERE and not _is_negated(words, at) for at, word in enumerate(words)):
        return True
    core = _without_courtesy(words)
    if not core:
        return False
    begins = _is_strong(core[0]) and (len(core) == 1 or core[1] not in NOT_AFTER)
    begins = begins and core[1:3] != ["me", "if"]
    ends = _is_strong(core[-1]) and (len(core) == 1 or core[-2] not in NOT_BEFORE)
    return begins or ends


def _is_negated(words: list[str], at: int) -> bool:
    """Return whether a negation is right before or right after a word."""
    return not NEGATIONS.isdisjoint([*words[max(0, at - _NEGATED_WITHIN) : at], *words[at + 1 : at + 2]])


def _is_strong(word: str) -> bool:
    return bool(_split_joined(word) & STRONG)


def _is_about_texts(words: list[str]) -> bool:
    """Return whether an opt-out word comes right before a word about texts, without a negation."""
    return any(
        word in _VERBS
        and not _is_negated(words, at)
        and not TEXTS.isdisjoint(words[at + 1 : at + 1 + _TEXT_WORD_WITHIN])
        and not (NOT_AFTER - {"the", "a", "an"}).intersection(words[at + 1 : at + 2])
        and words[at + 1 : at + 3] != ["me", "if"]
        for at, word in enumerate(words)
    )


def _without_courtesy(words: list[str]) -> list[str]:
    core = list(words)
    while core and (core[-1] in COURTESY or core[-1].isdigit()):
        core.pop()
    while core and core[0] in COURTESY - {"no", "nej", "nei"}:
        core.pop(0)
    return core


def _without_signature(words: list[str]) -> list[str]:
    """Return the words without a short signature that begins with a word such as `mvh`."""
    for at, word in enumerate(words):
        if at and word in SIGNATURE and len(words) - at - 1 <= _LONGEST_SIGNATURE:
            return words[:at]
    return words


# ── questions ──

_LINK = re.compile(
    r"(?<!\S)\S+://\S+|www\.\S+|(?<![\w-])[\w-]{1,63}(?:\.[\w-]{1,63}){1,9}/\S*", re.IGNORECASE
)
_ANSWER = frozenset({"svara", "svar", "reply", "answer", "respond", "vastaa"})


def _wants_answer(words: list[str]) -> bool:
    return any(word in _ANSWER and not _is_negated(words, at) for at, word in enumerate(words))


def _is_footer(words: list[str], following: list[tuple[list[str], bool]]) -> bool:
    """Return whether a sentence is about opting out: it explains how, or the next sentence does."""
    if _explains_how(words):
        return True
    is_about_texts = any(word in TEXTS or _is_stop(word) for word in words)
    return is_about_texts and any(_explains_how(each) for each, _ in following)


def _explains_how(words: list[str]) -> bool:
    """Return whether a sentence explains how to opt out: `Reply CANCEL to unsubscribe`."""
    answers = [words[at + 1 : at + 3] for at, word in enumerate(words) if word in _ANSWER]
    names_word = any(map(_is_strong, words)) or any(_is_stop(word) for answer in answers for word in answer)
    return names_word and not {"ja", "yes"}.intersection(words)


# ── reading ──


def _read_words(text: str) -> list[str]:
    """Return the words of a text in lower case without accents; known phrases become one word."""
    words = re.findall(r"[^\W_]+", text.lower() if text.isascii() else _fold(text))
    spaced = f" {' '.join(words)} "
    for phrase, word in PHRASES.items():
        spaced = spaced.replace(f" {phrase} ", f" {word} ")
    return spaced.split()


def _fold(text: str) -> str:
    """Return a text in lower case, without accents, invisible characters and emoji."""
    # Emoji first, since some of them decompose into letters, such as ™ and ℹ️.
    plain = "".join(" " if unicodedata.category(char) == "So" else char for char in _EMOJI.sub(" ", text))
    decomposed = normalize("NFKD", plain).casefold()
    return "".join(char for char in decomposed if not _is_ignored(char))


_EMOJI = re.compile("[^a-zA-Z]\ufe0f")
"""Characters that a variation selector makes emoji; other emoji have a symbol category."""


def _is_ignored(char: str) -> bool:
    """Return whether a character is an accent or invisible, so that it does not separate words."""
    return unicodedata.category(char) in {"Mn", "Cf"} or char in "\u115f\u1160"
